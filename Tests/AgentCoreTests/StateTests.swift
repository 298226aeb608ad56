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

    private func life(_ jobs: [Job] = []) throws -> AgentBed {
        let bed = try AgentBed([puma, .init(name: "redis")], cycle: .seconds(15), jobs: jobs, stateFolder: folder.path)
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
        first.systemd.tells(.failed, of: "puma", restartsByItself: false)
        #expect(first.told == ["unit_down default"])
        first.agent.stop()

        let second = try life()
        second.systemd.runs("redis", pid: 200)
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
