@testable import AgentCore
import Platform
import RuleLanguage
import Testing

/// What a rule says when it fails by the first value, and then when it recovers by the second.
private func texts(_ rule: Rule, _ bad: Double, _ good: Double) -> [String] {
    var evaluator = RuleEvaluator(rule: rule, of: .service)
    var said: [String] = []
    for (second, value) in [bad, bad, good].enumerated() {
        let readings = Readings(values: ["memory:total_rss": value, "processes": value])
        switch evaluator.observe(readings, at: Moment(wall: Timestamp(seconds: 0), uptime: .seconds(second))) {
        case .none: break
        case .failed(let text), .recovered(let text): said.append(text)
        }
    }
    return said
}

@Suite struct RuleTextTests {
    @Test(arguments: [
        (0, Metric.Unit.bytes, "0"), (1023, .bytes, "1023"), (1024, .bytes, "1.0k"), (641_728_512, .bytes, "612.0m"),
        (1_048_575, .bytes, "1.0m"), (3_221_225_472, .bytes, "3.0g"), (-2048, .bytes, "-2.0k"), (93.46, .percent, "93.5%"), (0, .percent, "0.0%"),
        (42, .count, "42"), (1.254, .count, "1.25"), (0.05, .count, "0.05"), (-0.001, .count, "0.00"), (1e18, .count, "1e+18"),
    ])
    func amounts(value: Double, unit: Metric.Unit, text: String) {
        #expect(amountText(value, unit: unit) == text)
    }

    @Test(arguments: [(30, "30s"), (90, "90s"), (300, "5m"), (7200, "2h"), (86400, "1d"), (0, "0s"), (1.5, "1.5s")])
    func durations(seconds: Double, text: String) {
        #expect(durationText(.seconds(seconds)) == text)
    }

    @Test func aFailureSaysTheValueTheThresholdAndForHowLongAndARecoveryWhereItIsNow() {
        let above = rule(.above, 524_288_000, cycles: 2, text: "500m")
        #expect(
            texts(above, 641_728_512, 325_268_275) == [
                "memory:total_rss is 612.0m, above 500m for 2 cycles", "memory:total_rss is 310.2m again, below 500m",
            ])
        #expect(texts(above, 641_728_512, 524_288_000).last == "memory:total_rss is 500.0m again, at 500m")
    }

    @Test(arguments: [
        (Comparison.Operator.below, 3, 8, "processes is 3, below 5", "processes is 8 again, above 5"),
        (.atLeast, 5, 3, "processes is 5, at or above 5", "processes is 3 again, below 5"),
        (.atMost, 5, 8, "processes is 5, at or below 5", "processes is 8 again, above 5"),
        (.equal, 5, 8, "processes is 5, equal to 5", "processes is 8 again, not 5"),
        (.unequal, 8, 5, "processes is 8, not 5", "processes is 5 again, equal to 5"),
    ])
    func everyOperatorHasWords(comparison: Comparison.Operator, bad: Double, good: Double, failure: String, recovery: String) {
        #expect(texts(rule(comparison, 5, metric: MetricName("processes")), bad, good) == [failure, recovery])
    }
}
