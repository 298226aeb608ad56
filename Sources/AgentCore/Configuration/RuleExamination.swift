// Whether the rules of a file make sense: their metrics exist, their thresholds fit.

import Glibc
public import Platform
public import RuleLanguage

/// What is wrong with a text that its parser understood.
public struct Findings: Equatable, Sendable {
    public var faults: [Fault] = []
    /// What works, but not as its writer may think.
    public var warnings: [Fault] = []

    public init() {}
}

/// Looks at every rule of a file: is there such a metric for this subject, can it be compared with this amount, can it ever hold, can what it
/// does be done?
public func examineRules(of ruleFile: RuleFile, file: String) -> Findings {
    var examination = RuleExamination(file: file, subject: ruleFile.subject == .host ? .host : .service)
    var lines: [String: Int] = [:]
    for rule in ruleFile.rules {
        examination.examine(rule)
        let text = rule.text
        if let line = lines[text] {
            examination.fault("the same rule stands in line \(line)", at: rule.place, help: "leave one of the two out")
        } else {
            lines[text] = rule.place.line
        }
    }
    examination.examineCoverage(of: ruleFile.rules)
    for rule in ruleFile.faultyRules { for comparison in rule.condition.comparisons { examination.examine(comparison) } }
    return examination.findings
}

private struct RuleExamination {
    /// Whoever waits for so long does not wait for a rule: at the default cycle it is more than two weeks.
    static let mostCycles = 100_000
    static let longestTime = Duration.seconds(30 * 86400)

    let file: String
    let subject: Metric.Subject
    var findings = Findings()

    mutating func examine(_ rule: Rule) {
        let before = findings.faults.count
        for comparison in rule.condition.comparisons { examine(comparison) }
        examine(rule.persistence, at: rule.place)
        // What is said of a metric that there is not, or of an amount that does not fit, says nothing of the rule.
        if findings.faults.count == before { examine(rule.condition) }
        if let clear = rule.clear { examine(clear, of: rule) }
        examineActions(of: rule)
    }

    mutating func examine(_ comparison: Comparison) {
        guard let metric = Metric.named(comparison.metric, of: subject) else { return unmeasured(comparison) }
        let threshold = comparison.threshold
        if comparison.isOfEachWorker, !metric.isOfWorkers {
            let help =
                subject == .host
                ? "the host has no workers" : "workers have " + metrics.filter { $0.isOfWorkers }.map(\.text).joined(separator: ", ")
            fault("\(metric.text) is not measured of each worker", at: comparison.metricPlace, help: help)
        }
        if threshold.isTime, metric.unit != .seconds {
            fault("\(metric.text) is no time, and \(threshold.text) is one", at: comparison.thresholdPlace, help: nil)
        }
        if threshold.percent, metric.unit != .percent, metric.limit == nil {
            let help =
                metric.unit == .bytes
                ? "\(threshold.text) of what? write an amount such as 500m" : "write a number such as \(Int64(clamping: threshold.value))"
            fault("\(metric.text) is no percentage and has no limit, and \(threshold.text) is one", at: comparison.thresholdPlace, help: help)
        }
        if threshold.perSecond, metric.kind == .gauge {
            fault(
                "\(metric.text) is not a counter, so that it has no rate", at: comparison.thresholdPlace, help: "leave /sec out of \(threshold.text)")
        }
    }

    // MARK: For how long

    private mutating func examine(_ persistence: Persistence, at place: Place) {
        switch persistence {
        case .cycles(let cycles):
            if cycles > Self.mostCycles { fault("\(cycles) cycles are too many: this would not fire for weeks", at: place, help: nil) }
            if cycles < 1 { fault("\(cycles) cycles never come", at: place, help: "write 1 cycle or more") }
        case .time(let time):
            if time > Self.longestTime { fault("\(durationText(time)) is too long: a rule waits for 30 days at most", at: place, help: nil) }
            if time <= .zero { fault("a time of \(durationText(time)) is none", at: place, help: nil) }
        case .times(let times, let cycles):
            if times > cycles {
                fault(
                    "\(times) times within \(cycles) cycles never comes true", at: place, help: "in \(cycles) cycles it holds \(cycles) times at most"
                )
            }
            if cycles > Holding.longestWindow {
                fault("\(cycles) cycles are too many: \(Holding.longestWindow) are remembered", at: place, help: nil)
            }
            if times < 1 { fault("\(times) times never come", at: place, help: "write 1 or more") }
        }
    }

    private mutating func examine(_ clear: Clear, of rule: Rule) {
        if case .times = clear.persistence {
            fault("`clear` is for some cycles or some time", at: clear.place, help: "such as `clear for 3 cycles`")
        } else {
            examine(clear.persistence, at: clear.place)
        }
        guard let level = clear.level else { return }
        guard case .comparison(let comparison) = rule.condition else {
            return fault(
                "a level to clear at is for a rule with one comparison", at: clear.place, help: "write `clear for N cycles`, without a level")
        }
        let text = "clear \(level.operator.rawValue) \(level.threshold.text)"
        guard level.threshold.percent == comparison.threshold.percent, level.threshold.perSecond == comparison.threshold.perSecond else {
            return fault(
                "`\(text)` is of another kind than \(comparison.threshold.text)", at: clear.place,
                help: "write both as percentages, as rates or as plain amounts")
        }
        let clears = ValueRange(level.operator, level.threshold.value)
        if !clears.intersected(with: ValueRange(comparison)).isEmpty {
            return fault(
                "`\(text)` is true while the rule holds: it would fail and recover by the same value", at: clear.place,
                help: "the level lies on the other side of \(comparison.threshold.text)")
        }
        if clears.intersected(with: domain(of: comparison)).isEmpty {
            fault("`\(text)` never comes true: an episode would never end", at: clear.place, help: nil)
        }
    }

    // MARK: What can hold

    /// Parts that are never or always true.
    private mutating func examine(_ condition: Condition) {
        switch condition {
        case .comparison(let comparison):
            let domain = domain(of: comparison)
            let range = ValueRange(comparison)
            let text = "\(comparison.metric.text) is \(comparison.sideText)"
            if range.intersected(with: domain).isEmpty {
                fault("never true: \(text)", at: comparison.thresholdPlace, help: domain.help)
            } else if range.contains(domain) {
                fault("always true: \(text)", at: comparison.thresholdPlace, help: domain.help)
            }
        case .any(let parts):
            for part in parts { examine(part) }
        case .all(let parts):
            let before = findings.faults.count
            for part in parts { examine(part) }
            guard findings.faults.count == before else { return }
            var ranges: [String: (range: ValueRange, text: String)] = [:]
            for comparison in conjunction(of: condition) {
                let key = self.key(of: comparison)
                let range = ValueRange(comparison)
                guard let (other, text) = ranges[key] else {
                    ranges[key] = (range.intersected(with: domain(of: comparison)), comparison.sideText)
                    continue
                }
                let both = other.intersected(with: range)
                if both.isEmpty {
                    return fault(
                        "never true: \(comparison.metric.text) is \(text) and \(comparison.sideText)", at: comparison.metricPlace,
                        help: "write `or`, or two rules")
                }
                ranges[key] = (both, "\(text) and \(comparison.sideText)")
            }
        }
    }

    /// The comparisons that must all hold.
    private func conjunction(of condition: Condition) -> [Comparison] {
        switch condition {
        case .comparison(let comparison): [comparison]
        case .all(let parts): parts.flatMap { conjunction(of: $0) }
        case .any: []
        }
    }

    /// What is compared: comparisons with the same key look at the same number.
    private func key(of comparison: Comparison) -> String {
        let isShare = comparison.threshold.percent && Metric.named(comparison.metric, of: subject)?.unit != .percent
        return "\(comparison.metric)\(comparison.isOfEachWorker ? " each" : "")\(comparison.threshold.perSecond ? "/sec" : "")\(isShare ? "%" : "")"
    }

    /// The values that a comparison can see.
    private func domain(of comparison: Comparison) -> ValueRange {
        guard let metric = Metric.named(comparison.metric, of: subject) else { return .everything }
        if comparison.threshold.perSecond { return .from(0, to: nil) }
        if metric.family == "up" || metric.family == "readonly" { return .from(0, to: 1) }
        if comparison.threshold.percent, metric.unit != .percent {
            // Shared pages count several times in these, so that they may be more than there is.
            let mayExceed = ["memory:rss", "memory:total_rss", "memory:pss"].contains(metric.text)
            return .from(0, to: mayExceed ? nil : 100)
        }
        let isShare = ["disk", "inodes", "swap", "pressure"].contains(metric.family) || metric.text == "cpu:all"
        return .from(0, to: metric.unit == .percent && isShare ? 100 : nil)
    }

    /// A rule, as far as it matters to whether another one makes it needless.
    private struct Coverage {
        var rule: Rule
        /// All that it does, and when.
        var deed: String
        /// `nil` for conditions with `or`.
        var ranges: [String: ValueRange]?
    }

    /// Rules that never do anything which another one has not done.
    mutating func examineCoverage(of rules: [Rule]) {
        // Of a file with more rules the first are looked at, so that nobody waits for it.
        let all = rules.prefix(200).map { rule in
            let actions = (rule.actions.map(\.text) + ["else"] + rule.recoveryActions.map(\.text)).joined(separator: ",")
            return Coverage(rule: rule, deed: "\(actions) \(rule.importance?.rawValue ?? "")", ranges: ranges(of: rule.condition))
        }
        for (index, rule) in all.enumerated() {
            let cover = all.enumerated().first { other, candidate in
                // Of two that say the same in other words the second one is needless.
                other != index && covers(candidate, rule) && (other < index || !covers(rule, candidate))
            }
            guard let cover, cover.element.rule.text != rule.rule.text else { continue }
            warn(
                "the rule in line \(cover.element.rule.place.line) does the same, and never later", at: rule.rule.place,
                help: "leave one of the two out, or let them do different things")
        }
    }

    /// Whether whenever one rule fails the other one does, or is failing already, and both do the same.
    private func covers(_ one: Coverage, _ other: Coverage) -> Bool {
        guard one.deed == other.deed, let weak = one.ranges, let strong = other.ranges, isNoLonger(one.rule.persistence, other.rule.persistence),
            one.rule.window == nil || one.rule.window == other.rule.window, one.rule.clear?.level == other.rule.clear?.level,
            one.rule.clear?.persistence == other.rule.clear?.persistence
        else { return false }
        return weak.allSatisfy { key, range in strong[key].map { range.contains($0) } ?? false }
    }

    /// `nil` for conditions with `or`.
    private func ranges(of condition: Condition) -> [String: ValueRange]? {
        if case .any = condition { return nil }
        let all = conjunction(of: condition)
        guard all.count == condition.comparisons.count else { return nil }
        return all.reduce(into: [:]) { ranges, comparison in
            ranges[key(of: comparison), default: domain(of: comparison)] = ranges[key(of: comparison), default: domain(of: comparison)].intersected(
                with: ValueRange(comparison))
        }
    }

    private func isNoLonger(_ one: Persistence, _ other: Persistence) -> Bool {
        switch (one, other) {
        case (.cycles(let a), .cycles(let b)): a <= b
        case (.time(let a), .time(let b)): a <= b
        case (.cycles(let a), _): a <= 1
        default: one == other
        }
    }

    // MARK: What is done

    private mutating func examineActions(of rule: Rule) {
        for actions in [rule.actions, rule.recoveryActions] {
            var seen: Set<String> = []
            for action in actions where !seen.insert(action.text).inserted {
                warn("`\(action.text)` stands here twice", at: action.place, help: "leave one of the two out")
            }
        }
        for action in rule.actions + rule.recoveryActions {
            switch action.kind {
            case .alert: break
            case .exec(let command): examine(command, at: action.place)
            case .reload, .restart, .start, .stop, .signal:
                guard subject == .host else { continue }
                fault(
                    "the host cannot be asked to \(word(action.kind))", at: action.place,
                    help: "of the host an alert can be sent, and a program run with exec; services are checked in files of their own")
            }
        }
        let verbs = rule.actions.filter { [.start, .stop, .restart].contains($0.kind) }
        if let stop = verbs.first(where: { $0.kind == .stop }), verbs.count > 1 {
            warn(
                "`stop` beside \(verbs.filter { $0.kind != .stop }.map { "`\(word($0.kind))`" }.joined(separator: " and "))", at: stop.place,
                help: "a restart stops it too")
        }
    }

    private func word(_ kind: Action.Kind) -> String {
        switch kind {
        case .alert: "alert"
        case .reload: "reload"
        case .restart: "restart"
        case .start: "start"
        case .stop: "stop"
        case .signal: "signal"
        case .exec: "exec"
        }
    }

    private mutating func examine(_ command: Command, at place: Place) {
        guard let program = command.arguments.first, program.hasPrefix("/") else {
            return fault("`exec` needs the absolute path of a program", at: place, help: "no shell looks for it")
        }
        var status = stat()
        guard stat(program, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { warn("\(program) does not exist", at: place, help: nil) }
            return
        }
        if status.st_mode & S_IFMT != S_IFREG || status.st_mode & 0o111 == 0 {
            warn("\(program) is no program", at: place, help: "chmod +x \(program)")
        }
    }

    // MARK: Metrics that there are not

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
        if rule.metric.name?.isEmpty ?? true {
            return fault("\(rule.metric.text) names no metric of \(daemon.family)", at: place, help: "write \(daemon.family):NAME")
        }
        let nature = MetricNature(rule.metric, of: subject)
        if rule.threshold.percent, let unit = nature.unit, unit != .percent {
            fault(
                "\(rule.metric.text) is no percentage, and \(rule.threshold.text) is one", at: rule.thresholdPlace,
                help: "write an amount without %")
        }
        if rule.threshold.perSecond, !daemon.names.isEmpty, !nature.isCounter {
            // Inspeqtor understands it, so that such rules are in use.
            warn(
                "\(rule.metric.text) is not a counter: it may shrink, and its rate be below 0", at: rule.thresholdPlace,
                help: "leave /sec out of \(rule.threshold.text)")
        }
        if rule.isOfEachWorker {
            fault("\(rule.metric.text) is not measured of each worker", at: place, help: "\(daemon.family) is asked as a whole")
        }
    }

    mutating func warn(_ message: String, at place: Place, help: String?) {
        findings.warnings.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    mutating func fault(_ message: String, at place: Place, help: String?) {
        findings.faults.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }
}
