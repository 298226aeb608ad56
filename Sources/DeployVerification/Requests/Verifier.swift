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
        /// How many right answers in a row prove a target at least.
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
        /// What was seen last, whatever it is worth; and what of it means something.
        var latest: Evidence?
        var last: Evidence?
        var looks = 0
        /// How many of the last looks that meant something meant the same, and since when.
        var streak = 0
        var streakStart = Duration.zero
        /// How many looks since then meant nothing.
        var empty = 0
        var hasBeenRight = false
        var hasBeenOld = false
        /// Since the first right answer; and since what came before is explained.
        var mixture = Mixture()
        /// How long to wait between two looks, as a limit of the server has it.
        var pace: Duration?
        var notBefore: Duration?
    }

    /// Between two looks at a target that answers too many requests with 429.
    static let limitedPace = (first: Duration.milliseconds(500), most: Duration.seconds(5), longest: Duration.seconds(30))
    /// Between two looks at a target that has begun to answer right.
    static let quickInterval = Duration.milliseconds(20)
    static let strengthening = Duration.milliseconds(50)
    /// How long and how often a target must bar us before we believe that waiting does not help.
    static let barredAfter = (looks: 3, time: Duration.seconds(5))
    /// A look or two may fall into the moment in which a server changes over; more at the end are a state.
    static let stateAfter = 3
    /// Different words that are counted apart for one target; a server that answers something new each time fills no memory.
    static let maximumSightings = 16

    public let patience: Patience
    private let start: Duration
    private var targets: [Target]
    /// What was asked before this is explained by who was known to be old then.
    private var explained: Duration?

    public init(targets: [String], patience: Patience, start: Duration) {
        self.patience = patience
        self.start = start
        self.targets = targets.map { Target(name: $0) }
    }

    /// Takes one look at a target into account.
    /// - Parameter asked: when the look began; `nil`: at `now`.
    public mutating func observe(_ evidence: Evidence, of index: Int, asked: Duration? = nil, at now: Duration) {
        var target = targets[index]
        target.latest = evidence
        note(evidence.words, in: &target, at: now)
        defer { targets[index] = target }
        if case .limited(let wait) = evidence {
            target.pace = min(Self.limitedPace.most, (target.pace ?? Self.limitedPace.first / 2) * 2)
            target.notBefore = now + min(wait ?? .zero, Self.limitedPace.longest)
        }
        guard let meaning = evidence.meaning else {
            target.empty += 1
            return
        }
        target.empty = 0
        if target.last?.meaning == meaning {
            target.streak += 1
        } else {
            target.streak = 1
            target.streakStart = now
        }
        target.looks += 1
        target.last = evidence
        if evidence == .rightToken { target.hasBeenRight = true }
        if meaning == .old { target.hasBeenOld = true }
        guard target.hasBeenRight, explained.map({ (asked ?? now) >= $0 }) ?? true else { return }
        if evidence == .rightToken { target.mixture.noteRight() }
        if evidence.isOtherAnswer { target.mixture.noteOther(at: now) }
    }

    /// Who has looked at every worker knows since when none is old: other answers before that were theirs, and none may come after.
    /// - Parameter moment: `nil`: it is not known any more.
    public mutating func explain(before moment: Duration?) {
        guard moment != explained else { return }
        explained = moment
        guard moment != nil else { return }
        for index in targets.indices { targets[index].mixture = Mixture() }
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
    /// - Parameter isDue: it is known from elsewhere that the right answer must come now.
    public func pause(of index: Int, isDue: Bool = false, at now: Duration) -> Duration {
        let target = targets[index]
        let isProven = isProven(target, at: now)
        let gathers = (isDue || target.last == .rightToken) && !isProven
        // While agents let their workers settle, more answers cost no time.
        let strengthens = isDue && isProven
        var pause = min(gathers ? Self.quickInterval : strengthens ? Self.strengthening : patience.interval, patience.interval)
        if let pace = target.pace { pause = max(pause, pace) }
        if let notBefore = target.notBefore { pause = max(pause, (notBefore - now) * 1.25) }
        return pause
    }

    /// The verdict, as soon as there is one; `nil` means to go on looking.
    public func verdict(at now: Duration) -> Verdict? {
        if isProven(at: now) { return .verified }
        if now - start >= patience.timeout || targets.contains(where: { isBarred($0, at: now) }) { return verdictByNow(at: now) }
        return nil
    }

    private func isProven(at now: Duration) -> Bool { targets.allSatisfy { isProven($0, at: now) } }

    /// Since when every target has answered right, without a break; `nil` while one of them is not proven.
    public func rightSince(at now: Duration) -> Duration? { isProven(at: now) ? targets.map(\.streakStart).max() : nil }

    /// Whether nothing but right answers has ever come.
    public var hasOnlyBeenRight: Bool { targets.allSatisfy { $0.last == .rightToken && $0.streak == $0.looks } }

    /// What would be the verdict if the time were over.
    public func verdictByNow(at now: Duration) -> Verdict { targets.indices.map { verdict(of: $0, at: now) }.min() ?? .unproven }

    private func isProven(_ target: Target, at now: Duration) -> Bool {
        guard target.last == .rightToken, target.streak >= target.mixture.needed(atLeast: patience.consecutive) else { return false }
        return target.mixture.lastOther.map { now - $0 >= target.mixture.quiet } ?? true
    }

    private func isBarred(_ target: Target, at now: Duration) -> Bool {
        target.last?.meaning == .barred && target.streak >= Self.barredAfter.looks && now - target.streakStart >= Self.barredAfter.time
    }

    /// What would be the verdict on one target alone if the time were over.
    public func verdict(of index: Int, at now: Duration) -> Verdict {
        let target = targets[index]
        if isProven(target, at: now) { return .verified }
        if !target.mixture.isEmpty { return ending(of: target) ?? .mixed }
        // It says how it may be asked, and not what runs.
        guard let last = target.last, target.empty < min(Self.stateAfter, target.looks + target.empty) else { return .unproven }
        if let ending = ending(of: target) { return ending }
        if target.hasBeenRight { return last == .rightToken && target.empty == 0 ? .inProgress : .unproven }
        return target.hasBeenOld ? .stale : .unproven
    }

    /// How it ended says more than what was before, once it is more than a moment.
    private func ending(of target: Target) -> Verdict? {
        guard target.streak >= min(Self.stateAfter, target.looks) else { return nil }
        switch target.last?.meaning {
        case .down: return .down
        case .unreachable, .barred: return .unreachable
        case .unclear: return target.mixture.isEmpty ? .unproven : .mixed
        case .new, .old, nil: return nil
        }
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
    public func latest(of index: Int) -> String { targets[index].latest?.words ?? "no answer yet" }

    /// How much the right answers of a target prove, in a sentence; `nil` while there is none.
    public func strength(of index: Int) -> String? { Strength.words(of: consecutive(of: index)) }

    /// What keeps a target from being proven, and what to do about it.
    public func reason(of index: Int, at now: Duration) -> String {
        let target = targets[index]
        let verdict = verdict(of: index, at: now)
        guard let latest = target.latest else { return "\(verdict.meaning): it has not answered" }
        switch verdict {
        case .verified: return verdict.meaning
        case .mixed:
            let needed = needed(of: index)
            let row = consecutive(of: index)
            let others = target.sightings.filter { $0.words != Evidence.rightToken.words }.map(\.words).prefix(3).joined(separator: ", ")
            let after = target.mixture.lastOther.map { ", the last \(words(now - $0)) ago" } ?? ""
            return
                "other answers came after the first right one (\(others)\(after)): \(row) of \(needed) right answers in a row; look for what else answers there: an old server behind the balancer, a process that shares the port; or a longer --timeout"
        case .inProgress:
            return "\(consecutive(of: index)) of \(needed(of: index)) right answers in a row, and not for long enough; a longer --timeout"
        case .stale:
            let answer = (target.last ?? latest).words
            return "it answers \(answer): was the service restarted, and does this URL lead to it? See `verify-token doctor`"
        default:
            let seen = target.empty > 0 ? latest : target.last ?? latest
            return "it answers with \(seen.words)" + (seen.remedy.map { "; \($0)" } ?? "")
        }
    }

    /// How many right answers in a row prove a target: as many as the mixture that was seen demands.
    public func needed(of index: Int) -> Int { targets[index].mixture.needed(atLeast: patience.consecutive) }

    public func sightings(of index: Int) -> [Sighting] { targets[index].sightings }

    /// How many of the last answers of a target were right.
    public func consecutive(of index: Int) -> Int { targets[index].last == .rightToken ? targets[index].streak : 0 }
}
