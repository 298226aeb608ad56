// `0 3 * * 1-5`: when something recurs, as crontab(5) writes it.

public import Platform

/// Five fields; when both days are restricted, either is enough, as in crontab(5).
public struct CronExpression: Equatable, Sendable {
    public var minutes: Set<Int>
    public var hours: Set<Int>
    /// 1 to 31; `nil` for `*`.
    public var daysOfMonth: Set<Int>?
    /// 1 to 12.
    public var months: Set<Int>
    /// 0 (Sunday) to 6; `nil` for `*`.
    public var daysOfWeek: Set<Int>?
    /// Whether one of the two days is enough. crontab(5) wants both of them when one begins with a star, also with `*/2`.
    public var isEitherDayEnough: Bool
    /// As it was written.
    public var text: String

    public init(minutes: Set<Int>, hours: Set<Int>, daysOfMonth: Set<Int>?, months: Set<Int>, daysOfWeek: Set<Int>?, text: String) {
        self.minutes = minutes
        self.hours = hours
        self.daysOfMonth = daysOfMonth
        self.months = months
        self.daysOfWeek = daysOfWeek
        isEitherDayEnough = daysOfMonth != nil && daysOfWeek != nil
        self.text = text
    }
}

// MARK: When

extension CronExpression {
    public func matches(_ time: CalendarTime) -> Bool {
        minutes.contains(time.minute) && hours.contains(time.hour) && matchesDay(of: time)
    }

    private func matchesDay(of time: CalendarTime) -> Bool {
        guard months.contains(time.month) else { return false }
        let month = daysOfMonth.map { $0.contains(time.day) }
        let week = daysOfWeek.map { $0.contains(time.weekday) }
        return isEitherDayEnough ? month == true || week == true : month != false && week != false
    }

    /// The first minute after this one that matches; `nil` when there is none within 40 years.
    public func next(after time: CalendarTime) -> CalendarTime? {
        var day = time
        var earliest = time.minuteOfDay + 1
        // 29 February falls on a given weekday every 28 years, or 40 where a leap year is left out.
        for _ in 0...(40 * 366) {
            if matchesDay(of: day), let minute = minute(from: earliest) {
                return CalendarTime(year: day.year, month: day.month, day: day.day, hour: minute / 60, minute: minute % 60)
            }
            day = day.nextDay
            earliest = 0
        }
        return nil
    }

    /// The first of a day's minutes that matches and is not before this one.
    private func minute(from earliest: Int) -> Int? {
        for hour in (earliest / 60)..<24 where hours.contains(hour) {
            let least = hour == earliest / 60 ? earliest % 60 : 0
            if let minute = minutes.filter({ $0 >= least }).min() { return hour * 60 + minute }
        }
        return nil
    }

    /// The first instant after this one that matches by the host's clocks; `nil` when there is none within 40 years.
    ///
    /// What a change of the clocks leaves out happens at the change; what it lets happen twice happens the first time. An expression for
    /// every hour keeps to the hours that really pass.
    public func next(after instant: Timestamp) -> Timestamp? {
        let isHourly = hours.count == 24
        if isHourly, let soon = matchAroundChange(after: instant) { return soon }
        var time = CalendarTime(instant)
        // No change of the clocks is longer than a day and some hours.
        for _ in 0...(26 * 60) {
            guard let next = next(after: time) else { return nil }
            let when = Timestamp(next)
            if when > instant, !isHourly || CalendarTime(when) == next { return when }
            time = next
        }
        return nil
    }

    /// Where the clocks have just changed or are about to: the first real minute of the next hours that matches.
    private func matchAroundChange(after instant: Timestamp) -> Timestamp? {
        let minutes: Int64 = 4 * 60
        let start = (instant.seconds >= 0 ? instant.seconds / 60 : (instant.seconds - 59) / 60) * 60
        let before = CalendarTime(Timestamp(seconds: start - minutes * 60))
        let after = CalendarTime(Timestamp(seconds: start + minutes * 60))
        guard (before.minuteOfDay + 2 * Int(minutes)) % 1440 != after.minuteOfDay else { return nil }
        for minute in 1...minutes {
            let when = Timestamp(seconds: start + minute * 60)
            if matches(CalendarTime(when)) { return when }
        }
        return nil
    }
}

// MARK: Reading

extension CronExpression {
    /// Reads five fields, or `@daily` and its like.
    public init(parsing text: String) throws(TextProblem) {
        guard text.utf8.count <= 1000 else { throw TextProblem("the cron expression is too long", help: "it has five fields") }
        let written = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        var fields = written
        if let name = written.first, name.hasPrefix("@") {
            guard written.count == 1, let meaning = shorthands[name.lowercased()] else {
                let help =
                    name.lowercased() == "@reboot"
                    ? "a start of the host is no time" : "there are \(shorthands.keys.sorted().joined(separator: ", "))"
                throw TextProblem("\(quoted(text)) is not a cron expression", help: help)
            }
            fields = meaning.split(separator: " ").map(String.init)
        }
        guard fields.count == 5 else {
            let help =
                fields.count > 5
                ? "there are no fields for seconds, years, users or commands" : "for example \"30 3 * * 1-5\": 03:30 from Monday to Friday"
            throw TextProblem(
                "\(quoted(text)) has \(fields.count) field\(fields.count == 1 ? "" : "s"), expected five: minute, hour, day of month, month, day of week",
                help: help)
        }
        let minutes = try Field.minute.values(fields[0])
        let hours = try Field.hour.values(fields[1])
        let daysOfMonth = try Field.dayOfMonth.values(fields[2])
        let months = try Field.month.values(fields[3])
        let daysOfWeek = Set(try Field.dayOfWeek.values(fields[4]).map { $0 % 7 })
        self.init(
            minutes: minutes, hours: hours, daysOfMonth: daysOfMonth.count == 31 && fields[2].hasPrefix("*") ? nil : daysOfMonth, months: months,
            daysOfWeek: daysOfWeek.count == 7 && fields[4].hasPrefix("*") ? nil : daysOfWeek, text: written.joined(separator: " "))
        isEitherDayEnough = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
        let longest = months.map { CalendarTime.days(inMonth: $0, of: 2000) }.max() ?? 31
        if !isEitherDayEnough, let first = daysOfMonth.min(), first > longest {
            throw TextProblem("\(quoted(text)) never happens", help: "no such month has a day \(first)")
        }
    }

    private struct Field {
        var name: String
        var range: ClosedRange<Int>
        var words: [String] = []
        var isOfWeek = false

        static let minute = Field(name: "minute", range: 0...59)
        static let hour = Field(name: "hour", range: 0...23)
        static let dayOfMonth = Field(name: "day of month", range: 1...31)
        static let month = Field(
            name: "month", range: 1...12, words: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
        /// Sunday is 0 and 7.
        static let dayOfWeek = Field(name: "day of week", range: 0...7, words: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"], isOfWeek: true)

        func values(_ text: String) throws(TextProblem) -> Set<Int> {
            var values: Set<Int> = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) { values.formUnion(try partValues(String(part))) }
            return values
        }

        /// `*`, `5`, `1-5`, and each with `/2`.
        private func partValues(_ part: String) throws(TextProblem) -> Set<Int> {
            let halves = part.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard halves.count <= 2, let first = halves.first, !first.isEmpty else { throw wrong(part) }
            var step = 1
            if halves.count == 2 {
                guard let number = number(halves[1]), number > 0 else { throw wrong(part, help: "behind the slash stands a number from 1 on") }
                step = number
            }
            var (low, high) = (range.lowerBound, isOfWeek ? 6 : range.upperBound)
            if first != "*" {
                let ends = first.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
                guard ends.count <= 2, let start = value(ends[0]) else { throw wrong(part) }
                low = start
                if ends.count == 2 {
                    guard let end = value(ends[1]) else { throw wrong(part) }
                    // `fri-sun` ends with the Sunday that follows.
                    high = isOfWeek && end == 0 && start > 0 ? 7 : end
                } else {
                    high = halves.count == 1 ? start : max(start, high)
                }
                guard low <= high else {
                    throw wrong(part, help: "the range ends before it begins; write two ranges with a comma between them")
                }
            }
            return Set(stride(from: low, through: high, by: step))
        }

        private func value(_ text: String) -> Int? {
            if let index = words.firstIndex(of: text.lowercased()) { return index + range.lowerBound }
            return number(text).flatMap { range.contains($0) ? $0 : nil }
        }

        private func number(_ text: String) -> Int? {
            text.utf8.count <= 3 && text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
        }

        private func wrong(_ part: String, help: String? = nil) -> TextProblem {
            let names = words.first.flatMap { first in words.last.map { ", or \(first) to \($0)" } } ?? ""
            return TextProblem(
                "\(quoted(part)) is no \(name) of a cron expression", help: help ?? "\(range.lowerBound) to \(range.upperBound)\(names)")
        }
    }
}

private let shorthands = [
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
]
