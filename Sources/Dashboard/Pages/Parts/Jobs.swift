// Recurring jobs with how they are.

import AgentAPI
import Platform

func jobTable(_ jobs: [JobState], of host: String, at now: Timestamp) -> HTML {
    dataTable(
        caption: "Jobs on \(host)", columns: ["Job", "State", "Last run", "Due"],
        rows: jobs.sorted { (rank($0.state), $0.name) < (rank($1.state), $1.name) }.map { job in
            [
                Cell("name") {
                    job.name
                    span(.class("under")) { job.schedule }
                },
                Cell {
                    Badge(job.state).html
                    if !job.detail.isEmpty { span(.class("under")) { job.detail } }
                },
                Cell { if let last = job.lastRun { shortMoment(last, now: now) } else { span(.class("muted")) { "not yet" } } },
                Cell { if let due = job.due { clock(due) } else { span(.class("muted")) { "nobody knows" } } },
            ]
        })
}

/// What needs attention first.
private func rank(_ state: JobState.State) -> Int {
    switch state {
    case .failed, .overdue, .tooLong: 0
    case .running: 1
    case .ok, .waiting: 2
    }
}

extension Badge {
    init(_ state: JobState.State) {
        switch state {
        case .ok: self.init(word: "In order", icon: .passing, tone: "passing")
        case .waiting: self.init(word: "Not run yet", icon: .changing, tone: "neutral")
        case .running: self.init(word: "Running", icon: .changing, tone: "neutral")
        case .overdue: self.init(word: "Overdue", icon: .error, tone: "error")
        case .tooLong: self.init(word: "Runs too long", icon: .error, tone: "error")
        case .failed: self.init(word: "Failed", icon: .critical, tone: "critical")
        }
    }
}
