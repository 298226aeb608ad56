// A rule made ready for judging: what it needs is looked up once, not in every cycle.

import Platform
import RuleLanguage

/// What of a rule bears on its judgement. It never changes, so that copies of an evaluator share it.
final class CompiledRule: Sendable {
    /// One comparison, without what is only for its text: it is looked at in every cycle.
    struct Term: Sendable {
        let `operator`: Comparison.Operator
        let threshold: Double
        /// `/sec`: its metric's growth is compared.
        let isRate: Bool
        let isOfWorkers: Bool
        let unit: Metric.Unit
        /// Whether the metric only grows, so that a smaller value means that it began anew.
        let isCounter: Bool
        /// Where its metric stands: in `workerMetrics` when it is of each worker, else in `metrics`.
        let source: Int
        /// Where in `metrics` the limit stands that its threshold is a percentage of; `nil` when it is no such percentage.
        let limit: Int?
        /// What is measured belongs to the unit, not to one of its runs.
        let outlivesRuns: Bool

        func holds(_ value: Double) -> Bool { `operator`.holds(value, threshold) }
    }

    indirect enum Node: Sendable {
        /// Its index among the terms.
        case term(Int)
        /// - Parameter isAboutWorkers: comparisons of workers are among its parts, and all of them are about the same worker.
        case all([Node], isAboutWorkers: Bool)
        case any([Node])
    }

    let terms: [Term]
    /// One for each term.
    let comparisons: [Comparison]
    let node: Node
    let metrics: [MetricName]
    let keys: [String]
    let workerMetrics: [MetricName]
    let workerKeys: [String]
    let hasRates: Bool
    /// One comparison, of the unit and not of its workers.
    let isSimple: Bool
    /// A new run of the unit changes nothing of what is counted.
    let outlivesRuns: Bool
    let judgesWhenDown: Bool
    /// Whether the rule is judged at an instant; `nil`: always.
    let isOpen: (@Sendable (Timestamp) -> Bool)?
    let clearLevel: Clear.Level?
    let clearPersistence: Persistence

    init(_ rule: Rule, of subject: Metric.Subject) {
        var (metrics, workerMetrics) = ([MetricName](), [MetricName]())
        comparisons = rule.condition.comparisons
        terms = comparisons.map { comparison in
            let metric = Metric.named(comparison.metric, of: subject)
            let nature = MetricNature(comparison.metric, of: subject)
            let limitName = comparison.threshold.percent && metric?.unit != .percent ? metric?.limit : nil
            return Term(
                operator: comparison.operator, threshold: comparison.threshold.value, isRate: comparison.threshold.perSecond,
                isOfWorkers: comparison.isOfEachWorker, unit: nature.unit ?? unit(impliedBy: comparison.threshold),
                isCounter: nature.isCounter,
                source: comparison.isOfEachWorker ? index(of: comparison.metric, in: &workerMetrics) : index(of: comparison.metric, in: &metrics),
                limit: limitName.map { index(of: $0, in: &metrics) }, outlivesRuns: lastingMetrics.contains(comparison.metric))
        }
        var next = 0
        node = CompiledRule.node(rule.condition, next: &next)
        (self.metrics, self.workerMetrics) = (metrics, workerMetrics)
        keys = metrics.map(\.description)
        workerKeys = workerMetrics.map(\.description)
        hasRates = terms.contains(where: \.isRate)
        isSimple = terms.count == 1 && !terms[0].isOfWorkers
        outlivesRuns = terms.allSatisfy(\.outlivesRuns)
        judgesWhenDown = subject == .service && metrics.contains(MetricName("up"))
        isOpen = rule.window.map(judgingHours)
        // A level is compared with the only metric that there is.
        clearLevel = terms.count == 1 ? rule.clear?.level : nil
        clearPersistence = rule.clear?.persistence ?? .once
    }

    private static func node(_ condition: Condition, next: inout Int) -> Node {
        switch condition {
        case .comparison:
            next += 1
            return .term(next - 1)
        case .all(let parts):
            let isAboutWorkers = condition.comparisons.contains(where: \.isOfEachWorker)
            return .all(parts.map { node($0, next: &next) }, isAboutWorkers: isAboutWorkers)
        case .any(let parts): return .any(parts.map { node($0, next: &next) })
        }
    }
}

/// Metrics of a unit whatever run of it is up.
private let lastingMetrics: Set = [MetricName("up"), MetricName("restarts")]

private func index(of metric: MetricName, in metrics: inout [MetricName]) -> Int {
    if let index = metrics.firstIndex(of: metric) { return index }
    metrics.append(metric)
    return metrics.count - 1
}

/// Where nobody knows the unit, it is that of the threshold.
private func unit(impliedBy threshold: Amount) -> Metric.Unit {
    if threshold.percent { return .percent }
    if threshold.isTime { return .seconds }
    let amount = threshold.text.lowercased().prefix { $0 != "/" }
    return amount.last.map("kmgtp".contains) ?? false ? .bytes : .count
}

extension Comparison.Operator {
    func holds(_ value: Double, _ threshold: Double) -> Bool {
        switch self {
        case .above: value > threshold
        case .below: value < threshold
        case .atLeast: value >= threshold
        case .atMost: value <= threshold
        case .equal: value == threshold
        case .unequal: value != threshold
        }
    }
}
