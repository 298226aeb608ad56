// Something that happened on a host, as it crosses from the agent to the aggregator.

public import Platform

/// Something that happened, numbered by the agent that saw it. Numbers of one agent grow by one from event to event and never repeat:
/// a receiver that remembers the last one can refuse repetitions and see gaps.
public struct Event: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        case agentStarted = "agent_started"
        case agentStopped = "agent_stopped"
        /// A unit that should run does not, and its init system is not about to change that.
        case unitDown = "unit_down"
        case unitUp = "unit_up"
        /// A unit's run ended and the next one began or is about to: one event for both. `cause` says whether somebody asked for it.
        case unitRestarted = "unit_restarted"
        case ruleFailed = "rule_failed"
        case ruleRecovered = "rule_recovered"
        /// A reload or restart that a rule asked for; `detail` says how it ended.
        case actionSucceeded = "action_succeeded"
        case actionFailed = "action_failed"
        /// Something the agent measures with (init system, kernel file) stopped answering; its metrics are absent until it recovers.
        case sourceFailed = "source_failed"
        case sourceRecovered = "source_recovered"
        /// Events were lost because the spool was full or damaged; `detail` says which numbers.
        case eventsLost = "events_lost"
    }

    /// Why a run ended.
    public enum Cause: String, Sendable {
        /// The process failed: exit status, signal, out of memory, watchdog, timeout.
        case failure
        /// Somebody asked the init system to stop or restart it.
        case request
        /// The process ended by itself with success.
        case finished
        case unknown
    }

    public var sequence: UInt64
    public var kind: Kind
    public var at: Timestamp
    /// The unit that it happened to; `nil` for the host.
    public var unit: String?
    /// For rule events: the rule as its file says it, on one line.
    public var rule: String?
    /// For rule events and actions: how bad; `nil` for what carries no judgement.
    public var importance: Importance?
    public var cause: Cause?
    /// What a person reads: `killed by SIGKILL`, `memory:total_rss is 512.3m, over 500m for 2 cycles`.
    public var detail: String
    /// Where alerts about it go; `nil` is the default route.
    public var route: String?

    public init(
        sequence: UInt64 = 0, kind: Kind, at: Timestamp, unit: String? = nil, rule: String? = nil, importance: Importance? = nil,
        cause: Cause? = nil, detail: String = "", route: String? = nil
    ) {
        self.sequence = sequence
        self.kind = kind
        self.at = at
        self.unit = unit
        self.rule = rule
        self.importance = importance
        self.cause = cause
        self.detail = detail
        self.route = route
    }
}

/// How much a failing thing matters, least first.
public enum Importance: String, CaseIterable, Comparable, Sendable {
    case warning, error, critical

    public static func < (a: Importance, b: Importance) -> Bool { a.rank < b.rank }
    private var rank: Int {
        switch self {
        case .warning: 0;
        case .error: 1;
        case .critical: 2
        }
    }
}
