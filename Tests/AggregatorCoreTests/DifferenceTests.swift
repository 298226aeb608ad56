import AgentAPI
import Platform
import Testing

@testable import AggregatorCore

@Suite("Reports that are differences") struct DifferenceTests {
    var world = World()

    @Test("units that are not said are as they were; units that are gone are gone")
    mutating func membership() {
        world.report(units: [.up("puma"), .down("nginx"), .up("cron")], snapshot: 1)
        let decision = world.difference(since: 1, as: 2, units: [.up("puma")], gone: ["cron"])
        #expect(!decision.isStateUnknown && decision.snapshot != nil)
        #expect(world.situation.host?.snapshot == 2)
        #expect(Set(world.situation.members.keys) == ["", "puma", "nginx"])
        #expect(world.status("nginx") == .error)
        world.difference(since: 2, as: 3, units: [.up("nginx")])
        #expect(world.status("nginx") == .passing)
    }

    @Test("a difference to something else brings its events, but no state, and asks for a whole report")
    mutating func otherBase() {
        world.report(snapshot: 1)
        let down = world.event(.unitDown, detail: "killed by SIGKILL")
        let decision = world.difference([down], since: 7, as: 8, units: [.up("other")], gone: ["puma.service"])
        #expect(decision.isStateUnknown && decision.snapshot == nil && decision.events == [down])
        #expect(world.situation.host?.snapshot == 1)
        #expect(world.status("puma.service") == .error)
        let whole = world.report(units: [.down("puma.service")], snapshot: 9)
        #expect(!whole.isStateUnknown && world.situation.host?.snapshot == 9)
    }

    @Test("a difference that comes twice is known the second time")
    mutating func twice() {
        world.report(snapshot: 1)
        world.difference(since: 1, as: 2, units: [.down("puma.service")])
        let again = world.difference(since: 1, as: 2, units: [.down("puma.service")])
        #expect(again.snapshot == nil && !again.isStateUnknown && world.situation.host?.snapshot == 2)
    }

    @Test("a host that nobody knows has to say everything")
    mutating func unknownHost() {
        #expect(world.difference(since: 1, as: 2).isStateUnknown)
    }

    @Test("a late difference is not taken and not asked for again")
    mutating func late() {
        world.report(snapshot: 1)
        let decision = world.difference(since: 1, as: 2, at: world.now - .seconds(60))
        #expect(decision.snapshot == nil && !decision.isStateUnknown && world.situation.host?.snapshot == 1)
    }

    @Test("old events about a unit that is not watched any longer leave nothing behind")
    mutating func oldEvents() {
        let events = [world.event(.unitDown, "old.service"), world.event(.unitDown, "old.service")]
        world.report([events[0]], units: [.up("puma.service")], snapshot: 1)
        world.difference([events[1]], since: 1, as: 2)
        #expect(world.situation.members["old.service"] == nil)
        #expect(world.status("old.service") != .error)
        #expect(world.events == events)
    }
}

@Suite("A token belongs to one agent") struct TokenUseTests {
    var world = World()

    @Test("another agent is refused until the first is silent for its grace")
    mutating func taking() {
        world.report()
        func use(after seconds: Int64, by agent: String) -> TokenUse {
            TokenUse.decide(agent: agent, holder: world.situation.host, grace: .seconds(30), at: World.start + .seconds(seconds))
        }
        #expect(use(after: 1000, by: World.agent) == .own)
        #expect(use(after: 30, by: "other") == .belongs(toAgent: World.agent, host: "web1"))
        #expect(use(after: 31, by: "other") == .takenOver(from: World.agent))
        #expect(TokenUse.decide(agent: "other", holder: nil, grace: .seconds(30), at: World.start) == .own)
    }

    @Test("the host that is replaced is retired: no units, no problems, never silent; it may come back")
    mutating func retirement() {
        world.report([world.event(.unitDown)], units: [.down("puma.service"), .up("nginx")], snapshot: 5)
        world.pass(.seconds(120))
        world.watch()
        #expect(world.status("host web1") == .critical && world.status("puma.service") == .error)
        world.retire(replacedBy: "other")
        #expect(world.situation.host?.replacedBy == "other" && world.situation.members.isEmpty)
        #expect(world.situation.services.values.allSatisfy { $0.problems.isEmpty })
        #expect(world.reasons.suffix(2) == [.recovered, .recovered])
        #expect(world.alerts.last?.detail.hasSuffix("; replaced by the agent on web2") == true)
        let told = world.outbox.count
        world.pass(.seconds(3600))
        world.watch()
        #expect(world.outbox.count == told)
        #expect(world.difference(since: 5, as: 6).isStateUnknown)
        world.report(snapshot: 7)
        #expect(world.situation.host?.replacedBy == nil && world.situation.members["puma.service"] != nil)
    }
}
