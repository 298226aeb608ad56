// Whether the rules of a file make sense: their metrics exist, their thresholds fit.

public import Platform
public import RuleLanguage

/// What is wrong with a text that its parser understood.
public struct Findings: Equatable, Sendable {
    public var faults: [Fault] = []
    /// What works, but not as its writer may think.
    public var warnings: [Fault] = []

    public init() {}
}

/// Looks at every rule of a file: is there such a metric for this subject, and can it be compared with this amount?
public func examineRules(of ruleFile: RuleFile, file: String) -> Findings {
    var examination = RuleExamination(file: file, subject: ruleFile.subject == .host ? .host : .service)
    var lines: [RuleWithoutPlace: Int] = [:]
    for rule in ruleFile.rules {
        examination.examine(rule)
        if let line = lines[RuleWithoutPlace(rule)] {
            examination.fault("the same rule stands in line \(line)", at: rule.place, help: "leave one of the two out")
        } else {
            lines[RuleWithoutPlace(rule)] = rule.place.line
        }
    }
    for rule in ruleFile.faultyRules { examination.examine(rule) }
    return examination.findings
}

private struct RuleExamination {
    let file: String
    let subject: Metric.Subject
    var findings = Findings()

    mutating func examine(_ rule: Rule) {
        for comparison in rule.condition.comparisons { examine(comparison) }
    }

    private mutating func examine(_ rule: Comparison) {
        guard let metric = Metric.named(rule.metric, of: subject) else { return unmeasured(rule) }
        if rule.threshold.percent, metric.unit != .percent {
            let help =
                metric.unit == .bytes ? "50% of what? write an amount such as 500m" : "write a number such as \(Int64(max(1, rule.threshold.value)))"
            fault("\(metric.text) is no percentage, and \(rule.threshold.text) is one", at: rule.thresholdPlace, help: help)
        }
        if rule.threshold.perSecond, metric.kind == .gauge {
            fault(
                "\(metric.text) is not a counter, so that it has no rate", at: rule.thresholdPlace, help: "leave /sec out of \(rule.threshold.text)")
        }
    }

    /// No metric of this subject.
    private mutating func unmeasured(_ rule: Comparison) {
        let name = rule.metric
        if let daemon = daemonFamilies.first(where: { $0.family == name.family }) { return unmeasured(rule, of: daemon) }
        let place = rule.metricPlace
        if Metric.named(name, of: subject == .host ? .service : .host) != nil {
            let sibling = metrics.first { $0.subject == subject && $0.family == name.family && $0.text == "cpu:total" }
            return subject == .host
                ? fault(
                    "\(name.text) is a metric of services, not of the host", at: place,
                    help: "it belongs into a file that begins with `check service`")
                : fault(
                    "\(name.text) is a metric of the host, not of a service", at: place,
                    help: "it belongs into host.inq\(name.name == nil && sibling != nil ? "; of a service there is cpu:total" : "")")
        }
        let known = metrics.filter { $0.subject == subject }
        if let any = known.first(where: { $0.family == name.family && $0.name == .anyPath("MOUNT") }) {
            return fault("\(name.text) names no mount point", at: place, help: "write it as \(any.family)(/) or \(any.family)(/var)")
        }
        let siblings = known.filter { $0.family == name.family }
        let others = siblings.isEmpty ? known : siblings
        let meant = nearest(to: name.description, among: known.map(\.text))
        let list = (siblings.isEmpty ? "the metrics are " : "there are ") + others.map(\.text).joined(separator: ", ")
        fault(
            "there is no metric \(name.text) of \(subject == .host ? "the host" : "a service")", at: place,
            help: meant.map { "did you mean \($0)?" } ?? list)
    }

    private mutating func unmeasured(_ rule: Comparison, of daemon: DaemonFamily) {
        let place = rule.metricPlace
        if subject == .host {
            return fault("\(rule.metric.text) is a metric of services, not of the host", at: place, help: "it belongs into the file of the service")
        }
        if !daemon.names.isEmpty, !(rule.metric.name.map(daemon.names.contains) ?? false) {
            let meant = rule.metric.name.flatMap { nearest(to: $0, among: daemon.names) }
            let help = meant.map { "did you mean \(daemon.family):\($0)?" } ?? "there are " + daemon.names.joined(separator: ", ")
            return fault("there is no metric \(rule.metric.text)", at: place, help: help)
        }
        findings.warnings.append(
            Fault(
                file: file, line: place.line, column: place.column, message: "nothing measures \(rule.metric.text) yet: this rule cannot fire"))
    }

    mutating func fault(_ message: String, at place: Place, help: String?) {
        findings.faults.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }
}

/// All of a rule but its place and the spelling of its amount: rules that are equal in this say the same.
private struct RuleWithoutPlace: Hashable {
    let text: String

    init(_ rule: Rule) { text = rule.text }
}
