// What happened, in sentences.

import AgentAPI
import AggregatorCore
import Platform

func eventList(_ events: [EventRecord], at now: Timestamp) -> HTML {
    ol(.class("events")) {
        for record in events {
            li(.class(tone(of: record.event))) {
                icon(sign(of: record.event))
                div {
                    div(.class("what")) { sentence(record) }
                    moment(record.event.at, now: now)
                }
            }
        }
    }
}

/// `puma.service on web1 went down: killed by SIGKILL`.
func sentence(_ record: EventRecord) -> String {
    let event = record.event
    let subject = event.unit.map { "\($0) on \(record.host)" } ?? record.host
    let job = event.job.map { "Job \($0)" } ?? "A job"
    if event.kind == .unitStopped, event.detail.hasPrefix("stopped ") { return "\(subject) was \(event.detail)" }
    let happened =
        switch event.kind {
        case .agentStarted: "The agent on \(record.host) started"
        case .agentStopped: "The agent on \(record.host) stopped"
        case .unitDown: "\(subject) went down"
        case .unitUp: "\(subject) is up"
        case .unitStopped: "\(subject) was stopped"
        case .unitFailed: "\(subject) failed"
        case .unitRestarted: "\(subject) \(restart(because: event.cause))"
        case .ruleFailed: "A rule failed on \(subject)"
        case .ruleRecovered: "A rule recovered on \(subject)"
        case .actionSucceeded: "An action on \(subject) succeeded"
        case .actionFailed: "An action on \(subject) failed"
        case .sourceFailed: "A source of measurements on \(record.host) failed"
        case .sourceRecovered: "A source of measurements on \(record.host) works again"
        case .unitStuck: "\(subject) is stuck"
        case .unitUnstuck: "\(subject) is responding again"
        case .actionsSuspended: "Automatic actions on \(subject) are suspended"
        case .actionsResumed: "Automatic actions on \(subject) are resumed"
        case .deployStarted: "A deploy began on \(subject)"
        case .deployFinished: "A deploy ended on \(subject)"
        case .deployVerified: "A deploy of \(subject) is verified"
        case .deployFailed: "A deploy of \(subject) failed"
        case .monitoringStopped: "\(subject) is not watched"
        case .monitoringResumed: "\(subject) is watched again"
        case .jobOverdue: "\(job) on \(record.host) is overdue"
        case .jobFailed: "\(job) on \(record.host) failed"
        case .jobRan: "\(job) on \(record.host) is back to normal"
        case .eventsLost: "Events of \(record.host) were lost"
        }
    let detail = event.detail.isEmpty ? (event.rule ?? "") : event.detail
    return detail.isEmpty ? happened : "\(happened): \(detail)"
}

private func restart(because cause: Event.Cause?) -> String {
    switch cause {
    case .failure: "failed and was restarted"
    case .request: "was restarted on request"
    case .finished: "ended and was started again"
    case .unknown, nil: "was restarted"
    }
}

private func tone(of event: Event) -> String {
    switch event.kind {
    case .unitDown, .unitFailed, .actionFailed, .eventsLost: "critical"
    case .unitStuck, .jobOverdue, .jobFailed, .actionsSuspended, .deployFailed: "error"
    case .ruleFailed: event.importance.map { Status($0).rawValue } ?? "warning"
    case .sourceFailed, .unitStopped: "warning"
    case .unitRestarted: event.cause == .failure ? "error" : "neutral"
    case .unitUp, .unitUnstuck, .ruleRecovered, .sourceRecovered, .actionSucceeded, .actionsResumed, .jobRan, .deployVerified: "passing"
    case .agentStarted, .agentStopped, .deployStarted, .deployFinished, .monitoringStopped, .monitoringResumed: "neutral"
    }
}

private func sign(of event: Event) -> Icon {
    switch tone(of: event) {
    case "critical": .critical
    case "error": .error
    case "warning": .warning
    case "passing": .passing
    default: .changing
    }
}
