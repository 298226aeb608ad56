// What a new user sees: the agent as it is installed, in its sandbox, telling people itself.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct InstalledScenarioTests {
    @Test func whatIsInstalledIsWhatTheMakefileInstalls() async throws {
        try await InstalledHost.with(rules: ["services.d/web.inq": "check service web\n"]) { host in
            let unit = try await host.systemctl("cat", "rollcall-agent")
            #expect(unit.hasPrefix("# /usr/local/lib/systemd/system/rollcall-agent.service\n"))
            #expect(unit.contains("SystemCallFilter=~@privileged @resources") && !unit.contains("/etc/systemd/system/"))
            #expect(try await host.property("NRestarts", of: "rollcall-agent") == "0")
            let status = try await host.run("/bin/cat", "/proc/\(host.mainPID(of: "rollcall-agent"))/status")
            #expect(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1") && !status.contains("Uid:\t0\t"))
            for name in ["rollcall", "rollcall-agent", "rollcall-aggregator", "rollcall-runner", "verify-token"] {
                #expect(try await host.run("/usr/local/bin/\(name)", "--version").contains("."), "\(name)")
            }
            #expect(try await host.run("/usr/bin/id", "-Gn", "rollcall-agent") == "rollcall-agent")
            #expect(host.events("agent_started").count == 1)
            #expect(try await host.rollcall("status").contains("watching 1 service"))
        }
    }
}
