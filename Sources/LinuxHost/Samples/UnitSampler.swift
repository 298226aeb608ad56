// The numbers of one unit.

import AgentCore
import Glibc
import Platform

/// Reads what is asked for of one unit: each source once in a cycle, and none that nobody asks for.
final class UnitSampler {
    let process: ProcessIdentity?
    let groupName: String?
    private let shared: SharedSources
    private let main: ProcessReader?
    private let group: CgroupReader?
    private let family: ProcessFamily
    private var plan: ServicePlan?
    private var workerPlan: ServicePlan?

    private var familyAt: Duration?
    /// When it was last asked who has children.
    private var treeAt: Duration?
    private var pids: [Int32] = []
    private var groupProcessorAt: Duration?
    private var groupProcessorUse: CgroupProcessor?
    private var transferAt: Duration?
    private var transferUse: ProcessTransfer?
    private var familyTransferFailure: Int32 = 0
    private let mappedMemory = MappedMemoryTurn()
    private var mainMeters = Meters()
    private var groupMeters = Meters()
    private var throttlingMeter = Meter()

    /// For so long a process that does nothing is believed to have made no child, where nothing depends on it.
    private static let treePatience = Duration.seconds(5)

    private struct Meters {
        var user = Meter()
        var system = Meter()
        var total = Meter()
    }

    init(process: ProcessIdentity?, group: String?, shared: SharedSources) {
        self.process = process
        groupName = group
        self.shared = shared
        family = ProcessFamily(proc: shared.proc, reader: shared.reader, clockTicks: shared.clockTicks)
        main = process.map { ProcessReader($0.pid, proc: shared.proc, reader: shared.reader) }
        self.group = group.flatMap { shared.group($0) }
    }

    private var now: Duration { shared.reader.now }

    // MARK: What is asked

    func sample(_ list: MetricList) -> [Double?] {
        let plan = self.plan?.list === list ? self.plan : ServicePlan(list)
        self.plan = plan
        guard let measures = plan?.measures else { return [] }
        return measures.map { measure in
            guard let measure, let value = value(of: measure), value.isFinite else { return nil }
            return value
        }
    }

    func sampleWorkers(_ list: MetricList) -> [WorkerSamples] {
        let plan = self.workerPlan?.list === list ? self.workerPlan : ServicePlan(list)
        workerPlan = plan
        guard let measures = plan?.measures else { return [] }
        lookAtFamily()
        let isAlone = !family.members.contains { isWorker($0) }
        var workers: [WorkerSamples] = []
        for member in family.members where isAlone ? isMain(member) : isWorker(member) {
            guard let identity = member.identity else { continue }
            workers.append(WorkerSamples(process: identity, values: measures.map { $0.flatMap { value(of: $0, worker: member) } }))
        }
        return workers
    }

    /// The main process as it is in this cycle.
    func mainProcess() -> MainProcessSample? { mainCounters.map { MainProcessSample(state: ProcessState($0.state), execMark: $0.execMark) } }

    private func isMain(_ member: ProcessReader) -> Bool { process.map { member.identity == $0 } ?? false }
    private func isWorker(_ member: ProcessReader) -> Bool { !isMain(member) && member.counters.map { !$0.hasEnded } ?? false }

    // MARK: Of the service

    private func value(of measure: ServiceMeasure) -> Double? {
        switch measure {
        case .uptime: nil
        case .memoryResident: mainCounters == nil ? nil : main?.pages().flatMap(bytes)
        case .memoryTotalResident: totalResident()
        case .memoryTotal: group?.workingSet().map { Double($0) }
        case .memoryAnonymous: group?.anonymous().map { Double($0) }
        case .memorySwap: group?.swap().map { Double($0) }
        case .memoryProportional: proportional()
        case .memoryLimit: memoryLimit().map { Double($0) }
        case .memoryHigh: group?.memoryEvents()?.high.map { Double($0) }
        case .memoryOutOf: group?.memoryEvents()?.oom.map { Double($0) }
        case .memoryKills: group?.memoryEvents()?.kills.map { Double($0) }
        case .processorUser: mainMeters.user.look(mainCounters?.user, at: now).map(percent)
        case .processorSystem: mainMeters.system.look(mainCounters?.system, at: now).map(percent)
        case .processorTotal: totalProcessor(.total)
        case .processorTotalUser: totalProcessor(.user)
        case .processorTotalSystem: totalProcessor(.system)
        case .processorThrottled: throttled()
        case .pressureProcessor: group?.pressure(.processor)?.some
        case .pressureMemory: group?.pressure(.memory)?.some
        case .pressureTransfer: group?.pressure(.transfer)?.some
        case .transferRead: transfer().map { Double($0.read) }
        case .transferWrite: transfer().map { Double($0.write) }
        case .files: mainCounters == nil ? nil : main.flatMap { shared.files(of: $0) }.map { Double($0) }
        case .filesLimit: mainCounters == nil ? nil : main?.filesLimit()?.number.map { Double($0) }
        case .threads: mainCounters.map { Double($0.threads) }
        case .tasks: tasks().map { Double($0) }
        case .tasksLimit: group?.tasksLimit().map { Double($0) }
        case .processes: count { _ in true }
        case .zombies: count { $0.hasEnded }
        case .blocked: count { $0.state == UInt8(ascii: "D") }
        case .stopped: count { ProcessState($0.state) == .stopped }
        }
    }

    /// Of the main process, if it still is that process.
    private var mainCounters: ProcessCounters? {
        guard let counters = main?.look(), counters.start == process?.startTicks else { return nil }
        return counters
    }

    private func bytes(_ pages: UInt64) -> Double? {
        let (bytes, overflow) = pages.multipliedReportingOverflow(by: shared.pageSize)
        return overflow ? nil : Double(bytes)
    }

    private func percent(_ ticksPerSecond: Double) -> Double { 100 * ticksPerSecond / Double(max(1, shared.clockTicks)) }

    // MARK: Processor time

    private enum Part {
        case user, system, total
    }

    private func totalProcessor(_ part: Part) -> Double? {
        if let used = groupProcessor() {
            // A microsecond a second is a ten-thousandth of a percent.
            return switch part {
            case .user: groupMeters.user.look(used.user, at: now).map { $0 / 10_000 }
            case .system: groupMeters.system.look(used.system, at: now).map { $0 / 10_000 }
            case .total: groupMeters.total.look(used.total, at: now).map { $0 / 10_000 }
            }
        }
        lookAtFamily()
        return family.rates.map { share($0, part) }
    }

    private func share(_ rates: ProcessorRates, _ part: Part) -> Double {
        switch part {
        case .user: percent(rates.user)
        case .system: percent(rates.system)
        case .total: percent(rates.user + rates.system)
        }
    }

    private func groupProcessor() -> CgroupProcessor? {
        if groupProcessorAt != now {
            groupProcessorAt = now
            groupProcessorUse = group?.processor()
        }
        return groupProcessorUse
    }

    private func throttled() -> Double? {
        guard let throttling = group?.throttling(), throttling.periods > 0 else { return nil }
        return throttlingMeter.look(throttling.time, at: now).map { $0 / 10_000 }
    }

    // MARK: Memory

    private func memoryLimit() -> UInt64? {
        guard let host = shared.hostMemory() else { return group?.memoryLimit() }
        return min(group?.memoryLimit() ?? host, host)
    }

    private func totalResident() -> Double? {
        lookAtFamily()
        var pages: UInt64 = 0
        for member in family.members {
            let (sum, overflow) = pages.addingReportingOverflow(member.pages() ?? 0)
            guard !overflow else { return nil }
            pages = sum
        }
        return pages > 0 ? bytes(pages) : nil
    }

    private func proportional() -> Double? {
        askForMemory()
        return shared.memory.value(of: mappedMemory).map { Double($0) }
    }

    private func askForMemory() {
        lookAtFamily()
        guard shared.memory.wants(mappedMemory) else { return }
        shared.memory.take(mappedMemory, family.members.compactMap { $0.counters?.hasEnded == false ? $0.identity : nil })
    }

    // MARK: The processes

    private func count(_ isCounted: (ProcessCounters) -> Bool) -> Double? {
        lookAtFamily()
        guard !family.members.isEmpty else { return nil }
        return Double(family.members.count { $0.counters.map(isCounted) ?? false })
    }

    private func tasks() -> UInt64? {
        if let tasks = group?.tasks() { return tasks }
        lookAtFamily()
        guard !family.members.isEmpty else { return nil }
        var threads: UInt64 = 0
        for member in family.members { threads &+= min(member.counters?.threads ?? 0, 1 << 32) }
        return threads
    }

    private func transfer() -> ProcessTransfer? {
        if transferAt != now {
            transferAt = now
            transferUse = group?.transfer() ?? familyTransfer()
        }
        return transferUse
    }

    private func familyTransfer() -> ProcessTransfer? {
        lookAtFamily()
        var sum: ProcessTransfer?
        familyTransferFailure = 0
        for member in family.members {
            guard let transfer = member.transfer() else {
                // One that has ended since is no fault.
                if member.transferFailure == EACCES || member.transferFailure == EPERM {
                    familyTransferFailure = member.transferFailure
                    return nil
                }
                continue
            }
            sum = sum.map { $0.adding(transfer) } ?? transfer
        }
        return sum
    }

    /// Finds out which processes are the unit's, and looks at each.
    private func lookAtFamily() {
        guard familyAt != now else { return }
        familyAt = now
        pids.removeAll(keepingCapacity: true)
        if let group, group.appendProcesses(to: &pids), !pids.isEmpty {
            pids.sort()
            family.look(readers(), at: now)
        } else {
            pids.removeAll(keepingCapacity: true)
            family.look(tree() ?? treeOfTable(), at: now)
        }
    }

    /// The readers of `pids`.
    private func readers() -> [ProcessReader] {
        var present: [ProcessReader] = []
        present.reserveCapacity(min(pids.count, ProcessFamily.limit))
        for pid in pids.prefix(ProcessFamily.limit) where present.last?.pid != pid { present.append(reader(of: pid)) }
        return present
    }

    private func reader(of pid: Int32) -> ProcessReader {
        if let main, main.pid == pid { return main }
        return family.reader(of: pid)
    }

    /// The main process and everything below it, as parents tell; `nil` where the kernel does not tell children.
    private func tree() -> [ProcessReader]? {
        guard let main, mainCounters != nil else { return [] }
        let members = family.members
        if let treeAt, now - treeAt < Self.treePatience, !judgesFamily, !members.isEmpty, members.allSatisfy(\.hasRested) { return members }
        treeAt = now
        var present = [main]
        var next = 0
        while next < present.count, present.count < ProcessFamily.limit {
            let parent = present[next]
            next += 1
            pids.removeAll(keepingCapacity: true)
            guard parent.appendChildren(to: &pids) else {
                // One that has ended meanwhile has no children any more.
                if parent.look()?.hasEnded ?? true { continue }
                return nil
            }
            for pid in pids {
                // A pid that was given away meanwhile has another parent, and could make a circle.
                let child = reader(of: pid)
                guard child !== main, child.look()?.parent == parent.pid else { continue }
                present.append(child)
            }
        }
        return present
    }

    private var judgesFamily: Bool { plan?.judgesFamily ?? true || workerPlan != nil }

    private func treeOfTable() -> [ProcessReader] {
        guard let process else { return [] }
        return shared.tree(below: process).prefix(ProcessFamily.limit).map { reader(of: $0) }
    }

    // MARK: Of a worker

    private func value(of measure: ServiceMeasure, worker: ProcessReader) -> Double? {
        switch measure {
        case .uptime:
            worker.counters.map { max(0, now.inSeconds - Double($0.start) / Double(max(1, shared.clockTicks))) }
        case .memoryResident: worker.pages().flatMap(bytes)
        case .memoryProportional: workerProportional(worker)
        case .processorUser: worker.rates.map { share($0, .user) }
        case .processorSystem: worker.rates.map { share($0, .system) }
        case .processorTotal: worker.rates.map { share($0, .total) }
        case .transferRead: worker.transfer().map { Double($0.read) }
        case .transferWrite: worker.transfer().map { Double($0.write) }
        case .files: shared.files(of: worker).map { Double($0) }
        case .threads: worker.counters.map { Double($0.threads) }
        default: nil
        }
    }

    private func workerProportional(_ worker: ProcessReader) -> Double? {
        askForMemory()
        return worker.identity.flatMap { shared.memory.value(of: mappedMemory, process: $0) }.map { Double($0) }
    }

    // MARK: Why not

    func absence(of measure: ServiceMeasure) -> Absence {
        switch measure {
        case .uptime: .nothing
        case .memoryResident, .threads: mainProblem() ?? .notYet
        case .processorUser, .processorSystem: mainProblem() ?? .notYet
        case .processorTotal, .processorTotalUser, .processorTotalSystem: groupProcessor() == nil ? mainProblem() ?? .notYet : .notYet
        case .processorThrottled: ofGroup(.throttling) { $0.throttling().map { $0.periods > 0 ? .notYet : .nothing } }
        case .memoryTotal: ofGroup(.memory) { $0.workingSet().map { _ in .notYet } }
        case .memoryAnonymous: ofGroup(.memory) { $0.anonymous().map { _ in .notYet } }
        case .memorySwap: ofGroup(.swap) { $0.swap().map { _ in .notYet } }
        case .memoryHigh, .memoryOutOf: ofGroup(.events) { $0.memoryEvents().map { _ in .failed("only version 2 of cgroups counts this") } }
        case .memoryKills: ofGroup(.events) { $0.memoryEvents().map { _ in .failed("kernels before 4.13 do not count this") } }
        case .memoryLimit: .failed("neither /proc/meminfo nor a cgroup tells how much memory there is")
        case .memoryTotalResident, .processes, .zombies, .blocked, .stopped, .tasks: familyProblem()
        case .memoryProportional: family.members.isEmpty ? familyProblem() : shared.memory.absence(of: mappedMemory)
        case .pressureProcessor, .pressureMemory, .pressureTransfer: ofGroup(.pressure) { _ in nil }
        case .transferRead, .transferWrite: transferAbsence()
        case .files: mainProblem() ?? fileAbsence()
        case .filesLimit: mainProblem() ?? (main?.filesLimit() == .unlimited ? .nothing : .failed("/proc/PID/limits cannot be read"))
        case .tasksLimit: .nothing
        }
    }

    private func mainProblem() -> Absence? {
        guard let main else { return .failed("it has no main process that the agent can see") }
        if mainCounters != nil { return nil }
        return switch main.statFailure {
        case 0, ENOENT, ESRCH: .failed("its main process \(main.pid) has ended")
        default: .failed("its main process \(main.pid) cannot be read: \(String(cString: strerror(main.statFailure)))")
        }
    }

    private func familyProblem() -> Absence {
        if family.members.isEmpty, group == nil { return mainProblem() ?? .notYet }
        return family.members.isEmpty ? .failed("no process of it can be found") : .notYet
    }

    private func ofGroup(_ subject: CgroupReader.Subject, _ read: (CgroupReader) -> Absence?) -> Absence {
        guard let group else { return .failed("it has no cgroup of its own that the agent knows of") }
        return read(group) ?? .failed(group.problem(with: subject))
    }

    private func transferAbsence() -> Absence {
        if family.members.isEmpty { return familyProblem() }
        guard familyTransferFailure != 0 else { return .notYet }
        let own = group.map { ", and " + $0.problem(with: .transfer) } ?? ""
        return .failed("permission denied: /proc/PID/io needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH\(own)")
    }

    private func fileAbsence() -> Absence {
        switch main?.filesFailure ?? 0 {
        case EACCES, EPERM: .failed("permission denied: /proc/PID/fd needs CAP_DAC_READ_SEARCH, or Linux 6.2")
        case 0: .notYet
        case let failure: .failed("/proc/PID/fd cannot be read: \(String(cString: strerror(failure)))")
        }
    }
}
