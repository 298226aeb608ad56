// The installed agent, its runner, and a real Redis that comes and goes.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct DaemonScenarioTests {
    @Test func aDaemonIsAskedAndItsSilenceIsNeverANumber() async throws {
        try await InstalledHost.with(
            units: ["redis.service": "[Service]\nExecStart=/usr/bin/redis-server /etc/redis-here.conf\n"],
            files: ["/etc/redis-here.conf": "bind 127.0.0.1\nport 6379\ndir /var/tmp\nrequirepass \"correct horse\"\nsave \"\"\n"],
            starting: ["redis"],
            rules: [
                "services.d/redis.inq": """
                check service redis with port 6379, password_file /etc/rollcall/redis-password
                  if redis:connected_clients > 2 for 2 cycles then alert
                """
            ], secrets: ["redis-password": "correct horse\n"]
        ) { host in
            func value() async throws -> Double? { try await host.unit("redis.service")?["metrics"]?["redis:connected_clients"]?.number }
            try await host.happens("the first value") { try await value() == 1 }

            // It breaches, and recovers.
            let visitors = try host.spawn(
                "/bin/bash", "-c", "for number in 3 4 5 6 7; do eval \"exec $number<>/dev/tcp/127.0.0.1/6379\"; done; exec cat")
            try await host.happens("the alert") { try host.messages().contains { $0.tells("rule_failed", of: "redis.service") } }
            #expect(try await host.rollcall("status").contains("redis:connected_clients > 2"))
            visitors.endInput()
            try await host.happens("the end of the alert") { try host.messages().contains { $0.tells("rule_recovered", of: "redis.service") } }

            // It goes away: it is down and its numbers are not there.
            try await host.kill("redis")
            try await host.happens("a source that fails") { host.events("source_failed", of: "redis.service").count == 1 }
            try await host.happens("the value's end") { try await value() == nil }
            #expect(try #require(host.events("source_failed").first).detail.contains("redis"))
            #expect(try await host.rollcall("explain", "redis").contains("cannot be judged now"))
            #expect(try await host.unit("redis.service")?["state"] == "down")

            // Back again.
            try await host.systemctl("start", "redis")
            try await host.happens("the source's return") { host.events("source_recovered", of: "redis.service").count == 1 }
            try await host.happens("a value") { try await value() == 1 }

            // The runner dies, and another one goes on.
            func runner() async throws -> String { try await host.end(of: "/usr/bin/pgrep", ["-x", "rollcall-runner"]).output }
            let first = try await runner()
            try await host.shell("kill -KILL \(first)")
            try await host.happens("the failure of the runner") { host.events("source_failed").count == 2 }
            #expect(host.events("source_failed")[1].detail.contains("rollcall-runner failed: it was killed by signal 9"))
            try await host.happens("another runner") {
                let now = try await runner()
                return !now.isEmpty && now != first
            }
            try await host.happens("its recovery") { host.events("source_recovered").count == 2 }
            try await host.happens("its values") { try await value() == 1 }
            // What was seen was never anything but the truth.
            #expect(try await host.rollcall("history").split(separator: "\n").filter { $0.contains("\"redis:connected_clients\":0") } == [])
        }
    }
}
