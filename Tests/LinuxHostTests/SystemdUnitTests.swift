import AgentCore
import Testing

@testable import LinuxHost

/// What systemd 252 signalled, in the order in which it did, and what it means.
@Suite struct SystemdUnitTests {
    func service(
        pid: UInt64 = 0, result: String = "success", restarts: UInt64 = 0, code: Int64 = 0, status: Int64 = 0, exited: UInt64 = 0
    ) -> [String: BusValue] {
        [
            "MainPID": .unsigned(pid), "Result": .string(result), "NRestarts": .unsigned(restarts), "ExecMainCode": .signed(code),
            "ExecMainStatus": .signed(status), "ExecMainExitTimestampMonotonic": .unsigned(exited),
        ]
    }

    func unit(_ active: String, _ sub: String, job: UInt64 = 0, run: UInt8 = 1) -> [String: BusValue] {
        [
            "ActiveState": .string(active), "SubState": .string(sub), "Job": .list([.unsigned(job), .string(job == 0 ? "/" : "/job/\(job)")]),
            "InvocationID": .bytes([run, 0xab]),
        ]
    }

    func running() -> SystemdUnit {
        var state = SystemdUnit()
        state.apply(["Id": .string("a.service"), "LoadState": .string("loaded"), "Restart": .string("always")])
        state.apply(service(pid: 100))
        state.apply(unit("active", "running"))
        return state
    }

    @Test func anAutomaticRestartIsNobodysJobAndNeverLooksStopped() {
        var state = running()
        state.apply(service(result: "signal", code: 2, status: 9, exited: 50))
        state.apply(unit("failed", "failed"))
        #expect(state.mayBePassing)
        state.apply(unit("activating", "auto-restart"))
        #expect(state.activity == .restarting && !state.mayBePassing && state.lastExit == .signaled(9))
        state.apply(service(result: "signal", restarts: 1, code: 2, status: 9, exited: 50))
        state.apply(unit("activating", "auto-restart", job: 7))
        #expect(state.activity == .restarting && !state.hasRequestedJob && state.automaticRestarts == 1)
        state.apply(unit("inactive", "dead", job: 7))
        #expect(state.activity == .restarting && !state.mayBePassing)
        state.apply(service(pid: 101, restarts: 1))
        state.apply(unit("inactive", "dead", job: 7, run: 2))
        #expect(state.activity == .starting && state.run == "02ab")
        state.apply(unit("active", "running", job: 7, run: 2))
        #expect(state.activity == .running && !state.hasRequestedJob)
        state.apply(unit("active", "running", run: 2))
        #expect(state.activity == .running && state.lastExit == .signaled(9))
    }

    @Test func aRestartThatSomebodyAskedForIsTheirJob() {
        var state = running()
        state.apply(unit("active", "running", job: 8))
        #expect(state.hasRequestedJob && state.activity == .running)
        state.apply(unit("deactivating", "stop-sigterm", job: 8))
        state.apply(service(code: 2, status: 15, exited: 60))
        state.apply(unit("inactive", "dead", job: 8))
        #expect(state.hasRequestedJob && state.activity == .stopped && state.lastExit == .signaled(15))
        state.apply(service(pid: 102))
        state.apply(unit("active", "running", job: 8, run: 2))
        #expect(state.hasRequestedJob)
        state.apply(unit("active", "running", run: 2))
        #expect(!state.hasRequestedJob)
    }

    @Test func aJobWhileItWaitsToRestartIsSomebodysUnlessSystemdCountsIt() {
        var state = running()
        state.apply(service(result: "exit-code", code: 1, status: 1, exited: 50))
        state.apply(unit("activating", "auto-restart"))
        state.apply(service(result: "exit-code", code: 1, status: 1, exited: 50))
        state.apply(unit("activating", "auto-restart", job: 9))
        #expect(state.hasRequestedJob)
    }

    @Test func theStartLimitIsNamed() {
        var state = running()
        state.apply(service(result: "exit-code", code: 1, status: 1, exited: 50))
        state.apply(unit("activating", "auto-restart"))
        state.apply(service(result: "exit-code", restarts: 1, code: 1, status: 1, exited: 50))
        state.apply(unit("activating", "auto-restart", job: 7))
        state.apply(unit("inactive", "dead", job: 7))
        #expect(state.activity == .restarting)
        state.apply(service(result: "exit-code", restarts: 1, code: 1, status: 1, exited: 50))
        state.apply(unit("failed", "failed", job: 7))
        #expect(state.activity == .failed && state.lastExit == .startLimit)
        state.apply(service(result: "exit-code", restarts: 1, code: 1, status: 1, exited: 50))
        state.apply(unit("failed", "failed"))
        #expect(state.activity == .failed && state.lastExit == .startLimit)
        state.apply(service(result: "exit-code", restarts: 0, code: 1, status: 3, exited: 70))
        state.apply(unit("failed", "failed", run: 3))
        #expect(state.lastExit == .exited(status: 3))
    }

    @Test func theReasonOfAFailureOutlivesTheNextStart() {
        var state = running()
        state.apply(service(result: "watchdog", code: 2, status: 6, exited: 50))
        state.apply(unit("failed", "failed"))
        #expect(state.lastExit == .watchdog)
        // Between two runs `Result` says success already, and the code is still that of the first.
        state.apply(service(result: "success", code: 2, status: 6, exited: 50))
        #expect(state.lastExit == .watchdog)
        state.apply(service(pid: 101))
        #expect(state.lastExit == .watchdog)
    }

    @Test(arguments: [
        ("success", Int64(1), Int64(0), ExitReason.exited(status: 0)), ("exit-code", 1, 3, .exited(status: 3)),
        ("exit-code", 2, 9, .other("exit-code")),
        ("signal", 2, 11, .signaled(11)), ("core-dump", 3, 11, .dumpedCore(signal: 11)), ("oom-kill", 2, 9, .outOfMemory),
        ("watchdog", 2, 6, .watchdog),
        ("timeout", 2, 9, .timeout), ("start-limit-hit", 0, 0, .startLimit), ("resources", 0, 0, .other("resources")),
        ("success", 2, 15, .signaled(15)),
    ])
    func exitsAreTranslated(result: String, code: Int64, status: Int64, reason: ExitReason) {
        #expect(ExitReason(result: result, code: code, status: status) == reason)
    }

    @Test(arguments: [
        ("active", "running", Observation.Activity.running), ("active", "exited", .running), ("active", "listening", .running),
        ("reloading", "reload", .reloading), ("activating", "start-pre", .starting), ("activating", "auto-restart", .restarting),
        ("activating", "auto-restart-queued", .restarting), ("deactivating", "stop-sigterm", .stopping), ("inactive", "dead", .stopped),
        ("failed", "failed", .failed), ("maintenance", "cleaning", .stopped), ("whatever", "comes", .stopped),
    ])
    func statesAreTranslated(active: String, sub: String, activity: Observation.Activity) {
        var state = SystemdUnit()
        state.apply(unit(active, sub))
        #expect(state.activity == activity)
    }

    @Test(arguments: [
        ("puma", "puma.service"), ("puma.service", "puma.service"), ("app.example.com", "app.example.com.service"), ("worker@1", "worker@1.service"),
        ("ssh.socket", "ssh.socket"), ("backup.timer", "backup.timer"), ("", ".service"),
    ])
    func namesAreCompleted(name: String, full: String) {
        #expect(systemdUnitName(name) == full)
    }

    @Test(arguments: [
        ("done", Optional<String>.none), ("timeout", "the restart of a.service took longer than systemd allows"),
        ("failed", "the restart of a.service failed: it exited with status 3"), ("new-in-300", "the restart of a.service ended as 'new-in-300'"),
    ])
    func resultsOfJobsAreWords(result: String, problem: String?) {
        var jobs = SystemdJobs()
        let number = jobs.begin(.restart, on: "a.service") { _ in }
        let outcome = jobs.take(number)?.outcome(result, lastExit: .exited(status: 3))
        switch outcome {
        case .success: #expect(problem == nil)
        case .failure(let error): #expect(error.problem == problem)
        case nil: Issue.record("the job is gone")
        }
    }

    @Test func aResultThatComesBeforeTheAnswerIsNotLost() {
        var jobs = SystemdJobs()
        let number = jobs.begin(.reload, on: "a.service") { _ in }
        #expect(jobs.removed("/job/1", result: "done") == nil)
        #expect(jobs.removed("/job/2", result: "failed") == nil)
        #expect(jobs.accepted(number, path: "/job/2") == "failed")
        #expect(jobs.take(number)?.unit == "a.service")
        let next = jobs.begin(.reload, on: "a.service") { _ in }
        #expect(jobs.accepted(next, path: "/job/1") == nil)
        #expect(jobs.removed("/job/1", result: "done")?.unit == "a.service")
        #expect(jobs.take(next) == nil)
    }
}
