@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

@Suite struct WatchStateMutations {
    @Test func noStateMakesTheWatcherCrash() {
        let now = Moment(wall: Timestamp(seconds: 1_795_000_000), uptime: .seconds(5000))
        let job = Job(name: "sync", schedule: .every(.seconds(60)), longestRun: .seconds(5), place: Place(line: 1, column: 1))
        Mutations.run(seeds: Mutations.seeds("watch-state")) { bytes in
            guard var state = try? WatchState(parsing: bytes, at: now) else { return }
            var jobs = JobBook { _, _ in nil }
            jobs.restore(state.jobs, at: now.wall)
            jobs.change([job], at: now.wall)
            _ = jobs.judge(at: now.wall)
            let tidy = DiscoveredJob(
                name: "tidy.timer", unit: "tidy.service", lastStart: now.wall, nextDue: now.wall, isRunning: false, lastExit: .exited(status: 1))
            _ = state.timers.observe(tidy)
            _ = state.timers.judge(at: now.wall)
            _ = state.units.take("puma")
            if TimerBook(state.timers.json).json != state.timers.json { Issue.record("\(state.timers.json.text) is not read again") }
            _ = state.silences.expire(at: now, grace: .seconds(15))
            for (_, limit) in state.limits where limit.suspendedUntil ?? .zero > now.uptime + StormLimit.longestPause {
                Issue.record("suspended for ever")
            }
            for window in state.silences.windows where window.ends > now.uptime + Silences.longestDeploy { Issue.record("silent for ever") }
            let written = state.silences.json(at: now)
            if Silences(written, at: now).windows.count != state.silences.windows.count { Issue.record("\(written.text) is not read again") }
        }
    }
}
