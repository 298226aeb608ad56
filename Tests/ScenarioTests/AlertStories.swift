// Who is notified, and in which words, by the agent as it is installed.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct AlertStories {
    private static let sleeper = "[Service]\nExecStart=/bin/sleep infinity\nRestart=no\n"

    /// `mysql.service` is a link to `mariadb.service`, and two teams check it, each by the name that it knows.
    @Test func everyOwnerOfAUnitWithTwoNamesHears() async throws {
        try await InstalledHost.with(
            units: ["mariadb.service": Self.sleeper], starting: ["mariadb"],
            rules: [
                "services.d/mariadb.inq": "check service mariadb with owner dba\n", "services.d/mysql.inq": "check service mysql with owner web\n",
                "services.d/none.inq": "check service \"sidekiq@*\"\n",
            ], routes: ["dba", "web"], startsAgent: false, hasMarker: true
        ) { host in
            try await host.shell("ln -s mariadb.service /etc/systemd/system/mysql.service; systemctl daemon-reload")
            let checked = try await host.rollcall("check-config")
            #expect(
                checked.contains(
                    "service mysql: `mysql` is another name of mariadb.service, which is also checked at /etc/rollcall/services.d/mariadb.inq:1\n"))
            #expect(checked.contains("service sidekiq@*: matches no unit at present\n"))
            try await host.startAgent()
            #expect(try await host.rollcall("status").contains("sidekiq@* matches no unit at present\n"))
            #expect(
                try await host.rollcall("explain", "mysql").contains("which is also checked as `mariadb` at /etc/rollcall/services.d/mariadb.inq:1"))
            let services = try #require(try await host.export()["services"]?.members)
            #expect(services.map(\.name).sorted() == ["mariadb.service", "mysql"])
            try await host.kill("mariadb")
            try await host.settle()
            let down = try host.messages()
            #expect(down.map(\.route).sorted { ($0 ?? "") < ($1 ?? "") } == ["dba", "web"])
            #expect(down.allSatisfy { $0.subject == "[error] mariadb.service on web1 is down: killed by SIGKILL (failed/failed)" }, "\(down)")
            try await host.systemctl("start", "mariadb")
            try await host.settle()
            let up = try host.messages().dropFirst(2)
            #expect(up.map(\.route).sorted { ($0 ?? "") < ($1 ?? "") } == ["dba", "web"])
            #expect(up.allSatisfy { $0.subject == "[ok] mariadb.service on web1 is up again" }, "\(up)")
        }
    }

    /// The kernel kills a worker, the unit stays active, and the rate is zero again a second later.
    @Test func aWorkerThatTheKernelKillsIsCriticalAndNotOK() async throws {
        try await InstalledHost.with(
            units: [
                "varnish.service": """
                [Service]
                MemoryMax=60M
                MemorySwapMax=0
                OOMPolicy=continue
                ExecStart=/bin/bash -c 'while [ ! -e /run/eat ]; do sleep 0.1; done; tail /dev/zero; sleep infinity'

                """
            ], starting: ["varnish"],
            rules: ["services.d/varnish.inq": "check service varnish\n  if memory:oom_kills > 0/sec as critical then alert\n"], layout: "legacy",
            hasMarker: true
        ) { host in
            try await host.happens("the kills are counted") {
                try await host.unit("varnish.service")?["metrics"]?["memory:oom_kills"] != nil
            }
            try await host.shell("sleep 3; touch /run/eat")
            try await host.happens("the end of it") { !host.events("rule_recovered").isEmpty }
            try await host.settle()
            let messages = try host.messages()
            let first = try #require(messages.first)
            #expect(first.subject.hasPrefix("[critical] varnish.service on web1: memory:oom_kills is "), "\(messages)")
            #expect(messages.count > 1 || first.subject.hasSuffix(" (recovered)"), "\(messages)")
            #expect(first.text.contains("the kernel"), "\(first.text)")
        }
    }

    /// polkit does not let the agent restart it, and the rule has no `alert`.
    @Test func aFailedActionIsToldEvenWithoutAnAlert() async throws {
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper], starting: ["web"],
            rules: [
                "services.d/web.inq": "check service web with owner shop\n  if uptime > 2s then restart\n",
                "services.d/empty.inq": "# check service api\n", "services.d/team/api.inq": "check service api\n",
            ], routes: ["shop"], hasMarker: true
        ) { host in
            try await host.happens("the action fails") { !host.events("action_failed").isEmpty }
            try await host.settle()
            let messages = try host.messages()
            let shop = messages.filter { $0.route == "shop" }
            #expect(shop.count == 1, "\(messages)")
            #expect(
                shop.first?.subject.hasPrefix("[error] web.service on web1 could not be restarted, although uptime > 2s: ") == true, "\(messages)")
            // At its start the agent has said to the host's owner that it may not.
            let others = messages.filter { $0.route == nil }
            #expect(others.count == 1 && others.allSatisfy { $0.text.contains("polkit") }, "\(messages)")
            #expect(try await host.rollcall("check-config").contains("/etc/rollcall/services.d/team/api.inq: warning: is not read"))
        }
    }
}
