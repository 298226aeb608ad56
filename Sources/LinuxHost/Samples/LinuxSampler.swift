// The numbers of the host and of its units, from /proc and the control groups.

public import AgentCore
import Glibc
public import Logging
import Platform
public import RuleLanguage

/// Reads what is asked for and nothing else, each source once in a cycle.
public final class LinuxSampler: Sampler {
    private let shared: SharedSources
    private let host: HostSampler
    private var units: [String: UnitSampler] = [:]
    /// The unit that was asked about last, which the next question is mostly about as well.
    private var latest: (key: String, sampler: UnitSampler)?

    /// - Parameters:
    ///   - root: where `proc` and `sys/fs/cgroup` are found.
    ///   - memoryBudget: percent of one processor that reading proportional memory may take, which is expensive.
    public convenience init(root: String = "/", memoryBudget: Double = 1, logger: Logger) {
        self.init(
            root: root, memoryBudget: memoryBudget, logger: logger, clockTicks: UInt64(max(1, sysconf(Int32(_SC_CLK_TCK)))),
            pageSize: UInt64(max(1, sysconf(Int32(_SC_PAGESIZE)))))
    }

    init(root: String, memoryBudget: Double = 1, logger: Logger, clockTicks: UInt64, pageSize: UInt64) {
        shared = SharedSources(root: root, memoryBudget: memoryBudget, logger: logger, clockTicks: clockTicks, pageSize: pageSize)
        host = HostSampler(shared: shared)
    }

    public func beginCycle(at uptime: Duration) { shared.beginCycle(at: uptime) }

    public func sampleHost(_ metrics: MetricList) -> [Double?] { host.sample(metrics) }

    public func sample(_ unit: SampledUnit, _ metrics: MetricList) -> [Double?] { sampler(of: unit).sample(metrics) }

    public func sampleWorkers(of unit: SampledUnit, _ metrics: MetricList) -> [WorkerSamples] { sampler(of: unit).sampleWorkers(metrics) }

    public func mainProcess(of unit: String) -> MainProcessSample? { known(unit)?.mainProcess() }

    public func absence(of metric: MetricName, unit: String?) -> Absence {
        if let unit {
            guard let measure = ServiceMeasure(metric) else { return .failed("nothing measures \(metric)") }
            return units[unit]?.absence(of: measure) ?? .notYet
        }
        guard let measure = HostMeasure(metric) else { return .failed("nothing measures \(metric)") }
        return host.absence(of: measure)
    }

    public func forget(unit: String) {
        units[unit] = nil
        latest = nil
    }

    /// What is held for a unit is of one main process in one control group; with another, all rates begin anew.
    private func sampler(of unit: SampledUnit) -> UnitSampler {
        if let known = known(unit.key), known.process == unit.process, known.groupName == unit.cgroup { return known }
        let new = UnitSampler(process: unit.process, group: unit.cgroup, shared: shared)
        units[unit.key] = new
        latest = (unit.key, new)
        return new
    }

    private func known(_ key: String) -> UnitSampler? {
        if let latest, latest.key == key { return latest.sampler }
        guard let known = units[key] else { return nil }
        latest = (key, known)
        return known
    }
}
