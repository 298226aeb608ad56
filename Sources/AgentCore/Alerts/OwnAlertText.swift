// What a message of the agent itself says.

import AgentAPI
import Messages
import Platform

/// The texts of one message. It counts problems, not events, and names the worst first; what began and ended within it is "recovered". Only
/// a message in which nothing began is "ok".
struct OwnAlertText {
    let subject: String
    let body: String

    /// So many problems are shown; a longer list is not read.
    static let most = 50
    private static let longestSubject = 200

    /// - Parameters:
    ///   - items: one for each problem.
    ///   - more: problems that are not among them.
    ///   - dropped: earlier messages that were not delivered.
    init(host: String, items: [AlertItem], more: Int, notes: [AlertDesk.Note], dropped: Int, at now: Timestamp) {
        let items = items.sorted(by: AlertItem.isWorse)
        subject = Self.subject(host: host, items: items, more: more, notes: notes)
        var paragraphs: [[String]] = notes.map { [Self.sentence($0, host: host)] }
        if let item = items.first, items.count == 1, more == 0 {
            paragraphs += Self.paragraphs(item, host: host, at: now)
        } else if !items.isEmpty {
            var lines = items.prefix(Self.most).map { Self.line($0).onOneLine(limit: 1000) }
            let rest = items.count - lines.count + more
            if rest > 0 { lines.append("  and \(rest) more") }
            let isTakingOver = notes.contains { if case .takingOver = $0 { true } else { false } }
            paragraphs.append([isTakingOver ? "What is wrong, and what happened in the meantime:" : "On \(host):"] + lines)
        }
        if dropped > 0 {
            paragraphs.append(["\(dropped == 1 ? "One earlier message" : "\(dropped) earlier messages") could not be delivered."])
        }
        paragraphs.append(["Sent by rollcall-agent on \(host)."])
        body = paragraphs.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    // MARK: Subject

    /// - Parameter items: the worst first.
    private static func subject(host: String, items: [AlertItem], more: Int, notes: [AlertDesk.Note]) -> String {
        guard let worst = items.first else {
            return switch notes.last {
            case .takingOver?: "[warning] \(host) cannot reach the aggregator".onOneLine(limit: longestSubject)
            case .aggregatorIsBack?: "[ok] \(host) reaches the aggregator again".onOneLine(limit: longestSubject)
            case nil: "[warning] \(count(more, "problem")) on \(host)".onOneLine(limit: longestSubject)
            }
        }
        let over = items.count { $0.outcome == .over }
        if over == items.count, over + more > 1 { return "[ok] \(host): \(over + more) problems are over".onOneLine(limit: longestSubject) }
        let others = items.count - over + more - 1
        var rest = aside(worst).map { " (\($0))" } ?? ""
        if others > 0 { rest += ", and \(count(others, "more problem"))" }
        if over > 0, over < items.count { rest += "; \(over == 1 ? "1 problem is over" : "\(over) problems are over")" }
        // What is counted must be seen, however long the sentence is.
        let sentence = sentence(worst.face, host: host).onOneLine(limit: max(40, longestSubject - rest.count - 14))
        return "[\(tag(worst))] \(sentence)\(rest)".onOneLine(limit: longestSubject)
    }

    /// What stands in brackets.
    private static func tag(_ item: AlertItem) -> String {
        if item.outcome == .over { return "ok" }
        if item.face.kind == .unitRestarted { return "restarted" }
        return item.importance?.rawValue ?? "warning"
    }

    /// What a subject says of an item behind its sentence.
    private static func aside(_ item: AlertItem) -> String? {
        switch item.outcome {
        case .recovered: "recovered"
        case .happened where item.count > 1: "\(item.count) times"
        case .happened, .lasting, .over: nil
        }
    }

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    // MARK: Body

    /// One line of a list.
    private static func line(_ item: AlertItem) -> String {
        let time = item.outcome == .over ? item.lastAt : item.firstAt
        let aside: String? =
            switch item.outcome {
            case .recovered: "recovered after \((item.lastAt - item.firstAt).words)" + (item.count > 1 ? "; \(item.count) times" : "")
            case .lasting where item.count > 1: "for the \(ordinal(item.count)) time, since \((item.events.last ?? item.face).at.words)"
            case .happened where item.count > 1: "\(item.count) times, last \(item.lastAt.words)"
            case .happened, .lasting, .over: nil
            }
        return "  \(time.words)  [\(tag(item))] \(sentence(item.face, host: nil))\(aside.map { " (\($0))" } ?? "")"
    }

    private static func ordinal(_ number: Int) -> String {
        switch number {
        case 2: "second"
        case 3: "third"
        default: "\(number)th"
        }
    }

    /// All about the only item of a message.
    private static func paragraphs(_ item: AlertItem, host: String, at now: Timestamp) -> [[String]] {
        let event = item.face
        var first = sentence(event, host: host)
        if item.outcome == .recovered { first += ". This is over: it recovered after \((item.lastAt - item.firstAt).words)" }
        if item.outcome == .happened, item.count > 1 { first += " (\(item.count) times)" }
        var facts: [(name: String, value: String)] = []
        if let unit = event.unit { facts.append(("Unit", unit)) }
        if let job = event.job { facts.append(("Job", job)) }
        facts.append(("Host", host))
        if let rule = event.rule, event.job == nil { facts.append(("Rule", rule)) }
        if !event.detail.isEmpty { facts.append((item.outcome == .over ? "Detail" : "Reason", event.detail)) }
        if let end = item.events.last, item.outcome == .recovered {
            facts.append(("Began", item.firstAt.words + (item.count > 1 ? " (\(item.count) times)" : "")))
            facts.append(("Over", end.at.words + (end.detail.isEmpty ? "" : ": \(end.detail)")))
        } else if item.count > 1 {
            facts.append(("First", item.firstAt.words))
            facts.append(("Last", item.lastAt.words))
        } else {
            // The age matters when the news is old: it was gathered in a flood, or told late.
            let age = now - event.at
            facts.append(("Time", event.at.words + (age >= .seconds(60) ? " (sent \(age.words) later)" : "")))
        }
        let lines = facts.map { fact in
            "\(fact.name):\(String(repeating: " ", count: max(0, 9 - fact.name.count)))\(fact.value)".onOneLine(limit: 1000)
        }
        return [[first.onOneLine(limit: 1000)], lines]
    }

    // MARK: Sentences

    private static func sentence(_ note: AlertDesk.Note, host: String) -> String {
        switch note {
        case .takingOver(let since): "The aggregator has been unreachable since \(since.words); \(host) is alerting you directly."
        case .aggregatorIsBack(let since): "The aggregator has been reachable again since \(since.words) and handles alerts from now on."
        }
    }

    /// - Parameter host: `nil` where the text has named it already.
    private static func sentence(_ event: Event, host: String?) -> String {
        let place = host.map { " on \($0)" } ?? ""
        let subject = event.unit.map { "\($0)\(place)" } ?? host ?? "the host"
        let job = event.job.map { "job \($0)\(place)" } ?? subject
        let reason = event.detail.isEmpty ? "" : ": \(event.detail)"
        return switch event.kind {
        case .unitDown: "\(subject) \(down(event.detail))"
        case .unitUp: "\(subject)\(up(event.detail))"
        case .unitStopped:
            "\(subject) \(event.detail.hasPrefix("is ") ? event.detail : "was \(event.detail.isEmpty ? "stopped on request" : event.detail)")"
        case .unitFailed: event.detail.isEmpty ? "\(subject) has failed" : "\(subject): \(event.detail)"
        case .unitRestarted: "\(subject) \(restarted(event))\(reason)"
        case .ruleFailed: "\(subject): \(event.detail.isEmpty ? event.rule ?? "a rule has failed" : event.detail)"
        case .ruleRecovered: "\(subject) has recovered\(reason)"
        case .actionFailed: event.detail.hasPrefix("could not be ") ? "\(subject) \(event.detail)" : "\(subject): an action failed\(reason)"
        case .actionsSuspended: "\(subject): automatic actions suspended\(reason)"
        case .actionsResumed: "\(subject): automatic actions resumed"
        case .unitStuck: "\(subject) is stuck\(reason)"
        case .unitUnstuck: "\(subject) is responding again"
        case .jobOverdue: "\(job) is overdue\(jobReason(event))"
        case .jobFailed: "\(job) failed\(jobReason(event))"
        case .jobRan: "\(job) is back to normal\(jobReason(event))"
        case .sourceFailed: "\(subject): monitoring is impaired\(reason)"
        case .sourceRecovered: "\(subject): monitoring works again\(reason)"
        case .deployFinished: "\(subject): problems remain after the deploy\(reason)"
        case .deployFailed: "\(subject): the deploy failed\(reason)"
        case .agentStarted: "\(subject): the agent ended unexpectedly and was started again\(reason)"
        case .eventsLost: "\(subject): events were lost\(reason)"
        case .agentStopped, .actionSucceeded, .deployStarted, .deployVerified, .monitoringStopped, .monitoringResumed:
            "\(subject): \(event.kind.rawValue.split(separator: "_").joined(separator: " "))\(reason)"
        }
    }

    private static func down(_ detail: String) -> String {
        if detail.isEmpty || detail.hasPrefix("is still down") { return detail.isEmpty ? "is down" : detail }
        return "is down: " + (detail.hasPrefix("is ") ? String(detail.dropFirst(3)) : detail)
    }

    /// The detail says how the problem ended where it is not that the unit runs: `is idle: web.socket starts it when it is needed`.
    private static func up(_ detail: String) -> String {
        if detail.isEmpty || detail.hasPrefix("is running") { return " is up again" }
        return detail.hasPrefix("is ") ? " \(detail)" : ": \(detail)"
    }

    private static func restarted(_ event: Event) -> String {
        switch event.cause {
        case .failure, nil: "failed and was restarted"
        case .finished: "ended by itself and was restarted"
        case .request, .unknown: "was restarted"
        }
    }

    /// Details of jobs begin with the job's name, which the sentence has named already.
    private static func jobReason(_ event: Event) -> String {
        guard !event.detail.isEmpty else { return "" }
        guard let job = event.job, event.detail.hasPrefix("\(job) ") else { return ": \(event.detail)" }
        return ": it \(event.detail.dropFirst(job.count + 1))"
    }
}
