// Values to `.inq` text: what the parser reads back as the same values.

import Platform

extension RuleFile {
    /// The canonical text: one rule a line, quotes only where they are needed. Parsing it gives an equal value, but for the places. A job's
    /// interval is written in whole minutes, other times in whole milliseconds.
    public var text: String {
        var lines: [String] = []
        let dialect = subject == .jobs ? Dialect.jobs : .rules
        switch subject {
        case .service(let name): lines.append("check service \(word(name, dialect))")
        case .host: lines.append("check host")
        case .failedUnits: lines.append("check failed units")
        case .jobs: lines.append("check jobs")
        }
        if !parameters.isEmpty {
            lines.append("  with " + parameters.map { "\(word($0.key, dialect)) \(word($0.value, dialect))" }.joined(separator: ", "))
        }
        if !dependencies.isEmpty { lines.append("  depends on " + dependencies.map { word($0.name, dialect) }.joined(separator: ", ")) }
        if !exposes.isEmpty { lines.append("  expose " + exposes.map { word($0, dialect) }.joined(separator: ", ")) }
        lines += rules.map { "  \($0.text)" }
        lines += jobs.map { "  \($0.text)" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Rule {
    /// The rule as its file would say it, in one line.
    public var text: String {
        var parts = ["if \(condition.text)"]
        if persistence != .once { parts.append(persistence.text) }
        if let clear { parts.append(clear.text) }
        if let window { parts.append(window.text) }
        if let importance { parts.append("as \(importance.rawValue)") }
        parts.append("then " + actions.map(\.text).joined(separator: ", "))
        if !recoveryActions.isEmpty { parts.append("else " + recoveryActions.map(\.text).joined(separator: ", ")) }
        return parts.joined(separator: " ")
    }
}

extension Condition {
    /// `cpu:total > 180% and (memory:rss > 1g or memory:swap > 0)`
    public var text: String {
        switch self {
        case .comparison(let comparison): comparison.text
        case .all(let parts): parts.map { if case .comparison = $0 { $0.text } else { "(\($0.text))" } }.joined(separator: " and ")
        case .any(let parts): parts.map { if case .any = $0 { "(\($0.text))" } else { $0.text } }.joined(separator: " or ")
        }
    }
}

extension Comparison {
    /// `each worker memory:rss > 500m`
    public var text: String { "\(isOfEachWorker ? "each worker " : "")\(metric.text) \(`operator`.rawValue) \(threshold.canonicalText)" }
}

extension Persistence {
    /// `for 3 cycles`, `for 30s`, `3 times within 10 cycles`
    public var text: String {
        switch self {
        case .cycles(let cycles): "for \(counted(cycles, "cycle"))"
        case .time(let duration): "for \(duration.ruleText)"
        case .times(let times, let cycles): "\(counted(times, "time")) within \(counted(cycles, "cycle"))"
        }
    }
}

extension Clear {
    /// `clear < 400m for 2 cycles`
    public var text: String {
        var parts = ["clear"]
        if let level { parts.append("\(level.operator.rawValue) \(level.threshold.canonicalText)") }
        // A `clear` alone would say nothing.
        if level == nil || persistence != .once { parts.append(persistence.text) }
        return parts.joined(separator: " ")
    }
}

extension Window {
    /// `during "mon-fri 09:00-17:00"`
    public var text: String {
        switch self {
        case .during(let window): "during \(inQuotes(window.text))"
        case .except(let window): "except \(inQuotes(window.text))"
        }
    }
}

extension Action {
    public var text: String {
        switch kind {
        // Without quotes `else` begins what is done on recovery.
        case .alert(let route?): "alert \(route == "else" ? inQuotes(route) : word(route, .rules))"
        case .alert(nil): "alert"
        case .reload: "reload"
        case .restart: "restart"
        case .start: "start"
        case .stop: "stop"
        case .signal(let steps): "signal \(word(steps.map(\.text).joined(separator: " "), .rules))"
        case .exec(let command): command.text
        }
    }
}

extension Command {
    /// `exec "/usr/local/bin/heal --fast" as deploy timeout 10s`
    var text: String {
        var parts = ["exec \(inQuotes(wordsText))"]
        if let user { parts.append("as \(word(user, .rules))") }
        if timeout != Command.defaultTimeout { parts.append("timeout \(timeout.ruleText)") }
        return parts.joined(separator: " ")
    }
}

extension Job {
    /// `backup happens at "0 3 * * *" within 30m for at most 2h`
    public var text: String {
        var parts = [word(name, .jobs), schedule.text]
        if let grace { parts.append("within \(grace.ruleText)") }
        if let longestRun { parts.append("for at most \(longestRun.ruleText)") }
        return parts.joined(separator: " ")
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

extension Amount {
    /// As it was written, where that says what the value is.
    var canonicalText: String {
        if let read = try? Amount(parsing: text), read == self { return text }
        let suffix = "\(isTime ? "s" : percent ? "%" : "")\(perSecond ? "/sec" : "")"
        for number in [Int64(exactly: value).map(String.init), "\(value)"] {
            // Swift writes numbers that are very large or very small with an exponent, which no amount has.
            if let number, let read = try? Amount(parsing: number + suffix), read.value == value { return number + suffix }
        }
        let limit = Double(Int64.max) / 2
        return "\(value.isNaN ? 0 : Int64(min(max(value.rounded(), -limit), limit)))\(suffix)"
    }
}

private func word(_ name: String, _ dialect: Dialect) -> String { dialect.isBare(name) ? name : inQuotes(name) }

/// `1 cycle`, `2 cycles`
private func counted(_ count: Int, _ what: String) -> String { count == 1 ? "1 \(what)" : "\(count) \(what)s" }

private func interval(_ duration: Duration) -> String {
    let minutes = max(1, duration.components.seconds / 60)
    let (count, unit) = minutes % 1440 == 0 ? (minutes / 1440, "day") : minutes % 60 == 0 ? (minutes / 60, "hour") : (minutes, "minute")
    return count == 1 ? unit : "\(count) \(unit)s"
}
