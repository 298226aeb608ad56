import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

/// What the loop itself knows, what daemons say, and what cannot be read.
@Suite struct MeasuringTests {
    private func named(_ family: String, _ name: String? = nil) -> MetricName { MetricName(family, name) }

    @Test func upUptimeAndRestartsAreTheLoopsOwn() throws {
        let bed = try AgentBed([
            .init(name: "puma", rules: [rule(.below, 1, metric: named("up")), rule(.atLeast, 1, metric: named("restarts"))])
        ])
        bed.startWithPuma()
        bed.cycle()
        #expect(bed.sampler.asked["puma"]?.contains("up") == false && bed.sampler.asked["puma"]?.contains("uptime") == false)
        #expect(bed.sink.snapshots.last?.units.first?.samples.contains(Sample("uptime", 15)) == true)
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        bed.cycle()
        #expect(bed.events.dropFirst().map { $0.prefix(14) } == ["rule_failed: u"])
        bed.systemd.runs("puma", run: "B", pid: 2)
        bed.systemd.runs("puma", run: "C", pid: 3, restarts: 1)
        bed.cycle()
        #expect(bed.events.contains { $0.hasPrefix("rule_recovered: up") } && bed.events.contains { $0.hasPrefix("rule_failed: restarts") })
    }

    @Test func latenessIsMeasured() throws {
        let bed = try AgentBed([], cycle: .seconds(15))
        bed.start()
        bed.cycle(after: .seconds(18))
        #expect(bed.sink.snapshots.last?.samples == [Sample("agent:lateness", 3)])
    }

    @Test func workersAreOnlyAskedForWhereARuleWantsThem() throws {
        var each = rule(.above, 500, metric: named("memory", "rss"))
        if case .comparison(var comparison) = each.condition {
            comparison.isOfEachWorker = true
            each.condition = .comparison(comparison)
        }
        let bed = try AgentBed([.init(name: "puma", rules: [each]), .init(name: "redis", rules: [rule(.above, 500)])])
        bed.start()
        bed.systemd.runs("puma")
        bed.systemd.runs("redis", pid: 200)
        bed.sampler.workers["puma"] = [(ProcessIdentity(pid: 7, startTicks: 7), ["memory:rss": 900])]
        bed.cycle()
        #expect(bed.sampler.asked["workers of puma"] == ["memory:rss"])
        #expect(bed.sampler.asked["workers of redis"] == nil)
        #expect(bed.told == ["rule_failed default"])
    }

    @Test func aMetricThatCannotBeReadForThreeCyclesIsAnEvent() throws {
        let bed = try AgentBed([.init(name: "puma", rules: [rule(.above, 500)], route: "web")])
        bed.startWithPuma()
        bed.sampler.absences["memory:total_rss"] = .failed("permission denied")
        // The first cycle was that of the start.
        bed.sampler.units["puma"] = ["memory:total_rss": 1]
        bed.cycle()
        for _ in 0..<2 { bed.cycle(nil) }
        #expect(bed.events == [])
        for _ in 0..<2 { bed.cycle(nil) }
        #expect(bed.events == ["source_failed: memory:total_rss cannot be read: permission denied"])
        #expect(bed.sink.events.last?.unit == "puma.service")
        bed.cycle(1)
        #expect(bed.events.last == "source_recovered: memory:total_rss can be read again")
    }

    @Test func daemonsAreAskedThroughTheRunner() throws {
        let source = DaemonSource(id: "redis.service redis", family: "redis", parameters: [:], metrics: ["used_memory"])
        let redis = WatchPlan.Service(
            name: "redis", rules: [rule(.above, 100, metric: named("redis", "used_memory"))], route: "data", sources: [source])
        let bed = try AgentBed([redis], cycle: .seconds(15))
        bed.start()
        bed.systemd.runs("redis")
        #expect(bed.runner.work == [RunnerWork(interval: .seconds(15), sources: [source])])
        bed.runner.observer?.measured(["redis:used_memory": 150], by: source.id)
        bed.cycle()
        #expect(bed.events == ["rule_failed: redis:used_memory is 150, above 100"])
        // An answer of three intervals ago is no answer.
        bed.cycle()
        bed.cycle()
        #expect(bed.sink.snapshots.last?.units.first?.samples.contains { $0.metric == "redis:used_memory" } == false)
        bed.runner.observer?.sourceFailed(source.id, why: "connection refused")
        #expect(bed.events.count == 1)
        bed.runner.observer?.sourceFailed(source.id, why: "connection refused")
        bed.runner.observer?.sourceFailed(source.id, why: "connection refused")
        #expect(bed.events.last == "source_failed: redis.service redis does not answer: connection refused")
        bed.runner.observer?.measured(["redis:used_memory": 50], by: source.id)
        #expect(bed.events.dropFirst(2) == ["source_recovered: redis.service redis answers again"])
        bed.agent.stop()
        #expect(bed.runner.isStopped)
    }

    /// The event waits for a second look, the number does not.
    @Test func aLookThatFailsEndsTheNumberAtOnce() throws {
        let source = DaemonSource(id: "redis redis", family: "redis", parameters: [:], metrics: ["used_memory"])
        let bed = try AgentBed([
            .init(name: "redis", rules: [rule(.above, 100, metric: named("redis", "used_memory"))], sources: [source])
        ])
        bed.start()
        bed.systemd.runs("redis")
        func hasNumber() -> Bool { bed.sink.snapshots.last?.units.first?.samples.contains { $0.metric == "redis:used_memory" } == true }
        bed.runner.observer?.measured(["redis:used_memory": 50], by: source.id)
        bed.cycle()
        #expect(hasNumber())
        bed.runner.observer?.sourceFailed(source.id, why: "connection refused")
        bed.cycle()
        #expect(!hasNumber() && bed.events == [])
    }

    @Test func theRunnersFailureIsOneOfTheHost() throws {
        let bed = try AgentBed([])
        bed.start()
        bed.runner.observer?.runnerFailed("rollcall-runner failed: it was killed by signal 9")
        bed.runner.observer?.runnerRecovered()
        #expect(bed.events == ["source_failed: rollcall-runner failed: it was killed by signal 9", "source_recovered: rollcall-runner works again"])
        #expect(bed.sink.events.suffix(2).allSatisfy { $0.unit == nil })
    }

    @Test func aStoppedMainProcessIsStuckUntilItGoesOnOrEnds() throws {
        let bed = try AgentBed([.init(name: "puma", route: "web")])
        bed.startWithPuma()
        bed.sampler.states["puma"] = .stopped
        bed.cycle()
        #expect(bed.events == [])
        bed.cycle()
        bed.cycle()
        #expect(bed.events == ["unit_stuck: its main process has been stopped for 15 s (state T)"])
        bed.sampler.states["puma"] = .running
        bed.cycle()
        #expect(bed.told == ["unit_stuck web", "unit_unstuck web"])
    }

    @Test func aMarkIsToldWhenItIsAnother() throws {
        func mark(_ stack: UInt64) -> ExecMark { ExecMark(code: 1, stack: stack, arguments: 1) }
        let bed = try AgentBed([.init(name: "puma")])
        bed.startWithPuma()
        bed.sampler.marks["puma"] = mark(7000)
        bed.cycle()
        bed.cycle()
        bed.sampler.marks["puma"] = mark(8000)
        bed.cycle()
        bed.cycle()
        #expect(bed.sink.marks == ["puma.service 7000", "puma.service 8000"])
        // Another process has a mark of its own, whatever it is.
        bed.systemd.runs("puma", run: "B", pid: 2)
        bed.cycle()
        #expect(bed.sink.marks.suffix(1) == ["puma.service 8000"])
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        bed.cycle()
        bed.systemd.runs("puma", run: "C", pid: 3)
        bed.sampler.marks["puma"] = nil
        bed.cycle()
        #expect(bed.sink.marks.count == 3)
    }

    @Test func aMarkThatIsNotSampledAnyLongerIsTakenBack() throws {
        let bed = try AgentBed([.init(name: "puma")])
        bed.startWithPuma()
        bed.sampler.marks["puma"] = ExecMark(code: 1, stack: 7000, arguments: 1)
        bed.cycle()
        bed.sampler.marks["puma"] = nil
        bed.cycle()
        #expect(bed.sink.marks == ["puma.service 7000", "puma.service none"])
    }

    @Test func whoDependsOnWhatIsDownIsNotToldOf() throws {
        let bed = try AgentBed([
            .init(name: "db", route: "data"), .init(name: "app", rules: [rule(.above, 500)], route: "web", dependencies: ["db"]),
            .init(name: "proxy", route: "net", dependencies: ["app"]),
        ])
        bed.start()
        for (index, name) in ["db", "app", "proxy"].enumerated() { bed.systemd.runs(name, pid: Int32(index) + 1) }
        bed.systemd.tells(.failed, of: "db", restartsByItself: false)
        bed.systemd.tells(.failed, of: "app", restartsByItself: false)
        bed.systemd.tells(.failed, of: "proxy", restartsByItself: false)
        #expect(bed.told == ["unit_down data", "unit_down", "unit_down"])
        #expect(bed.events[1] == "unit_down: failed (failed) (nobody is told, because db.service is down)")
        bed.cycle()
        bed.systemd.runs("db", run: "B", pid: 11)
        bed.systemd.runs("proxy", run: "B", pid: 13)
        bed.cycle()
        #expect(bed.told.dropFirst(3) == ["unit_up data", "unit_up"])
        bed.cycle()
        #expect(bed.told.dropFirst(5) == ["unit_down web"])
        #expect(bed.events.last == "unit_down: is still down: failed (failed)")
    }
}
