// Messages of the agent itself, from when they are written until somebody has taken them.

import AgentAPI
import Platform

/// Messages in order. Those of one route go one after the other, so that nobody hears of an end before its beginning.
struct AlertOutbox: Equatable, Sendable {
    /// How many may wait.
    static let longest = 200
    static let firstPause = Duration.seconds(5)
    static let longestPause = Duration.seconds(600)
    /// A message this old is no news any more.
    static let patience = Duration.seconds(2 * 86400)

    struct Entry: Equatable {
        var alert: OutgoingAlert
        var attempts = 0
        /// When it is tried next; `nil`: at once.
        var notBefore: Duration?
        var isUnderway = false
    }

    var entries: [Entry] = []
    /// The last number that was given; they follow the clock, so that they do not repeat when the state folder is lost.
    var lastID: UInt64 = 0
    /// How many messages of a route were never delivered, since the last one that says so was written.
    var dropped: [String?: Int] = [:]

    mutating func add(route: String?, subject: String, body: String, events: [Event], host: String, at now: Moment) {
        lastID = max(lastID &+ 1, UInt64(clamping: now.wall.microseconds))
        entries.append(
            Entry(alert: OutgoingAlert(id: lastID, route: route, subject: subject, body: body, events: events, host: host, at: now.wall)))
        while entries.count > Self.longest { dropOne() }
    }

    /// How many were lost since somebody asked last.
    mutating func takeDropped(of route: String?) -> Int { dropped.removeValue(forKey: route) ?? 0 }

    /// Those to deliver now; each is on its way from then on.
    mutating func due(at now: Moment) -> [OutgoingAlert] {
        for entry in entries where !entry.isUnderway && now.wall - entry.alert.at >= Self.patience { drop(entry.alert.id) }
        var due: [OutgoingAlert] = []
        var served: Set<String?> = []
        for index in entries.indices where served.insert(entries[index].alert.route).inserted {
            guard !entries[index].isUnderway, (entries[index].notBefore ?? now.uptime) <= now.uptime else { continue }
            entries[index].isUnderway = true
            entries[index].attempts += 1
            due.append(entries[index].alert)
        }
        return due
    }

    var nextTime: Duration? {
        var served: Set<String?> = []
        return entries.filter { served.insert($0.alert.route).inserted && !$0.isUnderway }.map { $0.notBefore ?? .zero }.min()
    }

    mutating func delivered(_ id: UInt64) { entries.removeAll { $0.alert.id == id } }

    /// - Returns: whether it will be tried again.
    mutating func undelivered(_ id: UInt64, mayRetry: Bool, at now: Moment) -> Bool {
        guard let index = entries.firstIndex(where: { $0.alert.id == id }) else { return false }
        guard mayRetry, now.wall - entries[index].alert.at < Self.patience else {
            drop(id)
            return false
        }
        entries[index].isUnderway = false
        entries[index].notBefore = now.uptime + Self.pause(afterAttempt: entries[index].attempts)
        return true
    }

    /// 5 s after the first attempt, twice as long after each further one, 10 min at most.
    static func pause(afterAttempt attempts: Int) -> Duration { min(longestPause, firstPause * (1 << min(max(attempts, 1) - 1, 10))) }

    /// Messages for routes that are gone go to the default route, or nowhere.
    mutating func keep(routes: [String?]) {
        for index in entries.indices where !routes.contains(entries[index].alert.route) { entries[index].alert.route = nil }
        if !routes.contains(nil) { entries.removeAll { !routes.contains($0.alert.route) } }
    }

    private mutating func drop(_ id: UInt64) {
        guard let index = entries.firstIndex(where: { $0.alert.id == id }) else { return }
        dropped[entries.remove(at: index).alert.route, default: 0] += 1
    }

    /// Makes room: problems that are over and that nobody has heard of go first, their beginning and their end together.
    private mutating func dropOne() {
        for first in entries.indices where !entries[first].isUnderway {
            let begun = Set(entries[first].alert.events.map(\.problem))
            guard !begun.isEmpty, entries[first].alert.events.allSatisfy({ $0.effect == .begins }) else { continue }
            let second = entries[(first + 1)...].firstIndex { later in
                !later.isUnderway && later.alert.route == entries[first].alert.route && !later.alert.events.isEmpty
                    && later.alert.events.allSatisfy { $0.effect == .ends } && Set(later.alert.events.map(\.problem)) == begun
            }
            guard let second else { continue }
            let ids = [entries[first].alert.id, entries[second].alert.id]
            for id in ids { drop(id) }
            return
        }
        if let oldest = entries.first(where: { !$0.isUnderway }) ?? entries.first { drop(oldest.alert.id) }
    }
}
