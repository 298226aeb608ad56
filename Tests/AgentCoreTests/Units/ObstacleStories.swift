// Units that are slow to start, or will not.

import AgentAPI
@testable import AgentCore
import Platform
import Testing

@Suite struct ObstacleStories {
    private func told(_ observations: [(at: Int, Observation)], scope: UnitTracker.Scope = .life, before: UnitTracker.Before? = nil) -> [String] {
        var tracker = UnitTracker(name: "puma", scope: scope, before: before)
        var events: [String] = []
        var due: Duration?
        func take(_ decisions: [UnitTracker.Decision]) {
            due = nil
            for decision in decisions {
                switch decision {
                case .emit(let event): events.append("\(event.kind.rawValue): \(event.detail)")
                case .lookAgain(let uptime): due = uptime
                }
            }
        }
        func moment(_ uptime: Duration) -> Moment { Moment(wall: Timestamp(seconds: 1_800_000_000) + uptime, uptime: uptime) }
        for (index, (at, observation)) in observations.enumerated() {
            take(tracker.observe(observation, from: "systemd", at: moment(.seconds(at))))
            let next = index + 1 < observations.count ? observations[index + 1].at : 10_000
            while let time = due, time <= .seconds(next) { take(tracker.look(at: moment(time))) }
        }
        return events
    }

    private func seen(
        _ activity: Observation.Activity, _ obstacle: Observation.Obstacle? = nil, timeout: Duration? = nil, exit: ExitReason? = nil,
        byItself: Bool = false
    ) -> Observation {
        Observation(
            request: "puma", unit: "puma.service", activity: activity, detail: "\(activity)", lastExit: exit, restartsByItself: byItself,
            obstacle: obstacle, startTimeout: timeout)
    }

    @Test func aStartThatTakesTooLongIsDown() {
        #expect(told([(0, seen(.starting))]) == ["unit_down: is still starting after 90 s (starting)"])
        #expect(told([(0, seen(.starting)), (80, seen(.running))]) == [])
    }

    @Test func aUnitThatMayTakeItsTimeToStartIsGivenIt() {
        #expect(told([(0, seen(.starting, timeout: .seconds(600))), (599, seen(.running))]) == [])
        #expect(told([(0, seen(.starting, timeout: .seconds(600)))]) == ["unit_down: is still starting after 601 s (starting)"])
        // The init system gives up first, and says why.
        #expect(
            told([(0, seen(.starting, timeout: .seconds(20))), (20, seen(.failed, exit: .timeout))])
                == ["unit_down: is not running: timed out (failed)"])
    }

    @Test(arguments: [
        (Observation.Obstacle.masked, "is not running (stopped); it is masked"),
        (.conditionFailed, "is not running (stopped); a condition of its start was not met"),
        (.startLimit, "is not running (stopped); it was started too often, start limit reached"),
    ])
    func whyItDoesNotStartIsSaid(obstacle: Observation.Obstacle, words: String) {
        #expect(told([(0, seen(.stopped, obstacle))]) == ["unit_down: \(words)"])
    }

    @Test func aFailureThatPassesIsNoFailedUnit() {
        #expect(told([(0, seen(.failed, byItself: true))], scope: .failures).count == 1)
        let passing = seen(.failed, exit: .exited(status: 1), byItself: true)
        var tracker = UnitTracker(name: "x", scope: .failures)
        let start = Moment(wall: Timestamp(seconds: 0), uptime: .seconds(1))
        #expect(tracker.observe(passing, from: "systemd", at: start) == [.lookAgain(at: .milliseconds(1050))])
        #expect(tracker.observe(seen(.restarting), from: "systemd", at: start) == [])
    }

    @Test func aFailedUnitIsDownAndThenNotFailedAnyLonger() {
        #expect(
            told([(0, seen(.failed, exit: .exited(status: 1))), (60, seen(.failed)), (90, seen(.stopped))], scope: .failures) == [
                "unit_down: failed: exited with status 1 (failed)", "unit_up: is no longer failed",
            ])
    }

    @Test func whatAnEarlierLifeToldIsNotToldAgain() {
        #expect(told([(0, seen(.stopped)), (60, seen(.running))], before: .down) == ["unit_up: is running (running)"])
    }
}
