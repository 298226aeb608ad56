import Glibc
import Platform
import Testing

/// Europe/Berlin, said in a way that needs no time zone database.
private let berlin = "CET-1CEST,M3.5.0,M10.5.0/3"

/// Runs a body as if the host were there.
private func inTimeZone(_ zone: String, _ body: () -> Void) {
    let before = getenv("TZ").map { String(cString: $0) }
    setenv("TZ", zone, 1)
    tzset()
    defer {
        if let before { setenv("TZ", before, 1) } else { unsetenv("TZ") }
        tzset()
    }
    body()
}

/// The environment belongs to the whole process.
@Suite(.serialized) struct CalendarTimeTests {
    @Test(
        arguments: [
            (1970, 1, 1, 4), (2026, 11, 21, 6), (2000, 2, 29, 2), (1900, 3, 1, 4), (1969, 12, 31, 3), (2100, 2, 28, 0), (-1, 1, 1, 5),
        ])
    func theWeekdayFollowsFromTheDate(year: Int, month: Int, day: Int, weekday: Int) {
        #expect(CalendarTime(year: year, month: month, day: day).weekday == weekday)
    }

    @Test func whatIsNoDateIsTheNearestOne() {
        #expect(CalendarTime(year: 2026, month: 2, day: 30, hour: 24, minute: 60).description == "2026-02-28 23:59")
        #expect(CalendarTime(year: 2028, month: 2, day: 31, hour: -1, minute: -1).description == "2028-02-29 00:00")
        #expect(CalendarTime(year: .max, month: .max, day: .max).description == "100000-12-31 00:00")
        #expect(CalendarTime(year: .min, month: .min, day: .min).description == "-100000-01-01 00:00")
    }

    @Test func daysFollowEachOther() {
        var day = CalendarTime(year: 2023, month: 12, day: 31, hour: 12, minute: 30)
        for _ in 0..<(4 * 366) {
            let next = day.nextDay
            #expect(next > day)
            #expect(next.weekday == (day.weekday + 1) % 7)
            #expect(next.minuteOfDay == 0)
            day = next
        }
        #expect(day == CalendarTime(year: 2028, month: 1, day: 3))
    }

    @Test(
        arguments: [
            ("2026-03-29T00:59:59Z", "2026-03-29 01:59"), ("2026-03-29T01:00:00Z", "2026-03-29 03:00"), ("2026-07-01T10:00:00Z", "2026-07-01 12:00"),
            ("2026-10-25T00:30:00Z", "2026-10-25 02:30"), ("2026-10-25T01:30:00Z", "2026-10-25 02:30"), ("2026-12-31T23:00:00Z", "2027-01-01 00:00"),
            ("1969-12-31T22:59:59Z", "1969-12-31 23:59"),
        ])
    func anInstantIsShownAsTheHostsClocksShowIt(text: String, shown: String) throws {
        let instant = try #require(Timestamp(text))
        inTimeZone(berlin) { #expect(CalendarTime(instant).description == shown) }
    }

    @Test(
        arguments: [
            (3, 29, 1, 59, "2026-03-29T00:59:00Z"), (3, 29, 3, 0, "2026-03-29T01:00:00Z"), (7, 1, 12, 0, "2026-07-01T10:00:00Z"),
            // Left out: the instant of the change. Twice: the first time.
            (3, 29, 2, 0, "2026-03-29T01:00:00Z"), (3, 29, 2, 30, "2026-03-29T01:00:00Z"), (3, 29, 2, 59, "2026-03-29T01:00:00Z"),
            (10, 25, 1, 59, "2026-10-24T23:59:00Z"), (10, 25, 2, 0, "2026-10-25T00:00:00Z"), (10, 25, 2, 59, "2026-10-25T00:59:00Z"),
            (10, 25, 3, 0, "2026-10-25T02:00:00Z"),
        ])
    func aMinuteOfTheClocksIsAnInstant(month: Int, day: Int, hour: Int, minute: Int, text: String) {
        inTimeZone(berlin) {
            let time = CalendarTime(year: 2026, month: month, day: day, hour: hour, minute: minute)
            #expect(Timestamp(time).text(fraction: false) == text)
        }
    }

    @Test(arguments: [
        berlin, "Europe/Berlin", "UTC0", "LHST-10:30LHDT-11,M10.1.0,M4.1.0", "NST3:30NDT,M3.2.0,M11.1.0", "IST-5:30",
        "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    ])
    func everyMinuteThatIsShownLeadsBackToItsInstant(zone: String) {
        inTimeZone(zone) {
            var seconds: Int64 = 1_767_225_600
            var previous = Timestamp(seconds: 0)
            while seconds < 1_767_225_600 + 366 * 86400 {
                let time = CalendarTime(Timestamp(seconds: seconds))
                let back = Timestamp(time)
                // Of a minute that is shown twice the first time is found.
                #expect(back.seconds == seconds || back.seconds < seconds && CalendarTime(back) == time, "\(time)")
                #expect(back.seconds >= previous.seconds - 3600)
                previous = back
                seconds += 600
            }
        }
    }

    @Test func farAwayIsNoTrouble() {
        for seconds in [Int64.min / 2_000_000, -62_135_596_800, 253_402_300_799, Int64.max / 2_000_000] {
            let time = CalendarTime(Timestamp(seconds: seconds))
            #expect((1...12).contains(time.month))
            _ = Timestamp(time)
        }
        _ = Timestamp(CalendarTime(year: .max, month: 12, day: 31))
        _ = Timestamp(CalendarTime(year: .min, month: 1, day: 1))
    }
}
