// The processor time of a changing set of processes.

import AgentCore
import Platform

/// Adds up what each process has used since the last look. A sum of counters would fall when a process ends; this one does not, it
/// only misses the last moments of what has ended.
struct ProcessorShare: Sendable {
    /// Clock ticks per second.
    struct Rates: Equatable {
        var user: Double
        var system: Double
    }

    private var last: [ProcessIdentity: ProcessStat] = [:]
    private var lookedAt: Duration?

    mutating func look(_ processes: [ProcessStat], at uptime: Duration, clockTicks: UInt64) -> Rates? {
        let now = Dictionary(processes.map { (ProcessIdentity(pid: $0.pid, startTicks: $0.startTicks), $0) }) { first, _ in first }
        defer { (last, lookedAt) = (now, uptime) }
        guard let lookedAt, uptime > lookedAt, !now.isEmpty else { return nil }
        var user: UInt64 = 0
        var system: UInt64 = 0
        for (identity, stat) in now {
            if let before = last[identity] {
                user += stat.userTicks >= before.userTicks ? stat.userTicks - before.userTicks : 0
                system += stat.systemTicks >= before.systemTicks ? stat.systemTicks - before.systemTicks : 0
            } else if Double(identity.startTicks) / Double(clockTicks) >= lookedAt.inSeconds {
                user += stat.userTicks
                system += stat.systemTicks
            }
        }
        let seconds = (uptime - lookedAt).inSeconds
        return Rates(user: Double(user) / seconds, system: Double(system) / seconds)
    }
}
