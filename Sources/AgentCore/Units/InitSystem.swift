// The seam between the agent and what manages processes.

public import Platform

/// An init system, or anything else that starts processes and can be asked about them: systemd, pid files, ...
///
/// It lives on the watcher's loop; no call waits. What it learns it says through the observer, also unasked: a change reaches the
/// observer as soon as the init system tells. An init system that stops answering says so once (`sourceFailed`), keeps trying, and
/// says everything anew when it is back.
public protocol InitSystem: AnyObject {
    /// `systemd`, `pidfile`: the word in `with init NAME` and in reports.
    var name: String { get }

    /// Begins to watch. For every request that this init system can resolve, now or later, the observer hears what is known of the unit;
    /// of the others it hears `Observation.Presence.absent`.
    func start(watching requests: [UnitRequest], observer: any InitObserver)

    /// Watches these units and no others from now on; what stays watched keeps its state.
    func change(watching requests: [UnitRequest])

    /// Asks for a change of a unit as a job of the init system. The answer comes once, when the job has ended or its deadline has passed;
    /// whether the unit then works is for the next observations to tell. A verb that this init system has no means for is refused.
    func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void)

    /// Asks for a unit's present state, whatever is cached of it. `done` is called once: after the observer has heard the answer, or when
    /// there is none. Where every look reads the present state anyway there is nothing to ask, and `done` is called at once.
    func refresh(_ unit: String, _ done: @escaping () -> Void)

    func stop()
}

extension InitSystem {
    public func refresh(_ unit: String, _ done: @escaping () -> Void) { done() }
}

/// Units that somebody wants watched.
public struct UnitRequest: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The one unit of this name, whether it is there already or appears later.
        case unit
        /// Every unit whose name matches a shell pattern (`sidekiq@*`), as they come and go. A name without a type (`.service`) means
        /// services. There is an observation for each, and none while nothing matches; a unit that is gone is told as `absent`.
        case pattern
        /// Every unit that has failed, whatever its type. One that is not failed any longer is told as `absent`.
        case failed
    }

    /// As the rule file says it: `puma`, `puma.service`, `sidekiq@*`. No two requests share it.
    public var name: String
    public var kind: Kind
    /// `with pidfile PATH`
    public var pidFile: String?

    public init(name: String, kind: Kind = .unit, pidFile: String? = nil) {
        self.name = name
        self.kind = kind
        self.pidFile = pidFile
    }
}

public enum UnitVerb: Hashable, Sendable {
    case start, stop, restart, reload
    /// Sends a signal, by its number, to the unit's main process.
    case signal(Int32)
}

extension UnitVerb: CustomStringConvertible {
    public var description: String {
        switch self {
        case .start: "start"
        case .stop: "stop"
        case .restart: "restart"
        case .reload: "reload"
        case .signal(let number): "send \(signalName(number)) to"
        }
    }
}

/// An action that did not happen or did not work: why, in words for a person.
public struct ActionError: Error, Equatable, Sendable {
    public var problem: String
    public init(_ problem: String) { self.problem = problem }
}

/// Hears what init systems learn. Called on the watcher's loop.
public protocol InitObserver: AnyObject {
    func observed(_ observation: Observation, from initSystem: any InitSystem)
    /// The init system cannot be asked at present; `why` is for a person.
    func sourceFailed(_ initSystem: any InitSystem, why: String)
    func sourceRecovered(_ initSystem: any InitSystem)
    /// The whole host is being stopped or restarted, or that was called off.
    func hostIsStopping(_ isStopping: Bool, as initSystem: any InitSystem)
}

/// All that an init system knows about one unit at one moment.
public struct Observation: Equatable, Sendable {
    public enum Presence: Equatable, Sendable {
        /// The init system knows no such unit.
        case absent
        case present
        /// The init system may know the unit, and the agent cannot find out at present; `detail` says why. Of the other units it tells.
        case hidden
    }

    /// What the unit is doing.
    public enum Activity: Equatable, Sendable {
        case running
        /// Starting for the first time or after a stop: it may still fail.
        case starting
        case stopping
        /// Its run has ended and the init system is waiting to start it again by itself.
        case restarting
        case reloading
        /// Not running, and it ended well or was never started.
        case stopped
        /// Not running, and the init system holds its last run for a failure.
        case failed
    }

    /// What it means when the unit does not run.
    public enum Nature: String, Sendable {
        /// It should run all the time.
        case daemon
        /// It runs to do a piece of work, and ends: a oneshot, whatever a timer starts, a transient unit.
        case batch
        /// Its start is a piece of work, and it stays active without any process afterwards: a oneshot with RemainAfterExit=. It is no
        /// sign of life of anything else.
        case marker
        /// Not about processes: a socket, a mount, a target, a slice.
        case passive
    }

    /// What starts a unit when it is needed.
    public struct Activation: Equatable, Sendable {
        /// `docker.socket`, or `bus name org.example.Thing`.
        public var by: String
        /// Whether that is in place now: the socket listens, the path is watched.
        public var isActive: Bool
        public var hasFailed: Bool

        public init(by: String, isActive: Bool, hasFailed: Bool = false) {
            self.by = by
            self.isActive = isActive
            self.hasFailed = hasFailed
        }
    }

    /// Why its init system will not start it, whoever asks.
    public enum Obstacle: String, Sendable {
        case masked
        /// A condition of the unit (systemd: `ConditionResult`) was not met at the last try.
        case conditionFailed
        /// Started too often in too short a time.
        case startLimit
    }

    /// The request that it answers.
    public var request: String
    public var presence: Presence
    /// The unit's own name (systemd: `Id`); equal for all its aliases. Events and reports use it.
    public var unit: String
    public var activity: Activity
    /// The init system's words: `active/running`.
    public var detail: String
    /// One value per run (systemd: InvocationID); `nil` when it has no run, or the init system has no such thing.
    public var run: String?
    public var mainProcess: ProcessIdentity?
    /// Path of its cgroup below the cgroup root, with a leading slash; `nil` when unknown.
    public var cgroup: String?
    /// How often the init system has restarted it by itself.
    public var automaticRestarts: Int
    /// How its last run ended, if one did.
    public var lastExit: ExitReason?
    /// Whether its init system holds that end for a good one, whatever the exit status (systemd: `Result=success`); `nil` where only the
    /// status tells.
    public var endedWell: Bool?
    /// Whether the init system restarts it by itself after some way of ending (systemd: `Restart=` other than `no`).
    public var restartsByItself: Bool
    /// Whether it will restart it after the end of this run; `nil` while there is no end, or where its policy is not known.
    public var willRestart: Bool?
    /// How long it waits before it does.
    public var restartDelay: Duration
    public var nature: Nature
    /// Units that are stopped and restarted with it; of a marker they are what it stands for.
    public var parts: [String]
    /// What starts it when it is needed; `nil` where nothing does.
    public var activation: Activation?
    /// Its processes have been suspended through their control group.
    public var isFrozen: Bool
    /// Whether a job that somebody asked for (start, stop, restart) is queued or running for it.
    public var hasJob: Bool
    public var since: Timestamp?
    public var obstacle: Obstacle?
    /// Whether it can be told to reload; `nil` when nobody knows.
    public var canReload: Bool?
    /// How long a start may take before the init system itself gives up; `nil` when it never does or nobody knows.
    public var startTimeout: Duration?

    public init(
        request: String, presence: Presence = .present, unit: String, activity: Activity, detail: String, run: String? = nil,
        mainProcess: ProcessIdentity? = nil, cgroup: String? = nil, automaticRestarts: Int = 0, lastExit: ExitReason? = nil,
        endedWell: Bool? = nil, restartsByItself: Bool = false, willRestart: Bool? = nil, restartDelay: Duration = .zero,
        nature: Nature = .daemon, parts: [String] = [], activation: Activation? = nil, isFrozen: Bool = false, hasJob: Bool = false,
        since: Timestamp? = nil,
        obstacle: Obstacle? = nil, canReload: Bool? = nil, startTimeout: Duration? = nil
    ) {
        self.request = request
        self.presence = presence
        self.unit = unit
        self.activity = activity
        self.detail = detail
        self.run = run
        self.mainProcess = mainProcess
        self.cgroup = cgroup
        self.automaticRestarts = automaticRestarts
        self.lastExit = lastExit
        self.endedWell = endedWell
        self.restartsByItself = restartsByItself
        self.willRestart = willRestart
        self.restartDelay = restartDelay
        self.nature = nature
        self.parts = parts
        self.activation = activation
        self.isFrozen = isFrozen
        self.hasJob = hasJob
        self.since = since
        self.obstacle = obstacle
        self.canReload = canReload
        self.startTimeout = startTimeout
    }
}

/// A process that no other process is ever taken for, not even one that gets the same pid.
public struct ProcessIdentity: Hashable, Sendable {
    public var pid: Int32
    /// Field 22 of /proc/PID/stat: clock ticks after boot.
    public var startTicks: UInt64

    public init(pid: Int32, startTicks: UInt64) {
        self.pid = pid
        self.startTicks = startTicks
    }
}

/// How a run ended.
public enum ExitReason: Equatable, Sendable, CustomStringConvertible {
    case exited(status: Int32)
    case signaled(Int32)
    case dumpedCore(signal: Int32)
    case outOfMemory
    case watchdog
    case timeout
    /// Started too often in too short a time; the init system gave up.
    case startLimit
    /// In the init system's own word: `resources`, `protocol`, ...
    case other(String)

    public var isSuccess: Bool { self == .exited(status: 0) }

    public var description: String {
        switch self {
        case .exited(let status): "exited with status \(status)"
        case .signaled(let signal): "killed by \(signalName(signal))"
        case .dumpedCore(let signal): "killed by \(signalName(signal)), core dumped"
        case .outOfMemory: "killed: out of memory"
        case .watchdog: "killed by its watchdog"
        case .timeout: "timed out"
        case .startLimit: "started too often, start limit reached"
        case .other(let word): "failed: \(word)"
        }
    }
}

/// `SIGKILL` for 9; numbers as Linux on x86-64 and arm64 has them.
public func signalName(_ number: Int32) -> String {
    let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT",
        "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]
    return number >= 1 && Int(number) <= names.count ? "SIG" + names[Int(number) - 1] : "signal \(number)"
}
