@testable import AgentCore
import Platform
import RuleLanguage
import TestKit
import Testing

private let list = MetricList([MetricName("cpu", "total"), MetricName("io", "read"), MetricName("memory", "rss"), MetricName("up")])

private func moment(_ second: Int) -> Moment {
    Moment(wall: Timestamp("2026-11-21T03:00:00Z")! + .seconds(second), uptime: .seconds(second))
}

/// A history with these values of one unit, a second apart.
private func history(_ cycles: [[Double?]?]) -> History {
    var history = History()
    for (second, values) in cycles.enumerated() {
        history.beginCycle(at: moment(second))
        if let values { history.record(values, of: list, unit: "puma") }
    }
    return history
}

@Suite struct HistoryTests {
    @Test func whatWasMeasuredIsThereInItsOrderAndWhatWasNotIsNot() {
        let history = history([[10, 100, 5, 1], [nil, 250, .nan, 1], nil, [30, 300, 7, 0]])
        #expect(history.values(of: MetricName("cpu", "total"), unit: "puma") == [10, nil, nil, 30])
        #expect(history.values(of: MetricName("io", "read"), unit: "puma") == [100, 250, nil, 300])
        #expect(history.values(of: MetricName("memory", "rss"), unit: "puma") == [5, nil, nil, 7])
        #expect(history.values(of: MetricName("fds"), unit: "puma") == nil)
        #expect(history.values(of: MetricName("cpu"), unit: nil) == nil)
        #expect(history.values(of: MetricName("cpu"), unit: "nginx") == nil)
        #expect(history.unitNames == ["puma"])
    }

    @Test func onlyTheLastCyclesAreKept() {
        let history = history((0..<1000).map { [Double($0), Double($0) * 1e9, nil, 1] })
        let values = history.values(of: MetricName("cpu", "total"), unit: "puma")
        #expect(values == (760..<1000).map { Double($0) })
        #expect(history.times.map(\.uptime) == (760..<1000).map { .seconds($0) })
        // A counter's growth is right however large its sum is.
        let sums = history.values(of: MetricName("io", "read"), unit: "puma")?.compactMap(\.self) ?? []
        #expect(sums.last == 999e9)
        #expect(zip(sums, sums.dropFirst()).allSatisfy { $1 - $0 == 1e9 })
    }

    @Test func aUnitThatWasAwayHasAGapAndNoOldValues() {
        var cycles: [[Double?]?] = (0..<240).map { [Double($0), nil, nil, nil] }
        cycles += Array(repeating: nil, count: 239) + [[7, nil, nil, nil]]
        let values = history(cycles).values(of: MetricName("cpu", "total"), unit: "puma")
        #expect(values?.count == 240)
        #expect(values?.compactMap(\.self) == [7])
    }

    @Test func whatStaysTheSameForLongAndThenChangesIsAllThere() {
        // Of the ring's slots, the last to be written is in its first quarter, then in its third.
        for begin in [0, 100, 130, 250, 500, 610] {
            let numbers = (0..<640).map { $0 < begin ? 5.0 : Double($0 % 3) }
            let values = history(numbers.map { [$0, nil, $0, 0] }).values(of: MetricName("cpu", "total"), unit: "puma")
            #expect(values == Array(numbers.suffix(240)))
        }
        let signs = history([[0, nil, nil, nil], [-0.0, nil, nil, nil], [0, nil, nil, nil]]).values(of: MetricName("cpu", "total"), unit: "puma")
        #expect(signs?.map { $0?.sign } == [.plus, .minus, .plus])
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func itIsWhatAListOfAllValuesWouldBe(seed: UInt64) {
        var random = SplitMix(state: seed)
        var (cycles, last) = ([[Double?]?](), 0.0)
        for _ in 0..<Int.random(in: 1...900, using: &random) {
            // Values that mostly stay, gaps, and cycles in which the unit was away, some of them for long.
            if Int.random(in: 0..<12, using: &random) == 0 { last = Double(Int.random(in: 0..<4, using: &random)) }
            if Int.random(in: 0..<100, using: &random) == 0 {
                cycles += Array(repeating: nil, count: Int.random(in: 1...300, using: &random))
            }
            cycles.append([Int.random(in: 0..<9, using: &random) == 0 ? nil : last, nil, nil, nil])
        }
        let values = history(cycles).values(of: MetricName("cpu", "total"), unit: "puma")
        #expect(values == cycles.suffix(240).map { $0?[0] })
    }

    @Test func anotherListOfMetricsKeepsWhatIsInBoth() {
        var history = history([[1, 10, 2, 1], [2, 20, 3, 1]])
        history.beginCycle(at: moment(2))
        history.record([30, 4], of: MetricList([MetricName("io", "read"), MetricName("memory", "rss")]), unit: "puma")
        #expect(history.values(of: MetricName("memory", "rss"), unit: "puma") == [2, 3, 4])
        #expect(history.values(of: MetricName("io", "read"), unit: "puma") == [10, 20, 30])
        #expect(history.values(of: MetricName("cpu", "total"), unit: "puma") == nil)
        history.forget(unit: "puma")
        #expect(history.unitNames == [])
    }

    @Test func aLineOfGlyphsAsInspeqtorShowsIt() {
        let cycles: [[Double?]?] = [0, 12.5, 25, 50, nil, 99, 100].map { [$0, nil, nil, nil] }
        #expect(
            history(cycles).sparkline(of: MetricName("cpu", "total"), unit: "puma") == """
                puma cpu:total min 0.0% max 100.0% avg 47.8%
                ▁▂▃▅ ██

                """)
        #expect(
            history([[5, nil, nil, nil], [5, nil, nil, nil]]).sparkline(of: MetricName("cpu", "total"), unit: "puma")?.hasSuffix("\n▁▁\n") == true)
        #expect(history([[nil, nil, nil, nil]]).sparkline(of: MetricName("cpu", "total"), unit: "puma") == nil)
    }

    @Test func ofACounterItsGrowthIsShown() {
        let cycles: [[Double?]?] = [0, 1024, 4096, nil, 100].map { [nil, $0, nil, nil] }
        #expect(
            history(cycles).sparkline(of: MetricName("io", "read"), unit: "puma") == """
                puma io:read min 1.0k/sec max 3.0k/sec avg 2.0k/sec
                 ▁█  

                """)
    }

    @Test func jsonIsTheWholeOfIt() throws {
        var history = history([[10.25, 100, 5, 1], [nil, 250, nil, 1], nil, [30.1, 300, 7, 0]])
        history.record([1.5], of: MetricList([MetricName("load", "1")]), unit: nil)
        #expect(
            history.json.text
                == #"{"version":1,"times":[1795230000000000,1795230001000000,1795230002000000,1795230003000000],"uptimes":[0,1000000,2000000,3000000],"host":{"load:1":[null,null,null,1.5]},"units":{"puma":{"cpu:total":[10.25,null,null,30.1],"io:read":[100,250,null,300],"memory:rss":[5,null,null,7],"up":[1,1,null,0]}}}"#
        )
        let read = try History(try JSON(parsing: history.json.bytes))
        #expect(read.json == history.json)
        #expect(read.metrics(of: "puma") == list.metrics)
    }

    @Test(arguments: [
        ("{}", "`version` is not 1"), (#"{"version":1}"#, "`times` and `uptimes` are not two lists of one length"),
        (#"{"version":1,"times":[1],"uptimes":[]}"#, "`times` and `uptimes` are not two lists of one length"),
        (#"{"version":1,"times":["x"],"uptimes":[1]}"#, "a time that is no number of microseconds"),
        (#"{"version":1,"times":[-9223372036854775808],"uptimes":[1]}"#, "a time that is no number of microseconds"),
        (#"{"version":1,"times":[],"uptimes":[]}"#, "the host has no metrics"),
        (#"{"version":1,"times":[],"uptimes":[],"host":{},"units":{"a":[]}}"#, "a has no metrics"),
        (#"{"version":1,"times":[1],"uptimes":[1],"host":{"cpu":[]}}"#, "cpu of the host has not one value for each time"),
        (#"{"version":1,"times":[],"uptimes":[],"host":{"a":[],"a":[]}}"#, "a of the host is there twice"),
        (#"{"version":1,"times":[],"uptimes":[],"host":{},"units":{"a":{},"a":{}}}"#, "the unit a is there twice"),
    ])
    func whatIsNoRecordingSaysWhy(text: String, problem: String) throws {
        let json = try JSON(parsing: text)
        #expect(throws: RecordingError(problem: problem)) { try Recording(json) }
    }

    @Test func fiveHundredUnitsTakeLittleMemoryAndNoMoreThanIsUsed() {
        var history = History()
        for second in 0..<500 {
            history.beginCycle(at: moment(second))
            let values: [Double?] = [1, Double(second) * 4096, 3, 1]
            for unit in 0..<500 { history.record(values, of: list, unit: "unit\(unit)") }
            if second == 3 { #expect(history.footprint < 400_000) }
        }
        #expect(history.footprint < 800_000)
        // All of them change in every cycle.
        for second in 500..<800 {
            history.beginCycle(at: moment(second))
            let values = (1...4).map { Double(second * second * $0) as Double? }
            for unit in 0..<500 { history.record(values, of: list, unit: "unit\(unit)") }
        }
        #expect(history.footprint < 2_500_000)
    }
}
