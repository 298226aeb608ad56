import RuleLanguage
import Testing

@Suite struct AmountTests {
    @Test(
        arguments: [
            ("0", 0), ("5", 5), ("+5", 5), ("-5", -5), ("1k", 1024), ("1K", 1024), ("500m", 524_288_000), ("2G", 2_147_483_648),
            ("1t", 1_099_511_627_776),
            ("1P", 1_125_899_906_842_624), ("90%", 90), ("9223372036854775807", 9_223_372_036_854_775_808),
            ("-9223372036854775808", -9_223_372_036_854_775_808),
            ("8191p", 9_222_246_136_947_933_184), ("-8192p", -9_223_372_036_854_775_808), ("007", 7),
        ] as [(String, Double)])
    func unitsAreStepsOf1024(text: String, value: Double) throws {
        let amount = try Amount(parsing: text)
        #expect(amount == Amount(value: value, percent: text.hasSuffix("%"), text: text))
    }

    @Test(
        arguments: [("1.5g", 1_610_612_736), ("0.5", 0.5), ("+0.25k", 256), ("-1.5", -1.5), ("99.9%", 99.9), ("0.5k/sec", 512)] as [(String, Double)])
    func anAmountMayHaveAFraction(text: String, value: Double) throws {
        let amount = try Amount(parsing: text)
        #expect(amount.value == value)
        #expect(!amount.isTime)
    }

    @Test(
        arguments: [("30s", 30), ("500ms", 0.5), ("5min", 300), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("0s", 0)] as [(String, Double)])
    func aTimeIsInSeconds(text: String, value: Double) throws {
        #expect(try Amount(parsing: text) == Amount(value: value, isTime: true, text: text))
    }

    @Test(arguments: [("100/sec", 100), ("1k/sec", 1024), ("5%/sec", 5), ("-3/sec", -3)] as [(String, Double)])
    func aRateIsPerSecond(text: String, value: Double) throws {
        let amount = try Amount(parsing: text)
        #expect(amount.value == value)
        #expect(amount.perSecond)
    }

    @Test(arguments: [
        "", "m", "+", "-", "%", "--5", "+-5", "5.", ".5", "5.g", "1.5.5", "1,5", "1_000", "5kb", "5mb", "5mm", "5%%", "5k%", "5%k", "5sec",
        "5minutes", "5s/sec", "1.5min/sec", "5us", "0x10", "1e3", "/sec",
        "5/s",
        "5/SEC", "5/sec/sec", "5/min", "=5", "٣", "5٣", "５",
    ])
    func whatIsNoAmountIsAFault(text: String) {
        #expect(throws: AmountProblem.self) { try Amount(parsing: text) }
    }

    @Test(arguments: [
        ("9223372036854775808", "9223372036854775807"), ("-9223372036854775809", "9223372036854775807"), ("8192p", "8191p"), ("-8193p", "8191p"),
        ("9007199254740992k", "9007199254740991k"), ("8192.5p", "8191p"), ("9223372036854775807d", "106751991167300d"),
        ("9999999999999999999.5", "9223372036854775807"), ("99999999999999999999999999999999999999999999%", "9223372036854775807%"),
    ])
    func whatIsTooLargeIsAFaultAndDoesNotWrap(text: String, largest: String) {
        let problem = #expect(throws: AmountProblem.self) { try Amount(parsing: text) }
        #expect(problem?.message == "the amount `\(text)` is too large")
        #expect(problem?.help == "the largest amount is \(largest)")
    }
}
