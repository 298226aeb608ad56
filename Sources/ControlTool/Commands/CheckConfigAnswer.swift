// What `check-config` prints: sentences for people, JSON for programs.

import AgentCore
import Platform
import RuleLanguage

struct CheckConfigAnswer {
    /// What was understood.
    var output = ""
    /// For standard error: what was not.
    var complaints = ""
    /// The last line.
    var summary = ""
    var isGood: Bool
}

// MARK: Sentences

/// What follows for a file's check from other checks and from the units of this host.
private func notes(on file: ConfigurationFile, of reading: ConfigurationReading, _ units: HostUnits?) -> [String] {
    let check = reading.services.first { $0.file == file.path }
    return file.notes + (check.flatMap { units?.notes(on: $0, among: reading.services) } ?? [])
}

extension CheckConfigAnswer {
    /// - Parameter units: the units of this host; `nil`: nothing is known of them.
    init(sentencesOf reading: ConfigurationReading, _ units: HostUnits? = nil) {
        isGood = reading.files.allSatisfy(\.faults.isEmpty)
        for file in reading.files {
            for sentence in sentences(of: file, notes: notes(on: file, of: reading, units)) { output += "\(file.path): \(sentence)\n" }
            let warnings = file.warnings.map { warning in
                var warning = warning
                warning.message = "warning: \(warning.message)"
                return warning
            }
            complaints += file.rendered(warnings + file.faults).joined()
        }
        let wrong = reading.files.filter { !$0.faults.isEmpty }
        let faults = wrong.reduce(0) { $0 + $1.faults.count }
        summary =
            wrong.isEmpty ? "\(count(reading.files.count, "file")), no faults\n" : "\(count(faults, "fault")) in \(count(wrong.count, "file"))\n"
    }
}

private func count(_ number: Int, _ noun: String) -> String { number == 1 ? "1 \(noun)" : "\(number) \(noun)s" }

private func sentences(of configurationFile: ConfigurationFile, notes: [String]) -> [String] {
    switch configurationFile.content {
    case .settings(let file):
        guard let file else { return [] }
        return file.settings.map { "\($0.key) is \(shown($0.value, of: $0.key))" } + file.routes.map(sentence(of:))
    case .rules(let file):
        guard let file else { return [] }
        let (who, metrics) =
            switch file.subject {
            case .service(let name): ("service \(shown(name))", Metric.Subject.service)
            case .failedUnits: ("failed units", .service)
            case .host: ("host", .host)
            case .jobs: ("jobs", .service)
            }
        var said = file.parameters.map { "with \(shown($0.key)) \(shown($0.value, of: $0.key))" }
        said += file.dependencies.map { "depends on \(shown($0.name)): nobody is told of it while that is down" }
        said += file.exposes.map { "expose \(shown($0))" }
        said += file.rules.map { sentence(of: $0, subject: metrics) }
        said += file.jobs.map { sentence(of: $0) }
        if file.rules.isEmpty, configurationFile.faults.isEmpty {
            switch file.subject {
            case .service: said.append("no rules: watched for being up")
            case .failedUnits: said.append("no rules: every unit that fails is told of")
            case .host, .jobs: break
            }
        }
        return (said + notes).map { "\(who): \($0)" }
    }
}

private func sentence(of route: AlertRoute) -> String {
    let parameters = route.parameters.map { "\(shown($0.key)) \(shown($0.value, of: $0.key, isAddressSecret: true))" }
    return "alerts\(route.name.map { " to \(shown($0))" } ?? "") go via \(shown(route.channel)) with \(parameters.joined(separator: ", "))"
}

private func sentence(of rule: Rule, subject: Metric.Subject) -> String {
    var said = "if \(sentence(of: rule.condition, subject: subject))"
    if rule.persistence != .once { said += " \(rule.persistence.text)" }
    if let clear = rule.clear { said += ", over \(sentence(of: clear, rule.condition, subject: subject))" }
    switch rule.window {
    case .during(let window): said += ", only \(sentence(of: window))"
    case .except(let window): said += ", but not \(sentence(of: window))"
    case nil: break
    }
    if let importance = rule.importance { said += ", as \(importance.rawValue)" }
    said += ": " + rule.actions.map(\.text).joined(separator: ", then ")
    if !rule.recoveryActions.isEmpty { said += "; when it is over: " + rule.recoveryActions.map(\.text).joined(separator: ", then ") }
    return said
}

private func sentence(of condition: Condition, subject: Metric.Subject) -> String {
    switch condition {
    case .comparison(let comparison): sentence(of: comparison, subject: subject)
    // Groups always in parentheses, so that nobody has to know which word binds closer.
    case .all(let parts): parts.map { grouped($0, subject) }.joined(separator: " and ")
    case .any(let parts): parts.map { grouped($0, subject) }.joined(separator: " or ")
    }
}

private func grouped(_ condition: Condition, _ subject: Metric.Subject) -> String {
    let said = sentence(of: condition, subject: subject)
    return if case .comparison = condition { said } else { "(\(said))" }
}

private func sentence(of comparison: Comparison, subject: Metric.Subject) -> String {
    let of = comparison.isOfEachWorker ? " of any worker" : ""
    let metric = Metric.named(comparison.metric, of: subject)
    return "\(comparison.metric.text)\(of) \(comparison.operator.rawValue) \(sentence(of: comparison.threshold, metric))"
}

/// `500m (524288000 bytes)`, `80% of memory:limit`
private func sentence(of threshold: Amount, _ metric: Metric?) -> String {
    let amount = threshold.text
    if threshold.percent { return metric?.limit.map { "\(amount) of \($0.text)" } ?? amount }
    let isScaled = threshold.isTime ? threshold.value != leadingNumber(amount) : amount.contains { "kmgtpKMGTP".contains($0) }
    guard isScaled else { return amount }
    let unit = metric?.unit == .bytes ? " bytes" : threshold.isTime ? " s" : ""
    return "\(amount) (\(whole(threshold.value))\(unit)\(threshold.perSecond ? " per second" : ""))"
}

private func leadingNumber(_ text: String) -> Double? { Double(text.prefix { !$0.isLetter }) }

private func sentence(of clear: Clear, _ condition: Condition, subject: Metric.Subject) -> String {
    let wait = clear.persistence == .once ? "" : " \(clear.persistence.text)"
    guard let level = clear.level else { return "when that has not been so\(clear.persistence == .once ? " for 1 cycle" : wait)" }
    let metric = condition.comparisons.first.flatMap { Metric.named($0.metric, of: subject) }
    return "when it is \(level.operator.rawValue) \(sentence(of: level.threshold, metric))\(wait)"
}

private func sentence(of window: TimeWindow) -> String {
    if let cron = window.cron { return "in the minutes of \(shown(cron.text))" }
    return window.stretches.map { stretch in
        if stretch.from == 0, stretch.to == 1440 { return "\(stretch.daysText) all day" }
        let night = stretch.to <= stretch.from ? " of the next day" : ""
        return "\(stretch.daysText) from \(clockTime(stretch.from)) to \(clockTime(stretch.to))\(night)"
    }
    .joined(separator: ", ")
}

private func sentence(of job: RuleLanguage.Job) -> String {
    var said = "\(shown(job.name)) \(job.schedule.text)"
    if let grace = job.grace { said += ", at most \(grace.ruleText) late" }
    if let longestRun = job.longestRun { said += ", and runs for at most \(longestRun.ruleText)" }
    return said
}

/// Without a fraction where there is none; the largest that 64 bits hold a `Double` rounds up past them.
private func whole(_ value: Double) -> String { Int64(exactly: value).map(String.init) ?? "\(value)" }

/// A value that may be a secret.
private func shown(_ value: String, of key: String, isAddressSecret: Bool = false) -> String {
    let safe = withoutSecret(value, of: key, isAddressSecret: isAddressSecret)
    return safe == value ? shown(value) : safe
}

/// In quotes where it would not read as one word; control characters are left to no terminal.
private func shown(_ text: String) -> String {
    let isPlain =
        !text.isEmpty && !text.unicodeScalars.contains { $0.properties.isWhitespace || $0.properties.generalCategory == .control || $0 == "\"" }
    return isPlain ? text : JSON.string(text).text
}

// MARK: JSON

extension CheckConfigAnswer {
    init(jsonOf reading: ConfigurationReading, _ units: HostUnits? = nil) {
        isGood = reading.files.allSatisfy(\.faults.isEmpty)
        for file in reading.files { output += json(of: file, notes: notes(on: file, of: reading, units)).text + "\n" }
    }
}

private func json(of file: ConfigurationFile, notes: [String]) -> JSON {
    let said: JSON.Member =
        switch file.content {
        case .rules(let ruleFile): .init("check", ruleFile.map(json(of:)) ?? .null)
        case .settings(let settingsFile):
            .init("settings", settingsFile.map { .object($0.settings.map { .init($0.key, .string(withoutSecret($0.value, of: $0.key))) }) } ?? .null)
        }
    var members: [JSON.Member] = [.init("file", .string(file.path)), .init("faults", .array(file.faults.map(json(of:)))), said]
    if case .settings(let settingsFile?) = file.content { members.append(.init("routes", .array(settingsFile.routes.map(json(of:))))) }
    members.append(.init("warnings", .array(file.warnings.map(json(of:)))))
    if !notes.isEmpty { members.append(.init("notes", .array(notes.map(JSON.string)))) }
    return .object(members)
}

private func json(of fault: Fault) -> JSON {
    var members: [JSON.Member] = [
        .init("line", .integer(Int64(fault.line))), .init("column", .integer(Int64(fault.column))), .init("message", .string(fault.message)),
    ]
    if let help = fault.help { members.append(.init("help", .string(help))) }
    return .object(members)
}

private func json(of route: AlertRoute) -> JSON {
    .object([
        .init("name", JSON(route.name)), .init("channel", .string(route.channel)),
        .init("parameters", .object(route.parameters.map { .init($0.key, .string(withoutSecret($0.value, of: $0.key, isAddressSecret: true))) })),
    ])
}

private func json(of file: RuleFile) -> JSON {
    let (kind, name): (String, String?) =
        switch file.subject {
        case .service(let name): ("service", name)
        case .failedUnits: ("failed_units", nil)
        case .host: ("host", nil)
        case .jobs: ("jobs", nil)
        }
    var members: [JSON.Member] = [
        .init("kind", .string(kind)), .init("name", JSON(name)),
        .init("parameters", .object(file.parameters.map { .init($0.key, .string(withoutSecret($0.value, of: $0.key))) })),
    ]
    if file.subject == .jobs {
        members.append(.init("jobs", .array(file.jobs.map(json(of:)))))
    } else {
        members.append(.init("depends_on", .array(file.dependencies.map { .string($0.name) })))
        members.append(.init("exposes", .array(file.exposes.map(JSON.string))))
        members.append(.init("rules", .array(file.rules.map(json(of:)))))
    }
    return .object(members)
}

private func json(of job: RuleLanguage.Job) -> JSON {
    var members: [JSON.Member] = [.init("name", .string(job.name)), .init("text", .string(job.text))]
    switch job.schedule {
    case .every(let interval): members.append(.init("every_seconds", seconds(interval)))
    case .cron(let expression): members.append(.init("cron", .string(expression.text)))
    }
    members.append(.init("grace_seconds", seconds(job.grace)))
    members.append(.init("longest_run_seconds", seconds(job.longestRun)))
    return .object(members)
}

private func json(of rule: Rule) -> JSON {
    .object([
        .init("text", .string(rule.text)), .init("condition", json(of: rule.condition)), .init("persistence", json(of: rule.persistence)),
        .init("clear", rule.clear.map(json(of:)) ?? .null), .init("window", rule.window.map(json(of:)) ?? .null),
        .init("importance", JSON(rule.importance?.rawValue)), .init("actions", .array(rule.actions.map(json(of:)))),
        .init("recovery_actions", .array(rule.recoveryActions.map(json(of:)))),
    ])
}

private func json(of condition: Condition) -> JSON {
    switch condition {
    case .all(let parts): return .object([.init("all", .array(parts.map(json(of:))))])
    case .any(let parts): return .object([.init("any", .array(parts.map(json(of:))))])
    case .comparison(let comparison):
        return .object(
            [
                .init("family", .string(comparison.metric.family)), .init("metric", JSON(comparison.metric.name)),
                .init("each_worker", .bool(comparison.isOfEachWorker)), .init("operator", .string(comparison.operator.rawValue)),
            ] + members(of: comparison.threshold))
    }
}

private func members(of threshold: Amount) -> [JSON.Member] {
    [
        .init("threshold", Int64(exactly: threshold.value).map(JSON.integer) ?? .number(threshold.value)),
        .init("percent", .bool(threshold.percent)), .init("per_second", .bool(threshold.perSecond)),
    ]
}

private func json(of persistence: Persistence) -> JSON {
    switch persistence {
    case .cycles(let cycles): .object([.init("cycles", .integer(Int64(cycles)))])
    case .time(let duration): .object([.init("seconds", seconds(duration))])
    case .times(let times, let cycles): .object([.init("times", .integer(Int64(times))), .init("within_cycles", .integer(Int64(cycles)))])
    }
}

private func json(of clear: Clear) -> JSON {
    var members: [JSON.Member] = []
    if let level = clear.level { members = [.init("operator", .string(level.operator.rawValue))] + ControlTool.members(of: level.threshold) }
    return .object(members + [.init("persistence", json(of: clear.persistence))])
}

private func json(of window: Window) -> JSON {
    switch window {
    case .during(let window): .object([.init("during", json(of: window))])
    case .except(let window): .object([.init("except", json(of: window))])
    }
}

private func json(of window: TimeWindow) -> JSON {
    if let cron = window.cron { return .object([.init("cron", .string(cron.text))]) }
    let stretches = window.stretches.map { stretch in
        JSON.object([
            // As cron counts them: 0 is Sunday.
            .init("days", .array(stretch.days.sorted().map { .integer(Int64($0)) })), .init("from", .string(clockTime(stretch.from))),
            .init("to", .string(clockTime(stretch.to))),
        ])
    }
    return .object([.init("stretches", .array(stretches))])
}

private func json(of action: Action) -> JSON {
    switch action.kind {
    case .alert(let route): return .object([.init("kind", "alert"), .init("route", JSON(route))])
    case .reload: return .object([.init("kind", "reload")])
    case .restart: return .object([.init("kind", "restart")])
    case .start: return .object([.init("kind", "start")])
    case .stop: return .object([.init("kind", "stop")])
    case .signal(let steps):
        let steps = steps.map { JSON.object([.init("signal", .string($0.name)), .init("wait_seconds", seconds($0.wait))]) }
        return .object([.init("kind", "signal"), .init("steps", .array(steps))])
    case .exec(let command):
        return .object([
            .init("kind", "exec"), .init("arguments", .array(command.arguments.map(JSON.string))), .init("user", JSON(command.user)),
            .init("timeout_seconds", seconds(command.timeout)),
        ])
    }
}

private func seconds(_ duration: Duration?) -> JSON {
    guard let duration else { return .null }
    return Int64(exactly: duration.inSeconds).map(JSON.integer) ?? .number(duration.inSeconds)
}
