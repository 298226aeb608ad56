import AgentAPI
@testable import AgentCore
import Glibc
import Platform
import RuleLanguage
import Testing
import TestKit

private let puma = WatchPlan.Service(name: "puma", rules: [rule(.above, 500, cycles: 2, actions: [.alert(route: nil), .restart])], route: "web")

@Suite struct AgentLoopTests {
    @Test func isReadyAfterTheFirstLookAtEveryUnit() throws {
        let bed = try AgentBed([puma, .init(name: "redis")])
        bed.start()
        #expect(bed.sink.events.map(\.kind) == [.agentStarted])
        bed.systemd.runs("puma")
        bed.turn()
        #expect(!bed.isReady && bed.sink.snapshots.isEmpty, "of redis nothing is known yet")
        bed.systemd.runs("redis", pid: 200)
        #expect(bed.isReady)
        #expect(bed.sampler.cycles == 1)
        #expect(bed.phases == ["puma.service": .up, "redis.service": .up])
        #expect(bed.agent.status == "watching 2 services, 0 down")
        #expect(bed.events == [])
    }

    @Test func aQuietCycleTellsNothingUnlessItsNumbersAreWanted() throws {
        let bed = try AgentBed([puma])
        bed.sink.wantsNumbers = false
        bed.startWithPuma()
        let before = bed.sink.snapshots.count
        #expect(before == 1, "how things are at first is told whatever is wanted")
        for _ in 0..<3 { bed.cycle(100) }
        #expect(bed.sink.snapshots.count == before && bed.sink.cycles == 4)
        // Something happens in a cycle, or between two.
        for _ in 0..<2 { bed.cycle(600) }
        #expect(bed.sink.snapshots.count == before + 1 && bed.sink.snapshots.last?.units.first?.failingRules.count == 1)
        bed.systemd.runs("puma", run: "B", pid: 101)
        bed.turn()
        #expect(bed.sink.snapshots.count > before + 1)
        let later = bed.sink.snapshots.count
        bed.sink.wantsNumbers = true
        bed.cycle(700)
        #expect(bed.sink.snapshots.count == later + 1)
        #expect(bed.sink.snapshots.last?.units.first?.samples.contains(Sample("memory:total_rss", 700)) == true)
    }

    @Test func asksTheInitSystemThatTheServiceNames() throws {
        let bed = try AgentBed([.init(name: "a"), .init(name: "b", pidFile: "/run/b.pid"), .init(name: "c", initSystem: "upstart")])
        bed.start()
        #expect(bed.systemd.watched == [UnitRequest(name: "a")])
        #expect(bed.upstart.watched == [UnitRequest(name: "a"), UnitRequest(name: "c")])
        #expect(bed.pidFiles.watched == [UnitRequest(name: "b", pidFile: "/run/b.pid")])
    }

    @Test func theFirstInitSystemThatKnowsAUnitAnswersForIt() throws {
        let bed = try AgentBed([.init(name: "puma")])
        bed.start()
        bed.upstart.runs("puma", pid: 5)
        #expect(bed.sink.processes == [])
        bed.systemd.runs("puma", pid: 100)
        bed.upstart.tells(.failed, of: "puma")
        bed.turn()
        #expect(bed.events == [])
        #expect(bed.sink.processes == ["puma.service 100"])
        #expect(bed.sink.snapshots.last?.units.first?.initSystem == "systemd")
    }

    @Test func theNextInitSystemAnswersWhenTheFirstDoesNotKnowTheUnit() throws {
        let bed = try AgentBed([.init(name: "puma")])
        bed.start()
        bed.systemd.knowsNothing(of: "puma")
        #expect(bed.events == [])
        bed.upstart.runs("puma")
        #expect(bed.isReady)
        #expect(bed.sink.snapshots.last?.units.first?.initSystem == "upstart")
    }

    @Test func aUnitThatNoInitSystemKnowsIsDownOnceAndUpWhenItAppears() throws {
        let bed = try AgentBed([.init(name: "puma", route: "web")])
        bed.start()
        for _ in 0..<3 {
            bed.systemd.knowsNothing(of: "puma")
            bed.upstart.knowsNothing(of: "puma")
        }
        #expect(bed.events == ["unit_down: no init system here knows puma"])
        #expect(bed.sink.events.last?.routes == ["web"])
        #expect(bed.phases == ["puma": .unknown])
        bed.systemd.runs("puma")
        bed.turn()
        #expect(bed.events.last == "unit_up: is running (active/running)")
        #expect(bed.phases == ["puma.service": .up])
    }

    @Test func aServiceOfAnInitSystemThatIsNotHereIsDown() throws {
        let bed = try AgentBed([.init(name: "puma", initSystem: "runit")])
        bed.start()
        #expect(bed.events == ["unit_down: no init system here knows puma"])
        #expect(bed.isReady)
    }

    @Test func aCrashIsOneEventWithTheOwnersRouteAndASnapshotAtOnce() throws {
        let bed = try AgentBed([puma], time: SystemTime())
        bed.startWithPuma()
        let before = bed.sink.snapshots.count
        bed.processes.end("puma")
        bed.systemd.tells(.failed, of: "puma", exit: .signaled(9))
        bed.systemd.tells(.restarting, of: "puma", exit: .signaled(9))
        #expect(bed.events == ["unit_restarted: killed by SIGKILL; systemd restarts it"])
        #expect(bed.sink.events.last?.routes == ["web"])
        bed.turn()
        #expect(bed.sink.snapshots.count == before + 1)
        #expect(bed.phases == ["puma.service": .changing])
        bed.systemd.runs("puma", run: "B", pid: 200, restarts: 1)
        bed.turn(for: .milliseconds(120))
        #expect(bed.events.count == 1)
        #expect(bed.phases == ["puma.service": .up])
        #expect(bed.sink.processes == ["puma.service 100", "puma.service gone", "puma.service 200"])
        #expect(bed.processes.watched["puma"]?.process.pid == 200)
        #expect(bed.sampler.forgotten == ["puma"])
    }

    @Test func aDeathThatTheInitSystemDoesNotMentionIsToldByATimer() throws {
        let bed = try AgentBed([puma], time: SystemTime())
        bed.startWithPuma()
        bed.processes.end("puma")
        #expect(bed.events == [])
        bed.turn { !bed.events.isEmpty }
        #expect(bed.events == ["unit_down: its main process ended, and systemd has not noticed (active/running)"])
        #expect(bed.systemd.refreshed.first == "puma.service")
    }

    @Test func aMainProcessThatHandedOverWithoutASignalIsAskedForAndFollowed() throws {
        let bed = try AgentBed([puma], time: SystemTime())
        bed.startWithPuma()
        bed.systemd.onRefresh = { bed.systemd.runs("puma", run: "A", pid: 200) }
        bed.processes.end("puma")
        bed.turn { bed.processes.watched["puma"]?.process.pid == 200 }
        bed.turn(for: .milliseconds(100))
        #expect(bed.events == ["unit_restarted: a new main process took over in the same run"])
        #expect(bed.sink.events.last?.importance == nil)
        #expect(bed.phases == ["puma.service": .up])
    }

    @Test func aRuleThatFailsAlertsAndActsOnceAndOnlyAlertsWhenItRecovers() throws {
        let bed = try AgentBed([puma])
        bed.startWithPuma()
        for value in [600.0, 600, 600, 600] { bed.cycle(value) }
        #expect(bed.events == ["rule_failed: memory:total_rss is 600, above 500 for 2 cycles"])
        #expect(bed.systemd.performed == ["restart puma.service"])
        #expect(bed.sink.snapshots.last?.units.first?.failingRules == ["if memory:total_rss > 500 for 2 cycles then alert, restart"])
        bed.systemd.finish()
        bed.systemd.runs("puma", run: "B", pid: 200)
        bed.cycle(100)
        bed.cycle(100)
        #expect(
            bed.events.dropFirst() == [
                "unit_restarted: restarted on request", "action_succeeded: restarted, because memory:total_rss > 500",
                "rule_recovered: memory:total_rss is 100 again, below 500",
            ])
        #expect(bed.systemd.performed.count == 1)
        #expect(bed.sink.snapshots.last?.units.first?.failingRules == [])
        let failed = try #require(bed.sink.events.first { $0.kind == .ruleFailed })
        #expect(failed.routes == ["web"] && failed.importance == .error && failed.unit == "puma.service")
    }

    @Test func theRestartThatARuleAskedForIsNoAlarm() throws {
        let bed = try AgentBed([puma])
        bed.startWithPuma()
        bed.cycle(600)
        bed.cycle(600)
        bed.systemd.runs("puma", job: true)
        bed.systemd.says(
            Observation(
                request: "puma", unit: "puma.service", activity: .stopping, detail: "deactivating/stop-sigterm", run: "A",
                restartsByItself: true, hasJob: true))
        bed.systemd.runs("puma", run: "B", pid: 200)
        bed.systemd.finish()
        bed.turn(for: .milliseconds(100))
        #expect(
            bed.events.dropFirst() == [
                "unit_restarted: restarted on request", "action_succeeded: restarted, because memory:total_rss > 500",
            ])
        #expect(bed.sink.events.first { $0.kind == .unitRestarted }?.importance == nil)
    }

    @Test func aRuleWithoutAnAlertHasNoImportance() throws {
        let service = WatchPlan.Service(name: "puma", rules: [rule(.above, 500, actions: [.restart])])
        let bed = try AgentBed([service])
        bed.startWithPuma()
        bed.cycle(600)
        #expect(bed.sink.events.last?.kind == .ruleFailed)
        #expect(bed.sink.events.last?.importance == nil)
    }

    @Test func anAlertsOwnRouteComesFirst() throws {
        var alerting = rule(.above, 500)
        alerting.actions[0].kind = .alert(route: "dba")
        let bed = try AgentBed([.init(name: "puma", rules: [alerting], route: "web")])
        bed.startWithPuma()
        bed.cycle(600)
        #expect(bed.sink.events.last?.routes == ["dba"])
    }

    @Test func rulesOfAUnitThatIsNotUpAreNotJudged() throws {
        let bed = try AgentBed([puma])
        bed.startWithPuma()
        bed.cycle(600)
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        bed.cycle(600)
        bed.cycle(600)
        #expect(bed.events == ["unit_down: failed (failed)"])
        #expect(bed.sink.snapshots.last?.units.first?.samples == [])
        bed.systemd.runs("puma", run: "B", pid: 200)
        bed.cycle(600)
        #expect(bed.events.count == 2)
        bed.cycle(600)
        #expect(bed.events.last == "rule_failed: memory:total_rss is 600, above 500 for 2 cycles")
    }

    @Test func hostRulesUseTheHostsRouteAndRestartNothing() throws {
        let load = rule(.above, 8, metric: MetricName("load", "1"), actions: [.alert(route: nil), .restart])
        let bed = try AgentBed([], host: [load])
        bed.sampler.host = ["load:1": 9.5, "load:5": .nan]
        bed.start()
        #expect(bed.isReady)
        #expect(bed.sampler.asked["host"] == ["cpu", "load:1", "memory:available", "memory:total", "swap"])
        // Of the host only programs can be run; the configuration says so before.
        #expect(
            bed.events == [
                "rule_failed: load:1 is 9.50, above 8",
                "action_failed: could not be restarted, although load:1 > 8: no init system here knows host",
            ])
        #expect(bed.sink.events.last?.unit == nil && bed.sink.events.last?.routes == ["hosts"])
        #expect(bed.sink.snapshots.last?.samples == [Sample("agent:lateness", 0), Sample("load:1", 9.5)])
    }

    @Test func aSourceThatDoesNotAnswerMakesItsUnitsUnknownNotDown() throws {
        let bed = try AgentBed([puma])
        bed.startWithPuma()
        bed.agent.sourceFailed(bed.systemd, why: "the bus is gone")
        bed.agent.sourceFailed(bed.systemd, why: "the bus is gone")
        bed.turn()
        #expect(bed.events == ["source_failed: systemd: the bus is gone"])
        #expect(bed.phases == ["puma.service": .unknown])
        bed.agent.sourceRecovered(bed.systemd)
        bed.systemd.runs("puma")
        bed.turn()
        #expect(bed.events.dropFirst() == ["source_recovered: systemd answers again"])
        #expect(bed.phases == ["puma.service": .up])
    }

    @Test func aSourceThatDoesNotAnswerAtTheStartDoesNotDelayIt() throws {
        let bed = try AgentBed([puma])
        bed.start()
        bed.upstart.knowsNothing(of: "puma")
        bed.agent.sourceFailed(bed.systemd, why: "no bus")
        #expect(bed.isReady)
        #expect(bed.events == ["source_failed: systemd: no bus"])
        bed.agent.sourceRecovered(bed.systemd)
        bed.systemd.runs("puma")
        bed.turn()
        #expect(bed.phases == ["puma.service": .up])
    }

    @Test func aReloadKeepsTheHistoryOfWhatStays() throws {
        let bed = try AgentBed([puma, .init(name: "redis")])
        bed.start()
        bed.systemd.runs("puma")
        bed.systemd.runs("redis", pid: 200)
        bed.cycle(600)
        var moved = puma
        moved.rules[0].place = Place(line: 9, column: 3)
        moved.rules[0].actions = [Action(.alert(route: nil), place: Place(line: 9, column: 30))]
        bed.agent.reload(WatchPlan(cycle: .seconds(3600), services: [.init(name: "nginx"), moved]))
        #expect(bed.systemd.watched.map(\.name) == ["nginx", "puma"])
        #expect(bed.processes.watched.keys.sorted() == ["puma"])
        #expect(bed.sink.processes.last == "redis.service gone")
        bed.systemd.runs("nginx", pid: 300)
        bed.cycle(600)
        #expect(bed.events == ["rule_failed: memory:total_rss is 600, above 500 for 2 cycles"])
        #expect(bed.systemd.performed == [])
        #expect(bed.sink.snapshots.last?.units.map(\.name) == ["nginx.service", "puma.service"])
        // What is not watched any longer is not heard.
        bed.systemd.tells(.failed, of: "redis", restartsByItself: false)
        #expect(bed.events.count == 1)
    }

    @Test func anEpisodeOfARuleThatIsGoneIsOver() throws {
        let bed = try AgentBed([puma])
        bed.startWithPuma()
        bed.cycle(600)
        bed.cycle(600)
        var other = puma
        other.rules = [rule(.above, 700, cycles: 2)]
        bed.agent.reload(WatchPlan(cycle: .seconds(3600), services: [other]))
        #expect(bed.events.last == "rule_recovered: memory:total_rss > 500 is not checked any longer")
    }

    @Test func aServiceThatMovesToAnotherInitSystemIsHeardFromThere() throws {
        let bed = try AgentBed([.init(name: "puma")])
        bed.start()
        bed.systemd.runs("puma", pid: 100)
        bed.upstart.runs("puma", pid: 5)
        bed.agent.reload(WatchPlan(cycle: .seconds(3600), services: [.init(name: "puma", initSystem: "upstart")]))
        bed.turn()
        #expect(bed.sink.snapshots.last?.units.first?.initSystem == "upstart")
        #expect(bed.processes.watched["puma"]?.process.pid == 5)
        #expect(bed.events == [])
    }

    @Test func cyclesComeByThemselves() throws {
        let bed = try AgentBed([puma], cycle: .milliseconds(20), time: SystemTime())
        bed.startWithPuma()
        bed.turn { bed.sampler.cycles >= 4 }
        #expect(bed.sampler.cycles >= 4)
        bed.agent.reload(WatchPlan(cycle: .seconds(3600), services: [puma]))
        let cycles = bed.sampler.cycles
        bed.turn(for: .milliseconds(100))
        #expect(bed.sampler.cycles == cycles)
    }

    @Test func theServiceManagerHearsFromTheLoopThatItIsAlive() throws {
        let path = "/tmp/rollcall-test-\(randomHex(bytes: 8))"
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        try #require(bound == 0)
        defer {
            close(socket)
            unlink(path)
        }
        let bed = try AgentBed([puma], serviceManager: ServiceManager(address: path, watchdogInterval: .milliseconds(5)))
        bed.startWithPuma()
        var heard: [String] = []
        bed.turn {
            var bytes = [UInt8](repeating: 0, count: 100)
            let count = recv(socket, &bytes, bytes.count, 0)
            if count > 0 { heard.append(String(decoding: bytes[..<count], as: UTF8.self)) }
            return heard.count >= 3
        }
        #expect(heard == ["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"])
    }

    @Test func stoppingSaysSoAndEndsEverything() throws {
        let bed = try AgentBed([puma], cycle: .milliseconds(10), time: SystemTime())
        bed.startWithPuma()
        bed.agent.stop()
        bed.agent.stop()
        let cycles = bed.sampler.cycles
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        bed.turn(for: .milliseconds(60))
        #expect(bed.events == ["agent_stopped: 1.0"])
        #expect(bed.systemd.isStopped && bed.upstart.isStopped)
        #expect(bed.processes.watched.isEmpty)
        #expect(bed.sampler.cycles == cycles)
    }

    @Test func textsFitIntoAReport() throws {
        let bed = try AgentBed([puma])
        bed.startWithPuma()
        bed.agent.sourceFailed(bed.systemd, why: String(repeating: "é", count: 5000))
        #expect((bed.sink.events.last?.detail.utf8.count ?? .max) <= ReportLimits.text)
    }
}
