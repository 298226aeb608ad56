// Judges a deploy by what its servers answer, as time goes on.

public import AgentAPI
import Platform

/// Takes evidence about each target (a URL) and says when it suffices. It does no I/O; `now` is any clock that never steps.
public struct Verifier: Sendable {
    /// How often one kind of evidence was seen, and when last.
    public struct Sighting: Equatable, Sendable {
        public var words: String
        public var count: Int
        public var last: Duration
    }

    /// How patient it is.
    public struct Patience: Equatable, Sendable {
        /// How many right answers in a row prove a target.
        public var consecutive = 5
        /// From the start to the verdict.
        public var timeout = Duration.seconds(60)
        /// Between two looks at one target, unless it has just begun to answer right.
        public var interval = Duration.milliseconds(500)

        public init() {}
    }

    private struct Target {
        var name: String
        var sightings: [Sighting] = []
        var last: Evidence?
        var looks = 0
        /// How many of the last looks meant the same, and since when.
        var streak = 0
        var streakStart = Duration.zero
        var hasBeenRight = false
        var hasBeenOld = false
        /// Answers of something else that came after the first right one.
        var othersAfterRight = 0
    }

    /// Between two looks at a target that has begun to answer right.
    static let quickInterval = Duration.milliseconds(20)
    /// How long and how often a target must bar us before we believe that waiting does not help.
    static let barredAfter = (looks: 3, time: Duration.seconds(5))
    /// A look or two may fall into the moment in which a server changes over; more at the end are a state.
    static let stateAfter = 3
    /// Different words that are counted apart for one target; a server that answers something new each time fills no memory.
    static let maximumSightings = 16

    public let patience: Patience
    private let start: Duration
    private var targets: [Target]

    public init(targets: [String], patience: Patience, start: Duration) {
        self.patience = patience
        self.start = start
        self.targets = targets.map { Target(name: $0) }
    }

    /// Takes one look at a target into account.
    public mutating func observe(_ evidence: Evidence, of index: Int, at now: Duration) {
        var target = targets[index]
        if target.last?.meaning == evidence.meaning {
            target.streak += 1
        } else {
            target.streak = 1
            target.streakStart = now
        }
        target.looks += 1
        target.last = evidence
        if evidence == .rightToken { target.hasBeenRight = true }
        if evidence.meaning == .old { target.hasBeenOld = true }
        if evidence.isOtherAnswer, target.hasBeenRight { target.othersAfterRight += 1 }
        note(evidence.words, in: &target, at: now)
        targets[index] = target
    }

    private func note(_ words: String, in target: inout Target, at now: Duration) {
        let words = target.sightings.count < Self.maximumSightings || target.sightings.contains { $0.words == words } ? words : "something else"
        if let known = target.sightings.firstIndex(where: { $0.words == words }) {
            target.sightings[known].count += 1
            target.sightings[known].last = now
        } else {
            target.sightings.append(Sighting(words: words, count: 1, last: now))
        }
    }

    /// How long to wait before the next look at a target: while right answers gather, not long.
    /// - Parameter isDue: somebody else has seen that the right answer must come now.
    public func pause(of index: Int, isDue: Bool = false) -> Duration {
        let target = targets[index]
        let gathers = isDue || target.last == .rightToken
        return gathers && !isProven(target) ? min(Self.quickInterval, patience.interval) : patience.interval
    }

    /// The verdict, as soon as there is one; `nil` means to go on looking.
    public func verdict(at now: Duration) -> Verdict? {
        if targets.allSatisfy(isProven) { return .verified }
        if now - start >= patience.timeout || targets.contains(where: { isBarred($0, at: now) }) { return verdictByNow }
        return nil
    }

    /// Since when every target has answered right, without a break; `nil` while one of them is not proven.
    public var rightSince: Duration? { targets.allSatisfy(isProven) ? targets.map(\.streakStart).max() : nil }

    /// Whether nobody has ever answered anything but right.
    public var hasOnlyBeenRight: Bool { targets.allSatisfy { $0.last == .rightToken && $0.streak == $0.looks } }

    /// What would be the verdict if the time were over.
    public var verdictByNow: Verdict { targets.map(verdict(of:)).min() ?? .unproven }

    private func isProven(_ target: Target) -> Bool { target.last == .rightToken && target.streak >= patience.consecutive }

    private func isBarred(_ target: Target, at now: Duration) -> Bool {
        target.last?.meaning == .barred && target.streak >= Self.barredAfter.looks && now - target.streakStart >= Self.barredAfter.time
    }

    private func verdict(of target: Target) -> Verdict {
        guard let last = target.last else { return .unproven }
        if isProven(target) { return .verified }
        // How it ended says more than what was before, once it is more than a moment.
        if target.streak >= min(Self.stateAfter, target.looks) {
            switch last.meaning {
            case .down: return .down
            case .unreachable, .barred: return .unreachable
            case .unclear: return target.hasBeenRight && target.othersAfterRight > 0 ? .mixed : .unproven
            case .new, .old: break
            }
        }
        if target.hasBeenRight {
            if target.othersAfterRight > 0 { return .mixed }
            return last == .rightToken ? .inProgress : .unproven
        }
        return target.hasBeenOld ? .stale : .unproven
    }

    // MARK: In words

    /// What was seen of a target: `another token (1f0c...) 117 times (last 0.4 s ago), connection refused 3 times (last 9 s ago)`.
    public func account(of index: Int, at now: Duration) -> String {
        let target = targets[index]
        guard !target.sightings.isEmpty else { return "no answer yet" }
        return target.sightings.map { sighting in
            let times = sighting.count == 1 ? "once" : "\(sighting.count) times"
            return "\(sighting.words) \(times) (last \(words(now - sighting.last)) ago)"
        }.joined(separator: ", ")
    }

    /// What was seen last of a target.
    public func latest(of index: Int) -> String { targets[index].last?.words ?? "no answer yet" }

    public func sightings(of index: Int) -> [Sighting] { targets[index].sightings }

    /// What would be the verdict on one target alone if the time were over.
    public func verdict(of index: Int) -> Verdict { verdict(of: targets[index]) }

    /// How many of the last answers of a target were right.
    public func consecutive(of index: Int) -> Int { targets[index].last == .rightToken ? targets[index].streak : 0 }
}
