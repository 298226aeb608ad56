// One process as supervisord describes it.

import AgentCore
import Platform

/// What getProcessInfo says of a process (http://supervisord.org/api.html).
struct SupervisordProcess: Equatable, Sendable {
    enum State: Int64, Sendable {
        case stopped = 0
        case starting = 10
        case running = 20
        case backoff = 30
        case stopping = 40
        case exited = 100
        case fatal = 200
        case unknown = 1000
    }

    /// As supervisorctl has it: `web`, `workers:worker_00`.
    var name: String
    var state: State
    var stateName: String
    /// 0 when there is none.
    var pid: Int32
    /// Unix times; 0 when that has not happened.
    var start: Int64
    var stop: Int64
    var now: Int64
    /// -1 for a process that a signal ended.
    var exitStatus: Int64
    /// Why it could not be started, or that its end was not expected.
    var problem: String

    init?(_ value: XMLRPCValue) {
        guard let members = value.structure, let process = members["name"]?.string, let group = members["group"]?.string, !process.isEmpty,
            let number = members["state"]?.integer, let pid = members["pid"]?.integer
        else { return nil }
        name = group == process ? process : "\(group):\(process)"
        state = State(rawValue: number) ?? .unknown
        stateName = members["statename"]?.string ?? "state \(number)"
        self.pid = Int32(exactly: pid).map { max(0, $0) } ?? 0
        start = members["start"]?.integer ?? 0
        stop = members["stop"]?.integer ?? 0
        now = members["now"]?.integer ?? 0
        exitStatus = members["exitstatus"]?.integer ?? 0
        problem = members["spawnerr"]?.string ?? ""
    }

    /// Of an answer to getAllProcessInfo; `nil` when it is none.
    static func list(_ answer: XMLRPCAnswer) -> [SupervisordProcess]? {
        guard case .value(let value) = answer, let values = value.array else { return nil }
        let processes = values.compactMap { SupervisordProcess($0) }
        return processes.count == values.count ? processes : nil
    }

    var exit: ExitReason { exitStatus < 0 ? .other("killed by a signal") : .exited(status: Int32(clamping: exitStatus)) }

    /// It has ended just now, and supervisord decides within its next turn, a second later at most, whether it starts it again.
    var mayBeStartedAgain: Bool { state == .exited && abs(now &- stop) <= 1 }

    /// - Parameters:
    ///   - process: what the kernel says of its pid.
    ///   - lastExit: how the run before ended; supervisord forgets it when it starts the next.
    func report(process: ProcessIdentity?, lastExit: ExitReason?) -> UnitReport {
        var report = UnitReport(activity: .running, detail: stateName, restartsByItself: true)
        switch state {
        case .running, .starting:
            report.activity = state == .running ? .running : .starting
            report.process = process
            report.lastExit = lastExit
            report.detail += " pid \(pid)"
        case .backoff:
            report.activity = .restarting
            report.lastExit = problem.isEmpty ? nil : .other(problem)
        case .stopping:
            report.activity = .stopping
            report.process = process
            report.isAsked = true
        case .stopped:
            report.activity = .stopped
            report.isAsked = true
        case .exited where mayBeStartedAgain:
            report.activity = .starting
            report.lastExit = exit
        case .exited:
            // Of an end that it did not expect, it says so.
            report.activity = problem.isEmpty ? .stopped : .failed
            report.restartsByItself = false
            report.lastExit = exit
        case .fatal:
            report.activity = .failed
            report.restartsByItself = false
            report.lastExit = problem.hasPrefix("Exited too quickly") || problem.isEmpty ? .startLimit : .other(problem)
        case .unknown:
            report.activity = .failed
            report.restartsByItself = false
        }
        if !problem.isEmpty, report.activity != .running { report.detail += ": \(String(decoding: problem.utf8.prefix(200), as: UTF8.self))" }
        if report.activity == .running || report.activity == .starting, start > 0, start < 1 << 40 { report.since = Timestamp(seconds: start) }
        return report
    }
}
