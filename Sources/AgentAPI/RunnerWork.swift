// What the agent lets its runner do: daemons to ask, and ways to reach people.

public import Platform

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
    /// `nil` is the default route. Each route has one channel.
    public var route: String?
    /// `email`, `gmail`, `slack`, `webhook`, `pagerduty`, `null`
    public var kind: String
    /// For the runner, which cannot read such files, what a secret's file (`password_file`) holds stands under the name without `_file`.
    public var parameters: [String: String]

    public init(route: String?, kind: String, parameters: [String: String]) {
        self.route = route
        self.kind = kind
        self.parameters = parameters
    }

    /// With the secrets in place of the files that hold them. One that could not be read is missing, and its reader knows why.
    public func revealed(_ read: (_ path: String) -> Secret?) -> AlertChannel {
        var channel = self
        for (key, path) in parameters where key.hasSuffix("_file") && key != "ca_file" {
            channel.parameters[key] = nil
            channel.parameters[String(key.dropLast("_file".count))] = read(path)?.reveal()
        }
        return channel
    }
}

/// A message about one or several events, to one route.
public struct OutgoingAlert: Equatable, Sendable {
    /// Unique as long as the agent keeps its state folder; the same for every attempt.
    public var id: UInt64
    public var route: String?
    public var subject: String
    public var body: String
    /// What it is about, oldest first, for channels that want more than text. Their numbers are not handed on.
    public var events: [Event]
    public var host: String
    /// When it was written.
    public var at: Timestamp

    public init(id: UInt64, route: String?, subject: String, body: String, events: [Event], host: String, at: Timestamp) {
        self.id = id
        self.route = route
        self.subject = subject
        self.body = body
        self.events = events
        self.host = host
        self.at = at
    }
}
