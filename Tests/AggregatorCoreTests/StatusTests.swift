import AgentAPI
import Platform
import Testing

@testable import AggregatorCore

@Suite struct StatusTests {
    static let shop = ConfiguredService(
        name: "Shop", units: [UnitPattern(unit: "puma"), UnitPattern(host: "web1", unit: "nginx.service")], importance: .critical,
        notify: ["shop@example.com"])

    @Test func unitsBelongToWhoNamesThemElseToTheServiceOfTheirName() {
        let plan = ServicePlan(services: [Self.shop])
        #expect(plan.services(ofUnit: "puma.service", onHost: "web7") == ["Shop"])
        #expect(plan.services(ofUnit: "puma", onHost: "web7") == ["Shop"])
        #expect(plan.services(ofUnit: "nginx.service", onHost: "web1") == ["Shop"])
        #expect(plan.services(ofUnit: "nginx.service", onHost: "web2") == ["nginx.service"])
        #expect(plan.services(ofUnit: "", onHost: "web2") == ["host web2"])
    }

    @Test func theStatusIsTheWorstImportanceAmongTheProblems() {
        var world = World()
        world.report([world.event(.ruleFailed, rule: "a", importance: .warning, detail: "a is high")], units: [.up("puma.service")])
        world.report([world.event(.unitDown, detail: "exit status 1")], units: [.down("puma.service")])
        world.report([world.event(.ruleFailed, rule: "b", importance: .critical, detail: "b is high")], units: [.down("puma.service")])
        #expect(world.reasons == [.newProblem, .worse, .worse])
        #expect(world.status("puma.service") == .critical)
        world.report([world.event(.ruleRecovered, rule: "b")], units: [.down("puma.service")])
        #expect(world.status("puma.service") == .error)
        world.report([world.event(.unitUp)])
        #expect(world.status("puma.service") == .warning)
        world.report([world.event(.ruleRecovered, rule: "a")])
        #expect(world.reasons == [.newProblem, .worse, .worse, .problemSolved, .problemSolved, .recovered])
    }

    @Test func aSecondProblemAsBadAsTheFirstIsTold() {
        var world = World()
        world.report(
            [world.event(.ruleFailed, rule: "a", importance: .error, detail: "a is high"), world.event(.unitDown, detail: "exit status 1")],
            units: [.down("puma.service")])
        #expect(world.reasons == [.newProblem, .anotherProblem])
    }

    @Test func aLesserProblemBesideAWorseOneIsTheSubjectOfNoMail() {
        var world = World()
        world.report(
            [world.event(.unitDown, detail: "exit status 1"), world.event(.ruleFailed, rule: "a", importance: .warning, detail: "a is high")],
            units: [.down("puma.service")])
        world.report([world.event(.ruleRecovered, rule: "a")], units: [.down("puma.service")])
        #expect(world.reasons == [.newProblem])
    }

    @Test func theServiceThatNamesAUnitSaysHowMuchItMattersAndWhoHearsOfIt() {
        var world = World(ServicePlan(services: [Self.shop], defaultRecipients: ["ops@example.com"]))
        world.report([world.event(.unitDown, detail: "exit status 1", routes: ["night"])], units: [.down("puma.service")])
        #expect(world.status("Shop") == .critical)
        #expect(world.outbox.map(\.recipient) == ["shop@example.com"])
        #expect(world.subjects == ["[critical] Shop: puma.service on web1 is down: exit status 1"])
    }

    @Test(arguments: [("night", ["night@example.com"]), ("unheard-of", ["ops@example.com"]), (nil, ["ops@example.com"])])
    func withoutAServicesOwnPeopleTheRuleSaysWhoHears(route: String?, recipients: [String]) {
        var world = World(ServicePlan(routes: ["night": ["night@example.com"]], defaultRecipients: ["ops@example.com"]))
        world.report([world.event(.unitDown, routes: [route])], units: [.down("puma.service")])
        #expect(world.outbox.map(\.recipient) == recipients)
    }

    @Test func whoeverHeardOfAnIncidentHearsOfItsEnd() {
        var world = World(ServicePlan(routes: ["night": ["night@example.com"]], defaultRecipients: ["ops@example.com"]))
        world.report([world.event(.ruleFailed, rule: "a", importance: .error, detail: "a is high", routes: ["night"])])
        world.report([world.event(.unitDown)], units: [.down("puma.service")])
        world.report([world.event(.ruleRecovered, rule: "a", routes: ["night"])], units: [.down("puma.service")])
        world.outbox = []
        world.report([world.event(.unitUp)])
        #expect(world.outbox.map(\.recipient) == ["night@example.com", "ops@example.com"])
    }

    @Test func recoveryCountsFromTheBeginningOfTheIncident() {
        var world = World()
        world.report([world.event(.ruleFailed, after: 0, rule: "a", importance: .warning, detail: "a is high")])
        world.pass(.seconds(3600))
        world.report([world.event(.unitDown, after: 3590)], units: [.down("puma.service")])
        world.report([world.event(.ruleRecovered, after: 3595, rule: "a")], units: [.down("puma.service")])
        world.report([world.event(.unitUp, after: 3600)])
        #expect(world.subjects.last == "[ok] puma.service is passing again after 1 h")
    }

    @Test func nobodyToTellMeansNoMessage() {
        var world = World(ServicePlan())
        world.report([world.event(.unitDown)], units: [.down("puma.service")])
        #expect(world.alerts.count == 1 && world.outbox.isEmpty)
    }

    @Test func aServiceThatIsConfiguredLaterTakesOverWhatFails() {
        var world = World()
        world.report([world.event(.unitDown)], units: [.down("puma.service")])
        world.configure(ServicePlan(services: [Self.shop], defaultRecipients: ["ops@example.com"]))
        #expect(world.status("puma.service") == .passing)
        #expect(world.status("Shop") == .critical)
        #expect(world.reasons == [.newProblem])
        world.report([world.event(.unitUp)])
        #expect(world.status("Shop") == .passing)
        #expect(world.outbox.last?.recipient == "shop@example.com")
    }
}
