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
    /// Between two numbers below it there is no difference that a `Float` could not hold.
    private static let largest = 1e30

    let subject: Metric.Subject
    private var list: MetricList?
    private(set) var metrics: [MetricName] = []
    /// For each metric.
    private var rings: [Ring] = []
    /// The last cycle in which something was recorded.
    private var cycle = 0

    init(subject: Metric.Subject) { self.subject = subject }

    var footprint: Int { rings.reduce(rings.capacity * MemoryLayout<Ring>.stride) { $0 + $1.footprint } }

    mutating func record(_ values: [Double?], of list: MetricList, cycle now: Int) {
        if self.list !== list { adopt(list) }
        skip(to: now)
        let slot = (now - 1) % History.cycles
        for index in rings.indices {
            guard index < values.count, let value = values[index], value.isFinite, value.magnitude < Self.largest else { continue }
            rings[index].record(value, in: slot)
        }
    }

    /// Values of cycles in which the subject was not recorded are not those of 240 cycles before.
    private mutating func skip(to now: Int) {
        let first = max(cycle, now - History.cycles)
        for skipped in first..<max(first, now) {
            for index in rings.indices { rings[index].empty(skipped % History.cycles) }
        }
        cycle = now
    }

    /// Takes another list of metrics. Those that are in both keep their values.
    private mutating func adopt(_ list: MetricList) {
        self.list = list
        // The list's own array where that can be: all units of a service then share it.
        let next = list.metrics.count > History.mostMetrics ? Array(list.metrics.prefix(History.mostMetrics)) : list.metrics
        guard next != metrics else { return }
        let before = self
        metrics = next
        rings = next.map { metric in
            before.metrics.firstIndex(of: metric).map { before.rings[$0] } ?? Ring(isCounter: MetricNature(metric, of: subject).isCounter)
        }
    }

    func values(of metric: MetricName, from oldest: Int, to newest: Int) -> [Double?]? {
        guard let index = metrics.firstIndex(of: metric) else { return nil }
        let ring = rings[index]
        var values = [Double?](repeating: nil, count: newest - oldest)
        // A counter is added up from its last value backwards.
        var sum = ring.last
        for number in stride(from: newest - 1, through: oldest, by: -1) where number < cycle && number >= cycle - History.cycles {
            guard let value = ring.value(in: number % History.cycles).map({ Double($0) }) else { continue }
            values[number - oldest] = ring.isCounter ? sum : value
            if ring.isCounter { sum -= value }
        }
        return values
    }
}

/// One metric's slots, one for each cycle. Much of what is measured never changes: as long as it does not, one number is all of it.
private struct Ring: Sendable {
    let isCounter: Bool
    /// The value of all slots that have one, while `slots` is empty.
    private var everywhere: Float = 0
    /// Of a counter, by how much it grew since the value before. It grows with the slots that are used.
    private var slots: [Float] = []
    private var measured = Slots()
    /// Of a counter, the last value.
    private(set) var last = 0.0

    init(isCounter: Bool) { self.isCounter = isCounter }

    var footprint: Int { slots.capacity * MemoryLayout<Float>.stride }

    mutating func record(_ value: Double, in slot: Int) {
        guard isCounter else { return keep(Float(value), in: slot) }
        keep(measured.isEmpty ? 0 : Float(value - last), in: slot)
        last = value
    }

    private mutating func keep(_ value: Float, in slot: Int) {
        defer { measured[slot] = true }
        if slots.isEmpty {
            // By their bits, as 0 and -0 are two values.
            if measured.isEmpty { everywhere = value }
            guard value.bitPattern != everywhere.bitPattern else { return }
        }
        if slot >= slots.count { slots += repeatElement(everywhere, count: Slots.room(for: slot) - slots.count) }
        slots[slot] = value
    }

    func value(in slot: Int) -> Float? {
        guard measured[slot] else { return nil }
        // Slots that no value came to since it began to change.
        return slot < slots.count ? slots[slot] : everywhere
    }

    mutating func empty(_ slot: Int) {
        measured[slot] = false
        if measured.isEmpty { slots = [] }
    }
}

/// Which slots hold a value.
private struct Slots: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// The slots are made room for in four steps, while the first cycles pass.
    static func room(for slot: Int) -> Int { (slot / 60 + 1) * 60 }

    var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

    subscript(slot: Int) -> Bool {
        get {
            let bit: UInt64 = 1 << UInt64(slot % 60)
            switch slot / 60 {
            case 0: return words.0 & bit != 0
            case 1: return words.1 & bit != 0
            case 2: return words.2 & bit != 0
            default: return words.3 & bit != 0
            }
        }
        set {
            let bit: UInt64 = 1 << UInt64(slot % 60)
            switch slot / 60 {
            case 0: words.0 = newValue ? words.0 | bit : words.0 & ~bit
            case 1: words.1 = newValue ? words.1 | bit : words.1 & ~bit
            case 2: words.2 = newValue ? words.2 | bit : words.2 & ~bit
            default: words.3 = newValue ? words.3 | bit : words.3 & ~bit
            }
        }
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
