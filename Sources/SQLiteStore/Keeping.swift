// Housekeeping: signs of life, and forgetting in small pieces so that no reader and no report waits for it.

public import AggregatorCore
import GRDB
public import Platform

extension SQLiteStore: StoreKeeping {
    /// How many rows one transaction forgets at most, of each kind.
    static let batch = 2000
    static let deploysAreKept = Duration.seconds(365 * 86_400)

    public func beat(_ name: String, at now: Timestamp) async throws(StoreError) {
        try await write("writing a sign of life") { db in
            try db.execute(sql: "INSERT OR REPLACE INTO heartbeats VALUES (?, ?)", arguments: [name, now.microseconds])
        }
    }

    public func removeRetiredHost(agent: String) async throws(StoreError) -> Bool {
        try await write("forgetting a host") { db in
            try db.execute(sql: "DELETE FROM hosts WHERE agent = ? AND replaced_by IS NOT NULL", arguments: [agent])
            guard db.changesCount == 1 else { return false }
            for table in ["units", "members", "restarts", "events", "orders"] {
                try db.execute(sql: "DELETE FROM \(table) WHERE agent = ?", arguments: [agent])
            }
            try db.execute(sql: "DELETE FROM samples WHERE series IN (SELECT id FROM series WHERE agent = ?)", arguments: [agent])
            try db.execute(sql: "DELETE FROM series WHERE agent = ?", arguments: [agent])
            return true
        }
    }

    public func lastBeat(_ name: String) async throws(StoreError) -> Timestamp? {
        try await read("reading a sign of life") { db in
            try Int64.fetchOne(db, sql: "SELECT at FROM heartbeats WHERE name = ?", arguments: [name]).map { Timestamp(microseconds: $0) }
        }
    }

    public func prune(samplesBefore: Timestamp, eventsBefore: Timestamp, at now: Timestamp) async throws(StoreError) -> Bool {
        try await write("forgetting old history") { db in
            var isMore = false
            func forget(_ sql: String, _ arguments: StatementArguments) throws {
                try db.execute(sql: sql, arguments: arguments)
                if db.changesCount >= Self.batch { isMore = true }
            }
            try forget(
                """
                DELETE FROM events WHERE id IN (SELECT id FROM events WHERE received_at < ? ORDER BY received_at LIMIT \(Self.batch))
                """, [eventsBefore.microseconds])
            try forget(
                """
                DELETE FROM outbox WHERE id IN (
                    SELECT id FROM outbox WHERE created_at < ? AND state <> 'pending' ORDER BY created_at LIMIT \(Self.batch))
                """, [eventsBefore.microseconds])
            try forget(
                "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE created_at < ? ORDER BY created_at LIMIT \(Self.batch))",
                [eventsBefore.microseconds])
            try forget(
                "DELETE FROM deploys WHERE id IN (SELECT id FROM deploys WHERE at < ? ORDER BY at LIMIT \(Self.batch))",
                [(now - Self.deploysAreKept).microseconds])
            try forget("DELETE FROM sessions WHERE expires_at <= ?", [now.microseconds])
            // By series, which is how samples lie in the file.
            var left = Self.batch
            for id in try Int64.fetchAll(db, sql: "SELECT id FROM series") where left > 0 {
                try db.cachedStatement(
                    sql: """
                        DELETE FROM samples WHERE series = ?1 AND slot IN (
                            SELECT slot FROM samples WHERE series = ?1 AND slot < ?2 ORDER BY slot LIMIT ?3)
                        """
                ).execute(arguments: [id, slot(samplesBefore.microseconds), left])
                left -= db.changesCount
                try db.cachedStatement(sql: "DELETE FROM series WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM samples WHERE series = ?1)")
                    .execute(arguments: [id])
            }
            return isMore || left == 0
        }
    }
}
