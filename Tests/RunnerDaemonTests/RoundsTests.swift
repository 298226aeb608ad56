import AgentAPI
import DaemonMetrics
import Checks
import Platform
import Synchronization
import TestKit
import Testing

@testable import RunnerDaemon

/// A daemon that answers as its parameter `does` says.
private final class FakeReader: DaemonReader {
    let does: String
    let looks: Looks
    init(_ does: String, _ looks: Looks) {
        self.does = does
        self.looks = looks
    }

    func read(_ metrics: [String], deadline: Duration, _ done: @escaping (Result<[String: Double], DaemonError>) -> Void) {
        looks.add("\(does) \(metrics.joined(separator: ",")) \(deadline)")
        switch does {
        case "answers": done(.success(["a": 1]))
        case "fails": done(.failure(DaemonError("connection refused")))
        case "answers twice":
            done(.success(["a": 1]))
            done(.success(["a": 2]))
        default: break
        }
    }
}

/// What happened, in order.
private final class Looks: Sendable {
    private let all = Mutex<[String]>([])
    func add(_ line: String) { all.withLock { $0.append(line) } }
    var lines: [String] { all.withLock { $0 } }
}

@Suite struct RoundsTests {
    private let on = try! OnLoop()
    private let looks = Looks()
    private let told = Looks()

    private func rounds() async throws -> Rounds {
        let (looks, told, loop) = (looks, told, on.loop)
        return try await on.run {
            let kind = DaemonKind(word: "fake") { parameters in
                guard let does = parameters["does"] else { return .failure(SettingErrors([SettingError(key: "does", problem: "is missing")])) }
                return .success(FakeReader(does, looks))
            }
            return Rounds(loop: loop, kinds: [kind]) { told.add(String(decoding: $0.line.dropLast(), as: UTF8.self)) }
        }
    }

    private func source(_ does: String?, id: String = "s", family: String = "fake") -> DaemonSource {
        DaemonSource(id: id, family: family, parameters: does.map { ["does": $0] } ?? [:], metrics: ["a", "b"])
    }

    @Test(
        arguments: [
            ("answers", "{\"measured\":{\"fake:a\":1},\"source\":\"s\"}"), ("answers twice", "{\"measured\":{\"fake:a\":1},\"source\":\"s\"}"),
            ("fails", "{\"failed\":\"s\",\"why\":\"connection refused\"}"), (nil, "{\"failed\":\"s\",\"why\":\"cannot be asked: does is missing\"}"),
        ] as [(String?, String)])
    func eachLookIsToldOnce(does: String?, expected: String) async throws {
        let rounds = try await rounds()
        try await on.run { rounds.change([source(does)], interval: .milliseconds(100)) }
        try await eventually { told.lines.count >= 3 }
        #expect(Set(told.lines) == [expected])
        if does != nil { #expect(looks.lines.first?.hasSuffix(" a,b 0.1 seconds") == true) }
        try await on.run { rounds.change([], interval: .milliseconds(100)) }
    }

    @Test func nobodyKnowsHowToAsk() async throws {
        let rounds = try await rounds()
        try await on.run { rounds.change([source("answers", family: "oracle")], interval: .seconds(1)) }
        try await eventually { told.lines == ["{\"failed\":\"s\",\"why\":\"nobody knows how to ask oracle\"}"] }
        try await on.run { rounds.change([], interval: .seconds(1)) }
    }

    /// A reader that never answers is asked once at a time, and counts as failed when its time is over.
    @Test func oneThatNeverAnswersIsAFailure() async throws {
        let rounds = try await rounds()
        try await on.run { rounds.change([source("hangs")], interval: .milliseconds(50)) }
        try await eventually { told.lines.count == 1 }
        #expect(told.lines == ["{\"failed\":\"s\",\"why\":\"no answer within 0.05 s\"}"])
        #expect(looks.lines.count <= 2)
        try await on.run { rounds.change([], interval: .milliseconds(50)) }
    }

    @Test func looksAreSpreadAndStaySoWhenOthersCome() async throws {
        let rounds = try await rounds()
        let many = (0..<10).map { source("answers", id: "\($0)") }
        try await on.run { rounds.change(many, interval: .seconds(3600)) }
        try await eventually { told.lines.count == 1 }
        // The second would come six minutes later.
        try await on.run { rounds.change(many + [source("fails", id: "new")], interval: .seconds(3600)) }
        try await eventually { told.lines.count == 2 }
        #expect(told.lines.last == "{\"failed\":\"new\",\"why\":\"connection refused\"}")
        try await on.run { rounds.change([], interval: .seconds(3600)) }
    }
}
