// How often rules may act on one unit.

import Platform

/// Bounds the acting episodes of one unit, or the programs of one rule: some within a while, then none for a time that doubles whenever it did
/// not help.
struct StormLimit: Equatable {
    /// Of what stops, starts or signals a unit.
    static let episodes = 3
    /// Of the programs of one rule. Most of them tell somebody something, and harm nothing when they run often.
    static let programs = 20
    static let within = Duration.seconds(600)
    static let firstPause = Duration.seconds(600)
    static let longestPause = Duration.seconds(9600)
    /// After so long a time without an acting episode, what happened before is forgotten.
    static let quietTime = Duration.seconds(3600)

    enum Verdict: Equatable {
        case mayAct
        /// It begins to pause, until a time since boot.
        case suspended(until: Duration)
        /// It pauses already.
        case isSuspended
    }

    /// When the last episodes were, by the time since boot.
    private(set) var acted: [Duration] = []
    private(set) var suspendedUntil: Duration?
    private var resumedAt: Duration?
    private(set) var pause = StormLimit.firstPause

    /// Asks for leave to act, and takes note of it.
    /// - Parameter most: how many episodes there may be within the while.
    mutating func ask(at uptime: Duration, most: Int = Self.episodes) -> Verdict {
        if suspendedUntil != nil { return .isSuspended }
        if isForgotten(at: uptime) { self = StormLimit() }
        acted.removeAll { uptime - $0 >= Self.quietTime }
        guard acted.count(where: { uptime - $0 < Self.within }) >= most else {
            acted.append(uptime)
            return .mayAct
        }
        let until = uptime + pause
        suspendedUntil = until
        pause = min(pause * 2, Self.longestPause)
        return .suspended(until: until)
    }

    /// Whether its pause is over just now.
    mutating func resumes(at uptime: Duration) -> Bool {
        guard let suspendedUntil, suspendedUntil <= uptime else { return false }
        self.suspendedUntil = nil
        resumedAt = uptime
        return true
    }

    /// Whether there is nothing to remember.
    func isForgotten(at uptime: Duration) -> Bool {
        guard suspendedUntil == nil else { return false }
        return [acted.last, resumedAt].allSatisfy { $0.map { uptime - $0 >= Self.quietTime } ?? true }
    }
}

// MARK: Remembering

extension StormLimit {
    func json(at now: Moment) -> JSON {
        func clock(_ uptime: Duration) -> JSON { .string((now.wall + (uptime - now.uptime)).text()) }
        return [
            "acted": .array(acted.map(clock)), "suspended_until": suspendedUntil.map(clock) ?? .null,
            "resumed": resumedAt.map(clock) ?? .null, "pause": .integer(pause.components.seconds),
        ]
    }

    init(_ json: JSON, at now: Moment) {
        func uptime(_ json: JSON) -> Duration? {
            guard let wall = json.string.flatMap({ Timestamp($0) }) else { return nil }
            let (left, overflown) = wall.microseconds.subtractingReportingOverflow(now.wall.microseconds)
            return overflown ? nil : now.uptime + .microseconds(left)
        }
        acted = (json["acted"]?.array ?? []).prefix(100).compactMap(uptime).filter { $0 <= now.uptime }
        resumedAt = json["resumed"].flatMap(uptime).map { min($0, now.uptime) }
        // A clock that was far ahead must not suspend for years.
        suspendedUntil = json["suspended_until"].flatMap(uptime).map { min($0, now.uptime + Self.longestPause) }
        let seconds = json["pause"]?.integer ?? 0
        pause = min(max(.seconds(min(max(seconds, 0), 1_000_000)), Self.firstPause), Self.longestPause)
    }
}
