// Old workers that take no new connections, and go on answering on those that clients keep open.

import Platform

/// What came over the connections that one draining worker still has.
///
/// A request that was under way when it stopped accepting ends with its answer. What comes from the client after an answer is another request,
/// which began when the worker was asked to end: old code serves users.
struct KeptAlive: Sendable {
    private struct Connection {
        var received: UInt64
        var sent: UInt64
        var hasAnswered = false
    }

    /// How long nothing must have come over connections that are open before it is believed that nothing will.
    static let quiet = Duration.seconds(3)

    /// Since when it is watched.
    let since: Duration
    private var connections: [UInt64: Connection] = [:]
    /// When the last new request was noticed.
    private(set) var lastRequest: Duration?
    /// Those over which new requests came.
    private(set) var serving: [KeptConnection] = []
    private var last: [KeptConnection] = []

    init(since: Duration) { self.since = since }

    var isEmpty: Bool { last.isEmpty }
    var count: Int { last.count }

    mutating func observe(_ kept: [KeptConnection], at now: Duration) {
        guard kept != last else { return }
        last = kept
        var seen: [UInt64: Connection] = [:]
        for one in kept {
            var connection = connections[one.inode] ?? Connection(received: one.received, sent: one.sent)
            if one.received > connection.received, connection.hasAnswered {
                lastRequest = now
                serving.removeAll { $0.inode == one.inode }
                serving.append(one)
            }
            if one.sent > connection.sent { connection.hasAnswered = true }
            (connection.received, connection.sent) = (one.received, one.sent)
            seen[one.inode] = connection
        }
        connections = seen
        serving.removeAll { seen[$0.inode] == nil }
    }

    /// New requests are answered there.
    func isServing(at now: Duration) -> Bool { !last.isEmpty && (lastRequest.map { now - $0 < Self.quiet } ?? false) }

    /// Whether enough was seen to believe that no new request comes. Where nothing was answered yet, the first request is still under way.
    func isQuiet(at now: Duration) -> Bool { !last.contains { $0.sent > 0 } || now - max(since, lastRequest ?? since) >= Self.quiet }
}
