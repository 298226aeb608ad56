// What it means that a unit does not run, for each kind of unit.

import AgentAPI
import AgentCore
import Platform
import Testing

@Suite struct BatchStories {
    private let story = UnitStory("backup", restartsByItself: false, nature: .batch)

    private func run(at start: Int, _ name: String, _ exit: ExitReason, isGood: Bool) {
        story.says(at: start, "activating/start", run: name, pid: 100)
        story.ends(at: start + 1000, pid: 100)
        story.says(at: start + 1002, isGood ? "inactive/dead" : "failed/failed", run: name, exit: exit, endedWell: isGood)
    }

    @Test func betweenTwoGoodRunsItIsIdle() {
        story.says(at: 0, "inactive/dead")
        #expect(story.tracker.phase == .idle)
        run(at: 1000, "A", .exited(status: 0), isGood: true)
        story.pass(until: 100_000)
        #expect(story.tracker.phase == .idle)
        run(at: 200_000, "B", .exited(status: 0), isGood: true)
        story.pass(until: 300_000)
        #expect(story.events == [])
        #expect(story.tracker.runs == 2)
    }

    @Test func eachRunThatFailsIsAnEventAndAGoodOneEndsThat() {
        story.says(at: 0, "inactive/dead")
        run(at: 1000, "A", .exited(status: 1), isGood: false)
        story.pass(until: 50_000)
        #expect(story.tracker.phase == .down)
        run(at: 100_000, "B", .exited(status: 2), isGood: false)
        run(at: 200_000, "C", .exited(status: 0), isGood: true)
        story.pass(until: 300_000)
        #expect(
            story.events == [
                "2002 unit_failed failure error: its run failed: exited with status 1 (failed/failed)",
                "101002 unit_failed failure error: its run failed: exited with status 2 (failed/failed); 2 runs in a row have failed",
                "201002 unit_up: its last run ended well (exited with status 0)",
            ])
        #expect(story.tracker.phase == .idle)
    }

    @Test func aRunThatFollowsOnAFailedOneIsNoGoodNewsYet() {
        run(at: 0, "A", .exited(status: 1), isGood: false)
        story.says(at: 60_000, "activating/start", run: "B", pid: 200)
        story.pass(until: 100_000)
        #expect(story.events.count == 1)
        #expect(story.tracker.phase == .changing && story.tracker.isDown)
    }

    @Test func aRunMayTakeAsLongAsItTakes() {
        story.says(at: 0, "activating/start", run: "A", pid: 100)
        story.pass(until: 10_000_000)
        #expect(story.events == [])
        #expect(story.tracker.phase == .up)
    }

    @Test func aFailureThatIsThereAtTheFirstLookIsSaid() {
        story.says(at: 0, "failed/failed", run: "A", exit: .timeout, endedWell: false)
        #expect(story.events == ["0 unit_failed failure error: its run failed: timed out (failed/failed)"])
    }

    @Test func aRunThatIsCutShortOnRequestIsNoFailure() {
        story.says(at: 0, "activating/start", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.ends(at: 1100, pid: 100)
        story.says(at: 1101, "failed/failed", run: "A", exit: .signaled(15), endedWell: false)
        story.pass(until: 60_000)
        #expect(story.events == ["6151 unit_stopped request warning: stopped on request, killed by SIGTERM (failed/failed)"])
    }

    @Test func resettingAFailureEndsIt() {
        run(at: 0, "A", .exited(status: 1), isGood: false)
        story.says(at: 10_000, "inactive/dead", run: "A", exit: .exited(status: 1), endedWell: false)
        story.pass(until: 20_000)
        #expect(story.events.last == "10050 unit_up: is no longer failed (inactive/dead)")
    }
}

@Suite struct OnDemandStories {
    private let story = UnitStory("libvirtd", restartsByItself: false)
    private let listening = Observation.Activation(by: "libvirtd.socket", isActive: true)

    @Test func idleIsNotDownWhileItsSocketListens() {
        story.activation = listening
        story.says(at: 0, "inactive/dead")
        story.says(at: 10_000, "active/running", run: "A", pid: 100)
        story.ends(at: 20_000, pid: 100)
        story.says(at: 20_002, "inactive/dead", run: "A", exit: .exited(status: 0), endedWell: true)
        story.pass(until: 100_000)
        #expect(story.events == [])
        #expect(story.tracker.phase == .idle)
    }

    @Test func aFailureOfItIsDown() {
        story.activation = listening
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        story.says(at: 1002, "failed/failed", run: "A", exit: .signaled(9), endedWell: false)
        #expect(story.events == ["1002 unit_down failure error: killed by SIGKILL (failed/failed)"])
        // The socket starts it again.
        story.says(at: 5000, "active/running", run: "B", pid: 200)
        #expect(story.events.last == "5000 unit_up: is running (active/running)")
    }

    @Test func withoutItsSocketNothingStartsIt() {
        story.activation = listening
        story.says(at: 0, "inactive/dead")
        story.activation = Observation.Activation(by: "libvirtd.socket", isActive: false, hasFailed: true)
        story.says(at: 10_000, "inactive/dead")
        story.pass(until: 60_000)
        #expect(
            story.events == [
                "11000 unit_down failure error: is not running (inactive/dead); libvirtd.socket, which starts it, has failed"
            ] || story.events == ["10000 unit_down failure error: is not running (inactive/dead); libvirtd.socket, which starts it, has failed"])
        story.activation = listening
        story.says(at: 70_000, "inactive/dead")
        story.pass(until: 80_000)
        #expect(story.events.last?.hasSuffix("unit_up: is idle: libvirtd.socket starts it when it is needed") == true)
        #expect(story.tracker.phase == .idle)
    }

    @Test func aSocketThatIsClosedOnRequestStopsTheUnit() {
        story.activation = listening
        story.says(at: 0, "inactive/dead")
        story.activation = Observation.Activation(by: "libvirtd.socket", isActive: false)
        story.says(at: 10_000, "inactive/dead")
        story.pass(until: 60_000)
        #expect(
            story.events.map { $0.drop { $0 != " " } } == [
                " unit_stopped request warning: stopped on request: libvirtd.socket no longer starts it (inactive/dead)"
            ])
    }
}

@Suite struct PolicyStories {
    @Test func aDeclaredSuccessThatIsNotRestartedHasEndedByItself() {
        let story = UnitStory()
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        let exit = ExitReason.exited(status: 143)
        story.says(at: 1001, "deactivating/stop-post", run: "A", exit: exit, endedWell: true, willRestart: false)
        story.says(at: 3000, "inactive/dead", run: "A", exit: exit, endedWell: true, willRestart: false)
        story.pass(until: 60_000)
        #expect(story.events == ["1050 unit_down finished error: ended by itself: exited with status 143 (deactivating/stop-post)"])
        story.says(at: 70_000, "active/running", run: "B", pid: 200)
        story.says(at: 80_000, "deactivating/stop-sigterm", run: "B", pid: 200, job: true)
        story.ends(at: 80_100, pid: 200)
        story.says(at: 80_101, "deactivating/stop-post", run: "B", exit: exit, job: true, endedWell: true, willRestart: false)
        story.says(at: 82_000, "inactive/dead", run: "B", exit: exit, endedWell: true, willRestart: false)
        story.pass(until: 100_000)
        #expect(
            story.events.dropFirst() == [
                "70000 unit_up: is running (active/running)", "87050 unit_stopped request warning: stopped on request (inactive/dead)",
            ])
    }

    @Test func theDelayBeforeARestartIsNotHeldAgainstIt() {
        let story = UnitStory()
        story.restartDelay = .seconds(20)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "activating/auto-restart", run: "A", exit: .signaled(9), endedWell: false)
        story.pass(until: 21_000)
        story.says(at: 21_100, "active/running", run: "B", pid: 200, restarts: 1)
        story.pass(until: 100_000)
        #expect(story.events == ["1000 unit_restarted failure warning: killed by SIGKILL; systemd restarts it in 20 s"])
    }

    @Test func aProgramThatEndsWellAndIsRunAgainIsNothingToHearOf() {
        let story = UnitStory()
        story.restartDelay = .seconds(14)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "activating/auto-restart", run: "A", exit: .exited(status: 0), endedWell: true)
        story.says(at: 15_000, "active/running", run: "B", pid: 200, restarts: 1)
        story.pass(until: 60_000)
        #expect(story.events == ["1000 unit_restarted finished: exited with status 0; systemd restarts it in 14 s"])
    }

    @Test func aMainProcessThatHasHandedOverIsAskedFor() {
        let story = UnitStory(restartsByItself: false)
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.ends(at: 1000, pid: 100)
        #expect(story.tracker.awaitsWord)
        story.says(at: 1030, "active/running", run: "A", pid: 200)
        story.pass(until: 100_000)
        #expect(story.events == ["1030 unit_restarted unknown: a new main process took over in the same run"])
        #expect(story.tracker.phase == .up && story.tracker.mainProcess?.pid == 200 && story.tracker.restarts == 0)
    }

    @Test func anInstanceThatWasStoppedIsShownForAWhileAndThenForgotten() {
        let story = UnitStory("worker@3")
        story.says(at: 0, "active/running", run: "A", pid: 100)
        story.says(at: 1000, "deactivating/stop-sigterm", run: "A", pid: 100, job: true)
        story.says(at: 1100, "inactive/dead", run: "A")
        story.isUnknown(at: 1200)
        story.pass(until: 10_000)
        #expect(
            story.events.map { $0.drop { $0 != " " } } == [
                " unit_stopped request warning: stopped on request, and gone: no init system here knows it any longer"
            ])
        #expect(story.tracker.phase == .stopped && !story.tracker.isGone)
        story.pass(until: 4_000_000)
        #expect(story.tracker.isGone)
        #expect(story.events.count == 1)
    }

    @Test func aWrapperIsIdleAndStoppedOnRequest() {
        let story = UnitStory("postgresql", restartsByItself: false, nature: .marker)
        story.says(at: 0, "active/exited", run: "A", exit: .exited(status: 0), endedWell: true)
        #expect(story.tracker.phase == .idle && !story.tracker.isUp)
        story.says(at: 1000, "active/exited", run: "A", exit: .exited(status: 0), job: true, endedWell: true)
        story.says(at: 1001, "inactive/dead", run: "A", exit: .exited(status: 0), endedWell: true)
        story.pass(until: 60_000)
        #expect(story.events.map { $0.drop { $0 != " " } } == [" unit_stopped request warning: stopped on request (inactive/dead)"])
    }
}
