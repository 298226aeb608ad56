import AgentAPI
import AgentCore
import Foundation
import Platform
import Synchronization
import TestKit
import Testing

@testable import AgentTalker

@Suite("Orders of the aggregator") struct OrderTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()
    private let asked = Asked()

    /// What the agent was asked to do.
    private final class Asked: Sendable {
        private let kept = Mutex<[(request: AgentRequest, by: String)]>([])
        var requests: [AgentRequest] { kept.withLock { $0.map(\.request) } }
        var by: Set<String> { kept.withLock { Set($0.map(\.by)) } }
        func append(_ request: AgentRequest, _ by: String) { kept.withLock { $0.append((request, by)) } }
    }

    init() throws { folder = try TemporaryFolder() }

    private func talker(_ port: Int, allowed: [String] = ["restart puma*"], isAnswering: Bool = true) throws -> Talker {
        let configuration = TalkerConfiguration(
            host: "app-1", version: "1", interval: .milliseconds(1), reportInterval: .milliseconds(20), stateFolder: "\(folder.path)/state",
            aggregator: .init(address: try AggregatorAddress(parsing: "http://127.0.0.1:\(port)"), token: Secret("the-token")),
            allowedOrders: try allowed.map { try AllowedOrder(parsing: $0) })
        let timing = Reporter.Timing(
            gathering: .milliseconds(5), deadline: .milliseconds(400), firstRetry: .milliseconds(10), lastRetry: .milliseconds(60),
            farewell: .milliseconds(500))
        return try Talker(configuration: configuration, logger: log.logger, time: SystemTime(), timing: timing) { [asked] request, by, answer in
            asked.append(request, by)
            if isAnswering { answer(AgentAnswer(text: "restarted\n", json: [:])) }
        }
    }

    private func order(_ id: String, _ request: AgentRequest) -> AgentOrder { AgentOrder(id: id, request: .success(request)) }

    @Test("an order is carried out once, however often it is given, and its result comes back at once")
    func once() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        aggregator.order([order("1", .act(.restart, unit: "puma.service"))])
        let talker = try talker(aggregator.port)
        talker.update(snapshot())
        try await eventually { aggregator.results.contains(OrderResult(id: "1", isGood: true, text: "restarted\n")) }
        #expect(asked.requests == [.act(.restart, unit: "puma.service")] && asked.by == ["aggregator"])
        talker.stop()
        // Also after a restart; who asks again has not heard the result.
        let again = try self.talker(aggregator.port)
        defer { again.stop() }
        let before = aggregator.results.count
        try await eventually {
            again.update(snapshot())
            return aggregator.results.count > before
        }
        #expect(asked.requests.count == 1)
    }

    @Test("what is not allowed, and what nobody understands, is refused with why")
    func refused() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        aggregator.order([
            order("1", .act(.stop, unit: "puma.service")), order("2", .act(.restart, unit: "nginx.service")),
            AgentOrder(id: "3", request: .failure(RequestError(problem: "unknown"))),
        ])
        let talker = try talker(aggregator.port)
        defer { talker.stop() }
        talker.update(snapshot())
        try await eventually { Set(aggregator.results.map(\.id)).count == 3 }
        #expect(aggregator.results.allSatisfy { !$0.isGood })
        #expect(aggregator.results.first?.text == "this agent's configuration does not allow the aggregator to order `stop` there\n")
        #expect(asked.requests.isEmpty)
        #expect(log.count("an order of the aggregator was refused: it is not allowed here") == 2)
    }

    @Test("an agent that is killed while it carries out an order does not do it again, and says that it does not know")
    func killed() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        aggregator.order([order("1", .act(.restart, unit: "puma"))])
        let first = try talker(aggregator.port, isAnswering: false)
        first.update(snapshot())
        try await eventually { asked.requests.count == 1 }
        first.stop()
        let second = try talker(aggregator.port)
        defer { second.stop() }
        second.update(snapshot())
        try await eventually { aggregator.results.contains { $0.id == "1" } }
        #expect(aggregator.results.first?.text.hasPrefix("the agent ended while it did this") == true)
        #expect(asked.requests.count == 1)
    }

    @Test("a damaged file of orders is said and begun anew")
    func damagedFile() async throws {
        try folder.write("{{", to: "state/orders")
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        talker.stop()
        #expect(log.count("the file of the aggregator's orders is damaged; it begins anew") == 1)
    }

    @Test(
        "the list of what is allowed is read and matched",
        arguments: [
            ("restart puma*", AgentRequest.act(.restart, unit: "puma.service"), true), ("restart puma*", .act(.restart, unit: "nginx"), false),
            ("restart puma*", .act(.stop, unit: "puma"), false), ("restart", .act(.restart, unit: "anything"), true),
            ("restart a?c*e", .act(.restart, unit: "abcdde"), true), ("restart a?c*e", .act(.restart, unit: "acde"), false),
            ("restart *a*a*b", .act(.restart, unit: String(repeating: "a", count: 4000)), false),
            ("deploy_start puma", .startDeploy(units: ["puma"], owner: nil, reason: nil, length: nil), true),
            ("deploy_start puma", .startDeploy(units: ["puma", "nginx"], owner: nil, reason: nil, length: nil), false),
            ("deploy_start puma", .startDeploy(units: [], owner: nil, reason: nil, length: nil), false),
            ("deploy_start *", .startDeploy(units: [], owner: nil, reason: nil, length: nil), true), ("status", .status, true),
            ("job_done backup", .jobDone(name: "backup", exitStatus: nil), true),
        ])
    func allowed(text: String, request: AgentRequest, isAllowed: Bool) throws {
        #expect([try AllowedOrder(parsing: text)].allow(request) == isAllowed)
    }

    @Test(
        "an order about a deploy is allowed by the pattern of its service, however either is written",
        arguments: [
            ("deploy_check puma", ["puma.service"], true), ("deploy_check puma.service", ["puma"], true), ("deploy_check puma*", ["puma@1"], true),
            ("deploy_check puma", ["nginx"], false), ("deploy_check puma", ["puma", "nginx"], false), ("deploy_prepare puma", ["puma"], false),
            ("deploy_check", ["anything"], true),
            // A deploy that nobody knows.
            ("deploy_check puma", [], true), ("restart", [], false),
        ])
    func allowedDeploys(text: String, services: [String], isAllowed: Bool) throws {
        #expect([try AllowedOrder(parsing: text)].allow("deploy_check", ofServices: services) == isAllowed)
    }

    @Test("orders about deploys come over the line alone, and their tokens are in no log")
    func deploysAreForTheLine() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        let token = "0123456789abcdef0123456789abcdef"
        aggregator.order([order("1", .prepareDeploy(DeployPreparation(id: "d-0a", service: "puma", token: token)))])
        let talker = try talker(aggregator.port, allowed: ["deploy_prepare"])
        defer { talker.stop() }
        talker.update(snapshot())
        try await eventually { aggregator.results.contains { $0.id == "1" && !$0.isGood } }
        #expect(asked.requests.isEmpty && !log.text.contains(token))
    }

    @Test("an allowed order that makes no sense is told why", arguments: ["", "dance puma", "restart puma nginx"])
    func faults(text: String) {
        #expect(throws: TalkerError.self) { try AllowedOrder(parsing: text) }
    }
}
