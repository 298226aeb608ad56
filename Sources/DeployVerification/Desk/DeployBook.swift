// The deploys that an agent knows of.

public import AgentAPI
public import Platform

/// Why something that was asked of the desk is not done, for a person.
public struct DeployRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The request makes no sense.
        case wrong
        case unknownService
        case unknownDeploy
        /// Another deploy of the service is under way.
        case underWay
        /// The release carries the token of another service's deploy, which is under way.
        case releaseInUse
        case tooMany
        /// Nobody would be spared the alerts of its restart.
        case noWindow
    }

    public var kind: Kind
    public var description: String

    public init(kind: Kind, description: String) {
        self.kind = kind
        self.description = description
    }

    /// As HTTP says it.
    public var status: Int {
        switch kind {
        case .wrong: 400
        case .unknownService, .unknownDeploy: 404
        case .underWay, .noWindow: 409
        case .releaseInUse: 423
        case .tooMany: 429
        }
    }
}

/// Which deploys were prepared, and how far they are. It decides; the desk acts.
public struct DeployBook: Sendable {
    public struct Entry: Equatable, Sendable {
        public var preparation: DeployPreparation
        public var baseline: Baseline
        public var prepared: Timestamp
        /// When it was prepared or a check of it last ran.
        public var touched: Timestamp
        /// Checks that run now.
        public var checks = 0
        /// How a check ended.
        public var outcome: HostDeploy?
        public var availability: Availability?
        /// What was not seen of it, for a person.
        public var missed: [String] = []
        /// The question was asked with a password that is not known any more.
        public var hasLostPassword = false

        public var isOpen: Bool { outcome == nil }
    }

    static let most = 50
    static let keptFor = Duration.seconds(86_400)
    static let forgottenAfter = Duration.seconds(1800)

    /// The oldest first.
    public private(set) var entries: [Entry] = []

    public init() {}

    public func entry(_ id: String) -> Entry? { entries.first { $0.preparation.id == id } }

    /// Those of the same service that were prepared later.
    func deploys(after entry: Entry) -> [(id: String, token: Secret)] {
        entries.filter { $0.preparation.service == entry.preparation.service && $0.prepared > entry.prepared }
            .map { ($0.preparation.id, Secret($0.preparation.token)) }
    }

    /// The deploy of a service that is under way.
    public func open(of service: String, at now: Timestamp) -> Entry? {
        entries.last { $0.preparation.service == service && $0.isOpen && !isForgotten($0, at: now) }
    }

    /// The deploy of another service that is under way and needs another token in the same release.
    private func sharer(
        of preparation: DeployPreparation, at now: Timestamp, _ isSameRelease: (String, String) -> Bool
    ) -> Entry? {
        guard let release = preparation.release else { return nil }
        return entries.last { entry in
            guard entry.preparation.service != preparation.service, entry.isOpen, !isForgotten(entry, at: now), let other = entry.preparation.release
            else { return false }
            return Secret(entry.preparation.token) != Secret(preparation.token) && isSameRelease(other, release)
        }
    }

    /// Deploys that are over when this one begins: the one of its service, and with `--force` those that need another token in its release.
    func replaced(by preparation: DeployPreparation, at now: Timestamp, _ isSameRelease: (String, String) -> Bool = { $0 == $1 }) -> [Entry] {
        var rest = self
        var over = entries.filter { $0.preparation.service == preparation.service && $0.isOpen }
        while preparation.takesOver, let other = rest.sharer(of: preparation, at: now, isSameRelease) {
            over.append(other)
            rest.remove(other.preparation.id)
        }
        return over
    }

    /// Whether a deploy may be prepared. `nil`: it may.
    /// - Parameter isSameRelease: whether two paths lead to one folder.
    public func refusal(
        of preparation: DeployPreparation, at now: Timestamp, _ isSameRelease: (String, String) -> Bool = { $0 == $1 }
    ) -> DeployRefusal? {
        guard DeployToken.isToken(preparation.token.utf8) else { return DeployRefusal(kind: .wrong, description: DeployTokenError().description) }
        if let known = entry(preparation.id)?.preparation, known.service != preparation.service || Secret(known.token) != Secret(preparation.token) {
            return DeployRefusal(kind: .wrong, description: "another deploy has the id \(preparation.id) already")
        }
        if let open = open(of: preparation.service, at: now), open.preparation.id != preparation.id, !preparation.takesOver {
            let who = open.preparation.person.map { " by \($0)" } ?? ""
            return DeployRefusal(
                kind: .underWay,
                description:
                    "deploy \(open.preparation.id) of \(preparation.service)\(who) has been under way since \(open.prepared.text(fraction: false)); wait for its end, or take over with --force"
            )
        }
        if !preparation.takesOver, let other = sharer(of: preparation, at: now, isSameRelease) {
            let who = other.preparation.person.map { " by \($0)" } ?? ""
            return DeployRefusal(
                kind: .releaseInUse,
                description:
                    "the release \(preparation.release ?? "") carries the token of deploy \(other.preparation.id) of \(other.preparation.service)\(who), which is under way, and another token would spoil it: prepare both with one token (--token), wait for its end, or take over with --force"
            )
        }
        if entries.count >= Self.most, entries.allSatisfy({ $0.isOpen && !isForgotten($0, at: now) }) {
            return DeployRefusal(kind: .tooMany, description: "\(Self.most) deploys are under way on this host; wait for one to end")
        }
        return nil
    }

    /// - Returns: the ids of those that are over by this: taken over, forgotten, or too old.
    public mutating func add(
        _ preparation: DeployPreparation, _ baseline: Baseline, at now: Timestamp, _ isSameRelease: (String, String) -> Bool = { $0 == $1 }
    ) -> [String] {
        var over = expire(at: now)
        let replaced = Set(replaced(by: preparation, at: now, isSameRelease).map(\.preparation.id))
        over += replaced
        entries.removeAll { replaced.contains($0.preparation.id) }
        while entries.count >= Self.most {
            let index = entries.firstIndex { !$0.isOpen || isForgotten($0, at: now) } ?? 0
            over.append(entries.remove(at: index).preparation.id)
        }
        entries.append(Entry(preparation: preparation, baseline: baseline, prepared: now, touched: now))
        return over
    }

    /// Forgets what is a day old.
    public mutating func expire(at now: Timestamp) -> [String] {
        // A clock that was set back makes nothing older.
        let old = entries.filter { $0.checks == 0 && (now - $0.prepared > Self.keptFor || $0.prepared - now > Self.keptFor) }.map(\.preparation.id)
        entries.removeAll { old.contains($0.preparation.id) }
        return old
    }

    /// Nobody has asked for it for so long that its deploy must have ended without a check.
    public func isForgotten(_ entry: Entry, at now: Timestamp) -> Bool { entry.checks == 0 && now - entry.touched > Self.forgottenAfter }

    public mutating func remove(_ id: String) { entries.removeAll { $0.preparation.id == id } }

    public mutating func change(_ id: String, _ change: (inout Entry) -> Void) {
        if let index = entries.firstIndex(where: { $0.preparation.id == id }) { change(&entries[index]) }
    }

    // MARK: On disk

    /// With tokens, and without passwords: who checks after a restart of the agent brings the password again, or the agent's settings have it.
    public var json: JSON {
        ["schema": 1, "deploys": .array(entries.map(\.json))]
    }

    /// - Parameter resumed: what is to be said of deploys that were under way.
    /// - Returns: what could not be read.
    public mutating func restore(_ json: JSON, resumed: String, at now: Timestamp) -> [String] {
        guard let list = json["deploys"]?.array else { return ["the file of deploys is none"] }
        var problems: [String] = []
        for json in list.suffix(Self.most) {
            do throws(BaselineError) {
                var entry = try Entry(json)
                if entry.isOpen { entry.missed = [resumed] }
                if !entries.contains(where: { $0.preparation.id == entry.preparation.id }) { entries.append(entry) }
            } catch {
                problems.append(error.description)
            }
        }
        _ = expire(at: now)
        return problems
    }
}

extension DeployBook.Entry {
    var json: JSON {
        var members: [JSON.Member] = [
            .init("preparation", preparation.json(withSecrets: false)), .init("baseline", baseline.json),
            .init("prepared", .string(prepared.text())),
            .init("touched", .string(touched.text())),
        ]
        if preparation.question?.password != nil || hasLostPassword { members.append(.init("had_password", .bool(true))) }
        if let outcome { members.append(.init("outcome", outcome.json)) }
        if let availability { members.append(.init("probe", availability.json)) }
        return .object(members)
    }

    init(_ json: JSON) throws(BaselineError) {
        guard let prepared = json["prepared"]?.string.flatMap({ Timestamp($0) }), let touched = json["touched"]?.string.flatMap({ Timestamp($0) }),
            let baseline = json["baseline"], let preparation = json["preparation"]
        else { throw BaselineError("a deploy lacks its times, its baseline or its preparation") }
        do throws(RequestError) {
            self.preparation = try DeployPreparation(preparation)
            outcome = try json["outcome"].map { json throws(RequestError) in try HostDeploy(json) }
            availability = try json["probe"].map { json throws(RequestError) in try Availability(json) }
        } catch {
            throw BaselineError("a deploy cannot be read: \(error.problem)")
        }
        hasLostPassword = json["had_password"]?.bool ?? false
        self.baseline = try Baseline(baseline)
        self.prepared = prepared
        self.touched = touched
    }
}
