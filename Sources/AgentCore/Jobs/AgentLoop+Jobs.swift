// Recurring jobs, as the watcher tells of them. Deploy windows do not silence them.

import AgentAPI
import Platform

extension AgentLoop {
    func judgeJobs(at now: Moment) {
        jobs.follow(now)
        for (job, outcome) in jobs.judge(at: now.wall) + timers.judge(at: now.wall) { record(outcome, of: job, at: now) }
    }

    func record(_ outcome: JobBook.Outcome, of job: String, at now: Moment) {
        let (kind, importance, detail, isNews): (Event.Kind, Importance?, String, Bool) =
            switch outcome {
            case .overdue(let text): (.jobOverdue, .error, text, true)
            case .failed(let text, let isNews): (.jobFailed, .error, text, isNews)
            case .ran(let text): (.jobRan, nil, text, true)
            }
        let routes: [String?] = isNews ? [route(ofJob: job)] : []
        record(Event(kind: kind, at: now.wall, rule: "job \(job)", importance: importance, detail: detail, routes: routes))
    }
}

extension AgentLoop {
    private func route(ofJob name: String) -> String? {
        if let route = plan.jobRoutes[name] { return route }
        return timers(of: name)?.route
    }

    private func timers(of name: String) -> WatchPlan.Timers? {
        plan.timers.first { matches(name, pattern: $0.pattern) || matches(name, pattern: $0.pattern + ".timer") }
    }

    /// What was told of jobs that no plan asks for any longer is forgotten.
    func keepPlannedTimers() { timers.keep { timers(of: $0) != nil } }
}

extension AgentLoop: JobObserver {
    public func job(_ job: DiscoveredJob) {
        guard isRunning, let outcome = timers.observe(job) else { return }
        record(outcome, of: job.name, at: time.now())
    }

    public func jobGone(_ name: String) {
        timers.gone(name)
        saveStateSoon()
    }
}
