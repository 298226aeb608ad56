// Whether anybody would read a snapshot in which only numbers are new.

import Platform
import Synchronization

/// Says on the watcher's thread what is known on the talker's.
final class NumberDemand: Sendable {
    /// In microseconds since boot; the highest number while nothing is due.
    private let due = Atomic<Int64>(0)
    /// A scraper may come at any time, or each snapshot is pushed on.
    private let isSteady = Atomic(false)

    func isThere(at uptime: Duration) -> Bool {
        isSteady.load(ordering: .relaxed) || uptime.microseconds >= due.load(ordering: .relaxed)
    }

    func change(to configuration: CheckedConfiguration) {
        let isSteady = configuration.metrics != nil || configuration.statsd != nil || configuration.graphite != nil
        self.isSteady.store(isSteady, ordering: .relaxed)
    }

    /// The next report wants one from then on; `nil`: there are no reports.
    func begins(at uptime: Duration?) { due.store(uptime?.microseconds ?? .max, ordering: .relaxed) }
}
