// What the samplers of all units share.

import AgentCore
import Logging
import Platform

/// The one buffer, the one list of processes, the one budget: for all units and for the host.
final class SharedSources {
    let proc: ProcFileSystem
    let reader = FileReader()
    let clockTicks: UInt64
    let pageSize: UInt64
    let memory: MappedMemorySampler
    private let logger: Logger
    private let isOfKernel: Bool
    private let cgroups: String
    private var hierarchies: CgroupHierarchies?
    private var table: ProcessTable?
    private var memoryInfoFile: HeldFile
    private var memoryInfoAt: Duration?
    private var memoryInfo: MemoryInfo?

    init(root: String, memoryBudget: Double, logger: Logger, clockTicks: UInt64, pageSize: UInt64) {
        self.logger = logger
        proc = ProcFileSystem(root: root)
        self.clockTicks = clockTicks
        self.pageSize = pageSize
        cgroups = proc.root + "sys/fs/cgroup"
        isOfKernel = proc.isOfKernel
        memory = MappedMemorySampler(proc: proc, budget: memoryBudget)
        memoryInfoFile = HeldFile(reader)
    }

    func beginCycle(at uptime: Duration) {
        reader.now = uptime
        table = nil
        if hierarchies == nil { findHierarchies() }
        memory.beginCycle(at: uptime)
    }

    private func findHierarchies() {
        hierarchies = CgroupHierarchies(at: cgroups)
        if let hierarchies { logger.debug("control groups found", metadata: ["layout": "\(hierarchies.layout)"]) }
    }

    func group(_ name: String) -> CgroupReader? {
        hierarchies.flatMap { CgroupReader(name, in: $0, clockTicks: clockTicks, reader: reader) }
    }

    /// The host's memory and swap.
    func hostMemoryInfo() -> MemoryInfo? {
        if memoryInfoAt != reader.now {
            memoryInfoAt = reader.now
            memoryInfo = memoryInfoFile.read(proc.path("meminfo")).map { MemoryInfo(parsing: $0.span) }
        }
        return memoryInfo
    }

    func hostMemory() -> UInt64? { hostMemoryInfo()?.total }

    func files(of process: ProcessReader) -> UInt64? { process.files(isOfKernel: isOfKernel) }

    /// Where neither a control group nor a parent tells its processes. One pass over all processes serves all units of a cycle.
    func tree(below process: ProcessIdentity) -> [Int32] {
        let table = self.table ?? ProcessTable(reading: proc)
        self.table = table
        return table.tree(below: process)
    }
}
