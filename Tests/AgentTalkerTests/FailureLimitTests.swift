// How often one may guess a password.

import Testing

@testable import AgentTalker

@Suite struct FailureLimitTests {
    private var limit = FailureLimit(perSecond: 3)

    @Test mutating func whoGuessesMustWaitAndNobodyElse() {
        for milliseconds in [0, 10, 20] {
            #expect(!limit.isReached("10.0.0.1", at: .milliseconds(milliseconds)))
            limit.failed("10.0.0.1", at: .milliseconds(milliseconds))
        }
        #expect(limit.isReached("10.0.0.1", at: .milliseconds(30)))
        #expect(!limit.isReached("10.0.0.2", at: .milliseconds(30)))
        // The first of the three is a second ago.
        #expect(limit.isReached("10.0.0.1", at: .milliseconds(999)))
        #expect(!limit.isReached("10.0.0.1", at: .milliseconds(1000)))
    }

    @Test mutating func manyAddressesGuessNoFasterThanTwentyTimesOne() {
        for guess in 0..<60 {
            #expect(!limit.isReached("10.0.1.\(guess)", at: .milliseconds(guess)))
            limit.failed("10.0.1.\(guess)", at: .milliseconds(guess))
        }
        #expect(limit.isReached("10.0.2.1", at: .milliseconds(60)))
        #expect(!limit.isReached("10.0.2.1", at: .milliseconds(1000)))
    }

    /// Whoever guesses for long, from ever new addresses, is not remembered for ever; one that guesses now is.
    @Test mutating func whoHasStoppedIsForgotten() {
        for guess in 0..<10_000 { limit.failed("address \(guess)", at: .milliseconds(100 * guess)) }
        for _ in 0..<3 { limit.failed("10.0.0.1", at: .seconds(1000)) }
        #expect(limit.isReached("10.0.0.1", at: .seconds(1000)))
        #expect(!limit.isReached("address 9998", at: .seconds(1000)))
    }
}
