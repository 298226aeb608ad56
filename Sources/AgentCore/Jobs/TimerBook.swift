// What is known of jobs that nobody had to announce, and when somebody must hear of one.

import Platform

/// Follows discovered jobs: told once when a run fails, once when one does not happen, and once when all is well again.
struct TimerBook {
    /// How late a start may be. systemd itself may take its time within a timer's `AccuracySec=`, a minute unless it says otherwise.
    static let grace = Duration.seconds(300)

    private struct Known {
        var job: DiscoveredJob
        var hasFailed = false
        var isOverdue = false
    }

    private var known: [String: Known] = [:]

    mutating func observe(_ job: DiscoveredJob) -> JobBook.Outcome? {
        var entry = known[job.name] ?? Known(job: job)
        defer { known[job.name] = entry }
        let isNewRun = entry.job.lastStart != job.lastStart
        entry.job = job
        let hadTrouble = entry.hasFailed || entry.isOverdue
        if isNewRun { entry.isOverdue = false }
        guard let exit = job.lastExit, !job.isRunning else { return nil }
        if !exit.isSuccess {
            guard !entry.hasFailed || isNewRun else { return nil }
            let isNews = !entry.hasFailed
            entry.hasFailed = true
            return .failed("\(job.name) started \(job.unit), which \(exit)", isNews: isNews)
        }
        entry.hasFailed = false
        return hadTrouble && !entry.isOverdue ? .ran("\(job.name) started \(job.unit), which ended well") : nil
    }

    mutating func gone(_ name: String) { known[name] = nil }

    /// Says which jobs should have been started and were not, each once.
    mutating func judge(at now: Timestamp) -> [(job: String, outcome: JobBook.Outcome)] {
        var outcomes: [(job: String, outcome: JobBook.Outcome)] = []
        for (name, entry) in known.sorted(by: { $0.key < $1.key }) {
            guard !entry.isOverdue, !entry.job.isRunning, let due = entry.job.nextDue, now > due + Self.grace else { continue }
            known[name]?.isOverdue = true
            outcomes.append((name, .overdue("\(name) should have started \(entry.job.unit) at \(due.text(fraction: false))")))
        }
        return outcomes
    }
}
