// Rates out of counters.

import Platform

/// Turns the looks at a growing counter into a rate. What cannot be known is absent: the first look has nothing to compare with, and
/// after a counter has gone back nobody knows how far it had come before.
struct Meter: Equatable, Sendable {
    private var last: UInt64?
    private var lookedAt: Duration?
    private var rate: Double?

    /// Growth per second since the last look; a second look at the same time has the answer of the first.
    /// - Parameter counter: `nil` when it could not be read; the next look is a first one then.
    mutating func look(_ counter: UInt64?, at uptime: Duration) -> Double? {
        if lookedAt == uptime { return rate }
        defer { (last, lookedAt) = (counter, uptime) }
        guard let counter, let last, counter >= last, let lookedAt, uptime > lookedAt else {
            rate = nil
            return nil
        }
        rate = Double(counter - last) / (uptime - lookedAt).inSeconds
        return rate
    }
}
