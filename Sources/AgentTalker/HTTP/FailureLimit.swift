// How often one may guess.

/// Remembers the last failures: so many within a second are too many.
struct FailureLimit {
    private let count: Int
    private var recent: [Duration] = []

    init(perSecond count: Int) { self.count = count }

    mutating func failed(at uptime: Duration) {
        recent.append(uptime)
        if recent.count > count { recent.removeFirst() }
    }

    func isReached(at uptime: Duration) -> Bool {
        guard recent.count == count, let oldest = recent.first else { return false }
        return uptime - oldest < .seconds(1)
    }
}
