// A store in memory: what the tests put in is what the pages read.

import AgentAPI
import AggregatorCore
import Messages
import Platform
import Synchronization

final class MemoryStore: StoreReading, AccountStoring, AgentTokenStoring, DeployStoring, ScriptTokenStoring, DeployTaking, ReportIngesting,
    HealthReading
{
    struct Content {
        var services: [ServiceRecord] = []
        /// By service: its units as `agent/name`.
        var members: [String: [String]] = [:]
        var units: [UnitRecord] = []
        var checks: [CheckRecord] = []
        var hosts: [HostRecord] = []
        var events: [EventRecord] = []
        var notifications: [NotificationRecord] = []
        var series: [Series] = []
        var users: [UserRecord] = []
        var sessions: [SessionRecord] = []
        var tokens: [(name: String, digest: String, createdAt: Timestamp)] = []
        /// Agents by the names of their tokens.
        var tokenHolders: [String: String] = [:]
        var reports: [Report] = []
        /// Newest first.
        var deploys: [DeployRecord] = []
        var scriptTokens: [(digest: String, token: ScriptToken)] = []
        /// When set, every token belongs to the agent on this host.
        var tokenOfAnother: String?
        var health = Health(isRunning: true, lines: ["checks: 12 run in the last minute", "delivery: nothing waits"])
        /// When set, every call fails with it.
        var failure: StoreError?
    }

    private let content: Mutex<Content>

    init(_ content: Content = Content()) { self.content = Mutex(content) }

    func change(_ change: (inout Content) -> Void) { content.withLock { change(&$0) } }
    func look<Value: Sendable>(_ look: (Content) -> Value) -> Value { content.withLock { look($0) } }

    private func answer<Value: Sendable>(_ look: (inout Content) -> Value) throws(StoreError) -> Value {
        let answer = content.withLock { content -> Result<Value, StoreError> in
            if let failure = content.failure { return .failure(failure) }
            return .success(look(&content))
        }
        return try answer.get()
    }

    // MARK: StoreReading

    func services() async throws(StoreError) -> [ServiceRecord] { try answer(\.services) }
    func service(_ name: String) async throws(StoreError) -> ServiceRecord? { try answer { $0.services.first { $0.name == name } } }

    func units(ofService service: String?) async throws(StoreError) -> [UnitRecord] {
        try answer { content in
            guard let service else { return content.units }
            let members = content.members[service] ?? []
            return content.units.filter { members.contains("\($0.agent)/\($0.state.name)") }
        }
    }

    func units(ofAgent agent: String) async throws(StoreError) -> [UnitRecord] { try answer { $0.units.filter { $0.agent == agent } } }

    func checks(ofService service: String?) async throws(StoreError) -> [CheckRecord] {
        try answer { $0.checks.filter { service == nil || $0.service == service } }
    }

    func hosts() async throws(StoreError) -> [HostRecord] { try answer(\.hosts) }
    func host(agent: String) async throws(StoreError) -> HostRecord? { try answer { $0.hosts.first { $0.agent == agent } } }

    func events(ofService service: String?, agent: String?, limit: Int) async throws(StoreError) -> [EventRecord] {
        try answer { content in
            let members = service.map { content.members[$0] ?? [] }
            let chosen = content.events.filter { record in
                (agent == nil || record.agent == agent) && (members?.contains("\(record.agent)/\(record.event.unit ?? "")") ?? true)
            }
            return Array(chosen.sorted { $0.event.at > $1.event.at }.prefix(limit))
        }
    }

    func notifications(ofService service: String?, limit: Int) async throws(StoreError) -> [NotificationRecord] {
        try answer { content in
            let chosen = content.notifications.filter { service == nil || $0.service == service }
            return Array(chosen.sorted { $0.message.createdAt > $1.message.createdAt }.prefix(limit))
        }
    }

    func series(agent: String, unit: String?, metric: String, after start: Timestamp, limit: Int) async throws(StoreError) -> Series {
        try answer { content in
            var series =
                content.series.first { $0.agent == agent && $0.unit == unit && $0.metric == metric }
                ?? Series(agent: agent, unit: unit, metric: metric, points: [])
            series.points = Array(series.points.filter { $0.at > start }.suffix(limit))
            return series
        }
    }

    // MARK: AccountStoring

    func hasUsers() async throws(StoreError) -> Bool { try answer { !$0.users.isEmpty } }

    func addUser(_ user: UserRecord) async throws(StoreError) -> Bool {
        try answer { content in
            guard !content.users.contains(where: { $0.name == user.name }) else { return false }
            content.users.append(user)
            return true
        }
    }

    func addFirstUser(_ user: UserRecord) async throws(StoreError) -> Bool {
        try answer { content in
            guard content.users.isEmpty else { return false }
            content.users.append(user)
            return true
        }
    }

    func user(_ name: String) async throws(StoreError) -> UserRecord? { try answer { $0.users.first { $0.name == name } } }
    func addSession(_ session: SessionRecord) async throws(StoreError) { try answer { $0.sessions.append(session) } }

    func session(digest: String, at now: Timestamp) async throws(StoreError) -> SessionRecord? {
        try answer { $0.sessions.first { $0.digest == digest && $0.expiresAt > now } }
    }

    func removeSession(digest: String) async throws(StoreError) { try answer { $0.sessions.removeAll { $0.digest == digest } } }

    // MARK: AgentTokenStoring

    func addAgentToken(name: String, digest: String, at now: Timestamp) async throws(StoreError) {
        try answer { content in
            content.tokens.removeAll { $0.name == name }
            content.tokens.append((name, digest, now))
        }
    }

    func agentToken(digest: String) async throws(StoreError) -> String? { try answer { $0.tokens.first { $0.digest == digest }?.name } }
    func agent(ofToken digest: String) async throws(StoreError) -> String? {
        try answer { content in content.tokens.first { $0.digest == digest }.flatMap { content.tokenHolders[$0.name] } }
    }
    func useAgentToken(
        name: String, agent: String, _ decide: @escaping @Sendable (_ holder: HostState?) -> TokenUse
    ) async throws(StoreError) -> TokenUse { try answer { _ in decide(nil) } }
    func moveAgentToken(name: String, from old: String, to agent: String) async throws(StoreError) {}
    func agentTokens() async throws(StoreError) -> [(name: String, createdAt: Timestamp)] { try answer { $0.tokens.map { ($0.name, $0.createdAt) } } }
    func removeAgentToken(name: String) async throws(StoreError) { try answer { $0.tokens.removeAll { $0.name == name } } }

    // MARK: DeployStoring, ScriptTokenStoring, DeployTaking

    func deploys(_ scope: DeployScope, limit: Int) async throws(StoreError) -> [DeployLine] {
        try answer { content in
            let chosen = content.deploys.filter { deploy in
                switch scope {
                case .all: true
                case .service(let name): deploy.service == name || content.members[name]?.contains { $0.hasSuffix("/\(deploy.service)") } == true
                case .host(let name): deploy.hosts.contains { $0.host == name }
                }
            }
            return chosen.sorted { $0.ended > $1.ended }.prefix(limit).map { DeployLine($0) }
        }
    }

    func deploy(_ id: String) async throws(StoreError) -> DeployRecord? { try answer { $0.deploys.first { $0.id == id } } }

    func take(_ record: DeployRecord, at now: Timestamp) async throws(StoreError) -> DeployAnswer {
        try answer { content in
            if let known = content.deploys.first(where: { $0.id == record.id }) { return known == record ? .known : .taken }
            content.deploys.insert(record, at: 0)
            return .filed
        }
    }

    func addScriptToken(name: String, digest: String, scope: ScriptScope, at now: Timestamp) async throws(StoreError) -> Bool {
        try answer { content in
            guard !content.scriptTokens.contains(where: { $0.token.name == name }) else { return false }
            content.scriptTokens.append((digest, ScriptToken(name: name, scope: scope, createdAt: now)))
            return true
        }
    }

    func scriptToken(digest: String, scope: ScriptScope) async throws(StoreError) -> String? {
        try answer { $0.scriptTokens.first { $0.digest == digest && $0.token.scope == scope }?.token.name }
    }

    func scriptTokens() async throws(StoreError) -> [ScriptToken] { try answer { $0.scriptTokens.map(\.token) } }
    func removeScriptToken(name: String) async throws(StoreError) { try answer { $0.scriptTokens.removeAll { $0.token.name == name } } }

    // MARK: ReportIngesting, HealthReading

    func ingest(_ report: Report, token: String, at now: Timestamp) async throws(StoreError) -> ReportAnswer {
        try answer { content in
            if let other = content.tokenOfAnother { return .tokenOfAnother(host: other) }
            content.reports.append(report)
            return .taken(Acknowledgement(sequence: report.events.last?.sequence ?? 0))
        }
    }

    func health(at now: Timestamp) async throws(StoreError) -> Health { try answer(\.health) }
}
