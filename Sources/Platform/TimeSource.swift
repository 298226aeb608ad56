// What time it is, twice: for people (wall clock, may step) and for measuring (monotonic, never steps).

import Glibc

/// A point on the wall clock: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
public struct Timestamp: Hashable, Comparable, Sendable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    /// Whole seconds since 1970, rounded down.
    public var seconds: Int64 { microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000 }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }
    public static func + (a: Timestamp, b: Duration) -> Timestamp { Timestamp(microseconds: a.microseconds &+ b.microseconds) }
    public static func - (a: Timestamp, b: Duration) -> Timestamp { Timestamp(microseconds: a.microseconds &- b.microseconds) }
    public static func - (a: Timestamp, b: Timestamp) -> Duration { .microseconds(a.microseconds &- b.microseconds) }
}

extension Duration {
    /// Whole microseconds, rounded toward zero.
    public var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
    }

    public var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

/// One look at both clocks.
public struct Moment: Sendable {
    public var wall: Timestamp
    /// Time since boot, suspend included (CLOCK_BOOTTIME).
    public var uptime: Duration

    public init(wall: Timestamp, uptime: Duration) {
        self.wall = wall
        self.uptime = uptime
    }
}

/// Where a loop gets its time from. It is made in `main`, or by a test; a loop reads `now()` once per pass and hands it down.
public protocol TimeSource: Sendable {
    func now() -> Moment
    /// Waits; a cancelled task wakes at once with `CancellationError`.
    func sleep(_ duration: Duration) async throws
}

/// The clocks of the machine.
public struct SystemTime: TimeSource {
    public init() {}

    public func now() -> Moment {
        var wall = timespec()
        var uptime = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        clock_gettime(CLOCK_BOOTTIME, &uptime)
        return Moment(
            wall: Timestamp(microseconds: Int64(wall.tv_sec) * 1_000_000 + Int64(wall.tv_nsec) / 1000),
            uptime: .seconds(uptime.tv_sec) + .nanoseconds(uptime.tv_nsec))
    }

    public func sleep(_ duration: Duration) async throws {
        try await ContinuousClock().sleep(for: duration)
    }
}
