// What `.inq` files say, as values.

/// One `.inq` file: one check.
public struct RuleFile: Equatable, Sendable {
    public enum Subject: Equatable, Sendable {
        /// `check service NAME`: a unit by the name its init system knows.
        case service(String)
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

/// A threshold on a metric, for some cycles, and what to do when it is crossed.
public struct Rule: Equatable, Sendable {
    public enum Comparison: String, Sendable {
        case above = ">"
        case below = "<"
    }

    public var metric: MetricName
    public var comparison: Comparison
    public var threshold: Amount
    /// In how many cycles in a row the threshold must be crossed; 1 when the rule does not say.
    public var cycles: Int
    /// In the order in which they are written, which is the order in which they run.
    public var actions: [Action]
    /// Of its `if`.
    public var place: Place
    /// Of its metric, and of its threshold; the rule's own place when nobody said more.
    public var metricPlace: Place
    public var thresholdPlace: Place

    public init(
        metric: MetricName, comparison: Comparison, threshold: Amount, cycles: Int = 1, actions: [Action], place: Place,
        metricPlace: Place? = nil, thresholdPlace: Place? = nil
    ) {
        self.metric = metric
        self.comparison = comparison
        self.threshold = threshold
        self.cycles = cycles
        self.actions = actions
        self.place = place
        self.metricPlace = metricPlace ?? place
        self.thresholdPlace = thresholdPlace ?? place
    }
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
    /// In base units: `500m` is 524 288 000, `90%` is 90.
    public var value: Double
    /// `/sec`: the metric's growth is compared, not its value.
    public var perSecond: Bool
    /// Written with `%`.
    public var percent: Bool
    /// As it was written.
    public var text: String

    public init(value: Double, perSecond: Bool = false, percent: Bool = false, text: String) {
        self.value = value
        self.perSecond = perSecond
        self.percent = percent
        self.text = text
    }
}

public struct Action: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        case alert, reload, restart
    }

    public var kind: Kind
    /// For `alert`: where to; `nil` is the default route.
    public var route: String?
    public var place: Place

    public init(kind: Kind, route: String? = nil, place: Place) {
        self.kind = kind
        self.route = route
        self.place = place
    }
}

/// `NAME happens every N minutes`.
public struct Job: Equatable, Sendable {
    public var name: String
    public var every: Duration
    public var place: Place

    public init(name: String, every: Duration, place: Place) {
        self.name = name
        self.every = every
        self.place = place
    }
}

/// Where something stands in a file; line and column count from 1, columns in characters.
public struct Place: Hashable, Sendable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}
