// A real systemd, real units, the agent under its own unit file, the aggregator, a real mail server.

import AgentAPI
import AggregatorCore
import Foundation
import Platform
import SQLiteStore
import TestKit
import Testing

@Suite(.serialized) struct HostScenarioTests {
    @Test(arguments: ["unified", "hybrid"])
    func everyCrashIsOneEventAtOnceAndNothingIsLostWhileTheAggregatorIsAway(layout: String) async throws {
        try await Site.with(
            layout: layout, rules: ["services.d/victim.inq": "check service victim\n", "services.d/fragile.inq": "check service fragile\n"]
        ) { site in
            try await eventually("the agent has reported both units") {
                try await Set(site.store().units(ofService: nil).filter { $0.state.phase == .up }.map(\.state.name)) == [
                    "victim.service", "fragile.service",
                ]
            }

            // Twenty crashes that systemd repairs.
            var killed: [Timestamp] = []
            for number in 1...20 {
                let pid = try await site.mainPID(of: "victim")
                killed.append(try await site.kill("victim"))
                try await eventually("victim is back after crash \(number)") {
                    let now = try await site.mainPID(of: "victim")
                    return now != "0" && now != pid
                }
            }
            // One that it does not, and the repair by a person.
            let fragileKilled = try await site.kill("fragile")
            try await eventually("fragile is down on the pages") {
                try await site.store().service("fragile.service")?.status == .error
            }
            try await site.onHost("systemctl", "reset-failed", "fragile")
            try await site.onHost("systemctl", "start", "fragile")
            try await eventually("fragile passes on the pages") { try await site.store().service("fragile.service")?.status == .passing }

            try await eventually("twenty restarts are stored") { try await site.events().filter { $0.kind == .unitRestarted }.count >= 20 }
            var events = try await site.events()
            let restarts = events.filter { $0.kind == .unitRestarted }
            #expect(restarts.count == 20)
            #expect(restarts.allSatisfy { $0.unit == "victim.service" && $0.cause == .failure && $0.detail.contains("killed by SIGKILL") })
            #expect(events.filter { $0.unit == "victim.service" && $0.kind != .unitRestarted } == [])
            let down = events.filter { $0.unit == "fragile.service" }
            #expect(down.map(\.kind) == [.unitDown, .unitUp])
            #expect(down[0].detail.contains("killed by SIGKILL"))

            // Each within 100 ms of the kill; what it took is printed.
            let latencies = (zip(restarts, killed).map { ($0.at - $1).inSeconds } + [(down[0].at - fragileKilled).inSeconds]).sorted()
            print(
                "kill -9 to event, \(layout): median \(milliseconds(latencies[latencies.count / 2])), worst \(milliseconds(latencies.last ?? 0)), of \(latencies.count)"
            )
            #expect(latencies.allSatisfy { (0...0.1).contains($0) })

            // The mails: what, where, why, when; and the recovery.
            try await eventually("the mails about fragile arrive") {
                try site.mail.mails().filter { $0.subject.contains("fragile.service") }.count >= 2
            }
            let mails = try site.mail.mails().filter { $0.subject.contains("fragile.service") }
            #expect(mails.count == 2)
            for part in [
                "fragile.service", "web1", "killed by SIGKILL",
                down[0].at.text(fraction: false).replacing("T", with: " ").replacing("Z", with: " UTC"),
            ] { #expect(mails[0].data.contains(part)) }
            #expect(mails[1].subject.hasPrefix("[ok]"))

            // Away: a crash, a death and a repair that nobody hears of until it is back.
            try await site.killAggregator()
            _ = try await site.kill("victim")
            _ = try await site.kill("fragile")
            try await Task.sleep(for: .seconds(2))
            try await site.onHost("systemctl", "reset-failed", "fragile")
            try await site.onHost("systemctl", "start", "fragile")
            try await Task.sleep(for: .seconds(1))
            try await site.startAggregator()
            try await eventually("what happened meanwhile is stored", within: .seconds(90)) {
                try await site.events().filter { $0.unit == "fragile.service" }.count >= 4
            }
            events = try await site.events()
            #expect(events.map(\.sequence) == Array(1...UInt64(events.count)))
            #expect(events.map(\.at) == events.map(\.at).sorted())
            #expect(events.filter { $0.unit == "fragile.service" }.map(\.kind) == [.unitDown, .unitUp, .unitDown, .unitUp])
            #expect(events.filter { $0.kind == .unitRestarted }.count == 21)
            try await eventually("both mails of the second death arrive") {
                try site.mail.mails().filter { $0.subject.contains("fragile.service") }.count >= 4
            }
            try await Task.sleep(for: .seconds(1))
            let subjects = try site.mail.mails().map(\.subject).filter { $0.contains("fragile.service") }
            #expect(subjects.map { $0.hasPrefix("[ok]") } == [false, true, false, true])
        }
    }

    @Test(arguments: ["unified", "hybrid"])
    func aRuleReloadsOnceAndAnotherRestartsOncePerEpisode(layout: String) async throws {
        try await Site.with(
            layout: layout,
            rules: [
                "services.d/grower.inq": "check service grower\n  if memory:total_rss > 150m for 2 cycles then alert team, reload\n",
                "services.d/greedy.inq": "check service greedy\n  if memory:total_rss > 150m for 2 cycles then restart\n",
            ]
        ) { site in
            try await eventually("both units are sampled") {
                let units = try await site.store().units(ofService: nil)
                return units.count == 2 && units.allSatisfy { $0.state.samples.contains { $0.metric == "memory:total_rss" } }
            }

            try await site.onHost("systemctl", "kill", "--signal=USR1", "--kill-whom=main", "grower")
            try await eventually("the reload is stored") {
                try await site.events().contains { $0.kind == .actionSucceeded && $0.unit == "grower.service" }
            }
            try await eventually("the rule recovers") {
                try await site.events().contains { $0.kind == .ruleRecovered && $0.unit == "grower.service" }
            }

            let before = try await site.mainPID(of: "greedy")
            try await site.onHost("systemctl", "kill", "--signal=USR1", "--kill-whom=main", "greedy")
            try await eventually("the restart is stored") {
                try await site.events().contains { $0.kind == .actionSucceeded && $0.unit == "greedy.service" }
            }
            try await eventually("the rule recovers") {
                try await site.events().contains { $0.kind == .ruleRecovered && $0.unit == "greedy.service" }
            }
            let after = try await site.mainPID(of: "greedy")
            #expect(after != before)

            // Nothing more happens on recovery, nor in the cycles after it.
            try await Task.sleep(for: .seconds(4))
            let events = try await site.events()
            #expect(try await site.onHost("cat", "/run/grower.reloads") == "1")
            // The reload is called done when the unit has shown that it lives with it; the memory may be back before that.
            let ofGrower = events.filter { $0.unit == "grower.service" }.map(\.kind)
            #expect(ofGrower.first == .ruleFailed && ofGrower.count == 3)
            #expect(Set(ofGrower) == [.ruleFailed, .actionSucceeded, .ruleRecovered])
            #expect(try await site.mainPID(of: "greedy") == after)
            #expect(
                Set(events.filter { $0.unit == "greedy.service" }.map(\.kind)) == [.ruleFailed, .actionSucceeded, .unitRestarted, .ruleRecovered])
            #expect(events.filter { $0.unit == "greedy.service" && $0.kind == .unitRestarted }.map(\.cause) == [.request])

            try await eventually("alert and recovery arrive") { try site.mail.mails().filter { $0.to == ["team@example.test"] }.count >= 2 }
            let mails = try site.mail.mails().filter { $0.to == ["team@example.test"] }
            #expect(mails.count == 2)
            #expect(mails[0].data.contains("memory:total_rss"))
            #expect(mails[1].subject.hasPrefix("[ok]"))
        }
    }

    @Test func aFaultyConfigurationNeverStartsAndAReloadKeepsTheOldOne() async throws {
        try await Site.with(layout: "unified", rules: ["services.d/victim.inq": "check service victim\n"]) { site in
            try await eventually("the agent has reported") { try await site.store().units(ofService: nil).map(\.state.name) == ["victim.service"] }

            // Three faults in two files.
            try await site.onHost(
                "bash", "-c",
                "printf 'check service fragile\\n  if memory:rss > 12q then alert\\n  if cpu:user > 1 then restat\\n' > /etc/rollcall/services.d/fragile.inq"
            )
            try await site.onHost("bash", "-c", "printf 'check host\\n  if lode:1 > 3 then alert\\n' > /etc/rollcall/host.inq")
            let check = try await ChildProcess.run(
                bed("systemd"), ["enter", "-d", site.folder.path + "/bed", built("rollcall-agent"), "--config", "/etc/rollcall"])
            #expect(check.status == 78)
            for place in ["fragile.inq:2:19", "fragile.inq:3:24", "host.inq:2:"] { #expect(check.text.contains(place), "\(check.text)") }

            let pid = try await site.mainPID(of: "rollcall-agent")
            // `systemctl reload` says so at once; a HUP from elsewhere finds the same.
            await #expect(throws: NeverHappened.self) { try await site.onHost("systemctl", "reload", "rollcall-agent") }
            try await site.onHost("systemctl", "kill", "--signal=HUP", "--kill-whom=main", "rollcall-agent")
            try await Task.sleep(for: .seconds(2))
            #expect(try await site.mainPID(of: "rollcall-agent") == pid)
            #expect(try await site.onHost("journalctl", "-u", "rollcall-agent", "-o", "cat").contains("fragile.inq:3:24"))
            _ = try await site.kill("victim")
            try await eventually("the old configuration still watches") { try await site.events().contains { $0.kind == .unitRestarted } }

            // Repaired: the reload takes it, and what was watched keeps its history.
            try await site.onHost("bash", "-c", "rm /etc/rollcall/host.inq; echo 'check service fragile' > /etc/rollcall/services.d/fragile.inq")
            try await site.onHost("systemctl", "reload", "rollcall-agent")
            try await eventually("the new unit is watched") {
                try await site.store().units(ofService: nil).map(\.state.name).sorted() == ["fragile.service", "victim.service"]
            }
            #expect(try await site.mainPID(of: "rollcall-agent") == pid)

            // An agent that falls silent is noticed, and so is its return.
            try await site.onHost("systemctl", "stop", "rollcall-agent")
            try await eventually("the silent host is critical", within: .seconds(90)) {
                try await site.store().service("host web1")?.status == .critical
            }
            try await site.onHost("systemctl", "start", "rollcall-agent")
            try await eventually("the host is back", within: .seconds(60)) { try await site.store().service("host web1")?.status == .passing }
        }
    }
}

private func milliseconds(_ seconds: Double) -> String { "\((seconds * 10_000).rounded() / 10) ms" }
