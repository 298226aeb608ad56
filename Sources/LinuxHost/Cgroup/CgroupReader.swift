// What one control group has used.

import Glibc
import Platform

/// Reads a group's files, each at most once in a cycle and only when its numbers are wanted. It keeps them open.
final class CgroupReader {
    let group: String
    private let hierarchies: CgroupHierarchies
    private let clockTicks: UInt64
    private let reader: FileReader

    private var processorFile: HeldFile
    private var splitFile: HeldFile
    private var throttlingFile: HeldFile
    private var memoryFile: HeldFile
    private var memoryStatFile: HeldFile
    private var swapFile: HeldFile
    private var eventsFile: HeldFile
    private var processorPressure: HeldFile
    private var memoryPressure: HeldFile
    private var transferPressure: HeldFile
    private var tasksFile: HeldFile
    private var transferFile: HeldFile
    private var processesFile: HeldFile

    private var memoryStat: CgroupMemory?
    private var memoryStatOf: UInt64 = 0
    private var memoryStatAt: Duration?
    private var limit: (value: UInt64?, at: Duration)?
    private var taskLimit: (value: UInt64?, at: Duration)?

    /// How long what changes seldom is believed: limits, and the parts of an unchanged sum.
    private static let patience = Duration.seconds(10)

    /// `nil` for what is no group.
    init?(_ group: String, in hierarchies: CgroupHierarchies, clockTicks: UInt64, reader: FileReader) {
        guard CgroupHierarchies.isGroup(group) else { return nil }
        self.group = group == "/" ? "" : group
        self.hierarchies = hierarchies
        self.clockTicks = clockTicks
        self.reader = reader
        processorFile = HeldFile(reader)
        splitFile = HeldFile(reader)
        throttlingFile = HeldFile(reader)
        memoryFile = HeldFile(reader)
        memoryStatFile = HeldFile(reader)
        swapFile = HeldFile(reader)
        eventsFile = HeldFile(reader)
        processorPressure = HeldFile(reader)
        memoryPressure = HeldFile(reader)
        transferPressure = HeldFile(reader)
        tasksFile = HeldFile(reader)
        transferFile = HeldFile(reader)
        processesFile = HeldFile(reader, whole: true)
    }

    // MARK: Processor

    /// `nil` where the processor's time is not accounted for.
    func processor() -> CgroupProcessor? {
        // Of version 2, where there is one: it needs no controller.
        if hierarchies.layout != .legacy, let text = processorFile.read("\(hierarchies.main)\(group)/cpu.stat"),
            let used = CgroupProcessor(second: text.span)
        {
            return used
        }
        guard case .first(let folder) = hierarchies.accounting, let text = splitFile.read("\(folder)\(group)/cpuacct.usage"),
            var used = CgroupProcessor(first: text.span)
        else { return nil }
        if let split = readFile("\(folder)\(group)/cpuacct.stat", limit: 4096) { used.addSplit(split.span, clockTicks: clockTicks) }
        return used
    }

    func throttling() -> CgroupThrottling? {
        let root: String
        switch hierarchies.processor {
        case .first(let folder), .second(let folder): root = folder
        }
        return throttlingFile.read("\(root)\(group)/cpu.stat").flatMap { CgroupThrottling(parsing: $0.span) }
    }

    // MARK: Memory

    /// Bytes that the group is charged for, less the file cache that the kernel takes back first. `nil` where memory is not accounted for.
    func workingSet() -> UInt64? {
        guard let used = charged(), let statistics = memoryStatistics(of: used) else { return nil }
        return used - min(used, statistics.inactiveFile)
    }

    func anonymous() -> UInt64? { charged().flatMap { memoryStatistics(of: $0)?.anonymous } }

    func swap() -> UInt64? {
        switch hierarchies.memory {
        case .first: charged().flatMap { memoryStatistics(of: $0)?.swap }
        case .second(let folder): swapFile.read("\(folder)\(group)/memory.swap.current")?.span.firstNumber()
        }
    }

    func memoryEvents() -> CgroupMemoryEvents? {
        let text =
            switch hierarchies.memory {
            case .first(let folder): eventsFile.read("\(folder)\(group)/memory.oom_control")
            case .second(let folder): eventsFile.read("\(folder)\(group)/memory.events")
            }
        return text.map { CgroupMemoryEvents(parsing: $0.span) }
    }

    /// The lowest limit of the group and of those that it is in; `nil` when nothing limits it.
    func memoryLimit() -> UInt64? {
        if let limit, reader.now - limit.at < Self.patience { return limit.value }
        let value: UInt64? =
            switch hierarchies.memory {
            case .first: charged().flatMap { memoryStatistics(of: $0)?.limit }
            case .second(let folder): lowest("memory.max", in: folder)
            }
        limit = (value, reader.now)
        return value
    }

    private func charged() -> UInt64? {
        switch hierarchies.memory {
        case .first(let folder): memoryFile.read("\(folder)\(group)/memory.usage_in_bytes")?.span.firstNumber()
        case .second(let folder): memoryFile.read("\(folder)\(group)/memory.current")?.span.firstNumber()
        }
    }

    /// The parts are by far the most expensive file of a group; as long as the sum stays the same to the byte, so do they, but for the
    /// ageing of cache.
    private func memoryStatistics(of used: UInt64) -> CgroupMemory? {
        if let memoryStat, let memoryStatAt, memoryStatOf == used, reader.now - memoryStatAt < Self.patience { return memoryStat }
        switch hierarchies.memory {
        case .first(let folder): memoryStat = memoryStatFile.read("\(folder)\(group)/memory.stat").flatMap { CgroupMemory(first: $0.span) }
        case .second(let folder): memoryStat = memoryStatFile.read("\(folder)\(group)/memory.stat").flatMap { CgroupMemory(second: $0.span) }
        }
        memoryStatOf = used
        memoryStatAt = reader.now
        return memoryStat
    }

    // MARK: Pressure, tasks, disks

    enum Resource {
        case processor, memory, transfer
    }

    func pressure(_ resource: Resource) -> Pressure? {
        guard hierarchies.layout != .legacy else { return nil }
        let text =
            switch resource {
            case .processor: processorPressure.read("\(hierarchies.main)\(group)/cpu.pressure")
            case .memory: memoryPressure.read("\(hierarchies.main)\(group)/memory.pressure")
            case .transfer: transferPressure.read("\(hierarchies.main)\(group)/io.pressure")
            }
        return text.flatMap { Pressure(parsing: $0.span) }
    }

    func tasks() -> UInt64? { tasksFile.read("\(folder(of: hierarchies.tasks))\(group)/pids.current")?.span.firstNumber() }

    /// The lowest limit of the group and of those that it is in; `nil` when nothing limits it.
    func tasksLimit() -> UInt64? {
        if let taskLimit, reader.now - taskLimit.at < Self.patience { return taskLimit.value }
        let value = lowest("pids.max", in: folder(of: hierarchies.tasks))
        taskLimit = (value, reader.now)
        return value
    }

    /// Bytes read from and written to disks; `nil` where that is not accounted for.
    func transfer() -> ProcessTransfer? {
        switch hierarchies.transfer {
        case .first(let folder):
            transferFile.read("\(folder)\(group)/blkio.throttle.io_service_bytes_recursive").flatMap { ProcessTransfer(first: $0.span) }
        case .second(let folder): transferFile.read("\(folder)\(group)/io.stat").flatMap { ProcessTransfer(second: $0.span) }
        }
    }

    private func folder(of controller: CgroupHierarchies.Controller) -> String {
        switch controller {
        case .first(let folder), .second(let folder): folder
        }
    }

    /// Of the group and all that it is in, as far as they have a limit.
    private func lowest(_ file: String, in root: String) -> UInt64? {
        var lowest: UInt64?
        var path = group
        while !path.isEmpty {
            if let text = readFile("\(root)\(path)/\(file)", limit: 64), case .atMost(let number)? = Limit(ofGroup: text.span) {
                lowest = min(lowest ?? number, number)
            }
            path = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        }
        return lowest
    }

    // MARK: Processes

    /// Appends the pids in the group and in the groups below it; `false` when it cannot be read.
    func appendProcesses(to pids: inout [Int32]) -> Bool {
        let folder = hierarchies.main + group
        guard let text = processesFile.read("\(folder)/cgroup.procs") else { return false }
        LinuxHost.appendProcesses(parsing: text.span, to: &pids)
        appendBelow(folder, depth: 0, to: &pids)
        return true
    }

    private func appendBelow(_ folder: String, depth: Int, to pids: inout [Int32]) {
        // A folder has two links, and one more for each folder in it.
        var status = Glibc.stat()
        guard depth < 16, lstat(folder, &status) == 0, status.st_nlink != 2 else { return }
        var names: [String] = []
        forEachEntry(of: folder) { name, type in
            if type == UInt8(DT_DIR), name.first != UInt8(ascii: ".") { names.append(String(decoding: name, as: UTF8.self)) }
        }
        for name in names {
            let below = "\(folder)/\(name)"
            guard let text = readFile(below + "/cgroup.procs", limit: 1 << 20) else { continue }
            LinuxHost.appendProcesses(parsing: text.span, to: &pids)
            appendBelow(below, depth: depth + 1, to: &pids)
        }
    }

    // MARK: Why not

    /// Why the last reading of memory's sum failed, and so on, for people.
    enum Subject {
        case processor, throttling, memory, swap, events, pressure, tasks, transfer
    }

    func problem(with subject: Subject) -> String {
        switch subject {
        case .processor: explanation(max(processorFile.failure, splitFile.failure), "CPU accounting", controller: "cpu")
        case .throttling: explanation(throttlingFile.failure, "CPU accounting", controller: "cpu")
        case .memory: explanation(max(memoryFile.failure, memoryStatFile.failure), "memory accounting", controller: "memory")
        case .swap: explanation(max(memoryFile.failure, swapFile.failure), "swap accounting", controller: "memory")
        case .events: explanation(eventsFile.failure, "memory accounting", controller: "memory")
        case .tasks: explanation(tasksFile.failure, "task accounting", controller: "pids")
        case .transfer: explanation(transferFile.failure, "I/O accounting", controller: "io")
        case .pressure: "the kernel tells no pressure of this cgroup: that needs version 2 of cgroups, and a kernel that measures pressure"
        }
    }

    private func explanation(_ failure: Int32, _ accounting: String, controller: String) -> String {
        switch failure {
        case ENOENT, ENODEV: "\(accounting) is off for this unit: no \(controller) controller in its cgroup"
        case 0: "the kernel's numbers for \(group) make no sense"
        default: "the cgroup \(group) cannot be read: \(String(cString: strerror(failure)))"
        }
    }
}
