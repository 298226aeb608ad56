// What the kernel's log says of processes that were killed because memory ran out.

import AgentCore
import CSystemd
import Glibc

/// Finds killed processes in lines of the kernel's log.
///
/// The kernel writes `oom-kill:...,task_memcg=/system.slice/web.service,task=python3,pid=123,uid=0`, then `... Killed process 123 (python3)
/// total-vm:214260kB, anon-rss:58112kB, ...`. Kernels before 5.0 write `Task in /system.slice/web.service killed as a result of limit of ...`
/// instead of the first.
struct KernelKills {
    /// For a person: `python3 (pid 123, 56.8m resident)`; the latest first.
    private(set) var processes: [String] = []
    private let cgroup: String
    /// Processes whose control group has not been found yet.
    private var waiting: [(pid: String, words: String)] = []

    /// - Parameter cgroup: processes of this control group, and of those below it, are meant.
    init(in cgroup: String) { self.cgroup = cgroup }

    /// Takes the log line by line, the latest first.
    mutating func take(_ line: some StringProtocol) {
        if let killed = Self.killed(line) {
            waiting.append(killed)
        } else if line.hasPrefix("oom-kill:") {
            let fields = line.dropFirst("oom-kill:".count).split(separator: ",")
            func field(_ name: String) -> String? { fields.first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.count + 1)) } }
            guard let group = field("task_memcg"), let pid = field("pid") else { return }
            let known = waiting.firstIndex { $0.pid == pid }.map { waiting.remove(at: $0).words }
            if isMeant(group) { processes.append(known ?? "\(field("task") ?? "a process") (pid \(pid))") }
        } else if line.hasPrefix("Task in ") {
            guard let group = line.dropFirst("Task in ".count).split(separator: " ").first, let killed = waiting.popLast() else { return }
            if isMeant(String(group)) { processes.append(killed.words) }
        }
    }

    private func isMeant(_ group: String) -> Bool { group == cgroup || group.hasPrefix("\(cgroup)/") || group.hasSuffix(cgroup) }

    private static func killed(_ line: some StringProtocol) -> (pid: String, words: String)? {
        guard let start = line.firstRange(of: "Killed process ")?.upperBound else { return nil }
        let rest = line[start...]
        let pid = rest.prefix { $0.isNumber }
        guard !pid.isEmpty, let open = rest.firstIndex(of: "("), let close = rest[open...].firstIndex(of: ")") else { return nil }
        let resident = rest.firstRange(of: "anon-rss:").flatMap { Double(String(rest[$0.upperBound...].prefix { $0.isNumber })) }
        let size = resident.map { ", \(amountText($0 * 1024, unit: .bytes)) resident" } ?? ""
        return (String(pid), "\(rest[rest.index(after: open)..<close]) (pid \(pid)\(size))")
    }
}

/// The processes of a control group that the kernel has killed lately because memory ran out, the latest first; empty when its log does not
/// say so, or this process may not read it. It waits for the disk: it is not for the watcher's thread.
func killedProcesses(in cgroup: String, within microseconds: UInt64) -> [String] {
    let mostLines = 5000
    var journal: OpaquePointer?
    guard sd_journal_open(&journal, Int32(SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM)) >= 0, let journal else { return [] }
    defer { sd_journal_close(journal) }
    sd_journal_set_data_threshold(journal, 2048)
    guard sd_journal_add_match(journal, "_TRANSPORT=kernel", 0) >= 0, sd_journal_seek_tail(journal) >= 0 else { return [] }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let oldest = UInt64(max(0, now.tv_sec)) * 1_000_000 - min(UInt64(max(0, now.tv_sec)) * 1_000_000, microseconds)
    var kills = KernelKills(in: cgroup)
    for _ in 0..<mostLines {
        guard sd_journal_previous(journal) > 0 else { break }
        var time: UInt64 = 0
        guard sd_journal_get_realtime_usec(journal, &time) >= 0, time >= oldest else { break }
        var bytes: UnsafeRawPointer?
        var size = 0
        guard sd_journal_get_data(journal, "MESSAGE", &bytes, &size) >= 0, let bytes else { continue }
        let message = UnsafeRawBufferPointer(start: bytes, count: min(size, 2048)).dropFirst("MESSAGE=".utf8.count)
        kills.take(String(decoding: message.map { $0 < 32 || $0 == 127 ? UInt8(ascii: " ") : $0 }, as: UTF8.self))
    }
    return kills.processes
}
