// Times of the week: `mon-fri 09:00-17:00`.

public import Platform

/// Stretches of the week, or the minutes of a cron expression, in the host's local time.
public struct TimeWindow: Equatable, Sendable {
    public struct Stretch: Equatable, Sendable {
        /// 0 is Sunday.
        public var days: Set<Int>
        /// Minutes after midnight, 0 to 1440. An end at or before the start means the next day.
        public var from: Int
        public var to: Int

        public init(days: Set<Int>, from: Int, to: Int) {
            self.days = days
            self.from = from
            self.to = to
        }
    }

    /// Empty where there is a `cron`.
    public var stretches: [Stretch]
    /// The minutes that it matches.
    public var cron: CronExpression?

    public init(_ stretches: [Stretch]) { self.stretches = stretches }

    public init(_ cron: CronExpression) {
        stretches = []
        self.cron = cron
    }

    public func contains(_ time: CalendarTime) -> Bool { cron?.matches(time) ?? stretches.contains { $0.contains(time) } }
}

extension Window {
    /// Whether a rule with this window is judged in this minute.
    public func isOpen(at time: CalendarTime) -> Bool {
        switch self {
        case .during(let window): window.contains(time)
        case .except(let window): !window.contains(time)
        }
    }
}

extension TimeWindow.Stretch {
    func contains(_ time: CalendarTime) -> Bool {
        let minute = time.minuteOfDay
        if from < to { return days.contains(time.weekday) && from <= minute && minute < to }
        // It began today, or yesterday.
        return days.contains(time.weekday) && from <= minute || days.contains((time.weekday + 6) % 7) && minute < to
    }
}

// MARK: Reading

extension TimeWindow {
    /// More than anybody writes.
    private static let limit = 50

    /// Reads `mon-fri 09:00-17:00, sat-sun`, or a cron expression. Days alone are whole days, times alone are of every day.
    public init(parsing text: String) throws(TextProblem) {
        if isLikelyCron(text) {
            self.init(try CronExpression(parsing: text))
            return
        }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= Self.limit else { throw TextProblem("a window has at most \(Self.limit) parts") }
        var stretches: [Stretch] = []
        for part in parts { stretches.append(try Stretch(parsing: part, of: text)) }
        self.init(stretches)
    }
}

private func isLikelyCron(_ text: String) -> Bool {
    let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
    guard let first = words.first else { return false }
    return first.hasPrefix("@") || text.contains("*") || words.count == 5 && !text.contains(":") && first.first?.isNumber == true
}

extension TimeWindow.Stretch {
    fileprivate init(parsing part: Substring, of window: String) throws(TextProblem) {
        let words = part.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard !words.isEmpty else { throw TextProblem("\(quoted(window)) is not a window", help: windowHelp) }
        self.init(days: [], from: 0, to: 1440)
        for (index, word) in words.enumerated() {
            if word.contains(":") {
                guard index == words.count - 1 else {
                    throw TextProblem(
                        "\(quoted(String(words[index + 1]))) stands behind the times of its part", help: "put a comma between the parts of a window")
                }
                (from, to) = try times(word)
            } else {
                days.formUnion(try week(word))
            }
        }
        if days.isEmpty { days = Set(0...6) }
    }
}

/// `mon`, `mon-fri`, `fri-mon`
private func week(_ text: Substring) throws(TextProblem) -> Set<Int> {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count <= 2, let first = day(ends[0]), let last = day(ends[ends.count - 1]) else {
        let names = dayNames + longDayNames
        let meant = ends.compactMap { end in day(end) == nil ? nearest(to: String(end), among: names) : nil }.first
        throw TextProblem("\(quoted(String(text))) is not a day of the week", help: meant.map { "did you mean `\($0)`?" } ?? windowHelp)
    }
    return Set((0...((last - first + 7) % 7)).map { (first + $0) % 7 })
}

private func day(_ text: Substring) -> Int? {
    let name = text.lowercased()
    return dayNames.firstIndex(of: name) ?? longDayNames.firstIndex(of: name)
}

/// `09:00-17:00`
private func times(_ text: Substring) throws(TextProblem) -> (Int, Int) {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let from = minute(ends[0]), from < 1440, let to = minute(ends[1]) else {
        throw TextProblem("\(quoted(String(text))) is not a time of day", help: "times are written as 09:00-17:00, from 00:00 to 24:00")
    }
    return (from, to)
}

private func minute(_ text: Substring) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, (1...2).contains(parts[0].utf8.count), parts[1].utf8.count == 2,
        parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }), let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60,
        hour < 24 || hour == 24 && minute == 0
    else { return nil }
    return hour * 60 + minute
}

private let windowHelp = "a window is written as \"mon-fri 09:00-17:00, sat-sun\", or as a cron expression of five fields"
private let dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
private let longDayNames = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

// MARK: Writing

extension TimeWindow {
    /// `mon-fri 09:00-17:00, sat-sun`
    public var text: String { cron?.text ?? stretches.map(\.text).joined(separator: ", ") }
}

extension TimeWindow.Stretch {
    var text: String {
        let isAllDay = from == 0 && to == 1440
        if days.count == 7, !isAllDay { return timesText }
        return isAllDay ? daysText : "\(daysText) \(timesText)"
    }

    /// `mon-wed fri`
    public var daysText: String {
        var runs: [[Int]] = []
        // As people count them: from Monday to Sunday.
        for day in [1, 2, 3, 4, 5, 6, 0] where days.contains(day) {
            if let last = runs.last?.last, (last + 1) % 7 == day { runs[runs.count - 1].append(day) } else { runs.append([day]) }
        }
        return runs.map { run in run.count == 1 ? dayNames[run[0]] : "\(dayNames[run[0]])-\(dayNames[run[run.count - 1]])" }
            .joined(separator: " ")
    }

    /// `09:00-17:00`
    private var timesText: String { "\(clockTime(from))-\(clockTime(to))" }
}

/// `09:05`: minutes after midnight as a clock shows them; 1440 is `24:00`.
public func clockTime(_ minute: Int) -> String {
    let (hour, rest) = (minute / 60, minute % 60)
    return "\(hour < 10 ? "0" : "")\(hour):\(rest < 10 ? "0" : "")\(rest)"
}
