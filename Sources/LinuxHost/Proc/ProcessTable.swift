// All processes at one moment, for those units whose processes nothing cheaper tells.

import AgentCore

/// One pass over /proc.
struct ProcessTable {
    private var processes: [Int32: ProcessCounters] = [:]
    private var children: [Int32: [Int32]] = [:]

    init(reading proc: ProcFileSystem) {
        self.init(proc.processes().compactMap { proc.stat(of: $0) })
    }

    init(_ all: [ProcessStat]) {
        for process in all {
            processes[process.pid] = process.counters
            children[process.parent, default: []].append(process.pid)
        }
    }

    /// A process and everything below it; nothing when another process has its pid by now.
    func tree(below root: ProcessIdentity) -> [Int32] {
        guard let first = processes[root.pid], first.start == root.startTicks else { return [] }
        var tree: [Int32] = []
        var seen: Set<Int32> = []
        var next = [root.pid]
        while let pid = next.popLast() {
            // Parents are read one after the other, so that a pid that was given away meanwhile can make a circle.
            guard seen.insert(pid).inserted else { continue }
            tree.append(pid)
            next += children[pid] ?? []
        }
        return tree
    }
}
