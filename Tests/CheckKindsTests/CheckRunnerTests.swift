import Checks
import Platform
import Synchronization
import TestKit
import Testing

/// What a test's probes and the runner did.
private final class Record: Sendable {
    let results = Mutex<[CheckResult]>([])
    let passes = Mutex<[CheckRunner.Pass]>([])
    let started = Mutex<[String: Int]>([:])
    let going = Mutex<Int>(0)
    let mostAtOnce = Mutex<Int>(0)

    func names() -> [String] { results.withLock { $0.map(\.check) } }
    func count(_ name: String) -> Int { results.withLock { $0.count { $0.check == name } } }
    func starts(_ name: String) -> Int { started.withLock { $0[name] ?? 0 } }
}

/// Takes as long as it is told, by the test's clock.
private struct TestProbe: Probe {
    static let kind = "test"
    var summary: String
    var name: String
    var takes = Duration.zero
    var ignoresCancellation = false
    let time: ManualTime
    let record: Record

    func run(deadline: Duration) async -> ProbeOutcome {
        record.started.withLock { $0[name, default: 0] += 1 }
        let going = record.going.withLock { going in
            going += 1
            return going
        }
        record.mostAtOnce.withLock { $0 = max($0, going) }
        defer { record.going.withLock { $0 -= 1 } }
        if ignoresCancellation {
            await Task { try? await time.sleep(takes) }.value
        } else {
            try? await time.sleep(takes)
        }
        return .passed(detail: summary)
    }
}

@Suite struct CheckRunnerTests {
    private let time = ManualTime()
    private let record = Record()

    private func check(
        _ name: String, every: Duration = .seconds(30), deadline: Duration = .seconds(10), takes: Duration = .zero, summary: String = "fine",
        ignoresCancellation: Bool = false
    ) -> Check {
        Check(
            name: name, every: every, deadline: deadline, failuresBeforeFailing: 1,
            probe: TestProbe(summary: summary, name: name, takes: takes, ignoresCancellation: ignoresCancellation, time: time, record: record))
    }

    /// Runs `story` beside a runner, then ends the runner.
    private func withRunner(_ checks: [Check], _ story: (CheckRunner) async throws -> Void) async throws {
        let runner = CheckRunner(time: time)
        await runner.update(checks: checks)
        let task = Task { [record] in
            await runner.run(
                onResult: { result in record.results.withLock { $0.append(result) } }, onPass: { pass in record.passes.withLock { $0.append(pass) } })
        }
        try await eventually { record.passes.withLock { !$0.isEmpty } }
        do { try await story(runner) } catch {
            task.cancel()
            throw error
        }
        task.cancel()
        await task.value
    }

    /// Moves time in steps, each when the runner has come to rest, as a real clock would find it.
    private func pass(_ duration: Duration, step: Duration = .milliseconds(500)) async throws {
        var left = duration
        while left > .zero {
            let passes = record.passes.withLock { $0.count }
            let before = time.sleepers
            time.advance(by: min(step, left))
            left -= step
            if time.sleepers < before { try? await eventually(within: .seconds(1)) { record.passes.withLock { $0.count } > passes } }
            try await Task.sleep(for: .microseconds(500))
        }
    }

    @Test func everyCheckRunsOnceEachInterval() async throws {
        try await withRunner((0..<20).map { check("check \($0)") }) { _ in
            try await pass(.seconds(30))
            for number in 0..<20 { #expect((1...2).contains(record.count("check \(number)"))) }
            try await pass(.seconds(300))
            for number in 0..<20 { #expect((10...12).contains(record.count("check \(number)"))) }
        }
    }

    @Test func startsAreSpreadOverTheInterval() async throws {
        try await withRunner((0..<200).map { check("check \($0)") }) { _ in
            try await pass(.seconds(30))
            let before = record.results.withLock { $0.count }
            try await pass(.seconds(30))
            let starts = record.results.withLock { $0.dropFirst(before).map { $0.startedAt.seconds % 30 } }
            let fullest = Dictionary(grouping: starts) { $0 }.values.map(\.count).max() ?? 0
            #expect(starts.count >= 190)
            #expect(fullest < 25)
        }
    }

    @Test func aCheckNeverRunsTwiceAtOnce() async throws {
        try await withRunner([check("slow", every: .seconds(5), deadline: .seconds(60), takes: .seconds(17))]) { _ in
            try await pass(.seconds(120))
            #expect(record.mostAtOnce.withLock { $0 } == 1)
            #expect((4...7).contains(record.count("slow")))
        }
    }

    @Test func aSlowCheckDelaysNoOther() async throws {
        try await withRunner([check("hung", takes: .seconds(9)), check("quick", every: .seconds(2))]) { _ in
            try await pass(.seconds(20))
            #expect(record.count("quick") >= 9)
        }
    }

    @Test func aProbeThatIgnoresItsDeadlineFailsAndHoldsUpOnlyItself() async throws {
        try await withRunner([
            check("stuck", deadline: .seconds(3), takes: .seconds(3600), ignoresCancellation: true), check("quick", every: .seconds(2)),
        ]) { _ in
            try await pass(.seconds(120))
            #expect(record.count("stuck") == 1)
            #expect(record.results.withLock { $0.first { $0.check == "stuck" }?.outcome } == .failed(reason: "no result within 3 s"))
            #expect(record.count("quick") >= 50)
            time.advance(by: .seconds(3600))
        }
    }

    @Test func aResultAfterTheDeadlineIsAFailure() async throws {
        try await withRunner([check("late", deadline: .seconds(3), takes: .milliseconds(3500))]) { _ in
            try await pass(.seconds(40))
            #expect(record.results.withLock { $0.first?.outcome.text.hasPrefix("took 3.5 s, longer than its deadline of 3 s") } == true)
        }
    }

    @Test func aReloadKeepsThePhaseOfWhatItDoesNotChange() async throws {
        try await withRunner([check("kept", every: .seconds(40)), check("removed", every: .seconds(40))]) { runner in
            try await pass(.seconds(100))
            await runner.update(checks: [check("kept", every: .seconds(40)), check("added", every: .seconds(3600))])
            let removed = record.count("removed")
            try await pass(.seconds(100))
            #expect(record.count("removed") == removed)
            #expect(record.count("added") >= 1)
            // The first run may come before the grid; from then on it is 40 s to the next.
            let starts = record.results.withLock { $0.filter { $0.check == "kept" }.map(\.startedAt) }.dropFirst()
            for (earlier, later) in zip(starts, starts.dropFirst()) { #expect(abs((later - earlier).inSeconds - 40) < 1.1) }
        }
    }

    @Test func aChangedCheckRunsSoon() async throws {
        try await withRunner([check("daily", every: .seconds(86400))]) { runner in
            try await pass(.seconds(61))
            #expect(record.count("daily") == 1)
            await runner.update(checks: [check("daily", every: .seconds(86400), summary: "changed")])
            try await pass(.seconds(61))
            #expect(record.results.withLock { $0.last?.outcome } == .passed(detail: "changed"))
        }
    }

    @Test func theResultOfARunWithOldSettingsIsDropped() async throws {
        try await withRunner([check("x", every: .seconds(5), deadline: .seconds(60), takes: .seconds(30))]) { runner in
            try await pass(.seconds(6))
            #expect(record.starts("x") == 1)
            await runner.update(checks: [check("x", every: .seconds(5), summary: "changed")])
            try await pass(.seconds(60))
            #expect(record.results.withLock { $0.allSatisfy { $0.outcome == .passed(detail: "changed") } })
            #expect(record.count("x") > 0)
            #expect(record.mostAtOnce.withLock { $0 } == 1)
        }
    }

    @Test func cancellationEndsTheRunsAndReportsNothing() async throws {
        try await withRunner([check("slow", every: .seconds(5), deadline: .seconds(60), takes: .seconds(50))]) { _ in
            try await pass(.seconds(6))
            #expect(record.starts("slow") == 1)
        }
        #expect(record.names().isEmpty)
        try await eventually { record.going.withLock { $0 } == 0 }
    }

    @Test func passesGoOnWithoutWorkAndSayHowLateStartsWere() async throws {
        try await withRunner([]) { runner in
            try await pass(.seconds(30))
            #expect(record.passes.withLock { $0.count } >= 6)
            #expect(record.passes.withLock { $0.allSatisfy { $0.lateness == nil && $0.running == 0 } })
            await runner.update(checks: [check("x", every: .seconds(2))])
            try await pass(.seconds(10))
            time.advance(by: .seconds(7))
            try await eventually { record.passes.withLock { $0.contains { ($0.lateness ?? .zero) >= .seconds(5) } } || advanceALittle() }
        }
    }

    private func advanceALittle() -> Bool {
        time.advance(by: .milliseconds(100))
        return false
    }
}
