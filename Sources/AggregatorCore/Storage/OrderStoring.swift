// Orders on their way to agents, and what became of them.

public import AgentAPI
public import Platform

/// An order to an agent, from when it was given to when its result came.
public struct OrderRecord: Equatable, Sendable {
    public var id: String
    public var agent: String
    public var request: AgentRequest
    /// Who gave it.
    public var by: String
    public var createdAt: Timestamp
    /// From then on it is not handed out any more: a restart that was wanted an hour ago is not wanted now.
    public var expiresAt: Timestamp
    /// `nil` while it waits or is being carried out.
    public var result: OrderResult?
    public var finishedAt: Timestamp?

    public init(
        id: String, agent: String, request: AgentRequest, by: String, createdAt: Timestamp, expiresAt: Timestamp, result: OrderResult? = nil,
        finishedAt: Timestamp? = nil
    ) {
        self.id = id
        self.agent = agent
        self.request = request
        self.by = by
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.result = result
        self.finishedAt = finishedAt
    }
}

/// Orders wait here until their agent reports, and are handed out with each answer until the result comes: agents know them by their ids.
public protocol OrderStoring: Sendable {
    func add(_ order: OrderRecord) async throws(StoreError)
    /// Those without a result that have not expired, oldest first.
    func waitingOrders(ofAgent agent: String, at now: Timestamp, limit: Int) async throws(StoreError) -> [OrderRecord]
    /// Keeps results of the agent's own orders; the first result of an order stays.
    func finishOrders(ofAgent agent: String, _ results: [OrderResult], at now: Timestamp) async throws(StoreError)
    /// Newest first.
    func orders(ofAgent agent: String, limit: Int) async throws(StoreError) -> [OrderRecord]
}

extension OrderStoring {
    /// Gives an order to an agent, which carries it out when it next reports, if its own configuration allows that.
    /// - Parameter patience: how long it may wait for that.
    @discardableResult
    public func order(
        _ request: AgentRequest, of agent: String, by: String, at now: Timestamp, patience: Duration = .seconds(600)
    ) async throws(StoreError) -> OrderRecord {
        let order = OrderRecord(
            id: randomHex(bytes: 12), agent: agent, request: request, by: by, createdAt: now, expiresAt: now + patience)
        try await add(order)
        return order
    }
}
