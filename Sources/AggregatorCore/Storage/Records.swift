// What the aggregator remembers, as its pages and its API read it.

public import AgentAPI
public import Messages
public import Platform

public struct HostRecord: Equatable, Sendable {
    /// The agent's id: 32 hex digits.
    public var agent: String
    public var name: String
    public var version: String
    public var lastReport: Timestamp
    public var interval: Duration
    /// Its agent has been quiet for longer than its grace.
    public var isSilent: Bool
    /// The number of the last event that was stored.
    public var lastSequence: UInt64
    /// The latest samples of the host itself.
    public var samples: [Sample]
    /// The agent that reports with this one's token since; `nil` for hosts that are not retired.
    public var replacedBy: String?
    /// What somebody asked not to be told of.
    public var silences: [Silence]
    /// Its recurring jobs.
    public var jobs: [JobState]

    public init(
        agent: String, name: String, version: String, lastReport: Timestamp, interval: Duration, isSilent: Bool, lastSequence: UInt64,
        samples: [Sample], replacedBy: String? = nil, silences: [Silence] = [], jobs: [JobState] = []
    ) {
        self.silences = silences
        self.jobs = jobs
        self.replacedBy = replacedBy
        self.agent = agent
        self.name = name
        self.version = version
        self.lastReport = lastReport
        self.interval = interval
        self.isSilent = isSilent
        self.lastSequence = lastSequence
        self.samples = samples
    }
}

public struct UnitRecord: Equatable, Sendable {
    public var agent: String
    public var host: String
    public var state: UnitState

    public init(agent: String, host: String, state: UnitState) {
        self.agent = agent
        self.host = host
        self.state = state
    }
}

public struct EventRecord: Equatable, Sendable {
    public var agent: String
    public var host: String
    public var receivedAt: Timestamp
    public var event: Event

    public init(agent: String, host: String, receivedAt: Timestamp, event: Event) {
        self.agent = agent
        self.host = host
        self.receivedAt = receivedAt
        self.event = event
    }
}

public struct ServiceRecord: Equatable, Sendable {
    public var name: String
    public var status: Status
    public var since: Timestamp
    public var problems: [Problem]

    public init(name: String, status: Status, since: Timestamp, problems: [Problem]) {
        self.name = name
        self.status = status
        self.since = since
        self.problems = problems
    }
}

public struct CheckRecord: Equatable, Sendable {
    public var name: String
    public var service: String
    /// What it probes, on one line.
    public var summary: String
    /// Enough runs in a row have failed.
    public var isFailing: Bool
    /// `nil` before the first run.
    public var lastRun: Timestamp?
    public var lastDuration: Duration?
    /// What the last run found.
    public var detail: String

    public init(name: String, service: String, summary: String, isFailing: Bool, lastRun: Timestamp?, lastDuration: Duration?, detail: String) {
        self.name = name
        self.service = service
        self.summary = summary
        self.isFailing = isFailing
        self.lastRun = lastRun
        self.lastDuration = lastDuration
        self.detail = detail
    }
}

/// Samples of one metric in time, oldest first.
public struct Series: Equatable, Sendable {
    public struct Point: Equatable, Sendable {
        public var at: Timestamp
        public var value: Double

        public init(at: Timestamp, value: Double) {
            self.at = at
            self.value = value
        }
    }

    public var agent: String
    /// `nil` for the host's own.
    public var unit: String?
    public var metric: String
    public var points: [Point]

    public init(agent: String, unit: String?, metric: String, points: [Point]) {
        self.agent = agent
        self.unit = unit
        self.metric = metric
        self.points = points
    }
}

/// A message to one person in the outbox.
public struct NotificationRecord: Equatable, Sendable {
    public enum State: String, Sendable {
        case pending, sent
        /// The provider refuses it for good, or its time is over.
        case failed
    }

    public var service: String
    public var notifier: String
    public var message: Message
    public var state: State
    public var attempts: Int
    /// Of the last attempt that failed.
    public var problem: String?
    public var sentAt: Timestamp?

    public init(
        service: String, notifier: String, message: Message, state: State, attempts: Int, problem: String?, sentAt: Timestamp?
    ) {
        self.service = service
        self.notifier = notifier
        self.message = message
        self.state = state
        self.attempts = attempts
        self.problem = problem
        self.sentAt = sentAt
    }
}

/// Somebody who may log in.
public struct UserRecord: Equatable, Sendable {
    public var name: String
    /// Salted and slow to compute; see `PasswordHash`.
    public var passwordHash: String

    public init(name: String, passwordHash: String) {
        self.name = name
        self.passwordHash = passwordHash
    }
}

public struct SessionRecord: Equatable, Sendable {
    /// SHA-256 of the cookie's value in hex: whoever reads the database cannot log in with it.
    public var digest: String
    public var user: String
    /// Goes into every form; a post without it is refused.
    public var formToken: String
    public var expiresAt: Timestamp

    public init(digest: String, user: String, formToken: String, expiresAt: Timestamp) {
        self.digest = digest
        self.user = user
        self.formToken = formToken
        self.expiresAt = expiresAt
    }
}
