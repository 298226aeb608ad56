// Which events belong together: the beginning and the end of one problem.

extension Event {
    /// What an event does to a problem that lasts.
    public enum Effect: Sendable {
        case begins, ends
        /// It has happened, and nothing of it lasts.
        case none
    }

    public var effect: Effect {
        switch kind {
        case .unitDown, .unitFailed, .ruleFailed, .unitStuck, .actionsSuspended, .jobOverdue, .jobFailed, .sourceFailed: .begins
        case .unitUp, .ruleRecovered, .unitUnstuck, .actionsResumed, .jobRan, .sourceRecovered: .ends
        // A later deploy that is verified says nothing of the requests that an earlier one has cost.
        case .deployVerified, .deployFailed: .none
        case .agentStarted, .agentStopped, .unitStopped, .unitRestarted, .actionSucceeded, .actionFailed, .deployStarted, .deployFinished,
            .monitoringStopped, .monitoringResumed, .eventsLost:
            .none
        }
    }

    /// On one host the same for the beginning and the end of one problem, and for no other. Several checks of one unit may each report the
    /// same problem, to routes of their own.
    public var problem: String {
        let subject = unit ?? "host"
        return switch kind {
        case .unitDown, .unitFailed, .unitUp: "down \(subject)"
        case .ruleFailed, .ruleRecovered: "rule \(subject): \(rule ?? "")"
        case .unitStuck, .unitUnstuck: "stuck \(subject)"
        // With a rule only where the programs of that rule alone are suspended.
        case .actionsSuspended, .actionsResumed: "suspended \(subject)\(rule.map { ": \($0)" } ?? "")"
        case .jobOverdue, .jobFailed, .jobRan: "job \(unit ?? rule ?? "")"
        // Its detail begins with the source's name: `systemd: no answer`, `systemd answers again`.
        case .sourceFailed, .sourceRecovered: "source \(subject): \(detail.prefix { $0 != " " && $0 != ":" })"
        case .actionSucceeded, .actionFailed: "action \(subject): \(rule ?? "")"
        case .unitStopped, .unitRestarted, .agentStarted, .agentStopped, .deployStarted, .deployFinished, .deployVerified, .deployFailed,
            .monitoringStopped,
            .monitoringResumed, .eventsLost:
            "\(kind.rawValue) \(subject)"
        }
    }

    /// The name of the job that it is about; `nil` for everything else.
    public var job: String? {
        switch kind {
        case .jobOverdue, .jobFailed, .jobRan: rule.map { $0.hasPrefix("job ") ? String($0.dropFirst(4)) : $0 } ?? unit
        default: nil
        }
    }
}
