// Recurring jobs, as the watcher tells of them. Deploy windows do not silence them.

import AgentAPI
import Platform

extension AgentLoop {
    func judgeJobs(at now: Moment) {
        for (_, outcome) in jobs.judge(at: now.wall) { record(outcome, at: now) }
    }

    func record(_ outcome: JobBook.Outcome, at now: Moment) {
        let (kind, importance, detail, isNews): (Event.Kind, Importance?, String, Bool) =
            switch outcome {
            case .overdue(let text): (.jobOverdue, .error, text, true)
            case .failed(let text, let isNews): (.jobFailed, .error, text, isNews)
            case .ran(let text): (.jobRan, nil, text, true)
            }
        record(Event(kind: kind, at: now.wall, importance: importance, detail: detail, routes: isNews ? [plan.jobRoute] : []))
    }
}
