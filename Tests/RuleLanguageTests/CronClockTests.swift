import Glibc
import Platform
import RuleLanguage
import Testing

/// Runs a body as if the host were in Berlin, said in a way that needs no time zone database.
private func inBerlin(_ body: () throws -> Void) rethrows {
    let before = getenv("TZ").map { String(cString: $0) }
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1)
    tzset()
    defer {
        if let before { setenv("TZ", before, 1) } else { unsetenv("TZ") }
        tzset()
    }
    try body()
}

/// The environment belongs to the whole process.
@Suite(.serialized) struct CronClockTests {
    @Test(
        arguments: [
            ("30 3 * * *", "2026-11-21T00:00:00Z", ["2026-11-21T02:30:00Z", "2026-11-22T02:30:00Z"]),
            // In spring 02:30 is left out: it happens when the clocks change, at 03:00, and once.
            ("30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
            ("0,30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
            // In autumn it comes twice: it happens the first time.
            ("30 2 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
            ("30 2 * * *", "2026-10-25T01:10:00Z", ["2026-10-26T01:30:00Z"]),
            // What happens every hour keeps to the hours that really pass.
            ("30 * * * *", "2026-03-29T00:00:00Z", ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]),
            ("30 * * * *", "2026-10-25T00:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]),
            ("*/20 * * * *", "2026-10-25T00:30:00Z", ["2026-10-25T00:40:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:20:00Z"]),
            ("*/20 * * * *", "2026-10-25T01:30:00Z", ["2026-10-25T01:40:00Z", "2026-10-25T02:00:00Z"]),
            ("30 * 29 3 *", "2026-01-01T00:00:00Z", ["2026-03-28T23:30:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]),
            ("* * * * *", "2026-11-21T00:00:59Z", ["2026-11-21T00:01:00Z"]), ("* * * * *", "1969-12-31T23:59:30Z", ["1970-01-01T00:00:00Z"]),
        ])
    func theNextInstantIsByTheHostsClocks(text: String, after: String, next: [String]) throws {
        try inBerlin {
            let cron = try CronExpression(parsing: text)
            var instant = try #require(Timestamp(after))
            for expected in next {
                instant = try #require(cron.next(after: instant))
                #expect(instant.text(fraction: false) == expected)
            }
        }
    }
}
