import AgentAPI
import Platform
import Testing

@testable import AggregatorCore

@Suite struct SilenceTests {
    var world = World()

    @Test mutating func anAgentBeyondItsGraceMakesItsHostCriticalOnce() {
        world.report()
        world.pass(.seconds(30))
        world.watch()
        #expect(world.alerts.isEmpty)
        world.pass(.seconds(1))
        world.watch()
        world.pass(.seconds(60))
        world.watch()
        #expect(world.subjects == ["[critical] host web1 is silent: its agent has not reported for 31 s"])
        #expect(world.situation.host?.isSilent == true)
    }

    @Test mutating func itsNextReportIsTheRecovery() {
        world.report()
        world.pass(.seconds(31))
        world.watch()
        world.pass(.seconds(9))
        world.report()
        #expect(world.reasons == [.newProblem, .recovered])
        #expect(world.status("host web1") == .passing)
        #expect(world.situation.host?.isSilent == false)
    }

    @Test mutating func whatTheAggregatorMissedWhileItWasDownIsNotSilence() {
        world.report()
        world.pass(.seconds(3600))
        world.watch(awakeSince: world.now - .seconds(29))
        #expect(world.alerts.isEmpty)
        world.pass(.seconds(2))
        world.watch(awakeSince: world.now - .seconds(31))
        #expect(world.reasons == [.newProblem])
    }

    @Test(arguments: [(1, 30), (10, 30), (60, 180)]) func graceFollowsTheInterval(interval: Int, grace: Int) {
        #expect(ServicePlan().grace(forInterval: .seconds(interval)) == .seconds(grace))
        #expect(ServicePlan(grace: .seconds(90)).grace(forInterval: .seconds(interval)) == .seconds(90))
    }

    @Test(arguments: [
        (5, 5, false),  // a pass on time
        (45, 45, true),  // the process or the machine stood still
        (3605, 5, true),  // the wall clock was set forward
        (-3595, 5, true),  // and back
    ]) func standingStillAndChangedClocksStartTheGraceAnew(wall: Int, uptime: Int, isNew: Bool) {
        let start = Moment(wall: World.start, uptime: .seconds(100))
        var wakefulness = Wakefulness(at: start)
        let next = Moment(wall: start.wall + .seconds(wall), uptime: start.uptime + .seconds(uptime))
        wakefulness.observe(next)
        #expect(wakefulness.since == (isNew ? next.wall : start.wall))
    }
}
