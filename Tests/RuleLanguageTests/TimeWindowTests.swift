import Platform
import RuleLanguage
import Testing

/// Of the week from Sunday, 15 November 2026 on.
private func time(_ weekday: Int, _ hour: Int, _ minute: Int = 0) -> CalendarTime {
    CalendarTime(year: 2026, month: 11, day: 15 + weekday, hour: hour, minute: minute)
}

@Suite struct TimeWindowTests {
    @Test(
        arguments: [
            ("mon-fri 09:00-17:00", "mon-fri 09:00-17:00"), ("MON-Friday  9:00-17:00", "mon-fri 09:00-17:00"), ("sat-sun", "sat-sun"),
            ("sat", "sat"), ("fri-mon", "mon fri-sun"), ("mon wed fri 08:00-12:00", "mon wed fri 08:00-12:00"), ("22:00-06:00", "22:00-06:00"),
            ("mon-sun", "mon-sun"), ("mon-sun 00:00-24:00", "mon-sun"), ("00:00-24:00", "mon-sun"),
            ("mon-fri 22:00-06:00,sat-sun", "mon-fri 22:00-06:00, sat-sun"), ("mon-fri 00:00-00:00", "mon-fri 00:00-00:00"),
            ("mon-mon", "mon"), ("sun-sat", "mon-sun"), ("* 9-16 * * 1-5", "* 9-16 * * 1-5"), ("0 3 1 1 1", "0 3 1 1 1"),
            ("  @hourly ", "@hourly"),
        ])
    func aWindowIsReadAndWritten(text: String, canonical: String) throws {
        let window = try TimeWindow(parsing: text)
        #expect(window.text == canonical)
        #expect(try TimeWindow(parsing: canonical) == window)
    }

    @Test(
        arguments: [
            ("", "`` is not a window"), ("mon,,tue", "`mon,,tue` is not a window"), ("mon, ", "`mon, ` is not a window"),
            ("mun", "`mun` is not a day of the week"), ("mon-", "`mon-` is not a day of the week"), ("1-5", "`1-5` is not a day of the week"),
            ("mon-tue-wed", "`mon-tue-wed` is not a day of the week"), ("9-17", "`9-17` is not a day of the week"),
            ("09:00", "`09:00` is not a time of day"), ("09:00-25:00", "`09:00-25:00` is not a time of day"),
            ("24:00-06:00", "`24:00-06:00` is not a time of day"), ("09:00-17:60", "`09:00-17:60` is not a time of day"),
            ("9:0-17:00", "`9:0-17:00` is not a time of day"), ("-1:00-17:00", "`-1:00-17:00` is not a time of day"),
            ("09:00-12:00 13:00-17:00", "`13:00-17:00` stands behind the times of its part"),
            ("09:00-17:00 mon", "`mon` stands behind the times of its part"), ("* 9-17 * *", "`* 9-17 * *` has 4 fields"),
            (String(repeating: "mon,", count: 60), "a window has at most 50 parts"),
        ])
    func whatIsNoWindowIsAFault(text: String, message: String) {
        let problem = #expect(throws: TextProblem.self) { try TimeWindow(parsing: text) }
        #expect(problem?.message.hasPrefix(message) == true, "\(problem?.message ?? "")")
    }

    @Test(
        arguments: [
            ("mon-fri 09:00-17:00", time(1, 9), true), ("mon-fri 09:00-17:00", time(1, 8, 59), false), ("mon-fri 09:00-17:00", time(5, 16, 59), true),
            ("mon-fri 09:00-17:00", time(5, 17), false), ("mon-fri 09:00-17:00", time(6, 12), false),
            // Over midnight: Friday's night ends on Saturday, Sunday's does not begin.
            ("mon-fri 22:00-06:00", time(6, 5, 59), true), ("mon-fri 22:00-06:00", time(6, 6), false), ("mon-fri 22:00-06:00", time(0, 23), false),
            ("mon-fri 22:00-06:00", time(1, 3), false), ("mon-fri 22:00-06:00", time(1, 22), true), ("sat 22:00-06:00", time(0, 1), true),
            ("mon 09:00-09:00", time(2, 8, 59), true), ("mon 09:00-09:00", time(2, 9), false), ("sat-sun", time(0, 0), true),
            ("sat-sun", time(6, 23, 59), true), ("sat-sun", time(1, 0), false), ("mon 10:00-24:00", time(1, 23, 59), true),
            ("mon 10:00-24:00", time(2, 0), false), ("sat-sun, mon-fri 22:00-24:00", time(3, 22), true),
            ("* 9-16 * * 1-5", time(1, 16, 59), true), ("* 9-16 * * 1-5", time(1, 17), false), ("* 9-16 * * 1-5", time(0, 10), false),
        ])
    func aMinuteIsInItOrNot(text: String, time: CalendarTime, isInside: Bool) throws {
        let window = try TimeWindow(parsing: text)
        #expect(window.contains(time) == isInside)
        #expect(Window.during(window).isOpen(at: time) == isInside)
        #expect(Window.except(window).isOpen(at: time) == !isInside)
    }
}
