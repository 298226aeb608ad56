@testable import AgentCore
import RuleLanguage
import Testing

@Suite struct RuleTextTests {
    @Test(arguments: [
        (0, Metric.Unit.bytes, "0"), (1023, .bytes, "1023"), (1024, .bytes, "1.0k"), (641_728_512, .bytes, "612.0m"),
        (1_048_575, .bytes, "1.0m"), (3_221_225_472, .bytes, "3.0g"), (-2048, .bytes, "-2.0k"), (93.46, .percent, "93.5%"), (0, .percent, "0.0%"),
        (42, .count, "42"), (1.254, .count, "1.25"), (0.05, .count, "0.05"), (-0.001, .count, "0.00"), (1e18, .count, "1e+18"),
    ])
    func amounts(value: Double, unit: Metric.Unit, text: String) {
        #expect(amountText(value, unit: unit) == text)
    }

    @Test func aFailureSaysTheValueTheThresholdAndForHowLong() {
        let above = rule(.above, 524_288_000, cycles: 2, text: "500m")
        #expect(above.failureText(641_728_512, unit: .bytes) == "memory:total_rss is 612.0m, above 500m for 2 cycles")
        #expect(rule(.below, 5).failureText(3, unit: .count) == "memory:total_rss is 3, below 5")
    }

    @Test func aRecoverySaysWhereTheValueIsNow() {
        let above = rule(.above, 524_288_000, cycles: 2, text: "500m")
        #expect(above.recoveryText(325_268_275, unit: .bytes) == "memory:total_rss is 310.2m again, below 500m")
        #expect(above.recoveryText(524_288_000, unit: .bytes) == "memory:total_rss is 500.0m again, at 500m")
        #expect(rule(.below, 5).recoveryText(8, unit: .count) == "memory:total_rss is 8 again, above 5")
    }

    @Test func growthIsASecond() {
        let growth = rule(.above, 10, perSecond: true, text: "10/sec")
        #expect(growth.failureText(12.5, unit: .count) == "memory:total_rss is 12.50/sec, above 10/sec")
    }
}
