@testable import AgentCore
import Platform
import RuleLanguage
import Testing

private enum Seen: Equatable {
    case none
    case failed(Double?)
    case recovered(Double?)
}

/// Values of one metric, one a cycle of 15 s, and what the rule says to each; `nil` is a value that could not be measured.
private func outcomes(_ rule: Rule, isCounter: Bool = false, _ values: [Double?], cycle: Double = 15) -> [Seen] {
    var evaluator = RuleEvaluator(rule: rule, unit: .bytes, isCounter: isCounter)
    return values.enumerated().map { index, value in
        let uptime = Duration.seconds(1000 + Double(index) * cycle)
        let readings = Readings(values: value.map { [evaluator.metrics[0].description: $0] } ?? [:])
        return switch evaluator.observe(readings, at: Moment(wall: Timestamp(microseconds: 0), uptime: uptime)) {
        case .none: .none
        case .failed: .failed(value)
        case .recovered: .recovered(value)
        }
    }
}

func rule(
    _ comparison: Comparison.Operator, _ value: Double, cycles: Int = 1, perSecond: Bool = false, text: String? = nil,
    metric: MetricName = MetricName("memory", "total_rss"), actions: [Action.Kind] = [.alert(route: nil)]
) -> Rule {
    let place = Place(line: 1, column: 1)
    let threshold = Amount(value: value, perSecond: perSecond, text: text ?? "\(Int(value))")
    let condition = Condition.comparison(
        Comparison(metric: metric, operator: comparison, threshold: threshold, metricPlace: place, thresholdPlace: place))
    return Rule(condition: condition, persistence: .cycles(cycles), actions: actions.map { Action($0, place: place) }, place: place)
}

private func observe(_ evaluator: inout RuleEvaluator, _ value: Double?, at uptime: Duration) -> RuleEvaluator.Outcome {
    let readings = Readings(values: value.map { ["memory:total_rss": $0] } ?? [:])
    return evaluator.observe(readings, at: Moment(wall: Timestamp(microseconds: 0), uptime: uptime))
}

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

    @Test func comparisonsAreStrict() {
        #expect(outcomes(rule(.above, 90), [90, 90.1]) == [.none, .failed(90.1)])
        #expect(outcomes(rule(.below, 90), [90, 89.9]) == [.none, .failed(89.9)])
        #expect(outcomes(rule(.above, 90), [91, 90]) == [.failed(91), .recovered(90)])
    }

    @Test func whatCouldNotBeMeasuredNeitherCountsNorRecovers() {
        #expect(outcomes(rule(.above, 90, cycles: 2), [95, nil, 95, nil, nil, 80]) == [.none, .none, .failed(95), .none, .none, .recovered(80)])
        #expect(outcomes(rule(.below, 10), [nil, nil, .nan, .infinity]) == [.none, .none, .none, .none])
    }

    @Test func growthNeedsTwoValues() {
        #expect(outcomes(rule(.above, 10, perSecond: true), isCounter: true, [5000, 5000 + 300]) == [.none, .failed(20)])
    }

    @Test func growthIsByTheTimeThatReallyPassed() {
        #expect(outcomes(rule(.above, 10, perSecond: true), isCounter: true, [0, 300], cycle: 40) == [.none, .none])
        // A value that is missing makes the time longer, not the growth.
        #expect(outcomes(rule(.above, 10, perSecond: true), isCounter: true, [0, nil, 200]) == [.none, .none, .none])
    }

    @Test func aCounterThatGoesBackHasBegunAnew() {
        #expect(outcomes(rule(.below, 10, perSecond: true), isCounter: true, [5000, 8000, 100, 3100]) == [.none, .none, .none, .none])
    }

    @Test func aGaugeMayShrink() {
        #expect(outcomes(rule(.above, 10, perSecond: true), [0, 300, 0]) == [.none, .failed(20), .recovered(-20)])
    }

    @Test func twoValuesOfOneInstantAreNoGrowth() {
        #expect(outcomes(rule(.above, 0, perSecond: true), isCounter: true, [0, 300], cycle: 0) == [.none, .none])
    }

    @Test func aNewRunStartsTheCountAnew() {
        var evaluator = RuleEvaluator(rule: rule(.above, 90, cycles: 2), of: .service)
        #expect(observe(&evaluator, 95, at: .seconds(1)) == .none)
        evaluator.startAnew()
        #expect(observe(&evaluator, 95, at: .seconds(2)) == .none)
        #expect(observe(&evaluator, 95, at: .seconds(3)) == .failed("memory:total_rss is 95, above 90 for 2 cycles"))
    }

    @Test func aNewRunStartsGrowthAnew() {
        var evaluator = RuleEvaluator(rule: rule(.above, 10, perSecond: true), of: .service)
        #expect(observe(&evaluator, 0, at: .seconds(1)) == .none)
        evaluator.startAnew()
        #expect(observe(&evaluator, 1000, at: .seconds(2)) == .none)
        #expect(observe(&evaluator, 1005, at: .seconds(3)) == .none)
    }

    @Test func anEpisodeOutlivesTheRunAndEndsWithAGoodValue() {
        var evaluator = RuleEvaluator(rule: rule(.above, 90), of: .service)
        #expect(observe(&evaluator, 95, at: .seconds(1)) == .failed("memory:total_rss is 95, above 90"))
        evaluator.startAnew()
        #expect(evaluator.isFailing)
        #expect(observe(&evaluator, nil, at: .seconds(2)) == .none)
        #expect(observe(&evaluator, 96, at: .seconds(3)) == .none)
        #expect(observe(&evaluator, 50, at: .seconds(4)) == .recovered("memory:total_rss is 50 again, below 90"))
        #expect(!evaluator.isFailing)
    }
}
