// The seam of storage: what the aggregator asks of a database.

public import Platform

/// A database that failed: what was being done, and its words.
public struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    public var doing: String
    public var detail: String

    public init(doing: String, detail: String) {
        self.doing = doing
        self.detail = detail
    }

    public var description: String { "\(doing): \(detail)" }
}

/// What the pages read. Answers are consistent in themselves: one transaction each.
public protocol StoreReading: Sendable {
    func services() async throws(StoreError) -> [ServiceRecord]
    func service(_ name: String) async throws(StoreError) -> ServiceRecord?
    /// Of one service, or all.
    func units(ofService service: String?) async throws(StoreError) -> [UnitRecord]
    func units(ofAgent agent: String) async throws(StoreError) -> [UnitRecord]
    func checks(ofService service: String?) async throws(StoreError) -> [CheckRecord]
    func hosts() async throws(StoreError) -> [HostRecord]
    func host(agent: String) async throws(StoreError) -> HostRecord?
    /// Newest first. `nil` for the service or the agent means any.
    func events(ofService service: String?, agent: String?, limit: Int) async throws(StoreError) -> [EventRecord]
    /// Newest first.
    func notifications(ofService service: String?, limit: Int) async throws(StoreError) -> [NotificationRecord]
    /// Points after `start`, thinned to at most `limit`: each the mean of its stretch of time.
    func series(agent: String, unit: String?, metric: String, after start: Timestamp, limit: Int) async throws(StoreError) -> Series
}

/// Who may log in, and who has.
public protocol AccountStoring: Sendable {
    func hasUsers() async throws(StoreError) -> Bool
    /// False when a user of that name exists.
    func addUser(_ user: UserRecord) async throws(StoreError) -> Bool
    /// Adds the user only while there is none at all; false when somebody was first.
    func addFirstUser(_ user: UserRecord) async throws(StoreError) -> Bool
    func user(_ name: String) async throws(StoreError) -> UserRecord?
    func addSession(_ session: SessionRecord) async throws(StoreError)
    /// `nil` when there is none or it has expired.
    func session(digest: String, at now: Timestamp) async throws(StoreError) -> SessionRecord?
    func removeSession(digest: String) async throws(StoreError)
}

/// Which agents may report: each has a token of its own, of which only the SHA-256 is kept.
public protocol AgentTokenStoring: Sendable {
    /// Replaces the token of that name, if there is one.
    func addAgentToken(name: String, digest: String, at now: Timestamp) async throws(StoreError)
    /// The name of the token with that digest.
    func agentToken(digest: String) async throws(StoreError) -> String?
    /// The agent that the token with that digest belongs to; `nil` when there is no such token, or no agent has reported with it yet.
    func agent(ofToken digest: String) async throws(StoreError) -> String?
    /// Decides whether an agent may report with a token: `decide` gets the host of the agent that the token belongs to, `nil` when that
    /// is none or unknown. What was nobody's is the agent's own from then on, in the same transaction.
    func useAgentToken(
        name: String, agent: String, _ decide: @escaping @Sendable (_ holder: HostState?) -> TokenUse
    ) async throws(StoreError) -> TokenUse
    /// Gives a token to another agent, unless it has changed hands meanwhile.
    func moveAgentToken(name: String, from old: String, to agent: String) async throws(StoreError)
    /// Names and when they were made.
    func agentTokens() async throws(StoreError) -> [(name: String, createdAt: Timestamp)]
    func removeAgentToken(name: String) async throws(StoreError)
}
