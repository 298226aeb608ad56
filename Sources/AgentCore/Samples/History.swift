// The last cycles of every watched metric: for pictures in a terminal, and to try new rules on.

public import Platform
public import RuleLanguage

/// Ring buffers of what was measured, of the host and of each unit, for the last cycles. It lives on the watcher's loop.
///
/// Numbers are kept as `Float`, which is exact to one in sixteen million. Of a counter its growth is kept, so that rates of large sums stay
/// right.
public struct History: Sendable {
    public static let cycles = 240
    /// More units or metrics than these are not recorded, nor read.
    static let mostSubjects = 10_000
    static let mostMetrics = 200

    /// The number of cycles that were begun. The ring's slot of cycle `n` is `n % cycles`.
    private var cycle = 0
    private var moments: [Moment] = []
    private var host = Record(subject: .host)
    private var units: [String: Record] = [:]

    public init() {}

    /// Called once per cycle, before anything is recorded in it.
    public mutating func beginCycle(at now: Moment) {
        if moments.count < Self.cycles {
            moments.append(now)
        } else {
            moments[cycle % Self.cycles] = now
        }
        cycle += 1
    }

    /// Keeps this cycle's values.
    /// - Parameters:
    ///   - values: in the order of `list`.
    ///   - unit: `nil` for the host.
    public mutating func record(_ values: [Double?], of list: MetricList, unit: String?) {
        guard cycle > 0 else { return }
        guard let unit else { return host.record(values, of: list, cycle: cycle) }
        guard units[unit] != nil || units.count < Self.mostSubjects else { return }
        units[unit, default: Record(subject: .service)].record(values, of: list, cycle: cycle)
    }

    /// Forgets a unit that is not watched any longer.
    public mutating func forget(unit: String) { units[unit] = nil }

    public var unitNames: [String] { units.keys.sorted() }

    /// The metrics that are recorded of a unit, or of the host; empty for a unit that is not known.
    public func metrics(of unit: String?) -> [MetricName] { (unit.map { units[$0] } ?? host)?.metrics ?? [] }

    /// What was measured, oldest first; a cycle without a value is `nil`. `nil` when the metric is not recorded.
    public func values(of metric: MetricName, unit: String?) -> [Double?]? {
        (unit.map { units[$0] } ?? host)?.values(of: metric, from: oldest, to: cycle)
    }

    /// The cycles that are in it, oldest first.
    public var times: [Moment] { (oldest..<cycle).map { moments[$0 % Self.cycles] } }

    private var oldest: Int { max(0, cycle - Self.cycles) }

    /// How many bytes the values take.
    var footprint: Int { moments.count * MemoryLayout<Moment>.stride + ([host] + units.values).reduce(0) { $0 + $1.footprint } }
}

/// One subject's rings.
private struct Record: Sendable {
    private static let words = (History.cycles + 63) / 64
    /// Between two numbers below it there is no difference that a `Float` could not hold.
    private static let largest = 1e30

    let subject: Metric.Subject
    private var list: MetricList?
    private(set) var metrics: [MetricName] = []
    private var isCounter: [Bool] = []
    /// For each metric, one slot for each cycle; of a counter, by how much it grew since the value before.
    private var slots: [Float] = []
    /// For each metric, a bit for each slot: whether it was measured.
    private var present: [UInt64] = []
    /// Of each counter, the last value.
    private var last: [Double] = []
    /// The last cycle in which something was recorded.
    private var cycle = 0

    init(subject: Metric.Subject) { self.subject = subject }

    var footprint: Int { slots.capacity * 4 + present.capacity * 8 + last.capacity * 8 }

    mutating func record(_ values: [Double?], of list: MetricList, cycle now: Int) {
        if self.list !== list { adopt(list) }
        skip(to: now)
        let slot = (now - 1) % History.cycles
        for index in metrics.indices {
            guard index < values.count, let value = values[index], value.isFinite, value.magnitude < Self.largest else { continue }
            if isCounter[index] {
                slots[index * History.cycles + slot] = isPresent(anywhere: index) ? Float(value - last[index]) : 0
                last[index] = value
            } else {
                slots[index * History.cycles + slot] = Float(value)
            }
            present[index * Self.words + slot / 64] |= 1 << UInt64(slot % 64)
        }
    }

    /// Values of cycles in which the subject was not recorded are not those of 240 cycles before.
    private mutating func skip(to now: Int) {
        let first = max(cycle, now - History.cycles)
        for skipped in first..<max(first, now) {
            let slot = skipped % History.cycles
            for index in metrics.indices { present[index * Self.words + slot / 64] &= ~(1 << UInt64(slot % 64)) }
        }
        cycle = now
    }

    private func isPresent(anywhere index: Int) -> Bool {
        (0..<Self.words).contains { present[index * Self.words + $0] != 0 }
    }

    /// Takes another list of metrics. Those that are in both keep their values.
    private mutating func adopt(_ list: MetricList) {
        let before = self
        self.list = list
        metrics = Array(list.metrics.prefix(History.mostMetrics))
        isCounter = metrics.map { MetricNature($0, of: subject).isCounter }
        guard metrics != before.metrics else { return }
        slots = Array(repeating: 0, count: metrics.count * History.cycles)
        present = Array(repeating: 0, count: metrics.count * Self.words)
        last = Array(repeating: 0, count: metrics.count)
        for (index, metric) in metrics.enumerated() {
            guard let old = before.metrics.firstIndex(of: metric) else { continue }
            for slot in 0..<History.cycles { slots[index * History.cycles + slot] = before.slots[old * History.cycles + slot] }
            for word in 0..<Self.words { present[index * Self.words + word] = before.present[old * Self.words + word] }
            last[index] = before.last[old]
        }
    }

    func values(of metric: MetricName, from oldest: Int, to newest: Int) -> [Double?]? {
        guard let index = metrics.firstIndex(of: metric) else { return nil }
        var values = [Double?](repeating: nil, count: newest - oldest)
        // A counter is added up from its last value backwards.
        var sum = last[index]
        for number in stride(from: newest - 1, through: oldest, by: -1) where number < cycle && number >= cycle - History.cycles {
            let slot = number % History.cycles
            guard present[index * Self.words + slot / 64] & 1 << UInt64(slot % 64) != 0 else { continue }
            let value = Double(slots[index * History.cycles + slot])
            values[number - oldest] = isCounter[index] ? sum : value
            if isCounter[index] { sum -= value }
        }
        return values
    }
}

// MARK: For people

/// A metric's last cycles in one look.
public struct HistorySummary: Equatable, Sendable {
    public var minimum: Double
    public var maximum: Double
    public var average: Double
    /// What is shown, oldest first. Of a counter, its growth a second.
    public var values: [Double?]
    public var unit: Metric.Unit
}

extension History {
    /// `nil` when the metric is not recorded, or was never measured.
    public func summary(of metric: MetricName, unit: String?) -> HistorySummary? {
        guard var values = values(of: metric, unit: unit) else { return nil }
        let nature = MetricNature(metric, of: unit == nil ? .host : .service)
        if nature.isCounter { values = growth(values) }
        let measured = values.compactMap(\.self)
        guard let minimum = measured.min(), let maximum = measured.max() else { return nil }
        return HistorySummary(
            minimum: minimum, maximum: maximum, average: measured.reduce(0, +) / Double(measured.count), values: values, unit: nature.unit ?? .count)
    }

    /// Two lines for a terminal, as Inspeqtor's `show` prints them: `puma cpu:total min 0.0% max 93.5% avg 12.1%`, and a glyph for each cycle.
    public func sparkline(of metric: MetricName, unit: String?) -> String? {
        guard let summary = summary(of: metric, unit: unit) else { return nil }
        let rate = MetricNature(metric, of: unit == nil ? .host : .service).isCounter ? "/sec" : ""
        func text(_ value: Double) -> String { amountText(value, unit: summary.unit) + rate }
        return """
            \(unit ?? "host") \(metric) min \(text(summary.minimum)) max \(text(summary.maximum)) avg \(text(summary.average))
            \(Sparkline.text(summary))

            """
    }

    private func growth(_ values: [Double?]) -> [Double?] {
        let times = times
        var before: (value: Double, at: Duration)?
        return zip(values, times).map { value, time in
            guard let value else { return nil }
            defer { before = (value, time.uptime) }
            guard let before, time.uptime > before.at, value >= before.value else { return nil }
            return (value - before.value) / (time.uptime - before.at).inSeconds
        }
    }
}

private enum Sparkline {
    static let glyphs = Array("▁▂▃▄▅▆▇█")

    /// A space where nothing was measured.
    static func text(_ summary: HistorySummary) -> String {
        let step = (summary.maximum - summary.minimum) / Double(glyphs.count)
        return String(
            summary.values.map { value in
                guard let value else { return " " }
                guard step > 0, step.isFinite else { return glyphs[0] }
                return glyphs[Int(min(Double(glyphs.count - 1), max(0, ((value - summary.minimum) / step).rounded(.down))))]
            })
    }
}

// MARK: JSON

extension History {
    /// All that is recorded: `{"version":1,"times":[...],"host":{METRIC:[...]},"units":{NAME:{METRIC:[...]}}}`. `null` is what was not measured.
    public var json: JSON {
        let times = times
        func series(_ unit: String?) -> JSON {
            .object(
                metrics(of: unit).map { metric in
                    .init(metric.description, .array((values(of: metric, unit: unit) ?? []).map { $0.map(rounded) ?? .null }))
                })
        }
        return .object([
            .init("version", 1), .init("times", .array(times.map { .integer($0.wall.microseconds) })),
            .init("uptimes", .array(times.map { .integer($0.uptime.microseconds) })), .init("host", series(nil)),
            .init("units", .object(unitNames.map { .init($0, series($0)) })),
        ])
    }

    /// As short as it can be without being another `Float`; sums are whole numbers mostly.
    private func rounded(_ value: Double) -> JSON {
        if let whole = Int64(exactly: value) { return .integer(whole) }
        guard Double(Float(value)) == value else { return .number(value) }
        return .number(Double("\(Float(value))") ?? value)
    }

    /// Goes on from what `json` wrote.
    public init(_ json: JSON) throws(RecordingError) {
        let recording = try Recording(json)
        self.init()
        let lists = recording.subjects.map { MetricList($0.series.map(\.metric)) }
        for index in recording.times.indices.suffix(Self.cycles) {
            beginCycle(at: recording.times[index])
            for (subject, list) in zip(recording.subjects, lists) {
                record(subject.series.map { index < $0.values.count ? $0.values[index] : nil }, of: list, unit: subject.unit)
            }
        }
    }
}
