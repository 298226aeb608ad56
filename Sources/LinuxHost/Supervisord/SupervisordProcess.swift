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
    /// That of its program unless it is in a `[group:...]`.
    var group: String
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
        self.group = group
        name = Self.name(process, of: group)
        state = State(rawValue: number) ?? .unknown
        stateName = members["statename"]?.string ?? "state \(number)"
        self.pid = Int32(exactly: pid).map { max(0, $0) } ?? 0
        start = members["start"]?.integer ?? 0
        stop = members["stop"]?.integer ?? 0
        now = members["now"]?.integer ?? 0
        exitStatus = members["exitstatus"]?.integer ?? 0
        problem = members["spawnerr"]?.string ?? ""
    }

    /// As supervisorctl names it.
    private static func name(_ process: String, of group: String) -> String { group == process ? process : "\(group):\(process)" }

    /// Of an answer to getAllConfigInfo: the names of all processes that are configured, and of those that are started only when somebody says
    /// so; `nil` when it is none.
    static func configured(_ answer: XMLRPCAnswer) -> (all: Set<String>, manual: Set<String>)? {
        guard case .value(let value) = answer, let values = value.array else { return nil }
        var (all, manual): (Set<String>, Set<String>) = ([], [])
        for members in values.compactMap(\.structure) {
            guard let process = members["name"]?.string, let group = members["group"]?.string else { continue }
            let name = name(process, of: group)
            all.insert(name)
            if members["autostart"] == .boolean(false) { manual.insert(name) }
        }
        return (all, manual)
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
    ///   - isManual: whether it is started only when somebody says so (`autostart=false`).
    func report(process: ProcessIdentity?, lastExit: ExitReason?, isManual: Bool = false) -> UnitReport {
        var report = UnitReport(activity: .running, detail: stateName, restartsByItself: true)
        if isManual { report.nature = .batch }
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
            report.endedWell = problem.isEmpty
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

/// A group of processes as one unit: `[program:NAME]` with `numprocs`, or `[group:NAME]`. It is up when each of them is, and what is wrong
/// with the worst of them is wrong with it.
/// - Parameters:
///   - members: their names and reports; at least one.
///   - restarted: the one that supervisord restarted last.
func supervisordGroup(_ members: [(name: String, report: UnitReport)], restarted: String? = nil) -> UnitReport {
    let down = members.filter { !$0.report.isUp }
    var report = UnitReport(
        activity: .running, detail: members.count == 1 ? "RUNNING: 1 process" : "RUNNING: \(members.count) processes",
        nature: members.allSatisfy { $0.report.nature == .batch } ? .batch : .daemon,
        restartsByItself: members.contains { $0.report.restartsByItself })
    report.since = members.compactMap(\.report.since).max { $0.seconds < $1.seconds }
    if let restarted, let member = members.first(where: { $0.name == restarted }) {
        // A restart may be over before supervisord could be asked how the run before had ended.
        report.lastExit = member.report.lastExit.map { exit($0, of: restarted) } ?? .other("\(restarted) ended")
    }
    if members.count == 1 { report.process = members[0].report.process }
    guard let worst = down.min(by: { $0.report.urgency < $1.report.urgency }) else { return report }
    let words = down.prefix(5).map { "\($0.name) \($0.report.detail)" }.joined(separator: ", ") + (down.count > 5 ? ", ..." : "")
    report.activity = worst.report.activity
    report.detail = "\(members.count - down.count) of \(members.count) run: \(words)"
    report.lastExit = worst.report.lastExit.map { exit($0, of: worst.name) }
    report.isAsked = down.allSatisfy(\.report.isAsked)
    report.isPartlyUp = down.count < members.count || down.contains { $0.report.process != nil }
    report.since = worst.report.since
    return report
}

/// How a member of a group ended. A success stays one.
private func exit(_ reason: ExitReason, of member: String) -> ExitReason {
    switch reason {
    case _ where reason.isSuccess: reason
    case .other(let words): .other("\(member): \(words)")
    default: .other("\(member) \(reason)")
    }
}

extension UnitReport {
    /// What of several processes is told first; less is more urgent.
    fileprivate var urgency: Int {
        switch activity {
        case .failed: 0
        case .restarting: 1
        case .starting: 2
        case .stopping: 3
        case .stopped: 4
        case .reloading, .running: 5
        }
    }
}
