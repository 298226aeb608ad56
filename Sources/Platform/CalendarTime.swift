// A minute of the calendar as a clock on the wall shows it, and when that was.

import Glibc

/// A minute in the proleptic Gregorian calendar, in no time zone in particular.
public struct CalendarTime: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let year: Int
    /// 1 to 12.
    public let month: Int
    /// 1 to 31.
    public let day: Int
    /// 0 is Sunday.
    public let weekday: Int
    public let hour: Int
    public let minute: Int

    /// What lies outside its bounds, such as 30 February, is the nearest that lies within.
    public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0) {
        self.year = min(max(year, -100_000), 100_000)
        self.month = min(max(month, 1), 12)
        self.day = min(max(day, 1), CalendarTime.days(inMonth: self.month, of: self.year))
        self.hour = min(max(hour, 0), 23)
        self.minute = min(max(minute, 0), 59)
        // 1 January 1970 was a Thursday.
        let days = Timestamp.days(year: self.year, month: self.month, day: self.day)
        weekday = Int(((days + 4) % 7 + 7) % 7)
    }

    public static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    public var minuteOfDay: Int { hour * 60 + minute }

    /// Midnight of the next day.
    public var nextDay: CalendarTime {
        if day < CalendarTime.days(inMonth: month, of: year) { return CalendarTime(year: year, month: month, day: day + 1) }
        return month < 12 ? CalendarTime(year: year, month: month + 1, day: 1) : CalendarTime(year: year + 1, month: 1, day: 1)
    }

    public static func < (a: CalendarTime, b: CalendarTime) -> Bool {
        (a.year, a.month, a.day, a.minuteOfDay) < (b.year, b.month, b.day, b.minuteOfDay)
    }

    /// `2026-03-29 02:30`
    public var description: String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year)-\(two(month))-\(two(day)) \(two(hour)):\(two(minute))"
    }

    /// Seconds since 1970 if its place were Greenwich.
    fileprivate var secondsInUTC: Int64 { Timestamp.days(year: year, month: month, day: day) * 86400 + Int64(minuteOfDay) * 60 }
}

// MARK: The host's time zone

extension CalendarTime {
    /// What the host's clocks show at an instant.
    public init(_ instant: Timestamp) {
        let local = localTime(instant.seconds)
        self.init(
            year: Int(local.tm_year) + 1900, month: Int(local.tm_mon) + 1, day: Int(local.tm_mday), hour: Int(local.tm_hour),
            minute: Int(local.tm_min))
    }
}

extension Timestamp {
    /// When the host's clocks show a minute: its beginning. A minute that a clock change lets happen twice is its first time; one that a change
    /// leaves out is the instant of the change.
    public init(_ time: CalendarTime) {
        // Both offsets from Greenwich that can hold here; mktime(3) guesses at a minute that there is twice or never.
        let greenwich = time.secondsInUTC
        let (before, after) = (offset(greenwich - 86400), offset(greenwich + 86400))
        for offset in [max(before, after), min(before, after)] where localTime(greenwich - offset).tm_gmtoff == Int(offset) {
            self.init(seconds: greenwich - offset)
            return
        }
        // Left out: the change is after the first of these seconds, and at the latest at the second.
        var (early, late) = (greenwich - max(before, after), greenwich - min(before, after))
        let old = offset(early)
        while early + 1 < late {
            let middle = early + (late - early) / 2
            if offset(middle) == old { early = middle } else { late = middle }
        }
        self.init(seconds: late)
    }
}

private func offset(_ seconds: Int64) -> Int64 { Int64(localTime(seconds).tm_gmtoff) }

private func localTime(_ seconds: Int64) -> tm {
    var time = time_t(seconds)
    var local = tm()
    // Beyond the year 2 147 485 547 it fails, and the calendar stays at 1900.
    localtime_r(&time, &local)
    return local
}
