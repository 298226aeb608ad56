// What events say of rules.

import RuleLanguage

extension Rule {
    /// `memory:total_rss is 612.0m, above 500m for 2 cycles`
    func failureText(_ value: Double, unit: Metric.Unit) -> String {
        guard let comparison = condition.comparisons.first else { return "" }
        let side = comparison.operator == .above ? "above" : "below"
        let wait = if case .cycles(let cycles) = persistence, cycles > 1 { " for \(cycles) cycles" } else { "" }
        return "\(comparison.metric) is \(comparison.amount(value, unit)), \(side) \(comparison.threshold.text)\(wait)"
    }

    /// `memory:total_rss is 310.2m again, below 500m`
    func recoveryText(_ value: Double, unit: Metric.Unit) -> String {
        guard let comparison = condition.comparisons.first else { return "" }
        let side = value == comparison.threshold.value ? "at" : comparison.operator == .above ? "below" : "above"
        return "\(comparison.metric) is \(comparison.amount(value, unit)) again, \(side) \(comparison.threshold.text)"
    }

    /// Where its alerts go; `nil` among them is the default route. Empty when it has none.
    var alertRoutes: [String?] {
        actions.compactMap { action -> String?? in if case .alert(let route) = action.kind { .some(route) } else { nil } }
    }
}

extension Comparison {
    fileprivate func amount(_ value: Double, _ unit: Metric.Unit) -> String {
        amountText(value, unit: unit) + (threshold.perSecond ? "/sec" : "")
    }
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
