// What the watcher is to do: the configuration, as far as it is concerned.

public import AgentAPI
public import RuleLanguage

/// What the agent is to watch.
public struct WatchPlan: Equatable, Sendable {
    public struct Service: Equatable, Sendable {
        /// As the rule file says it: `puma`, `puma.service`, `sidekiq@*`. No two services of a plan share it.
        public var name: String
        public var kind: UnitRequest.Kind
        /// Units, or patterns of units, that a pattern or `check failed units` leaves out.
        public var exceptions: [String]
        /// `with pidfile PATH`: then pid files alone answer for it.
        public var pidFile: String?
        /// `with init NAME`: then this init system alone answers for it.
        public var initSystem: String?
        public var rules: [Rule]
        /// Where events about it go unless a rule says otherwise; `nil` is the default route.
        public var route: String?
        /// Names of services without which this one cannot work.
        public var dependencies: [String]
        /// Daemons that are asked for numbers about it.
        public var sources: [DaemonSource]
        /// Where the configuration says so, for people: `/etc/rollcall/services.d/puma.inq:1`; empty when nothing is known of it.
        public var place: String

        public init(
            name: String, kind: UnitRequest.Kind = .unit, exceptions: [String] = [], pidFile: String? = nil, initSystem: String? = nil,
            rules: [Rule] = [], route: String? = nil, dependencies: [String] = [], sources: [DaemonSource] = [], place: String = ""
        ) {
            self.place = place
            self.name = name
            self.kind = kind
            self.exceptions = exceptions
            self.pidFile = pidFile
            self.initSystem = initSystem
            self.rules = rules
            self.route = route
            self.dependencies = dependencies
            self.sources = sources
        }
    }

    public struct Timers: Equatable, Sendable {
        public var pattern: String
        public var route: String?

        public init(pattern: String, route: String? = nil) {
            self.pattern = pattern
            self.route = route
        }
    }

    /// How often numbers are sampled and rules judged.
    public var cycle: Duration
    public var hostRules: [Rule]
    /// Where events about the host go unless a rule says otherwise.
    public var hostRoute: String?
    public var services: [Service]
    public var jobs: [Job]
    /// Where events about jobs go, by the job's name; the default route where it is not in it.
    public var jobRoutes: [String: String]
    /// Jobs that their init system starts (systemd's timers): patterns of their names, and where events about them go.
    public var timers: [Timers]
    /// The agent's own ways to reach people.
    public var channels: [AlertChannel]
    /// After what time a deploy window ends by itself unless it was opened for another.
    public var deployLength: Duration

    public init(
        cycle: Duration, hostRules: [Rule] = [], hostRoute: String? = nil, services: [Service], jobs: [Job] = [], jobRoutes: [String: String] = [:],
        timers: [Timers] = [], channels: [AlertChannel] = [], deployLength: Duration = .seconds(300)
    ) {
        self.cycle = cycle
        self.hostRules = hostRules
        self.hostRoute = hostRoute
        self.services = services
        self.jobs = jobs
        self.jobRoutes = jobRoutes
        self.timers = timers
        self.channels = channels
        self.deployLength = deployLength
    }

    /// What the process without privileges is to do for it.
    var runnerWork: RunnerWork { RunnerWork(interval: cycle, sources: services.flatMap(\.sources), channels: channels) }
}
