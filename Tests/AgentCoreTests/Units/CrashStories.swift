// Units whose process ends without anybody asking.

import AgentAPI
import AgentCore
import Testing

@Suite struct CrashStories {
    /// What systemd 252 sends for `kill -9` with `Restart=always` and `RestartSec=100ms`, each change twice.
    private func crash(_ story: UnitStory, at start: Int, from run: String, pid: Int32, restarts: Int, to next: String, newPID: Int32) {
        let killed = ExitReason.signaled(9)
        story.ends(at: start, pid: pid)
        story.repeats(at: start + 2, "failed/failed", run: run, restarts: restarts, exit: killed)
        story.repeats(at: start + 2, "activating/auto-restart", run: run, restarts: restarts, exit: killed)
        story.repeats(at: start + 103, "activating/auto-restart", run: run, restarts: restarts + 1, exit: killed, job: true)
        story.repeats(at: start + 104, "inactive/dead", run: run, restarts: restarts + 1, exit: killed, job: true)
        story.repeats(at: start + 106, "active/running", run: next, pid: newPID, restarts: restarts + 1)
    }

    @Test func aCrashThatSystemdMendsIsOneRestart() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        crash(story, at: 1000, from: "A", pid: 100, restarts: 0, to: "B", newPID: 200)
        story.pass(until: 200_000)
        #expect(story.events == ["1002 unit_restarted failure warning: killed by SIGKILL; systemd restarts it"])
        #expect(story.tracker.phase == .up)
        #expect(story.tracker.mainProcess?.pid == 200)
        #expect(story.tracker.runs == 2)
    }

    @Test func aCrashLoopIsOneEventPerRestart() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "0", pid: 100)
        for round in 0..<5 {
            crash(
                story, at: 1000 + 200 * round, from: "\(round)", pid: 100 + Int32(round), restarts: round, to: "\(round + 1)",
                newPID: 101 + Int32(round))
        }
        story.pass(until: 100_000)
        #expect(story.events.count == 5)
        #expect(story.events.allSatisfy { $0.contains("unit_restarted failure") })
        #expect(story.tracker.phase == .up)
    }

    @Test func aCrashLoopWhoseRunsAreTooShortToBeSeenIsOneEventPerRestart() {
        let story = UnitStory()
        let failed = ExitReason.exited(status: 1)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        for (round, run) in ["A", "B", "C"].enumerated() {
            story.says(at: 100 + 200 * round, "failed/failed", run: run, restarts: round, exit: failed)
            story.says(at: 101 + 200 * round, "activating/auto-restart", run: run, restarts: round, exit: failed)
            story.says(at: 201 + 200 * round, "inactive/dead", run: run, restarts: round + 1, exit: failed, job: true)
        }
        story.says(at: 800, "active/running", run: "D", pid: 200, restarts: 3)
        story.pass(until: 100_000)
        let restart = "unit_restarted failure warning: exited with status 1; systemd restarts it"
        #expect(story.events == ["101 \(restart)", "301 \(restart)", "501 \(restart)"])
    }

    @Test func aCrashLoopOfAnInitSystemWithoutRunsIsCounted() {
        let story = UnitStory()
        story.says(at: 0, "active/running", pid: 100)
        story.says(at: 100, "activating/auto-restart", restarts: 0, exit: .exited(status: 1))
        story.says(at: 200, "activating/auto-restart", restarts: 1, exit: .exited(status: 1))
        story.says(at: 300, "activating/auto-restart", restarts: 2, exit: .exited(status: 1))
        story.says(at: 400, "active/running", pid: 200, restarts: 2)
        story.pass(until: 100_000)
        #expect(story.events.map { $0.prefix(18) } == ["100 unit_restarted", "300 unit_restarted"])
    }

    @Test func theStartLimitIsARestartThatFailedAndThenDown() {
        let story = UnitStory()
        let failed = ExitReason.exited(status: 1)
        story.says(at: 0, "active/running", run: "A", pid: 100, restarts: 4)
        story.ends(at: 1000, pid: 100)
        story.repeats(at: 1001, "failed/failed", run: "A", restarts: 4, exit: failed)
        story.repeats(at: 1002, "activating/auto-restart", run: "A", restarts: 4, exit: failed)
        story.repeats(at: 1100, "inactive/dead", run: "A", restarts: 5, exit: failed)
        story.repeats(at: 1101, "failed/failed", run: "A", restarts: 5, exit: failed)
        story.pass(until: 100_000)
        #expect(
            story.events == [
                "1002 unit_restarted failure warning: exited with status 1; systemd restarts it",
                "1151 unit_down failure error: exited with status 1; systemd does not start it again (failed/failed)",
            ])
        #expect(story.tracker.phase == .down)

        story.says(at: 200_000, "active/running", run: "B", pid: 200)
        #expect(story.events.last == "200000 unit_up: is running (active/running)")
        #expect(story.tracker.phase == .up)
    }

    @Test func aUnitThatIsNotBackAfterTenSecondsIsDown() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "activating/auto-restart", run: "A", exit: .signaled(11))
        story.says(at: 5000, "activating/auto-restart", run: "A", exit: .signaled(11))
        story.pass(until: 30_000)
        story.says(at: 31_000, "inactive/dead", run: "A", restarts: 1, exit: .signaled(11), job: true)
        story.says(at: 31_001, "active/running", run: "B", pid: 200, restarts: 1)
        #expect(
            story.events == [
                "1000 unit_restarted failure warning: killed by SIGSEGV; systemd restarts it",
                "11000 unit_down failure error: does not run 10 s after it was restarted (activating/auto-restart)",
                "31001 unit_up: is running (active/running)",
            ])
    }

    @Test func aSlowStartAfterACrashIsNotDown() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 1100, "activating/start", run: "B", pid: 200, restarts: 1)
        story.says(at: 61_000, "active/running", run: "B", pid: 200, restarts: 1)
        #expect(story.events == ["1000 unit_restarted failure warning: killed by SIGKILL; systemd restarts it"])
    }

    @Test func aStartThatFailsIsRestartedAgain() {
        let story = UnitStory()
        let failed = ExitReason.exited(status: 1)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 1100, "activating/start", run: "B", pid: 200, restarts: 1)
        story.ends(at: 1200, pid: 200)
        story.says(at: 1202, "failed/failed", run: "B", restarts: 1, exit: failed)
        story.says(at: 1202, "activating/auto-restart", run: "B", restarts: 1, exit: failed)
        story.says(at: 1302, "active/running", run: "C", pid: 300, restarts: 2)
        story.pass(until: 100_000)
        #expect(
            story.events == [
                "1000 unit_restarted failure warning: killed by SIGKILL; systemd restarts it",
                "1202 unit_restarted failure warning: exited with status 1; systemd restarts it",
            ])
    }

    @Test(arguments: [
        (ExitReason.exited(status: 3), "failure warning: exited with status 3"),
        (.dumpedCore(signal: 6), "failure warning: killed by SIGABRT, core dumped"),
        (.outOfMemory, "failure warning: killed: out of memory"),
        (.watchdog, "failure warning: killed by its watchdog"),
        (.signaled(15), "failure warning: killed by SIGTERM"),
        (.exited(status: 0), "finished: exited with status 0"),
    ])
    func theReasonIsInTheEvent(exit: ExitReason, text: String) {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 10, "activating/auto-restart", run: "A", exit: exit)
        #expect(story.events == ["10 unit_restarted \(text); systemd restarts it"])
    }

    @Test func aRestartThatIsOverWhenItIsSeenIsOneEvent() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 500, "active/running", run: "B", pid: 200, restarts: 1, exit: .signaled(9))
        story.says(at: 501, "active/running", run: "B", pid: 200, restarts: 1, exit: .signaled(9))
        #expect(story.events == ["500 unit_restarted failure warning: killed by SIGKILL; systemd restarted it"])
    }

    @Test func severalRestartsSeenAtOnceAreOneEventThatCounts() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100, restarts: 2)
        story.says(at: 500, "active/running", run: "B", pid: 200, restarts: 9)
        #expect(story.events == ["500 unit_restarted failure warning: its main process ended; systemd restarted it 7 times"])
    }

    @Test func anEndThatTheInitSystemDoesNotNoticeIsDownAndNoGuessIsMade() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.pass(until: 2999)
        #expect(story.events == [])
        #expect(story.tracker.awaitsWord)
        story.pass(until: 3000)
        let down = "3000 unit_down unknown error: its main process ended, and systemd has not noticed (active/running)"
        #expect(story.events == [down])
        story.says(at: 3300, "active/running", run: "A", pid: 100)
        story.says(at: 3301, "failed/failed", run: "A", exit: .signaled(9))
        story.says(at: 3302, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 3402, "active/running", run: "B", pid: 200, restarts: 1)
        story.pass(until: 100_000)
        #expect(story.events == [down, "3402 unit_up: is running (active/running)"])
        #expect(story.tracker.phase == .up)
    }

    @Test func aUnitThatNobodyRestartsIsDownAtOnce() {
        let story = UnitStory(restartsByItself: false)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.repeats(at: 1002, "failed/failed", run: "A", exit: .signaled(9))
        story.pass(until: 100_000)
        #expect(story.events == ["1002 unit_down failure error: killed by SIGKILL (failed/failed)"])
        story.says(at: 100_001, "active/running", run: "B", pid: 200)
        #expect(story.events.last == "100001 unit_up: is running (active/running)")
    }

    @Test func aUnitThatEndsByItselfIsDown() {
        let story = UnitStory(restartsByItself: false)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1002, "inactive/dead", run: "A", exit: .exited(status: 0))
        #expect(story.events == ["1002 unit_down finished error: ended by itself: exited with status 0 (inactive/dead)"])
    }

    @Test func aFailureThatIsNotRestartedAlthoughOthersAreIsDownAfterFiftyMilliseconds() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1002, "inactive/dead", run: "A", exit: .exited(status: 0))
        story.pass(until: 1051)
        #expect(story.events == [])
        story.pass(until: 1052)
        #expect(story.events == ["1052 unit_down finished error: ended by itself: exited with status 0 (inactive/dead)"])
    }

    @Test func whatIsLeftOfACrashedUnitMayTakeItsTimeToEnd() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1001, "deactivating/stop-sigterm", run: "A", exit: .signaled(9))
        story.pass(until: 1049)
        #expect(story.events == [])
        story.says(at: 4000, "failed/failed", run: "A", exit: .signaled(9))
        story.says(at: 4000, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 4100, "active/running", run: "B", pid: 200, restarts: 1)
        #expect(story.events == ["1050 unit_restarted failure warning: killed by SIGKILL; systemd restarts it"])
    }

    @Test func aWatchdogsVictimIsOneRestart() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-watchdog", run: "A", pid: 100, exit: .watchdog)
        story.ends(at: 1100, pid: 100)
        story.says(at: 1101, "failed/failed", run: "A", exit: .watchdog)
        story.says(at: 1101, "activating/auto-restart", run: "A", exit: .watchdog)
        story.says(at: 1201, "active/running", run: "B", pid: 200, restarts: 1)
        story.pass(until: 100_000)
        #expect(story.events == ["1101 unit_restarted failure warning: killed by its watchdog; systemd restarts it"])
    }

    @Test func anOldFailureIsNotTheReasonOfANewEnd() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100, restarts: 3, exit: .signaled(11))
        story.ends(at: 1000, pid: 100)
        story.says(at: 1002, "inactive/dead", run: "A", exit: nil)
        story.pass(until: 1052)
        #expect(story.events == ["1052 unit_down unknown error: its main process ended (inactive/dead)"])
    }

    @Test func aSuccessAtTheNextStartDoesNotHideTheFailure() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "failed/failed", run: "A", exit: .signaled(9))
        story.says(at: 1001, "inactive/dead", run: "A", restarts: 1, exit: .exited(status: 0), job: true)
        #expect(story.events == ["1001 unit_restarted failure warning: killed by SIGKILL; systemd restarts it"])
    }

    @Test func halfOfAMessageAboutTheEndIsNotAReturn() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "active/running", run: "A")
        story.ends(at: 1000, pid: 100)
        story.says(at: 1001, "failed/failed", run: "A", exit: .signaled(9))
        story.says(at: 1001, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 1101, "active/running", run: "B", pid: 200, restarts: 1)
        #expect(story.events == ["1001 unit_restarted failure warning: killed by SIGKILL; systemd restarts it"])
    }
}
