import AgentAPI
@testable import AgentCore
import Logging
import Platform
import RuleLanguage
import Testing
import TestKit

/// Units as a test sets them, in place of the watcher.
private final class FakeGround: ActionGround {
    var units: [String: UnitStanding] = [:]
    var failing: Set<String> = []
    var silences: [String: String] = [:]

    func standing(of unit: String) -> UnitStanding? { units[unit] }
    func isFailing(_ rule: String, of unit: String) -> Bool { failing.contains(rule) }
    func isTrueNow(_ rule: String, of unit: String) -> Bool { failing.contains(rule) }
    func silence(of unit: String) -> String? { silences[unit] }
}

/// Actions on fakes; time stands still but for `pass`.
private final class Bed {
    let time = ManualTime()
    let manager = FakeInit("systemd")
    let commands = FakeCommands()
    let evidence = FakeEvidence()
    let ground = FakeGround()
    let events = Box<[Event]>([])
    private(set) var runner: ActionRunner

    init(log: ActionLog? = nil) {
        runner = ActionRunner(time: time, ground: ground, commands: commands, evidence: evidence, log: log, wake: { _ in }) { [events] event in
            events.value.append(event)
        }
        isUp()
    }

    func isUp(_ activity: Observation.Activity = .running, unit: String = "puma", runs: Int = 1, pid: Int32 = 100, job: Bool = false) {
        let process = ProcessIdentity(pid: pid, startTicks: UInt64(pid))
        var standing = UnitStanding(
            unit: "\(unit).service", initSystem: manager,
            observation: Observation(
                request: unit, unit: "\(unit).service", activity: activity, detail: "active", mainProcess: process, hasJob: job),
            isUp: activity == .running || activity == .reloading, runs: runs, downs: ground.units[unit]?.downs ?? 0)
        standing.mainProcess = process
        ground.units[unit] = standing
        runner.look(at: unit)
    }

    func isNotUp(_ activity: Observation.Activity, unit: String = "puma", isDown: Bool = false, exit: ExitReason? = nil) {
        var standing = ground.units[unit] ?? UnitStanding(unit: "\(unit).service", initSystem: manager, isUp: false, runs: 1, downs: 0)
        standing.observation = Observation(request: unit, unit: "\(unit).service", activity: activity, detail: "\(activity)", lastExit: exit)
        standing.isUp = false
        standing.mainProcess = nil
        if isDown { standing.downs += 1 }
        ground.units[unit] = standing
        runner.look(at: unit)
    }

    func fail(_ actions: [Action.Kind], above threshold: Double = 500, on unit: String = "puma") {
        let rule = rule(.above, threshold, actions: actions)
        ground.failing.insert(rule.text)
        runner.run(rule, on: unit, routes: ["ops"])
    }

    func pass(_ duration: Duration) {
        time.advance(by: duration)
        runner.look()
    }

    /// The init system's job ends, and the unit has a new run.
    func restarts(_ unit: String = "puma") {
        manager.finish()
        isUp(unit: unit, runs: (ground.units[unit]?.runs ?? 0) + 1, pid: 200)
    }

    var told: [String] { events.value.map { "\($0.kind.rawValue): \($0.detail)" } }
}

@Suite struct ActionTests {
    private let bed = Bed()

    @Test func theInitSystemIsAskedImmediatelyBeforeAnActionAndAnUntrueOneIsNotTaken() async throws {
        let folder = try TemporaryFolder()
        let bed = Bed(log: ActionLog(folder: folder.path, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        bed.manager.onRefresh = { bed.ground.failing = [] }
        bed.fail([.restart])
        #expect(bed.manager.refreshed == ["puma.service"])
        #expect(bed.manager.performed == [])
        #expect(bed.told == [])
        try await eventually("the log says so") {
            (try? AtomicFile.read(folder.path + "/actions.log")).map { String(decoding: $0, as: UTF8.self).contains("no longer needed") } ?? false
        }
    }
    private let becauseOfMemory = "because memory:total_rss > 500"

    @Test func aRestartIsDoneWhenTheUnitIsUpWithANewRun() {
        bed.fail([.restart])
        #expect(bed.manager.performed == ["restart puma.service"])
        bed.manager.finish()
        bed.isUp(runs: 1)
        #expect(bed.told == [])
        bed.isNotUp(.starting)
        bed.pass(.seconds(60))
        #expect(bed.told == [])
        bed.isUp(runs: 2, pid: 200)
        #expect(bed.told == ["action_succeeded: restarted, \(becauseOfMemory)"])
        #expect(bed.events.value.allSatisfy { $0.unit == "puma.service" && $0.routes == ["ops"] && $0.importance == nil })
    }

    @Test func aRestartWhoseJobWentWellAndWhoseUnitIsDownHasFailed() {
        bed.fail([.restart])
        bed.manager.finish()
        bed.isNotUp(.failed, isDown: true, exit: .exited(status: 1))
        #expect(bed.told == ["action_failed: could not be restarted, although memory:total_rss > 500: it is down again (failed)"])
        #expect(bed.events.value.last?.importance == .error)
    }

    @Test func aUnitThatDoesNotComeUpInTimeHasFailed() {
        bed.fail([.restart])
        bed.manager.finish()
        bed.isNotUp(.starting)
        bed.pass(.seconds(89))
        #expect(bed.told == [])
        bed.pass(.seconds(1))
        #expect(bed.told == ["action_failed: could not be restarted, although memory:total_rss > 500: it does not run 90 s later (starting)"])
    }

    @Test func aReloadIsDoneWhenTheSameProcessGoesOnForASecond() {
        bed.fail([.reload])
        bed.manager.finish()
        bed.isUp(.reloading)
        bed.pass(.seconds(3))
        bed.isUp()
        #expect(bed.told == ["action_succeeded: reloaded, \(becauseOfMemory)"])
    }

    @Test func aReloadThatEndsTheProcessHasFailed() {
        bed.fail([.reload])
        bed.manager.finish()
        bed.pass(.milliseconds(500))
        bed.isUp(runs: 2, pid: 200)
        #expect(bed.told == ["action_failed: could not be reloaded, although memory:total_rss > 500: it ended while it was reloaded (active)"])
    }

    @Test func aStopIsDoneWhenItDoesNotRun() {
        bed.fail([.stop])
        bed.manager.finish()
        bed.isNotUp(.stopping)
        #expect(bed.told == [])
        bed.isNotUp(.stopped)
        #expect(bed.told == ["action_succeeded: stopped, \(becauseOfMemory)"])
    }

    @Test func actionsRunInWrittenOrderOneAfterTheOther() {
        bed.fail([.reload, .alert(route: nil), .restart])
        bed.manager.finish()
        bed.pass(.seconds(1))
        #expect(bed.manager.performed == ["reload puma.service", "restart puma.service"])
        bed.restarts()
        #expect(bed.told == ["action_succeeded: reloaded, \(becauseOfMemory)", "action_succeeded: restarted, \(becauseOfMemory)"])
    }

    @Test func anAlertAloneAsksNothingOfTheInitSystem() {
        bed.fail([.alert(route: nil)])
        #expect(bed.manager.performed == [])
    }

    @Test func aFailedActionIsAnErrorAndTheNextOneRuns() {
        bed.fail([.reload, .restart])
        bed.manager.finish(.failure(ActionError("the unit has no way to reload")))
        bed.restarts()
        #expect(
            bed.told == [
                "action_failed: could not be reloaded, although memory:total_rss > 500: the unit has no way to reload",
                "action_succeeded: restarted, \(becauseOfMemory)",
            ])
    }

    @Test func twoRulesThatWantTheSameGetOneJob() {
        bed.fail([.restart], above: 500)
        bed.fail([.restart], above: 600)
        bed.restarts()
        #expect(bed.manager.performed == ["restart puma.service"])
        #expect(
            bed.told == ["action_succeeded: restarted, \(becauseOfMemory)", "action_succeeded: restarted, because memory:total_rss > 600"])
    }

    @Test func unitsDoNotWaitForEachOther() {
        bed.isUp(unit: "redis")
        bed.fail([.restart])
        bed.fail([.restart], on: "redis")
        #expect(bed.manager.performed == ["restart puma.service", "restart redis.service"])
    }

    @Test func anInitSystemThatAnswersTwiceIsHeardOnce() {
        bed.fail([.stop, .start])
        let answer = bed.manager.answers[0]
        answer(.success(()))
        answer(.failure(ActionError("late")))
        bed.isNotUp(.stopped)
        #expect(bed.told == ["action_succeeded: stopped, \(becauseOfMemory)"])
        #expect(bed.manager.performed == ["stop puma.service", "start puma.service"])
    }

    /// A rule without `alert` wakes nobody as long as what it does works.
    @Test func anActionThatFailsIsToldEvenWithoutAnAlert() {
        bed.ground.units["puma"]?.route = "web"
        let rule = rule(.above, 500, actions: [.restart])
        bed.ground.failing.insert(rule.text)
        bed.runner.run(rule, on: "puma", routes: [])
        bed.manager.finish(.failure(ActionError("access denied")))
        #expect(bed.events.value.map(\.kind) == [.actionFailed])
        #expect(bed.events.value.last?.routes == ["web"])
        bed.runner.run(rule, on: "puma", routes: [])
        bed.restarts()
        #expect(bed.events.value.last?.kind == .actionSucceeded && bed.events.value.last?.routes == [])
    }

    @Test func theDeadlineIsNinetySecondsOrWhatTheUnitsStartMayTake() {
        bed.fail([.restart])
        bed.restarts()
        bed.ground.units["puma"]?.observation?.startTimeout = .seconds(300)
        bed.fail([.restart], above: 600)
        #expect(bed.manager.deadlines == [.seconds(90), .seconds(300)])
    }

    @Test func theJobOfSomebodyElseIsWaitedForAndThenTheRuleIsAskedAgain() {
        bed.isUp(job: true)
        bed.fail([.restart])
        bed.fail([.restart], above: 600)
        #expect(bed.manager.performed == [])
        bed.isUp(runs: 2)
        #expect(bed.manager.performed == [])
        // The next cycle finds that one of the two has recovered.
        bed.ground.failing = [rule(.above, 600, actions: [.restart]).text]
        bed.runner.endCycle()
        #expect(bed.manager.performed == ["restart puma.service"])
        bed.manager.finish()
        bed.isUp(runs: 3)
        #expect(bed.told == ["action_succeeded: restarted, because memory:total_rss > 600"])
    }

    @Test func aRuleThatRecoveredMeanwhileDoesNothing() {
        bed.isNotUp(.restarting)
        bed.fail([.restart])
        bed.isUp(runs: 2)
        bed.ground.failing = []
        bed.runner.endCycle()
        #expect(bed.manager.performed == [])
        #expect(bed.told == [])
    }

    @Test func aJobOfSomebodyElseThatDoesNotEndIsAFailure() {
        bed.isUp(job: true)
        bed.fail([.restart])
        bed.pass(.seconds(300))
        #expect(
            bed.told == ["action_failed: could not be restarted, although memory:total_rss > 500: another job of it did not end within 5 min"])
    }

    @Test(arguments: [
        (Observation.Obstacle.masked, "puma.service is masked"),
        (.startLimit, "puma.service was started too often, start limit reached"),
    ])
    func aUnitThatWillNotStartIsNotAskedTo(obstacle: Observation.Obstacle, words: String) {
        bed.ground.units["puma"]?.observation?.obstacle = obstacle
        bed.fail([.restart])
        #expect(bed.manager.performed == [])
        #expect(bed.told == ["action_failed: could not be restarted, although memory:total_rss > 500: \(words)"])
    }

    @Test func nothingActsDuringADeploy() {
        bed.ground.silences["puma"] = "a deploy of bob is under way"
        bed.fail([.restart])
        #expect(bed.manager.performed == [] && bed.told == [])
    }

    @Test func aLadderEndsWithTheProcess() {
        bed.fail([.signal([SignalStep(signal: 3, wait: .seconds(30)), SignalStep(signal: 15, wait: .seconds(10)), SignalStep(signal: 9)])])
        bed.manager.finish()
        bed.pass(.seconds(29))
        #expect(bed.manager.performed == ["send SIGQUIT to puma.service"])
        bed.pass(.seconds(1))
        #expect(bed.manager.performed.last == "send SIGTERM to puma.service")
        bed.manager.finish()
        bed.isNotUp(.stopped)
        #expect(bed.manager.performed.count == 2)
        #expect(bed.told == ["action_succeeded: sent SIGQUIT, SIGTERM, SIGKILL, \(becauseOfMemory)"])
    }

    @Test func aProgramHearsTheEventAndItsStatusCounts() {
        let command = Command(arguments: ["/usr/local/bin/heal", "--fast"])
        bed.fail([.exec(command), .restart])
        #expect(bed.commands.commands == [command])
        #expect(bed.commands.inputs[0].contains(#""kind":"rule_failed""#) && bed.commands.inputs[0].hasSuffix("\n"))
        bed.commands.end(CommandOutcome(.exited(status: 3), output: "no such patient"))
        #expect(
            bed.told == [
                "action_failed: could not be treated with /usr/local/bin/heal, although memory:total_rss > 500: exited with status 3\nno such patient"
            ])
        #expect(bed.manager.performed == ["restart puma.service"])
    }

    @Test func evidenceIsCollectedBeforeARestartDestroysIt() {
        bed.evidence.lines = nil
        bed.fail([.restart])
        #expect(bed.evidence.asked == ["puma.service systemd 100"])
        #expect(bed.manager.performed == [])
        bed.evidence.answer?(["log: out of cheese", String(repeating: "x", count: 5000)])
        #expect(bed.manager.performed == ["restart puma.service"])
        bed.restarts()
        #expect(bed.told[0].hasPrefix("action_succeeded: restarted, \(becauseOfMemory)\nlog: out of cheese\nxxx"))
        #expect(bed.told[0].utf8.count < 1100)
    }

    @Test func whatARecoveryAsksForIsDoneWhenItIsOver() {
        var rule = rule(.above, 500, actions: [.alert(route: nil)])
        rule.recoveryActions = [Action(.start, place: rule.place)]
        bed.isNotUp(.stopped)
        bed.runner.run(rule, on: "puma", isRecovery: true, routes: [])
        bed.manager.finish()
        bed.isUp(runs: 2)
        #expect(bed.told == ["action_succeeded: started, because memory:total_rss > 500 is over"])
    }

    @Test func whatAPersonAsksForIsDoneAtOnceAndSaysWho() {
        bed.ground.silences["puma"] = "a deploy of bob is under way"
        bed.runner.run(.restart, on: "puma", askedBy: "alice")
        bed.restarts()
        #expect(bed.told == ["action_succeeded: restarted, because alice asked"])
    }
}

@Suite struct StormTests {
    private let bed = Bed()

    /// One episode that restarts, and its end.
    private func episode() {
        bed.fail([.restart])
        bed.restarts()
        bed.ground.failing = []
    }

    @Test func afterThreeEpisodesInTenMinutesRulesLeaveAUnitAloneForAWhile() {
        for _ in 0..<3 { episode() }
        bed.fail([.restart])
        #expect(bed.manager.performed.count == 3)
        #expect(
            bed.told.last
                == "actions_suspended: rules acted on it 3 times within 10 min; no further actions until 2026-11-21T03:10:00Z, "
                + "although memory:total_rss > 500")
        bed.time.advance(by: .seconds(599))
        bed.runner.endCycle()
        #expect(bed.manager.performed.count == 3)
        bed.time.advance(by: .seconds(1))
        bed.runner.endCycle()
        #expect(bed.told.last == "actions_resumed: rules may act on it again")
        // It fails still, and what was left out is done.
        #expect(bed.manager.performed.count == 4)
    }

    /// The same problem begins and ends, so that it is told that it is over.
    @Test func theEndOfASuspensionBelongsToItsBeginning() throws {
        for _ in 0..<3 { episode() }
        bed.fail([.restart])
        let beginning = try #require(bed.events.value.last)
        bed.time.advance(by: .seconds(600))
        bed.runner.endCycle()
        let end = try #require(bed.events.value.last { $0.kind == .actionsResumed })
        #expect(beginning.effect == .begins && end.effect == .ends && beginning.problem == end.problem)
    }

    @Test func aSuspensionEndsWithItsUnit() {
        for _ in 0..<3 { episode() }
        bed.fail([.restart])
        bed.runner.forget("puma", named: "puma.service", route: "ops")
        #expect(bed.told.last == "actions_resumed: it is not watched any more")
        #expect(bed.events.value.last?.unit == "puma.service" && bed.runner.limits == [:])
    }

    private let program = Command(arguments: ["/usr/local/bin/tell"])

    /// One episode that runs a program, and its end.
    private func program(above threshold: Double = 100) {
        bed.fail([.exec(program)], above: threshold)
        bed.commands.end(CommandOutcome(.exited(status: 0), output: ""))
        bed.ground.failing = []
    }

    /// Programs mostly tell somebody something.
    @Test func programsKeepNoUnitFromBeingRestarted() {
        for _ in 0..<5 { program() }
        for _ in 0..<3 { episode() }
        #expect(bed.commands.commands.count == 5 && bed.manager.performed.count == 3)
        #expect(!bed.told.contains { $0.hasPrefix("actions_suspended") })
        // Nor does a unit that is left alone keep a program from running.
        bed.fail([.restart])
        program()
        #expect(bed.manager.performed.count == 3 && bed.commands.commands.count == 6)
    }

    @Test func aRuleThatRunsItsProgramAllTheTimeIsHeldBackAlone() throws {
        for _ in 0..<StormLimit.programs { program() }
        bed.fail([.exec(program)], above: 100)
        #expect(bed.commands.commands.count == StormLimit.programs)
        let suspended = try #require(bed.events.value.last)
        #expect(
            suspended.detail == "a rule ran its program 20 times within 10 min; it is not run again until 2026-11-21T03:10:00Z, "
                + "although memory:total_rss > 100")
        program(above: 200)
        #expect(bed.commands.commands.count == StormLimit.programs + 1)
        bed.ground.failing = []
        bed.time.advance(by: .seconds(600))
        bed.runner.endCycle()
        #expect(bed.events.value.last?.kind == .actionsResumed && bed.events.value.last?.problem == suspended.problem)
    }

    @Test func whatRecoveredMeanwhileIsNotDoneLater() {
        for _ in 0..<3 { episode() }
        bed.fail([.restart])
        bed.ground.failing = []
        bed.time.advance(by: .seconds(600))
        bed.runner.endCycle()
        #expect(bed.manager.performed.count == 3)
    }

    @Test func eachPauseIsTwiceAsLongUntilAnHourWasQuiet() {
        var limit = StormLimit()
        var now = Duration.zero
        var pauses: [Int64] = []
        for _ in 0..<6 {
            while limit.ask(at: now) == .mayAct { now += .seconds(1) }
            let until = limit.suspendedUntil ?? .zero
            pauses.append((until - now).components.seconds / 60)
            now = until
            let (verdict, isOver) = (limit.ask(at: now - .seconds(1)), limit.resumes(at: now))
            #expect(verdict == .isSuspended && isOver)
        }
        #expect(pauses == [10, 20, 40, 80, 160, 160])
        now += .seconds(3600)
        #expect(limit.isForgotten(at: now))
        while limit.ask(at: now) == .mayAct { now += .seconds(1) }
        #expect(limit.suspendedUntil.map { ($0 - now).components.seconds } == 600)
    }

    @Test func reloadsAreNoStorm() {
        for threshold in 1...5 {
            bed.fail([.reload], above: Double(threshold))
            bed.manager.finish()
            bed.pass(.seconds(1))
        }
        #expect(bed.manager.performed.count == 5)
    }

    @Test func aLimitSurvivesAndAClockThatWasWrongDoesNotSuspendForYears() throws {
        var limit = StormLimit()
        let now = Moment(wall: Timestamp(seconds: 1_800_000_000), uptime: .seconds(5000))
        for _ in 0..<4 { _ = limit.ask(at: now.uptime) }
        let later = Moment(wall: now.wall + .seconds(60), uptime: .seconds(30))
        let restored = StormLimit(limit.json(at: now), at: later)
        #expect(restored.suspendedUntil == .seconds(570))
        #expect(restored.pause == .seconds(1200))
        let wrong = StormLimit(["suspended_until": "2099-01-01T00:00:00Z", "pause": 99_999_999_999], at: now)
        #expect(wrong.suspendedUntil == now.uptime + StormLimit.longestPause && wrong.pause == StormLimit.longestPause)
    }
}

@Suite struct ActionLogTests {
    @Test func everyActionIsOneLineWithItsReason() throws {
        let folder = try TemporaryFolder()
        let bed = Bed(log: ActionLog(folder: folder.path, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        bed.evidence.lines = ["log: out of cheese"]
        bed.fail([.restart])
        bed.time.advance(by: .seconds(2))
        bed.restarts()
        let text = String(decoding: try AtomicFile.read("\(folder.path)/actions.log"), as: UTF8.self)
        let entry = try JSON(parsing: text)
        #expect(entry["unit"] == "puma.service" && entry["verb"] == "restart" && entry["outcome"] == "done" && entry["took_ms"] == 2000)
        #expect(entry["because"] == "memory:total_rss > 500" && entry["evidence"] == ["log: out of cheese"])
    }

    @Test func aFullLogMakesRoomForAnother() throws {
        let folder = try TemporaryFolder()
        let log = ActionLog(folder: folder.path, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let long = ActionLog.Entry(
            at: Timestamp(seconds: 0), unit: "puma.service", verb: "restart", rule: nil, because: "", outcome: "done",
            evidence: [String(repeating: "x", count: 300_000)], took: .zero)
        for _ in 0..<5 { log.write(long) }
        #expect(try folder.names() == ["actions.log", "actions.log.1"])
        for name in try folder.names() { #expect(try AtomicFile.read("\(folder.path)/\(name)", limit: 2 << 20).count <= ActionLog.limit) }
    }

    @Test func aFolderThatIsNotThereIsNoCrash() {
        let log = ActionLog(folder: "/nowhere", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let bed = Bed(log: log)
        bed.fail([.restart])
        bed.restarts()
        #expect(bed.told.count == 1)
    }
}
