// What an agent does beside reporting: silences, patterns, actions, state, and what people ask it.

import AgentAPI
import AggregatorCore
import Foundation
import Platform
import SQLiteStore
import TestKit
import Testing

@Suite(.serialized) struct AgentScenarioTests {
    @Test func aDeployIsQuietAndItsEndTellsTheTruth() async throws {
        try await Site.with(layout: "hybrid", rules: ["services.d/fragile.inq": "check service fragile\n"]) { site in
            try await eventually("the agent has reported the unit") {
                try await site.store().units(ofService: nil).contains { $0.state.name == "fragile.service" && $0.state.phase == .up }
            }
            try await site.rollcall("deploy", "start", "fragile", "--reason", "v42")
            _ = try await site.kill("fragile")
            try await eventually("the death is stored") { try await site.events().contains { $0.kind == .unitDown } }
            #expect(try await site.rollcall("status").contains("down, deploy"))
            try await Task.sleep(for: .seconds(2))
            #expect(try site.mail.mails().isEmpty, "nobody is told during a deploy")

            // What is broken at its end is told.
            try await site.rollcall("deploy", "finish", "fragile")
            try await eventually("the mail about what the deploy broke arrives") {
                try site.mail.mails().contains { $0.data.contains("fragile.service") }
            }
            let finished = try #require(try await site.events().first { $0.kind == .deployFinished })
            #expect(finished.detail.contains("v42") == false && finished.detail.contains("fragile.service is down"))
            try await site.onHost("systemctl", "reset-failed", "fragile")
            try await site.onHost("systemctl", "start", "fragile")
            try await eventually("fragile passes on the pages") { try await site.store().service("fragile.service")?.status == .passing }
        }
    }

    @Test func patternsFailedUnitsAndWhatWasSaidBeforeARestart() async throws {
        let rules = [
            "services.d/worker.inq": "check service worker@*\n  if down then start\n",
            "services.d/failed.inq": "check failed units\n",
            "services.d/victim.inq": "check service victim\n  if uptime > 0 as warning then alert\n",
        ]
        try await Site.with(layout: "unified", rules: rules) { site in
            try await site.onHost("systemctl", "start", "worker@1")
            try await eventually("the instance is found") {
                try await site.store().units(ofService: nil).contains { $0.state.name == "worker@1.service" && $0.state.phase == .up }
            }
            // polkit lets the agent start this one unit, and nothing else.
            _ = try await site.kill("worker@1")
            try await eventually("the rule has started it") {
                try await site.events().contains { $0.kind == .actionSucceeded && $0.unit == "worker@1.service" }
            }
            try await site.onHost("systemctl", "start", "oops")
            try await eventually("the failed unit is told of") {
                try await site.events().contains { $0.kind == .unitDown && $0.unit == "oops.service" && $0.detail.contains("status 3") }
            }
            // A rule that fails is not told again by the agent's next life.
            try await eventually("the rule fails") { try await site.events().contains { $0.kind == .ruleFailed && $0.unit == "victim.service" } }
            try await site.onHost("systemctl", "restart", "rollcall-agent")
            try await eventually("the agent is back") { try await site.events().filter { $0.kind == .agentStarted }.count == 2 }
            try await Task.sleep(for: .seconds(3))
            #expect(try await site.events().filter { $0.kind == .ruleFailed && $0.unit == "victim.service" }.count == 1)
            #expect(try await site.rollcall("explain", "victim").contains("failing since"))
            #expect(try await site.rollcall("show", "victim", "uptime").contains("victim.service uptime min"))
        }
    }
}

extension Site {
    /// As root on the host.
    @discardableResult
    fileprivate func rollcall(_ words: String...) async throws -> String {
        try await onHost("bash", "-c", ([built("rollcall")] + words).map { "'\($0)'" }.joined(separator: " "))
    }
}
