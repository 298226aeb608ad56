// Rules of which a test says only what matters to it.

import Platform
import RuleLanguage

private let place = Place(line: 1, column: 1)

/// `memory:total_rss > 90`
func rule(
    _ comparison: Comparison.Operator, _ value: Double, cycles: Int = 1, perSecond: Bool = false, text: String? = nil,
    metric: MetricName = MetricName("memory", "total_rss"), actions: [Action.Kind] = [.alert(route: nil)]
) -> Rule {
    let threshold = Amount(value: value, perSecond: perSecond, text: text ?? "\(Int(value))")
    let condition = Condition.comparison(
        Comparison(metric: metric, operator: comparison, threshold: threshold, metricPlace: place, thresholdPlace: place))
    return Rule(condition: condition, persistence: .cycles(cycles), actions: actions.map { Action($0, place: place) }, place: place)
}

func rule(_ condition: Condition, _ persistence: Persistence = .once, clear: Clear? = nil, window: Window? = nil) -> Rule {
    Rule(
        condition: condition, persistence: persistence, clear: clear, window: window, actions: [Action(.alert(route: nil), place: place)],
        place: place
    )
}

/// A comparison such as `("cpu:total", .above, "80%")`.
func compare(_ metric: String, _ comparison: Comparison.Operator, _ threshold: String, ofEachWorker: Bool = false) -> Condition {
    let parts = metric.split(separator: ":", maxSplits: 1).map(String.init)
    let name = MetricName(parts[0], parts.count > 1 ? parts[1] : nil)
    let amount = (try? Amount(parsing: threshold)) ?? Amount(value: .nan, text: threshold)
    return .comparison(
        Comparison(
            metric: name, operator: comparison, threshold: amount, isOfEachWorker: ofEachWorker, metricPlace: place, thresholdPlace: place))
}

func clear(_ comparison: Comparison.Operator? = nil, _ threshold: String = "", for persistence: Persistence = .once) -> Clear {
    let level = comparison.flatMap { comparison in (try? Amount(parsing: threshold)).map { Clear.Level(comparison, $0) } }
    return Clear(level: level, persistence: persistence, place: place)
}
