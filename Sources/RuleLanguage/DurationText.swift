// `30s`, `5 minutes`: how long something lasts, as rules write it.

/// The units of time, with their names. A single `m` is a minute here; only amounts call mebi so.
enum TimeUnit: String, CaseIterable {
    case milliseconds, seconds, minutes, hours, days

    init?(_ name: String) {
        switch name {
        case "ms", "millisecond", "milliseconds": self = .milliseconds
        case "s", "sec", "second", "seconds": self = .seconds
        case "m", "min", "minute", "minutes": self = .minutes
        case "h", "hour", "hours": self = .hours
        case "d", "day", "days": self = .days
        default: return nil
        }
    }

    var milliseconds: Int64 {
        switch self {
        case .milliseconds: 1
        case .seconds: 1000
        case .minutes: 60_000
        case .hours: 3_600_000
        case .days: 86_400_000
        }
    }

    private var letter: String { self == .milliseconds ? "ms" : String(rawValue.prefix(1)) }

    /// So many of it; `nil` for no time, and for more than a hundred years.
    func duration(_ count: Int64) -> Duration? {
        let (total, overflowed) = count.multipliedReportingOverflow(by: milliseconds)
        guard !overflowed, total > 0, total <= 100 * 366 * TimeUnit.days.milliseconds else { return nil }
        return .milliseconds(total)
    }

    /// `90s`, `2h`: the largest unit that says it with a whole number.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let (thousands, overflowed) = seconds.multipliedReportingOverflow(by: 1000)
        let total = overflowed ? Int64.max : thousands &+ attoseconds / 1_000_000_000_000_000
        let unit = allCases.last { total % $0.milliseconds == 0 && total != 0 } ?? .seconds
        return "\(total / unit.milliseconds)\(unit.letter)"
    }
}

extension Duration {
    /// `30s`, as rules write it.
    public var ruleText: String { TimeUnit.text(self) }

    /// Reads a number and a unit without a space between them: `30s`, `5min`; `nil` for anything else, for no time and for more than a hundred
    /// years.
    init?(ruleText text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits), let unit = TimeUnit(String(text.dropFirst(digits.count))), let duration = unit.duration(count) else {
            return nil
        }
        self = duration
    }
}
