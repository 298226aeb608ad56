// How often one may guess.

import Platform

/// Remembers the last failures of each address: so many within a second are too many, and so are many more of all addresses together.
struct FailureLimit {
    private struct Failures {
        var recent: [Duration] = []

        mutating func add(_ uptime: Duration, limit: Int) {
            recent.append(uptime)
            if recent.count > limit { recent.removeFirst() }
        }

        func isReached(_ limit: Int, at uptime: Duration) -> Bool {
            guard recent.count >= limit, let oldest = recent.first else { return false }
            return uptime - oldest < .seconds(1)
        }
    }

    /// How much more than one address all may fail. A guesser with so many addresses slows everybody down, but does not guess any faster.
    private static let addresses = 20

    private let count: Int
    private var byAddress: [String: Failures] = [:]
    private var ofAll = Failures()

    init(perSecond count: Int) { self.count = count }

    mutating func failed(_ address: String, at uptime: Duration) {
        ofAll.add(uptime, limit: count * Self.addresses)
        // Whoever has not failed within the last second is forgotten: the others are no more than all may fail.
        if byAddress.count >= count * Self.addresses {
            byAddress = byAddress.filter { $0.value.recent.last.map { uptime - $0 < .seconds(1) } ?? false }
        }
        byAddress[address, default: Failures()].add(uptime, limit: count)
    }

    func isReached(_ address: String, at uptime: Duration) -> Bool {
        ofAll.isReached(count * Self.addresses, at: uptime) || byAddress[address]?.isReached(count, at: uptime) ?? false
    }
}
