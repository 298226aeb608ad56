// The write side of the seam of storage: decisions, the outbox, heartbeats, forgetting.

public import Platform

/// Where decisions become permanent.
public protocol DecisionStoring: Sendable {
    /// Reads what `scope` names, asks for the decision, and writes it: one transaction, so that a status and the messages about it
    /// change together or not at all. A status that is no longer the one that the decision started from makes it fail.
    /// Returning means that it is on disk.
    func decide(
        _ scope: Scope, _ decision: @escaping @Sendable (Situation) -> Decision
    ) async throws(StoreError) -> Decision
}

/// Messages on their way out.
public protocol OutboxStoring: Sendable {
    /// Takes back what this aggregator had claimed when it last ended without a word, so that nobody waits for those leases to run out.
    func takeBackClaims() async throws(StoreError)
    /// Claims messages that are due, oldest first, and counts an attempt for each. Messages to one recipient keep their order: with a
    /// due one come the earlier ones that wait for another attempt.
    func claimDue(at now: Timestamp, lease: Duration, limit: Int) async throws(StoreError) -> [ClaimedMessage]
    func markSent(_ id: Int64, at now: Timestamp) async throws(StoreError)
    /// - Parameter retryAt: `nil` when there will be no further attempt.
    func markFailed(_ id: Int64, problem: String, retryAt: Timestamp?, at now: Timestamp) async throws(StoreError)
    /// Gives a claimed message back without an attempt.
    func postpone(_ id: Int64, until due: Timestamp) async throws(StoreError)
    func backlog(at now: Timestamp) async throws(StoreError) -> OutboxBacklog
}

/// Housekeeping.
public protocol StoreKeeping: Sendable {
    /// Writes a sign of life, which shows that writing works.
    func beat(_ name: String, at now: Timestamp) async throws(StoreError)
    /// Forgets a host that is retired, with all its history; false when there is none such.
    func removeRetiredHost(agent: String) async throws(StoreError) -> Bool
    func lastBeat(_ name: String) async throws(StoreError) -> Timestamp?
    /// Forgets a little of what is older than it need be; true when there may be more.
    func prune(samplesBefore: Timestamp, eventsBefore: Timestamp, at now: Timestamp) async throws(StoreError) -> Bool
}

/// Everything that the aggregator asks of a database.
public typealias AggregatorStoring = AccountStoring & AgentTokenStoring & DecisionStoring & DeployStoring & OrderStoring & OutboxStoring
    & ScriptTokenStoring & StoreKeeping & StoreReading
