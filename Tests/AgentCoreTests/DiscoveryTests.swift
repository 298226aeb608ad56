import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

/// One request, many units.
@Suite struct DiscoveryTests {
    private let sidekiqs = WatchPlan.Service(
        name: "sidekiq@*", kind: .pattern, exceptions: ["sidekiq@test"], rules: [rule(.above, 500)], route: "jobs")

    @Test func everyUnitThatMatchesIsWatchedWithTheRulesOfThePattern() throws {
        let bed = try AgentBed([sidekiqs])
        bed.start()
        #expect(bed.isReady)
        #expect(bed.systemd.watched == [UnitRequest(name: "sidekiq@*", kind: .pattern)])
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", pid: 1)
        bed.systemd.finds("sidekiq@2.service", for: "sidekiq@*", pid: 2)
        bed.systemd.finds("sidekiq@test.service", for: "sidekiq@*", pid: 3)
        bed.sampler.units["sidekiq@* sidekiq@2.service"] = ["memory:total_rss": 600]
        bed.cycle()
        #expect(bed.phases == ["sidekiq@1.service": .up, "sidekiq@2.service": .up])
        #expect(bed.told == ["rule_failed jobs"])
        #expect(bed.sink.events.last?.unit == "sidekiq@2.service")
    }

    @Test func aUnitThatIsGoneIsDownAndThenForgotten() throws {
        let bed = try AgentBed([sidekiqs], time: SystemTime())
        bed.start()
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*")
        bed.systemd.loses("sidekiq@1.service", for: "sidekiq@*")
        bed.turn { !bed.events.isEmpty }
        bed.turn()
        #expect(bed.events == ["unit_down: no init system here knows sidekiq@1.service any longer"])
        #expect(bed.phases == [:] && bed.processes.watched.isEmpty)
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", pid: 200)
        bed.turn()
        #expect(bed.events.count == 1)
        #expect(bed.phases == ["sidekiq@1.service": .up])
    }

    @Test func whatMerelyMatchesAndNeverRanIsNotMissed() throws {
        let bed = try AgentBed([sidekiqs])
        bed.start()
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", .stopped)
        bed.turn()
        #expect(bed.events == [] && bed.phases == [:])
    }

    @Test func anExplicitCheckWins() throws {
        let explicit = WatchPlan.Service(name: "sidekiq@1", route: "me")
        let bed = try AgentBed([sidekiqs, explicit])
        bed.start()
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", pid: 7)
        bed.systemd.runs("sidekiq@1", pid: 7)
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", pid: 7)
        bed.turn()
        #expect(bed.phases == ["sidekiq@1.service": .up])
        bed.systemd.tells(.failed, of: "sidekiq@1", restartsByItself: false)
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", .failed)
        #expect(bed.told == ["unit_down me"])
    }

    @Test func anyFailedUnitIsToldUntilItIsNotFailedAnyLonger() throws {
        let any = WatchPlan.Service(name: "failed units", kind: .failed, route: "ops")
        let bed = try AgentBed([any, .init(name: "puma")], time: SystemTime())
        bed.start()
        bed.systemd.runs("puma")
        bed.systemd.finds("backup.service", for: "failed units", .failed, exit: .exited(status: 2))
        // Checked by its own name.
        bed.systemd.finds("puma.service", for: "failed units", .failed)
        bed.turn { !bed.events.isEmpty }
        #expect(bed.events == ["unit_down: failed: exited with status 2 (failed)"])
        bed.systemd.loses("backup.service", for: "failed units")
        bed.turn()
        #expect(bed.events.last == "unit_up: is no longer failed")
        #expect(bed.told == ["unit_down ops", "unit_up ops"])
        #expect(bed.phases == ["puma.service": .up])
    }

    @Test func aReloadKeepsWhatWasFoundAndDropsWhatNobodyWants() throws {
        let bed = try AgentBed([sidekiqs, .init(name: "getty@*", kind: .pattern)])
        bed.start()
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*", pid: 1)
        bed.systemd.finds("getty@1.service", for: "getty@*", pid: 2)
        bed.agent.reload(WatchPlan(cycle: .seconds(3600), services: [sidekiqs]))
        bed.turn()
        #expect(bed.phases == ["sidekiq@1.service": .up])
        #expect(bed.events == [])
    }
}
