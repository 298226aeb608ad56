// Whether a rule holds, cycle by cycle.

public import Platform
public import RuleLanguage

/// What a rule is judged by in one cycle.
public struct Readings: Sendable {
    /// By metric name; what could not be measured is not in it.
    public var values: [String: Double]
    /// For `each worker`: every worker's values.
    public var workers: [(process: ProcessIdentity, values: [String: Double])]

    public init(values: [String: Double], workers: [(process: ProcessIdentity, values: [String: Double])] = []) {
        self.values = values
        self.workers = workers
    }
}

/// Judges one rule by the readings of each cycle. An episode begins when the condition has held for as long as the rule says, and ends with
/// the first readings that clear it; both are said once.
public struct RuleEvaluator: Sendable {
    public enum Outcome: Equatable, Sendable {
        case none
        /// An episode begins; what was read, for a person.
        case failed(String)
        /// An episode is over.
        case recovered(String)
    }

    public let rule: Rule
    /// What the rule's metric measures.
    private let unit: Metric.Unit
    /// Whether an episode lasts.
    public private(set) var isFailing = false

    private let isCounter: Bool
    /// Cycles in a row in which the threshold was crossed.
    private var crossings = 0
    /// What growth is measured from.
    private var previous: (value: Double, at: Duration)?

    /// Judges the host's or a service's metric of the rule's name.
    public init(rule: Rule, of subject: Metric.Subject) {
        let metric = rule.condition.comparisons.first.flatMap { Metric.named($0.metric, of: subject) }
        self.init(rule: rule, unit: metric?.unit ?? .count, isCounter: metric?.kind == .counter)
    }

    /// - Parameter isCounter: whether the metric only grows, so that a smaller value means that it began anew.
    init(rule: Rule, unit: Metric.Unit, isCounter: Bool) {
        self.rule = rule
        self.unit = unit
        self.isCounter = isCounter
    }

    /// What must be sampled of the host or the unit for it, limits included.
    public var metrics: [MetricName] { rule.condition.comparisons.filter { !$0.isOfEachWorker }.map(\.metric) }
    /// What must be sampled of each worker for it.
    public var workerMetrics: [MetricName] { rule.condition.comparisons.filter(\.isOfEachWorker).map(\.metric) }

    /// Takes this cycle's readings. What could not be measured proves nothing: it neither counts nor recovers, and the cycles before it
    /// still count.
    public mutating func observe(_ readings: Readings, at now: Moment) -> Outcome {
        guard let comparison = rule.condition.comparisons.first, let sample = readings.values[comparison.metric.description], sample.isFinite,
            let value = comparison.threshold.perSecond ? growth(to: sample, at: now.uptime) : sample
        else { return .none }
        guard crosses(value, comparison) else {
            crossings = 0
            guard isFailing else { return .none }
            isFailing = false
            return .recovered(rule.recoveryText(value, unit: unit))
        }
        guard !isFailing else { return .none }
        crossings += 1
        guard case .cycles(let cycles) = rule.persistence, crossings >= cycles else { return .none }
        crossings = 0
        isFailing = true
        return .failed(rule.failureText(value, unit: unit))
    }

    /// The unit's run has ended: what was counted belongs to it. An episode lasts until a good sample ends it.
    public mutating func startAnew() {
        crossings = 0
        previous = nil
    }

    /// The same judgement under a rule that differs only in what does not bear on it.
    public func continued(with rule: Rule) -> RuleEvaluator {
        var copy = RuleEvaluator(rule: rule, unit: unit, isCounter: isCounter)
        copy.isFailing = isFailing
        copy.crossings = crossings
        copy.previous = previous
        return copy
    }

    private func crosses(_ value: Double, _ comparison: Comparison) -> Bool {
        switch comparison.operator {
        case .above: value > comparison.threshold.value
        case .below: value < comparison.threshold.value
        case .atLeast: value >= comparison.threshold.value
        case .atMost: value <= comparison.threshold.value
        case .equal: value == comparison.threshold.value
        case .unequal: value != comparison.threshold.value
        }
    }

    /// Growth a second since the value before, by the time that really passed; `nil` when there is nothing to compare with.
    private mutating func growth(to value: Double, at uptime: Duration) -> Double? {
        guard let previous else {
            self.previous = (value, uptime)
            return nil
        }
        let elapsed = (uptime - previous.at).inSeconds
        guard elapsed > 0 else { return nil }
        self.previous = (value, uptime)
        if isCounter, value < previous.value { return nil }
        return (value - previous.value) / elapsed
    }
}
