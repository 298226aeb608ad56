import AgentCore
import Platform
import RuleLanguage
import Testing

private enum Seen: Equatable {
    case none
    case failed(Double?)
    case recovered(Double?)
}

/// Values of one metric, one a cycle of 15 s, and what the rule says to each; `nil` is a value that could not be measured.
private func outcomes(_ rule: Rule, _ values: [Double?], cycle: Double = 15) -> [Seen] {
    var evaluator = RuleEvaluator(rule: rule, of: .service)
    let name = (evaluator.metrics + evaluator.workerMetrics)[0].description
    return values.enumerated().map { index, value in
        let readings = Readings(values: value.map { [name: $0] } ?? [:])
        return switch evaluator.observe(readings, at: moment(1000 + Double(index) * cycle)) {
        case .none: .none
        case .failed: .failed(value)
        case .recovered: .recovered(value)
        }
    }
}

private func moment(_ seconds: Double) -> Moment {
    Moment(wall: Timestamp("2026-11-21T03:00:00Z")! + .seconds(seconds), uptime: .seconds(seconds))
}

extension RuleEvaluator {
    fileprivate mutating func see(_ value: Double?, _ seconds: Double, as metric: String = "memory:total_rss") -> Outcome {
        observe(Readings(values: value.map { [metric: $0] } ?? [:]), at: moment(seconds))
    }

    fileprivate mutating func see(_ values: [String: Double], _ seconds: Double = 1) -> Outcome {
        observe(Readings(values: values), at: moment(seconds))
    }

    fileprivate mutating func see(_ values: [String: Double] = [:], workers: [Int32: [String: Double]], _ seconds: Double = 1) -> Outcome {
        let workers = workers.sorted { $0.key < $1.key }.map { (process: ProcessIdentity(pid: $0.key, startTicks: 7), values: $0.value) }
        return observe(Readings(values: values, workers: workers), at: moment(seconds))
    }
}

private func mib(_ count: Double) -> Double { count * 1_048_576 }

private let growing = MetricName("io", "read")

@Suite struct RuleEvaluatorTests {
    @Test func threeCrossingsInARowFailOnce() {
        #expect(outcomes(rule(.above, 90, cycles: 3), [95, 95, 96, 95, 95, 95, 95]) == [.none, .none, .failed(96), .none, .none, .none, .none])
    }

    @Test func aGoodValueBetweenStartsTheCountAnew() {
        #expect(outcomes(rule(.above, 90, cycles: 3), [95, 95, 80, 95, 95, 95]) == [.none, .none, .none, .none, .none, .failed(95)])
    }

    @Test func oneGoodValueRecovers() {
        #expect(outcomes(rule(.above, 90, cycles: 2), [95, 95, 80, 80, 95, 95]) == [.none, .failed(95), .recovered(80), .none, .none, .failed(95)])
    }

    @Test func aFlappingRuleFailsAndRecoversEachTime() {
        #expect(outcomes(rule(.above, 90), [95, 80, 95, 80]) == [.failed(95), .recovered(80), .failed(95), .recovered(80)])
    }

    @Test(arguments: [
        (Comparison.Operator.above, [false, false, true]), (.below, [true, false, false]), (.atLeast, [false, true, true]),
        (.atMost, [true, true, false]), (.equal, [false, true, false]), (.unequal, [true, false, true]),
    ])
    func operatorsMeanWhatTheySay(comparison: Comparison.Operator, holds: [Bool]) {
        for (value, holds) in zip([89.9, 90, 90.1], holds) {
            #expect(outcomes(rule(comparison, 90), [value]) == [holds ? .failed(value) : .none], "\(value) \(comparison.rawValue) 90")
        }
    }

    @Test func whatCouldNotBeMeasuredNeitherCountsNorRecovers() {
        #expect(outcomes(rule(.above, 90, cycles: 2), [95, nil, 95, nil, nil, 80]) == [.none, .none, .failed(95), .none, .none, .recovered(80)])
        #expect(outcomes(rule(.below, 10), [nil, nil, .nan, .infinity]) == [.none, .none, .none, .none])
    }

    // MARK: Rates

    @Test func growthNeedsTwoValues() {
        #expect(outcomes(rule(.above, 10, perSecond: true, metric: growing), [5000, 5000 + 300]) == [.none, .failed(5300)])
    }

    @Test func growthIsByTheTimeThatReallyPassed() {
        #expect(outcomes(rule(.above, 10, perSecond: true, metric: growing), [0, 300], cycle: 40) == [.none, .none])
        // A value that is missing makes the time longer, not the growth.
        #expect(outcomes(rule(.above, 10, perSecond: true, metric: growing), [0, nil, 200]) == [.none, .none, .none])
    }

    @Test func aCounterThatGoesBackHasBegunAnew() {
        #expect(outcomes(rule(.below, 10, perSecond: true, metric: growing), [5000, 8000, 100, 3100]) == [.none, .none, .none, .none])
    }

    @Test func whatIsNoCounterMayShrink() {
        #expect(
            outcomes(rule(.above, 10, perSecond: true, metric: MetricName("redis", "used_memory")), [0, 300, 0]) == [
                .none, .failed(300), .recovered(0),
            ])
    }

    @Test func twoValuesOfOneInstantAreNoGrowth() {
        #expect(outcomes(rule(.above, 0, perSecond: true, metric: growing), [0, 300], cycle: 0) == [.none, .none])
    }

    // MARK: Percent

    @Test func aPercentageIsOfTheMetricsLimit() {
        var evaluator = RuleEvaluator(rule: rule(compare("memory:total", .above, "80%")), of: .service)
        #expect(evaluator.metrics.map(\.description) == ["memory:total", "memory:limit"])
        #expect(evaluator.see(["memory:total": mib(500)]) == .none)
        #expect(evaluator.see(["memory:total": mib(500), "memory:limit": 0]) == .none)
        #expect(evaluator.see(["memory:total": mib(500), "memory:limit": mib(1024)]) == .none)
        #expect(
            evaluator.see(["memory:total": mib(900), "memory:limit": mib(1024)])
                == .failed("memory:total is 87.9% (900.0m of 1.0g), above 80%"))
        #expect(
            evaluator.see(["memory:total": mib(512), "memory:limit": mib(1024)])
                == .recovered("memory:total is 50.0% (512.0m of 1.0g) again, below 80%"))
    }

    @Test func aPercentageOfAPercentageIsItself() {
        var evaluator = RuleEvaluator(rule: rule(compare("cpu:total", .above, "80%")), of: .service)
        #expect(evaluator.metrics.map(\.description) == ["cpu:total"])
        #expect(evaluator.see(["cpu:total": 93.46]) == .failed("cpu:total is 93.5%, above 80%"))
    }

    // MARK: And, or

    private static let both = Condition.all([compare("cpu:total", .above, "90%"), compare("memory:rss", .above, "500m")])
    private static let either = Condition.any([compare("cpu:total", .above, "90%"), compare("memory:rss", .above, "500m")])

    /// `nil`: could not be measured.
    @Test(
        arguments: [
            (true, true, true, true), (true, false, false, true), (false, false, false, false), (true, nil, nil, true), (false, nil, false, nil),
            (nil, nil, nil, nil), (nil, true, nil, true), (nil, false, false, nil),
        ] as [(Bool?, Bool?, Bool?, Bool?)])
    func unknownPartsDecideNothing(cpu: Bool?, memory: Bool?, both: Bool?, either: Bool?) {
        var values: [String: Double] = [:]
        values["cpu:total"] = cpu.map { $0 ? 95 : 5 }
        values["memory:rss"] = memory.map { $0 ? mib(600) : 5 }
        for (condition, expected) in [(Self.both, both), (Self.either, either)] {
            var evaluator = RuleEvaluator(rule: rule(condition), of: .service)
            #expect((evaluator.see(values) != .none) == (expected == true))
            // In an episode, only what is known to be false ends it.
            var failing = RuleEvaluator(rule: rule(condition), of: .service)
            #expect(failing.see(["cpu:total": 99, "memory:rss": mib(600)]) != .none)
            #expect((failing.see(values) != .none) == (expected == false))
        }
    }

    @Test func allPartsThatHoldAreNamed() {
        var both = RuleEvaluator(rule: rule(Self.both, .cycles(2)), of: .service)
        let high: [String: Double] = ["cpu:total": 95, "memory:rss": mib(600)]
        #expect(both.see(high) == .none)
        #expect(both.see(high) == .failed("cpu:total is 95.0%, above 90%, and memory:rss is 600.0m, above 500m, for 2 cycles"))
        #expect(both.see(["cpu:total": 20, "memory:rss": mib(600)]) == .recovered("cpu:total is 20.0% again, below 90%"))
        var either = RuleEvaluator(rule: rule(Self.either), of: .service)
        #expect(either.see(["cpu:total": 5, "memory:rss": mib(600)]) == .failed("memory:rss is 600.0m, above 500m"))
        #expect(
            either.see(["cpu:total": 5, "memory:rss": 5]) == .recovered("cpu:total is 5.0% again, below 90%, and memory:rss is 5 again, below 500m"))
    }

    @Test func eachComparisonHasItsOwnRate() {
        let condition = Condition.all([compare("io:read", .above, "10/sec"), compare("io:write", .above, "10/sec"), compare("io:read", .above, "5")])
        var evaluator = RuleEvaluator(rule: rule(condition), of: .service)
        #expect(evaluator.metrics.map(\.description) == ["io:read", "io:write"])
        #expect(evaluator.see(["io:read": 0, "io:write": 1000], 1) == .none)
        #expect(evaluator.see(["io:read": 100, "io:write": 1001], 2) == .none)
        #expect(
            evaluator.see(["io:read": 200, "io:write": 1051], 3)
                == .failed("io:read is 100/sec, above 10/sec, and io:write is 50/sec, above 10/sec, and io:read is 200, above 5"))
    }

    // MARK: Workers

    private static let eachWorker = compare("memory:rss", .above, "500m", ofEachWorker: true)

    @Test func oneWorkerIsEnough() {
        var evaluator = RuleEvaluator(rule: rule(Self.eachWorker), of: .service)
        #expect(evaluator.metrics == [])
        #expect(evaluator.workerMetrics.map(\.description) == ["memory:rss"])
        #expect(evaluator.see(workers: [:]) == .none)
        #expect(evaluator.see(workers: [1: ["memory:rss": 5], 2: ["memory:rss": 6]]) == .none)
        #expect(
            evaluator.see(workers: [1: ["memory:rss": 5], 4711: ["memory:rss": mib(612)]])
                == .failed("memory:rss of worker 4711 is 612.0m, above 500m"))
        // A worker that cannot be read might be the one; without any worker nothing is known.
        #expect(evaluator.see(workers: [1: ["memory:rss": 5], 4711: [:]]) == .none)
        #expect(evaluator.see(workers: [:]) == .none)
        #expect(evaluator.see(workers: [1: ["memory:rss": 5]]) == .recovered("memory:rss is above 500m in no worker any more"))
    }

    @Test func withinAnAndItIsTheSameWorker() {
        let condition = Condition.all([Self.eachWorker, compare("cpu:total", .above, "90%", ofEachWorker: true)])
        var evaluator = RuleEvaluator(rule: rule(condition), of: .service)
        let apart: [Int32: [String: Double]] = [
            1: ["memory:rss": mib(600), "cpu:total": 1], 2: ["memory:rss": 1, "cpu:total": 95],
        ]
        #expect(evaluator.see(workers: apart) == .none)
        #expect(
            evaluator.see(workers: [1: ["memory:rss": mib(600), "cpu:total": 95]])
                == .failed("memory:rss of worker 1 is 600.0m, above 500m, and cpu:total of worker 1 is 95.0%, above 90%"))
        #expect(
            evaluator.see(workers: apart)
                == .recovered("\(condition.text) holds for no worker any more"))
    }

    @Test func withinAnOrItMayBeAnother() {
        let condition = Condition.all([
            compare("uptime", .above, "5"), .any([Self.eachWorker, compare("cpu:total", .above, "90%", ofEachWorker: true)]),
        ])
        var evaluator = RuleEvaluator(rule: rule(condition), of: .service)
        let workers: [Int32: [String: Double]] = [1: ["memory:rss": 5, "cpu:total": 1], 2: ["memory:rss": 1, "cpu:total": 95]]
        #expect(evaluator.see(["uptime": 3], workers: workers) == .none)
        #expect(
            evaluator.see(["uptime": 9], workers: workers) == .failed("uptime is 9.0 s, above 5, and cpu:total of worker 2 is 95.0%, above 90%"))
        // What is false without any worker ends the episode without any worker.
        #expect(evaluator.see(["uptime": 1], workers: [:]) == .recovered("uptime is 1.0 s again, below 5"))
    }

    @Test func aWorkersRateIsItsOwn() {
        var evaluator = RuleEvaluator(rule: rule(compare("io:read", .above, "10/sec", ofEachWorker: true)), of: .service)
        #expect(evaluator.see(workers: [1: ["io:read": 0]], 1) == .none)
        // A new one with a large sum has not grown yet.
        #expect(evaluator.see(workers: [1: ["io:read": 5], 2: ["io:read": 9000]], 2) == .none)
        #expect(evaluator.see(workers: [1: ["io:read": 6], 2: ["io:read": 9100]], 3) == .failed("io:read of worker 2 is 100/sec, above 10/sec"))
    }

    // MARK: Persistence

    @Test func aTimeIsMeasuredAndNotCounted() {
        var evaluator = RuleEvaluator(rule: rule(compare("memory:total_rss", .above, "90"), .time(.seconds(30))), of: .service)
        #expect(evaluator.see(95, 100) == .none)
        #expect(evaluator.see(95, 110) == .none)
        #expect(evaluator.see(95, 129) == .none)
        #expect(evaluator.see(95, 130) == .failed("memory:total_rss is 95, above 90 for 30s"))
    }

    @Test func aGapIsNoTimeOfHolding() {
        var evaluator = RuleEvaluator(rule: rule(compare("memory:total_rss", .above, "90"), .time(.seconds(30))), of: .service, cycle: .seconds(10))
        #expect(evaluator.see(95, 100) == .none)
        #expect(evaluator.see(nil, 110) == .none)
        #expect(evaluator.see(95, 120) == .none)
        // The machine was asleep.
        #expect(evaluator.see(95, 4000) == .none)
        #expect(evaluator.see(95, 4010) == .none)
        #expect(evaluator.see(95, 4020) == .none)
        #expect(evaluator.see(95, 4030) != .none)
    }

    @Test func aGoodSampleStartsTheTimeAnew() {
        var evaluator = RuleEvaluator(rule: rule(compare("memory:total_rss", .above, "90"), .time(.seconds(20))), of: .service)
        for (second, value) in [(0, 95.0), (10, 95), (15, 80), (20, 95), (39, 95)] { #expect(evaluator.see(value, Double(second)) == .none) }
        #expect(evaluator.see(95, 40) != .none)
    }

    @Test func soManyTimesWithinSoManyCycles() {
        let often = rule(compare("memory:total_rss", .above, "90"), .times(3, withinCycles: 5))
        #expect(outcomes(often, [95, 1, 95, 1, 95]) == [.none, .none, .none, .none, .failed(95)])
        #expect(outcomes(often, [95, 1, 95, 1, 1, 95, 1, 95]).allSatisfy { $0 == .none })
        #expect(outcomes(often, [95, 1, 95, 1, 1, 95, 95]).last == .failed(95))
        // It recovers with a good sample, and begins to count again.
        #expect(
            outcomes(often, [95, 95, 95, 1, 95, 95, 95]) == [.none, .none, .failed(95), .recovered(1), .none, .none, .failed(95)])
        #expect(outcomes(often, [95, nil, nil, nil, nil, 95, 95]) == [.none, .none, .none, .none, .none, .none, .failed(95)])
        var evaluator = RuleEvaluator(rule: often, of: .service)
        for second in [1.0, 2] { #expect(evaluator.see(95, second) == .none) }
        #expect(evaluator.see(95, 3) == .failed("memory:total_rss is 95, above 90, 3 times within 5 cycles"))
    }

    // MARK: Clear

    @Test func aLevelOfItsOwnEndsAnEpisode() {
        let hysteresis = rule(compare("memory:total_rss", .above, "500m"), clear: clear(.below, "400m"))
        var evaluator = RuleEvaluator(rule: hysteresis, of: .service)
        #expect(evaluator.see(mib(600), 1) != .none)
        #expect(evaluator.see(mib(450), 2) == .none)
        #expect(evaluator.see(mib(600), 3) == .none)
        #expect(evaluator.see(mib(399), 4) == .recovered("memory:total_rss is 399.0m again, below 400m"))
    }

    @Test func itMayHaveToBeClearForAWhile() {
        let slow = rule(compare("memory:total_rss", .above, "90"), clear: clear(for: .cycles(2)))
        #expect(outcomes(slow, [95, 80, 95, 80, nil, 80]) == [.failed(95), .none, .none, .none, .none, .recovered(80)])
        let timed = rule(compare("memory:total_rss", .above, "90"), clear: clear(.below, "50", for: .time(.seconds(30))))
        #expect(outcomes(timed, [95, 40, 40, 60, 40, 40, 40]) == [.failed(95), .none, .none, .none, .none, .none, .recovered(40)])
    }

    @Test func everyWorkerMustBeClear() {
        let condition = compare("memory:rss", .above, "500m", ofEachWorker: true)
        var evaluator = RuleEvaluator(rule: rule(condition, clear: clear(.below, "400m")), of: .service)
        #expect(evaluator.see(workers: [1: ["memory:rss": mib(600)]]) != .none)
        #expect(evaluator.see(workers: [1: ["memory:rss": 5], 2: ["memory:rss": mib(450)]]) == .none)
        #expect(evaluator.see(workers: [1: ["memory:rss": 5], 2: [:]]) == .none)
        #expect(evaluator.see(workers: [1: ["memory:rss": 5]]) == .recovered("memory:rss is below 400m in every worker again"))
    }

    // MARK: Hours

    /// Whole days, so that every time zone agrees.
    private static func hours(_ days: Set<Int>) -> TimeWindow { TimeWindow([.init(days: days, from: 0, to: 1440)]) }

    @Test func outsideItsHoursARuleIsNotJudgedAndAnEpisodeStays() {
        // From Monday, 23 November, noon UTC, on: a day each.
        let start = Timestamp("2026-11-23T12:00:00Z")!
        var evaluator = RuleEvaluator(rule: rule(compare("up", .equal, "0"), .cycles(2), window: .during(Self.hours([0, 1, 2, 4, 5]))), of: .service)
        func day(_ number: Int64, _ value: Double) -> RuleEvaluator.Outcome {
            evaluator.observe(Readings(values: ["up": value]), at: Moment(wall: start + .seconds(number * 86400), uptime: .seconds(number * 86400)))
        }
        #expect(day(0, 0) == .none)
        #expect(day(1, 0) == .failed("up is 0, equal to 0 for 2 cycles"))
        // Wednesday is left alone: neither does it recover,
        #expect(day(2, 1) == .none)
        #expect(evaluator.isFailing)
        #expect(day(3, 1) == .recovered("up is 1 again, not 0"))
        #expect(day(4, 0) == .none)
        // nor does what was counted before Saturday count after it.
        #expect(day(5, 0) == .none)
        #expect(day(6, 0) == .none)
        #expect(day(7, 0) != .none)
    }

    @Test func exceptIsTheOtherTimes() {
        let friday = Moment(wall: Timestamp("2026-11-27T12:00:00Z")!, uptime: .seconds(5))
        for (window, fails) in [(Window.except(Self.hours([4, 5, 6])), false), (.except(Self.hours([0, 1, 2])), true)] {
            var evaluator = RuleEvaluator(rule: rule(compare("up", .equal, "0"), window: window), of: .service)
            #expect((evaluator.observe(Readings(values: ["up": 0]), at: friday) != .none) == fails)
        }
    }

    // MARK: Runs

    @Test func aNewRunStartsTheCountAnew() {
        var evaluator = RuleEvaluator(rule: rule(.above, 90, cycles: 2), of: .service)
        #expect(evaluator.see(95, 1) == .none)
        evaluator.startAnew()
        #expect(evaluator.see(95, 2) == .none)
        #expect(evaluator.see(95, 3) == .failed("memory:total_rss is 95, above 90 for 2 cycles"))
    }

    @Test func aNewRunStartsGrowthAnew() {
        var evaluator = RuleEvaluator(rule: rule(.above, 10, perSecond: true, metric: growing), of: .service)
        #expect(evaluator.see(0, 1, as: "io:read") == .none)
        evaluator.startAnew()
        #expect(evaluator.see(1000, 2, as: "io:read") == .none)
        #expect(evaluator.see(1005, 3, as: "io:read") == .none)
    }

    @Test func whatIsOfTheUnitOutlivesItsRuns() {
        var restarts = RuleEvaluator(rule: rule(.atLeast, 1, perSecond: true, metric: MetricName("restarts")), of: .service)
        #expect(restarts.see(3, 1, as: "restarts") == .none)
        restarts.startAnew()
        #expect(restarts.see(5, 2, as: "restarts") != .none)
        var down = RuleEvaluator(rule: rule(.equal, 0, cycles: 2, metric: MetricName("up")), of: .service)
        #expect(down.see(0, 1, as: "up") == .none)
        down.startAnew()
        #expect(down.see(0, 2, as: "up") != .none)
    }

    @Test func anEpisodeOutlivesTheRunAndEndsWithAGoodValue() {
        var evaluator = RuleEvaluator(rule: rule(.above, 90), of: .service)
        #expect(evaluator.see(95, 1) == .failed("memory:total_rss is 95, above 90"))
        evaluator.startAnew()
        #expect(evaluator.isFailing)
        #expect(evaluator.see(nil, 2) == .none)
        #expect(evaluator.see(96, 3) == .none)
        #expect(evaluator.see(50, 4) == .recovered("memory:total_rss is 50 again, below 90"))
        #expect(!evaluator.isFailing)
    }

    @Test func rulesAboutBeingUpAreJudgedWhenItIsNot() {
        #expect(RuleEvaluator(rule: rule(.equal, 0, metric: MetricName("up")), of: .service).judgesWhenDown)
        #expect(!RuleEvaluator(rule: rule(.above, 90), of: .service).judgesWhenDown)
    }

    @Test func anErrorUnlessTheRuleSaysOtherwise() {
        var warning = rule(.above, 90)
        #expect(RuleEvaluator(rule: warning, of: .service).importance == .error)
        warning.importance = .warning
        #expect(RuleEvaluator(rule: warning, of: .service).importance == .warning)
    }

    @Test func samplesInListsAreJudgedLikeReadingsByName() {
        let condition = Condition.any([
            compare("memory:total", .above, "80%"), compare("io:read", .above, "100/sec"), compare("cpu:total", .above, "90%", ofEachWorker: true),
        ])
        var random = SystemRandomNumberGenerator()
        var (named, listed) = (
            RuleEvaluator(rule: rule(condition, .cycles(2)), of: .service), RuleEvaluator(rule: rule(condition, .cycles(2)), of: .service)
        )
        let names = ["uptime", "memory:limit", "io:read", "memory:total", "cpu:total"]
        let lists = [names, names.reversed()].map { MetricList($0.map { metric($0) }) }
        var sum = 0.0
        for second in 0..<500 {
            sum += Double.random(in: 0...150, using: &random)
            var values: [String: Double] = ["memory:limit": 100, "uptime": 1, "io:read": sum, "memory:total": .random(in: 0...90, using: &random)]
            if second % 7 == 0 { values["memory:total"] = nil }
            let worker = ["cpu:total": Double.random(in: 0...92, using: &random)]
            let process = ProcessIdentity(pid: 9, startTicks: 9)
            let list = lists[second / 100 % 2]
            let outcome = named.observe(Readings(values: values, workers: [(process, worker)]), at: moment(Double(second)))
            #expect(
                outcome
                    == listed.observe(
                        list.keys.map { values[$0] }, of: list, workers: [.init(process: process, values: list.keys.map { worker[$0] })],
                        of: list, at: moment(Double(second))))
        }
    }
}

private func metric(_ name: String) -> MetricName {
    let parts = name.split(separator: ":").map(String.init)
    return MetricName(parts[0], parts.count > 1 ? parts[1] : nil)
}
