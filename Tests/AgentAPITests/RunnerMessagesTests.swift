import AgentAPI
import Platform
import TestKit
import Testing

@Suite struct RunnerMessagesTests {
    static let alert = OutgoingAlert(
        id: 1_795_230_000_000_000, route: "ops", subject: "[error] puma.service on web1 is down", body: "puma.service is down\n\"quoted\" — ü\n",
        events: [
            Event(
                kind: .unitDown, at: Timestamp("2026-11-21T03:00:00Z")!, unit: "puma.service", importance: .error, cause: .failure, detail: "killed")
        ], host: "web1", at: Timestamp("2026-11-21T03:00:05Z")!)
    static let work = RunnerWork(
        interval: .seconds(15),
        sources: [
            DaemonSource(id: "redis.service redis", family: "redis", parameters: ["port": "6379", "password": "a\"b\\c"], metrics: ["used_memory"]),
            DaemonSource(id: "nginx", family: "nginx", parameters: [:], metrics: []),
        ],
        channels: [
            AlertChannel(route: nil, kind: "email", parameters: ["to": "ops@example.com"]),
            AlertChannel(route: "chat", kind: "slack", parameters: ["url": "https://example.com/x"]),
        ])
    static let orders: [RunnerOrder] = [.work(work), .work(RunnerWork(interval: .milliseconds(1))), .deliver(alert), .ping]
    static let answers: [RunnerAnswer] = [
        .alive, .measured(["redis:used_memory": 1.5e9, "redis:rate": 0.25], source: "redis.service redis"), .measured([:], source: ""),
        .sourceFailed("nginx", why: "connection refused\nreally"), .delivered(17), .undelivered(18, why: "HTTP 503", mayRetry: true),
        .cannotGoOn(why: "no memory"),
    ]

    @Test(arguments: orders) func anOrderIsReadAsItWasWritten(order: RunnerOrder) throws {
        #expect(order.line.firstIndex(of: 10) == order.line.count - 1)
        #expect(try RunnerOrder(line: order.line.dropLast()) == order)
    }

    @Test(arguments: answers) func anAnswerIsReadAsItWasWritten(answer: RunnerAnswer) throws {
        #expect(answer.line.firstIndex(of: 10) == answer.line.count - 1)
        #expect(try RunnerAnswer(line: answer.line.dropLast()) == answer)
    }

    /// What has no number yet, or one that is nobody's business, has none on the other side.
    @Test func theNumberOfAnEventIsNotHandedOn() throws {
        var numbered = Self.alert
        numbered.events[0].sequence = 42
        #expect(try RunnerOrder(line: RunnerOrder.deliver(numbered).line.dropLast()) == .deliver(Self.alert))
    }

    @Test(arguments: [
        "", "{}", "[]", "null", "{\"work\":1}", "{\"work\":{\"interval_ms\":0,\"sources\":[],\"channels\":[]}}",
        "{\"work\":{\"interval_ms\":1000,\"sources\":[{}],\"channels\":[]}}", "{\"deliver\":{\"id\":-1}}", "{\"ping\":false}",
        "{\"work\":{\"interval_ms\":1000,\"sources\":[],\"channels\":[{\"route\":7,\"kind\":\"email\",\"parameters\":{}}]}}",
    ])
    func whatIsNoOrderIsRefused(line: String) {
        #expect(throws: RunnerMessageError.self) { try RunnerOrder(line: line.utf8) }
    }

    @Test(arguments: [
        "", "{}", "garbage", "{\"measured\":{\"a\":\"b\"},\"source\":\"x\"}", "{\"measured\":{},\"source\":1}", "{\"delivered\":-1}",
        "{\"delivered\":1.5}", "{\"undelivered\":1,\"why\":\"x\"}", "{\"failed\":\"x\"}", "{\"measured\":{\"a\":1e999},\"source\":\"x\"}",
    ])
    func whatIsNoAnswerIsRefused(line: String) {
        #expect(throws: RunnerMessageError.self) { try RunnerAnswer(line: line.utf8) }
    }

    @Test func aRefusalDoesNotRepeatASecret() throws {
        var line = String(decoding: RunnerOrder.work(Self.work).line, as: UTF8.self)
        line = line.split(separator: "\"metrics\"").joined(separator: "\"other\"")
        let error = #expect(throws: RunnerMessageError.self) { try RunnerOrder(line: line.utf8.dropLast()) }
        #expect(error?.description.contains("a\\\"b") == false)
    }

    @Test func tooMuchIsCutOrRefused() throws {
        let long = RunnerAnswer.sourceFailed("x", why: String(repeating: "🚒", count: 5000))
        #expect(long.line.count < 5000)
        guard case .sourceFailed("x", let why) = try RunnerAnswer(line: long.line.dropLast()) else {
            throw NeverHappened(description: "another answer")
        }
        #expect(why.count == 1024)
        let many = Dictionary(uniqueKeysWithValues: (0..<5000).map { ("m\($0)", 1.0) })
        #expect(try RunnerAnswer(line: RunnerAnswer.measured(many, source: "x").line.dropLast()) != .alive)
        let sources = (0...RunnerLimits.sources).map { DaemonSource(id: "\($0)", family: "x", parameters: [:], metrics: []) }
        #expect(throws: RunnerMessageError.self) {
            try RunnerOrder(line: RunnerOrder.work(RunnerWork(interval: .seconds(1), sources: sources)).line.dropLast())
        }
    }

    @Test func noLineMakesTheRunnerCrash() {
        let seeds = Mutations.seeds("runner-orders")
        Mutations.run(seeds: seeds) { bytes in
            // Times are written in milliseconds: what is written is what must stay the same.
            guard let order = try? RunnerOrder(line: bytes), (try? RunnerOrder(line: order.line.dropLast()))?.line != order.line else { return }
            Issue.record("read but not read again: \(String(decoding: bytes, as: UTF8.self))")
        }
    }

    @Test func noLineMakesTheAgentCrash() {
        let seeds = Mutations.seeds("runner-answers")
        Mutations.run(seeds: seeds) { bytes in
            guard let answer = try? RunnerAnswer(line: bytes), (try? RunnerAnswer(line: answer.line.dropLast())) != answer else { return }
            Issue.record("read but not read again: \(String(decoding: bytes, as: UTF8.self))")
        }
    }
}

@Suite struct LineSplitterTests {
    private func lines(_ pieces: [String], limit: Int = 100) throws -> [String] {
        var splitter = LineSplitter(limit: limit)
        var lines: [String] = []
        for piece in pieces {
            splitter.add(piece.utf8)
            while let line = try splitter.next() { lines.append(String(decoding: line, as: UTF8.self)) }
        }
        return lines
    }

    @Test func piecesBecomeLines() throws {
        #expect(try lines(["a", "b\nc", "\n\n", "de", "f\ng\nrest"]) == ["ab", "c", "", "def", "g"])
        #expect(try lines(["", "\n", ""]) == [""])
    }

    @Test func aLineHasABound() throws {
        #expect(try lines(["12345\n"], limit: 5) == ["12345"])
        #expect(throws: LineSplitter.TooLong.self) { try lines(["123456"], limit: 5) }
        #expect(throws: LineSplitter.TooLong.self) { try lines(["1\n12", "3456", "\n"], limit: 5) }
    }
}
