// Values to `.inq` text: what the parser reads back as the same values.

extension RuleFile {
    /// The canonical text: one rule a line, quotes only where they are needed. Parsing it gives an equal value, but for the places. A job's
    /// interval is written in whole minutes, and a threshold that no amount can say is rounded to a whole number.
    public var text: String {
        var lines: [String] = []
        let dialect: Dialect
        switch subject {
        case .service(let name):
            dialect = .rules
            lines.append("check service \(word(name, dialect))")
        case .host:
            dialect = .rules
            lines.append("check host")
        case .failedUnits:
            dialect = .rules
            lines.append("check failed units")
        case .jobs:
            dialect = .jobs
            lines.append("check jobs")
        }
        if !parameters.isEmpty {
            lines.append("  with " + parameters.map { "\(word($0.key, dialect)) \(word($0.value, dialect))" }.joined(separator: ", "))
        }
        if !exposes.isEmpty { lines.append("  expose " + exposes.map { word($0, dialect) }.joined(separator: ", ")) }
        lines += rules.map { "  \($0.text)" }
        lines += jobs.map { "  \(word($0.name, dialect)) \($0.schedule.text)" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Rule {
    /// The rule as its file would say it, in one line.
    public var text: String {
        let wait = if case .cycles(let cycles) = persistence, cycles != 1 { " for \(cycles) cycles" } else { "" }
        return "if \(condition.text)\(wait) then " + actions.map(\.text).joined(separator: ", ")
    }
}

extension Condition {
    /// `cpu:total > 180%`
    public var text: String {
        comparisons.map { "\($0.metric.text) \($0.operator.rawValue) \($0.threshold.canonicalText)" }.joined(separator: " and ")
    }
}

extension Job.Schedule {
    /// `happens every 5 minutes`
    public var text: String {
        switch self {
        case .every(let duration): "happens every \(interval(duration))"
        case .cron(let expression): "happens at \(inQuotes(expression.text))"
        }
    }
}

extension MetricName {
    /// `load:1`, and `disk(/var)` for a path.
    public var text: String {
        guard let name else { return word(family, .rules) }
        return name.hasPrefix("/") ? "\(word(family, .rules))(\(word(name, .rules)))" : "\(word(family, .rules)):\(word(name, .rules))"
    }
}

extension Action {
    public var text: String {
        switch kind {
        case .alert(let route): route.map { "alert \(word($0, .rules))" } ?? "alert"
        case .reload: "reload"
        case .restart: "restart"
        case .start: "start"
        case .stop: "stop"
        case .signal: "signal"
        case .exec: "exec"
        }
    }
}

extension Amount {
    /// As it was written, where that says what the value is.
    var canonicalText: String {
        if let read = try? Amount(parsing: text), read == self { return text }
        let limit = Double(Int64.max) / 2
        let whole = value.isNaN ? 0 : Int64(min(max(value.rounded(), -limit), limit))
        return "\(whole)\(percent ? "%" : "")\(perSecond ? "/sec" : "")"
    }
}

private func word(_ name: String, _ dialect: Dialect) -> String { dialect.isBare(name) ? name : inQuotes(name) }

private func interval(_ duration: Duration) -> String {
    let minutes = max(1, duration.components.seconds / 60)
    let (count, unit) = minutes % 1440 == 0 ? (minutes / 1440, "day") : minutes % 60 == 0 ? (minutes / 60, "hour") : (minutes, "minute")
    return count == 1 ? unit : "\(count) \(unit)s"
}
