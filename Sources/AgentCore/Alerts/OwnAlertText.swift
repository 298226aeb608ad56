// What a message of the agent itself says.

import AgentAPI
import Messages
import Platform

/// The texts of one message.
struct OwnAlertText {
    let subject: String
    let body: String

    init(host: String, news: [Event], more: Int, notes: [AlertDesk.Note], dropped: Int, at now: Timestamp) {
        subject = Self.subject(host: host, news: news, more: more, notes: notes).onOneLine(limit: 200)
        var paragraphs: [[String]] = notes.map { [Self.sentence($0, host: host)] }
        if news.count == 1, more == 0 {
            paragraphs += [[Self.sentence(news[0], host: host).onOneLine(limit: 1000)], Self.facts(news[0], host: host, at: now)]
        } else if !news.isEmpty {
            var lines = news.map { "  \($0.at.words)  [\(Self.tag($0))] \(Self.sentence($0, host: nil))".onOneLine(limit: 1000) }
            if more > 0 { lines.append("  and \(more) more") }
            let isTakingOver = notes.contains { if case .takingOver = $0 { true } else { false } }
            let what = isTakingOver ? "What is wrong, and what has happened meanwhile:" : "On \(host):"
            paragraphs.append([what] + lines)
        }
        if dropped > 0 {
            paragraphs.append(["\(dropped == 1 ? "One earlier message" : "\(dropped) earlier messages") could not be delivered."])
        }
        paragraphs.append(["Sent by rollcall-agent on \(host)."])
        body = paragraphs.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    private static func subject(host: String, news: [Event], more: Int, notes: [AlertDesk.Note]) -> String {
        if let note = notes.last, news.isEmpty {
            return switch note {
            case .takingOver: "[warning] \(host) cannot reach the aggregator"
            case .aggregatorIsBack: "[ok] \(host) reaches the aggregator again"
            }
        }
        if news.count == 1, more == 0 { return "[\(tag(news[0]))] \(sentence(news[0], host: host))" }
        // The worst of what is still so: what began and ended within this message is over.
        let ended = Set(news.filter { $0.effect == .ends }.map(\.problem))
        let lasting = news.filter { $0.effect == .begins && !ended.contains($0.problem) }
        let worst = (lasting.isEmpty ? news.filter { $0.effect == .none } : lasting).max { badness($0) < badness($1) }
        let rest = news.count + more - 1
        if let worst { return "[\(tag(worst))] \(sentence(worst, host: host)), and \(rest) more" }
        return "[ok] \(host): \(news.count + more) problems are over"
    }

    private static func badness(_ event: Event) -> Int {
        switch importance(event) {
        case .critical: 3
        case .error: 2
        case .warning: 1
        case nil: 0
        }
    }

    /// Without one a problem counts as an error, as with the aggregator.
    private static func importance(_ event: Event) -> Importance? { event.importance ?? (event.effect == .begins ? .error : nil) }

    /// What stands in brackets.
    private static func tag(_ event: Event) -> String {
        if event.effect == .ends { return "ok" }
        if event.kind == .unitRestarted { return "restarted" }
        return importance(event)?.rawValue ?? "warning"
    }

    private static func sentence(_ note: AlertDesk.Note, host: String) -> String {
        switch note {
        case .takingOver(let since): "The aggregator cannot be reached since \(since.words); \(host) tells you itself."
        case .aggregatorIsBack(let since): "The aggregator can be reached again since \(since.words); \(host) leaves it to that to tell you."
        }
    }

    /// - Parameter host: `nil` where the text has named it already.
    private static func sentence(_ event: Event, host: String?) -> String {
        let place = host.map { " on \($0)" } ?? ""
        let subject = event.unit.map { "\($0)\(place)" } ?? host ?? "the host"
        let reason = event.detail.isEmpty ? "" : ": \(event.detail)"
        return switch event.kind {
        case .unitDown: "\(subject) is down\(reason)"
        case .unitUp: "\(subject) \(event.detail.hasPrefix("is ") ? event.detail : "is up again\(reason)")"
        case .unitStopped: "\(subject) \(event.detail.isEmpty ? "was stopped on request" : event.detail)"
        case .unitFailed: "\(subject) has failed\(reason)"
        case .unitRestarted: "\(subject) failed and was restarted\(reason)"
        case .ruleFailed: "\(subject): \(event.detail.isEmpty ? event.rule ?? "a rule has failed" : event.detail)"
        case .ruleRecovered: "\(subject) has recovered\(reason)"
        case .actionFailed: "\(subject): an action failed\(reason)"
        case .actionsSuspended: "\(subject) is left alone for a while\(reason)"
        case .actionsResumed: "\(subject) is acted upon again\(reason)"
        case .unitStuck: "\(subject) is stuck\(reason)"
        case .unitUnstuck: "\(subject) is no longer stuck"
        case .jobOverdue: "job \(subject) is overdue\(reason)"
        case .jobFailed: "job \(subject) has failed\(reason)"
        case .jobRan: "job \(subject) is as it should be again\(reason)"
        case .sourceFailed: "\(subject): the agent cannot look\(reason)"
        case .sourceRecovered: "\(subject): the agent can look again\(reason)"
        case .deployFinished: "\(subject): not all is well at the end of the deploy\(reason)"
        case .deployFailed: "\(subject): a deploy did not take effect as it should\(reason)"
        case .agentStarted: "\(subject): the agent had ended without being asked, and was started again\(reason)"
        case .eventsLost: "\(subject): events were lost\(reason)"
        case .agentStopped, .actionSucceeded, .deployStarted, .deployVerified, .monitoringStopped, .monitoringResumed:
            "\(subject): \(event.kind.rawValue.split(separator: "_").joined(separator: " "))\(reason)"
        }
    }

    private static func facts(_ event: Event, host: String, at now: Timestamp) -> [String] {
        var facts: [(name: String, value: String)] = []
        if let unit = event.unit { facts.append(("Unit", unit)) }
        facts.append(("Host", host))
        if let rule = event.rule { facts.append(("Rule", rule)) }
        if !event.detail.isEmpty { facts.append((event.effect == .ends ? "Detail" : "Reason", event.detail)) }
        // The age matters when the news is old: it was gathered in a flood, or told late.
        let age = now - event.at
        facts.append(("Time", event.at.words + (age >= .seconds(60) ? " (told \(age.words) later)" : "")))
        return facts.map { fact in
            "\(fact.name):\(String(repeating: " ", count: max(0, 9 - fact.name.count)))\(fact.value)".onOneLine(limit: 1000)
        }
    }
}
