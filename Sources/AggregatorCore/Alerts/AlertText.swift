// An alert as a mail says it.

import AgentAPI
import Messages
import Platform

/// The texts of one alert.
struct AlertText {
    let subject: String
    let body: String

    init(_ alert: Alert, plan: ServicePlan) {
        let sentence = Self.sentence(alert)
        // The service is named where the sentence does not.
        let isNamed = alert.reason == .recovered || alert.service == alert.subject.unit || alert.service == alert.subject.words
        subject = "[\(Self.tag(alert))] \(isNamed ? "" : "\(alert.service): ")\(sentence)".onOneLine(limit: 200)

        var lines = [sentence.onOneLine(limit: 4096), ""]
        lines += Self.facts(alert).map { "\($0.name):".padded(to: 10) + $0.value.onOneLine(limit: 4096) }
        if let restarts = alert.restarts {
            lines += ["", restarts.count > restarts.lines.count ? "The last \(restarts.lines.count) restarts:" : "The restarts:"]
            lines += restarts.lines.map { "  \($0.onOneLine(limit: 500))" }
        }
        if !alert.others.isEmpty {
            lines += ["", "Other problems of this service:"]
            for problem in alert.others.prefix(20) {
                let importance = "[\(problem.importance.rawValue)] "
                lines.append("  \(importance)\(Self.sentence(problem.subject, problem.text).onOneLine(limit: 500)), since \(problem.since.words)")
            }
            if alert.others.count > 20 { lines.append("  and \(alert.others.count - 20) more") }
        }
        lines.append("")
        if let runbook = plan.service(alert.service)?.runbook { lines.append("Runbook:  \(runbook)") }
        lines.append("Details:  \(plan.link(toService: alert.service))")
        body = lines.joined(separator: "\n") + "\n"
    }

    /// What stands in brackets: the status, or what happened where the status did not change.
    private static func tag(_ alert: Alert) -> String {
        switch alert.reason {
        case .newProblem, .worse, .anotherProblem: alert.status.rawValue
        case .problemSolved: "solved"
        case .recovered: "ok"
        case .unitRestarted, .unitRestartedOften: "restarted"
        }
    }

    private static func sentence(_ alert: Alert) -> String {
        switch alert.reason {
        case .newProblem, .worse, .anotherProblem:
            return sentence(alert.subject.words, alert.detail)
        case .problemSolved:
            if let deploy = alert.subject.deploy { return "the newest deploy of \(deploy) is verified" }
            return "\(alert.subject.words) has recovered" + (alert.lasted.map { " after \($0.words)" } ?? "")
        case .recovered:
            return "\(alert.service) is passing again" + (alert.lasted.map { " after \($0.words)" } ?? "")
        case .unitRestarted:
            return "\(alert.subject.words) failed and was restarted" + (alert.detail.isEmpty ? "" : ": \(alert.detail)")
        case .unitRestartedOften:
            guard let restarts = alert.restarts else { return "\(alert.subject.words) was restarted again" }
            return "\(alert.subject.words) restarted \(restarts.count) times since \(restarts.firstAt.words)"
        }
    }

    /// `puma.service on web1 is down: ...`, `nginx.service on web1 was stopped on request`, but `puma.service on web1: memory is over ...`.
    private static func sentence(_ subject: String, _ text: String) -> String {
        let isState = ["down", "silent", "stuck"].contains { text == $0 || text.hasPrefix("\($0):") }
        if text.hasPrefix("is ") { return "\(subject) \(text)" }
        return "\(subject)\(isState ? " is" : text.hasPrefix("stopped on request") ? " was" : ":") \(text)"
    }

    private static func facts(_ alert: Alert) -> [(name: String, value: String)] {
        var facts: [(String, String)] = [("Service", alert.service), ("Status", alert.status.rawValue)]
        if let unit = alert.subject.unit { facts.append(("Unit", unit)) }
        if let host = alert.subject.host { facts.append(("Host", host)) }
        if let check = alert.subject.check { facts.append(("Check", check)) }
        if let deploy = alert.subject.deploy { facts.append(("Deploy", deploy)) }
        let isOver = alert.reason == .recovered || alert.reason == .problemSolved
        if isOver {
            facts.append(("Was", alert.detail))
        } else if !alert.detail.isEmpty, alert.detail != "down" {
            // What it is stands in the sentence above already.
            let state = ["down: ", "silent: ", "stuck: "].first(where: alert.detail.hasPrefix) ?? ""
            facts.append(("Reason", String(alert.detail.dropFirst(state.count))))
        }
        // The age matters when the news is old: the aggregator or the network was away.
        let age = alert.now - alert.at
        facts.append(("Time", alert.at.words + (age >= .seconds(60) ? " (known \(age.words) later)" : "")))
        facts.append(("Because", alert.reason.rawValue))
        return facts
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
