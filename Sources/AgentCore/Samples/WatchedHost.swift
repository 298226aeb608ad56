// The host, and all that the watcher knows of it.

import AgentAPI
import RuleLanguage

/// The watcher's state for the host.
struct WatchedHost {
    var rules: [RuleEvaluator]
    var metrics: SubjectMetrics
    /// Of the last cycle, in the order of `metrics.all`.
    var values: [Double?] = []
    var samples: [Sample] = []
    var sources = FailingSources()
    var untold: Set<WatchedUnit.Concern> = []

    init(_ rules: [Rule], cycle: Duration) {
        self.rules = rules.map { RuleEvaluator(rule: $0, of: .host, cycle: cycle) }
        metrics = SubjectMetrics(.host, always: AgentLoop.shownOfHost, .init(self.rules))
    }

    /// Measures what its rules want.
    mutating func prepare() {
        metrics = SubjectMetrics(.host, always: AgentLoop.shownOfHost, .init(rules))
        sources.keep(metrics.all.keys)
    }
}
