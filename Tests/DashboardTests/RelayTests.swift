// Deploys through the aggregator: scripts on one side, agents on the other.

import AgentAPI
import AggregatorCore
import Platform
import TestKit
import Testing

@testable import Dashboard

@Suite struct RelayTests {
    private static let script = "fedcba9876543210fedcba9876543210"
    private static let deployToken = "0123456789abcdef0123456789abcdef"
    private let now = ManualTime().now().wall

    /// The shop's puma is on web1 and web2; db1 is silent.
    private func run(_ use: @escaping @Sendable (DashboardUnderTest) async throws -> Void) async throws {
        let store = Example.store(at: now)
        store.change { content in
            content.scriptTokens = [(digest(Self.script), ScriptToken(name: "pipeline", scope: .deploys, createdAt: now))]
            for (name, agent) in [("web1", Example.web1), ("web2", Example.web2), ("db1", Example.db1)] {
                content.tokens.append((name, digest("token-\(name)"), now))
                content.tokenHolders[name] = agent
            }
        }
        try await DashboardUnderTest.run(store, use)
    }

    private func post(_ dashboard: DashboardUnderTest, _ path: String, _ body: JSON, token: String = Self.script) async throws -> Answer {
        try await exchange(port: dashboard.port, "POST", path, headers: [("Authorization", "Bearer \(token)")], body: body.bytes)
    }

    /// An agent as its aggregator sees it.
    private struct FakeAgent: Sendable {
        let name: String
        let dashboard: DashboardUnderTest

        private func post(_ path: String, _ body: JSON) async throws -> JSON {
            let answer = try await exchange(
                port: dashboard.port, "POST", path, headers: [("Authorization", "Bearer token-\(name)")], body: body.bytes)
            guard answer.status == 200 else { throw ClientError(problem: "\(path) answered \(answer.status): \(answer.body)") }
            return try JSON(parsing: chunksJoined(answer))
        }

        func order(underWay: [String] = []) async throws -> AgentOrder {
            let handout = try OrderHandout(try await post(OrderLine.callPath, OrderCall(underWay: underWay).json))
            guard let order = handout.orders.first else { throw ClientError(problem: "no order, but \(handout)") }
            return order
        }

        func over(underWay: [String]) async throws -> [String] {
            try OrderHandout(try await post(OrderLine.callPath, OrderCall(underWay: underWay).json)).over
        }

        func say(_ order: AgentOrder, isFinal: Bool = true, _ answer: AgentAnswer) async throws {
            let answers = OrderAnswers(answers: [OrderAnswer(id: order.id, isFinal: isFinal, answer: answer)])
            _ = try await post(OrderLine.answersPath, answers.json)
        }

        func say(_ order: AgentOrder, _ state: Verdict, isFinal: Bool = true) async throws {
            let state = HostDeploy(
                service: "puma.service", host: "a-name-of-its-own", state: state, isFinal: isFinal, since: Timestamp(seconds: 1_790_000_000),
                deploy: "d-0a", evidence: "attributed-http")
            try await say(order, isFinal: isFinal, AgentAnswer(text: "", json: state.json))
        }
    }

    private func lines(_ answer: Answer) throws -> [HostDeploy] {
        try chunksJoined(answer).split(separator: "\n").map { try HostDeploy(JSON(parsing: String($0))) }
    }

    private let preparation = DeployPreparation(id: "d-0a", service: "puma", token: deployToken)
    private let prepare = "/api/v1/services/puma/deploys/prepare"
    private let verify = "/api/v1/services/puma/deploys/verify"
    private let check = DeployCheck(deploy: "d-0a", service: "puma")

    @Test func everyHostPreparesItsOwnUnit() async throws {
        try await run { [preparation] dashboard async throws in
            async let answer = post(dashboard, prepare, preparation.json)
            for name in ["web1", "web2"] {
                let agent = FakeAgent(name: name, dashboard: dashboard)
                let order = try await agent.order()
                guard case .success(.prepareDeploy(let asked)) = order.request else { throw ClientError(problem: "\(order)") }
                #expect(asked.service == "puma.service" && asked.token == Self.deployToken && asked.id == "d-0a")
                if name == "web1" {
                    let prepared = DeployPrepared(id: "d-0a", service: "puma.service", host: "x", workers: 3)
                    try await agent.say(order, AgentAnswer(text: "", json: prepared.json))
                } else {
                    try await agent.say(order, .refused("another deploy is under way"))
                }
            }
            let hosts = try JSON(parsing: try await answer.body)["hosts"]?.array ?? []
            #expect(hosts.compactMap { $0["host"]?.string } == ["web1.example.com", "web2.example.com"])
            #expect(hosts.first?["prepared"]?["workers"]?.integer == 3 && hosts.first?["problem"] == .null)
            #expect(hosts.first?["prepared"]?["host"]?.string == "web1.example.com")
            #expect(hosts.last?["prepared"] == .null && hosts.last?["problem"]?.string == "another deploy is under way")
        }
    }

    @Test func statesGoThroughAsTheyComeAndAtLastTheFinalOnes() async throws {
        try await run { [check] dashboard async throws in
            async let answer = post(dashboard, verify, check.json)
            let (one, two) = (FakeAgent(name: "web1", dashboard: dashboard), FakeAgent(name: "web2", dashboard: dashboard))
            let (first, second) = (try await one.order(), try await two.order())
            guard case .success(.checkDeploy(let asked)) = first.request else { throw ClientError(problem: "\(first)") }
            #expect(asked.service == "puma.service" && asked.deploy == "d-0a")
            try await one.say(first, .mixed, isFinal: false)
            try await one.say(first, .verified)
            try await two.say(second, .stale)
            let states = try lines(try await answer)
            #expect(states.first?.isFinal == false && states.first?.state == .unreachable)
            #expect(states.last { $0.host == "web1.example.com" }?.state == .verified)
            #expect(states.last { $0.host == "web2.example.com" }?.state == .stale)
            #expect(states.filter(\.isFinal).count == 2)
        }
    }

    /// It would be a false "verified".
    @Test func aHostIsNotVerifiedByTheLineAlone() async throws {
        try await run { [check] dashboard async throws in
            async let answer = post(dashboard, verify, check.json)
            let (one, two) = (FakeAgent(name: "web1", dashboard: dashboard), FakeAgent(name: "web2", dashboard: dashboard))
            let first = try await one.order()
            var state = HostDeploy(service: "puma", host: "x", state: .verified, since: Timestamp(seconds: 1), evidence: "none")
            state.isFinal = false
            try await one.say(first, isFinal: true, AgentAnswer(text: "", json: state.json))
            try await two.say(try await two.order(), AgentAnswer(text: "VERIFIED\n", json: ["state": "VERIFIED", "final": true]))
            #expect(try lines(try await answer).filter(\.isFinal).map(\.state) == [.unreachable, .unreachable])
        }
    }

    @Test func anAgentThatDoesNotComeOrFallsSilentIsNamed() async throws {
        try await run { [check] dashboard async throws in
            async let answer = post(dashboard, verify, check.json)
            let one = FakeAgent(name: "web1", dashboard: dashboard)
            let order = try await one.order()
            try await one.say(order, .verified, isFinal: false)
            // The others' time goes by.
            let passing = Task {
                while !Task.isCancelled {
                    dashboard.time.advance(by: .seconds(1))
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
            let states = try lines(try await answer).filter(\.isFinal)
            passing.cancel()
            let reasons = Dictionary(uniqueKeysWithValues: states.map { ($0.host, $0.reasons.joined()) })
            #expect(states.allSatisfy { $0.state == .unreachable })
            #expect(reasons["web1.example.com"] == "its agent has said nothing for 12 s")
            #expect(reasons["web2.example.com"]?.contains("does not ask for orders") == true)
            // What it does is not wanted any more.
            #expect(try await one.over(underWay: [order.id]) == [order.id])
        }
    }

    @Test func aSilentHostIsNotWaitedFor() async throws {
        try await run { [preparation] dashboard async throws in
            let answer = try await post(dashboard, "/api/v1/services/postgresql%4015-main/deploys/prepare", preparation.json)
            let host = try JSON(parsing: answer.body)["hosts"]?.array?.first
            #expect(host?["host"]?.string == "db1.example.com" && host?["problem"]?.string?.hasPrefix("its agent has not reported since ") == true)
        }
    }

    @Test func whatCannotBeRelayedSaysWhy() async throws {
        try await run { [preparation, check] dashboard async throws in
            func told(_ path: String, _ body: JSON, token: String = Self.script) async throws -> String {
                let answer = try await post(dashboard, path, body, token: token)
                return "\(answer.status) \(try JSON(parsing: answer.body)["problem"]?.string ?? "")"
            }
            #expect(try await told(prepare, preparation.json, token: "nobody").hasPrefix("401 unknown token"))
            #expect(try await told(prepare, preparation.json, token: "token-web1").hasPrefix("401 unknown token"))
            #expect(
                try await told("/api/v1/services/nothing/deploys/prepare", preparation.json)
                    == "404 there is no service nothing: no host reports a unit of that name, and none is configured")
            dashboard.store.change { $0.members["shop"] = [] }
            #expect(try await told("/api/v1/services/shop/deploys/verify", check.json).hasPrefix("404 no host reports a unit of the service shop"))
            #expect(try await told(prepare, ["deploy_id": "d-0a"]) == "400 service is missing or empty")
            var secretive = preparation
            secretive.question = TokenQuestion(path: "/t", user: "about", password: Secret("open sesame"))
            #expect(try await told(prepare, secretive.json).hasPrefix("400 a login does not pass through the aggregator"))
            #expect(try await told(prepare, ["x": .string(String(repeating: "x", count: DeployLimits.request))]).hasPrefix("413 "))
            #expect(try await exchange(port: dashboard.port, "GET", prepare).status == 405)
        }
    }

    @Test func aDeployIsCancelledWhereverItWasPrepared() async throws {
        try await run { dashboard async throws in
            async let answer = post(dashboard, "/api/v1/services/puma/deploys/cancel", ["deploy_id": "d-0a"])
            for name in ["web1", "web2"] {
                let agent = FakeAgent(name: name, dashboard: dashboard)
                let order = try await agent.order()
                #expect(order.request == .success(.cancelDeploy(id: "d-0a")))
                try await agent.say(order, AgentAnswer(text: "", json: [:]))
            }
            #expect(try JSON(parsing: try await answer.body)["hosts"]?.array?.allSatisfy { $0["problem"] == .null } == true)
        }
    }

    @Test func onlyAnAgentsTokenListens() async throws {
        try await run { dashboard async throws in
            for token in [Self.script, "nobody"] {
                #expect(try await post(dashboard, OrderLine.callPath, OrderCall().json, token: token).status == 401)
                #expect(try await post(dashboard, OrderLine.answersPath, OrderAnswers(answers: []).json, token: token).status == 401)
            }
            #expect(try await post(dashboard, OrderLine.answersPath, ["answers": 7], token: "token-web1").status == 400)
        }
    }
}

/// The body of an answer that may have come in chunks.
private func chunksJoined(_ answer: Answer) throws -> String {
    guard answer["transfer-encoding"]?.lowercased() == "chunked" else { return answer.body }
    var rest = Array(answer.body.utf8)[...]
    var joined: [UInt8] = []
    while let end = rest.firstRange(of: [13, 10]) {
        guard let size = Int(String(decoding: rest[..<end.lowerBound], as: UTF8.self), radix: 16) else { break }
        if size == 0 { return String(decoding: joined, as: UTF8.self) }
        joined += rest[end.upperBound...].prefix(size)
        rest = rest[end.upperBound...].dropFirst(size + 2)
    }
    throw ClientError(problem: "the answer broke off after \(joined.count) bytes")
}
