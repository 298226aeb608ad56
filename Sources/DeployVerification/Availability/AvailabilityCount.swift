// What requests at a steady rate have met with, counted in little room.

public import AgentAPI
import Glibc

/// Counts requests that were begun on schedule, whatever the earlier ones took: a probe that waits for an answer before it asks again
/// would not see the stall that it is made for.
public struct AvailabilityCount: Sendable {
    /// Answers that come later than this are late.
    public static let late = Duration.seconds(1)
    private static let mostFailures = 16
    /// Each bucket of the histogram ends 5 % after the one before, from 0.01 ms on.
    private static let growth = log(1.05)
    private static let buckets = 400

    private var requests = 0
    private var failed = 0
    private var late = 0
    private var longestStall = Duration.zero
    /// The begin of the first request that was due since the last answer.
    private var waitingSince: Duration?
    private var histogram = [UInt32](repeating: 0, count: Self.buckets)
    private var failures: [(what: String, count: Int)] = []

    public init() {}

    /// A request begins.
    public mutating func begin(at now: Duration) {
        requests += 1
        if waitingSince == nil { waitingSince = now }
    }

    /// A request that began at `began` was answered.
    public mutating func answered(began: Duration, at now: Duration) {
        let took = max(.zero, now - began)
        if took > Self.late { late += 1 }
        let bucket = log(max(1, took.inMilliseconds * 100)) / Self.growth
        histogram[min(Self.buckets - 1, Int(bucket))] += 1
        if let waitingSince { longestStall = max(longestStall, now - waitingSince) }
        waitingSince = nil
    }

    /// A request got no answer, or one that says that the service is not there.
    /// - Parameter what: `connection refused`; the same failures have the same words.
    public mutating func failed(_ what: String) {
        failed += 1
        if let known = failures.firstIndex(where: { $0.what == what }) {
            failures[known].count += 1
        } else if failures.count < Self.mostFailures {
            failures.append((what, 1))
        }
    }

    /// As it is now; a stall that lasts is in it.
    public func sum(at now: Duration) -> Availability {
        Availability(
            requests: requests, failed: failed, late: late, longestStall: max(longestStall, waitingSince.map { now - $0 } ?? .zero),
            median: percentile(0.5), percentile99: percentile(0.99),
            failures: failures.map { "\($0.what) \($0.count == 1 ? "once" : "\($0.count) times")" })
    }

    /// The end of the bucket in which it lies; `nil` when nothing was answered.
    private func percentile(_ share: Double) -> Duration? {
        let count = histogram.reduce(0) { $0 + Int($1) }
        guard count > 0 else { return nil }
        let wanted = max(1, Int((Double(count) * share).rounded(.up)))
        var passed = 0
        for (index, number) in histogram.enumerated() {
            passed += Int(number)
            if passed >= wanted { return .microseconds(Int64((exp(Double(index + 1) * Self.growth) * 10).rounded())) }
        }
        return nil
    }
}

extension AvailabilityLimits {
    /// What is beyond the limits, in words; `nil` when nothing is.
    public func breach(by availability: Availability) -> String? {
        switch failed {
        case .count(let most) where availability.failed > most:
            return "\(availability.failed) of \(availability.requests) requests failed, more than \(most)"
        case .share(let most) where Double(availability.failed) > most * Double(availability.requests):
            return "\(availability.failed) of \(availability.requests) requests failed, more than \(most * 100) %"
        default: break
        }
        guard let stall, availability.longestStall > stall else { return nil }
        return
            "no request was answered for \(availability.longestStall.inMilliseconds.rounded()) ms, longer than \(stall.inMilliseconds.rounded()) ms"
    }
}

extension Duration {
    var inMilliseconds: Double { Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15 }
}
