// How often somebody may try a password.

import Platform

/// Counts failures by address and by name: five are free, then each makes the next wait longer. It decides and keeps numbers only; the
/// time is the machine's uptime, which does not step.
struct LoginThrottle: Sendable {
    enum Key: Hashable, Sendable {
        case address(String)
        case name(String)

        /// An address waits up to a quarter of an hour; a name up to a minute, for whoever it belongs to has done nothing wrong.
        var longestDelay: Duration {
            switch self {
            case .address: .seconds(900)
            case .name: .seconds(60)
            }
        }
    }

    enum Answer: Equatable, Sendable {
        case goAhead
        case wait(Duration)
    }

    private struct Failures {
        var count: Int
        var last: Duration
        var until: Duration
    }

    static let free = 5
    /// Failures are forgotten after this long without another one.
    static let memory = Duration.seconds(3600)
    /// More than this many addresses and names are not remembered: the oldest goes.
    static let capacity = 10_000

    private var failures: [Key: Failures] = [:]

    /// How many addresses and names it remembers.
    var count: Int { failures.count }

    /// Asks for one attempt and counts it as a failure at once, so that attempts made side by side do not slip through;
    /// `succeeded` takes it back.
    mutating func attempt(_ keys: [Key], at now: Duration) -> Answer {
        let waits = keys.compactMap { failures[$0] }.filter { now - $0.last < Self.memory }.map { $0.until - now }
        if let longest = waits.max(), longest > .zero { return .wait(longest) }
        for key in keys { count(key, at: now) }
        return .goAhead
    }

    mutating func succeeded(_ keys: [Key]) {
        for key in keys { failures[key] = nil }
    }

    private mutating func count(_ key: Key, at now: Duration) {
        var entry = failures[key] ?? Failures(count: 0, last: now, until: .zero)
        if now - entry.last >= Self.memory { entry.count = 0 }
        entry.count += 1
        entry.last = now
        if entry.count >= Self.free {
            let delay = Duration.seconds(1 << min(entry.count - Self.free, 12))
            entry.until = now + min(delay, key.longestDelay)
        }
        if failures[key] == nil, failures.count >= Self.capacity, let oldest = failures.min(by: { $0.value.last < $1.value.last }) {
            failures[oldest.key] = nil
        }
        failures[key] = entry
    }
}
