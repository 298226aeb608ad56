// Requests for all units of a kind.

import AgentCore
import Glibc
import Platform

/// `sidekiq@*`, or whatever has failed: which units belong to it at present.
struct SystemdGroup {
    var name: String
    var kind: UnitRequest.Kind
    /// With the type of the unit; empty for what has failed.
    var pattern: String
    /// Object paths of its units.
    var paths: Set<String> = []
    var lastSaid: [String: Observation] = [:]
    var look: Loop.Timer?

    /// `nil` for a request that names one unit.
    init?(_ request: UnitRequest) {
        guard request.kind != .unit else { return nil }
        name = request.name
        kind = request.kind
        pattern = request.kind == .pattern ? systemdUnitName(request.name) : ""
    }

    /// Whether a unit of this name can belong to it.
    func mayHold(_ id: String) -> Bool { kind == .failed || fnmatch(pattern, id, FNM_NOESCAPE) == 0 }
}
