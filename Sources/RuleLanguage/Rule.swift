// What `.inq` files say, as values.

public import Platform

/// One `.inq` file: one check.
public struct RuleFile: Equatable, Sendable {
    public enum Subject: Equatable, Sendable {
        /// `check service NAME`: a unit by the name its init system knows, or all units that match a pattern such as `sidekiq@*`.
        case service(String)
        /// `check failed units`: every unit that fails, whatever it is.
        case failedUnits
        /// `check host`
        case host
        /// `check jobs`
        case jobs
    }

    public var subject: Subject
    /// What follows `with`, in written order.
    public var parameters: [Parameter]
    /// What follows `expose`, in written order.
    public var exposes: [String]
    /// What follows `depends on`, in written order: services without which this one cannot work. While one of them is down, nobody is told
    /// of this one.
    public var dependencies: [Dependency] = []
    public var rules: [Rule]
    /// Rules with a fault, as far as their metric and threshold were understood: for whoever looks for further faults, and never to be judged.
    public var faultyRules: [Rule] = []
    /// For `check jobs`: the recurring jobs.
    public var jobs: [Job]
    /// Of what is checked: the service's name, or the word `host` or `jobs`.
    public var place: Place

    public init(
        subject: Subject, parameters: [Parameter] = [], exposes: [String] = [], rules: [Rule] = [], jobs: [Job] = [],
        place: Place = Place(line: 1, column: 1)
    ) {
        self.subject = subject
        self.parameters = parameters
        self.exposes = exposes
        self.rules = rules
        self.jobs = jobs
        self.place = place
    }

    /// The value of a parameter, if it was given.
    public func parameter(_ key: String) -> String? { parameters.first { $0.key == key }?.value }
}

/// `KEY VALUE` after `with`.
public struct Parameter: Equatable, Sendable {
    public var key: String
    public var value: String
    public var place: Place

    public init(key: String, value: String, place: Place) {
        self.key = key
        self.value = value
        self.place = place
    }
}

/// A name after `depends on`.
public struct Dependency: Equatable, Sendable {
    public var name: String
    public var place: Place

    public init(name: String, place: Place) {
        self.name = name
        self.place = place
    }
}

/// A condition, for how long it must hold, and what to do then.
public struct Rule: Equatable, Sendable {
    public var condition: Condition
    public var persistence: Persistence
    /// What ends an episode; `nil`: the first sample with which the condition does not hold.
    public var clear: Clear?
    /// When the rule is judged; `nil`: always.
    public var window: Window?
    /// How bad it is; `nil` when the rule does not say, which means `error`.
    public var importance: Importance?
    /// In the order in which they are written, which is the order in which they run.
    public var actions: [Action]
    /// After `else`: what is done when an episode ends. Nothing else but an alert is ever repeated by a recovery.
    public var recoveryActions: [Action]
    /// Of its `if`.
    public var place: Place

    public init(
        condition: Condition, persistence: Persistence = .once, clear: Clear? = nil, window: Window? = nil, importance: Importance? = nil,
        actions: [Action], recoveryActions: [Action] = [], place: Place
    ) {
        self.condition = condition
        self.persistence = persistence
        self.clear = clear
        self.window = window
        self.importance = importance
        self.actions = actions
        self.recoveryActions = recoveryActions
        self.place = place
    }
}

/// What a rule looks at: `A > 1 and B > 2 or C == 3`; `and` binds closer than `or`, parentheses group.
public indirect enum Condition: Equatable, Sendable {
    case comparison(Comparison)
    /// Two or more.
    case all([Condition])
    /// Two or more.
    case any([Condition])

    /// In written order.
    public var comparisons: [Comparison] {
        switch self {
        case .comparison(let comparison): [comparison]
        case .all(let parts), .any(let parts): parts.flatMap(\.comparisons)
        }
    }
}

/// One metric and what it is compared with.
public struct Comparison: Equatable, Sendable {
    public enum Operator: String, CaseIterable, Sendable {
        case above = ">"
        case below = "<"
        case atLeast = ">="
        case atMost = "<="
        case equal = "=="
        case unequal = "!="
    }

    public var metric: MetricName
    public var `operator`: Operator
    public var threshold: Amount
    /// `each worker`: it holds when it holds for one of the unit's workers, whichever.
    public var isOfEachWorker: Bool
    public var metricPlace: Place
    public var thresholdPlace: Place

    public init(
        metric: MetricName, operator: Operator, threshold: Amount, isOfEachWorker: Bool = false, metricPlace: Place, thresholdPlace: Place
    ) {
        self.metric = metric
        self.operator = `operator`
        self.threshold = threshold
        self.isOfEachWorker = isOfEachWorker
        self.metricPlace = metricPlace
        self.thresholdPlace = thresholdPlace
    }
}

/// How long a condition must hold before it is believed.
public enum Persistence: Equatable, Sendable {
    /// `for 3 cycles`: in so many cycles in a row.
    case cycles(Int)
    /// `for 30s`: in every sample of so long a time.
    case time(Duration)
    /// `3 times within 10 cycles`.
    case times(Int, withinCycles: Int)

    /// What a rule means that says nothing.
    public static let once = Persistence.cycles(1)
}

/// `clear < 400m for 2 cycles`: what must hold, and for how long, before an episode is over.
public struct Clear: Equatable, Sendable {
    /// Against the metric of the rule's only comparison.
    public struct Level: Equatable, Sendable {
        public var `operator`: Comparison.Operator
        public var threshold: Amount

        public init(_ operator: Comparison.Operator, _ threshold: Amount) {
            self.operator = `operator`
            self.threshold = threshold
        }
    }

    /// `nil`: it is enough that the condition does not hold.
    public var level: Level?
    /// `.cycles` or `.time`.
    public var persistence: Persistence
    public var place: Place

    public init(level: Level? = nil, persistence: Persistence = .once, place: Place) {
        self.level = level
        self.persistence = persistence
        self.place = place
    }
}

/// When a rule is judged.
public enum Window: Equatable, Sendable {
    case during(TimeWindow)
    case except(TimeWindow)
}

/// `family`, `family:name` or `family(name)`: `load:1`, `cpu`, `disk(/var)`.
public struct MetricName: Hashable, Sendable, CustomStringConvertible {
    public var family: String
    public var name: String?

    public init(_ family: String, _ name: String? = nil) {
        self.family = family
        self.name = name
    }

    /// `family:name`, however it was written: the key of samples and reports.
    public var description: String { name.map { "\(family):\($0)" } ?? family }
}

/// The number a rule compares with.
public struct Amount: Equatable, Sendable {
    /// In base units: `500m` is 524 288 000, `90%` is 90, `5min` is 300.
    public var value: Double
    /// `/sec`: the metric's growth is compared, not its value.
    public var perSecond: Bool
    /// Written with `%`.
    public var percent: Bool
    /// Written with a unit of time, which only metrics of seconds have; `value` is in seconds.
    public var isTime: Bool
    /// As it was written.
    public var text: String

    public init(value: Double, perSecond: Bool = false, percent: Bool = false, isTime: Bool = false, text: String) {
        self.value = value
        self.perSecond = perSecond
        self.percent = percent
        self.isTime = isTime
        self.text = text
    }
}

public struct Action: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// `nil` is the default route.
        case alert(route: String?)
        case reload, restart, start, stop
        case signal([SignalStep])
        case exec(Command)
    }

    public var kind: Kind
    public var place: Place

    public init(_ kind: Kind, place: Place) {
        self.kind = kind
        self.place = place
    }
}

/// `QUIT 30s`: a signal, and how long its effect is waited for before the next one is sent.
public struct SignalStep: Equatable, Sendable {
    /// As signal(7) numbers it.
    public var signal: Int32
    /// `nil` for the last step.
    public var wait: Duration?

    public init(signal: Int32, wait: Duration? = nil) {
        self.signal = signal
        self.wait = wait
    }
}

/// `exec "/usr/local/bin/heal --fast" as deploy timeout 30s`
public struct Command: Equatable, Sendable {
    /// The program's path, which is absolute, and its arguments. No shell reads them.
    public var arguments: [String]
    /// `nil`: the agent's own.
    public var user: String?
    public var timeout: Duration

    public static let defaultTimeout = Duration.seconds(30)

    public init(arguments: [String], user: String? = nil, timeout: Duration = Command.defaultTimeout) {
        self.arguments = arguments
        self.user = user
        self.timeout = timeout
    }
}

/// `backup happens at "0 3 * * *" within 30 minutes for at most 2 hours`
public struct Job: Equatable, Sendable {
    public enum Schedule: Equatable, Sendable {
        case every(Duration)
        case cron(CronExpression)
    }

    public var name: String
    public var schedule: Schedule
    /// How late it may be before somebody is told; `nil` when the job does not say.
    public var grace: Duration?
    /// How long a run may take; `nil`: as long as it likes.
    public var longestRun: Duration?
    public var place: Place

    public init(name: String, schedule: Schedule, grace: Duration? = nil, longestRun: Duration? = nil, place: Place) {
        self.name = name
        self.schedule = schedule
        self.grace = grace
        self.longestRun = longestRun
        self.place = place
    }
}

/// Where something stands in a file; line and column count from 1, columns in characters.
public struct Place: Hashable, Sendable {
    public var line: Int
    public var column: Int

    /// Nowhere in particular: the file as a whole.
    public static let wholeFile = Place(line: 0, column: 0)

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}
