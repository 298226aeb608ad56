import AgentAPI
import Platform
import Testing

@testable import AggregatorCore

@Suite struct RestartTests {
    var world = World()

    private mutating func restart(after seconds: Int64, cause: Event.Cause = .failure) {
        world.now = World.start + .seconds(seconds)
        world.report([world.event(.unitRestarted, after: seconds, importance: .warning, cause: cause, detail: "killed by SIGSEGV")])
    }

    @Test mutating func theFirstRestartAfterAFailureIsToldAtOnce() {
        restart(after: 0)
        #expect(world.subjects == ["[restarted] puma.service on web1 failed and was restarted: killed by SIGSEGV"])
        #expect(world.outbox[0].dueAt == world.now)
        #expect(world.status("puma.service") == .passing)
    }

    @Test mutating func aRestartThatSomebodyAskedForIsToldToNobody() {
        restart(after: 0, cause: .request)
        #expect(world.alerts.isEmpty)
    }

    @Test mutating func furtherRestartsWithinTenMinutesAreGatheredIntoOneMessageAtTheirEnd() {
        for second in 0..<7 { restart(after: Int64(second) * 30) }
        #expect(world.outbox.count == 2)
        #expect(world.outbox[1].dueAt == World.start + .seconds(600))
        #expect(world.outbox[1].subject == "[restarted] puma.service on web1 restarted 7 times since 2026-11-21 03:00:00 UTC")
    }

    @Test mutating func aUnitThatCrashesForHoursIsToldOnceInTenMinutes() {
        for minute in 0...60 { restart(after: Int64(minute) * 60) }
        #expect(world.outbox.map(\.dueAt) == [0, 600, 1200, 1800, 2400, 3000, 3600, 4200].map { World.start + .seconds($0) })
        #expect(world.outbox[2].subject == "[restarted] puma.service on web1 restarted 10 times since 2026-11-21 03:10:00 UTC")
    }

    @Test mutating func afterTenQuietMinutesTheNextRestartIsNewsAgain() {
        restart(after: 0)
        restart(after: 60)
        restart(after: 1300)
        #expect(world.reasons == [.unitRestarted, .unitRestartedOften, .unitRestarted])
    }
}
