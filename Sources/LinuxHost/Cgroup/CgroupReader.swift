// What one control group has used.

import Glibc

/// Reads a group's counters through files that it keeps open.
final class CgroupReader {
    /// Processor time of all processes that the group has had, in microseconds since it was made.
    struct Processor: Equatable {
        var total: UInt64
        var user: UInt64?
        var system: UInt64?
    }

    let group: String
    private let paths: CgroupPaths
    private let clockTicks: UInt64
    private let budget: DescriptorBudget
    private var files: [String: HeldFile] = [:]

    init?(_ group: String, layout: CgroupLayout?, below top: String, clockTicks: UInt64, budget: DescriptorBudget) {
        guard let paths = CgroupPaths(group, layout: layout, below: top) else { return nil }
        self.group = group
        self.paths = paths
        self.clockTicks = clockTicks
        self.budget = budget
    }

    func processor() -> Processor? {
        if let path = paths.cpuStat, let text = read(path), let total = number(of: "usage_usec", in: text) {
            return Processor(total: total, user: number(of: "user_usec", in: text), system: number(of: "system_usec", in: text))
        }
        for (usage, split) in zip(paths.cpuUsage, paths.cpuSplit) {
            guard let text = read(usage), let nanoseconds = decimal(trimmed(text)) else { continue }
            let parts = read(split)
            return Processor(
                total: nanoseconds / 1000, user: parts.flatMap { number(of: "user", in: $0) }.map { $0 * 1_000_000 / clockTicks },
                system: parts.flatMap { number(of: "system", in: $0) }.map { $0 * 1_000_000 / clockTicks })
        }
        return nil
    }

    /// Bytes that the group is charged for, less the file cache that the kernel takes back first. `nil` where memory is not accounted for.
    func memory() -> UInt64? {
        guard let text = read(paths.memory), let used = decimal(trimmed(text)), let statistics = read(paths.memoryStat) else { return nil }
        let inactive = number(of: paths.inactiveKey, in: statistics) ?? 0
        return used > inactive ? used - inactive : 0
    }

    /// The pids in the group and in the groups below it; `nil` when it cannot be read.
    func processes() -> [Int32]? {
        var pids: [Int32] = []
        guard collect(paths.folder, depth: 0, into: &pids) else { return nil }
        return pids
    }

    private func collect(_ folder: String, depth: Int, into pids: inout [Int32]) -> Bool {
        // In a hybrid layout systemd mirrors each group in its own hierarchy; one of the two is enough.
        guard depth < 16, let text = readFile(folder + "/cgroup.procs", limit: 1 << 20) else { return false }
        for line in text.split(separator: UInt8(ascii: "\n")) {
            // 0 stands for a process of another pid namespace.
            if let pid = decimal(line), pid > 0 { pids.append(Int32(clamping: pid)) }
        }
        guard let entries = opendir(folder) else { return true }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = nameBytes(of: entry)
            guard entry.pointee.d_type == UInt8(DT_DIR), name.first != UInt8(ascii: ".") else { continue }
            _ = collect("\(folder)/\(String(decoding: name, as: UTF8.self))", depth: depth + 1, into: &pids)
        }
        return true
    }

    /// A group that was removed and made again has the same name and new files: what fails is opened anew once.
    private func read(_ path: String) -> [UInt8]? {
        if let text = files[path]?.read() { return text }
        files[path] = HeldFile(path, limit: 1 << 16, budget: budget)
        return files[path]?.read()
    }

    private func trimmed(_ text: [UInt8]) -> ArraySlice<UInt8> { text.prefix { $0 != UInt8(ascii: "\n") } }
}
