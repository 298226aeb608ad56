// Orders to agents.

public import AgentAPI
public import AggregatorCore
import GRDB
public import Platform

extension SQLiteStore: OrderStoring {
    public func add(_ order: OrderRecord) async throws(StoreError) {
        try await write("adding an order") { db in
            try db.execute(
                sql: "INSERT INTO orders (id, agent, request, given_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    order.id, order.agent, order.request.json.text, order.by, order.createdAt.microseconds, order.expiresAt.microseconds,
                ])
        }
    }

    public func waitingOrders(ofAgent agent: String, at now: Timestamp, limit: Int) async throws(StoreError) -> [OrderRecord] {
        try await read("reading orders") { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM orders WHERE agent = ? AND finished_at IS NULL AND expires_at > ? ORDER BY created_at, id LIMIT ?
                    """, arguments: [agent, now.microseconds, max(0, limit)]
            ).map(orderRecord)
        }
    }

    public func finishOrders(ofAgent agent: String, _ results: [OrderResult], at now: Timestamp) async throws(StoreError) {
        try await write("writing what became of orders") { db in
            for result in results {
                try db.execute(
                    sql: "UPDATE orders SET is_good = ?, answer = ?, finished_at = ? WHERE id = ? AND agent = ? AND finished_at IS NULL",
                    arguments: [result.isGood, result.text, now.microseconds, result.id, agent])
            }
        }
    }

    public func orders(ofAgent agent: String, limit: Int) async throws(StoreError) -> [OrderRecord] {
        try await read("reading orders") { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM orders WHERE agent = ? ORDER BY created_at DESC, id LIMIT ?", arguments: [agent, max(0, limit)]
            ).map(orderRecord)
        }
    }
}

private func orderRecord(_ row: Row) throws -> OrderRecord {
    guard let json = try? JSON(parsing: row["request"] as String), let request = try? AgentRequest(json) else { throw damaged("an order") }
    let finishedAt = row.optionalTime("finished_at")
    let result = finishedAt.map { _ in OrderResult(id: row["id"], isGood: row["is_good"] ?? false, text: row["answer"] ?? "") }
    return OrderRecord(
        id: row["id"], agent: row["agent"], request: request, by: row["given_by"], createdAt: row.time("created_at"),
        expiresAt: row.time("expires_at"), result: result, finishedAt: finishedAt)
}
