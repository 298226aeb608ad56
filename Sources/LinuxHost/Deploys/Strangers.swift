// Who takes a service's connections without being of it.

import Platform

/// Remembers who was found, so that all processes of the machine are looked through seldom.
struct Strangers {
    /// To look through all processes costs milliseconds.
    private static let betweenSearches = Duration.milliseconds(500)
    /// Who has taken a connection, and holds no listener, is a stranger for so long.
    private static let takersLast = Duration.seconds(10)
    private static let most = 64

    private struct Taker {
        var startTicks: UInt64
        var last: Duration
    }

    private var lastSearch: Duration?
    /// Who holds which listener.
    private var holders: [UInt64: Set<Int32>] = [:]
    private var takers: [String: [Int32: Taker]] = [:]

    mutating func maySearch(_ now: Duration) -> Bool {
        if let lastSearch, now >= lastSearch, now - lastSearch < Self.betweenSearches { return false }
        lastSearch = now
        return true
    }

    /// - Parameter search: looks through all processes: what each of them has of these sockets.
    mutating func holders(of inodes: Set<UInt64>, _ now: Duration, search: (Set<UInt64>) -> [Int32: Set<UInt64>]) -> Set<Int32> {
        holders = holders.filter { inodes.contains($0.key) }
        let isKnown = inodes.allSatisfy { !(holders[$0] ?? []).isEmpty }
        // A holder may end, and another one live on.
        if !isKnown || lastFull.map({ now - $0 >= .seconds(5) }) ?? true, maySearch(now) {
            lastFull = now
            holders = [:]
            for (pid, found) in search(inodes) { for inode in found { holders[inode, default: []].insert(pid) } }
        }
        return holders.values.reduce(into: []) { $0.formUnion($1) }
    }

    private var lastFull: Duration?

    mutating func note(_ pid: Int32, _ startTicks: UInt64, tookFrom service: String, _ now: Duration) {
        guard takers[service]?.count ?? 0 < Self.most || takers[service]?[pid] != nil else { return }
        takers[service, default: [:]][pid] = Taker(startTicks: startTicks, last: now)
    }

    /// Which processes have ever taken one. One that still holds a listener stays among them.
    func takers(from service: String, _ now: Duration) -> Set<Int32> { Set((takers[service] ?? [:]).keys) }

    func hasJustTaken(_ pid: Int32, from service: String, _ now: Duration) -> Bool {
        takers[service]?[pid].map { now - $0.last < Self.takersLast } ?? false
    }

    mutating func forget(isAlive: (_ pid: Int32, _ startTicks: UInt64) -> Bool) {
        for service in takers.keys { takers[service] = takers[service]?.filter { isAlive($0.key, $0.value.startTicks) } }
    }
}
