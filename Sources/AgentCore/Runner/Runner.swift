// The seam between the agent and the process without privileges that speaks with the outside world for it.

public import AgentAPI

/// Asks daemons for their numbers and delivers the agent's own alerts, in a process of its own that may hang or die. It lives on the
/// watcher's loop; no call waits.
public protocol Runner: AnyObject {
    /// - Parameter observer: hears everything from now on.
    func start(observer: any RunnerObserver)

    /// What is to be done from now on. The process runs only while there is something.
    func change(_ work: RunnerWork)

    /// Hands over one alert. The answer is `delivered` or `undelivered`, once; when the process dies it is `undelivered`.
    func deliver(_ alert: OutgoingAlert)

    func stop()
}

/// Hears the runner. Called on the watcher's loop.
public protocol RunnerObserver: AnyObject {
    /// All values of one look at one source, by metric name (`redis:used_memory`).
    func measured(_ values: [String: Double], by source: String)
    /// A source does not answer, or not sensibly; `why` is for a person. Said for every look that fails, and for all sources when the
    /// process itself is gone.
    func sourceFailed(_ source: String, why: String)
    func delivered(_ alert: UInt64)
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool)
}

public struct RunnerWork: Equatable, Sendable {
    /// How often each source is asked.
    public var interval: Duration
    public var sources: [DaemonSource]
    /// The agent's own ways to reach people.
    public var channels: [AlertChannel]

    public init(interval: Duration, sources: [DaemonSource] = [], channels: [AlertChannel] = []) {
        self.interval = interval
        self.sources = sources
        self.channels = channels
    }

    public var isEmpty: Bool { sources.isEmpty && channels.isEmpty }
}

/// One daemon to ask.
public struct DaemonSource: Equatable, Sendable {
    /// Unique in its work: `redis.service redis`.
    public var id: String
    /// `redis`, `mysql`, ...
    public var family: String
    /// As the rule file says after `with`, with the secrets that it names.
    public var parameters: [String: String]
    /// The names that rules want (`used_memory`), each to be told when the daemon has it.
    public var metrics: [String]

    public init(id: String, family: String, parameters: [String: String], metrics: [String]) {
        self.id = id
        self.family = family
        self.parameters = parameters
        self.metrics = metrics
    }
}

/// `send alerts [to ROUTE] via CHANNEL with ...`, with the secrets that it names.
public struct AlertChannel: Equatable, Sendable {
    /// `nil` is the default route.
    public var route: String?
    /// `email`, `slack`, `webhook`, `pagerduty`
    public var kind: String
    public var parameters: [String: String]

    public init(route: String?, kind: String, parameters: [String: String]) {
        self.route = route
        self.kind = kind
        self.parameters = parameters
    }
}

/// A message about one or several events, to one route.
public struct OutgoingAlert: Equatable, Sendable {
    /// Unique as long as the agent keeps its state folder; the same for every attempt.
    public var id: UInt64
    public var route: String?
    public var subject: String
    public var body: String
    /// What it is about, oldest first, for channels that want more than text.
    public var events: [Event]
    public var host: String

    public init(id: UInt64, route: String?, subject: String, body: String, events: [Event], host: String) {
        self.id = id
        self.route = route
        self.subject = subject
        self.body = body
        self.events = events
        self.host = host
    }
}
