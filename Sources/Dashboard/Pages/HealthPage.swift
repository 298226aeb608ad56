// How the aggregator itself is.

import AggregatorCore
import Platform

struct HealthPage: Page {
    var health: Health

    init(health: any HealthReading, at now: Timestamp) async throws(StoreError) { self.health = try await health.health(at: now) }

    var title: String { "Health" }
    var headline: String { health.isRunning ? "Checks running" : "Checks not running" }

    func content(at now: Timestamp) -> HTML {
        div(.class("heading")) {
            h1 { "Health of the aggregator" }
            Badge(
                word: health.isRunning ? "Running" : "Not running", icon: health.isRunning ? .passing : .critical,
                tone: health.isRunning ? "passing" : "critical"
            ).html
        }
        p(.class("lead")) {
            "Whoever watches the aggregator may ask "
            a(.href(.status)) { "/status/" }
            " without a login; it answers: \(headline)."
        }
        ul(.class("card lines")) {
            for line in health.lines { li { line } }
        }
    }
}
