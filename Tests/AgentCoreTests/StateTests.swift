import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

/// Two lives of one agent.
@Suite struct StateTests {
    private let folder: TemporaryFolder
    private let puma = WatchPlan.Service(name: "puma", rules: [rule(.above, 500, actions: [.alert(route: nil), .restart])])

    init() throws { folder = try TemporaryFolder() }

    private func life(_ jobs: [Job] = [], services: [WatchPlan.Service]? = nil, timers: [String] = []) throws -> AgentBed {
        let bed = try AgentBed(
            services ?? [puma, .init(name: "redis")], cycle: .seconds(15), jobs: jobs, timers: timers.map { .init(pattern: $0, route: "night") },
            stateFolder: folder.path)
        bed.start()
        return bed
    }

    @Test func aRuleThatFailsIsNotToldAgainAndItsRecoveryIs() throws {
        let first = try life()
        first.systemd.runs("puma")
        first.systemd.runs("redis", pid: 200)
        first.cycle(600)
        #expect(first.told == ["rule_failed default"])
        first.agent.stop()

        let second = try life()
        second.systemd.runs("puma")
        second.systemd.runs("redis", pid: 200)
        second.cycle(600)
        #expect(second.told == [] && second.systemd.performed == [])
        second.cycle(100)
        #expect(second.told == ["rule_recovered default"])
    }

    @Test func aUnitThatIsDownIsNotToldAgainAndThatItIsUpIs() throws {
        let first = try life()
        first.systemd.runs("redis", pid: 200)
        first.upstart.knowsNothing(of: "puma")
        first.systemd.tells(.failed, of: "puma", restartsByItself: false)
        #expect(first.told == ["unit_down default"])
        first.agent.stop()

        let second = try life()
        second.systemd.runs("redis", pid: 200)
        second.upstart.knowsNothing(of: "puma")
        second.systemd.tells(.failed, of: "puma", restartsByItself: false)
        #expect(second.told == [])
        second.systemd.runs("puma", run: "B", pid: 300)
        #expect(second.told == ["unit_up default"])
    }

    @Test func windowsRestartsJobsAndLimitsSurvive() throws {
        let job = Job(name: "sync", schedule: .every(.seconds(60)), place: Place(line: 1, column: 1))
        let first = try life([job])
        first.systemd.runs("redis", pid: 200)
        first.systemd.runs("puma")
        first.systemd.runs("puma", run: "B", pid: 300, restarts: 2)
        _ = first.ask(.startDeploy(units: ["puma"], owner: nil, reason: nil, length: .seconds(600)))
        first.cycle(after: .seconds(121))
        #expect(first.told.last == "job_overdue night")
        first.agent.stop()

        let second = try life([job])
        second.systemd.runs("redis", pid: 200)
        second.systemd.runs("puma", run: "B", pid: 300)
        second.cycle(600)
        #expect(second.told == [])
        #expect(second.ask(.export).json["services"]?["puma.service"]?["restarts"] == 2)
        #expect(second.ask(.finishDeploy(units: [], owner: nil)).isGood)
        #expect(second.ask(.jobs).text.contains("overdue"))
    }

    @Test func aTimerWhoseRunFailedIsNotToldAgainAndItsNextGoodRunIs() throws {
        let began = Timestamp(microseconds: 1_795_000_000_123_456)
        func tidy(_ status: Int32, at start: Timestamp) -> DiscoveredJob {
            DiscoveredJob(
                name: "tidy.timer", unit: "tidy.service", lastStart: start, nextDue: nil, isRunning: false, lastExit: .exited(status: status))
        }
        let first = try life(timers: ["tidy"])
        first.agent.job(tidy(3, at: began))
        #expect(first.told == ["job_failed night"])
        first.agent.stop()

        let second = try life(timers: ["tidy"])
        // Nobody has seen the timer yet when this life ends.
        #expect(second.told == [])
        second.agent.stop()

        let third = try life(timers: ["tidy"])
        third.agent.job(tidy(3, at: began))
        #expect(third.told == [])
        third.agent.job(tidy(4, at: began + .seconds(60)))
        third.agent.job(tidy(0, at: began + .seconds(120)))
        #expect(third.told == ["job_failed", "job_ran night"])
        third.agent.stop()

        let fourth = try life(timers: ["tidy"])
        fourth.agent.job(tidy(5, at: began + .seconds(180)))
        #expect(fourth.told == ["job_failed night"])
        fourth.agent.stop()

        // A job that nobody wants to hear of is forgotten.
        try life(timers: []).agent.stop()
        let last = try life(timers: ["tidy"])
        last.agent.job(tidy(5, at: began + .seconds(180)))
        #expect(last.told == ["job_failed night"])
    }

    private let app = [
        WatchPlan.Service(name: "db"), .init(name: "puma", rules: [rule(.above, 500)], route: "web", dependencies: ["db"]),
    ]

    /// The database is down and the application too large, which was therefore told to nobody.
    private func lifeWithTheDatabaseDown() throws {
        let first = try life(services: app)
        first.systemd.runs("db", pid: 200)
        first.systemd.runs("puma")
        first.systemd.tells(.failed, of: "db", restartsByItself: false)
        first.cycle(600)
        #expect(first.told == ["unit_down default", "rule_failed"])
        first.agent.stop()
    }

    @Test func whatADependencyKeptFromPeopleStaysUntoldAndSoDoesItsEnd() throws {
        try lifeWithTheDatabaseDown()
        let second = try life(services: app)
        second.systemd.tells(.failed, of: "db", restartsByItself: false)
        second.systemd.runs("puma")
        second.cycle(600)
        second.cycle(100)
        #expect(second.told == ["rule_recovered"])
    }

    @Test(arguments: [true, false])
    func whatADependencyKeptFromPeopleIsToldWhenItIsBack(whileNobodyLooked: Bool) throws {
        try lifeWithTheDatabaseDown()
        let second = try life(services: app)
        if !whileNobodyLooked { second.systemd.tells(.failed, of: "db", restartsByItself: false) }
        second.systemd.runs("puma")
        second.systemd.runs("db", run: "B", pid: 201)
        for _ in 0..<3 { second.cycle(600) }
        #expect(second.told == ["unit_up default", "rule_failed web"])
        second.cycle(100)
        #expect(second.told.last == "rule_recovered web")
    }

    @Test func aUnitThatIsStuckIsNotToldAgainAndThatItGoesOnIs() throws {
        let first = try life()
        first.systemd.runs("puma")
        first.systemd.runs("redis", pid: 200)
        first.sampler.states["puma"] = .stopped
        first.cycle(1)
        first.cycle(1)
        #expect(first.told == ["unit_stuck default"])
        first.agent.stop()

        let second = try life()
        second.systemd.runs("puma")
        second.systemd.runs("redis", pid: 200)
        second.sampler.states["puma"] = .stopped
        second.cycle(1)
        second.cycle(1)
        #expect(second.told == [])
        second.sampler.states["puma"] = .running
        second.cycle(1)
        #expect(second.told == ["unit_unstuck default"])
    }

    /// Nobody calls `stop` on an agent that is killed.
    @Test func whatWasToldAndAskedForSurvivesAnEndWithoutAWord() throws {
        let first = try life()
        first.systemd.runs("redis", pid: 200)
        first.systemd.runs("puma")
        first.cycle(600)
        #expect(first.told == ["rule_failed default"])
        #expect(first.ask(.stopMonitoring(units: ["redis"], reason: nil, length: nil)).isGood)
        first.turn { saved.contains("redis") && saved.contains("failing") }

        // One that dies before it has seen its units loses nothing of them.
        let second = try life()
        second.cycle()
        second.turn(for: .milliseconds(300))
        #expect(saved.contains("failing"))

        let third = try life()
        third.systemd.runs("puma")
        third.upstart.knowsNothing(of: "redis")
        third.systemd.tells(.failed, of: "redis", restartsByItself: false)
        third.cycle(600)
        #expect(third.told == ["unit_down"])
    }

    private var saved: String { (try? AtomicFile.read("\(folder.path)/watch-state.json")).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    @Test(arguments: [
        "", "{", "[]", "{\"version\":9}", "{\"version\":1,\"units\":{\"puma\":3},\"limits\":[],\"host\":7,\"silences\":{\"windows\":[{}]}}",
    ])
    func whatIsDamagedIsPutAside(text: String) throws {
        try folder.write(text, to: "watch-state.json")
        let bed = try life()
        bed.systemd.runs("puma")
        bed.systemd.runs("redis", pid: 200)
        #expect(bed.isReady && bed.events == [])
        #expect(try folder.names().contains("watch-state.json.damaged") == !text.hasPrefix("{\"version\":1"))
    }
}
