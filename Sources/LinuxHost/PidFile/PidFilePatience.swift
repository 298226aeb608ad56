// Pid files that are away for a moment.

import AgentCore
import Platform

/// A daemon that reloads may take its pid file away and write it anew (gunicorn at HUP, nginx at USR2). As long as the process that it named
/// runs on, nothing is wrong for a moment.
struct PidFilePatience {
    static let length = Duration.seconds(2)

    /// Since when each service's file has not named its process.
    private var since: [String: Duration] = [:]

    /// How long to wait before what the file says now is believed; `nil`: it is to be believed.
    /// - Parameters:
    ///   - process: that it named before.
    ///   - isNamed: whether it names a process that runs.
    mutating func wait(for name: String, _ process: ProcessIdentity?, isNamed: Bool, proc: ProcFileSystem, at now: Duration) -> Duration? {
        guard !isNamed, let process, let stat = proc.stat(of: process.pid), stat.startTicks == process.startTicks, !stat.hasEnded else {
            since[name] = nil
            return nil
        }
        let first = since[name] ?? now
        since[name] = first
        let left = Self.length - (now - first)
        return left > .zero ? left : nil
    }

    mutating func forget(_ name: String) { since[name] = nil }
}
