import AgentAPI
import AgentCore
import Foundation
import Logging
import NIOSSL
import Platform
import TestKit
import Testing

@testable import AgentTalker

/// The talker against an aggregator over real sockets: nothing is lost, nothing is stored twice, the order stays.
@Suite struct ReporterTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()
    private let quick = Reporter.Timing(
        gathering: .milliseconds(5), deadline: .milliseconds(400), firstRetry: .milliseconds(10), lastRetry: .milliseconds(60),
        farewell: .milliseconds(800))

    init() throws { folder = try TemporaryFolder() }

    private func configuration(_ address: String, caFile: String? = nil) throws -> TalkerConfiguration {
        TalkerConfiguration(
            host: "app-1", version: "1.2.3", interval: .milliseconds(1), reportInterval: .milliseconds(1), stateFolder: "\(folder.path)/state",
            aggregator: .init(address: try AggregatorAddress(parsing: address), token: Secret("the-token"), caFile: caFile))
    }

    private func talker(_ port: Int, bounds: Spool.Bounds = .init()) throws -> Talker {
        try Talker(
            configuration: configuration("http://127.0.0.1:\(port)/prefix"), logger: log.logger, time: SystemTime(), timing: quick, bounds: bounds)
    }

    private func details(_ range: ClosedRange<Int>) -> [String] { range.map(String.init) }

    @Test func anEventGoesOutAtOnceWithTheNewestSnapshot() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.start()
        talker.update(snapshot([Sample("cpu", 1)]))
        talker.record(event("1"))
        talker.update(snapshot([Sample("cpu", 2)]))
        try await eventually { aggregator.stored.count == 1 }
        let request = try #require(aggregator.requests.first)
        #expect(request.path == "/prefix/v1/reports")
        #expect(request.fields["authorization"] == "Bearer the-token")
        #expect(request.fields["host"] == "127.0.0.1:\(aggregator.port)")
        #expect(request.fields["user-agent"] == "rollcall-agent/1.2.3")
        #expect(request.report?.host == "app-1")
        #expect(request.report?.interval == .milliseconds(1))
        #expect(request.report?.agent.utf8.count == 32)
        #expect(request.report?.units.first?.samples == [Sample("cpu", 2)])
        #expect(aggregator.requests.count == 1)  // gathered
        try await eventually { log.count("aggregator reachable") == 1 }
    }

    @Test func aSnapshotAloneIsReportedAndTheConnectionKept() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        for number in 1...5 {
            talker.update(snapshot())
            try await eventually { aggregator.requests.count == number }
        }
        #expect(aggregator.connections == 1)
        #expect(log.lines.count { $0.level >= .notice && $0.message == "aggregator reachable" } == 1)
    }

    @Test func whatSettlesAfterAStartIsOneReportAndAnEventDoesNotWaitForIt() async throws {
        let aggregator = try FakeAggregator()
        var configuration = try configuration("http://127.0.0.1:\(aggregator.port)")
        (configuration.interval, configuration.reportInterval) = (.seconds(60), .seconds(60))
        var timing = quick
        (timing.settling, timing.start) = (.seconds(2), .seconds(600))
        let talker = try Talker(configuration: configuration, logger: log.logger, time: SystemTime(), timing: timing, bounds: .init())
        defer {
            talker.stop()
            aggregator.stop()
        }
        func snapshot(upUnits: Int) -> Snapshot {
            var snapshot = AgentTalkerTests.snapshot()
            snapshot.units = (0..<100).map {
                UnitState(
                    name: "\($0)", initSystem: "systemd", phase: $0 < upUnits ? .up : .changing, since: nil, mainPID: nil, detail: "", samples: [],
                    failingRules: [])
            }
            return snapshot
        }
        talker.update(snapshot(upUnits: 0))
        try await eventually { aggregator.requests.count == 1 }
        for number in 1...50 {
            talker.update(snapshot(upUnits: number))
            try await Task.sleep(for: .milliseconds(5))
        }
        try await eventually { aggregator.requests.count == 2 }
        #expect(aggregator.requests.last?.report?.units.isEmpty == false)
        talker.update(snapshot(upUnits: 99))
        let before = SystemTime().now().uptime
        talker.record(event("1"))
        try await eventually { aggregator.stored.count == 1 }
        #expect(SystemTime().now().uptime - before < .seconds(2), "an event leaves at once")
        #expect(aggregator.requests.count <= 4)
    }

    @Test func numbersAreWantedWhenAReportIsDueAndNotBefore() async throws {
        let aggregator = try FakeAggregator()
        var configuration = try configuration("http://127.0.0.1:\(aggregator.port)")
        (configuration.interval, configuration.reportInterval) = (.seconds(1), .seconds(60))
        let talker = try Talker(configuration: configuration, logger: log.logger, time: SystemTime(), timing: quick, bounds: .init())
        defer {
            talker.stop()
            aggregator.stop()
        }
        let now = SystemTime().now().uptime
        #expect(talker.wantsNumbers(at: now), "nothing has been reported yet")
        talker.update(snapshot())
        try await eventually { aggregator.requests.count == 1 }
        try await eventually { !talker.wantsNumbers(at: now + .seconds(30)) }
        #expect(talker.wantsNumbers(at: SystemTime().now().uptime + .seconds(60)))
        configuration.aggregator = nil
        try talker.reconfigure(configuration)
        try await eventually { !talker.wantsNumbers(at: now + .seconds(600)) }
        configuration.statsd = TalkerConfiguration.Push(host: "127.0.0.1", port: 9)
        try talker.reconfigure(configuration)
        try await eventually { talker.wantsNumbers(at: now) }
    }

    @Test func nothingIsSentBeforeTheFirstSnapshot() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer { aggregator.stop() }
        talker.record(event("1"))
        try await Task.sleep(for: .milliseconds(100))
        #expect(aggregator.requests.isEmpty)
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 1 }
        talker.stop()
    }

    @Test func aRoughAggregatorGetsEverythingOnceAndInOrder() async throws {
        let aggregator = try FakeAggregator { request, report in
            switch request % 8 {
            case 1: .status(500, "")
            case 2: .dropAfterStoring
            case 3: .hang
            case 4: .until((report.events.first?.sequence ?? 1) + 2)
            case 5: .drop
            case 6: .body("<html>")
            case 7: .wellThenClose
            default: .well
            }
        }
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.update(snapshot())
        for number in 1...200 {
            talker.record(event("\(number)"))
            if number.isMultiple(of: 20) { try await Task.sleep(for: .milliseconds(30)) }
        }
        try await eventually { aggregator.stored.count == 200 }
        #expect(aggregator.stored.map(\.detail) == details(1...200))
        #expect(aggregator.stored.map(\.sequence) == Array(1...200))
    }

    @Test func anAggregatorThatIsDownIsWaitedFor() async throws {
        let other = try FakeAggregator()
        let port = other.port
        other.stop()
        let talker = try talker(port)
        defer { talker.stop() }
        talker.update(snapshot())
        for number in 1...3 { talker.record(event("\(number)")) }
        try await eventually { log.count("a report was not delivered") >= 4 }
        #expect(log.count("aggregator unreachable; events are kept") == 1)
        #expect(log.lines.first { $0.message == "aggregator unreachable; events are kept" }?.metadata["why"] == "Connection refused")
        let aggregator = try FakeAggregator(port: port)
        defer { aggregator.stop() }
        try await eventually { aggregator.stored.count == 3 }
        #expect(aggregator.stored.map(\.detail) == details(1...3))
        try await eventually { log.count("aggregator reachable") == 1 }
    }

    @Test func eventsOutliveTheAgent() async throws {
        let other = try FakeAggregator()
        let port = other.port
        other.stop()
        for number in 1...3 {
            let talker = try talker(port)
            talker.update(snapshot())
            talker.record(event("\(number)"))
            talker.stop()
        }
        let aggregator = try FakeAggregator(port: port)
        defer { aggregator.stop() }
        let last = try talker(port)
        last.update(snapshot())
        last.record(event("4"))
        last.stop()  // delivers what is left
        #expect(aggregator.stored.map(\.detail) == details(1...4))
        #expect(Set(aggregator.requests.compactMap { $0.report?.agent }).count == 1)
    }

    @Test func theFarewellIsShort() async throws {
        let aggregator = try FakeAggregator { _, _ in .hang }
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        talker.update(snapshot())
        talker.record(event("1"))
        let start = ContinuousClock.now
        talker.stop()
        #expect(ContinuousClock.now - start < .seconds(5))
        talker.record(event("after the end"))  // harmless
        talker.stop()
    }

    @Test func aBacklogGoesOutInPieces() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port, bounds: .init(total: 64 << 20, segment: 50_000))
        for number in 1...2500 { talker.record(event("\(number)")) }
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 2500 }
        #expect(aggregator.stored.map(\.detail) == details(1...2500))
        #expect(aggregator.requests.compactMap { $0.report?.events.count }.max() == ReportLimits.events)
        talker.stop()
        try await eventually { try folder.names(in: "state/spool") == ["00000000000000002501.events"] }
    }

    @Test func anAggregatorThatWantsLessGetsSmallerPieces() async throws {
        let aggregator = try FakeAggregator { _, report in report.events.count > 30 ? .status(413, "") : .well }
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        for number in 1...500 { talker.record(event("\(number)")) }
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 500 }
        #expect(aggregator.stored.map(\.detail) == details(1...500))
        talker.stop()
    }

    @Test func samplesAreLeftOutWhereEvenOneEventIsTooMuch() async throws {
        let aggregator = try FakeAggregator { _, report in report.units.first?.samples.isEmpty == false ? .status(413, "") : .well }
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        talker.record(event("1"))
        talker.update(snapshot([Sample("cpu", 1)]))
        try await eventually { aggregator.stored.count == 1 }
        talker.stop()
    }

    @Test func aReportThatIsTooLargeIsNotEvenTried() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        let long = String(repeating: "x", count: 190)
        let unit = UnitState(
            name: "u", initSystem: "systemd", phase: .up, since: nil, mainPID: nil, detail: "", samples: (0..<100).map { Sample("\(long)\($0)", 1) },
            failingRules: [])
        talker.update(Snapshot(at: startOfTime, units: Array(repeating: unit, count: 400), samples: []))
        try await eventually { aggregator.requests.count == 1 }
        #expect(aggregator.requests[0].report?.units.count == 400 && aggregator.requests[0].report?.base == nil)
        #expect(aggregator.requests.allSatisfy { $0.size <= ReportLimits.bytes })
        talker.stop()
    }

    @Test(arguments: [401, 403])
    func aTokenThatIsNotKnownIsSaidOnce(_ status: Int) async throws {
        let aggregator = try FakeAggregator { request, _ in request < 4 ? .status(status, "") : .well }
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        talker.record(event("1"))
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 1 }
        #expect(log.count("the aggregator does not accept this agent's token; events are kept") == 1)
        #expect(!log.text.contains("the-token"))
        talker.stop()
    }

    @Test func aRefusedReportIsKeptAndItsReasonLogged() async throws {
        let aggregator = try FakeAggregator { request, _ in request < 4 ? .status(400, "{\"error\":\"report.host is empty\"}") : .well }
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        talker.record(event("1"))
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 1 }
        let lines = log.lines.filter { $0.message == "the aggregator refuses this agent's report; events are kept" }
        #expect(lines.map { $0.metadata["why"] } == ["report.host is empty"])
        talker.stop()
    }

    @Test func anEndlessAnswerIsCutOff() async throws {
        let aggregator = try FakeAggregator { request, _ in request == 1 ? .body(String(repeating: " ", count: 1 << 20)) : .well }
        defer { aggregator.stop() }
        let talker = try talker(aggregator.port)
        talker.record(event("1"))
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 1 }
        #expect(log.lines.contains { $0.metadata["why"] == "its answer is longer than 65536 bytes" })
        talker.stop()
    }

    @Test func aRestoredStateFolderTakesANewId() async throws {
        let aggregator = try FakeAggregator()
        defer { aggregator.stop() }
        var talker = try talker(aggregator.port)
        talker.record(event("old"))
        talker.update(snapshot())
        try await eventually { aggregator.stored.count == 1 }
        talker.stop()
        let agent = aggregator.requests[0].report?.agent
        // The aggregator knows events 1 to 50 of this agent, the restored folder only 1.
        aggregator.behave { _, report in report.agent == agent ? .body("{\"acknowledged\":50}") : .until(.max) }
        talker = try self.talker(aggregator.port)
        talker.record(event("new"))
        talker.update(snapshot())
        try await eventually { aggregator.stored.last?.detail == "new" }
        #expect(aggregator.requests.last?.report?.agent != agent)
        talker.stop()
    }

    @Test func anotherAggregatorTakesOver() async throws {
        let (first, second) = (try FakeAggregator { _, _ in .hang }, try FakeAggregator())
        defer {
            first.stop()
            second.stop()
        }
        let talker = try talker(first.port)
        talker.record(event("1"))
        talker.update(snapshot())
        try await eventually { !first.requests.isEmpty }
        try talker.reconfigure(configuration("http://localhost:\(second.port)"))
        try await eventually { second.stored.count == 1 }
        #expect(throws: TalkerError.self) {
            var moved = try configuration("http://localhost:\(second.port)")
            moved.stateFolder = "/elsewhere"
            try talker.reconfigure(moved)
        }
        talker.stop()
    }

    @Test func withoutAnAggregatorEventsAreKeptAndLogged() async throws {
        var alone = try configuration("http://localhost")
        alone.aggregator = nil
        let talker = try Talker(configuration: alone, logger: log.logger)
        talker.record(event("killed by SIGKILL"))
        talker.update(snapshot())
        talker.stop()
        #expect(log.lines.contains { $0.level == .notice && $0.message == "event" && $0.metadata["detail"] == "killed by SIGKILL" })
        let spool = try Spool(folder: alone.stateFolder, at: startOfTime, logger: log.logger)
        #expect(spool.pending(count: 10, bytes: 10000, at: startOfTime).map(\.detail) == ["killed by SIGKILL"])
    }

    // MARK: TLS

    private func secure(_ certificates: Certificates) throws -> FakeAggregator {
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificates.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: certificates.key, format: .pem)))
        return try FakeAggregator(tls: try NIOSSLContext(configuration: configuration))
    }

    private func deliver(to address: String, caFile: String?) throws -> Talker {
        let talker = try Talker(configuration: configuration(address, caFile: caFile), logger: log.logger, time: SystemTime(), timing: quick)
        talker.record(event("1"))
        talker.update(snapshot())
        return talker
    }

    @Test(arguments: [("DNS:localhost", "localhost"), ("IP:127.0.0.1", "127.0.0.1")])
    func aVerifiedCertificateIsTrusted(_ name: String, _ host: String) async throws {
        let certificates = try Certificates(for: name)
        let aggregator = try secure(certificates)
        defer { aggregator.stop() }
        let talker = try deliver(to: "https://\(host):\(aggregator.port)", caFile: certificates.authority)
        defer { talker.stop() }
        try await eventually { aggregator.stored.count == 1 }
    }

    @Test(arguments: [
        ("DNS:elsewhere.example.com", "localhost", true, "its certificate is for another name"),
        ("DNS:localhost", "127.0.0.1", true, "its certificate is for another name"),
        ("DNS:localhost", "localhost", false, "its certificate is not trusted"),
    ])
    func aCertificateThatProvesNothingIsRefused(_ name: String, _ host: String, _ isOwnAuthority: Bool, _ why: String) async throws {
        let certificates = try Certificates(for: name)
        let aggregator = try secure(certificates)
        defer { aggregator.stop() }
        let others = try Certificates(for: name)
        let talker = try deliver(
            to: "https://\(host):\(aggregator.port)", caFile: isOwnAuthority ? certificates.authority : others.authority)
        defer { talker.stop() }
        try await eventually { log.lines.contains { $0.message == "aggregator unreachable; events are kept" } }
        #expect(log.lines.first { $0.message == "aggregator unreachable; events are kept" }?.metadata["why"] == why)
        #expect(aggregator.requests.isEmpty)
    }

    @Test func theSystemDoesNotTrustAnAuthorityOfOurOwn() async throws {
        let certificates = try Certificates(for: "DNS:localhost")
        let aggregator = try secure(certificates)
        defer { aggregator.stop() }
        let talker = try deliver(to: "https://localhost:\(aggregator.port)", caFile: nil)
        defer { talker.stop() }
        try await eventually { log.lines.contains { $0.metadata["why"] == "its certificate is not trusted" } }
        #expect(aggregator.requests.isEmpty)
    }
}
