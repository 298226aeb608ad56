import Platform
import RuleLanguage
import Testing

private func time(_ text: String) throws -> CalendarTime {
    let numbers = text.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
    try #require(numbers.count == 5)
    return CalendarTime(year: numbers[0], month: numbers[1], day: numbers[2], hour: numbers[3], minute: numbers[4])
}

@Suite struct CronExpressionTests {
    @Test(
        arguments: [
            ("30 3 * * *", "2026-11-21 03:29", "2026-11-21 03:30"), ("30 3 * * *", "2026-11-21 03:30", "2026-11-22 03:30"),
            ("* * * * *", "2026-12-31 23:59", "2027-01-01 00:00"), ("*/15 * * * *", "2026-11-21 10:46", "2026-11-21 11:00"),
            ("5/20 * * * *", "2026-11-21 10:26", "2026-11-21 10:45"), ("0 9-17/4 * * *", "2026-11-21 13:00", "2026-11-21 17:00"),
            ("0 0 * * 0", "2026-11-21 00:00", "2026-11-22 00:00"), ("0 0 * * 7", "2026-11-21 00:00", "2026-11-22 00:00"),
            ("0 0 * * SUN", "2026-11-21 00:00", "2026-11-22 00:00"), ("0 0 * * mon-fri", "2026-11-20 00:00", "2026-11-23 00:00"),
            ("0 0 * * fri-sun", "2026-11-22 00:00", "2026-11-27 00:00"), ("0 0 * * 5-7", "2026-11-21 00:00", "2026-11-22 00:00"),
            ("0 0 1 jan,jul *", "2026-11-21 00:00", "2027-01-01 00:00"), ("0 0 29 2 *", "2026-11-21 00:00", "2028-02-29 00:00"),
            ("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00"), ("0 0 31 * *", "2026-11-21 00:00", "2026-12-31 00:00"),
            // Either day when both are restricted; both of them when one has a star.
            ("0 0 13 * 5", "2026-11-21 00:00", "2026-11-27 00:00"), ("0 0 13 * 5", "2026-12-12 00:00", "2026-12-13 00:00"),
            ("0 0 */2 * 1", "2026-11-21 00:00", "2026-11-23 00:00"), ("0 0 */2 * 1", "2026-11-23 00:00", "2026-12-07 00:00"),
            ("0 0 1-31 * 1", "2026-11-21 00:00", "2026-11-22 00:00"), ("@hourly", "2026-11-21 10:00", "2026-11-21 11:00"),
            ("@Daily", "2026-11-21 10:00", "2026-11-22 00:00"), ("@weekly", "2026-11-21 10:00", "2026-11-22 00:00"),
            ("@monthly", "2026-11-21 10:00", "2026-12-01 00:00"), ("@yearly", "2026-11-21 10:00", "2027-01-01 00:00"),
            ("\t0  3 * * * ", "2026-11-21 10:00", "2026-11-22 03:00"), ("0 0 1,15,20-22 * *", "2026-11-20 10:00", "2026-11-21 00:00"),
            ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"), ("0 0 31 2 1", "2026-11-21 00:00", "2027-02-01 00:00"),
        ])
    func theNextTimeIsFound(text: String, after: String, next: String) throws {
        let cron = try CronExpression(parsing: text)
        let found = try #require(try cron.next(after: time(after)))
        #expect(found.description == next)
        #expect(cron.matches(found))
        #expect(try cron.matches(time(after)) == (cron.next(after: time(after).minuteBefore) == time(after)))
    }

    @Test func whatIsNextIsTheFirstMinuteThatMatches() throws {
        var random = Numbers(seed: 3)
        for text in ["*/7 1-3 * * *", "0 12 13 * 5", "*/20 0,23 */3 * 1-5", "15 6 1 1,6 sun", "3-50/9 * 28-31 * *"] {
            let cron = try CronExpression(parsing: text)
            for _ in 0..<5 {
                let start = CalendarTime(
                    year: 2026, month: Int.random(in: 1...12, using: &random), day: Int.random(in: 1...31, using: &random),
                    hour: Int.random(in: 0...23, using: &random), minute: Int.random(in: 0...59, using: &random))
                var minute = start.minuteAfter
                while !cron.matches(minute) { minute = minute.minuteAfter }
                #expect(cron.next(after: start) == minute, "\(text) after \(start)")
            }
        }
    }

    @Test(
        arguments: [
            ("", "`` has 0 fields"), ("0 3 * *", "`0 3 * *` has 4 fields"), ("0 0 3 * * *", "`0 0 3 * * *` has 6 fields"),
            ("60 * * * *", "`60` is no minute"), ("* 24 * * *", "`24` is no hour"), ("* * 0 * *", "`0` is no day of month"),
            ("* * 32 * *", "`32` is no day of month"), ("* * * 13 *", "`13` is no month"), ("* * * 0 *", "`0` is no month"),
            ("* * * * 8", "`8` is no day of week"), ("* * * * monday", "`monday` is no day of week"), ("-1 * * * *", "`-1` is no minute"),
            ("1-0 * * * *", "`1-0` is no minute"), ("1-2-3 * * * *", "`1-2-3` is no minute"), ("*/0 * * * *", "`*/0` is no minute"),
            ("*/x * * * *", "`*/x` is no minute"), ("1/2/3 * * * *", "`1/2/3` is no minute"), ("1,,2 * * * *", "`` is no minute"),
            ("1, * * * *", "`` is no minute"), ("99999999999999999999 * * * *", "`99999999999999999999` is no minute"),
            ("? * * * *", "`?` is no minute"),
            ("* * L * *", "`L` is no day of month"), ("٣ * * * *", "`٣` is no minute"), ("0 0 31 2 *", "`0 0 31 2 *` never happens"),
            ("0 0 31 4,jun *", "`0 0 31 4,jun *` never happens"), ("@reboot", "`@reboot` is not a cron expression"),
            ("@daily x", "`@daily x` is not a cron expression"), (String(repeating: "1,", count: 600), "the cron expression is too long"),
        ])
    func whatIsNoCronExpressionIsAFault(text: String, message: String) {
        let problem = #expect(throws: TextProblem.self) { try CronExpression(parsing: text) }
        #expect(problem?.message.hasPrefix(message) == true, "\(problem?.message ?? "")")
    }
}

extension CalendarTime {
    fileprivate var minuteAfter: CalendarTime {
        minuteOfDay < 1439 ? CalendarTime(year: year, month: month, day: day, hour: (minuteOfDay + 1) / 60, minute: (minute + 1) % 60) : nextDay
    }

    fileprivate var minuteBefore: CalendarTime {
        if minuteOfDay > 0 { return CalendarTime(year: year, month: month, day: day, hour: (minuteOfDay - 1) / 60, minute: (minute + 59) % 60) }
        if day > 1 { return CalendarTime(year: year, month: month, day: day - 1, hour: 23, minute: 59) }
        let last = month > 1 ? (year, month - 1) : (year - 1, 12)
        return CalendarTime(year: last.0, month: last.1, day: 31, hour: 23, minute: 59)
    }
}
