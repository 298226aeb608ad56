// Jobs that end when a unit looks as it was asked to.

import AgentCore
import Platform

/// Who waits for what, unit by unit. One job at a time changes a unit.
final class UnitJobs {
    typealias Answer = (Result<Void, ActionError>) -> Void

    private struct Job {
        var timer: Loop.Timer
        var isDone: (UnitReport) -> Result<Void, ActionError>?
        var answer: Answer
    }

    private let loop: Loop
    private var jobs: [String: Job] = [:]

    init(loop: Loop) { self.loop = loop }

    func isRunning(for unit: String) -> Bool { jobs[unit] != nil }

    /// Answers once, on a later pass of the loop.
    func refuse(_ problem: String, _ answer: @escaping Answer) {
        loop.after(.zero) { answer(.failure(ActionError(problem))) }
    }

    /// - Parameters:
    ///   - isDone: judges each report of the unit; `nil` while the job goes on.
    ///   - late: what is said when the deadline passes first; `ended` is called then too.
    func begin(
        on unit: String, deadline: Duration, late: String, ended: @escaping () -> Void, isDone: @escaping (UnitReport) -> Result<Void, ActionError>?,
        _ answer: @escaping Answer
    ) {
        let timer = loop.after(deadline) { [weak self] in self?.finish(unit, .failure(ActionError(late))) }
        jobs[unit] = Job(
            timer: timer, isDone: isDone,
            answer: { result in
                ended()
                answer(result)
            })
    }

    /// The unit looks like this now.
    func note(_ report: UnitReport, of unit: String) {
        if let result = jobs[unit]?.isDone(report) { finish(unit, result) }
    }

    func finish(_ unit: String, _ result: Result<Void, ActionError>) {
        guard let job = jobs.removeValue(forKey: unit) else { return }
        loop.cancel(job.timer)
        job.answer(result)
    }

    func finishAll(_ problem: String) {
        for unit in jobs.keys.sorted() { finish(unit, .failure(ActionError(problem))) }
    }
}

/// How long, for people: `5 s`, `2.5 s`.
func secondsText(_ duration: Duration) -> String {
    let tenths = Int64((duration.inSeconds * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(abs(tenths % 10)) s"
}
