// What daemons answered, for as long as that is of use.

import Platform

/// The last answer of one daemon, and whether it still answers.
struct DaemonValues {
    enum Outcome: Equatable {
        case none, failed(String), recovered
    }

    /// A daemon that is just being restarted misses one look: that is no event yet, but its numbers are gone at once.
    static let patience = 2

    private var values: [String: Double] = [:]
    private var at: Duration?
    private var misses = 0
    private(set) var isFailing = false

    mutating func take(_ values: [String: Double], at uptime: Duration) -> Outcome {
        self.values = values
        at = uptime
        misses = 0
        guard isFailing else { return .none }
        isFailing = false
        return .recovered
    }

    mutating func fail(_ why: String) -> Outcome {
        values = [:]
        misses += 1
        guard misses >= Self.patience, !isFailing else { return .none }
        isFailing = true
        return .failed(why)
    }

    /// A number of the last answer, unless that is older than two intervals.
    func value(_ key: String, at uptime: Duration, interval: Duration) -> Double? {
        guard let at, uptime - at <= interval * 2 else { return nil }
        return values[key]
    }
}
