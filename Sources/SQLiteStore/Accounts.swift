// Who may log in, who has, and which agents may report.

public import AggregatorCore
import GRDB
public import Platform

extension SQLiteStore: AccountStoring {
    public func hasUsers() async throws(StoreError) -> Bool {
        try await read("looking for users") { try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM users)") ?? false }
    }

    public func addUser(_ user: UserRecord) async throws(StoreError) -> Bool {
        try await write("adding a user") { db in
            try db.execute(sql: "INSERT OR IGNORE INTO users VALUES (?, ?)", arguments: [user.name, user.passwordHash])
            return db.changesCount == 1
        }
    }

    public func addFirstUser(_ user: UserRecord) async throws(StoreError) -> Bool {
        try await write("adding the first user") { db in
            try db.execute(
                sql: "INSERT INTO users SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM users)", arguments: [user.name, user.passwordHash])
            return db.changesCount == 1
        }
    }

    public func user(_ name: String) async throws(StoreError) -> UserRecord? {
        try await read("reading a user") { db in
            try Row.fetchOne(db, sql: "SELECT * FROM users WHERE name = ?", arguments: [name]).map {
                UserRecord(name: $0["name"], passwordHash: $0["password_hash"])
            }
        }
    }

    public func addSession(_ session: SessionRecord) async throws(StoreError) {
        try await write("adding a session") { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)",
                arguments: [session.digest, session.user, session.formToken, session.expiresAt.microseconds])
        }
    }

    public func session(digest: String, at now: Timestamp) async throws(StoreError) -> SessionRecord? {
        try await read("reading a session") { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM sessions WHERE digest = ? AND expires_at > ?", arguments: [digest, now.microseconds]
            ).map { SessionRecord(digest: $0["digest"], user: $0["user"], formToken: $0["form_token"], expiresAt: $0.time("expires_at")) }
        }
    }

    public func removeSession(digest: String) async throws(StoreError) {
        try await write("removing a session") { try $0.execute(sql: "DELETE FROM sessions WHERE digest = ?", arguments: [digest]) }
    }
}

extension SQLiteStore: AgentTokenStoring {
    public func addAgentToken(name: String, digest: String, at now: Timestamp) async throws(StoreError) {
        try await write("adding an agent's token") { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO agent_tokens (name, digest, created_at) VALUES (?, ?, ?)", arguments: [name, digest, now.microseconds])
        }
    }

    public func agentToken(digest: String) async throws(StoreError) -> String? {
        try await read("looking for an agent's token") { db in
            try String.fetchOne(db, sql: "SELECT name FROM agent_tokens WHERE digest = ?", arguments: [digest])
        }
    }

    public func agent(ofToken digest: String) async throws(StoreError) -> String? {
        try await read("looking for the agent of a token") { db in
            try String.fetchOne(db, sql: "SELECT agent FROM agent_tokens WHERE digest = ? AND agent IS NOT NULL", arguments: [digest])
        }
    }

    public func useAgentToken(
        name: String, agent: String, _ decide: @escaping @Sendable (_ holder: HostState?) -> TokenUse
    ) async throws(StoreError) -> TokenUse {
        // Nearly always the token is the agent's already, and nothing is to be written.
        let holder = try await read("looking for an agent's token") { db in
            try String.fetchOne(db, sql: "SELECT agent FROM agent_tokens WHERE name = ?", arguments: [name])
        }
        if holder == agent { return .own }
        return try await write("giving a token to an agent") { db in
            let holder = try String.fetchOne(db, sql: "SELECT agent FROM agent_tokens WHERE name = ?", arguments: [name])
            let use = decide(try holder.flatMap { try hostState($0, db) })
            if use == .own { try db.execute(sql: "UPDATE agent_tokens SET agent = ? WHERE name = ?", arguments: [agent, name]) }
            return use
        }
    }

    public func moveAgentToken(name: String, from old: String, to agent: String) async throws(StoreError) {
        try await write("giving a token to another agent") { db in
            try db.execute(sql: "UPDATE agent_tokens SET agent = ? WHERE name = ? AND agent = ?", arguments: [agent, name, old])
        }
    }

    public func agentTokens() async throws(StoreError) -> [(name: String, createdAt: Timestamp)] {
        try await read("reading agents' tokens") { db in
            try Row.fetchAll(db, sql: "SELECT name, created_at FROM agent_tokens ORDER BY name").map { ($0["name"], $0.time("created_at")) }
        }
    }

    public func removeAgentToken(name: String) async throws(StoreError) {
        try await write("removing an agent's token") { try $0.execute(sql: "DELETE FROM agent_tokens WHERE name = ?", arguments: [name]) }
    }
}
