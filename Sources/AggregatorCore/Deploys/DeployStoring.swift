// The seam of storage for deploys and for the tokens of the scripts that file them.

public import AgentAPI
public import Platform

/// A deploy as a line of the timeline.
public struct DeployLine: Equatable, Sendable {
    public var id: String
    /// As the script that deployed calls it.
    public var service: String
    public var verdict: Verdict
    public var began: Timestamp
    public var ended: Timestamp
    public var person: String?
    public var revision: String?
    /// What all its availability probes met with; `nil` where none ran.
    public var availability: DeployAvailability?

    public init(
        id: String, service: String, verdict: Verdict, began: Timestamp, ended: Timestamp, person: String? = nil, revision: String? = nil,
        availability: DeployAvailability? = nil
    ) {
        self.id = id
        self.service = service
        self.verdict = verdict
        self.began = began
        self.ended = ended
        self.person = person
        self.revision = revision
        self.availability = availability
    }

    public init(_ record: DeployRecord) {
        self.init(
            id: record.id, service: record.service, verdict: record.verdict, began: record.began, ended: record.ended, person: record.person,
            revision: record.revision, availability: DeployAvailability(record))
    }
}

/// What the availability probes of a deploy met with together.
public struct DeployAvailability: Equatable, Sendable {
    public var requests: Int
    public var failed: Int
    public var longestStall: Duration

    public init(requests: Int, failed: Int, longestStall: Duration) {
        self.requests = requests
        self.failed = failed
        self.longestStall = longestStall
    }

    init?(_ record: DeployRecord) {
        let probes = ([record.availability] + record.hosts.map(\.availability)).compactMap(\.self)
        guard !probes.isEmpty else { return nil }
        self.init(requests: 0, failed: 0, longestStall: .zero)
        for probe in probes {
            requests = Self.sum(requests, probe.requests)
            failed = Self.sum(failed, probe.failed)
            longestStall = max(longestStall, probe.longestStall)
        }
    }

    /// Numbers from outside may be as large as they like.
    private static func sum(_ a: Int, _ b: Int) -> Int {
        let (sum, isTooLarge) = a.addingReportingOverflow(b)
        return isTooLarge ? .max : sum
    }
}

/// Which deploys.
public enum DeployScope: Equatable, Sendable {
    case all
    /// Of a service, by the aggregator's name for it or the script's.
    case service(String)
    /// That this host was part of.
    case host(String)
}

/// What is read of deploys. They are written by decisions, with what follows from them.
public protocol DeployStoring: Sendable {
    /// Newest first.
    func deploys(_ scope: DeployScope, limit: Int) async throws(StoreError) -> [DeployLine]
    func deploy(_ id: String) async throws(StoreError) -> DeployRecord?
}

/// Which scripts may do what: each has a token of its own, of which only the SHA-256 is kept. No agent's token opens anything here.
public protocol ScriptTokenStoring: Sendable {
    /// False when there is a token of that name.
    func addScriptToken(name: String, digest: String, scope: ScriptScope, at now: Timestamp) async throws(StoreError) -> Bool
    /// The name of the token with that digest, if it has the scope.
    func scriptToken(digest: String, scope: ScriptScope) async throws(StoreError) -> String?
    func scriptTokens() async throws(StoreError) -> [ScriptToken]
    func removeScriptToken(name: String) async throws(StoreError)
}

/// What a script's token is for.
public enum ScriptScope: String, CaseIterable, Sendable {
    /// To file deploys, to read them, and to have agents prepare and judge them.
    case deploys
}

/// A script's token, without the token.
public struct ScriptToken: Equatable, Sendable {
    public var name: String
    public var scope: ScriptScope
    public var createdAt: Timestamp

    public init(name: String, scope: ScriptScope, createdAt: Timestamp) {
        self.name = name
        self.scope = scope
        self.createdAt = createdAt
    }
}
