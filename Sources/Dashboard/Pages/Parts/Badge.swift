// A state in a word with its sign: status, phase, importance.

import AgentAPI
import AggregatorCore
import Platform

struct Badge {
    var word: String
    var icon: Icon
    /// Of the stylesheet: `passing`, `warning`, `error`, `critical`, `neutral`.
    var tone: String

    var html: HTML {
        span(.class("badge \(tone)")) {
            Dashboard.icon(icon)
            word
        }
    }
}

extension Badge {
    init(_ status: Status) {
        switch status {
        case .passing: self.init(word: "Passing", icon: .passing, tone: "passing")
        case .warning: self.init(word: "Warning", icon: .warning, tone: "warning")
        case .error: self.init(word: "Error", icon: .error, tone: "error")
        case .critical: self.init(word: "Critical", icon: .critical, tone: "critical")
        }
    }

    init(_ importance: Importance) { self.init(Status(importance)) }

    init(_ phase: UnitState.Phase) {
        switch phase {
        case .up: self.init(word: "Up", icon: .passing, tone: "passing")
        case .idle: self.init(word: "Idle", icon: .passing, tone: "neutral")
        case .stopped: self.init(word: "Stopped", icon: .warning, tone: "warning")
        case .down: self.init(word: "Down", icon: .critical, tone: "critical")
        case .stuck: self.init(word: "Stuck", icon: .error, tone: "error")
        case .changing: self.init(word: "Changing", icon: .changing, tone: "neutral")
        case .unknown: self.init(word: "Unknown", icon: .unknown, tone: "warning")
        }
    }

    init(_ check: CheckRecord) {
        if check.lastRun == nil {
            self.init(word: "Not run yet", icon: .changing, tone: "neutral")
        } else if check.isFailing {
            self.init(word: "Failing", icon: .critical, tone: "critical")
        } else {
            self.init(word: "Passing", icon: .passing, tone: "passing")
        }
    }

    init(_ host: HostRecord) {
        guard host.replacedBy == nil else {
            self.init(word: "Retired", icon: .unknown, tone: "neutral")
            return
        }
        self.init(
            word: host.isSilent ? "Silent" : "Reporting", icon: host.isSilent ? .critical : .passing, tone: host.isSilent ? "critical" : "passing")
    }

    init(_ state: NotificationRecord.State) {
        switch state {
        case .sent: self.init(word: "Sent", icon: .passing, tone: "passing")
        case .pending: self.init(word: "Waiting", icon: .changing, tone: "neutral")
        case .failed: self.init(word: "Given up", icon: .critical, tone: "critical")
        }
    }
}
