// The seam between watching and talking.

public import AgentAPI
public import Platform

/// Takes what the watcher has to say and delivers it in its own time, on its own thread. No call waits.
public protocol ReportSink: AnyObject {
    /// Keeps an event until an aggregator has it; it gets its number here. Events keep the order in which they are recorded.
    func record(_ event: Event)

    /// Replaces what was said before about the present. Called after every event and every change, and at the end of each cycle whose numbers
    /// are wanted.
    func update(_ snapshot: Snapshot)

    /// Whether a snapshot is wanted in which nothing but numbers is new. To make one that nobody reads costs as much as the rules do.
    func wantsNumbers(at uptime: Duration) -> Bool

    /// A cycle has ended: every unit that is up has just been sampled, and each exec mark that changed been told.
    func cycleEnded(at now: Timestamp)

    /// A unit's main process was seen for the first time, or is gone (`nil`): whoever answers for deploys looks at it now.
    func mainProcess(of unit: String, is process: ProcessIdentity?)

    /// The exec mark of a unit's main process was sampled for the first time, has changed, or is not sampled any longer (`nil`). As long as
    /// there is one, an exec is told within a cycle; without one, who wants to know of an exec must look for it.
    func mainProcess(of unit: String, hasMark mark: ExecMark?)
}

/// How things are now.
public struct Snapshot: Equatable, Sendable {
    public var at: Timestamp
    public var units: [UnitState]
    public var samples: [Sample]
    public var silences: [Silence]
    public var jobs: [JobState]
    /// Whether the process works that sends alerts and asks daemons; `nil` where there is nothing for it to do.
    public var isRunnerUp: Bool?

    public init(
        at: Timestamp, units: [UnitState], samples: [Sample], silences: [Silence] = [], jobs: [JobState] = [], isRunnerUp: Bool? = nil
    ) {
        self.isRunnerUp = isRunnerUp
        self.silences = silences
        self.jobs = jobs
        self.at = at
        self.units = units
        self.samples = samples
    }
}
