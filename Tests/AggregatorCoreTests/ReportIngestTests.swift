import AgentAPI
import Platform
import Testing

@testable import AggregatorCore

@Suite struct ReportIngestTests {
    var world = World()

    @Test mutating func aUnitThatDiedAndCameBackWhileWeWereAwayIsAProblemAndARecovery() {
        world.pass(.seconds(130))
        world.report([
            world.event(.unitDown, after: 0, detail: "killed by SIGKILL"), world.event(.unitUp, after: 130),
        ])
        #expect(world.reasons == [.newProblem, .recovered])
        #expect(
            world.subjects == [
                "[error] puma.service on web1 is down: killed by SIGKILL", "[ok] puma.service is passing again after 2 min 10 s",
            ])
        #expect(world.status("puma.service") == .passing)
    }

    @Test mutating func theSameReportTwiceChangesNothingTheSecondTime() {
        let events = [world.event(.unitDown, detail: "killed by SIGKILL")]
        world.report(events, units: [.down("puma.service")])
        let before = world.situation
        let second = world.report(events, units: [.down("puma.service")])
        #expect(second.events.isEmpty && second.alerts.isEmpty && second.outbox.isEmpty)
        #expect(world.situation == before)
    }

    @Test mutating func overlappingReportsStoreEachEventOnce() {
        let events = [world.event(.agentStarted, nil), world.event(.unitDown), world.event(.unitUp), world.event(.unitDown)]
        world.report(Array(events[0...1]), units: [.down("puma.service")])
        world.report(events, units: [.down("puma.service")])
        #expect(world.events == events)
        #expect(world.reasons == [.newProblem, .recovered, .newProblem])
    }

    @Test mutating func eventsOfOneReportAreTakenInTheOrderOfTheirNumbers() {
        let events = [world.event(.unitDown), world.event(.unitUp, after: 1)]
        world.report(events.reversed())
        #expect(world.reasons == [.newProblem, .recovered])
    }

    @Test mutating func aGapInTheNumbersIsNoted() {
        world.report([world.event(.agentStarted, nil)])
        _ = (world.event(.unitDown), world.event(.unitUp))
        world.report([world.event(.agentStopped, nil, after: 9)])
        #expect(world.events.map(\.sequence) == [1, 2, 4])
        #expect(world.events[1].kind == .eventsLost)
        #expect(world.events[1].detail == "events 2 to 3 never arrived")
    }

    @Test mutating func theFirstReportOfAnAgentMayBeginAnywhere() {
        for _ in 1...40 { _ = world.event(.unitUp) }
        let first = world.event(.agentStarted, nil)
        world.report([first])
        #expect(world.events == [first])
        #expect(world.situation.host?.lastSequence == 41)
    }

    @Test mutating func aLateReportBringsItsEventsButNotItsState() {
        let late = world.event(.unitDown)
        world.report(units: [.up("puma.service")])
        let decision = world.report([late], units: [], at: world.now - .seconds(60))
        #expect(decision.snapshot == nil)
        #expect(decision.events == [late])
        #expect(world.situation.members["puma.service"] != nil)
    }

    @Test mutating func aClockThatWasSetBackIsFollowed() {
        world.report()
        let decision = world.report(at: world.now - .seconds(7200))
        #expect(decision.snapshot != nil)
    }

    @Test mutating func aUnitThatIsDownInTheStateAloneIsAProblem() {
        world.report(units: [.down("puma.service")])
        #expect(world.subjects == ["[error] puma.service on web1 is down: failed/failed (signal)"])
        world.pass(.seconds(60))
        world.report(units: [.up("puma.service")])
        #expect(world.reasons == [.newProblem, .recovered])
    }

    @Test mutating func aRuleThatFailsIsAProblemUntilItRecovers() {
        let rule = "if memory:total_rss > 500m then alert"
        world.report([world.event(.ruleFailed, rule: rule, importance: .warning, detail: "memory:total_rss is 512.3m, over 500m for 2 cycles")])
        #expect(world.status("puma.service") == .warning)
        #expect(world.subjects == ["[warning] puma.service on web1: memory:total_rss is 512.3m, over 500m for 2 cycles"])
        world.report([world.event(.ruleRecovered, rule: rule)])
        #expect(world.status("puma.service") == .passing)
    }

    @Test mutating func aRuleThatOnlyActsWakesNobody() {
        world.report([world.event(.ruleFailed, rule: "if cpu > 90% then restart", detail: "cpu is 99%")])
        #expect(world.alerts.isEmpty)
        #expect(world.status("puma.service") == .passing)
        #expect(world.events.count == 1)
    }

    @Test mutating func hostRulesBelongToTheHostsOwnService() {
        world.report([world.event(.ruleFailed, nil, rule: "if load:1 > 8 then alert", importance: .error, detail: "load:1 is 12, over 8")])
        #expect(world.subjects == ["[error] host web1: load:1 is 12, over 8"])
        #expect(world.status("host web1") == .error)
    }

    @Test mutating func sourcesFailAndRecoverEachByItself() {
        world.report([
            world.event(.sourceFailed, nil, importance: .error, detail: "systemd: connection refused"),
            world.event(.sourceFailed, nil, importance: .error, detail: "cgroup: gone"),
            world.event(.sourceRecovered, nil, detail: "systemd answers again"),
        ])
        #expect(world.situation.services["host web1"]?.orderedProblems.map(\.text) == ["the agent cannot look: cgroup: gone"])
    }

    @Test mutating func aUnitThatIsNoLongerWatchedTakesItsProblemsAlongQuietly() {
        world.report([world.event(.unitDown)], units: [.down("puma.service")])
        world.report(units: [])
        #expect(world.status("puma.service") == .passing)
        #expect(world.situation.members["puma.service"] == nil)
        #expect(world.reasons == [.newProblem])
    }

    @Test mutating func anAgentsClockThatRunsAheadDoesNotPutProblemsIntoTheFuture() {
        world.report([world.event(.unitDown, after: 86400)], units: [.down("puma.service")])
        #expect(world.situation.services["puma.service"]?.since == world.now)
    }

    @Test mutating func aHostThatChangesItsNameTakesItsProblemsAlong() {
        world.report([world.event(.ruleFailed, nil, rule: "if load:1 > 8 then alert", importance: .error, detail: "load:1 is 12")])
        world.report(host: "web2")
        #expect(world.status("host web2") == .error)
        #expect(world.status("host web1") == .passing)
        #expect(world.alerts.count == 1)
    }

    // MARK: Several checks of one unit

    private static let owners = ServicePlan(routes: ["dba": ["dba@example.com"], "web": ["web@example.com"]], defaultRecipients: ["ops@example.com"])

    @Test mutating func everyOwnerOfAUnitHearsOfItsProblemAndItsEnd() {
        world = World(Self.owners)
        func told(_ from: Int) -> [String] { world.outbox[from...].map { "\($0.recipient): \($0.subject)" }.sorted() }
        world.report(["dba", "web"].map { world.event(.unitDown, detail: "killed by SIGKILL", routes: [$0]) }, units: [.down("puma.service")])
        #expect(
            told(0) == [
                "dba@example.com: [error] puma.service on web1 is down: killed by SIGKILL",
                "web@example.com: [error] puma.service on web1 is down: killed by SIGKILL",
            ])
        #expect(world.reasons == [.newProblem, .newProblem])
        world.pass(.seconds(10))
        world.report(["dba", "web"].map { world.event(.unitUp, after: 10, routes: [$0]) })
        #expect(
            told(2) == [
                "dba@example.com: [ok] puma.service is passing again after 10 s", "web@example.com: [ok] puma.service is passing again after 10 s",
            ])
        #expect(world.status("puma.service") == .passing)
    }

    @Test mutating func theOwnerOfTwoChecksOfOneUnitHearsOnce() {
        world = World(Self.owners)
        world.report((0..<2).map { _ in world.event(.unitDown, detail: "killed by SIGKILL", routes: ["dba"]) }, units: [.down("puma.service")])
        world.report((0..<2).map { _ in world.event(.unitUp, after: 10, routes: ["dba"]) })
        #expect(world.outbox.map(\.recipient) == ["dba@example.com", "dba@example.com"])
        #expect(world.reasons == [.newProblem, .recovered])
    }

    @Test mutating func theEndOfASuspensionIsToldToo() {
        world.report([world.event(.actionsSuspended, importance: .error, detail: "rules acted on it 3 times within 10 min")])
        #expect(world.subjects == ["[error] puma.service on web1: automatic actions suspended: rules acted on it 3 times within 10 min"])
        world.report([world.event(.actionsResumed, detail: "rules may act on it again")])
        #expect(world.reasons == [.newProblem, .recovered] && world.status("puma.service") == .passing)
    }

    @Test mutating func whatAnOperatorStopsIsSaidAsThat() {
        world.report(
            [world.event(.unitStopped, importance: .warning, cause: .request, detail: "stopped on request (inactive/dead)")],
            units: [.stopped("puma.service")])
        #expect(world.subjects == ["[warning] puma.service on web1 was stopped on request (inactive/dead)"])
        #expect(world.status("puma.service") == .warning)
    }

    @Test mutating func aJobIsCalledByItsName() {
        world.report([world.event(.jobOverdue, nil, rule: "job backup", importance: .error, detail: "backup happens every day")])
        #expect(world.subjects == ["[error] host web1: job backup is overdue: backup happens every day"])
    }
}
