import AgentAPI
import Platform
import TestKit
import Testing

@Suite("A difference, applied to its base, is the whole") struct ReportDeltaTests {
    private static let at = Timestamp(seconds: 1_700_000_000)

    private static func whole(_ state: ReportedState) -> Report {
        Report(
            agent: "00112233445566778899aabbccddeeff", host: "web1", version: "0.1.0", at: at, interval: .seconds(10), events: [],
            units: state.units, samples: state.samples, snapshot: state.snapshot, silences: state.silences, jobs: state.jobs)
    }

    private static func unit(_ name: String, _ samples: [Sample], phase: UnitState.Phase = .up) -> UnitState {
        UnitState(
            name: name, initSystem: "systemd", phase: phase, since: at, mainPID: 7, detail: "active/running", samples: samples, failingRules: [])
    }

    @Test("what did not change is not said")
    func idle() {
        let state = ReportedState(snapshot: 1, units: [Self.unit("puma", [Sample("cpu", 0)])], samples: [Sample("load:1", 0.5)])
        var next = state
        next.snapshot = 2
        let difference = Self.whole(next).since(state)
        #expect(difference.units.isEmpty && difference.samples.isEmpty && difference.gone.isEmpty && difference.goneSamples.isEmpty)
        #expect(difference.base == 1 && difference.snapshot == 2)
        #expect(difference.applied(to: state) == next)
    }

    @Test("a unit that changed says its changed samples alone, and which are gone")
    func changes() {
        let before = ReportedState(
            snapshot: 1, units: [Self.unit("puma", [Sample("cpu", 1), Sample("memory:rss", 2), Sample("fds", 3)]), Self.unit("old", [])],
            samples: [Sample("load:1", 0.5), Sample("swap", 1)])
        let after = ReportedState(
            snapshot: 2,
            units: [Self.unit("puma", [Sample("cpu", 1), Sample("memory:rss", 4)], phase: .down), Self.unit("new", [Sample("cpu", 9)])],
            samples: [Sample("load:1", 0.5)])
        let difference = Self.whole(after).since(before)
        #expect(difference.units.map(\.samples) == [[Sample("memory:rss", 4)], [Sample("cpu", 9)]])
        #expect(difference.gone == ["old"])
        #expect(difference.goneSamples == ["puma": ["fds"], "": ["swap"]])
        #expect(difference.applied(to: before) == after)
        #expect(difference.json.text.contains(#""gone":["old"],"gone_samples":{"":["swap"],"puma":["fds"]}"#))
    }

    @Test("a difference to something else applies to nothing")
    func otherBase() {
        let state = ReportedState(snapshot: 1, units: [], samples: [])
        let difference = Self.whole(ReportedState(snapshot: 5, units: [], samples: [])).since(ReportedState(snapshot: 4, units: [], samples: []))
        #expect(difference.applied(to: state) == nil)
        #expect(difference.applied(to: nil) == nil)
        #expect(Self.whole(state).applied(to: nil) == state)
    }

    @Test("a thousand random lives of a host: over the wire, differences lead to the same state as whole reports", arguments: [1, 2, 3, 4])
    func randomLives(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        func chance(_ one: UInt64) -> Bool { random.next() % one == 0 }
        func samples() -> [Sample] {
            var samples = ["cpu", "memory:rss", "fds", "io:read"].filter { _ in !chance(4) }.map { Sample($0, Double(random.next() % 3)) }
            if chance(5) { samples.shuffle(using: &random) }
            return samples
        }
        var stored: ReportedState?
        var base: ReportedState?
        for number in 1...250 as ClosedRange<UInt64> {
            var names = ["a", "b", "c", "d", "e"].filter { _ in !chance(5) }
            if chance(5) { names.shuffle(using: &random) }
            var state = ReportedState(
                snapshot: number, units: names.map { Self.unit($0, samples(), phase: chance(6) ? .down : .up) }, samples: samples())
            state.silences = ["a", "b"].filter { _ in chance(3) }.map {
                Silence(kind: .deploy, subject: $0, units: [$0], owner: "ada", reason: nil, since: Self.at, until: nil)
            }
            state.jobs = ["sync", "backup"].filter { _ in !chance(4) }.map {
                JobState(name: $0, schedule: "daily", state: chance(4) ? .failed : .ok, lastRun: Self.at, due: nil, detail: "")
            }
            let sent = base.map { Self.whole(state).since($0) } ?? Self.whole(state)
            guard !chance(10) else { continue }  // it did not arrive
            guard let new = try Report(try JSON(parsing: sent.json.bytes)).applied(to: stored) else {
                base = nil
                continue
            }
            stored = new
            if chance(10) { continue }  // the answer did not arrive
            base = state
            func sorted(_ state: ReportedState) -> [String] {
                (state.units.map { unit in
                    var unit = unit
                    unit.samples.sort { $0.metric < $1.metric }
                    return unit.json.text
                } + state.samples.map { "\($0.metric) \($0.value)" } + state.silences.map(\.json.text) + state.jobs.map(\.json.text)).sorted()
            }
            #expect(sorted(new) == sorted(state))
        }
        #expect(stored != nil)
    }
}
