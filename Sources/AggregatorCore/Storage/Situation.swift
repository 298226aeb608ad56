// What a decision starts from, and what it answers: the values that cross the seam of storage when something is decided.

public import AgentAPI
public import Platform

/// What a decision wants to know.
public enum Scope: Equatable, Sendable {
    /// A host, its units' memberships, the services that these belong to, and the services named.
    case agent(String, services: Set<String>)
    /// A check and its service.
    case check(CheckKey)
    /// Every check, every configured service, and the services named.
    case configuration(services: Set<String>)
    /// A deploy by its id, the newest of what the script that tells of it calls its service, and the services named.
    case deploy(String, of: String, services: Set<String>)
}

/// How things are before or after a decision, as far as its scope goes.
public struct Situation: Equatable, Sendable {
    public var host: HostState?
    /// Which services each unit of the host belongs to; the empty name is the host itself.
    public var members: [String: Set<String>]
    /// With all their problems, those of other hosts included.
    public var services: [String: ServiceState]
    /// By unit of the host.
    public var restarts: [String: RestartSeries]
    public var checks: [CheckKey: CheckState]
    /// The text that is kept under the id of the deploy.
    public var knownDeploy: String?
    /// When the newest deploy of its service was over.
    public var newestDeploy: Timestamp?

    public init(
        host: HostState? = nil, members: [String: Set<String>] = [:], services: [String: ServiceState] = [:],
        restarts: [String: RestartSeries] = [:], checks: [CheckKey: CheckState] = [:], knownDeploy: String? = nil, newestDeploy: Timestamp? = nil
    ) {
        self.knownDeploy = knownDeploy
        self.newestDeploy = newestDeploy
        self.host = host
        self.members = members
        self.services = services
        self.restarts = restarts
        self.checks = checks
    }
}

/// What was decided. The store writes how `situation` differs from the one it gave, and the rest as it stands.
public struct Decision: Equatable, Sendable {
    public var situation: Situation
    /// To append to the history, each with a number that has not been stored yet.
    public var events: [Event]
    /// The report whose units and samples are the host's present state from now on, or say how it differs from the state before.
    public var snapshot: Report?
    /// The report whose samples belong into the history.
    public var samples: Report?
    /// The report was relative to a snapshot that is not stored: a whole one is wanted.
    public var isStateUnknown: Bool
    /// The host's present state is to be forgotten.
    public var isStateForgotten = false
    /// The deploy to keep.
    public var deploy: FiledDeploy?
    public var alerts: [Alert]
    public var outbox: [OutgoingMessage]

    public init(
        situation: Situation, events: [Event] = [], snapshot: Report? = nil, samples: Report? = nil, isStateUnknown: Bool = false,
        alerts: [Alert] = [], outbox: [OutgoingMessage] = []
    ) {
        self.isStateUnknown = isStateUnknown
        self.situation = situation
        self.events = events
        self.snapshot = snapshot
        self.samples = samples
        self.alerts = alerts
        self.outbox = outbox
    }
}
