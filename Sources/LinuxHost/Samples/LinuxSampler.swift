// The numbers of the host and of its units, from /proc and the control groups.

public import AgentCore
import Glibc
public import Logging
import Platform
public import RuleLanguage

/// Reads what is asked for and nothing else. Memory is in bytes; processor time is in percent of one processor over the time that
/// has really passed, so that it can be above 100.
public final class LinuxSampler: Sampler {
    /// Of a unit:
    /// - `memory:rss`: the main process's resident memory
    /// - `memory:total_rss`: the same, summed over all processes of the unit; pages that several share count several times
    /// - `memory:total`: what the unit's control group is charged for, less reclaimable file cache; needs memory accounting
    /// - `cpu:user`, `cpu:system`: of the main process
    /// - `cpu:total`, `cpu:total_user`, `cpu:total_system`: of all processes of the unit
    public static let serviceMetrics: Set<String> = [
        "memory:rss", "memory:total_rss", "memory:total", "cpu:user", "cpu:system", "cpu:total", "cpu:total_user", "cpu:total_system",
    ]

    /// Of the host:
    /// - `cpu`: all but idling, with waiting for disks, summed over all processors; `cpu:user` and the others are parts of it
    /// - `load:1`, `load:5`, `load:15`
    /// - `swap`: percent used; absent without swap
    /// - `memory:available`, `memory:total`
    ///
    /// Beside these, `disk:MOUNT`: percent used of the file system that is mounted there.
    public static let hostMetrics: Set<String> = [
        "cpu", "cpu:user", "cpu:system", "cpu:iowait", "cpu:steal", "load:1", "load:5", "load:15", "swap", "memory:available", "memory:total",
    ]

    private let root: String
    private let logger: Logger
    private let proc: ProcFileSystem
    private let cgroups: String
    private let clockTicks: UInt64
    private let pageSize: UInt64
    private let budget = DescriptorBudget()

    private var layout: CgroupLayout?
    private var uptime = Duration.zero
    private var table: ProcessTable?
    private var hostMeters: [String: Meter] = [:]
    private var hostFiles: [String: HeldFile] = [:]
    private var disks: [String: DiskUsage] = [:]
    private var units: [String: Unit] = [:]

    private struct Unit {
        var process: ProcessIdentity?
        var stat: HeldFile?
        var statm: HeldFile?
        var cgroup: CgroupReader?
        var meters: [String: Meter] = [:]
        var share = ProcessorShare()
    }

    /// - Parameter root: where `proc` and `sys/fs/cgroup` are found.
    public convenience init(root: String = "/", logger: Logger) {
        self.init(
            root: root, logger: logger, clockTicks: UInt64(max(1, sysconf(Int32(_SC_CLK_TCK)))),
            pageSize: UInt64(max(1, sysconf(Int32(_SC_PAGESIZE)))))
    }

    init(root: String, logger: Logger, clockTicks: UInt64, pageSize: UInt64) {
        self.root = root.hasSuffix("/") ? root : root + "/"
        self.logger = logger
        self.clockTicks = clockTicks
        self.pageSize = pageSize
        proc = ProcFileSystem(root: root)
        cgroups = self.root + "sys/fs/cgroup"
    }

    // MARK: The host

    public func beginCycle(at uptime: Duration) {
        self.uptime = uptime
        table = nil
        if layout == nil { findLayout() }
    }

    public func sampleHost(_ metrics: MetricList) -> [Double?] {
        let values = sampleHost(Set(metrics.keys))
        return metrics.keys.map { values[$0] }
    }

    public func sampleWorkers(of unit: SampledUnit, _ metrics: MetricList) -> [WorkerSamples] { [] }

    public func absence(of metric: MetricName, unit: String?) -> Absence { .notYet }

    func sampleHost(_ metrics: Set<String>) -> [String: Double] {
        var values: [String: Double] = [:]
        addProcessor(metrics, to: &values)
        addLoad(metrics, to: &values)
        addMemory(metrics, to: &values)
        addDisks(metrics, to: &values)
        return values.filter { metrics.contains($0.key) }
    }

    private func findLayout() {
        layout = CgroupLayout(at: cgroups)
        if let layout { logger.debug("control groups found", metadata: ["layout": "\(layout)"]) }
    }

    private func addProcessor(_ metrics: Set<String>, to values: inout [String: Double]) {
        let wanted = metrics.filter { $0 == "cpu" || $0.hasPrefix("cpu:") }
        guard !wanted.isEmpty else { return }
        let stat = readHost("stat").flatMap { HostStat(parsing: $0) }
        let counters = ["cpu": stat?.busy, "cpu:user": stat?.user, "cpu:system": stat?.system, "cpu:iowait": stat?.ioWait, "cpu:steal": stat?.steal]
        for (metric, counter) in counters where wanted.contains(metric) {
            values[metric] = hostMeters[metric, default: Meter()].look(counter, at: uptime).map(percent)
        }
    }

    private func addLoad(_ metrics: Set<String>, to values: inout [String: Double]) {
        guard metrics.contains(where: { $0.hasPrefix("load:") }) else { return }
        guard let load = readHost("loadavg").flatMap({ LoadAverage(parsing: $0) }) else { return }
        values["load:1"] = load.one
        values["load:5"] = load.five
        values["load:15"] = load.fifteen
    }

    private func addMemory(_ metrics: Set<String>, to values: inout [String: Double]) {
        guard metrics.contains("swap") || metrics.contains(where: { $0.hasPrefix("memory:") }) else { return }
        guard let memory = readHost("meminfo").map({ MemoryInfo(parsing: $0) }) else { return }
        values["swap"] = memory.swapUsed
        values["memory:available"] = memory.available.map { Double($0) }
        values["memory:total"] = memory.total.map { Double($0) }
    }

    private func addDisks(_ metrics: Set<String>, to values: inout [String: Double]) {
        let wanted = metrics.filter { $0.hasPrefix("disk:") }
        for metric in disks.keys where !wanted.contains(metric) { disks[metric] = nil }
        guard !wanted.isEmpty else { return }
        // Without a mount there, the question would be answered by the file system below.
        let mounted = readFile(proc.path("self/mountinfo"), limit: 1 << 20).map { mountPoints(parsing: $0) } ?? []
        for metric in wanted {
            let point = String(metric.dropFirst("disk:".count))
            guard mounted.contains(point) else {
                disks[metric] = nil
                continue
            }
            let disk = disks[metric] ?? DiskUsage(path: root + point.drop { $0 == "/" })
            disks[metric] = disk
            values[metric] = disk.take()
        }
    }

    private func readHost(_ name: String) -> [UInt8]? {
        if let text = hostFiles[name]?.read() { return text }
        hostFiles[name] = HeldFile(proc.path(name), limit: 4096, budget: budget)
        return hostFiles[name]?.read()
    }

    // MARK: A unit

    public func sample(_ unit: SampledUnit, _ metrics: MetricList) -> [Double?] {
        let values = sample(unit: unit.key, process: unit.process, cgroup: unit.cgroup, metrics: Set(metrics.keys))
        return metrics.keys.map { values[$0] }
    }

    func sample(unit name: String, process: ProcessIdentity?, cgroup: String?, metrics: Set<String>) -> [String: Double] {
        var unit = units.removeValue(forKey: name) ?? Unit()
        defer { units[name] = unit }
        if unit.process != process { unit = Unit(process: process) }
        if unit.cgroup?.group != cgroup {
            unit.cgroup = cgroup.flatMap { CgroupReader($0, layout: layout, below: cgroups, clockTicks: clockTicks, budget: budget) }
            unit.meters = [:]
            unit.share = ProcessorShare()
        }
        var values: [String: Double] = [:]
        addMainProcess(metrics, of: &unit, to: &values)
        addTotalProcessor(metrics, of: &unit, to: &values)
        if metrics.contains("memory:total") { values["memory:total"] = unit.cgroup?.memory().map { Double($0) } }
        if metrics.contains("memory:total_rss") { values["memory:total_rss"] = totalResident(of: unit) }
        return values.filter { metrics.contains($0.key) }
    }

    public func forget(unit name: String) { units[name] = nil }

    private func addMainProcess(_ metrics: Set<String>, of unit: inout Unit, to values: inout [String: Double]) {
        guard let process = unit.process else { return }
        let wanted = metrics.intersection(["memory:rss", "cpu:user", "cpu:system"])
        guard !wanted.isEmpty else { return }
        if unit.stat == nil { open(process, for: &unit) }
        if wanted.contains("memory:rss") {
            values["memory:rss"] = unit.statm?.read().flatMap { residentPages(parsing: $0) }.map { Double($0 * pageSize) }
        }
        guard wanted.contains("cpu:user") || wanted.contains("cpu:system") else { return }
        let stat = unit.stat?.read().flatMap { ProcessStat(parsing: $0) }.flatMap { $0.startTicks == process.startTicks ? $0 : nil }
        values["cpu:user"] = unit.meters["cpu:user", default: Meter()].look(stat?.userTicks, at: uptime).map(percent)
        values["cpu:system"] = unit.meters["cpu:system", default: Meter()].look(stat?.systemTicks, at: uptime).map(percent)
    }

    /// Both files are of the right process if the second one is: it cannot have got the pid between the two, for it had it before.
    private func open(_ process: ProcessIdentity, for unit: inout Unit) {
        unit.statm = HeldFile(proc.path(of: process.pid, "statm"), limit: 256, budget: budget)
        unit.stat = HeldFile(proc.path(of: process.pid, "stat"), limit: 4096, budget: budget)
        guard let stat = unit.stat?.read().flatMap({ ProcessStat(parsing: $0) }), stat.startTicks == process.startTicks else {
            unit.statm = nil
            unit.stat = nil
            return
        }
    }

    private func addTotalProcessor(_ metrics: Set<String>, of unit: inout Unit, to values: inout [String: Double]) {
        guard metrics.contains(where: { $0.hasPrefix("cpu:total") }) else { return }
        if let used = unit.cgroup?.processor() {
            let counters = ["cpu:total": used.total, "cpu:total_user": used.user, "cpu:total_system": used.system]
            for (metric, microseconds) in counters {
                // A microsecond a second is a ten-thousandth of a percent.
                values[metric] = unit.meters[metric, default: Meter()].look(microseconds, at: uptime).map { $0 / 10_000 }
            }
        } else if let rates = unit.share.look(processes(of: unit), at: uptime, clockTicks: clockTicks) {
            values["cpu:total"] = percent(rates.user + rates.system)
            values["cpu:total_user"] = percent(rates.user)
            values["cpu:total_system"] = percent(rates.system)
        }
    }

    private func totalResident(of unit: Unit) -> Double? {
        let pids = groupProcesses(of: unit) ?? treeProcesses(of: unit).map(\.pid)
        var pages: UInt64 = 0
        for pid in pids { pages += proc.residentPages(of: pid) ?? 0 }
        return pages > 0 ? Double(pages * pageSize) : nil
    }

    private func processes(of unit: Unit) -> [ProcessStat] {
        groupProcesses(of: unit)?.compactMap { proc.stat(of: $0) } ?? treeProcesses(of: unit)
    }

    private func groupProcesses(of unit: Unit) -> [Int32]? {
        guard let pids = unit.cgroup?.processes(), !pids.isEmpty else { return nil }
        return pids
    }

    /// Where no control group tells what belongs to a unit, parents do. One pass over all processes serves all units of a cycle.
    private func treeProcesses(of unit: Unit) -> [ProcessStat] {
        guard let process = unit.process else { return [] }
        let table = self.table ?? ProcessTable(reading: proc)
        self.table = table
        return table.tree(below: process)
    }

    private func percent(_ ticksPerSecond: Double) -> Double { 100 * ticksPerSecond / Double(clockTicks) }
}
