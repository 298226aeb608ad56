// What is kept of a unit before an action changes it.

public import AgentCore
public import Platform

/// Reads the journal, the control group and /proc on a thread of its own, because the journal's disk may be slow.
public final class LinuxEvidence: EvidenceReader {
    private static let logLines = 10
    /// Threads that may wait for a disk that hangs; while they do, further evidence is given up.
    private static let mostThreads = 4

    private let loop: Loop
    private var waiting: [UInt64: Waiting] = [:]
    private var number: UInt64 = 0
    /// How many threads have not ended.
    private var running = 0

    private struct Waiting {
        var deadline: Loop.Timer
        var done: ([String]) -> Void
    }

    public init(loop: Loop) { self.loop = loop }

    public func collect(
        of unit: String, initSystem: String, cgroup: String?, mainProcess: ProcessIdentity?, deadline: Duration, _ done: @escaping ([String]) -> Void
    ) {
        let journal = initSystem == "systemd" ? unit : nil
        read(
            { linesOfEvidence(of: journal, cgroup: cgroup, mainProcess: mainProcess, count: Self.logLines) }, deadline: deadline,
            otherwise: { ["no evidence: \($0)"] }, done)
    }

    public func kills(in cgroup: String, within age: Duration, deadline: Duration, _ done: @escaping ([String]) -> Void) {
        let microseconds = UInt64(max(0, age.microseconds))
        read({ Array(killedProcesses(in: cgroup, within: microseconds).prefix(3)) }, deadline: deadline, otherwise: { _ in [] }, done)
    }

    /// - Parameter otherwise: what is answered when nothing could be read, by the reason.
    private func read(
        _ lines: @escaping @Sendable () -> [String], deadline: Duration, otherwise: @escaping (String) -> [String],
        _ done: @escaping ([String]) -> Void
    ) {
        number += 1
        let id = number
        let home = Home(evidence: self)
        guard
            running < Self.mostThreads,
            detachThread({ [loop] in
                let lines = lines()
                loop.post { home.evidence?.collected(lines, for: id) }
            })
        else {
            loop.after(.zero) { done(otherwise("too much of it is being collected already")) }
            return
        }
        running += 1
        let timer = loop.after(deadline) { [weak self] in self?.finish(id, otherwise("it could not be read in time")) }
        waiting[id] = Waiting(deadline: timer, done: done)
    }

    private func collected(_ lines: [String], for id: UInt64) {
        running -= 1
        finish(id, lines)
    }

    private func finish(_ id: UInt64, _ lines: [String]) {
        guard let waiting = waiting.removeValue(forKey: id) else { return }
        loop.cancel(waiting.deadline)
        waiting.done(lines)
    }

    /// Carries the way back to the thread; only the loop follows it.
    private struct Home: @unchecked Sendable {
        weak var evidence: LinuxEvidence?
    }
}

/// Reads it all, however long that takes.
/// - Parameter unit: `nil` for a unit without a journal.
private func linesOfEvidence(of unit: String?, cgroup: String?, mainProcess: ProcessIdentity?, count: Int) -> [String] {
    // The processes first: they are what may be gone soon.
    var lines = ProcessEvidence().lines(cgroup: cgroup, mainProcess: mainProcess)
    if let unit { lines += journalLines(of: unit, count: count) ?? ["no log lines: there are none, or the agent may not read the journal"] }
    return lines
}
