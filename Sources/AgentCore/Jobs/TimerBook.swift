// What is known of jobs that nobody had to announce, and when somebody must hear of one.

import AgentAPI
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

    /// What an earlier life of the agent told of a job, until the job is heard of again.
    private struct Told: Equatable {
        var lastStart: Timestamp?
        var hasFailed: Bool
        var isOverdue: Bool
    }

    private var known: [String: Known] = [:]
    private var told: [String: Told] = [:]

    mutating func observe(_ job: DiscoveredJob) -> JobBook.Outcome? {
        var entry = known[job.name] ?? entry(for: job)
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

    private mutating func entry(for job: DiscoveredJob) -> Known {
        var entry = Known(job: job)
        guard let told = told.removeValue(forKey: job.name) else { return entry }
        entry.job.lastStart = told.lastStart
        (entry.hasFailed, entry.isOverdue) = (told.hasFailed, told.isOverdue)
        return entry
    }

    mutating func gone(_ name: String) {
        known[name] = nil
        told[name] = nil
    }

    /// Keeps what was told of jobs whose names somebody still wants to hear of.
    mutating func keep(where isWanted: (String) -> Bool) { told = told.filter { isWanted($0.key) } }

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

// MARK: Showing

extension TimerBook {
    /// What reports say of the jobs.
    var states: [JobState] {
        known.sorted { $0.key < $1.key }.map { name, entry in
            let job = entry.job
            let state: JobState.State =
                entry.isOverdue
                ? .overdue : job.isRunning ? .running : entry.hasFailed ? .failed : job.lastStart == nil || job.lastExit == nil ? .waiting : .ok
            let detail =
                switch state {
                case .overdue: "it should have started"
                case .failed: job.lastExit.map { "\(job.unit) \($0)" } ?? ""
                case .waiting, .running, .ok, .tooLong: ""
                }
            return JobState(name: name, schedule: "starts \(job.unit)", state: state, lastRun: job.lastStart, due: job.nextDue, detail: detail)
        }
    }
}

// MARK: Remembering

extension TimerBook {
    /// More jobs than these are not remembered.
    static let most = 10_000

    /// What was told of jobs, for a later start of the agent.
    var json: JSON {
        let entries = known.mapValues { Told(lastStart: $0.job.lastStart, hasFailed: $0.hasFailed, isOverdue: $0.isOverdue) }
            .merging(told) { now, _ in now }
        return .object(
            entries.filter { $0.value.hasFailed || $0.value.isOverdue }.sorted { $0.key < $1.key }.prefix(Self.most).map { name, told in
                .init(
                    name,
                    [
                        "last_start": told.lastStart.map { .integer($0.microseconds) } ?? .null, "failed": .bool(told.hasFailed),
                        "overdue": .bool(told.isOverdue),
                    ])
            })
    }

    /// Takes what makes sense of what was written.
    init(_ json: JSON) {
        for member in (json.members ?? []).prefix(Self.most) {
            told[member.name] = Told(
                lastStart: member.value["last_start"]?.integer.flatMap(instant), hasFailed: member.value["failed"]?.bool ?? false,
                isOverdue: member.value["overdue"]?.bool ?? false)
        }
    }
}
