// The biggest processes of a unit, and what its control group has counted.

import AgentCore
import Glibc

/// What the kernel knows of a unit now, in lines for a person.
struct ProcessEvidence {
    private static let mostProcesses = 2000
    private static let shown = 5

    private let proc: ProcFileSystem
    private let cgroups: String
    private let pageSize = UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
    private let clockTicks = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    /// - Parameter root: where `proc` and `sys/fs/cgroup` are found.
    init(root: String = "/") {
        proc = ProcFileSystem(root: root)
        cgroups = (root.hasSuffix("/") ? root : root + "/") + "sys/fs/cgroup"
    }

    func lines(cgroup: String?, mainProcess: ProcessIdentity?) -> [String] {
        var reader: CgroupReader?
        if let cgroup, let hierarchies = CgroupHierarchies(at: cgroups) {
            reader = CgroupReader(cgroup, in: hierarchies, clockTicks: clockTicks, reader: FileReader())
        }
        var pids: [Int32] = []
        _ = reader?.appendProcesses(to: &pids)
        if pids.isEmpty, let mainProcess { pids = ProcessTable(reading: proc).tree(below: mainProcess) }
        let processes = pids.prefix(Self.mostProcesses).compactMap { proc.stat(of: $0) }
        return [counters(reader, count: processes.count)] + biggest(of: processes)
    }

    private func counters(_ reader: CgroupReader?, count: Int) -> String {
        var words = ["\(count) \(count == 1 ? "process" : "processes")"]
        if let memory = reader?.workingSet() { words.append("working set \(amountText(Double(memory), unit: .bytes))") }
        if let processor = reader?.processor() { words.append("CPU time \(processor.total / 1_000_000) s") }
        if let events = reader?.memoryEvents(), let kills = events.kills, kills > 0 { words.append("\(kills) killed for memory") }
        return words.joined(separator: ", ")
    }

    private func biggest(of processes: [ProcessStat]) -> [String] {
        let sized = processes.map { (process: $0, bytes: residentBytes(of: $0.pid)) }
        return sized.sorted { $0.bytes > $1.bytes }.prefix(Self.shown).map { process, bytes in
            let seconds = (process.userTicks + process.systemTicks) / clockTicks
            let name = process.command.filter { !$0.isNewline }
            return "pid \(process.pid) \(name): \(amountText(Double(bytes), unit: .bytes)) resident, CPU time \(seconds) s"
        }
    }

    private func residentBytes(of pid: Int32) -> UInt64 {
        readFile(proc.path(of: pid, "statm"), limit: 256).flatMap { residentPages(parsing: $0.span) }.map { $0 * pageSize } ?? 0
    }
}
