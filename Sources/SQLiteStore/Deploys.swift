// Deploys as they were told, and the tokens of scripts.

public import AgentAPI
public import AggregatorCore
import GRDB
public import Platform

/// The most that is kept: beyond it the oldest go.
private let mostDeploys = 10_000
private let mostBytesOfDeploys = 1 << 30

extension SQLiteStore: DeployStoring {
    public func deploys(_ scope: DeployScope, limit: Int) async throws(StoreError) -> [DeployLine] {
        try await read("reading deploys") { db in
            let (source, condition, order, name): (String, String, String, String?) =
                switch scope {
                case .all: ("deploys", "?1 IS NULL", "deploys", nil)
                case .service(let name): ("deploy_services JOIN deploys USING (id)", "deploy_services.service = ?1", "deploy_services", name)
                case .host(let name): ("deploy_hosts JOIN deploys USING (id)", "deploy_hosts.host = ?1", "deploy_hosts", name)
                }
            return try Row.fetchAll(
                db, sql: "SELECT deploys.* FROM \(source) WHERE \(condition) ORDER BY \(order).at DESC, id LIMIT ?2",
                arguments: [name, max(0, limit)]
            ).map(deployLine)
        }
    }

    public func deploy(_ id: String) async throws(StoreError) -> DeployRecord? {
        try await read("reading a deploy") { db in
            try deployText(id, db).map { text in
                guard let json = try? JSON(parsing: text), let record = try? DeployRecord(json) else { throw damaged("a deploy") }
                return record
            }
        }
    }
}

private func deployLine(_ row: Row) throws -> DeployLine {
    guard let verdict = Verdict(rawValue: row["verdict"]) else { throw damaged("a verdict") }
    var line = DeployLine(
        id: row["id"], service: row["service"], verdict: verdict, began: row.time("began"), ended: row.time("ended"), person: row["person"],
        revision: row["revision"])
    if let requests: Int = row["requests"], let failed: Int = row["failed"], let stall: Int64 = row["longest_stall"] {
        line.availability = DeployAvailability(requests: requests, failed: failed, longestStall: .microseconds(stall))
    }
    return line
}

func deployText(_ id: String, _ db: Database) throws -> String? {
    try String.fetchOne(db, sql: "SELECT body FROM deploy_records WHERE id = ?", arguments: [id])
}

func newestDeploy(of service: String, _ db: Database) throws -> Timestamp? {
    try Int64.fetchOne(db, sql: "SELECT max(at) FROM deploys WHERE service = ?", arguments: [service]).map { Timestamp(microseconds: $0) }
}

/// Keeps a deploy, and no more of the oldest than there is room for.
func keep(_ deploy: FiledDeploy, _ db: Database) throws {
    let line = DeployLine(deploy.record)
    let text = deploy.text
    try db.execute(
        sql: "INSERT INTO deploys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        arguments: [
            line.id, line.service, deploy.at.microseconds, line.verdict.rawValue, line.began.microseconds, line.ended.microseconds, line.person,
            line.revision, line.availability?.requests, line.availability?.failed, line.availability?.longestStall.microseconds, text.utf8.count,
        ])
    try db.execute(sql: "INSERT INTO deploy_records VALUES (?, ?)", arguments: [line.id, text])
    for service in deploy.services.sorted() {
        try db.execute(sql: "INSERT INTO deploy_services VALUES (?, ?, ?)", arguments: [service, deploy.at.microseconds, line.id])
    }
    for host in Set(deploy.record.hosts.map(\.host)).sorted() {
        try db.execute(sql: "INSERT INTO deploy_hosts VALUES (?, ?, ?)", arguments: [host, deploy.at.microseconds, line.id])
    }
    try db.execute(
        sql: "DELETE FROM deploys WHERE id IN (SELECT id FROM deploys WHERE id <> ? ORDER BY at DESC LIMIT -1 OFFSET ?)",
        arguments: [line.id, mostDeploys - 1])
    try db.execute(
        sql: """
            DELETE FROM deploys WHERE id IN (
                SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY at DESC, id) AS bytes FROM deploys WHERE id <> ?) WHERE bytes > ?)
            """, arguments: [line.id, mostBytesOfDeploys - text.utf8.count])
}

extension SQLiteStore: ScriptTokenStoring {
    public func addScriptToken(name: String, digest: String, scope: ScriptScope, at now: Timestamp) async throws(StoreError) -> Bool {
        try await write("adding a script's token") { db in
            try db.execute(
                sql: "INSERT OR IGNORE INTO script_tokens VALUES (?, ?, ?, ?)", arguments: [name, digest, scope.rawValue, now.microseconds])
            return db.changesCount == 1
        }
    }

    public func scriptToken(digest: String, scope: ScriptScope) async throws(StoreError) -> String? {
        try await read("looking for a script's token") { db in
            try String.fetchOne(db, sql: "SELECT name FROM script_tokens WHERE digest = ? AND scope = ?", arguments: [digest, scope.rawValue])
        }
    }

    public func scriptTokens() async throws(StoreError) -> [ScriptToken] {
        try await read("reading scripts' tokens") { db in
            try Row.fetchAll(db, sql: "SELECT name, scope, created_at FROM script_tokens ORDER BY name").map { row in
                guard let scope = ScriptScope(rawValue: row["scope"]) else { throw damaged("a token's scope") }
                return ScriptToken(name: row["name"], scope: scope, createdAt: row.time("created_at"))
            }
        }
    }

    public func removeScriptToken(name: String) async throws(StoreError) {
        try await write("removing a script's token") { try $0.execute(sql: "DELETE FROM script_tokens WHERE name = ?", arguments: [name]) }
    }
}
