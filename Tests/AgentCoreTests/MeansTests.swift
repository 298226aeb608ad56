import Foundation
import Platform
import RuleLanguage
import Testing

@testable import AgentCore

@Suite struct MeansTests {
    /// The agent under the unit that is shipped.
    private static let shipped = OwnMeans(
        user: 990, userName: "rollcall-agent", groups: [990, 101], capabilities: 1 << 2 | 1 << 19, hasNoNewPrivileges: true,
        writability: ["/": false, "/var/lib/rollcall-agent": true, "/tmp": false, "/dev": true])
    private static let reduced = OwnMeans(
        user: 990, userName: "rollcall-agent", groups: [990], capabilities: 0, hasNoNewPrivileges: true, writability: ["/": false])
    private static let root = OwnMeans(
        user: 0, userName: "root", groups: [0], capabilities: .max, hasNoNewPrivileges: false, writability: ["/": true])

    private static let polkit = """
        polkit.addRule(function (action, subject) {
            var units = {
                // "web.service": ["restart", "reload"],
                "puma.service": ["restart", 'reload'], "worker@1.service": ["start",
                    "kill"],
            };
            return { other: ["restart"] };
        });
        """

    private func missing(_ means: OwnMeans, _ files: [String: String]) throws -> [String] {
        let folder = NSTemporaryDirectory() + "rollcall-means-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, text) in files {
            let path = "\(folder)/\(name)"
            try FileManager.default.createDirectory(atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        let reading = ConfigurationReading([folder], defaults: .init(hostname: "web1", stateDirectory: nil))
        #expect(reading.files.flatMap(\.faults) == [])
        let host = HostFacts(
            group: { ["deploy": 500, "journal": 101][$0] },
            file: {
                [
                    "/run/closed.sock": FileAccess(user: 70, group: 71, mode: 0o140_770),
                    "/run/open.sock": FileAccess(user: 70, group: 71, mode: 0o140_777),
                ][$0]
            },
            polkit: PolkitAllowances(parsing: Self.polkit), primaryName: { $0 == "app.service" ? "puma.service" : $0 })
        return reading.missingMeans(means, on: host).map { fault in
            let name = fault.file.dropFirst(folder.count + 1)
            return "\(name):\(fault.line): \(fault.message) | \(fault.help ?? "")"
        }
    }

    private static let settings = "set aggregator https://watch.example.com\nset aggregator_token_file /t\n"

    @Test(arguments: [
        ("set socket_group deploy", "the agent runs as rollcall-agent, which is not in the group deploy", "SupplementaryGroups=deploy"),
        ("set metrics_listen 127.0.0.1:80", "the agent may not listen on port 80", "AmbientCapabilities=CAP_NET_BIND_SERVICE"),
        ("set socket_group journal", "", ""), ("set metrics_listen 127.0.0.1:9100", "", ""), ("set socket_group unknown", "", ""),
    ])
    func settingsThatTheAgentMayNotFollow(line: String, problem: String, help: String) throws {
        let found = try missing(Self.shipped, ["rollcall.conf": Self.settings + line + "\n"])
        if problem.isEmpty { return #expect(found == []) }
        #expect(found.count == 1 && found[0].hasPrefix("rollcall.conf:3: \(problem)") && found[0].contains(help), "\(found)")
        #expect(try missing(Self.root, ["rollcall.conf": Self.settings + line + "\n"]) == [])
    }

    @Test(arguments: [
        ("puma", "if down then restart", "", ""), ("app", "if down then restart", "", ""), ("worker@*", "if down then start", "", ""),
        ("puma", "if down then stop", "polkit does not let the agent stop puma.service", "`\"puma.service\": [\"stop\"],`"),
        ("web", "if down then restart", "polkit does not let the agent restart web.service", "49-rollcall-agent.rules"),
        ("worker@*", "if down then stop", "polkit does not let the agent stop worker@*", "by its full name"),
        ("puma", "if uptime > 1s then signal TERM", "polkit does not let the agent send signals to puma.service", "[\"kill\"]"),
        ("web", "if down then exec \"/bin/x\" as deploy", "only an agent that runs as root can run a program as deploy", "User=root"),
        ("web", "if down then exec \"/bin/x\" as rollcall-agent", "", ""),
        ("web", "if down then exec \"/usr/bin/sudo /bin/x\"", "`sudo` gives no rights in the agent's sandbox", "systemctl start UNIT"),
        (
            "web", "if down then exec \"/usr/bin/touch /srv/app/down\"",
            "the agent's sandbox lets `touch` write only to /dev, /var/lib/rollcall-agent", "ReadWritePaths=/srv/app"
        ),
        ("web", "if down then exec \"/usr/bin/touch /var/lib/rollcall-agent/down\"", "", ""),
        ("web", "if io:read > 1k then alert", "", ""),
    ])
    func rulesThatTheAgentMayNotFollow(check: String, rule: String, problem: String, help: String) throws {
        let files = ["services.d/a.inq": "check service \(check)\n  \(rule)\n"]
        let found = try missing(Self.shipped, files)
        if problem.isEmpty { return #expect(found == []) }
        #expect(found.count == 1 && found[0].hasPrefix("services.d/a.inq:2: \(problem)") && found[0].contains(help), "\(found)")
        #expect(try missing(Self.root, files) == [])
    }

    @Test func withoutCapabilitiesSomeNumbersAreOutOfReach() throws {
        let found = try missing(
            Self.reduced,
            [
                "services.d/a.inq":
                    "check service a with deploy_path /about/deploy\n  if io:read > 1k/sec then alert\n  if memory:pss > 1g then alert\n"
            ])
        #expect(found.map { $0.prefix { $0 != " " } } == ["services.d/a.inq:1:", "services.d/a.inq:2:", "services.d/a.inq:3:"])
        #expect(found.allSatisfy { $0.contains("CAP_SYS_PTRACE") })
    }

    @Test func aDaemonsSocketMayBeClosed() throws {
        func found(_ socket: String) throws -> [String] {
            try missing(Self.shipped, ["services.d/m.inq": "check service m with socket \(socket)\n  if memcached:curr_items > 1 then alert\n"])
        }
        #expect(try found("/run/closed.sock").first?.contains("rollcall-agent, which asks the daemon, may not open /run/closed.sock") == true)
        #expect(try found("/run/open.sock") == [] && found("/run/not-there.sock") == [])
    }

    @Test func meansAreReadAsTheyWereWritten() {
        for means in [Self.shipped, Self.reduced, Self.root] { #expect(OwnMeans(means.json) == means) }
        #expect(OwnMeans(["user": 1]) == nil && OwnMeans(.null) == nil)
    }

    @Test(arguments: ["", "var units", "var units = { \"a\" }", "var units = { \"a\": 1 }", "{ \"a\": [\"b\"] }"])
    func aTableOfAnotherShapeSaysNothing(text: String) { #expect(PolkitAllowances(parsing: text) == nil) }
}
