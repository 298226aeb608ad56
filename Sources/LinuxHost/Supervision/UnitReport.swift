// One unit at one moment, as a small init system's own files or answers have it.

import AgentCore
import Platform

/// What can be read of a unit without knowing what was read before. `UnitLedger` makes observations of a sequence of them.
struct UnitReport: Equatable, Sendable {
    var activity: Observation.Activity
    var detail: String
    var process: ProcessIdentity?
    var lastExit: ExitReason?
    /// Whether that was a good end, whatever its status; `nil` where only the status tells.
    var endedWell: Bool?
    var nature = Observation.Nature.daemon
    var restartsByItself = false
    /// Somebody has asked for the end of this run, or for the state that it is in.
    var isAsked = false
    var since: Timestamp?
    var obstacle: Observation.Obstacle?
    var canReload: Bool?
    var startTimeout: Duration?
    /// How often it has been restarted without anybody asking, where that does not show in its process.
    var restarts: Int?
    /// It is down as a whole, and some of its processes run.
    var isPartlyUp = false

    var isUp: Bool { activity == .running || activity == .reloading }
    /// It does not run, and nobody is about to change that.
    var isAtRest: Bool { activity == .stopped || activity == .failed }
}

/// Supervisors that are started at boot may come later than the agent; one that is not there yet is not one that knows nothing.
func isBooting(_ now: Moment) -> Bool { now.uptime < .seconds(120) }
