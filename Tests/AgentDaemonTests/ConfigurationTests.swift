import AgentAPI
import AgentCore
@testable import AgentDaemon
import AgentTalker
import Glibc
import Platform
import RuleLanguage
import Testing

/// A folder of its own for one test.
private final class Folder {
    let path = "/tmp/rollcall-test-\(randomHex(bytes: 8))"

    init(_ files: [String: String]) throws {
        mkdir(path, 0o700)
        mkdir(path + "/services.d", 0o700)
        for (name, text) in files { try AtomicFile.write(Array(text.utf8), to: "\(path)/\(name)", mode: 0o600) }
        names = files.keys.sorted()
    }

    private let names: [String]

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path + "/services.d")
        rmdir(path)
    }
}

@Suite struct ConfigurationTests {
    @Test func becomesAPlanAndWhatTheTalkerWantsToKnow() throws {
        let folder = try Folder(["token": "secret-token\n", "password": "secret-password\n"])
        let full = try Folder([
            "rollcall.conf": """
            set cycle_time 5
            set hostname web1
            set state_directory /var/lib/rollcall
            set aggregator https://rollcall.example.com/agents
            set aggregator_token_file \(folder.path)/token
            set listen 127.0.0.1:4677
            set listen_user deploy
            set listen_password_file \(folder.path)/password
            """,
            "host.inq": "check host\n  with owner ops\n  if load:1 > 8 then alert\n",
            "services.d/puma.inq":
                "check service puma\n  with owner web, init systemd\n  if memory:total_rss > 500m for 2 cycles then alert, restart\n",
            "services.d/old.inq": "check service old\n  with pidfile /run/old.pid\n  if cpu:user > 90% then alert\n",
        ])
        let loaded = try loadConfiguration(folder: full.path)
        #expect(loaded.plan.cycle == .seconds(5))
        #expect(loaded.plan.hostRoute == "ops")
        #expect(loaded.plan.hostRules.map(\.text) == ["if load:1 > 8 then alert"])
        #expect(loaded.plan.services.map(\.name) == ["old", "puma"])
        #expect(loaded.plan.services.map(\.pidFile) == ["/run/old.pid", nil])
        #expect(loaded.plan.services.map(\.initSystem) == [nil, "systemd"])
        #expect(loaded.plan.services.map(\.route) == [nil, "web"])
        #expect(loaded.talker.host == "web1" && loaded.talker.version == rollcallVersion && loaded.talker.interval == .seconds(5))
        #expect(loaded.talker.stateFolder == "/var/lib/rollcall")
        #expect(loaded.talker.aggregator?.address.description == "https://rollcall.example.com/agents")
        #expect(loaded.talker.aggregator?.token == Secret("secret-token"))
        #expect(loaded.talker.endpoint?.password == Secret("secret-password"))
    }

    @Test func onlyTheServicesThatSaySoAreAskedForTheirToken() throws {
        let folder = try Folder(["password": "secret-password\n"])
        let full = try Folder([
            "services.d/redis.inq": "check service redis\n",
            "services.d/shop.inq":
                "check service shop with deploy_path /about/deploy, deploy_user about, deploy_password_file \(folder.path)/password\n",
            "services.d/workers.inq": "check service \"worker-*\" with deploy_path /token\n",
            "services.d/quiet.inq": "check service worker-1\n",
        ])
        let questions = try loadConfiguration(folder: full.path).questions
        #expect(questions.of("shop.service") == TokenQuestion(path: "/about/deploy", user: "about", password: Secret("secret-password")))
        #expect(questions.of("worker-2.service") == TokenQuestion(path: "/token"))
        #expect(questions.of("worker-1.service") == nil)
        #expect(questions.of("redis") == nil)
    }

    @Test func showsEveryFaultWithItsPlace() throws {
        let folder = try Folder([
            "rollcall.conf": "set cycle_time often\n",
            "services.d/puma.inq": "check service puma\n  if memry:rss > 500m then alert\n",
        ])
        let problems = #expect(throws: ConfigurationProblems.self) { try loadConfiguration(folder: folder.path) }
        #expect(problems?.texts.count == 2)
        #expect(problems?.texts.first?.hasPrefix("\(folder.path)/rollcall.conf:1:16: ") == true)
        #expect(problems?.texts.last?.contains("\n      if memry:rss > 500m then alert\n         ^\n") == true)
    }

    @Test func saysWhichSecretsCannotBeRead() throws {
        let folder = try Folder([
            "rollcall.conf": """
            set aggregator https://rollcall.example.com
            set aggregator_token_file /nonexistent/token
            set listen_user deploy
            set listen_password_file /nonexistent/password

            """
        ])
        let problems = #expect(throws: ConfigurationProblems.self) { try loadConfiguration(folder: folder.path) }
        #expect(problems?.texts.map { $0.prefix(21) } == ["/nonexistent/token ca", "/nonexistent/password"])
    }
}
