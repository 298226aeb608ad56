// The jobs that systemd does for us, from the call to the result.

import AgentCore
import Platform

/// Who waits for which job. The result of a job may arrive before the answer that names the job.
struct SystemdJobs {
    struct Job {
        var verb: UnitVerb
        var unit: String
        var timer: Loop.Timer?
        var done: (Result<Void, ActionError>) -> Void
        /// Known once systemd has answered.
        fileprivate var path: String?
    }

    private var waiting: [UInt64: Job] = [:]
    /// Results of jobs that nobody has claimed, kept while an answer is outstanding.
    private var early: [String: String] = [:]
    private var number: UInt64 = 0

    mutating func begin(_ verb: UnitVerb, on unit: String, _ done: @escaping (Result<Void, ActionError>) -> Void) -> UInt64 {
        number += 1
        waiting[number] = Job(verb: verb, unit: unit, done: done)
        return number
    }

    mutating func setTimer(_ timer: Loop.Timer, of job: UInt64) { waiting[job]?.timer = timer }

    /// systemd has answered with the job's path; its result, if that has come already.
    mutating func accepted(_ job: UInt64, path: String) -> String? {
        let result = early[path]
        waiting[job]?.path = path
        forgetEarlyIfNobodyAsks()
        return result
    }

    /// A job has ended; ours, if it was.
    mutating func removed(_ path: String, result: String) -> Job? {
        if let job = waiting.first(where: { $0.value.path == path }) { return take(job.key) }
        if waiting.values.contains(where: { $0.path == nil }), early.count < 1000 { early[path] = result }
        return nil
    }

    mutating func take(_ job: UInt64) -> Job? {
        defer { forgetEarlyIfNobodyAsks() }
        return waiting.removeValue(forKey: job)
    }

    mutating func takeAll() -> [Job] {
        defer { (waiting, early) = ([:], [:]) }
        return waiting.sorted { $0.key < $1.key }.map(\.value)
    }

    private mutating func forgetEarlyIfNobodyAsks() {
        if !waiting.values.contains(where: { $0.path == nil }) { early = [:] }
    }
}

extension SystemdJobs.Job {
    /// What systemd's result means. Any word but `done` is a failure, also one that no systemd of today says.
    func outcome(_ result: String, lastExit: ExitReason?) -> Result<Void, ActionError> {
        let what = "the \(verb) of \(unit)"
        switch result {
        case "done": return .success(())
        case "failed" where verb == .reload: return .failure(ActionError("\(what) failed: its ExecReload= command did not succeed"))
        case "failed":
            return .failure(ActionError("\(what) failed" + (lastExit.map { ": it \($0.isSuccess ? "ended at once" : $0.description)" } ?? "")))
        case "canceled": return .failure(ActionError("\(what) was canceled: another job took its place"))
        case "timeout": return .failure(ActionError("\(what) took longer than systemd allows"))
        case "dependency": return .failure(ActionError("\(what) failed: a unit that it requires could not be started"))
        case "invalid" where verb == .reload: return .failure(ActionError("\(what) was not possible: it is not running"))
        case "skipped": return .failure(ActionError("\(what) did not apply to its present state"))
        default: return .failure(ActionError("\(what) ended as '\(result)'"))
        }
    }
}

extension UnitVerb {
    /// As systemd calls it when it asks polkit.
    fileprivate var inPolkit: String { if case .signal = self { "kill" } else { "\(self)" } }
}

/// Why systemd did not even queue the job, in words that help.
func refusal(of verb: UnitVerb, on unit: String, _ error: BusError) -> String {
    switch error.kind {
    case "AccessDenied", "InteractiveAuthorizationRequired":
        """
        the agent may not \(verb) \(unit): a polkit rule (/etc/polkit-1/rules.d/49-rollcall-agent.rules) must allow its user \
        org.freedesktop.systemd1.manage-units with verb \(verb.inPolkit) for this unit
        """
    case "NoSuchUnit": "systemd knows no unit \(unit)"
    case "JobTypeNotApplicable": "\(unit) cannot be reloaded: it has no ExecReload="
    case "UnitMasked": "\(unit) is masked: systemd refuses to run it"
    case "TransactionIsDestructive": "systemd has a job already that the \(verb) of \(unit) would get in the way of"
    case "NoReply", "Timeout": "systemd did not answer; whether it will \(verb) \(unit) is unknown"
    default: "systemd refused the \(verb) of \(unit): \(error)"
    }
}
