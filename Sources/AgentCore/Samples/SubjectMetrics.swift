// What is measured of one kind of subject, prepared once: which numbers come from the sampler, which from the loop, which from a daemon.

import AgentAPI
import RuleLanguage

/// The metrics of the host, or of all units of services of which the same is measured. Made with the plan, and asked for in every cycle.
final class SubjectMetrics {
    /// A number that the sampler does not know.
    enum Own: Equatable {
        case up
        /// How long the run has lasted.
        case uptime
        case restarts
        /// By how much the cycle began too late.
        case lateness
        /// By the daemon's own name for it, from the source of this place in the service's list.
        case daemon(source: Int, key: String)
    }

    /// What the sampler is asked for.
    let sampled: MetricList
    /// What it is asked for of each worker; `nil` where no rule wants to know.
    let ofWorkers: MetricList?
    let own: [Own]
    /// All of it: what was sampled, then what is the loop's own.
    let all: MetricList
    /// Places in `all` of the metrics that rules name.
    let ruled: [Int]
    /// Places in `all` in the order of their names, as far as a report may carry them.
    private let shown: [Int]

    /// What rules and daemons make of it.
    struct Need: Hashable {
        var metrics: [MetricName]
        var workerMetrics: [MetricName]
        /// Of the daemons that are asked.
        var families: [String]

        init(_ rules: [RuleEvaluator], families: [String] = []) {
            metrics = rules.flatMap(\.metrics)
            workerMetrics = rules.flatMap(\.workerMetrics)
            self.families = families
        }
    }

    /// - Parameter always: what everybody wants to see, whether a rule asks for it or not.
    init(_ subject: Metric.Subject, always: [MetricName], _ need: Need) {
        var sampled: [MetricName] = []
        var ownNames: [MetricName] = []
        var own: [Own] = []
        for metric in MetricList(always + need.metrics).metrics {
            if let known = Self.own(metric, of: subject, families: need.families) {
                ownNames.append(metric)
                own.append(known)
            } else {
                sampled.append(metric)
            }
        }
        self.sampled = MetricList(sampled, judged: Set(need.metrics))
        self.own = own
        let all = MetricList(sampled + ownNames)
        self.all = all
        ofWorkers = need.workerMetrics.isEmpty ? nil : MetricList(need.workerMetrics)
        ruled = MetricList(need.metrics).metrics.compactMap(all.index)
        let sorted = all.keys.indices.filter { all.keys[$0].utf8.count <= 200 }.sorted { all.keys[$0] < all.keys[$1] }
        shown = Array(sorted.prefix(ReportLimits.samplesPerUnit))
    }

    private static func own(_ metric: MetricName, of subject: Metric.Subject, families: [String]) -> Own? {
        switch (subject, metric.family, metric.name) {
        case (.host, "agent", "lateness"): return .lateness
        case (.service, "up", nil): return .up
        case (.service, "uptime", nil): return .uptime
        case (.service, "restarts", nil): return .restarts
        default:
            guard let source = families.firstIndex(of: metric.family) else { return nil }
            return .daemon(source: source, key: metric.description)
        }
    }

    /// By name, without what could not be measured.
    func samples(_ values: [Double?]) -> [Sample] {
        var samples: [Sample] = []
        samples.reserveCapacity(shown.count)
        for index in shown where index < values.count {
            if let value = values[index], value.isFinite { samples.append(Sample(all.keys[index], value)) }
        }
        return samples
    }
}
