// The seam between the agent and the kernel's numbers.

public import RuleLanguage

/// Reads the kernel's numbers for the host and its units. It lives on the watcher's loop; no call waits.
///
/// Values come in the order of the list that was asked for. A metric that cannot be measured, or not yet (a rate needs two looks), is
/// `nil`; `absence` tells why.
public protocol Sampler: AnyObject {
    /// Called once per cycle, before anything is sampled: what all units share is read once a cycle.
    func beginCycle(at uptime: Duration)

    func sampleHost(_ metrics: MetricList) -> [Double?]

    func sample(_ unit: SampledUnit, _ metrics: MetricList) -> [Double?]

    /// The unit's workers, each with its own values: all of its processes but the main one, or the main one when it is alone.
    func sampleWorkers(of unit: SampledUnit, _ metrics: MetricList) -> [WorkerSamples]

    /// A unit's main process as it was read in this cycle; `nil` when it could not be read.
    /// - Parameter unit: the `key` of a unit.
    func mainProcess(of unit: String) -> MainProcessSample?

    /// Why a metric was absent in this cycle.
    /// - Parameter unit: the `key` of a unit; `nil` for the host.
    func absence(of metric: MetricName, unit: String?) -> Absence

    /// Forgets what it holds for a unit that is not watched any longer, or whose run has ended.
    func forget(unit: String)
}

/// The metrics that are wanted of one subject, in a fixed order. It is made when the configuration is read and asked for in every cycle,
/// so that a sampler can prepare itself once for each list.
public final class MetricList: Sendable {
    public let metrics: [MetricName]
    /// As samples and reports call them.
    public let keys: [String]
    /// On which something depends. What is only shown may be found out a few seconds late.
    public let judged: Set<MetricName>

    /// - Parameters:
    ///   - metrics: each is taken once, in the order of its first occurrence.
    ///   - judged: `nil`: all of them.
    public init(_ metrics: some Sequence<MetricName>, judged: Set<MetricName>? = nil) {
        var seen: Set<MetricName> = []
        self.metrics = metrics.filter { seen.insert($0).inserted }
        keys = self.metrics.map(\.description)
        self.judged = judged ?? seen
    }

    public func index(of metric: MetricName) -> Int? { metrics.firstIndex(of: metric) }
}

/// A unit, as far as a sampler wants to know it.
public struct SampledUnit: Sendable {
    /// One for each watched unit; what is held for the unit is held under it.
    public var key: String
    /// `nil` when it has no main process.
    public var process: ProcessIdentity?
    public var cgroup: String?

    public init(key: String, process: ProcessIdentity?, cgroup: String?) {
        self.key = key
        self.process = process
        self.cgroup = cgroup
    }
}

public struct WorkerSamples: Equatable, Sendable {
    public var process: ProcessIdentity
    public var values: [Double?]

    public init(process: ProcessIdentity, values: [Double?]) {
        self.process = process
        self.values = values
    }
}

/// What one look at a main process tells beside its numbers.
public struct MainProcessSample: Equatable, Sendable {
    public var state: ProcessState
    /// `nil` when the kernel does not tell.
    public var execMark: ExecMark?

    public init(state: ProcessState, execMark: ExecMark?) {
        self.state = state
        self.execMark = execMark
    }
}

/// What the kernel says that a process does.
public enum ProcessState: Sendable {
    case running, blocked, stopped, zombie, other
}

/// Why a value is absent.
public enum Absence: Equatable, Sendable {
    /// A rate that has been looked at once.
    case notYet
    /// There is nothing to measure: swap on a host without swap, the quota of a unit that has none.
    case nothing
    /// It cannot be read; why, for a person.
    case failed(String)
}

/// Tells at once when a process ends. It lives on the watcher's loop.
public protocol ProcessWatcher: AnyObject {
    /// Calls `ended` once, when the process ends, or soon when it is not there any more. Watching another process for the same key
    /// replaces the first.
    func watch(_ process: ProcessIdentity, for key: String, ended: @escaping () -> Void)
    func unwatch(_ key: String)
}
