// Recurring jobs: when each ran, and when somebody must hear that it did not.

import AgentAPI
import Platform
import RuleLanguage

/// What is known of one recurring job.
struct JobRecord: Equatable {
    enum Trouble: Equatable {
        case overdue, tooLong
        case failed(status: Int32)
    }

    /// When it was first heard of: what it owes is counted from then, and not from a start of the agent.
    var firstKnown: Timestamp
    /// Of the run that has not ended, as far as the job tells.
    var runningSince: Timestamp?
    var lastStart: Timestamp?
    var lastEnd: Timestamp?
    var lastStatus: Int32?
    var lastDuration: Duration?
    /// What somebody was told of, and what is not mended yet.
    var trouble: Trouble?

    init(firstKnown: Timestamp) { self.firstKnown = firstKnown }

    fileprivate mutating func move(by step: Duration) {
        firstKnown = firstKnown + step
        runningSince = runningSince.map { $0 + step }
        lastStart = lastStart.map { $0 + step }
        lastEnd = lastEnd.map { $0 + step }
    }

    /// The last sign of life.
    var lastSeen: Timestamp { max(lastEnd ?? firstKnown, lastStart ?? firstKnown, firstKnown) }
}

/// All recurring jobs, as a value.
struct JobBook {
    enum Outcome: Equatable {
        case overdue(String), failed(String, isNews: Bool), ran(String)
    }

    /// How late a job may be that does not say.
    static let defaultGrace = Duration.seconds(60)

    /// When a cron expression next matches after an instant, in the host's local time.
    let nextCron: (CronExpression, Timestamp) -> Timestamp?
    private(set) var jobs: [Job] = []
    private(set) var records: [String: JobRecord] = [:]

    /// What the clock said when the host was started, by its present reckoning.
    private var boot: Timestamp?

    init(nextCron: @escaping (CronExpression, Timestamp) -> Timestamp?) { self.nextCron = nextCron }

    /// Moves what is known when the clock was set: a job is no later for it. What a clock is slewed by is too little to matter.
    mutating func follow(_ now: Moment) {
        let boot = now.wall - now.uptime
        defer { self.boot = boot }
        guard let step = self.boot.map({ boot - $0 }), step > .seconds(2) || step < .seconds(-2) else { return }
        for name in records.keys { records[name]?.move(by: step) }
    }

    /// Takes the jobs of a plan. What is known of those that stay is kept; the others are forgotten.
    mutating func change(_ jobs: [Job], at now: Timestamp) {
        self.jobs = jobs
        let before = records
        records = [:]
        for job in jobs { records[job.name] = before[job.name] ?? JobRecord(firstKnown: now) }
    }

    mutating func started(_ name: String, at now: Timestamp) {
        records[name]?.runningSince = now
        records[name]?.lastStart = now
    }

    mutating func done(_ name: String, status: Int32, at now: Timestamp) -> Outcome? {
        guard var record = records[name] else { return nil }
        defer { records[name] = record }
        record.lastDuration = record.runningSince.map { max(.zero, now - $0) }
        record.runningSince = nil
        record.lastEnd = now
        record.lastStatus = status
        let took = record.lastDuration.map { " after \(durationWords($0))" } ?? ""
        guard status == 0 else {
            let isNews = if case .failed = record.trouble { false } else { true }
            record.trouble = .failed(status: status)
            return .failed("\(name) ended with status \(status)\(took)", isNews: isNews)
        }
        guard record.trouble != nil else { return nil }
        record.trouble = nil
        return .ran("\(name) ended well\(took)")
    }

    /// Says which jobs are overdue now, each once.
    mutating func judge(at now: Timestamp) -> [(job: String, outcome: Outcome)] {
        var outcomes: [(job: String, outcome: Outcome)] = []
        for job in jobs {
            guard let record = records[job.name] else { continue }
            if let longest = job.longestRun, let start = record.runningSince {
                guard record.trouble != .tooLong, now - start > longest else { continue }
                records[job.name]?.trouble = .tooLong
                let text = "\(job.name) began \(start.text(fraction: false)) and has not ended within \(durationWords(longest))"
                outcomes.append((job.name, .overdue(text)))
                continue
            }
            guard record.trouble != .overdue, record.trouble != .tooLong, let due = due(job), now > due else { continue }
            records[job.name]?.trouble = .overdue
            let last = record.lastEnd.map { "it last ended \($0.text(fraction: false))" } ?? "it has never been heard of"
            outcomes.append((job.name, .overdue("\(job.name) \(job.schedule.text), and \(last)")))
        }
        return outcomes
    }

    /// The latest time at which it should have been heard of, grace included; `nil` when there is none.
    func due(_ job: Job) -> Timestamp? {
        guard let record = records[job.name] else { return nil }
        let grace = job.grace ?? Self.defaultGrace
        switch job.schedule {
        case .every(let interval): return record.lastSeen + interval + grace
        case .cron(let expression): return nextCron(expression, record.lastSeen).map { $0 + grace }
        }
    }
}

// MARK: Showing

extension JobBook {
    /// What reports say of the jobs, in the order of the plan.
    var states: [JobState] {
        jobs.compactMap { job in
            guard let record = records[job.name] else { return nil }
            let (state, detail): (JobState.State, String) =
                switch record.trouble {
                case .overdue: (.overdue, "it should have been heard of")
                case .tooLong: (.tooLong, job.longestRun.map { "it has not ended within \(durationWords($0))" } ?? "")
                case .failed(let status): (.failed, "it ended with status \(status)")
                case nil: (record.runningSince != nil ? .running : record.lastEnd == nil ? .waiting : .ok, "")
                }
            return JobState(
                name: job.name, schedule: job.schedule.text, state: state, lastRun: [record.lastStart, record.lastEnd].compactMap(\.self).max(),
                due: due(job), detail: detail)
        }
    }
}

/// `90 s`, `5 min`, `2 h`: rounded down to what a person would say.
func durationWords(_ duration: Duration) -> String {
    let seconds = max(0, duration.components.seconds)
    return switch seconds {
    case ..<120: "\(seconds) s"
    case ..<7200: "\(seconds / 60) min"
    case ..<172_800: "\(seconds / 3600) h"
    default: "\(seconds / 86_400) days"
    }
}

// MARK: Remembering

extension JobBook {
    var json: JSON {
        .object(
            records.sorted { $0.key < $1.key }.map { name, record in
                var members = [JSON.Member("first_known", .string(record.firstKnown.text()))]
                if let at = record.runningSince { members.append(.init("running_since", .string(at.text()))) }
                if let at = record.lastStart { members.append(.init("last_start", .string(at.text()))) }
                if let at = record.lastEnd { members.append(.init("last_end", .string(at.text()))) }
                if let status = record.lastStatus { members.append(.init("last_status", .integer(Int64(status)))) }
                if let took = record.lastDuration { members.append(.init("last_duration_ms", .integer(took.microseconds / 1000))) }
                switch record.trouble {
                case nil: break
                case .overdue: members.append(.init("trouble", "overdue"))
                case .tooLong: members.append(.init("trouble", "too_long"))
                case .failed: members.append(.init("trouble", "failed"))
                }
                return .init(name, .object(members))
            })
    }

    /// Takes what makes sense of what was written. Times of the future are of a clock that was wrong.
    mutating func restore(_ json: JSON, at now: Timestamp) {
        for member in (json.members ?? []).prefix(10_000) {
            func time(_ name: String) -> Timestamp? {
                member.value[name]?.string.flatMap { Timestamp($0) }.map { min($0, now) }
            }
            guard let firstKnown = time("first_known") else { continue }
            var record = JobRecord(firstKnown: firstKnown)
            record.runningSince = time("running_since")
            record.lastStart = time("last_start")
            record.lastEnd = time("last_end")
            record.lastStatus = member.value["last_status"]?.integer.map { Int32(clamping: $0) }
            record.lastDuration = member.value["last_duration_ms"]?.integer.flatMap { (0...1_000_000_000_000).contains($0) ? .milliseconds($0) : nil }
            record.trouble =
                switch member.value["trouble"]?.string {
                case "overdue": .overdue
                case "too_long": .tooLong
                case "failed": .failed(status: record.lastStatus ?? 1)
                default: nil
                }
            records[member.name] = record
        }
    }
}
