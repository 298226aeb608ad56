// Units that somebody stops, starts, restarts or reloads, and units that are found in some state.

import AgentAPI
import AgentCore
import Testing

@Suite struct RequestStories {
    @Test func anOperatorsStopIsSaidAsWhatItIs() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.repeats(at: 1000, "active/running", run: "A", pid: 100, job: true)
        story.repeats(at: 1001, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.ends(at: 1010, pid: 100)
        story.repeats(at: 1011, "inactive/dead", run: "A", exit: .signaled(15), job: true)
        story.repeats(at: 1012, "inactive/dead", run: "A", exit: .signaled(15))
        story.pass(until: 200_000)
        #expect(story.events == ["6062 unit_stopped request warning: stopped on request (inactive/dead)"])
        #expect(story.tracker.phase == .stopped)
        story.says(at: 300_000, "active/running", run: "B", pid: 200)
        #expect(story.events.last == "300000 unit_up: is running (active/running)")
    }

    @Test func anOperatorsRestartIsOneRestart() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.repeats(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.ends(at: 1500, pid: 100)
        story.repeats(at: 1501, "inactive/dead", run: "A", exit: .signaled(15), job: true)
        story.repeats(at: 1502, "active/running", run: "B", pid: 200, job: true)
        story.repeats(at: 1503, "active/running", run: "B", pid: 200)
        story.pass(until: 200_000)
        #expect(story.events == ["1502 unit_restarted request: restarted on request"])
    }

    @Test func theKernelMaySpeakOfARequestedEndBeforeTheInitSystemDoes() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1003, "deactivating/stop-sigterm", run: "A", job: true)
        story.says(at: 1004, "inactive/dead", run: "A", exit: .exited(status: 0), job: true)
        story.says(at: 1200, "active/running", run: "B", pid: 200)
        #expect(story.events == ["1200 unit_restarted request: restarted on request"])
    }

    @Test func aRestartWithASlowStopAndASlowStartIsWaitedFor() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.ends(at: 40_000, pid: 100)
        story.says(at: 40_001, "failed/failed", run: "A", exit: .timeout, job: true)
        story.says(at: 40_002, "activating/start", run: "B", pid: 200, job: true)
        story.says(at: 80_000, "active/running", run: "B", pid: 200)
        #expect(story.events == ["80000 unit_restarted request: restarted on request"])
    }

    @Test func aRequestedRestartThatFailsIsDown() {
        let story = UnitStory(restartsByItself: false)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.says(at: 1010, "activating/start", run: "B", pid: 200, job: true)
        story.ends(at: 1020, pid: 200)
        story.says(at: 1021, "failed/failed", run: "B", exit: .exited(status: 1))
        story.pass(until: 200_000)
        #expect(story.events == ["1071 unit_down failure error: exited with status 1 (failed/failed)"])
    }

    @Test func aRequestedRestartThatCrashesAtOnceIsBoth() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100, restarts: 2)
        story.says(at: 1000, "inactive/dead", run: "A", restarts: 0, job: true)
        story.says(at: 1001, "active/running", run: "B", pid: 200, restarts: 0)
        story.ends(at: 1005, pid: 200)
        story.says(at: 1006, "failed/failed", run: "B", restarts: 0, exit: .exited(status: 1))
        story.says(at: 1006, "activating/auto-restart", run: "B", restarts: 0, exit: .exited(status: 1))
        story.says(at: 1106, "active/running", run: "C", pid: 300, restarts: 1)
        #expect(
            story.events == [
                "1001 unit_restarted request: restarted on request",
                "1006 unit_restarted failure warning: exited with status 1; systemd restarts it",
            ])
    }

    @Test func aJobThatTakesMoreThanNinetySecondsIsNotWaitedFor() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.pass(until: 90_999)
        #expect(story.events == [])
        story.pass(until: 91_000)
        #expect(story.events == ["91000 unit_down request error: does not run for 90 s (deactivating/stop-sigterm)"])
    }

    @Test func aRestartThatIsOverWhenItIsSeenIsOneRestart() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100, restarts: 2, exit: .signaled(9))
        story.says(at: 1000, "active/running", run: "B", pid: 200, restarts: 0)
        story.pass(until: 100_000)
        #expect(story.events == ["1000 unit_restarted request: restarted on request"])
    }

    @Test func aStopDuringTheWaitForARestartIsDown() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 3000, "inactive/dead", run: "A", exit: .signaled(9))
        story.pass(until: 100_000)
        #expect(
            story.events == [
                "1000 unit_restarted failure warning: killed by SIGKILL; systemd restarts it",
                "9000 unit_stopped request warning: stopped on request (inactive/dead)",
            ])
    }

    @Test func aReloadIsNoEvent() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 10, "reloading/reload", run: "A", pid: 100)
        story.says(at: 20, "active/running", run: "A", pid: 100)
        #expect(story.events == [])
        #expect(story.tracker.runs == 1)
    }

    @Test func aMainProcessThatHandsOverInTheSameRunIsNoFailure() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1002, "active/running", run: "A", pid: 200)
        story.pass(until: 100_000)
        #expect(story.events == ["1002 unit_restarted unknown: a new main process took over in the same run"])
        #expect(story.tracker.mainProcess?.pid == 200)
    }

    @Test func aStopAndAStartWithinAFewSecondsAreARestart() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.says(at: 1100, "inactive/dead", run: "A")
        story.pass(until: 4000)
        #expect(story.tracker.phase == .stopped)
        story.says(at: 5000, "active/running", run: "B", pid: 200)
        story.pass(until: 100_000)
        #expect(story.events == ["5000 unit_restarted request: restarted on request"])
    }

    @Test func aFinishedOneshotThatRemainsIsIdle() {
        let story = UnitStory(restartsByItself: false, nature: .marker)
        story.says(at: 0, "activating/start", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1001, "active/exited", run: "A", exit: .exited(status: 0))
        story.pass(until: 200_000)
        #expect(story.events == [])
        #expect(story.tracker.phase == .idle)
    }

    @Test func aServiceThatRemainsActiveWithoutItsProcessIsDown() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1001, "active/exited, its processes have ended", run: "A", exit: .exited(status: 0), endedWell: true)
        story.pass(until: 200_000)
        #expect(story.events == ["1051 unit_down finished error: ended by itself: exited with status 0 (active/exited, its processes have ended)"])
        #expect(story.tracker.phase == .down)
    }
}

@Suite struct FirstLookStories {
    @Test func upIsSilent() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100, restarts: 7, exit: .signaled(9))
        story.pass(until: 100_000)
        #expect(story.events == [])
        #expect(story.tracker.phase == .up)
        #expect(story.tracker.unit == "puma.service")
    }

    @Test func downIsSaidOnce() {
        let story = UnitStory(restartsByItself: false)
        story.repeats(at: 0, "inactive/dead")
        story.says(at: 50_000, "inactive/dead")
        #expect(story.events == ["0 unit_down unknown error: is not running (inactive/dead)"])
        #expect(story.tracker.phase == .down)
    }

    @Test func failedSaysWhy() {
        let story = UnitStory(restartsByItself: false)
        story.says(at: 0, "failed/failed", exit: .exited(status: 2))
        #expect(story.events == ["0 unit_down failure error: is not running: exited with status 2 (failed/failed)"])
    }

    @Test func theMiddleOfARestartIsSilentIfItEndsWell() {
        let story = UnitStory()
        story.says(at: 0, "failed/failed", run: "A", exit: .signaled(9))
        story.says(at: 1, "activating/auto-restart", run: "A", exit: .signaled(9))
        story.says(at: 100, "inactive/dead", run: "A", restarts: 1, exit: .signaled(9), job: true)
        story.says(at: 101, "active/running", run: "B", pid: 200, restarts: 1)
        story.pass(until: 100_000)
        #expect(story.events == [])
    }

    @Test func aStartIsWaitedFor() {
        let story = UnitStory()
        story.says(at: 0, "activating/start", run: "A", pid: 100, job: true)
        #expect(story.tracker.phase == .changing)
        story.says(at: 60_000, "active/running", run: "A", pid: 100)
        #expect(story.events == [])
        #expect(story.tracker.phase == .up)
    }

    @Test func aUnitThatNobodyKnowsIsDownUntilItRuns() {
        let story = UnitStory()
        story.isUnknown(at: 0)
        story.isUnknown(at: 15_000)
        #expect(story.events == ["0 unit_down unknown error: no init system here knows puma"])
        #expect(story.tracker.phase == .unknown)
        story.says(at: 20_000, "inactive/dead")
        #expect(story.tracker.phase == .down)
        story.says(at: 30_000, "activating/start", run: "A", pid: 100)
        story.says(at: 31_000, "active/running", run: "A", pid: 100)
        #expect(story.events.dropFirst() == ["31000 unit_up: is running (active/running)"])
    }

    @Test func aUnitThatVanishesIsDown() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.isUnknown(at: 1000)
        story.pass(until: 100_000)
        #expect(story.events == ["1050 unit_down unknown error: no init system here knows puma.service any longer"])
    }

    @Test func aUnitThatIsForgottenForAMomentIsNot() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.isUnknown(at: 1000)
        story.says(at: 1020, "active/running", run: "A", pid: 100)
        story.pass(until: 100_000)
        #expect(story.events == [])
        #expect(story.tracker.runs == 1)
    }
}

@Suite struct PidFileStories {
    @Test func theEndOfTheProcessIsDownAtOnce() {
        let story = UnitStory(by: "pidfile", restartsByItself: false)
        story.says(at: 0, "active/running", pid: 100)
        story.ends(at: 1000, pid: 100)
        #expect(story.events == ["1000 unit_down unknown error: its main process ended"])
        story.says(at: 1001, "active/running", pid: 100)
        story.says(at: 1002, "inactive/dead")
        story.says(at: 2000, "active/running", pid: 200)
        #expect(story.events.dropFirst() == ["2000 unit_up: is running (active/running)"])
    }

    @Test func aNewProcessInPlaceOfTheOldIsARestart() {
        let story = UnitStory(by: "pidfile", restartsByItself: false)
        story.says(at: 0, "active/running", pid: 100)
        story.says(at: 1000, "active/running", pid: 200)
        #expect(story.events == ["1000 unit_restarted request: restarted on request"])
    }

    @Test func respawnWithoutRunsOrCountsIsAFailure() {
        let story = UnitStory(by: "upstart")
        story.says(at: 0, "active/running", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1005, "active/running", pid: 200)
        #expect(story.events == ["1005 unit_restarted failure warning: its main process ended"])
    }
}
