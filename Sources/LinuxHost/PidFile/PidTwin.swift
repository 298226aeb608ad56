// Processes that have the same number in a container as another one has here.

import Glibc
import Platform

/// A pid file that a container's process has written names it by its number in there. Here that number is another process's, if anyone's.
enum PidTwin {
    /// The process with that number in another pid namespace that was started shortly before the file was written.
    static func find(
        _ pid: Int32, in proc: ProcFileSystem, startedWithin window: Duration, before written: Timestamp, now: Moment, clockTicks: UInt64
    ) -> Int32? {
        guard proc.isOfKernel, let own = linkTarget(proc.path("self/ns/pid")) else { return nil }
        return proc.processes().first { other in
            // Where the link may not be read, nothing is known of it.
            guard other != pid, let namespace = linkTarget(proc.path(of: other, "ns/pid")), namespace != own,
                let stat = proc.stat(of: other), !stat.hasEnded, innermost(other, proc) == pid
            else { return false }
            let started = now.wall - (now.uptime - .seconds(Double(stat.startTicks) / Double(clockTicks)))
            return started <= written + .seconds(2) && started + window > written
        }
    }

    /// The number that it has in its own namespace: the last that `NSpid` has.
    private static func innermost(_ pid: Int32, _ proc: ProcFileSystem) -> Int32? {
        guard let text = readFile(proc.path(of: pid, "status"), limit: 4096),
            let line = text.split(separator: 10).first(where: { $0.starts(with: "NSpid:".utf8) })
        else { return nil }
        return line.split { $0 == 32 || $0 == 9 }.last.flatMap { Int32(String(decoding: $0, as: UTF8.self)) }
    }
}
