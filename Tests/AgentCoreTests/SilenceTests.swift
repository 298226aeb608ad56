import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

/// Deploy windows and units that nobody wants watched.
@Suite struct SilenceTests {
    private let puma = WatchPlan.Service(name: "puma", rules: [rule(.above, 500, cycles: 2, actions: [.alert(route: nil), .restart])], route: "web")

    private func bed() throws -> AgentBed {
        let bed = try AgentBed([puma, .init(name: "redis", route: "data")], cycle: .seconds(15))
        bed.start()
        bed.systemd.runs("puma")
        bed.systemd.runs("redis", pid: 200)
        return bed
    }

    private func start(_ units: [String], owner: String? = nil, length: Duration? = nil) -> AgentRequest {
        .startDeploy(units: units, owner: owner, reason: "v2", length: length)
    }

    @Test func nobodyIsToldAndNothingActsUntilItIsOver() throws {
        let bed = try bed()
        #expect(bed.ask(start(["puma"])).isGood)
        #expect(bed.events == ["deploy_started: deploy of puma by bob: v2; until 2026-11-21T03:05:00Z at most"])
        for _ in 0..<4 { bed.cycle(600) }
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        bed.systemd.tells(.failed, of: "redis", restartsByItself: false)
        #expect(bed.told == ["deploy_started", "unit_down", "unit_down data"])
        #expect(bed.systemd.performed == [])
        #expect(bed.ask(.finishDeploy(units: ["puma"], owner: nil)).isGood)
        // Its grace of one cycle.
        bed.cycle(after: .seconds(1))
        #expect(bed.told.count == 3)
        bed.cycle()
        #expect(bed.told.dropFirst(3) == ["unit_down web", "deploy_finished"])
        #expect(
            bed.events.suffix(2) == [
                "unit_down: is still down: failed (failed)", "deploy_finished: deploy of puma by bob finished; not well: puma.service is down",
            ])
    }

    @Test func aBreachCountsFromTheEndOfTheWindow() throws {
        let bed = try bed()
        _ = bed.ask(start([]))
        for _ in 0..<3 { bed.cycle(600) }
        _ = bed.ask(.finishDeploy(units: [], owner: nil))
        bed.cycle(600)
        #expect(bed.told == ["deploy_started", "deploy_finished"])
        #expect(bed.events.last == "deploy_finished: deploy of the host by bob finished; all is well")
        bed.cycle(600)
        #expect(bed.told.last == "rule_failed web")
        #expect(bed.systemd.performed == ["restart puma.service"])
    }

    @Test func whatFailedBeforeAndStillDoesIsToldAgainAtTheEnd() throws {
        let bed = try bed()
        bed.cycle(600)
        bed.cycle(600)
        bed.systemd.finish(.failure(ActionError("no")))
        _ = bed.ask(start(["puma"]))
        bed.cycle(600)
        _ = bed.ask(.finishDeploy(units: [], owner: nil))
        bed.cycle(600)
        #expect(bed.told == ["rule_failed web", "action_failed web", "deploy_started", "rule_failed web", "deploy_finished"])
    }

    @Test func whatWasToldToBeWrongIsToldToBeRight() throws {
        let bed = try bed()
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        _ = bed.ask(start(["puma"]))
        bed.systemd.runs("puma", run: "B", pid: 300)
        #expect(bed.told == ["unit_down web", "deploy_started", "unit_up web"])
        // What began and ended in the window is told to nobody.
        bed.systemd.tells(.failed, of: "puma", run: "B", restartsByItself: false)
        bed.systemd.runs("puma", run: "C", pid: 301)
        #expect(bed.told.suffix(2) == ["unit_down", "unit_up"])
    }

    @Test func aWindowEndsByItself() throws {
        let bed = try bed()
        _ = bed.ask(start(["pu*"], length: .seconds(60)))
        for _ in 0..<5 { bed.cycle() }
        #expect(bed.events.last == "deploy_finished: deploy of pu* by bob ran out, nobody finished it; all is well")
    }

    @Test func windowsNestAndAreCountedByOwner() throws {
        let bed = try bed()
        _ = bed.ask(start(["puma"], owner: "ansible"))
        _ = bed.ask(start(["puma"], owner: "ansible"))
        _ = bed.ask(start([], owner: "bob"))
        #expect(!bed.ask(.finishDeploy(units: ["puma"], owner: "carol")).isGood)
        for _ in 0..<2 { #expect(bed.ask(.finishDeploy(units: ["puma"], owner: "ansible")).isGood) }
        #expect(!bed.ask(.finishDeploy(units: ["puma"], owner: "ansible")).isGood)
        bed.cycle()
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        #expect(bed.told.last == "unit_down")
        _ = bed.ask(.finishDeploy(units: [], owner: "bob"))
        bed.cycle()
        #expect(bed.told.suffix(2) == ["unit_down web", "deploy_finished"])
    }

    @Test func aUnitThatIsNotThereIsAnAnswer() throws {
        let bed = try bed()
        #expect(bed.ask(start(["pumma"])).text == "no unit pumma is watched; there are puma.service, redis.service\n")
        #expect(bed.ask(.finishDeploy(units: [], owner: nil)).text == "no deploy is under way\n")
        #expect(bed.events == [])
    }

    @Test func whatIsNotMonitoredIsToldWhenItIsAgain() throws {
        let bed = try bed()
        #expect(bed.ask(.stopMonitoring(units: ["puma"], reason: "disk swap", length: nil)).isGood)
        bed.systemd.tells(.failed, of: "puma", restartsByItself: false)
        bed.cycle()
        #expect(bed.told == ["monitoring_stopped", "unit_down"])
        #expect(bed.ask(.resumeMonitoring(units: ["puma"])).isGood)
        #expect(bed.told.dropFirst(2) == ["unit_down web", "monitoring_resumed"])
        #expect(!bed.ask(.resumeMonitoring(units: ["puma"])).isGood)
    }

    @Test func silencesSurviveAndClocksThatStepDoNotChangeThem() throws {
        var silences = Silences()
        let now = Moment(wall: Timestamp(seconds: 1_800_000_000), uptime: .seconds(5000))
        silences.start(["puma", "redis"], owner: "bob", reason: nil, at: now, length: .seconds(300))
        silences.stopMonitoring(["nginx"], owner: "eve", reason: "x", at: now, length: nil)
        _ = silences.finish(["redis"], owner: "bob", at: now, grace: .seconds(15))
        let stepped = Moment(wall: now.wall + .seconds(7200), uptime: now.uptime + .seconds(10))
        var copy = silences
        #expect(copy.expire(at: stepped, grace: .seconds(15)).endings.isEmpty)
        // After a reboot the clock counts.
        let later = Moment(wall: now.wall + .seconds(100), uptime: .seconds(20))
        let restored = Silences(try JSON(parsing: silences.json(at: now).text), at: later)
        #expect(restored.windows.map(\.ends) == [.seconds(220)])
        #expect(restored.unmonitored.map(\.unit) == ["nginx"] && restored.endings.count == 1)
        #expect(Silences(["windows": [["owner": 3]], "unmonitored": "x"], at: now) == Silences())
    }
}
