// A unit that fails again and again: the first restart is told at once, the following ones together.

import Messages
public import Platform

/// The restarts of one unit after failures, as far as they are news.
public struct RestartSeries: Equatable, Sendable {
    /// How long restarts are gathered before they are told together.
    public static let window = Duration.seconds(600)

    /// When people were last told, or will be if restarts are being gathered.
    public var lastTold: Timestamp
    /// Whether a message that gathers restarts waits for `lastTold`.
    public var isGathering: Bool
    /// The first restart that the latest message counts, and how many it counts.
    public var firstAt: Timestamp
    public var count: Int
    /// The latest of them, oldest first, at most `rememberedLines`.
    public var lines: [String]

    static let rememberedLines = 10

    public init(lastTold: Timestamp, isGathering: Bool, firstAt: Timestamp, count: Int, lines: [String]) {
        self.lastTold = lastTold
        self.isGathering = isGathering
        self.firstAt = firstAt
        self.count = count
        self.lines = lines
    }

    public enum Telling: Equatable, Sendable {
        case atOnce
        /// In one message, which replaces the one that waits for the same time.
        case gathered(due: Timestamp)
    }

    /// One more restart.
    /// - Parameters:
    ///   - at: when it happened.
    ///   - now: when it became known; people are told by this clock.
    public static func observe(
        _ series: RestartSeries?, reason: String, at: Timestamp, now: Timestamp
    ) -> (series: RestartSeries, telling: Telling) {
        let line = "\(at.words)  \(reason)"
        guard var series, now < series.lastTold + window else {
            return (RestartSeries(lastTold: now, isGathering: false, firstAt: at, count: 1, lines: [line]), .atOnce)
        }
        if series.isGathering, series.lastTold <= now {
            // The message that gathered until then is on its way, and a new one begins.
            series = RestartSeries(lastTold: series.lastTold + window, isGathering: true, firstAt: at, count: 0, lines: [])
        } else if !series.isGathering {
            series.lastTold = series.lastTold + window
            series.isGathering = true
        }
        series.count += 1
        series.lines = (series.lines + [line]).suffix(rememberedLines)
        return (series, .gathered(due: series.lastTold))
    }
}
