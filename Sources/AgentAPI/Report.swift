// What an agent sends: events, each once and in order, and how things are now.

public import Platform

/// One message of an agent. Its events are a piece of one numbered sequence; its units and samples are the state at `at`, so that
/// a later report replaces them.
///
/// A report with a `base` says only how its snapshot differs from that one: see `ReportDelta.swift`.
public struct Report: Equatable, Sendable {
    /// 32 hex digits, made when the agent first started on the host and kept in its state folder.
    public var agent: String
    public var host: String
    public var version: String
    public var at: Timestamp
    /// How often the agent means to report; silence for several of these is an alert.
    public var interval: Duration
    public var events: [Event]
    public var units: [UnitState]
    /// The host's samples by metric name, e.g. `cpu`, `load:1`, `memory:available`. What could not be measured is not in it.
    public var samples: [Sample]
    /// The number of this snapshot. An agent gives none twice, also after a restart; 0 when it does not number them.
    public var snapshot: UInt64
    /// The number of the snapshot that units and samples are relative to; `nil` when they are all there.
    public var base: UInt64?
    /// Units of the base that are not watched any longer.
    public var gone: [String]
    /// Samples of the base that are not measured any longer, by unit; the empty name is the host itself.
    public var goneSamples: [String: [String]]
    /// What somebody asked not to be told of; `nil`: as in the base.
    public var silences: [Silence]?
    /// Recurring jobs; `nil`: as in the base.
    public var jobs: [JobState]?
    /// How the orders ended that the aggregator gave.
    public var results: [OrderResult]

    public init(
        agent: String, host: String, version: String, at: Timestamp, interval: Duration, events: [Event], units: [UnitState], samples: [Sample],
        snapshot: UInt64 = 0, base: UInt64? = nil, gone: [String] = [], goneSamples: [String: [String]] = [:],
        silences: [Silence]? = [], jobs: [JobState]? = [], results: [OrderResult] = []
    ) {
        self.silences = silences
        self.jobs = jobs
        self.snapshot = snapshot
        self.base = base
        self.gone = gone
        self.goneSamples = goneSamples
        self.results = results
        self.agent = agent
        self.host = host
        self.version = version
        self.at = at
        self.interval = interval
        self.events = events
        self.units = units
        self.samples = samples
    }
}

/// A metric's value at the time of its report.
public struct Sample: Equatable, Sendable {
    /// `family:name`, or `family` alone, as rules write it.
    public var metric: String
    public var value: Double

    public init(_ metric: String, _ value: Double) {
        self.metric = metric
        self.value = value
    }
}

/// How a watched unit is.
public struct UnitState: Equatable, Sendable {
    public enum Phase: String, CaseIterable, Sendable {
        case up
        /// It does not run, or has no process, and that is as it should be: a oneshot between two runs, a daemon whose socket starts it.
        case idle
        /// It was stopped on request.
        case stopped
        case down
        /// It is there and does nothing: frozen, suspended by a signal, or waiting for a device for long.
        case stuck
        /// Its init system is starting, stopping or restarting it.
        case changing
        /// Nobody knows it, or its init system does not answer.
        case unknown

        /// The metric `up`: `nil` where a unit is neither up nor down, or where that is not known.
        public var upMetric: Double? {
            switch self {
            case .up, .stuck: 1
            case .down, .stopped, .changing: 0
            case .idle, .unknown: nil
            }
        }
    }

    public var name: String
    /// `systemd`, `pidfile`, ...
    public var initSystem: String
    public var phase: Phase
    /// When it entered this phase; `nil` when nobody can say.
    public var since: Timestamp?
    public var mainPID: Int32?
    /// In its init system's words: `active/running`, `failed/failed (signal)`.
    public var detail: String
    public var samples: [Sample]
    /// Rules in breach for long enough, as their file says them.
    public var failingRules: [String]

    public init(
        name: String, initSystem: String, phase: Phase, since: Timestamp?, mainPID: Int32?, detail: String, samples: [Sample],
        failingRules: [String]
    ) {
        self.name = name
        self.initSystem = initSystem
        self.phase = phase
        self.since = since
        self.mainPID = mainPID
        self.detail = detail
        self.samples = samples
        self.failingRules = failingRules
    }
}

/// What an aggregator answers.
public struct Acknowledgement: Equatable, Sendable {
    /// Every event up to and including this number is stored for good; the agent may forget it.
    public var sequence: UInt64
    /// The number of the snapshot that is stored now: later reports may be relative to it. `nil` when it has none of this agent.
    public var snapshot: UInt64?
    /// The report's base is not what is stored: a full report is wanted, and soon.
    public var resync: Bool
    public var orders: [AgentOrder]

    public init(sequence: UInt64, snapshot: UInt64? = nil, resync: Bool = false, orders: [AgentOrder] = []) {
        self.sequence = sequence
        self.snapshot = snapshot
        self.resync = resync
        self.orders = orders
    }
}

/// Something that the aggregator wants an agent to do. The agent does it once, and only when its own configuration allows it.
public struct AgentOrder: Equatable, Sendable {
    /// At most 64 letters, digits and hyphens.
    public var id: String
    /// An order that this agent does not understand is answered with why.
    public var request: Result<AgentRequest, RequestError>

    public init(id: String, request: Result<AgentRequest, RequestError>) {
        self.id = id
        self.request = request
    }
}

/// How an order ended.
public struct OrderResult: Equatable, Sendable {
    public var id: String
    public var isGood: Bool
    /// What the agent answered, for people.
    public var text: String

    public init(id: String, isGood: Bool, text: String) {
        self.id = id
        self.isGood = isGood
        self.text = text
    }
}
