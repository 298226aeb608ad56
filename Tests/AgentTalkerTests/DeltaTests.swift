import AgentAPI
import AgentCore
import Platform
import Synchronization
import TestKit
import Testing

@testable import AgentTalker

@Suite("Reports that say only what has changed") struct DeltaTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()

    init() throws { folder = try TemporaryFolder() }

    private func talker(
        _ port: Int, reportInterval: Duration = .milliseconds(1), whole: Duration = .seconds(300),
        onStanding: @escaping @Sendable (Bool) -> Void = { _ in }
    ) throws -> Talker {
        let timing = Reporter.Timing(
            gathering: .milliseconds(5), whole: whole, deadline: .milliseconds(400), firstRetry: .milliseconds(10), lastRetry: .milliseconds(60),
            farewell: .milliseconds(800))
        let configuration = TalkerConfiguration(
            host: "app-1", version: "1.2.3", interval: .milliseconds(1), reportInterval: reportInterval, stateFolder: "\(folder.path)/state",
            aggregator: .init(address: try AggregatorAddress(parsing: "http://127.0.0.1:\(port)"), token: Secret("the-token")))
        return try Talker(configuration: configuration, logger: log.logger, time: SystemTime(), timing: timing, onStanding: onStanding)
    }

    /// A host with units `u0`, `u1`, ... of which each has eight samples.
    private func host(_ count: Int, _ change: (inout [UnitState]) -> Void = { _ in }) -> Snapshot {
        let metrics = ["cpu:total", "memory:total", "memory:anon", "fds", "threads", "io:read", "io:write", "restarts"]
        var units = (0..<count).map { number in
            UnitState(
                name: "service-\(number).service", initSystem: "systemd", phase: .up, since: startOfTime, mainPID: Int32(1000 + number),
                detail: "active/running", samples: metrics.enumerated().map { Sample($1, Double(number * 4096 + $0)) }, failingRules: [])
        }
        change(&units)
        return Snapshot(at: SystemTime().now().wall, units: units, samples: [Sample("load:1", 0.5), Sample("cpu", 3.25)])
    }

    private func sorted(_ state: ReportedState?) -> [String] {
        (state?.units ?? []).map { unit in
            var unit = unit
            unit.samples.sort { $0.metric < $1.metric }
            return unit.json.text
        }.sorted()
    }

    @Test("what the aggregator puts together is what a whole report would have said")
    func reassembled() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        var random = SplitMix(state: 3)
        for number in 1...30 {
            let shown = host(20) { units in
                for index in units.indices where random.next() % 4 == 0 { units[index].samples[2].value = Double(random.next() % 100) }
                units.removeAll { _ in random.next() % 15 == 0 }
                if random.next() % 3 == 0, !units.isEmpty { units[0].samples.remove(at: 1) }
            }
            talker.update(shown)
            try await eventually { aggregator.requests.count == number }
            let request = aggregator.requests[number - 1]
            #expect(sorted(request.state) == sorted(ReportedState(snapshot: 0, units: shown.units, samples: [])))
            #expect((request.report?.base == nil) == (number == 1))
        }
    }

    @Test("an aggregator that lost its state asks for a whole report and gets it at once")
    func resync() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.update(host(3))
        try await eventually { aggregator.requests.count == 1 }
        aggregator.forgetState()
        talker.update(host(3))
        try await eventually { aggregator.requests.count == 3 }
        #expect(aggregator.requests.map { $0.report?.base == nil } == [true, false, true])
        #expect(aggregator.requests[1].state == nil && aggregator.requests[2].state?.units.count == 3)
        talker.update(host(3))
        try await eventually { aggregator.requests.count == 4 }
        #expect(aggregator.requests[3].report?.units.isEmpty == true && aggregator.requests[3].state?.units.count == 3)
    }

    @Test("a report whose answer was lost leads to a whole one, and to the right state")
    func lostAnswer() async throws {
        let aggregator = try FakeAggregator { request, _ in request == 2 ? .dropAfterStoring : .well }
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.update(host(3))
        try await eventually { aggregator.requests.count == 1 }
        let last = host(4) { $0[1].phase = .down }
        talker.update(last)
        try await eventually { sorted(aggregator.requests.last?.state) == sorted(ReportedState(snapshot: 0, units: last.units, samples: [])) }
    }

    @Test("now and then a report is whole all the same")
    func keyframes() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port, whole: .milliseconds(1))
        defer {
            talker.stop()
            aggregator.stop()
        }
        for number in 1...3 {
            talker.update(host(2))
            try await eventually { aggregator.requests.count == number }
        }
        #expect(aggregator.requests.allSatisfy { $0.report?.base == nil })
    }

    @Test("samples alone wait for the report interval; a unit that changes and an event do not")
    func thinning() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port, reportInterval: .seconds(600))
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.update(host(2))
        try await eventually { aggregator.requests.count == 1 }
        #expect(aggregator.requests[0].report?.interval == .seconds(600))
        for _ in 0..<5 { talker.update(host(2) { $0[0].samples[0].value += 1 }) }
        try await Task.sleep(for: .milliseconds(100))
        #expect(aggregator.requests.count == 1)
        talker.update(host(2) { $0[1].phase = .down })
        try await eventually { aggregator.requests.count == 2 }
        #expect(aggregator.requests[1].report?.units.map(\.name) == ["service-1.service"])
        talker.record(event("killed by SIGKILL"))
        try await eventually { aggregator.stored.count == 1 }
        #expect(aggregator.requests.count == 3)
    }

    @Test("large reports are packed, small ones are not, and an aggregator that unpacks nothing gets them plain")
    func packing() async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.update(host(50))
        try await eventually { aggregator.requests.count == 1 }
        #expect(aggregator.requests[0].fields["content-encoding"] == "gzip" && aggregator.requests[0].state?.units.count == 50)
        talker.update(host(50))
        try await eventually { aggregator.requests.count == 2 }
        #expect(aggregator.requests[1].fields["content-encoding"] == nil)
        aggregator.unpackNothing()
        aggregator.forgetState()
        talker.update(host(50))
        try await eventually { aggregator.requests.last?.state?.units.count == 50 && aggregator.requests.count == 5 }
        #expect(aggregator.requests.map { $0.fields["content-encoding"] } == ["gzip", nil, nil, "gzip", nil])
    }

    @Test("bytes of a report: whole, packed, with a tenth of all units changed, and idle", arguments: [50, 500])
    func figures(count: Int) async throws {
        let aggregator = try FakeAggregator()
        let talker = try talker(aggregator.port)
        defer {
            talker.stop()
            aggregator.stop()
        }
        let whole = host(count)
        let plain = Report(
            agent: String(repeating: "a", count: 32), host: "app-1", version: "1.2.3", at: whole.at, interval: .seconds(10), events: [],
            units: whole.units, samples: whole.samples
        ).json.bytes.count
        talker.update(whole)
        try await eventually { aggregator.requests.count == 1 }
        talker.update(host(count) { units in for index in stride(from: 0, to: count, by: 10) { units[index].samples[0].value += 0.37 } })
        try await eventually { aggregator.requests.count == 2 }
        talker.update(host(count) { units in for index in stride(from: 0, to: count, by: 10) { units[index].samples[0].value += 0.37 } })
        try await eventually { aggregator.requests.count == 3 }
        let sizes = aggregator.requests.map(\.size)
        print("report of \(count) units: plain \(plain), packed \(sizes[0]), a tenth changed \(sizes[1]), idle \(sizes[2]) bytes")
        #expect(sizes[0] < plain / 4 && sizes[2] < 300)
    }

    @Test("whoever wants to know hears how the aggregator stands, once per change")
    func standing() async throws {
        let aggregator = try FakeAggregator { request, _ in (2...4).contains(request) ? .status(503, "") : .well }
        let heard = Mutex<[Bool]>([])
        let talker = try talker(aggregator.port) { isReachable in heard.withLock { $0.append(isReachable) } }
        defer {
            talker.stop()
            aggregator.stop()
        }
        talker.update(host(1))
        try await eventually { heard.withLock { $0 } == [true] }
        talker.update(host(1))
        try await eventually { heard.withLock { $0 } == [true, false, true] }
        #expect(aggregator.requests.count >= 5)
    }
}
