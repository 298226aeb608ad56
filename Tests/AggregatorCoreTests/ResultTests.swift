import AgentAPI
import Checks
import Platform
import Testing

@testable import AggregatorCore

@Suite struct ResultTests {
    var world = World(
        ServicePlan(
            services: [
                ConfiguredService(
                    name: "Shop", checks: [.still("home page", service: "Shop", failures: 3), .still("pay", service: "Shop", importance: .critical)])
            ], defaultRecipients: ["ops@example.com"]))

    init() { world.configure(world.plan) }

    @Test mutating func aCheckFailsAfterSoManyFailuresInARow() {
        for outcome in [
            ProbeOutcome.failed(reason: "503"), .failed(reason: "503"), .passed(detail: "200"), .failed(reason: "503"), .failed(reason: "503"),
        ] {
            world.result(outcome, service: "Shop", check: "home page")
        }
        #expect(world.alerts.isEmpty)
        world.result(.failed(reason: "answered 503, expected 200"), service: "Shop", check: "home page")
        #expect(world.subjects == ["[error] Shop: check home page: answered 503, expected 200"])
        world.pass(.seconds(60))
        world.result(.passed(detail: "200"), service: "Shop", check: "home page")
        #expect(world.subjects.last == "[ok] Shop is passing again after 1 min")
    }

    @Test mutating func aCheckThatKeepsFailingSaysWhatFailsNowAndSinceWhen() {
        world.result(.failed(reason: "answered 503"), service: "Shop", check: "pay")
        world.pass(.seconds(60))
        world.result(.failed(reason: "connection refused"), service: "Shop", check: "pay")
        #expect(world.reasons == [.newProblem])
        let problem = world.situation.services["Shop"]?.orderedProblems.first
        #expect(problem?.text == "connection refused")
        #expect(problem?.since == World.start)
        #expect(problem?.importance == .critical)
    }

    @Test mutating func aCheckThatIsNoLongerConfiguredNoLongerFails() {
        world.result(.failed(reason: "answered 503"), service: "Shop", check: "pay")
        world.configure(
            ServicePlan(
                services: [ConfiguredService(name: "Shop", checks: [.still("home page", service: "Shop")])], defaultRecipients: ["ops@example.com"]))
        #expect(world.status("Shop") == .passing)
        #expect(world.situation.checks.keys.map(\.name) == ["home page"])
        #expect(world.reasons == [.newProblem])
    }

    @Test mutating func aCheckThatProbesSomethingElseBeginsAnew() {
        world.result(.failed(reason: "answered 503"), service: "Shop", check: "pay")
        world.configure(
            ServicePlan(services: [ConfiguredService(name: "Shop", checks: [.still("pay", service: "Shop", summary: "another place")])]))
        #expect(world.status("Shop") == .passing)
        #expect(world.situation.checks[CheckKey(service: "Shop", name: "pay")]?.lastRun == nil)
    }
}
