// `0 3 * * 1-5`: when something recurs, as crontab(5) writes it.

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
    /// As it was written.
    public var text: String

    public init(minutes: Set<Int>, hours: Set<Int>, daysOfMonth: Set<Int>?, months: Set<Int>, daysOfWeek: Set<Int>?, text: String) {
        self.minutes = minutes
        self.hours = hours
        self.daysOfMonth = daysOfMonth
        self.months = months
        self.daysOfWeek = daysOfWeek
        self.text = text
    }
}
