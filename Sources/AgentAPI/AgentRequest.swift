// What people and programs may ask of a running agent, and what it answers.

public import Platform

/// A request to a running agent: over its socket, or from the aggregator on the connection that the agent has opened.
///
/// Where units are listed, none means the whole host.
public enum AgentRequest: Equatable, Sendable {
    case status
    /// The recorded values of a metric; of the host's when there is no unit.
    case show(unit: String?, metric: String)
    /// How everything is, for programs.
    case export
    /// What the rules of a unit (the host's without one, all with neither) read now and when they would fire.
    /// - Parameter rule: a text that the rules must hold.
    case explain(unit: String?, rule: String?)
    /// The recorded samples, to judge them by other rules.
    case history
    /// Opens a deploy window. - Parameter length: when it ends by itself; `nil`: as the configuration says.
    case startDeploy(units: [String], owner: String?, reason: String?, length: Duration?)
    case finishDeploy(units: [String], owner: String?)
    /// Remembers how a service is before its deploy.
    case prepareDeploy(DeployPreparation)
    /// Judges a deploy; it is answered when the verdict is final.
    case checkDeploy(DeployCheck)
    /// Ends a deploy without a verdict: another may be prepared.
    case cancelDeploy(id: String)
    /// - Parameter length: when watching begins again by itself; `nil`: when somebody says so.
    case stopMonitoring(units: [String], reason: String?, length: Duration?)
    case resumeMonitoring(units: [String])
    case jobs
    case jobStarted(name: String)
    /// - Parameter exitStatus: `nil`: it went well.
    case jobDone(name: String, exitStatus: Int32?)
    /// Acts on a unit through its init system.
    case act(UnitOrder, unit: String)

    /// Sends one message over each of the agent's own routes; it is answered when it is known what became of all of them.
    case testAlerts
    /// What the agent's process may do on this host.
    case means

    public enum UnitOrder: String, CaseIterable, Sendable {
        case start, stop, restart, reload
    }
}

/// What the agent answers: the same for people and for programs.
public struct AgentAnswer: Equatable, Sendable {
    /// Whether it was done, or could be answered.
    public var isGood: Bool
    /// Lines for a terminal, each with its newline.
    public var text: String
    public var json: JSON

    public init(isGood: Bool = true, text: String, json: JSON) {
        self.isGood = isGood
        self.text = text
        self.json = json
    }
}
