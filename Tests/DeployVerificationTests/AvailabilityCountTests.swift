// What is counted of requests at a steady rate.

import AgentAPI
import DeployVerification
import Testing

@Suite struct AvailabilityCountTests {
    @Test func aStallIsTheTimeInWhichNothingDueWasAnswered() {
        var count = AvailabilityCount()
        for number in 0..<100 {
            let began = Duration.milliseconds(20 * number)
            count.begin(at: began)
            // From 500 ms to 1500 ms everybody waits.
            if began < .milliseconds(500) { count.answered(began: began, at: began + .milliseconds(2)) }
            if began >= .milliseconds(1500) { count.answered(began: began, at: began + .milliseconds(2)) }
            if began == .milliseconds(1480) {
                for waiting in 25..<75 { count.answered(began: .milliseconds(20 * waiting), at: .milliseconds(1500)) }
            }
        }
        let sum = count.sum(at: .seconds(2))
        #expect(sum.requests == 100)
        #expect(sum.failed == 0)
        #expect(sum.longestStall == .milliseconds(1000))
        #expect(sum.late == 0)
        #expect((.milliseconds(1.9)...(.milliseconds(2.2))).contains(sum.median ?? .zero))
        #expect((sum.percentile99 ?? .zero) > .milliseconds(900))
    }

    @Test func aStallThatLastsIsSeen() {
        var count = AvailabilityCount()
        count.begin(at: .seconds(1))
        #expect(count.sum(at: .seconds(4)).longestStall == .seconds(3))
    }

    @Test func limitsAreOnFailuresAndOnTheStall() {
        var availability = Availability(requests: 1000, failed: 1, longestStall: .milliseconds(800))
        #expect(AvailabilityLimits().breach(by: availability)?.contains("1 of 1000") ?? false)
        #expect(AvailabilityLimits(failed: .share(0.001)).breach(by: availability) == nil)
        #expect(AvailabilityLimits(failed: .count(1), stall: .milliseconds(500)).breach(by: availability)?.contains("800") ?? false)
        availability.failed = 0
        #expect(AvailabilityLimits(failed: .count(0), stall: .seconds(1)).breach(by: availability) == nil)
    }
}
