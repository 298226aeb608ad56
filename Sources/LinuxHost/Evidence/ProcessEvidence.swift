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
        let reader = cgroup.flatMap {
            CgroupReader($0, layout: CgroupLayout(at: cgroups), below: cgroups, clockTicks: clockTicks, budget: DescriptorBudget())
        }
        let pids = reader?.processes() ?? []
        let processes =
            pids.isEmpty
            ? mainProcess.map { ProcessTable(reading: proc).tree(below: $0) } ?? [] : pids.prefix(Self.mostProcesses).compactMap { proc.stat(of: $0) }
        return counters(reader, count: processes.count) + biggest(of: processes)
    }

    private func counters(_ reader: CgroupReader?, count: Int) -> [String] {
        var words = ["\(count) \(count == 1 ? "process" : "processes")"]
        if let memory = reader?.memory() { words.append("working set \(amountText(Double(memory), unit: .bytes))") }
        if let processor = reader?.processor() { words.append("CPU time \(processor.total / 1_000_000) s") }
        return [words.joined(separator: ", ")]
    }

    private func biggest(of processes: [ProcessStat]) -> [String] {
        let sized = processes.map { (process: $0, bytes: (proc.residentPages(of: $0.pid) ?? 0) * pageSize) }
        return sized.sorted { $0.bytes > $1.bytes }.prefix(Self.shown).map { process, bytes in
            let seconds = (process.userTicks + process.systemTicks) / clockTicks
            let name = readFile(proc.path(of: process.pid, "comm"), limit: 64).map { String(decoding: $0.filter { $0 >= 32 }, as: UTF8.self) } ?? "?"
            return "pid \(process.pid) \(name): \(amountText(Double(bytes), unit: .bytes)) resident, CPU time \(seconds) s"
        }
    }
}
