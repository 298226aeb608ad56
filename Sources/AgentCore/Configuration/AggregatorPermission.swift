// What the aggregator may order, beside asking how things are.

public import AgentAPI

/// One of `set aggregator_commands "silence, deploy, restart puma, reload *"`.
public enum AggregatorPermission: Equatable, Sendable {
    /// Not to watch units for a while, and to watch them again.
    case silence
    /// To open and to close deploy windows, to prepare deploys and to judge them.
    case deploy
    /// To act on units that match a pattern.
    case order(AgentRequest.UnitOrder, units: String)

    init(parsing text: String) throws(AddressProblem) {
        let words = text.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("silence", 1): self = .silence
        case ("deploy", 1): self = .deploy
        case (let verb?, 2):
            guard let order = AgentRequest.UnitOrder(rawValue: verb) else { fallthrough }
            self = .order(order, units: words[1])
        default:
            throw AddressProblem(
                message: "`\(text)` is nothing that the aggregator could be allowed",
                help: "write silence, deploy, start UNIT, stop UNIT, restart UNIT or reload UNIT, with commas between; UNIT may be a pattern")
        }
    }
}

extension AgentSettings {
    /// Whether the aggregator may ask for this.
    public func permits(_ request: AgentRequest) -> Bool {
        switch request {
        case .status, .show, .export, .explain, .history, .jobs: true
        case .startDeploy, .finishDeploy, .prepareDeploy, .checkDeploy, .cancelDeploy: permissions.contains(.deploy)
        case .stopMonitoring, .resumeMonitoring: permissions.contains(.silence)
        case .act(let order, let unit):
            permissions.contains { permission in
                guard case .order(order, let pattern) = permission else { return false }
                return unitMatches(unit, pattern: pattern)
            }
        case .jobStarted, .jobDone, .testAlerts, .means: false
        }
    }
}
