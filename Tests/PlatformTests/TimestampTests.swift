import Platform
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
        (1_795_232_671_123_000, "2026-11-21T03:44:31.123Z"),
        (-1_000, "1969-12-31T23:59:59.999Z"), (4_102_444_799_999_000, "2099-12-31T23:59:59.999Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000Z"),
    ])
    func writesAndReadsTheSameInstant(microseconds: Int64, text: String) {
        #expect(Timestamp(microseconds: microseconds).text() == text)
        #expect(Timestamp(text) == Timestamp(microseconds: microseconds))
    }

    @Test func readsAnyFraction() {
        #expect(Timestamp("1970-01-01T00:00:01Z") == Timestamp(seconds: 1))
        #expect(Timestamp("1970-01-01T00:00:01.5Z") == Timestamp(microseconds: 1_500_000))
        #expect(Timestamp("1970-01-01T00:00:01.123456789z") == Timestamp(microseconds: 1_123_456))
    }

    @Test(arguments: [
        "", "now", "2026-11-21", "2026-11-21 03:44:31Z", "2026-11-21T03:44:31", "2026-11-21T03:44:31+01:00", "2026-13-21T03:44:31Z",
        "2026-11-32T03:44:31Z",
        "2026-11-21T24:00:00Z", "2026-11-21T03:44:31.Z", "2026-11-21T03:44:31.1234567890123Z", "２026-11-21T03:44:31Z",
    ])
    func refusesOtherTexts(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func secondsRoundDownBefore1970() {
        #expect(Timestamp(microseconds: -1).seconds == -1)
        #expect(Timestamp(microseconds: -1_000_000).seconds == -1)
    }
}
