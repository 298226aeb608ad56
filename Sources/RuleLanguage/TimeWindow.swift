// Times of the week: `mon-fri 09:00-17:00`.

/// Stretches of the week, in the host's local time.
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

    public var stretches: [Stretch]

    public init(_ stretches: [Stretch]) { self.stretches = stretches }
}
