// The numbers of the host.

import AgentCore
import Glibc
import Platform

/// Reads what is asked for of the host: each source once in a cycle, and none that nobody asks for.
final class HostSampler {
    private let shared: SharedSources
    private var plan: HostPlan?
    private var now: Duration { shared.reader.now }

    private var statFile: HeldFile
    private var loadFile: HeldFile
    private var filesFile: HeldFile
    private var networkFile: HeldFile
    private var processorPressure: HeldFile
    private var memoryPressure: HeldFile
    private var transferPressure: HeldFile

    private var stat = OfCycle<HostStat>()
    private var load = OfCycle<LoadAverage>()
    private var openFiles = OfCycle<FileCount>()

    private var busyMeter = Meter()
    private var idleMeter = Meter()
    private var userMeter = Meter()
    private var systemMeter = Meter()
    private var waitingMeter = Meter()
    private var stolenMeter = Meter()
    private var ownMeter = Meter()

    private var paths: HostPaths
    private var questions: [String: FileSystemQuestion] = [:]
    private var answers: [String: FileSystemQuestion.Answer] = [:]
    /// Mounts that the agent cannot reach, and why.
    private var hidden: [String: String] = [:]
    private var tasksLimit: (value: UInt64?, at: Duration)?
    private var ownMemory: (value: UInt64?, at: Duration)?

    /// How long limits, which change seldom, and the agent's own memory, which is expensive to measure, are believed.
    private static let patience = Duration.seconds(10)

    /// What was read in one cycle.
    private struct OfCycle<Value> {
        var at: Duration?
        var value: Value?
    }

    init(shared: SharedSources) {
        self.shared = shared
        paths = HostPaths(shared.proc)
        statFile = HeldFile(shared.reader)
        loadFile = HeldFile(shared.reader)
        filesFile = HeldFile(shared.reader)
        networkFile = HeldFile(shared.reader, whole: true)
        processorPressure = HeldFile(shared.reader)
        memoryPressure = HeldFile(shared.reader)
        transferPressure = HeldFile(shared.reader)
    }

    func sample(_ list: MetricList) -> [Double?] {
        let plan = self.plan.flatMap { $0.list === list ? $0 : nil } ?? HostPlan(list)
        self.plan = plan
        if !plan.mounts.isEmpty { lookAtMounts(plan.mounts) }
        return plan.measures.map { measure in
            guard let measure, let value = value(of: measure), value.isFinite else { return nil }
            return value
        }
    }

    private func value(of measure: HostMeasure) -> Double? {
        switch measure {
        case .whole(let whole): value(of: whole)
        case .space(let mount): use(of: mount)?.space
        case .inodes(let mount): use(of: mount)?.inodes
        case .readOnly(let mount): paths.mounts[mount].map { $0.isReadOnly ? 1 : 0 }
        case .received(let interface): traffic(of: interface).map { Double($0.received) }
        case .sent(let interface): traffic(of: interface).map { Double($0.sent) }
        case .errors(let interface): traffic(of: interface).map { Double($0.errors) }
        }
    }

    private func value(of measure: HostMeasure.Whole) -> Double? {
        switch measure {
        case .processor: busyMeter.look(processor()?.busy, at: now).map(percent)
        case .processorAll: allProcessors()
        case .processorUser: userMeter.look(processor()?.user, at: now).map(percent)
        case .processorSystem: systemMeter.look(processor()?.system, at: now).map(percent)
        case .processorWaiting: waitingMeter.look(processor()?.ioWait, at: now).map(percent)
        case .processorStolen: stolenMeter.look(processor()?.steal, at: now).map(percent)
        case .load1: loads()?.one
        case .load5: loads()?.five
        case .load15: loads()?.fifteen
        case .swap: shared.hostMemoryInfo()?.swapUsed
        case .memoryAvailable: shared.hostMemoryInfo()?.available.map { Double($0) }
        case .memoryUsed: shared.hostMemoryInfo()?.used.map { Double($0) }
        case .memoryTotal: shared.hostMemoryInfo()?.total.map { Double($0) }
        case .pressureProcessor: processorPressure.read(shared.proc.path("pressure/cpu")).flatMap { Pressure(parsing: $0.span)?.some }
        case .pressureMemory: memoryPressure.read(shared.proc.path("pressure/memory")).flatMap { Pressure(parsing: $0.span)?.some }
        case .pressureTransfer: transferPressure.read(shared.proc.path("pressure/io")).flatMap { Pressure(parsing: $0.span)?.some }
        case .files: files().map { Double($0.open) }
        case .filesLimit: files()?.limit.map { Double($0) }
        case .tasks: loads()?.tasks.map { Double($0) }
        case .tasksLimit: highestTasks().map { Double($0) }
        case .uptime: now.inSeconds
        case .agentProcessor: ownMeter.look(ownProcessorTime(), at: now).map { $0 / 10_000 }
        case .agentMemory: unsharedMemory().map { Double($0) }
        }
    }

    private func percent(_ ticksPerSecond: Double) -> Double { 100 * ticksPerSecond / Double(max(1, shared.clockTicks)) }

    private func processor() -> HostStat? {
        if stat.at != now {
            stat = OfCycle(at: now, value: statFile.read(shared.proc.path("stat")).flatMap { HostStat(parsing: $0.span) })
        }
        return stat.value
    }

    private func allProcessors() -> Double? {
        guard let busy = busyMeter.look(processor()?.busy, at: now), let idle = idleMeter.look(processor()?.idle, at: now), busy + idle > 0
        else { return nil }
        return 100 * busy / (busy + idle)
    }

    private func loads() -> LoadAverage? {
        if load.at != now {
            load = OfCycle(at: now, value: loadFile.read(shared.proc.path("loadavg")).flatMap { LoadAverage(parsing: $0) })
        }
        return load.value
    }

    private func files() -> FileCount? {
        if openFiles.at != now {
            openFiles = OfCycle(
                at: now, value: filesFile.read(shared.proc.path("sys/fs/file-nr")).flatMap { FileCount(parsing: $0.span) })
        }
        return openFiles.value
    }

    private func traffic(of interface: String) -> InterfaceCounters? {
        networkFile.read(shared.proc.path("1/net/dev")).flatMap { InterfaceCounters(of: interface, parsing: $0.span) }
    }

    /// Whichever of the two limits is reached first.
    private func highestTasks() -> UInt64? {
        if let tasksLimit, now - tasksLimit.at < Self.patience { return tasksLimit.value }
        let limits = ["pid_max", "threads-max"].compactMap { name in
            readFile(shared.proc.path("sys/kernel/\(name)"), limit: 64).flatMap { $0.span.firstNumber() }
        }
        tasksLimit = (limits.min(), now)
        return limits.min()
    }

    // MARK: File systems

    private func lookAtMounts(_ wanted: Set<String>) {
        // Without a mount there, the question would be answered by the file system below.
        paths.look()
        answers = [:]
        hidden = [:]
        questions = questions.filter { wanted.contains($0.key) && paths.mounts[$0.key] != nil }
        let asked = (plan?.measures ?? []).compactMap { measure -> String? in
            switch measure {
            case .space(let mount)?, .inodes(let mount)?: mount
            default: nil
            }
        }
        for mount in Set(asked) where paths.mounts[mount] != nil {
            switch paths.place(of: mount) {
            case .at(let path):
                let question = questions[mount] ?? FileSystemQuestion(path: path)
                questions[mount] = question
                answers[mount] = question.take()
            case .hidden(let why): hidden[mount] = why
            }
        }
    }

    private func use(of mount: String) -> FileSystemUse? {
        if case .use(let use)? = answers[mount] { use } else { nil }
    }

    // MARK: The agent itself

    private func ownProcessorTime() -> UInt64? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        let microseconds = Int(usage.ru_utime.tv_usec) + Int(usage.ru_stime.tv_usec)
        return UInt64(clamping: seconds) &* 1_000_000 &+ UInt64(clamping: microseconds)
    }

    private func unsharedMemory() -> UInt64? {
        if let ownMemory, now - ownMemory.at < Self.patience { return ownMemory.value }
        let value = readFile(shared.proc.path("self/smaps_rollup"), limit: 4096).flatMap { MappedMemory(parsing: $0.span)?.unshared }
        ownMemory = (value, now)
        return value
    }

    // MARK: Why not

    func absence(of measure: HostMeasure) -> Absence {
        switch measure {
        case .whole(let whole): absence(of: whole)
        case .space(let mount), .inodes(let mount): answer(for: mount, isOfInodes: measure == .inodes(mount: mount))
        case .readOnly(let mount): notMounted(mount)
        case .received(let interface), .sent(let interface), .errors(let interface):
            traffic(of: interface) == nil ? .failed("there is no network interface \(interface)") : .notYet
        }
    }

    private func absence(of measure: HostMeasure.Whole) -> Absence {
        switch measure {
        case .processor, .processorAll, .processorUser, .processorSystem, .processorWaiting:
            processor() == nil ? unreadable("stat", statFile.failure) : .notYet
        case .processorStolen: processor() == nil ? unreadable("stat", statFile.failure) : processor()?.steal == nil ? .nothing : .notYet
        case .load1, .load5, .load15, .tasks: unreadable("loadavg", loadFile.failure)
        case .swap: shared.hostMemoryInfo()?.swapTotal == 0 ? .nothing : unreadable("meminfo", 0)
        case .memoryAvailable, .memoryUsed, .memoryTotal: unreadable("meminfo", 0)
        case .pressureProcessor, .pressureMemory, .pressureTransfer:
            .failed("the kernel tells no pressure: that needs Linux 4.20, and on some distributions psi=1 at boot")
        case .files: unreadable("sys/fs/file-nr", filesFile.failure)
        case .filesLimit: files() == nil ? unreadable("sys/fs/file-nr", filesFile.failure) : .nothing
        case .tasksLimit: unreadable("sys/kernel/pid_max", 0)
        case .uptime, .agentProcessor: .notYet
        case .agentMemory: .failed("/proc/self/smaps_rollup cannot be read: that needs Linux 4.14")
        }
    }

    private func notMounted(_ path: String) -> Absence {
        if let failure = paths.failure { return .failed(failure) }
        let above = HostPaths.mountPoint(above: path, in: paths.mounts)
        return .failed("nothing is mounted at \(path)" + (above.map { ": it is part of what is mounted at \($0)" } ?? ""))
    }

    private func answer(for mount: String, isOfInodes: Bool) -> Absence {
        guard paths.mounts[mount] != nil else { return notMounted(mount) }
        if let why = hidden[mount] { return .failed(why) }
        return switch answers[mount] {
        case nil: .notYet
        case .use(let use)?: (isOfInodes ? use.inodes : use.space) == nil ? .nothing : .notYet
        case .hangs?: .failed("the file system at \(mount) does not answer")
        case .failed(let failure)?: .failed("the file system at \(mount) cannot be asked: \(String(cString: strerror(failure)))")
        }
    }

    private func unreadable(_ name: String, _ failure: Int32) -> Absence {
        let why =
            switch failure {
            case 0: "does not tell it"
            case ENOENT: "is not there; with ProcSubset=pid in the agent's unit it is hidden"
            default: "cannot be read: \(String(cString: strerror(failure)))"
            }
        return .failed("/proc/\(name) \(why)")
    }
}
