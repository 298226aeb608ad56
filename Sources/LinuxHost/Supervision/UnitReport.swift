// One unit at one moment, as a small init system's own files or answers have it.

import AgentCore
import Platform

/// What can be read of a unit without knowing what was read before. `UnitLedger` makes observations of a sequence of them.
struct UnitReport: Equatable, Sendable {
    var activity: Observation.Activity
    var detail: String
    var process: ProcessIdentity?
    var lastExit: ExitReason?
    var restartsByItself = false
    /// Somebody has asked for the end of this run, or for the state that it is in.
    var isAsked = false
    var since: Timestamp?
    var obstacle: Observation.Obstacle?
    var canReload: Bool?
    var startTimeout: Duration?

    var isUp: Bool { activity == .running || activity == .reloading }
    /// It does not run, and nobody is about to change that.
    var isAtRest: Bool { activity == .stopped || activity == .failed }
}
