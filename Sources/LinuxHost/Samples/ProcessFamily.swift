// The processes of one unit, from cycle to cycle.

import AgentCore
import Platform

/// Keeps a reader for each process of a unit, and adds up what they use.
///
/// A sum of counters would fall when a process ends. This one adds what each process has used since the last look, and what ended children
/// have used that their parents have waited for: the kernel adds a child's time to its parent's when it does that.
final class ProcessFamily {
    /// In the order of their pids.
    private(set) var members: [ProcessReader] = []
    /// Of the last look; `nil` when they cannot be known.
    private(set) var rates: ProcessorRates?
    private var lookedAt: Duration?
    private let proc: ProcFileSystem
    private let reader: FileReader
    private let clockTicks: UInt64

    /// More processes than this are not looked at one by one.
    static let limit = 16384
    /// How many processes in a line may end between two looks without their time being counted twice.
    private static let generations = 8

    init(proc: ProcFileSystem, reader: FileReader, clockTicks: UInt64) {
        self.proc = proc
        self.reader = reader
        self.clockTicks = clockTicks
    }

    func member(_ pid: Int32) -> ProcessReader? {
        let index = place(of: pid)
        return index < members.count && members[index].pid == pid ? members[index] : nil
    }

    /// The reader of a process; a new one for a process that was not there at the last look.
    func reader(of pid: Int32) -> ProcessReader { member(pid) ?? ProcessReader(pid, proc: proc, reader: reader) }

    private func place(of pid: Int32) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].pid < pid { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Looks at the processes that are there now.
    /// - Parameter present: with the readers that it had, in any order, each once.
    func look(_ present: [ProcessReader], at uptime: Duration) {
        var gone: [Ended] = []
        for member in present {
            guard let counters = member.look() else { continue }
            if let before = member.before, before.start != counters.start {
                gone.append(Ended(pid: member.pid, parent: before.parent, used: before.all))
                member.startAnew()
            }
        }
        let changed = present.count != members.count || !zip(present, members).allSatisfy { $0 === $1 }
        if changed {
            let now = present.sorted { $0.pid < $1.pid }
            var index = 0
            for old in members {
                while index < now.count, now[index].pid < old.pid { index += 1 }
                if index < now.count, now[index] === old { continue }
                if let before = old.before { gone.append(Ended(pid: old.pid, parent: before.parent, used: before.all)) }
            }
            members = now
        }
        addUp(at: uptime, gone: gone)
    }

    private func addUp(at uptime: Duration, gone: [Ended]) {
        let seconds = lookedAt.map { (uptime - $0).inSeconds } ?? 0
        var sum = ProcessorTicks()
        for member in members {
            guard let now = member.counters else {
                member.inherited = ProcessorTicks()
                member.rates = nil
                continue
            }
            if let before = member.before {
                let own = now.own - before.own
                sum += own
                member.inherited = now.ofChildren - before.ofChildren
                member.rates = seconds > 0 ? ProcessorRates(user: Double(own.user) / seconds, system: Double(own.system) / seconds) : nil
            } else {
                // Of a process that was born since, all counts; of one that came from elsewhere, only what it uses from now on.
                member.inherited = ProcessorTicks()
                member.rates = nil
                if let lookedAt, Double(now.start) / Double(max(1, clockTicks)) >= lookedAt.inSeconds { sum += now.all }
            }
        }
        // What an ended process had used by the last look was counted then, and is now in the sum of the one that has waited for it.
        for ended in gone {
            guard let heir = heir(of: ended, among: gone) else { continue }
            heir.inherited = heir.inherited - ended.used
        }
        var isEmpty = true
        for member in members {
            sum += member.inherited
            if member.counters != nil { isEmpty = false }
            member.before = member.counters
        }
        rates = seconds > 0 && !isEmpty ? ProcessorRates(user: Double(sum.user) / seconds, system: Double(sum.system) / seconds) : nil
        lookedAt = uptime
    }

    /// Who has waited for it, or for the one that has.
    private func heir(of ended: Ended, among gone: [Ended]) -> ProcessReader? {
        var parent = ended.parent
        for _ in 0..<Self.generations {
            if let heir = member(parent) { return heir }
            guard let next = gone.first(where: { $0.pid == parent }) else { return nil }
            parent = next.parent
        }
        return nil
    }
}

/// A process that was there at the last look.
private struct Ended {
    var pid: Int32
    var parent: Int32
    var used: ProcessorTicks
}
