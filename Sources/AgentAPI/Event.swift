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
        /// A unit was stopped because its init system was asked to, and stays so. It is no failure, and nothing of it lasts.
        case unitStopped = "unit_stopped"
        /// A run of a unit that does a piece of work and ends, such as a backup, has failed. Its next good run ends the problem.
        case unitFailed = "unit_failed"
        /// A unit's run ended and the next one began or is about to: one event for both. `cause` says whether somebody asked for it.
        case unitRestarted = "unit_restarted"
        case ruleFailed = "rule_failed"
        case ruleRecovered = "rule_recovered"
        /// A reload or restart that a rule asked for; `detail` says how it ended.
        case actionSucceeded = "action_succeeded"
        case actionFailed = "action_failed"
        /// Its main process runs and does nothing: stopped by a signal, or waiting for a device for long.
        case unitStuck = "unit_stuck"
        case unitUnstuck = "unit_unstuck"
        /// A rule acted too often in too short a time, so that its unit is left alone for a while; `detail` says until when.
        case actionsSuspended = "actions_suspended"
        case actionsResumed = "actions_resumed"
        case deployStarted = "deploy_started"
        /// A deploy window was closed or has run out; `detail` says what was not well then.
        case deployFinished = "deploy_finished"
        /// A deploy was judged for good: every worker runs the new release, or else `detail` says what became of it.
        case deployVerified = "deploy_verified"
        case deployFailed = "deploy_failed"
        /// Somebody asked the agent not to watch a unit, or to watch it again.
        case monitoringStopped = "monitoring_stopped"
        case monitoringResumed = "monitoring_resumed"
        /// A recurring job has not happened in time, did not end in time, or has failed.
        case jobOverdue = "job_overdue"
        case jobFailed = "job_failed"
        /// It is as it should be again.
        case jobRan = "job_ran"
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
    /// Where alerts about it go, each once; `nil` among them is the default route. Empty for what nobody is told of.
    public var routes: [String?]

    public init(
        sequence: UInt64 = 0, kind: Kind, at: Timestamp, unit: String? = nil, rule: String? = nil, importance: Importance? = nil,
        cause: Cause? = nil, detail: String = "", routes: [String?] = [nil]
    ) {
        self.sequence = sequence
        self.kind = kind
        self.at = at
        self.unit = unit
        self.rule = rule
        self.importance = importance
        self.cause = cause
        self.detail = detail
        self.routes = routes
    }
}
