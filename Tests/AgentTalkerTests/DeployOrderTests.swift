// The aggregator's orders about deploys, as an agent carries them out.

import AgentAPI
import AgentCore
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import AgentTalker

@Suite struct DeployOrderTests {
    private static let token = "0123456789abcdef0123456789abcdef"
    private let folder: TemporaryFolder
    private let log = LogRecorder()

    init() throws { folder = try TemporaryFolder() }

    private func withAgent(
        allowed: [String], _ body: (FakeAggregator, Talker) async throws -> Void
    ) async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        let surroundings = DeployThread.Surroundings(
            host: "app-1", boot: "boot", file: "\(folder.path)/deploys.json",
            find: { name, found in
                guard ["puma", "puma.service"].contains(name) else { return found(nil) }
                found(WatchedService(InspectedService(name: "puma.service", mainProcess: 17, cgroup: nil), initSystem: "systemd"))
            }, list: { $0(["puma.service"]) }, windows: .none, judged: { _ in }, tell: { _ in })
        let deploys = try DeployThread(surroundings, question: { _ in nil }) { _ in OneOldWorker() }
        #expect(deploys.start())
        defer { deploys.finish() }
        let configuration = TalkerConfiguration(
            host: "app-1", version: "1", interval: .seconds(10), stateFolder: "\(folder.path)/state",
            aggregator: .init(address: try AggregatorAddress(parsing: "http://127.0.0.1:\(aggregator.port)"), token: Secret("the-token")),
            allowedOrders: try allowed.map { try AllowedOrder(parsing: $0) })
        let talker = try Talker(configuration: configuration, logger: log.logger, deploys: deploys)
        defer { talker.stop() }
        talker.start()
        try await body(aggregator, talker)
    }

    private func order(_ id: String, _ request: AgentRequest) -> AgentOrder { AgentOrder(id: id, request: .success(request)) }
    private let prepare = AgentRequest.prepareDeploy(DeployPreparation(id: "d-0a", service: "puma", token: token))
    private func check(timeout: Duration) -> AgentRequest {
        .checkDeploy(DeployCheck(deploy: "d-0a", timeout: timeout, settle: .milliseconds(10), failsFast: false))
    }

    private func final(_ id: String, _ aggregator: FakeAggregator) async throws -> AgentAnswer {
        var found: OrderAnswer?
        try await eventually("order \(id) is answered") {
            found = aggregator.answers.first { $0.id == id && $0.isFinal }
            return found != nil
        }
        return try #require(found).answer
    }

    /// With the pattern of the unit alone, although the check names only the deploy.
    @Test func aDeployIsPreparedJudgedAndToldAsItGoes() async throws {
        try await withAgent(allowed: ["deploy_prepare puma", "deploy_check puma", "deploy_cancel puma"]) { aggregator, _ async throws in
            aggregator.orderOnTheLine([order("1", prepare)])
            let prepared = try DeployPrepared(try await final("1", aggregator).json)
            #expect(prepared.id == "d-0a" && prepared.service == "puma.service" && prepared.workers == 1)
            aggregator.orderOnTheLine([order("2", check(timeout: .milliseconds(600)))])
            let judged = try HostDeploy(try await final("2", aggregator).json)
            #expect(judged.state == .stale && judged.isFinal && judged.deploy == "d-0a" && judged.count(.old) == 1)
            let before = aggregator.answers.filter { $0.id == "2" && !$0.isFinal }
            #expect(try before.isEmpty == false && before.allSatisfy { try !HostDeploy($0.answer.json).isFinal })
            aggregator.orderOnTheLine([order("3", .cancelDeploy(id: "d-0a"))])
            #expect(try await final("3", aggregator).isGood)
            aggregator.orderOnTheLine([order("4", check(timeout: .milliseconds(600)))])
            #expect(try HostDeploy(try await final("4", aggregator).json).deploy == "d-0a")
            #expect(!log.text.contains(Self.token))
        }
    }

    @Test(arguments: [[], ["deploy_prepare nginx", "deploy_check *"], ["deploy_check puma", "restart"]])
    func whatIsNotAllowedNamesTheLineThatWouldAllowIt(allowed: [String]) async throws {
        try await withAgent(allowed: allowed) { aggregator, _ async throws in
            aggregator.orderOnTheLine([order("1", prepare)])
            let answer = try await final("1", aggregator)
            #expect(!answer.isGood && answer.text.contains("write `set aggregator_commands \"deploy\"` into its rollcall.conf"))
            #expect(log.count("an order of the aggregator was refused: it is not allowed here") == 1)
        }
    }

    /// An order may name another service than that of its deploy.
    @Test func aCheckIsAllowedForTheServiceThatItsDeployIsOf() async throws {
        try await withAgent(allowed: ["deploy_prepare", "deploy_check nginx"]) { aggregator, _ async throws in
            aggregator.orderOnTheLine([order("1", prepare)])
            #expect(try await final("1", aggregator).isGood)
            aggregator.orderOnTheLine([order("2", .checkDeploy(DeployCheck(deploy: "d-0a", service: "nginx", timeout: .seconds(1))))])
            #expect(try await !final("2", aggregator).isGood)
        }
    }

    @Test func whatNobodyWantsAnyMoreEnds() async throws {
        try await withAgent(allowed: ["deploy_prepare", "deploy_check"]) { aggregator, _ async throws in
            aggregator.orderOnTheLine([order("1", prepare)])
            _ = try await final("1", aggregator)
            aggregator.orderOnTheLine([order("2", check(timeout: .seconds(60)))])
            try await eventually { aggregator.calls.last?.underWay == ["2"] }
            aggregator.endOnTheLine("2")
            try await eventually { aggregator.calls.last?.underWay == [] }
            #expect(!aggregator.answers.contains { $0.id == "2" && $0.isFinal })
        }
    }

    @Test func otherOrdersAreNotForTheLine() async throws {
        try await withAgent(allowed: ["restart"]) { aggregator, _ async throws in
            aggregator.orderOnTheLine([order("1", .act(.restart, unit: "puma"))])
            #expect(try await !final("1", aggregator).isGood)
        }
    }
}

/// Sees one worker that has been there since before everything.
private final class OneOldWorker: ServiceExaminer {
    func look(at service: InspectedService, known: [ServiceListener]) -> ServiceLook {
        var look = ServiceLook(at: SystemTime().now().uptime)
        guard let pid = service.mainProcess else { return look }
        look.listeners = [ServiceListener(inode: 1, address: .tcp(address: "127.0.0.1", port: 8080))]
        let mark = ProcessMark(pid: pid, startTicks: 100, generation: .code(1))
        look.processes = [ServiceProcess(mark: mark, parent: 1, command: "puma", state: UInt8(ascii: "S"), listeners: [1])]
        return look
    }

    func ask(
        _ question: TokenQuestion, of service: InspectedService, at look: ServiceLook, workers: [ProcessMark],
        _ heard: @escaping (WorkerAnswer) -> Void, done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) { done(0, 0) }

    func watch(_ service: InspectedService, _ happened: @escaping (ProcessIncident) -> Void) {}
    func unwatch(_ service: String) {}
    func probe(_ order: AvailabilityOrder, of service: InspectedService, listeners: [ServiceListener]) {}
    func availability(of service: String) -> Availability? { nil }
    func stopProbe(of service: String) {}
    func releaseToken(of mark: ProcessMark) -> BirthToken { .unproven }
    func notice(_ pid: Int32, before: Timestamp?) {}
    func examine(_ service: InspectedService) -> ServiceFacts { ServiceFacts(service: service.name, mainProcess: service.mainProcess) }
}
