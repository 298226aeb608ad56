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

extension CheckConfigAnswer {
    init(sentencesOf reading: ConfigurationReading) {
        isGood = reading.files.allSatisfy(\.faults.isEmpty)
        for file in reading.files {
            for sentence in sentences(of: file) { output += "\(file.path): \(sentence)\n" }
            for var warning in file.warnings {
                warning.message = "warning: \(warning.message)"
                complaints += warning.rendered(in: file.text)
            }
            for fault in file.faults { complaints += fault.rendered(in: file.text) }
        }
        let wrong = reading.files.filter { !$0.faults.isEmpty }
        let faults = wrong.reduce(0) { $0 + $1.faults.count }
        summary =
            wrong.isEmpty ? "\(count(reading.files.count, "file")), no faults\n" : "\(count(faults, "fault")) in \(count(wrong.count, "file"))\n"
    }
}

private func count(_ number: Int, _ noun: String) -> String { number == 1 ? "1 \(noun)" : "\(number) \(noun)s" }

private func sentences(of configurationFile: ConfigurationFile) -> [String] {
    switch configurationFile.content {
    case .settings(let file): return file?.settings.map { "\($0.key) is \(shown($0.value))" } ?? []
    case .rules(let file):
        guard let file else { return [] }
        let (who, metrics) =
            switch file.subject {
            case .service(let name): ("service \(shown(name))", Metric.Subject.service)
            case .failedUnits: ("failed units", .service)
            case .host: ("host", .host)
            case .jobs: ("jobs", .service)
            }
        var said = file.parameters.map { "with \(shown($0.key)) \($0.key == "password" ? "(hidden)" : shown($0.value))" }
        said += file.exposes.map { "expose \(shown($0))" }
        said += file.rules.map { sentence(of: $0, subject: metrics) }
        said += file.jobs.map { "\(shown($0.name)) \($0.schedule.text)" }
        if file.rules.isEmpty, configurationFile.faults.isEmpty, case .service = file.subject { said.append("no rules: watched for being up") }
        return said.map { "\(who): \($0)" }
    }
}

private func sentence(of rule: Rule, subject: Metric.Subject) -> String {
    let conditions = rule.condition.comparisons.map { sentence(of: $0, subject: subject) }.joined(separator: " and ")
    let wait = if case .cycles(let cycles) = rule.persistence, cycles != 1 { " for \(cycles) cycles" } else { "" }
    let actions = rule.actions.map(\.text).joined(separator: ", then ")
    return "if \(conditions)\(wait): \(actions)"
}

private func sentence(of comparison: Comparison, subject: Metric.Subject) -> String {
    var amount = comparison.threshold.text
    let value = whole(comparison.threshold.value)
    let unit = Metric.named(comparison.metric, of: subject)?.unit == .bytes ? " bytes" : ""
    if amount.contains(where: { "kmgtpKMGTP".contains($0) }) {
        amount += " (\(value)\(unit)\(comparison.threshold.perSecond ? " per second" : ""))"
    }
    return "\(comparison.metric.text) \(comparison.operator.rawValue) \(amount)"
}

/// Thresholds are whole numbers, up to the largest that 64 bits hold, which a `Double` rounds up past them.
private func whole(_ value: Double) -> String { Int64(exactly: value).map(String.init) ?? "\(value)" }

/// In quotes where it would not read as one word; control characters are left to no terminal.
private func shown(_ text: String) -> String {
    let isPlain =
        !text.isEmpty && !text.unicodeScalars.contains { $0.properties.isWhitespace || $0.properties.generalCategory == .control || $0 == "\"" }
    return isPlain ? text : JSON.string(text).text
}

// MARK: JSON

extension CheckConfigAnswer {
    init(jsonOf reading: ConfigurationReading) {
        isGood = reading.files.allSatisfy(\.faults.isEmpty)
        for file in reading.files { output += json(of: file).text + "\n" }
    }
}

private func json(of file: ConfigurationFile) -> JSON {
    let said: JSON.Member =
        switch file.content {
        case .rules(let ruleFile): .init("check", ruleFile.map(json(of:)) ?? .null)
        case .settings(let settingsFile):
            .init("settings", settingsFile.map { .object($0.settings.map { .init($0.key, .string($0.value)) }) } ?? .null)
        }
    return .object([
        .init("file", .string(file.path)),
        .init("faults", .array(file.faults.map(json(of:)))),
        said,
        .init("warnings", .array(file.warnings.map(json(of:)))),
    ])
}

private func json(of fault: Fault) -> JSON {
    var members: [JSON.Member] = [
        .init("line", .integer(Int64(fault.line))), .init("column", .integer(Int64(fault.column))), .init("message", .string(fault.message)),
    ]
    if let help = fault.help { members.append(.init("help", .string(help))) }
    return .object(members)
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
        .init("parameters", .object(file.parameters.map { .init($0.key, .string($0.value)) })),
        .init("exposes", .array(file.exposes.map(JSON.string))), .init("rules", .array(file.rules.map(json(of:)))),
    ]
    if file.subject == .jobs {
        let jobs = file.jobs.map { job in
            JSON.object([.init("name", .string(job.name)), .init("schedule", .string(job.schedule.text))])
        }
        members.append(.init("jobs", .array(jobs)))
    }
    return .object(members)
}

private func json(of rule: Rule) -> JSON {
    .object([
        .init("text", .string(rule.text)), .init("comparisons", .array(rule.condition.comparisons.map(json(of:)))),
        .init("actions", .array(rule.actions.map { .string($0.text) })),
    ])
}

private func json(of comparison: Comparison) -> JSON {
    .object([
        .init("family", .string(comparison.metric.family)), .init("metric", JSON(comparison.metric.name)),
        .init("operator", .string(comparison.operator.rawValue)),
        .init("threshold", Int64(exactly: comparison.threshold.value).map(JSON.integer) ?? .number(comparison.threshold.value)),
        .init("per_second", .bool(comparison.threshold.perSecond)),
    ])
}
