// What the agent and its runner say to each other: one JSON object a line, orders one way and answers the other.

public import Platform

/// A line that is no order or no answer: what is wrong with it. The line itself is not repeated: it may hold a password.
public struct RunnerMessageError: Error, Equatable, CustomStringConvertible, Sendable {
    public var problem: String
    public var description: String { problem }
}

/// Bounds on what the two may say.
public enum RunnerLimits {
    /// Bytes of one order, its newline not counted.
    public static let order = 4 << 20
    /// Bytes of one answer.
    public static let answer = 1 << 18
    public static let sources = 2000
    public static let channels = 100
    public static let parameters = 50
    public static let metrics = 1000
    public static let events = 200
    /// UTF-8 bytes of a name or a short text.
    public static let text = 4096
    public static let body = 1 << 17
}

/// What the agent asks for.
public enum RunnerOrder: Equatable, Sendable {
    /// All that is to be done from now on.
    case work(RunnerWork)
    case deliver(OutgoingAlert)
    /// Only to hear that somebody listens.
    case ping
}

/// What the runner tells.
public enum RunnerAnswer: Equatable, Sendable {
    /// The answer to `ping`.
    case alive
    /// By metric name (`redis:used_memory`).
    case measured([String: Double], source: String)
    case sourceFailed(String, why: String)
    case delivered(UInt64)
    case undelivered(UInt64, why: String, mayRetry: Bool)
    /// The last word of one that has to end.
    case cannotGoOn(why: String)
}

// MARK: Orders

extension RunnerOrder {
    /// One line with its newline.
    public var line: [UInt8] { json.bytes + [10] }

    private var json: JSON {
        switch self {
        case .work(let work): ["work": work.json]
        case .deliver(let alert): ["deliver": alert.json]
        case .ping: ["ping": true]
        }
    }

    /// - Parameter line: without its newline.
    public init(line: some Collection<UInt8>) throws(RunnerMessageError) {
        let json = try parsed(line, limit: RunnerLimits.order)
        if let work = json["work"] {
            self = .work(try RunnerWork(work))
        } else if let alert = json["deliver"] {
            self = .deliver(try OutgoingAlert(alert))
        } else if json["ping"] == true {
            self = .ping
        } else {
            throw RunnerMessageError(problem: "this is no order")
        }
    }
}

extension RunnerWork {
    fileprivate var json: JSON {
        [
            "interval_ms": .integer(interval.microseconds / 1000), "sources": .array(sources.map(\.json)),
            "channels": .array(channels.map(\.json)),
        ]
    }

    fileprivate init(_ json: JSON) throws(RunnerMessageError) {
        guard let milliseconds = json["interval_ms"]?.integer, (1...86_400_000).contains(milliseconds) else {
            throw RunnerMessageError(problem: "interval_ms is not between 1 and a day")
        }
        self.init(interval: .milliseconds(milliseconds))
        for item in try items("sources", of: json, limit: RunnerLimits.sources) { sources.append(try DaemonSource(item)) }
        for item in try items("channels", of: json, limit: RunnerLimits.channels) { channels.append(try AlertChannel(item)) }
    }
}

extension DaemonSource {
    fileprivate var json: JSON {
        [
            "id": .string(id), "family": .string(family), "parameters": parametersJSON(parameters),
            "metrics": .array(metrics.map(JSON.string)),
        ]
    }

    fileprivate init(_ json: JSON) throws(RunnerMessageError) {
        var metrics: [String] = []
        for item in try items("metrics", of: json, limit: RunnerLimits.metrics) { metrics.append(try text(item, "metrics")) }
        self.init(
            id: try text(json["id"], "id"), family: try text(json["family"], "family"), parameters: try readParameters(of: json), metrics: metrics)
    }
}

extension AlertChannel {
    fileprivate var json: JSON { ["route": JSON(route), "kind": .string(kind), "parameters": parametersJSON(parameters)] }

    fileprivate init(_ json: JSON) throws(RunnerMessageError) {
        self.init(route: try optionalText(json["route"], "route"), kind: try text(json["kind"], "kind"), parameters: try readParameters(of: json))
    }
}

extension Event {
    /// Without its number, which it does not have yet, or which is nobody's business.
    public var unnumbered: JSON { .object((json.members ?? []).filter { $0.name != "sequence" }) }

    public init(unnumbered json: JSON) throws(ReportError) {
        try self.init(.object((json.members ?? []) + [JSON.Member("sequence", 1)]))
        sequence = 0
    }
}

extension OutgoingAlert {
    /// As lines and files carry it.
    public var json: JSON {
        [
            "id": .integer(Int64(clamping: id)), "route": JSON(route), "subject": .string(subject), "body": .string(body),
            "events": .array(events.map(\.unnumbered)), "host": .string(host), "at": .string(at.text()),
        ]
    }

    public init(_ json: JSON) throws(RunnerMessageError) {
        var events: [Event] = []
        for item in try items("events", of: json, limit: RunnerLimits.events) {
            do throws(ReportError) {
                events.append(try Event(unnumbered: item))
            } catch {
                throw RunnerMessageError(problem: "events: \(error)")
            }
        }
        guard let at = Timestamp(try text(json["at"], "at")) else { throw RunnerMessageError(problem: "at is not a time") }
        self.init(
            id: try alertID(json["id"]), route: try optionalText(json["route"], "route"), subject: try text(json["subject"], "subject"),
            body: try text(json["body"], "body", limit: RunnerLimits.body), events: events, host: try text(json["host"], "host"), at: at)
    }
}

// MARK: Answers

extension RunnerAnswer {
    /// One line with its newline. A text that is too long is cut, and of too many values some are left out: what the agent would not
    /// take says nothing.
    public var line: [UInt8] { json.bytes + [10] }

    private var json: JSON {
        switch self {
        case .alive: ["alive": true]
        case .measured(let values, let source):
            [
                "measured": .object(
                    values.sorted { $0.key < $1.key }.prefix(RunnerLimits.metrics).map { JSON.Member($0.key, .number($0.value)) }),
                "source": .string(source),
            ]
        case .sourceFailed(let source, let why): ["failed": .string(source), "why": .string(cut(why))]
        case .delivered(let alert): ["delivered": .integer(Int64(clamping: alert))]
        case .undelivered(let alert, let why, let mayRetry):
            ["undelivered": .integer(Int64(clamping: alert)), "why": .string(cut(why)), "may_retry": .bool(mayRetry)]
        case .cannotGoOn(let why): ["cannot_go_on": .string(cut(why))]
        }
    }

    /// - Parameter line: without its newline.
    public init(line: some Collection<UInt8>) throws(RunnerMessageError) {
        let json = try parsed(line, limit: RunnerLimits.answer)
        if let measured = json["measured"] {
            guard let members = measured.members, members.count <= RunnerLimits.metrics else {
                throw RunnerMessageError(problem: "measured is no object of at most \(RunnerLimits.metrics) values")
            }
            var values: [String: Double] = [:]
            for member in members {
                guard let value = member.value.number, value.isFinite, member.name.utf8.count <= RunnerLimits.text else {
                    throw RunnerMessageError(problem: "measured holds something that is no number")
                }
                values[member.name] = value
            }
            self = .measured(values, source: try text(json["source"], "source"))
        } else if let source = json["failed"] {
            self = .sourceFailed(try text(source, "failed"), why: try text(json["why"], "why"))
        } else if let alert = json["delivered"] {
            self = .delivered(try alertID(alert))
        } else if let alert = json["undelivered"] {
            guard let mayRetry = json["may_retry"]?.bool else { throw RunnerMessageError(problem: "may_retry is neither true nor false") }
            self = .undelivered(try alertID(alert), why: try text(json["why"], "why"), mayRetry: mayRetry)
        } else if let why = json["cannot_go_on"] {
            self = .cannotGoOn(why: try text(why, "cannot_go_on"))
        } else if json["alive"] == true {
            self = .alive
        } else {
            throw RunnerMessageError(problem: "this is no answer")
        }
    }
}

// MARK: Parts

private func parsed(_ line: some Collection<UInt8>, limit: Int) throws(RunnerMessageError) -> JSON {
    guard line.count <= limit else { throw RunnerMessageError(problem: "longer than \(limit) bytes") }
    do throws(JSONError) {
        return try JSON(parsing: line, maximumDepth: 8)
    } catch {
        throw RunnerMessageError(problem: "not JSON: \(error)")
    }
}

private func parametersJSON(_ parameters: [String: String]) -> JSON {
    .object(parameters.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) })
}

private func readParameters(of json: JSON) throws(RunnerMessageError) -> [String: String] {
    guard let members = json["parameters"]?.members, members.count <= RunnerLimits.parameters else {
        throw RunnerMessageError(problem: "parameters is no object of at most \(RunnerLimits.parameters) members")
    }
    var parameters: [String: String] = [:]
    for member in members { parameters[try text(.string(member.name), "parameters")] = try text(member.value, "parameters") }
    return parameters
}

private func items(_ name: String, of json: JSON, limit: Int) throws(RunnerMessageError) -> [JSON] {
    guard let items = json[name]?.array, items.count <= limit else {
        throw RunnerMessageError(problem: "\(name) is no array of at most \(limit) items")
    }
    return items
}

private func text(_ json: JSON?, _ name: String, limit: Int = RunnerLimits.text) throws(RunnerMessageError) -> String {
    guard let text = json?.string, text.utf8.count <= limit else { throw RunnerMessageError(problem: "\(name) is no text of at most \(limit) bytes") }
    return text
}

private func optionalText(_ json: JSON?, _ name: String) throws(RunnerMessageError) -> String? {
    json == nil || json == .null ? nil : try text(json, name)
}

private func alertID(_ json: JSON?) throws(RunnerMessageError) -> UInt64 {
    guard let number = json?.integer, let id = UInt64(exactly: number) else { throw RunnerMessageError(problem: "an alert's number is none") }
    return id
}

private func cut(_ text: String) -> String { text.utf8.count <= RunnerLimits.text ? text : String(text.unicodeScalars.prefix(RunnerLimits.text / 4)) }
