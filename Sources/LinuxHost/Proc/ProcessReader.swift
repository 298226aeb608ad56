// What one process uses.

import AgentCore
import Glibc
import Platform

/// Reads the files of one process, each at most once in a cycle, and keeps open those that every cycle wants.
final class ProcessReader {
    let pid: Int32
    /// Of this cycle; `nil` when the process is gone.
    private(set) var counters: ProcessCounters?
    /// What `counters` was at the family's last look.
    var before: ProcessCounters?
    /// Clock ticks per second since the family's last look; `nil` when they cannot be known.
    var rates: ProcessorRates?
    /// What of its waited-for children's time this look must count; while the look lasts.
    var inherited = ProcessorTicks()

    private let proc: ProcFileSystem
    private let reader: FileReader
    private var countersAt: Duration?
    private var residentAt: Duration?
    private var residentPages: UInt64?
    private var stat: HeldFile
    private var statm: HeldFile
    private var childList: HeldFile
    private var limit: (value: Limit?, at: Duration)?
    private(set) var filesFailure: Int32 = 0
    private(set) var transferFailure: Int32 = 0
    var statFailure: Int32 { stat.failure }

    /// How long a limit is believed, which changes seldom.
    private static let patience = Duration.seconds(10)
    /// With more threads than this it costs less to look at all processes than at the children of each thread.
    private static let manyThreads = 32

    init(_ pid: Int32, proc: ProcFileSystem, reader: FileReader) {
        self.pid = pid
        self.proc = proc
        self.reader = reader
        stat = HeldFile(reader)
        statm = HeldFile(reader)
        childList = HeldFile(reader)
    }

    var identity: ProcessIdentity? { counters.map { ProcessIdentity(pid: pid, startTicks: $0.start) } }

    /// Its numbers as they are in this cycle.
    @discardableResult
    func look() -> ProcessCounters? {
        if countersAt == reader.now { return counters }
        countersAt = reader.now
        counters = stat.read(proc.path(of: pid, "stat")).flatMap { ProcessCounters(parsing: $0.span) }
        return counters
    }

    /// Whether it has used no processor time since the family's last look, and none of its children has ended.
    var hasRested: Bool {
        guard let before, let now = look() else { return false }
        return now.start == before.start && now.own == before.own && now.ofChildren == before.ofChildren
    }

    /// Pages in memory. The number in `stat` is cheaper, and on a machine with many processors wrong by megabytes.
    func pages() -> UInt64? {
        if residentAt == reader.now { return residentPages }
        residentAt = reader.now
        let isHeld = statm.isHeld
        residentPages = statm.read(proc.path(of: pid, "statm")).flatMap { LinuxHost.residentPages(parsing: $0.span) }
        // A file that was opened just now is of the process whose `stat` is opened, or read, after it.
        if !isHeld || !statm.isHeld, countersAt == reader.now, let counters {
            countersAt = nil
            if look()?.start != counters.start { residentPages = nil }
        }
        return residentPages
    }

    /// Appends the pids of its children; `false` when the kernel does not tell them cheaply.
    func appendChildren(to pids: inout [Int32]) -> Bool {
        guard let threads = look()?.threads, threads <= Self.manyThreads else { return false }
        if threads <= 1 {
            guard let text = childList.read("\(proc.path(of: pid, "task"))/\(pid)/children") else { return false }
            appendProcesses(parsing: text.span, to: &pids)
            return true
        }
        // A child belongs to the thread that made it.
        var names: [String] = []
        let folder = proc.path(of: pid, "task")
        guard forEachEntry(of: folder, { name, _ in if name.first != UInt8(ascii: ".") { names.append(String(decoding: name, as: UTF8.self)) } })
        else { return false }
        for name in names {
            guard let text = readFile("\(folder)/\(name)/children", limit: 1 << 16) else {
                if name == "\(pid)" { return false }
                continue
            }
            appendProcesses(parsing: text.span, to: &pids)
        }
        return true
    }

    /// How many files it has open.
    func files(isOfKernel: Bool) -> UInt64? {
        let folder = proc.path(of: pid, "fd")
        var status = Glibc.stat()
        filesFailure = 0
        // Since Linux 6.2 the folder's size is its number of files, which needs no permission; before, it is 0.
        if isOfKernel, lstat(folder, &status) == 0, status.st_size > 0 { return UInt64(status.st_size) }
        var count: UInt64 = 0
        guard forEachEntry(of: folder, { name, _ in if name.first != UInt8(ascii: ".") { count += 1 } }) else {
            filesFailure = errno
            return nil
        }
        return count
    }

    func filesLimit() -> Limit? {
        if let limit, reader.now - limit.at < Self.patience { return limit.value }
        let value = readFile(proc.path(of: pid, "limits"), limit: 4096).flatMap { Limit(openFilesOf: $0.span) }
        limit = (value, reader.now)
        return value
    }

    /// Bytes from and to disks; what its waited-for children have transferred is in it.
    func transfer() -> ProcessTransfer? {
        transferFailure = 0
        guard let text = readFile(proc.path(of: pid, "io"), limit: 1024) else {
            transferFailure = errno
            return nil
        }
        return ProcessTransfer(parsing: text.span)
    }

    /// Forgets the process; another has its pid.
    func startAnew() {
        before = nil
        rates = nil
        limit = nil
        statm.release()
        childList.release()
    }
}

/// Processor time in clock ticks.
struct ProcessorTicks: Equatable, Sendable {
    var user: UInt64 = 0
    var system: UInt64 = 0

    static func += (sum: inout Self, more: Self) {
        sum.user = sum.user.clampedSum(more.user)
        sum.system = sum.system.clampedSum(more.system)
    }

    /// Never below zero.
    static func - (a: Self, b: Self) -> Self { Self(user: a.user - min(a.user, b.user), system: a.system - min(a.system, b.system)) }
}

/// Clock ticks per second.
struct ProcessorRates: Equatable, Sendable {
    var user: Double
    var system: Double
}

extension UInt64 {
    fileprivate func clampedSum(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension ProcessCounters {
    var own: ProcessorTicks { ProcessorTicks(user: user, system: system) }
    var ofChildren: ProcessorTicks { ProcessorTicks(user: childUser, system: childSystem) }
    var all: ProcessorTicks {
        var all = own
        all += ofChildren
        return all
    }
}
