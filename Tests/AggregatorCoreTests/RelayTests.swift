// Orders that cannot wait, and whose agents a deploy concerns.

import AgentAPI
import Platform
import TestKit
import Testing

@testable import AggregatorCore

@Suite struct OrderBoardTests {
    private let time = ManualTime()
    private let board: OrderBoard
    private let order = AgentRequest.cancelDeploy(id: "d-0a")

    init() { board = OrderBoard(time: time) }

    private func id(_ handout: OrderHandout) throws -> String { try #require(handout.orders.first?.id) }

    @Test func anAgentThatListensHasItsOrderAtOnce() async throws {
        async let handout = board.call(OrderCall(), of: "a")
        try await eventually { board.isListening("a") }
        _ = board.give(order, to: "b")
        let given = board.give(order, to: "a")
        #expect(try await id(handout) == given.id)
        #expect(!board.isListening("a"))
    }

    @Test func anOrderThatWaitsIsThereWhenItsAgentComes() async throws {
        let given = board.give(order, to: "a")
        #expect(board.standing(of: given) == .waiting(since: time.now().uptime))
        let handout = await board.call(OrderCall(), of: "a")
        #expect(try id(handout) == given.id)
        #expect(board.standing(of: given) == .handedOut(heard: time.now().uptime))
    }

    @Test func whatAnAgentHasLostItGetsAgainAndWhatItHasNotAgain() async throws {
        let given = board.give(order, to: "a")
        _ = await board.call(OrderCall(), of: "a")
        #expect(try await id(board.call(OrderCall(), of: "a")) == given.id)
        async let nothing = board.call(OrderCall(underWay: [given.id]), of: "a")
        try await eventually { time.sleepers > 0 }
        time.advance(by: OrderLine.patience)
        #expect(await nothing.isEmpty)
    }

    @Test func answersComeAndTheLastOneEndsIt() async throws {
        let given = board.give(order, to: "a")
        let answer = OrderAnswer(id: given.id, isFinal: true, answer: AgentAnswer(text: "", json: ["state": "VERIFIED"]))
        // Another agent cannot answer for it.
        #expect(board.take([answer], from: "b").over == [given.id])
        #expect(board.take([answer], from: "a").isEmpty)
        var heard: [OrderAnswer] = []
        for await answer in given.answers { heard.append(answer) }
        #expect(heard == [answer])
        #expect(board.standing(of: given) == nil)
        #expect(board.take([answer], from: "a").over == [given.id])
    }

    @Test func anAgentHearsWhatIsOverAtOnce() async throws {
        let given = board.give(order, to: "a")
        async let handout = board.call(OrderCall(underWay: [given.id]), of: "a")
        try await eventually { board.isListening("a") }
        board.end(given)
        #expect(await handout == OrderHandout(over: [given.id]))
        // As after a restart of the aggregator.
        #expect(await board.call(OrderCall(underWay: ["unknown"]), of: "a").over == ["unknown"])
    }

    @Test func anAgentThatHangsUpListensNoLonger() async throws {
        let listening = Task { await board.call(OrderCall(), of: "a") }
        try await eventually { board.isListening("a") }
        listening.cancel()
        #expect(await listening.value.isEmpty)
        #expect(!board.isListening("a"))
    }
}

@Suite struct RelayTargetTests {
    private let now = Timestamp(seconds: 1_790_000_000)

    private func host(_ agent: String, _ name: String, replacedBy: String? = nil) -> HostRecord {
        HostRecord(
            agent: agent, name: name, version: "1", lastReport: now, interval: .seconds(10), isSilent: false, lastSequence: 0, samples: [],
            replacedBy: replacedBy)
    }

    private func unit(_ agent: String, _ name: String) -> UnitRecord { UnitRecord(agent: agent, host: "", state: .up(name)) }

    @Test func eachHostsOwnUnitIsMeant() throws {
        let targets = RelayTarget.all(
            of: "puma", units: [unit("b", "puma.service"), unit("b", "puma-helper.service"), unit("a", "app-puma")],
            hosts: [host("b", "web2"), host("a", "web1"), host("c", "db1")])
        #expect(targets.map(\.host) == ["web1", "web2"])
        #expect(try targets.map { try $0.unit.get() } == ["app-puma", "puma.service"])
    }

    @Test func aHostWithSeveralUnitsOfTheServiceIsNamedAndNotGuessedAt() {
        let targets = RelayTarget.all(of: "Shop", units: [unit("a", "puma"), unit("a", "sidekiq")], hosts: [host("a", "web1")])
        #expect(targets.first?.unit == .failure(.init(problem: "Shop has 2 units there (puma, sidekiq): deploy one of them by its own name")))
    }

    /// Two that are taken for one would be a false "verified".
    @Test func twoHostsOfOneNameStayTwo() {
        let agents = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
        let targets = RelayTarget.all(of: "web", units: agents.map { unit($0, "web") }, hosts: agents.map { host($0, "web1") })
        #expect(targets.map(\.host) == ["web1 (aaaaaaaa)", "web1 (bbbbbbbb)"])
    }

    @Test func aHostThatWasReplacedIsNotAsked() {
        let targets = RelayTarget.all(
            of: "web", units: [unit("a", "web"), unit("b", "web")], hosts: [host("a", "web1", replacedBy: "b"), host("b", "web1")])
        #expect(targets.map(\.agent) == ["b"] && targets.map(\.host) == ["web1"])
    }
}
