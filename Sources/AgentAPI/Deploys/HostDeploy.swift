// How a deploy stands on one host.

public import Platform

/// How a deploy of a service stands on one host, as people and programs see it. Its JSON is an interface that scripts rely on.
public struct HostDeploy: Equatable, Sendable {
    /// What a process of the service is to the deploy.
    public enum Class: String, CaseIterable, Sendable {
        /// In the baseline, and does not answer the token.
        case old = "OLD"
        /// In the baseline, and answers a token that it cannot have read when it booted.
        case dynamic = "DYNAMIC"
        /// Not in the baseline, and proven to run the new release.
        case new = "NEW"
        /// Not in the baseline, and proven to run something else.
        case oldCode = "OLDCODE"
        /// Not in the baseline, and nothing proven yet.
        case unknown = "UNKNOWN"
        /// In the baseline, alive, and accepts no connections any more.
        case draining = "DRAINING"
    }

    public enum Role: String, Sendable {
        case worker
        /// Holds the listener for others: a master, an activation holder.
        case master
    }

    public struct Process: Equatable, Sendable {
        public var pid: Int32
        public var role: Role
        /// `nil` for a master.
        public var `class`: Class?
        /// The first digits of the token that it answered; `none` when it answered something else.
        public var tokenPrefix: String?
        /// Of its last answer.
        public var answerMilliseconds: Double?
        public var age: Duration
        /// `same-as-baseline`, `new`, or `unknown`.
        public var exec: String
        public var folder: String?
        public var isInRelease: Bool?
        public var isFolderDeleted: Bool
        /// Accepted connections that are open.
        public var connections: Int?
        /// For how long it has had open connections without a break, as far as that was seen.
        public var busy: Duration?
        /// Why it does not run the new release, in a word: `preload`, `wrong-directory` or `token-missing`; `nil` where that is not known.
        public var reason: String?

        public init(
            pid: Int32, role: Role, class: Class?, tokenPrefix: String? = nil, answerMilliseconds: Double? = nil, age: Duration, exec: String,
            folder: String? = nil, isInRelease: Bool? = nil, isFolderDeleted: Bool = false, connections: Int? = nil, busy: Duration? = nil,
            reason: String? = nil
        ) {
            self.pid = pid
            self.role = role
            self.class = `class`
            self.tokenPrefix = tokenPrefix
            self.answerMilliseconds = answerMilliseconds
            self.age = age
            self.exec = exec
            self.folder = folder
            self.isInRelease = isInRelease
            self.isFolderDeleted = isFolderDeleted
            self.connections = connections
            self.busy = busy
            self.reason = reason
        }
    }

    public struct Listener: Equatable, Sendable {
        /// `tcp` or `unix`
        public var kind: String
        public var address: String
        /// Connections that wait to be accepted.
        public var queue: Int?
        public var backlog: Int?

        public init(kind: String, address: String, queue: Int? = nil, backlog: Int? = nil) {
            self.kind = kind
            self.address = address
            self.queue = queue
            self.backlog = backlog
        }
    }

    /// Something that happened to a process.
    public struct Incident: Equatable, Sendable {
        /// From the baseline.
        public var after: Duration
        /// `fork`, `exec` or `exit`
        public var what: String
        public var pid: Int32
        public var `class`: Class?
        /// `exit status 1`, `killed by SIGKILL`; `nil` where it is not known.
        public var how: String?

        public init(after: Duration, what: String, pid: Int32, class: Class? = nil, how: String? = nil) {
            self.after = after
            self.what = what
            self.pid = pid
            self.class = `class`
            self.how = how
        }
    }

    public var service: String
    public var host: String
    public var state: Verdict
    /// Nothing that comes later changes it.
    public var isFinal: Bool
    public var since: Timestamp
    /// `nil` where nobody prepared the deploy, and for a look without a deploy.
    public var deploy: String?
    public var tokenPrefix: String?
    public var hasBaseline: Bool
    /// `attributed-http`, `process`, `http`, or `none`.
    public var evidence: String
    public var expectedWorkers: Int?
    public var processes: [Process]
    public var listeners: [Listener]
    public var incidents: [Incident]
    public var availability: Availability?
    /// For a person, the most important first.
    public var reasons: [String]
    /// What it could not see, and why.
    public var lacks: [String]

    public init(
        service: String, host: String, state: Verdict, isFinal: Bool = false, since: Timestamp, deploy: String? = nil, tokenPrefix: String? = nil,
        hasBaseline: Bool = false, evidence: String, expectedWorkers: Int? = nil, processes: [Process] = [], listeners: [Listener] = [],
        incidents: [Incident] = [], availability: Availability? = nil, reasons: [String] = [], lacks: [String] = []
    ) {
        self.service = service
        self.host = host
        self.state = state
        self.isFinal = isFinal
        self.since = since
        self.deploy = deploy
        self.tokenPrefix = tokenPrefix
        self.hasBaseline = hasBaseline
        self.evidence = evidence
        self.expectedWorkers = expectedWorkers
        self.processes = processes
        self.listeners = listeners
        self.incidents = incidents
        self.availability = availability
        self.reasons = reasons
        self.lacks = lacks
    }

    public func count(_ class: Class) -> Int { processes.count { $0.class == `class` } }
}

/// What requests at a steady rate have met with.
public struct Availability: Equatable, Sendable {
    public var requests: Int
    public var failed: Int
    /// Answered, later than a second.
    public var late: Int
    /// The longest time in which no request that was due was answered.
    public var longestStall: Duration
    public var median: Duration?
    public var percentile99: Duration?
    /// The last failures' kinds, with how often: `connection refused 3 times`.
    public var failures: [String]

    public init(
        requests: Int = 0, failed: Int = 0, late: Int = 0, longestStall: Duration = .zero, median: Duration? = nil, percentile99: Duration? = nil,
        failures: [String] = []
    ) {
        self.requests = requests
        self.failed = failed
        self.late = late
        self.longestStall = longestStall
        self.median = median
        self.percentile99 = percentile99
        self.failures = failures
    }
}
