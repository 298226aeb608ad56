import AgentAPI
import Platform
import TestKit
import Testing

@Suite struct ReportTests {
    static let report = Report(
        agent: "00112233445566778899aabbccddeeff", host: "web1", version: "0.1.0", at: Timestamp("2026-11-21T03:00:00.250Z")!, interval: .seconds(15),
        events: [
            Event(sequence: 7, kind: .agentStarted, at: Timestamp("2026-11-21T02:59:00Z")!),
            Event(
                sequence: 8, kind: .ruleFailed, at: Timestamp("2026-11-21T02:59:30Z")!, unit: "puma.service",
                rule: "if memory:total_rss > 500m then alert ops",
                importance: .error, cause: .failure, detail: "memory:total_rss is 512.3m, above 500m", routes: ["ops", nil]),
        ],
        units: [
            UnitState(
                name: "puma.service", initSystem: "systemd", phase: .up, since: Timestamp("2026-11-21T02:00:00Z")!, mainPID: 4711,
                detail: "active/running",
                samples: [Sample("cpu:user", 3.25), Sample("memory:rss", 104_857_600)], failingRules: ["if memory:total_rss > 500m then alert ops"]),
            UnitState(
                name: "ghost", initSystem: "systemd", phase: .unknown, since: nil, mainPID: nil, detail: "no such unit", samples: [], failingRules: []
            ),
        ],
        samples: [Sample("load:1", 0.5)], snapshot: 1_763_694_000_000_001,
        silences: [
            Silence(
                kind: .deploy, subject: "pu*", units: ["puma.service"], owner: "ada", reason: "release 12",
                since: Timestamp("2026-11-21T02:58:00Z")!, until: Timestamp("2026-11-21T03:03:00Z")!),
            Silence(kind: .unmonitored, subject: nil, units: [], owner: "bob", reason: nil, since: Timestamp("2026-11-21T02:58:00Z")!, until: nil),
        ],
        jobs: [
            JobState(
                name: "backup", schedule: "every 1 day", state: .failed, lastRun: Timestamp("2026-11-21T01:00:00Z")!,
                due: Timestamp("2026-11-22T01:00:00Z")!, detail: "it ended with status 3"),
            JobState(name: "tidy.timer", schedule: "starts tidy.service", state: .waiting, lastRun: nil, due: nil, detail: ""),
        ], results: [OrderResult(id: "a1", isGood: true, text: "restarted\n")])

    @Test func readsBackWhatItWrites() throws {
        #expect(try Report(JSON(parsing: Self.report.json.bytes)) == Self.report)
        #expect(try Acknowledgement(JSON(parsing: Acknowledgement(sequence: 8).json.bytes)) == Acknowledgement(sequence: 8))
    }

    @Test func keepsItsShapeOnTheWire() throws {
        try expectGolden(Self.report.json.text + "\n", "report.json")
    }

    static let wrongParts: [(member: String, value: JSON, problem: String)] = [
        ("agent", JSON.string("XYZ"), "report.agent is not 32 hex digits"), ("agent", .integer(1), "report.agent is not a text"),
        ("host", .string(""), "report.host is empty"),
        ("host", .string(String(repeating: "x", count: 5000)), "report.host is longer than 4096 bytes"),
        ("at", .string("yesterday"), "report.at is not a time like 2026-11-21T03:44:31.123Z"),
        ("interval_ms", .integer(0), "report.interval_ms is not between 1 and a day"),
        ("interval_ms", .number(1.5), "report.interval_ms is not an integer"),
        ("events", .null, "report.events is not an array"), ("events", [["sequence": 0]], "report.events[0].sequence is not positive"),
        ("events", [["sequence": 1, "kind": "party"]], "report.events[0].kind is unknown: party"),
        ("events", .array(Array(repeating: .null, count: 1001)), "report.events has more than 1000 items"),
        ("silences", [["kind": "nap"]], "report.silences[0].kind is unknown: nap"),
        ("silences", [["kind": "deploy", "owner": "ada"]], "report.silences[0].since is missing"),
        ("jobs", [["name": "a", "schedule": "daily", "state": "lazy"]], "report.jobs[0].state is unknown: lazy"),
        ("jobs", .array(Array(repeating: .null, count: 1001)), "report.jobs has more than 1000 items"),
        ("units", [["name": "a"]], "report.units[0].init is missing"), ("samples", ["a": "b"], "report.samples.a is not a number"),
    ]

    @Test(arguments: wrongParts)
    func saysWhichPartIsWrong(_ row: (member: String, value: JSON, problem: String)) {
        let (member, value, problem) = row
        guard case .object(var members) = Self.report.json else { return }
        members = members.map { $0.name == member ? .init(member, value) : $0 }
        let error = #expect(throws: ReportError.self) { try Report(.object(members)) }
        #expect(error?.description == problem)
    }

    @Test func mutatedReportsNeverCrash() {
        Mutations.run(seeds: Mutations.seeds("report")) { bytes in
            guard let json = try? JSON(parsing: bytes) else { return }
            if let report = try? Report(json) { _ = report.applied(to: ReportedState(snapshot: 7, units: report.units, samples: report.samples)) }
            _ = try? Acknowledgement(json)
        }
    }

    @Test func anAcknowledgementCarriesOrders() throws {
        let answer = Acknowledgement(
            sequence: 8, snapshot: 12, resync: true, orders: [AgentOrder(id: "a1-B2", request: .success(.act(.restart, unit: "puma")))])
        #expect(
            answer.json.text
                == #"{"acknowledged":8,"snapshot":12,"resync":true,"orders":[{"id":"a1-B2","request":{"request":"restart","unit":"puma"}}]}"#)
        #expect(try Acknowledgement(JSON(parsing: answer.json.bytes)) == answer)
        let strange: JSON = ["acknowledged": 8, "orders": [["id": "x", "request": ["request": "dance"]]]]
        guard case .failure = try Acknowledgement(strange).orders.first?.request else {
            Issue.record("an order that is not understood is an order all the same")
            return
        }
        #expect(throws: ReportError.self) { try Acknowledgement(["acknowledged": 8, "orders": [["id": "../x"]]]) }
    }
}
