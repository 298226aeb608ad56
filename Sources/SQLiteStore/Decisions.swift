// Decisions: reads the situation, asks, and writes the difference, in one transaction.

import AgentAPI
public import AggregatorCore
import GRDB
import Platform

extension SQLiteStore: DecisionStoring {
    public func decide(
        _ scope: Scope, _ decision: @escaping @Sendable (Situation) -> Decision
    ) async throws(StoreError) -> Decision {
        try await write("writing a decision") { db in
            let before = try situation(scope, db)
            let decision = decision(before)
            try record(decision, since: before, db)
            return decision
        }
    }
}

// MARK: Reading a situation

private func situation(_ scope: Scope, _ db: Database) throws -> Situation {
    var situation = Situation()
    switch scope {
    case .agent(let agent, let services):
        situation.host = try hostState(agent, db)
        situation.members = try members(agent, db)
        situation.restarts = try restarts(agent, db)
        situation.services = try serviceStates(services.union(situation.members.values.joined()), db)
    case .check(let key):
        situation.services = try serviceStates([key.service], db)
        situation.checks = try checks(db, where: "service = ? AND name = ?", [key.service, key.name])
    case .configuration(let names):
        let configured = try String.fetchSet(db, sql: "SELECT name FROM services WHERE is_configured")
        situation.checks = try checks(db, where: "true", [])
        situation.services = try serviceStates(names.union(configured).union(situation.checks.keys.map(\.service)), db)
    case .deploy(let id, let service, let services):
        situation.knownDeploy = try deployText(id, db)
        situation.newestDeploy = try newestDeploy(of: service, db)
        situation.services = try serviceStates(services, db)
    }
    return situation
}

func hostState(_ agent: String, _ db: Database) throws -> HostState? {
    let statement = try db.cachedStatement(sql: "SELECT * FROM hosts WHERE agent = ?")
    return try Row.fetchOne(statement, arguments: [agent]).map { row in
        HostState(
            agent: agent, name: row["name"], version: row["version"], reportedAt: row.time("reported_at"), lastReport: row.time("last_report"),
            interval: .microseconds(row["interval"] as Int64), isSilent: row["is_silent"],
            lastSequence: UInt64(max(0, row["last_sequence"] as Int64)), snapshot: UInt64(max(0, row["snapshot"] as Int64)),
            replacedBy: row["replaced_by"])
    }
}

private func members(_ agent: String, _ db: Database) throws -> [String: Set<String>] {
    var members: [String: Set<String>] = [:]
    let statement = try db.cachedStatement(sql: "SELECT unit, service FROM members WHERE agent = ?")
    let rows = try Row.fetchCursor(statement, arguments: [agent])
    while let row = try rows.next() { members[row["unit"], default: []].insert(row["service"]) }
    return members
}

private func restarts(_ agent: String, _ db: Database) throws -> [String: RestartSeries] {
    var restarts: [String: RestartSeries] = [:]
    let statement = try db.cachedStatement(sql: "SELECT * FROM restarts WHERE agent = ?")
    let rows = try Row.fetchCursor(statement, arguments: [agent])
    while let row = try rows.next() {
        restarts[row["unit"]] = RestartSeries(
            lastTold: row.time("last_told"), isGathering: row["is_gathering"], firstAt: row.time("first_at"), count: row["count"],
            lines: try texts(row["lines"]))
    }
    return restarts
}

private func checks(_ db: Database, where condition: String, _ arguments: [String]) throws -> [CheckKey: CheckState] {
    var checks: [CheckKey: CheckState] = [:]
    let statement = try db.cachedStatement(sql: "SELECT * FROM checks WHERE \(condition)")
    let rows = try Row.fetchCursor(statement, arguments: StatementArguments(arguments))
    while let row = try rows.next() {
        let key = CheckKey(service: row["service"], name: row["name"])
        checks[key] = CheckState(
            key: key, summary: row["summary"], failures: row["failures"], isFailing: row["is_failing"], lastRun: row.optionalTime("last_run"),
            lastDuration: (row["last_duration"] as Int64?).map { .microseconds($0) }, detail: row["detail"])
    }
    return checks
}

/// Services by name, with their problems.
private func serviceStates(_ names: Set<String>, _ db: Database) throws -> [String: ServiceState] {
    var services: [String: ServiceState] = [:]
    let list = joined(Array(names))
    let rows = try Row.fetchCursor(
        try db.cachedStatement(sql: "SELECT * FROM services WHERE name IN (SELECT value FROM json_each(?))"), arguments: [list])
    while let row = try rows.next() {
        guard let status = Status(rawValue: row["status"]) else { throw damaged("a status") }
        let name: String = row["name"]
        services[name] = ServiceState(
            name: name, status: status, since: row.time("since"), incidentSince: row.optionalTime("incident_since"), told: try texts(row["told"]),
            isConfigured: row["is_configured"])
    }
    let problems = try Row.fetchCursor(
        try db.cachedStatement(sql: "SELECT * FROM problems WHERE service IN (SELECT value FROM json_each(?))"), arguments: [list])
    while let row = try problems.next() {
        guard let item = ProblemKey.Item(row["item"]) else { throw damaged("a problem") }
        let key = ProblemKey(agent: row["agent"], subject: row["subject_key"], item: item)
        services[row["service"]]?.problems[key] = ServiceProblem(try problem(row), routes: routes(fromColumn: row["route"]), isTold: row["is_told"])
    }
    return services
}

func problem(_ row: Row) throws -> Problem {
    guard let importance = Importance(rawValue: row["importance"]) else { throw damaged("an importance") }
    return Problem(subject: row["subject"], text: row["text"], importance: importance, since: row.time("since"))
}

// MARK: Writing the difference

private func record(_ decision: Decision, since before: Situation, _ db: Database) throws {
    let after = decision.situation
    if let host = after.host, host != before.host { try write(host, db) }
    for (name, service) in after.services.sorted(by: { $0.key < $1.key }) where service != before.services[name] {
        try write(service, since: before.services[name], db)
    }
    if let agent = after.host?.agent ?? before.host?.agent {
        for unit in Set(before.members.keys).union(after.members.keys) where before.members[unit] != after.members[unit] {
            try write(members: after.members[unit] ?? [], of: unit, agent: agent, db)
        }
        for unit in Set(before.restarts.keys).union(after.restarts.keys) where before.restarts[unit] != after.restarts[unit] {
            try write(after.restarts[unit], unit: unit, agent: agent, db)
        }
    }
    for key in Set(before.checks.keys).union(after.checks.keys) where before.checks[key] != after.checks[key] {
        try write(after.checks[key], key: key, db)
    }
    // A service that nobody configured lives as long as something belongs to it, or what was deployed last there is not known to run.
    let inUse = Set(after.members.values.joined())
    for service in after.services.values
    where !service.isConfigured && !inUse.contains(service.name) && !service.problems.keys.contains(where: { $0.item == .deploy }) {
        let statement = try db.cachedStatement(
            sql: "DELETE FROM services WHERE name = ? AND NOT is_configured AND NOT EXISTS (SELECT 1 FROM members WHERE service = name)")
        try statement.execute(arguments: [service.name])
    }
    if let host = after.host {
        try append(decision.events, of: host, db)
        if decision.isStateForgotten { try forgetPresentState(of: host.agent, db) }
        if let report = decision.snapshot { try writePresentState(report, db) }
        if let report = decision.samples { try appendSamples(of: report, notAfter: host.lastReport, db) }
    }
    if let deploy = decision.deploy { try keep(deploy, db) }
    for message in decision.outbox { try put(message, db) }
}

private func write(_ host: HostState, _ db: Database) throws {
    let statement = try db.cachedStatement(
        sql: """
            INSERT INTO hosts (agent, name, version, reported_at, last_report, interval, is_silent, last_sequence, snapshot, replaced_by)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (agent) DO UPDATE SET name = excluded.name, version = excluded.version, reported_at = excluded.reported_at,
                last_report = excluded.last_report, interval = excluded.interval, is_silent = excluded.is_silent,
                last_sequence = excluded.last_sequence, snapshot = excluded.snapshot, replaced_by = excluded.replaced_by
            """)
    try statement.execute(arguments: [
        host.agent, host.name, host.version, host.reportedAt.microseconds, host.lastReport.microseconds, host.interval.microseconds, host.isSilent,
        Int64(clamping: host.lastSequence), Int64(clamping: host.snapshot), host.replacedBy,
    ])
}

private func write(_ service: ServiceState, since before: ServiceState?, _ db: Database) throws {
    if let before {
        let statement = try db.cachedStatement(
            sql: "UPDATE services SET status = ?, since = ?, incident_since = ?, told = ?, is_configured = ? WHERE name = ? AND status = ?")
        try statement.execute(arguments: [
            service.status.rawValue, service.since.microseconds, service.incidentSince?.microseconds, joined(service.told), service.isConfigured,
            service.name, before.status.rawValue,
        ])
        // Somebody else decided meanwhile; what was decided here started from something that is no longer true.
        guard db.changesCount == 1 else { throw StoreError(doing: "writing a status", detail: "\(service.name) was changed by another writer") }
    } else {
        let statement = try db.cachedStatement(
            sql: "INSERT INTO services (name, status, since, incident_since, told, is_configured) VALUES (?, ?, ?, ?, ?, ?)")
        try statement.execute(arguments: [
            service.name, service.status.rawValue, service.since.microseconds, service.incidentSince?.microseconds, joined(service.told),
            service.isConfigured,
        ])
    }
    for key in (before?.problems ?? [:]).keys where service.problems[key] == nil {
        let statement = try db.cachedStatement(sql: "DELETE FROM problems WHERE service = ? AND agent = ? AND subject_key = ? AND item = ?")
        try statement.execute(arguments: [service.name, key.agent, key.subject, key.item.text])
    }
    for (key, problem) in service.problems where before?.problems[key] != problem {
        let statement = try db.cachedStatement(sql: "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        try statement.execute(arguments: [
            service.name, key.agent, key.subject, key.item.text, problem.problem.subject, problem.problem.text, problem.problem.importance.rawValue,
            problem.problem.since.microseconds, routesColumn(problem.routes), problem.isTold,
        ])
    }
}

private func write(members services: Set<String>, of unit: String, agent: String, _ db: Database) throws {
    try db.cachedStatement(sql: "DELETE FROM members WHERE agent = ? AND unit = ?").execute(arguments: [agent, unit])
    let statement = try db.cachedStatement(sql: "INSERT INTO members (agent, unit, service) VALUES (?, ?, ?)")
    for service in services { try statement.execute(arguments: [agent, unit, service]) }
}

private func write(_ series: RestartSeries?, unit: String, agent: String, _ db: Database) throws {
    guard let series else {
        return try db.cachedStatement(sql: "DELETE FROM restarts WHERE agent = ? AND unit = ?").execute(arguments: [agent, unit])
    }
    try db.cachedStatement(sql: "INSERT OR REPLACE INTO restarts VALUES (?, ?, ?, ?, ?, ?, ?)").execute(arguments: [
        agent, unit, series.lastTold.microseconds, series.isGathering, series.firstAt.microseconds, series.count, joined(series.lines),
    ])
}

private func write(_ check: CheckState?, key: CheckKey, _ db: Database) throws {
    guard let check else {
        return try db.cachedStatement(sql: "DELETE FROM checks WHERE service = ? AND name = ?").execute(arguments: [key.service, key.name])
    }
    try db.cachedStatement(sql: "INSERT OR REPLACE INTO checks VALUES (?, ?, ?, ?, ?, ?, ?, ?)").execute(arguments: [
        key.service, key.name, check.summary, check.failures, check.isFailing, check.lastRun?.microseconds, check.lastDuration?.microseconds,
        check.detail,
    ])
}

// MARK: History and present state

private func append(_ events: [Event], of host: HostState, _ db: Database) throws {
    // Each number once, whatever a decision says.
    let statement = try db.cachedStatement(
        sql: "INSERT OR IGNORE INTO events (agent, sequence, unit, host, received_at, body) VALUES (?, ?, ?, ?, ?, ?)")
    for event in events {
        try statement.execute(arguments: [
            host.agent, Int64(clamping: event.sequence), event.unit ?? "", host.name, host.lastReport.microseconds, event.json.text,
        ])
    }
}

/// Writes a whole state, or what has changed of the one that is there.
private func writePresentState(_ report: Report, _ db: Database) throws {
    var samples = report.samples
    if report.base == nil {
        try db.cachedStatement(sql: "DELETE FROM units WHERE agent = ? AND name NOT IN (SELECT value FROM json_each(?))").execute(arguments: [
            report.agent, joined(report.units.map(\.name)),
        ])
    } else {
        try db.cachedStatement(sql: "DELETE FROM units WHERE agent = ? AND name IN (SELECT value FROM json_each(?))").execute(arguments: [
            report.agent, joined(report.gone),
        ])
        samples = try hostSamples(report.agent, db)
        samples.change(by: report.samples, gone: report.goneSamples[""] ?? [])
    }
    try db.cachedStatement(sql: "UPDATE hosts SET samples = ? WHERE agent = ?").execute(arguments: [
        JSON.object(samples.map { .init($0.metric, .number($0.value)) }).text, report.agent,
    ])
    // What a difference does not say is as it was.
    if let silences = report.silences {
        try db.cachedStatement(sql: "UPDATE hosts SET silences = ? WHERE agent = ?").execute(arguments: [
            JSON.array(silences.map(\.json)).text, report.agent,
        ])
    }
    if let jobs = report.jobs {
        try db.cachedStatement(sql: "UPDATE hosts SET jobs = ? WHERE agent = ?").execute(arguments: [
            JSON.array(jobs.map(\.json)).text, report.agent,
        ])
    }
    let reading = try db.cachedStatement(sql: "SELECT state FROM units WHERE agent = ? AND name = ?")
    let writing = try db.cachedStatement(sql: "INSERT OR REPLACE INTO units (agent, name, state) VALUES (?, ?, ?)")
    for unit in report.units {
        var state = unit
        if report.base != nil, let row = try Row.fetchOne(reading, arguments: [report.agent, unit.name]) {
            guard let json = try? JSON(parsing: row["state"] as String), var before = try? UnitState(json) else { throw damaged("a unit") }
            before.change(to: unit, gone: report.goneSamples[unit.name] ?? [])
            state = before
        }
        try writing.execute(arguments: [report.agent, unit.name, state.json.text])
    }
}

private func forgetPresentState(of agent: String, _ db: Database) throws {
    try db.cachedStatement(sql: "DELETE FROM units WHERE agent = ?").execute(arguments: [agent])
    try db.cachedStatement(sql: "UPDATE hosts SET samples = '{}', silences = '[]', jobs = '[]' WHERE agent = ?").execute(arguments: [agent])
}

private func hostSamples(_ agent: String, _ db: Database) throws -> [Sample] {
    let text = try String.fetchOne(try db.cachedStatement(sql: "SELECT samples FROM hosts WHERE agent = ?"), arguments: [agent]) ?? "{}"
    guard let members = try? JSON(parsing: text).members else { throw damaged("a sample") }
    return members.compactMap { member in member.value.number.map { Sample(member.name, $0) } }
}

/// One point per metric and slot of time; of several in one slot the first stays.
private func appendSamples(of report: Report, notAfter now: Timestamp, _ db: Database) throws {
    var series: [String: [String: Int64]] = [:]
    let rows = try Row.fetchCursor(
        try db.cachedStatement(sql: "SELECT id, unit, metric FROM series WHERE agent = ?"), arguments: [report.agent])
    while let row = try rows.next() { series[row["unit"], default: [:]][row["metric"]] = row["id"] }
    let newSeries = try db.cachedStatement(sql: "INSERT INTO series (agent, unit, metric) VALUES (?, ?, ?)")
    let insert = try db.cachedStatement(sql: "INSERT OR IGNORE INTO samples (series, slot, at, value) VALUES (?, ?, ?, ?)")
    // A value that is left out of reports was what it was until just now: without a point that says so, a picture of it would climb slowly
    // from the last point to this one.
    let hold = try db.cachedStatement(
        sql: """
            INSERT OR IGNORE INTO samples (series, slot, at, value)
            SELECT series, ?2, ?3, value FROM (SELECT series, slot, value FROM samples WHERE series = ?1 AND slot <= ?4 ORDER BY slot DESC LIMIT 1)
            WHERE slot < ?2
            """)
    let at = min(report.at, now).microseconds  // an agent's clock may be ahead of ours
    let before = at - report.interval.microseconds
    for (unit, samples) in [("", report.samples)] + report.units.map({ ($0.name, $0.samples) }) {
        for sample in samples {
            var id = series[unit]?[sample.metric]
            if id == nil {
                try newSeries.execute(arguments: [report.agent, unit, sample.metric])
                id = db.lastInsertedRowID
                series[unit, default: [:]][sample.metric] = id
            } else if report.base != nil {
                try hold.execute(arguments: [id, slot(before), before, slot(at)])
            }
            try insert.execute(arguments: [id, slot(at), at, sample.value])
        }
    }
}

/// Ten seconds each.
func slot(_ microseconds: Int64) -> Int64 { microseconds / 10_000_000 }

/// A JSON array, in which null is the default route; no text at all for the default one alone.
private func routesColumn(_ routes: [String?]) -> String? { routes == [nil] ? nil : JSON.array(routes.map { JSON($0) }).text }

private func routes(fromColumn text: String?) -> [String?] {
    guard let text, let routes = try? JSON(parsing: Array(text.utf8)).array else { return [nil] }
    return routes.map(\.string)
}
