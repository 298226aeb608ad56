// All processes at one moment, for those units whose processes no control group tells.

import AgentCore

/// One pass over /proc.
struct ProcessTable {
    private var processes: [Int32: ProcessStat] = [:]
    private var children: [Int32: [Int32]] = [:]

    init(reading proc: ProcFileSystem) {
        self.init(proc.processes().compactMap { proc.stat(of: $0) })
    }

    init(_ all: [ProcessStat]) {
        for process in all {
            processes[process.pid] = process
            children[process.parent, default: []].append(process.pid)
        }
    }

    /// A process and everything below it; nothing when another process has its pid by now.
    func tree(below root: ProcessIdentity) -> [ProcessStat] {
        guard let first = processes[root.pid], first.startTicks == root.startTicks else { return [] }
        var tree: [ProcessStat] = []
        var seen: Set<Int32> = []
        var next = [first]
        while let process = next.popLast() {
            // Parents are read one after the other, so that a pid that was given away meanwhile can make a circle.
            guard seen.insert(process.pid).inserted else { continue }
            tree.append(process)
            next += (children[process.pid] ?? []).compactMap { processes[$0] }
        }
        return tree
    }
}
