// The agent's reduced profile: a user of its own, and nothing else.

import AgentAPI
import AggregatorCore
import Foundation
import Platform
import SQLiteStore
import TestKit
import Testing

@Suite(.serialized) struct ReducedProfileScenarioTests {
    @Test func withoutAnyCapabilityItWatchesAndSaysWhatItCannotSee() async throws {
        let rules = [
            "services.d/victim.inq": "check service victim\n  if io:read > 1t/sec then alert\n  if memory:rss > 1k for 3s then restart\n",
            "services.d/fragile.inq": "check service fragile\n",
        ]
        try await Site.with(layout: "unified", rules: rules) { site in
            let profile = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../init/systemd/rollcall-agent.service.d").standardizedFileURL.path
            try await site.onHost(
                "bash", "-c",
                """
                rm /etc/polkit-1/rules.d/49-rollcall-agent.rules
                install -D -m 644 \(profile)/without-capabilities.conf -t /etc/systemd/system/rollcall-agent.service.d/
                systemctl daemon-reload && systemctl restart rollcall-agent
                """)
            let pid = try await site.mainPID(of: "rollcall-agent")
            let status = try await site.onHost("cat", "/proc/\(pid)/status")
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] { #expect(status.contains("\(set):\t0000000000000000"), "\(set)") }
            #expect(!status.contains("Uid:\t0\t"))

            // It lives, and its numbers are there.
            try await eventually("both units are up and measured") {
                let units = try await site.store().units(ofService: nil)
                return units.count == 2 && units.allSatisfy { $0.state.phase == .up && $0.state.samples.contains { $0.metric == "memory:rss" } }
            }
            // What it may not see it says: once, with what would help.
            try await eventually("the source that fails") {
                try await site.events().contains { $0.kind == .sourceFailed && $0.unit == "victim.service" && $0.detail.contains("CAP_SYS_PTRACE") }
            }
            let words = try await site.onHost("\(built("rollcall"))", "explain", "victim")
            #expect(words.contains("unknown, permission denied"), "\(words)")
            // What it may not do, too.
            try await eventually("the refusal") {
                try await site.events().contains { $0.kind == .actionFailed && $0.unit == "victim.service" && $0.detail.contains("polkit") }
            }

            // Life and death need no privilege.
            let killed = try await site.kill("victim")
            try await eventually("the crash that systemd repairs") {
                try await site.events().contains { $0.kind == .unitRestarted && $0.unit == "victim.service" && $0.at > killed }
            }
            _ = try await site.kill("fragile")
            try await eventually("the death") {
                try await site.events().contains { $0.kind == .unitDown && $0.unit == "fragile.service" && $0.detail.contains("killed by SIGKILL") }
            }
            try await site.onHost("systemctl", "reset-failed", "fragile")
            try await site.onHost("systemctl", "start", "fragile")
            try await eventually("the return") { try await site.events().contains { $0.kind == .unitUp && $0.unit == "fragile.service" } }
            #expect(try await site.mainPID(of: "rollcall-agent") == pid)
            #expect(try await site.onHost("systemctl", "show", "-P", "NRestarts", "rollcall-agent") == "0")
        }
    }
}
