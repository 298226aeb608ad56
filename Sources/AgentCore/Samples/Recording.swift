// Recorded samples, as a file holds them.

public import Platform
public import RuleLanguage

/// A text that is no recording: what is wrong with it.
public struct RecordingError: Error, Equatable, Sendable, CustomStringConvertible {
    public var problem: String
    public var description: String { "no recorded samples: \(problem)" }
}

/// What was measured in some cycles in a row.
public struct Recording: Sendable {
    public struct Series: Equatable, Sendable {
        public var metric: MetricName
        /// One for each cycle; `nil` is what was not measured.
        public var values: [Double?]
    }

    public struct Subject: Equatable, Sendable {
        /// `nil` for the host.
        public var unit: String?
        public var series: [Series]
    }

    /// More cycles than these are no recording of this agent.
    static let mostCycles = 100_000

    /// When each cycle was, oldest first.
    public var times: [Moment]
    /// The host first.
    public var subjects: [Subject]

    /// Reads what `History.json` wrote.
    public init(_ json: JSON) throws(RecordingError) {
        guard json["version"]?.integer == 1 else { throw RecordingError(problem: "`version` is not 1") }
        guard let walls = json["times"]?.array, let uptimes = json["uptimes"]?.array, walls.count == uptimes.count else {
            throw RecordingError(problem: "`times` and `uptimes` are not two lists of one length")
        }
        guard walls.count <= Self.mostCycles else { throw RecordingError(problem: "more than \(Self.mostCycles) cycles") }
        var times: [Moment] = []
        for (wall, uptime) in zip(walls, uptimes) {
            guard let wall = wall.integer, (0...Timestamp.latest.microseconds).contains(wall), let uptime = uptime.integer,
                (0...Timestamp.latest.microseconds).contains(uptime)
            else { throw RecordingError(problem: "a time that is no number of microseconds") }
            times.append(Moment(wall: Timestamp(microseconds: wall), uptime: .microseconds(uptime)))
        }
        self.times = times
        subjects = [Subject(unit: nil, series: try Self.series(json["host"], of: "the host", cycles: times.count))]
        let units = json["units"]?.members ?? []
        guard units.count <= History.mostSubjects else { throw RecordingError(problem: "more than \(History.mostSubjects) units") }
        var seen: Set<String> = []
        for unit in units {
            guard seen.insert(unit.name).inserted else { throw RecordingError(problem: "the unit \(unit.name) is there twice") }
            subjects.append(Subject(unit: unit.name, series: try Self.series(unit.value, of: unit.name, cycles: times.count)))
        }
    }

    private static func series(_ json: JSON?, of subject: String, cycles: Int) throws(RecordingError) -> [Series] {
        guard let members = json?.members else { throw RecordingError(problem: "\(subject) has no metrics") }
        guard members.count <= History.mostMetrics else { throw RecordingError(problem: "\(subject) has more than \(History.mostMetrics) metrics") }
        var series: [Series] = []
        var seen: Set<String> = []
        for member in members {
            guard let values = member.value.array, values.count == cycles else {
                throw RecordingError(problem: "\(member.name) of \(subject) has not one value for each time")
            }
            guard seen.insert(member.name).inserted else { throw RecordingError(problem: "\(member.name) of \(subject) is there twice") }
            series.append(Series(metric: MetricName(key: member.name), values: values.map { $0.number.flatMap { $0.isFinite ? $0 : nil } }))
        }
        return series
    }

    public subscript(unit: String?) -> Subject? { subjects.first { $0.unit == unit } }
}

extension MetricName {
    /// Reads what `description` writes: `family` or `family:name`.
    init(key: String) {
        let parts = key.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        self.init(parts[0], parts.count > 1 ? parts[1] : nil)
    }
}
