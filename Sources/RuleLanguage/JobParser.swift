// The part of the parser that reads `check jobs`: `NAME happens every 2 hours within 10 minutes`.

import Platform

/// The plural comes first: it is what a misspelt unit most likely means.
private let unitWords = ["minutes", "hours", "days", "minute", "hour", "day"]
private let units: [String: Int64] = ["minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400, "days": 86400]

extension Parser {
    /// Everything behind `check jobs`.
    mutating func jobs(into file: inout RuleFile?) {
        // A job may be called almost `with`.
        if reader.following.text == "happens" ? reader.take("with") : reader.takeNearly("with") {
            var parameters: [Parameter] = []
            reader.parameters(into: &parameters, before: ["check", "happens", "every"])
            file?.parameters = parameters
        }
        var lines: [String: Int] = [:]
        if reader.isAtEnd { reader.fault(expected: "a job: `NAME happens every N minutes` or `NAME happens at \"CRON\"`") }
        while !reader.isAtEnd, !reader.isAt("check") {
            guard let job = job() else {
                skipToNextJob()
                continue
            }
            if let line = lines[job.name] {
                reader.faults.add("the job \(quoted(job.name)) was given before, in line \(line)", at: job.place, help: "leave one of the two out")
            } else {
                lines[job.name] = job.place.line
                file?.jobs.append(job)
            }
        }
    }

    private mutating func job() -> Job? {
        guard let name = reader.name("the name of a job", before: ["check", "happens", "every", "with"]) else { return nil }
        guard reader.takeNearly("happens") else {
            reader.fault(expected: "`happens every` after the name of the job")
            return nil
        }
        let schedule: Job.Schedule?
        if reader.take("at") {
            schedule = cron().map(Job.Schedule.cron)
        } else if reader.takeNearly("every") {
            schedule = interval().map(Job.Schedule.every)
        } else {
            reader.fault(expected: "`every` or `at`")
            return nil
        }
        guard let schedule else { return nil }
        var job = Job(name: name.text, schedule: schedule, place: name.place)
        guard limits(of: &job) else { return nil }
        return job
    }

    private mutating func interval() -> Duration? {
        let number = reader.current
        var count: Int64? = 1
        if reader.isAtName, units[number.text] == nil, nearest(to: number.text, among: unitWords) == nil {
            count = Int64(number.text).flatMap { $0 > 0 ? $0 : nil }
            if count == nil { reader.fault(expected: "a number of minutes, hours or days") }
            reader.advance()
        }
        let unit = reader.current
        guard unit.kind == .word, let seconds = units[unit.text] else {
            let meant = unit.kind == .word ? nearest(to: unit.text, among: unitWords) : nil
            reader.fault(expected: "`minutes`, `hours` or `days`", help: meant.map { reader.slip(for: $0) })
            // A misspelt unit is still the unit, and not the next job's name.
            if reader.isAtName, reader.following.text != "happens" { reader.advance() }
            return nil
        }
        reader.advance()
        guard let count else { return nil }
        let (interval, overflowed) = count.multipliedReportingOverflow(by: seconds)
        guard !overflowed, interval <= 100 * 366 * 86400 else {
            reader.faults.add("\(quoted("\(count) \(unit.text)")) is too long; a job happens at least once in 100 years", at: number.place)
            return nil
        }
        return .seconds(interval)
    }

    private mutating func cron() -> CronExpression? {
        let token = reader.current
        guard token.kind == .string else {
            reader.fault(expected: "a cron expression in quotes, such as \"30 3 * * *\"")
            return nil
        }
        do {
            let expression = try CronExpression(parsing: token.text)
            reader.advance()
            return expression
        } catch {
            reader.fault(error.message, help: error.help)
            reader.advance()
            return nil
        }
    }

    /// `within 30 minutes`, `for at most 2 hours`; false, and a fault, for what is none. A job may be called `within` or `for`.
    private mutating func limits(of job: inout Job) -> Bool {
        while reader.isAtName, reader.following.text != "happens" {
            let place = reader.current.place
            if reader.take("within") {
                if job.grace != nil { reader.faults.add("a second `within` of one job", at: place, help: "leave one of the two out") }
                guard let grace = duration("a time such as 30m") else { return false }
                job.grace = grace
            } else if reader.take("for") {
                if !reader.takeNearly("at") || !reader.takeNearly("most") {
                    reader.fault(expected: "`for at most` and a time")
                    return false
                }
                if job.longestRun != nil { reader.faults.add("a second `for at most` of one job", at: place, help: "leave one of the two out") }
                guard let longest = duration("a time such as 2h") else { return false }
                job.longestRun = longest
            } else {
                guard let meant = nearest(to: reader.current.text, among: ["within"]) else { break }
                reader.fault(expected: "`within`", help: reader.slip(for: meant))
                return false
            }
        }
        return true
    }

    private mutating func skipToNextJob() {
        while !reader.isAtEnd, !reader.isAt("check") {
            if reader.isAtName, reader.following.kind == .word, reader.following.text == "happens" { return }
            reader.advance()
        }
    }
}
