// What events say of rules.

import Platform
import RuleLanguage

extension RuleEvaluator {
    /// `memory:total_rss is 612.0m, above 500m for 2 cycles`
    var failureText: String {
        let parts = grounds(compiled.node).map { text(of: $0.index, worker: $0.worker, is: "", side: compiled.comparisons[$0.index].sideText) }
        // With several parts the last one would seem to be alone in having held for so long.
        let wait = rule.persistence.waitText
        return parts.joined(separator: ", and ") + (parts.count > 1 && !wait.isEmpty ? "," : "") + wait
    }

    /// `memory:total_rss is 310.2m again, below 500m`
    var recoveryText: String {
        let wait = compiled.clearPersistence.waitText
        if let level = compiled.clearLevel {
            let side = level.operator.sideText(level.threshold.text)
            guard compiled.isSimple else { return "\(compiled.comparisons[0].metric) is \(side) in every worker again\(wait)" }
            return text(of: 0, worker: nil, is: " again", side: side) + wait
        }
        let parts = compiled.terms.indices.filter { holds($0) == false }.map { index in
            guard !compiled.terms[index].isOfWorkers else {
                return "\(compiled.comparisons[index].metric) is \(compiled.comparisons[index].sideText) in no worker any more"
            }
            return text(of: index, worker: nil, is: " again", side: compiled.comparisons[index].otherSideText(readings[index]))
        }
        guard !parts.isEmpty else { return "\(rule.condition.text) holds for no worker any more\(wait)" }
        return parts.joined(separator: ", and ") + wait
    }

    /// `memory:rss of worker 4711 is 612.0m again, below 500m`
    private func text(of index: Int, worker: Worker?, is again: String, side: String) -> String {
        let whose = worker.map { " of worker \($0.process.pid)" } ?? ""
        return "\(compiled.comparisons[index].metric)\(whose) is \(readingText(of: index, worker: worker))\(again), \(side)"
    }

    /// `612.0m`, `12.50/sec`, `85.2% (435.0m of 510.6m)`, and `unknown` for what could not be measured.
    func readingText(of index: Int, worker: Worker?) -> String {
        let term = compiled.terms[index]
        guard let value = worker.map({ index < $0.readings.count ? $0.readings[index] : nil }) ?? readings[index] else { return "unknown" }
        let rate = term.isRate ? "/sec" : ""
        guard let limit = term.limit else { return amountText(value, unit: term.unit) + rate }
        let share = amountText(value, unit: .percent) + rate
        let sources = worker?.inputs ?? inputs
        guard let amount = term.source < sources.count ? sources[term.source] : nil, let most = inputs[limit] else { return share }
        return "\(share) (\(amountText(amount, unit: term.unit)) of \(amountText(most, unit: term.unit)))"
    }
}

extension Rule {
    /// Where its alerts go; `nil` among them is the default route. Empty when it has none.
    var alertRoutes: [String?] {
        actions.compactMap { action -> String?? in if case .alert(let route) = action.kind { .some(route) } else { nil } }
    }
}

extension Comparison {
    /// `above 500m`
    var sideText: String { `operator`.sideText(threshold.text) }

    /// Where a value is with which it does not hold: `below 500m`, and `at 500m` on the very threshold.
    func otherSideText(_ value: Double?) -> String {
        switch `operator` {
        case .equal: "not \(threshold.text)"
        case .unequal: "equal to \(threshold.text)"
        case _ where value == threshold.value: "at \(threshold.text)"
        case .above, .atLeast: "below \(threshold.text)"
        case .below, .atMost: "above \(threshold.text)"
        }
    }
}

extension Comparison.Operator {
    func sideText(_ threshold: String) -> String {
        switch self {
        case .above: "above \(threshold)"
        case .below: "below \(threshold)"
        case .atLeast: "at or above \(threshold)"
        case .atMost: "at or below \(threshold)"
        case .equal: "equal to \(threshold)"
        case .unequal: "not \(threshold)"
        }
    }
}

extension Persistence {
    /// ` for 2 cycles`; empty where one sample is enough.
    var waitText: String {
        switch self {
        case .cycles(let cycles): cycles > 1 ? " for \(cycles) cycles" : ""
        case .time(let time): " for \(durationText(time))"
        case .times(let times, let cycles): ", \(times) times within \(cycles) cycles"
        }
    }
}

/// `30s`, `90s`, `5m`, `2h`, `1d`: in the largest unit that it is a whole number of.
func durationText(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    guard attoseconds == 0 else { return decimal(duration.inSeconds, places: 1) + "s" }
    for (length, unit) in [(Int64(86400), "d"), (3600, "h"), (60, "m")] where seconds != 0 && seconds % length == 0 {
        return "\(seconds / length)\(unit)"
    }
    return "\(seconds)s"
}

/// A value as a person reads it: `612.0m`, `93.5%`, `42`, `1.25`.
public func amountText(_ value: Double, unit: Metric.Unit) -> String {
    switch unit {
    case .bytes:
        var scaled = value
        var suffix = ""
        // 1023.96k would be shown as 1024.0k: what rounds up to the next suffix takes it.
        for next in ["k", "m", "g", "t", "p"] where scaled.magnitude >= (suffix.isEmpty ? 1024 : 1023.95) {
            scaled /= 1024
            suffix = next
        }
        return decimal(scaled, places: suffix.isEmpty ? 0 : 1) + suffix
    case .percent: return decimal(value, places: 1) + "%"
    case .seconds: return decimal(value, places: 1) + " s"
    case .count: return value == value.rounded() ? decimal(value, places: 0) : decimal(value, places: 2)
    }
}

private func decimal(_ value: Double, places: Int) -> String {
    let scale = (0..<places).reduce(1.0) { scale, _ in scale * 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let digits = String(Int64(scaled))
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return sign + padded }
    return "\(sign)\(padded.dropLast(places)).\(padded.suffix(places))"
}
