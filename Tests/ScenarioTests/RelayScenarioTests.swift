// A deploy on several hosts, prepared and proved through a real aggregator.

import AgentAPI
import AggregatorCore
import Foundation
import Platform
import SQLiteStore
import TestKit
import Testing

/// An aggregator, and hosts that are agents on this machine: each watches a gunicorn of its own under the name `web`.
private final class RelaySite {
    let folder: TemporaryFolder
    let port: Int
    /// Over TLS, as from other machines.
    var url: String { "https://localhost:\(port)" }
    private var authorities: String { folder.path + "/certificate.pem" }
    private(set) var aggregator: ChildProcess?
    private(set) var agents: [String: ChildProcess] = [:]

    private init() throws {
        folder = try TemporaryFolder()
        port = try freePort()
    }

    static func with(hosts: [String], _ story: (RelaySite) async throws -> Void) async throws {
        let site = try RelaySite()
        do {
            try await site.start(hosts)
            try await story(site)
        } catch {
            await site.stop(hosts)
            throw error
        }
        await site.stop(hosts)
    }

    private func start(_ hosts: [String]) async throws {
        let certificate = try await ChildProcess.run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost", "-keyout", "\(folder.path)/key.pem", "-out", authorities,
            ])
        guard certificate.status == 0 else { throw NeverHappened(description: "no certificate: \(certificate.text)") }
        try folder.write(
            """
            listen: 127.0.0.1:\(port)
            public_url: \(url)
            certificate_file: \(authorities)
            key_file: \(folder.path)/key.pem
            database: \(folder.path)/rollcall.sqlite

            """, to: "aggregator.yaml")
        let secret = try await ChildProcess.run("/usr/bin/sha256sum", [], input: "a-scripts-token")
        let store = try SQLiteStore(path: folder.path + "/rollcall.sqlite")
        _ = try await store.addScriptToken(name: "pipeline", digest: String(secret.output.prefix(64)), scope: .deploys, at: SystemTime().now().wall)
        try folder.write("a-scripts-token\n", to: "script-token", mode: 0o600)
        try await startAggregator()
        for host in hosts {
            try await release("1", on: host, token: "00000000000000000000000000000001")
            try await act(on: host, "start", "gunicorn", "workers=2")
            try await startAgent(host)
        }
        try await eventually("all hosts report") {
            try await store.units(ofService: "web").count { $0.state.phase == .up } == hosts.count
        } explanation: {
            self.agents.values.map(\.errors).joined(separator: "\n")
        }
    }

    func startAggregator() async throws {
        let program = try ChildProcess(built("rollcall-aggregator"), ["run", "--config", "\(folder.path)/aggregator.yaml"])
        aggregator = program
        try await eventually("the aggregator listens") {
            (try? await Site.status(port: port, authorities: authorities)) != nil
        } explanation: {
            program.text
        }
    }

    func killAggregator() async throws {
        aggregator?.signal(SIGKILL)
        _ = try await aggregator?.end()
    }

    /// - Parameter isAllowing: whether the aggregator may see to deploys there.
    func configure(_ host: String, isAllowing: Bool = true) throws {
        let home = "\(folder.path)/\(host)"
        try folder.write(
            """
            set cycle_time 1
            set hostname \(host)
            set state_directory "\(home)/state"
            set socket "\(home)/run/agent.sock"
            set listen off
            set aggregator \(url)
            set aggregator_ca_file "\(authorities)"
            set aggregator_token_file "\(home)/token"
            \(isAllowing ? "set aggregator_commands \"deploy\"" : "")

            """, to: "\(host)/etc/rollcall.conf")
    }

    private func startAgent(_ host: String) async throws {
        let home = "\(folder.path)/\(host)"
        let added = try await ChildProcess.run(built("rollcall-aggregator"), ["add-agent", host, "--config", "\(folder.path)/aggregator.yaml"])
        guard added.status == 0 else { throw NeverHappened(description: "add-agent failed: \(added.text)") }
        try folder.write(added.output, to: "\(host)/token", mode: 0o600)
        try configure(host)
        try folder.write(
            """
            check service web with pidfile "\(home)/app/pid", deploy_path /about/deploy, deploy_user about, deploy_password_file "\(home)/app/password"

            """, to: "\(host)/etc/services.d/web.inq")
        agents[host] = try ChildProcess(built("rollcall-agent"), ["--config", "\(home)/etc"])
    }

    private func stop(_ hosts: [String]) async {
        for agent in agents.values { await agent.stop() }
        await aggregator?.stop()
        for host in hosts { try? await act(on: host, "stop") }
    }

    func act(on host: String, _ words: String...) async throws {
        let end = try await ChildProcess.run(bed("deploys"), ["\(folder.path)/\(host)/app"] + words)
        guard end.status == 0 else { throw NeverHappened(description: "\(host): \(words): \(end.text)") }
    }

    /// Makes a release with its token and points `current` to it, as a deploy tool does.
    func release(_ name: String, on host: String, token: String) async throws {
        try await act(on: host, "release", name)
        try folder.write(token, to: "\(host)/app/releases/\(name)/TOKEN")
        try await act(on: host, "switch", name)
    }

    var way: [String] { ["--aggregator", url, "--aggregator-ca", authorities, "--aggregator-token-file", folder.path + "/script-token"] }

    func start(_ words: [String]) throws -> ChildProcess {
        try ChildProcess(
            built("verify-token"), words, environment: ["XDG_STATE_HOME": folder.path + "/notes", "GITHUB_ACTIONS": "", "TERM": "dumb"])
    }

    func verifyToken(_ words: [String]) async throws -> ChildProcess.End { try await start(words).end() }

    func prepare() async throws -> (id: String, token: String) {
        let end = try await verifyToken(["prepare", "--service", "web", "--print", "env"] + way)
        guard end.status == 0 else { throw NeverHappened(description: "prepare: \(end.text)\n\(aggregator?.text ?? "")") }
        let values = end.output.split(whereSeparator: \.isWhitespace).map { String($0.drop { $0 != "=" }.dropFirst()) }
        guard values.count == 2 else { throw NeverHappened(description: "prepare said: \(end.output)") }
        return (values[1], values[0])
    }

    /// - Returns: the exit code, and what each host came to.
    func check(_ id: String, timeout: String = "30s") async throws -> (status: Int32, result: JSON, hosts: [String: HostDeploy]) {
        try outcome(of: await verifyToken(Self.checking(id, timeout: timeout)))
    }

    static func checking(_ id: String, timeout: String) -> [String] { ["check", "--deploy", id, "--json", "--quiet", "--timeout", timeout] }

    func outcome(of end: ChildProcess.End) throws -> (status: Int32, result: JSON, hosts: [String: HostDeploy]) {
        guard let result = try? JSON(parsing: end.output) else { throw NeverHappened(description: "check: \(end.text)") }
        let hosts = try (result["hosts"]?.array ?? []).map { try HostDeploy($0) }
        return (end.status, result, Dictionary(hosts.map { ($0.host, $0) }) { first, _ in first })
    }
}

@Suite(.timeLimit(.minutes(4))) struct RelayScenarioTests {
    @Test func aDeployIsProvedOnAllHostsThroughTheAggregator() async throws {
        let hosts = ["web1", "web2"]
        try await RelaySite.with(hosts: hosts) { site async throws in
            // Good on both, each within a window.
            let script = hosts.map { host in
                """
                app='\(site.folder.path)/\(host)/app'
                '\(bed("deploys"))' "$app" release 2
                printf %s "$DEPLOY_TOKEN" > "$app/releases/2/TOKEN"
                '\(built("rollcall"))' status --socket '\(site.folder.path)/\(host)/run/agent.sock'
                '\(bed("deploys"))' "$app" switch 2
                '\(bed("deploys"))' "$app" hup
                """
            }
            let run = try await site.verifyToken(
                ["run", "--service", "web", "--person", "ann", "--json", "--quiet"] + site.way
                    + ["--", "sh", "-c", "set -e\n" + script.joined(separator: "\n")])
            let good = try site.outcome(of: run)
            #expect(good.status == 0, "\(run.text)")
            let ran = try #require(good.result["deploy_id"]?.string)
            // The command's own words go to standard error here.
            #expect(run.errors.components(separatedBy: "ann, \(ran)").count == 1 + hosts.count, "\(run.errors)")
            for host in hosts {
                try await eventually("the window of \(host) is closed") {
                    try await ChildProcess.run(
                        built("rollcall"), ["status", "--socket", "\(site.folder.path)/\(host)/run/agent.sock"]
                    ).output.contains(ran) == false
                }
            }
            #expect(good.hosts.keys.sorted() == hosts)
            for host in good.hosts.values {
                #expect(host.state == .verified && host.hasBaseline && host.evidence == "attributed-http")
                #expect(host.count(.new) == 2 && host.count(.old) == 0)
            }
            let filed = try await SQLiteStore(path: site.folder.path + "/rollcall.sqlite").deploys(.all, limit: 10)
            #expect(filed.map(\.id) == [ran] && filed.map(\.verdict) == [.verified])

            // The second host keeps its old workers beside the new ones.
            var deploy = try await site.prepare()
            for host in hosts { try await site.release("3", on: host, token: deploy.token) }
            try await site.act(on: "web1", "hup")
            try await site.act(on: "web2", "usr2")
            let mixed = try await site.check(deploy.id, timeout: "6s")
            #expect(mixed.status == 3, "\(mixed.result.text)")
            #expect(mixed.hosts["web1"]?.state == .verified)
            #expect(mixed.hosts["web2"]?.state == .mixed && (mixed.hosts["web2"]?.count(.old) ?? 0) > 0)

            // It does not let the aggregator see to deploys: nothing is prepared anywhere, and the line that is missing is named.
            try site.configure("web2", isAllowing: false)
            site.agents["web2"]?.signal(SIGHUP)
            try await eventually("the agent has read its configuration") { site.agents["web2"]?.errors.contains("configuration reloaded") == true }
            let refused = try await site.verifyToken(["prepare", "--service", "web"] + site.way)
            #expect(refused.status == 10 && refused.output == "")
            #expect(refused.errors.contains("web2: ") && refused.errors.contains("set aggregator_commands \"deploy\""), "\(refused.errors)")
            #expect(!refused.errors.contains("web1: "))
            try site.configure("web2")
            site.agents["web2"]?.signal(SIGHUP)
            try await eventually("the agent has read its configuration again") {
                (site.agents["web2"]?.errors.components(separatedBy: "configuration reloaded").count ?? 0) > 2
            }

            // Its agent dies after the preparation: it is named, and the other's proof is not enough.
            deploy = try await site.prepare()
            site.agents["web2"]?.signal(SIGKILL)
            try await site.release("4", on: "web1", token: deploy.token)
            try await site.act(on: "web1", "hup")
            let lost = try await site.check(deploy.id)
            #expect(lost.status == 10, "\(lost.result.text)")
            #expect(lost.hosts["web1"]?.state == .verified)
            #expect(lost.hosts["web2"]?.state == .unreachable)
            #expect(lost.result["reasons"]?.array?.contains { $0.string?.contains("web2") == true } == true, "\(lost.result.text)")

            // The pages of these deploys, as a person sees them.
            let code = try #require(site.aggregator?.text.firstMatch(of: #/set-up code (\S+)/#)?.1)
            let walked = try await ChildProcess.run(
                bed("chromium"), [site.url, site.folder.path + "/pictures"],
                environment: ["ROLLCALL_SETUP_CODE": String(code), "ROLLCALL_PASSWORD": "battery staple"], within: .seconds(120))
            #expect(walked.status == 0, "\(walked.text)")

            // Wrong names and tokens, and an aggregator that is not there.
            let nothing = try await site.verifyToken(["prepare", "--service", "nothing"] + site.way)
            #expect(nothing.status == 10 && nothing.errors.contains("there is no service nothing"), "\(nothing.errors)")
            let token = try site.folder.write("another\n", to: "another-token", mode: 0o600)
            let stranger = try await site.verifyToken(["prepare", "--service", "web"] + site.way.dropLast() + [token])
            #expect(stranger.status == 10 && stranger.errors.contains("unknown token"), "\(stranger.errors)")
        }
    }

    /// Whatever the hosts did meanwhile, nobody has proved it.
    @Test func anAggregatorThatDiesInTheMiddleProvesNothing() async throws {
        try await RelaySite.with(hosts: ["web1"]) { site async throws in
            let deploy = try await site.prepare()
            let check = try site.start(RelaySite.checking(deploy.id, timeout: "30s"))
            try await Task.sleep(for: .seconds(1))
            try await site.killAggregator()
            try await site.release("2", on: "web1", token: deploy.token)
            try await site.act(on: "web1", "hup")
            let lost = try site.outcome(of: try await check.end())
            #expect(lost.status == 10, "\(lost.result.text)")
            #expect(lost.hosts["web1"]?.state == .unreachable)
            // It is there again: the agents are still waiting, and their baseline still counts.
            try await site.startAggregator()
            let found = try await site.check(deploy.id)
            #expect(found.status == 0, "\(found.result.text)")

            // An agent that reads its configuration anew goes on judging.
            let next = try await site.prepare()
            let judging = try site.start(RelaySite.checking(next.id, timeout: "30s"))
            try await Task.sleep(for: .seconds(1))
            site.agents["web1"]?.signal(SIGHUP)
            try await eventually("the agent has read its configuration") { site.agents["web1"]?.errors.contains("configuration reloaded") == true }
            try await site.release("3", on: "web1", token: next.token)
            try await site.act(on: "web1", "hup")
            let judged = try site.outcome(of: try await judging.end())
            #expect(judged.status == 0 && judged.hosts["web1"]?.hasBaseline == true, "\(judged.result.text)")
        }
    }
}
