// The outbox: messages from the decision until a provider has taken them.

public import AggregatorCore
import GRDB
import Messages
public import Platform

/// Which notifier takes the messages; there is one.
private let notifier = "mail"

func put(_ message: OutgoingMessage, _ db: Database) throws {
    if let gather = message.gather {
        // Only while nobody delivers it: what is on its way cannot be changed, and what comes after it is a message of its own.
        let statement = try db.cachedStatement(
            sql: """
                UPDATE outbox SET subject = ?, body = ?, due_at = ?
                WHERE gather = ? AND recipient = ? AND state = 'pending' AND attempts = 0 AND leased_until IS NULL
                """)
        try statement.execute(arguments: [message.subject, message.body, message.dueAt.microseconds, gather, message.recipient])
        if db.changesCount > 0 { return }
    }
    let statement = try db.cachedStatement(
        sql: "INSERT INTO outbox (service, notifier, recipient, subject, body, created_at, due_at, gather) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    try statement.execute(arguments: [
        message.service, notifier, message.recipient, message.subject, message.body, message.createdAt.microseconds, message.dueAt.microseconds,
        message.gather,
    ])
}

extension SQLiteStore: OutboxStoring {
    /// The database is one aggregator's own: whatever is claimed when it starts was claimed in an earlier life.
    public func takeBackClaims() async throws(StoreError) {
        try await write("taking back messages") { db in
            try db.execute(sql: "UPDATE outbox SET leased_until = NULL WHERE state = 'pending' AND leased_until IS NOT NULL")
        }
    }

    public func claimDue(at now: Timestamp, lease: Duration, limit: Int) async throws(StoreError) -> [ClaimedMessage] {
        try await write("claiming messages") { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM outbox AS message WHERE state = 'pending' AND (leased_until IS NULL OR leased_until <= :now)
                        AND (due_at <= :now OR attempts > 0 AND EXISTS (
                            SELECT 1 FROM outbox AS later WHERE later.state = 'pending' AND later.recipient = message.recipient
                                AND later.id > message.id AND later.due_at <= :now))
                        AND NOT EXISTS (
                            SELECT 1 FROM outbox AS earlier WHERE earlier.state = 'pending' AND earlier.recipient = message.recipient
                                AND earlier.id < message.id AND earlier.leased_until > :now)
                    ORDER BY id LIMIT :limit
                    """, arguments: ["now": now.microseconds, "limit": limit])
            let installation = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'installation'") ?? ""
            let claim = try db.cachedStatement(sql: "UPDATE outbox SET leased_until = ?, attempts = attempts + 1 WHERE id = ?")
            return try rows.map { row in
                try claim.execute(arguments: [(now + lease).microseconds, row["id"] as Int64])
                return ClaimedMessage(
                    id: row["id"], service: row["service"], notifier: row["notifier"], message: message(row, installation: installation),
                    attempts: row["attempts"] + 1)
            }
        }
    }

    public func markSent(_ id: Int64, at now: Timestamp) async throws(StoreError) {
        try await write("noting that a message was sent") { db in
            try db.execute(
                sql: "UPDATE outbox SET state = 'sent', sent_at = ?, leased_until = NULL, problem = NULL WHERE id = ?",
                arguments: [now.microseconds, id])
        }
    }

    public func markFailed(_ id: Int64, problem: String, retryAt: Timestamp?, at now: Timestamp) async throws(StoreError) {
        try await write("noting that a message was not sent") { db in
            try db.execute(
                sql: "UPDATE outbox SET state = ?, problem = ?, due_at = coalesce(?, due_at), failed_at = ?, leased_until = NULL WHERE id = ?",
                arguments: [retryAt == nil ? "failed" : "pending", problem, retryAt?.microseconds, now.microseconds, id])
        }
    }

    public func postpone(_ id: Int64, until due: Timestamp) async throws(StoreError) {
        try await write("giving a message back") { db in
            try db.execute(
                sql: "UPDATE outbox SET attempts = max(0, attempts - 1), due_at = ?, leased_until = NULL WHERE id = ? AND state = 'pending'",
                arguments: [due.microseconds, id])
        }
    }

    public func backlog(at now: Timestamp) async throws(StoreError) -> OutboxBacklog {
        try await read("looking at the outbox") { db in
            let pending = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) FILTER (WHERE due_at <= ? OR gather IS NULL) AS waiting,
                        min(created_at) FILTER (WHERE problem IS NOT NULL) AS failing
                    FROM outbox WHERE state = 'pending'
                    """, arguments: [now.microseconds])
            let refused = try Int.fetchOne(
                db,
                sql: """
                    SELECT count(*) FROM outbox AS message WHERE state = 'failed' AND failed_at > ? AND NOT EXISTS (
                        SELECT 1 FROM outbox AS later
                        WHERE later.recipient = message.recipient AND later.state = 'sent' AND later.sent_at > message.failed_at)
                    """, arguments: [(now - .seconds(86400)).microseconds])
            return OutboxBacklog(waiting: pending?["waiting"] ?? 0, oldestFailing: pending?.optionalTime("failing"), refused: refused ?? 0)
        }
    }
}

func message(_ row: Row, installation: String) -> Message {
    Message(
        id: "\(installation)-\(row["id"] as Int64)", recipient: row["recipient"], subject: row["subject"], body: row["body"],
        createdAt: row.time("created_at"))
}
