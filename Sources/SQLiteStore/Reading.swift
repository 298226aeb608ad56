// What the pages read.

import AgentAPI
public import AggregatorCore
import GRDB
public import Platform

extension SQLiteStore: StoreReading {
    public func services() async throws(StoreError) -> [ServiceRecord] {
        try await read("reading services") { try serviceRecords($0, where: "true") }
    }

    public func service(_ name: String) async throws(StoreError) -> ServiceRecord? {
        try await read("reading a service") { try serviceRecords($0, where: "name = ?", [name]).first }
    }

    public func units(ofService service: String?) async throws(StoreError) -> [UnitRecord] {
        try await read("reading units") { db in
            guard let service else { return try unitRecords(db, where: "true") }
            return try unitRecords(
                db, where: "EXISTS (SELECT 1 FROM members WHERE service = ? AND members.agent = units.agent AND unit = units.name)", [service])
        }
    }

    public func units(ofAgent agent: String) async throws(StoreError) -> [UnitRecord] {
        try await read("reading units") { try unitRecords($0, where: "units.agent = ?", [agent]) }
    }

    public func checks(ofService service: String?) async throws(StoreError) -> [CheckRecord] {
        try await read("reading checks") { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM checks WHERE ?1 IS NULL OR service = ?1 ORDER BY service, name", arguments: [service]
            ).map { row in
                CheckRecord(
                    name: row["name"], service: row["service"], summary: row["summary"], isFailing: row["is_failing"],
                    lastRun: row.optionalTime("last_run"), lastDuration: (row["last_duration"] as Int64?).map { .microseconds($0) },
                    detail: row["detail"])
            }
        }
    }

    public func hosts() async throws(StoreError) -> [HostRecord] {
        try await read("reading hosts") { try hostRecords($0, where: "true") }
    }

    public func host(agent: String) async throws(StoreError) -> HostRecord? {
        try await read("reading a host") { try hostRecords($0, where: "agent = ?", [agent]).first }
    }

    public func events(ofService service: String?, agent: String?, limit: Int) async throws(StoreError) -> [EventRecord] {
        try await read("reading events") { db in
            let source = service == nil ? "events" : "members JOIN events ON events.agent = members.agent AND events.unit = members.unit"
            return try Row.fetchAll(
                db,
                sql: """
                    SELECT events.* FROM \(source) WHERE \(service == nil ? "?1 IS NULL" : "members.service = ?1") AND (?2 IS NULL OR events.agent = ?2)
                    ORDER BY events.id DESC LIMIT ?3
                    """, arguments: [service, agent, max(0, limit)]
            ).map { row in
                guard let json = try? JSON(parsing: row["body"] as String), let event = try? Event(json) else { throw damaged("an event") }
                return EventRecord(agent: row["agent"], host: row["host"], receivedAt: row.time("received_at"), event: event)
            }
        }
    }

    public func notifications(ofService service: String?, limit: Int) async throws(StoreError) -> [NotificationRecord] {
        try await read("reading notifications") { db in
            let installation = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'installation'") ?? ""
            return try Row.fetchAll(
                db, sql: "SELECT * FROM outbox WHERE ?1 IS NULL OR service = ?1 ORDER BY id DESC LIMIT ?2", arguments: [service, max(0, limit)]
            ).map { row in
                guard let state = NotificationRecord.State(rawValue: row["state"]) else { throw damaged("a notification") }
                return NotificationRecord(
                    service: row["service"], notifier: row["notifier"], message: message(row, installation: installation), state: state,
                    attempts: row["attempts"], problem: row["problem"], sentAt: row.optionalTime("sent_at"))
            }
        }
    }

    public func series(
        agent: String, unit: String?, metric: String, after start: Timestamp, limit: Int
    ) async throws(StoreError) -> Series {
        try await read("reading samples") { db in
            var series = Series(agent: agent, unit: unit, metric: metric, points: [])
            let id = try Int64.fetchOne(
                db, sql: "SELECT id FROM series WHERE agent = ? AND unit = ? AND metric = ?", arguments: [agent, unit ?? "", metric])
            guard let id, limit > 0 else { return series }
            let range = try Row.fetchOne(
                db, sql: "SELECT count(*) AS count, min(at) AS first, max(at) AS last FROM samples WHERE series = ? AND slot >= ? AND at > ?",
                arguments: [id, slot(start.microseconds), start.microseconds])
            guard let range, let first: Int64 = range["first"], let last: Int64 = range["last"] else { return series }
            // As many points as there are, or stretches of equal length that hold them all.
            let stretch = (range["count"] as Int) <= limit ? 1 : (last - first) / Int64(limit) + 1
            series.points = try Row.fetchAll(
                db,
                sql: """
                    SELECT CAST(avg(at) AS INTEGER) AS at, avg(value) AS value FROM samples WHERE series = ?1 AND slot >= ?2 AND at > ?3
                    GROUP BY (at - ?4) / ?5 ORDER BY 1
                    """, arguments: [id, slot(start.microseconds), start.microseconds, first, stretch]
            ).map { .init(at: $0.time("at"), value: $0["value"]) }
            return series
        }
    }
}

private func serviceRecords(_ db: Database, where condition: String, _ arguments: [String] = []) throws -> [ServiceRecord] {
    var problems: [String: [Problem]] = [:]
    for row in try Row.fetchAll(
        db,
        sql: """
            SELECT * FROM problems WHERE service IN (SELECT name FROM services WHERE \(condition))
            ORDER BY CASE importance WHEN 'critical' THEN 0 WHEN 'error' THEN 1 ELSE 2 END, since, agent, subject_key, item
            """, arguments: StatementArguments(arguments))
    { problems[row["service"], default: []].append(try problem(row)) }
    return try Row.fetchAll(
        db, sql: "SELECT * FROM services WHERE \(condition) ORDER BY name", arguments: StatementArguments(arguments)
    ).map { row in
        guard let status = Status(rawValue: row["status"]) else { throw damaged("a status") }
        return ServiceRecord(name: row["name"], status: status, since: row.time("since"), problems: problems[row["name"]] ?? [])
    }
}

private func unitRecords(_ db: Database, where condition: String, _ arguments: [String] = []) throws -> [UnitRecord] {
    try Row.fetchAll(
        db,
        sql: """
            SELECT units.*, hosts.name AS host FROM units JOIN hosts ON hosts.agent = units.agent WHERE \(condition)
            ORDER BY hosts.name, units.agent, units.name
            """, arguments: StatementArguments(arguments)
    ).map { row in
        guard let json = try? JSON(parsing: row["state"] as String), let state = try? UnitState(json) else { throw damaged("a unit") }
        return UnitRecord(agent: row["agent"], host: row["host"], state: state)
    }
}

private func hostRecords(_ db: Database, where condition: String, _ arguments: [String] = []) throws -> [HostRecord] {
    try Row.fetchAll(
        db, sql: "SELECT * FROM hosts WHERE \(condition) ORDER BY name, agent", arguments: StatementArguments(arguments)
    ).map { row in
        guard let samples = try? JSON(parsing: row["samples"] as String).members else { throw damaged("a sample") }
        guard let silences = try? JSON(parsing: row["silences"] as String).array?.map({ try Silence($0) }) else { throw damaged("a silence") }
        guard let jobs = try? JSON(parsing: row["jobs"] as String).array?.map({ try JobState($0) }) else { throw damaged("a job") }
        return HostRecord(
            agent: row["agent"], name: row["name"], version: row["version"], lastReport: row.time("last_report"),
            interval: .microseconds(row["interval"] as Int64), isSilent: row["is_silent"],
            lastSequence: UInt64(max(0, row["last_sequence"] as Int64)),
            samples: samples.compactMap { member in member.value.number.map { Sample(member.name, $0) } }, replacedBy: row["replaced_by"],
            silences: silences,
            jobs: jobs)
    }
}
