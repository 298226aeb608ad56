// Reports as JSON: `POST /v1/reports`, and the agent's spool.

public import Platform

/// A report that is not one: which part, and what is wrong with it.
public struct ReportError: Error, Equatable, CustomStringConvertible, Sendable {
    public var part: String
    public var problem: String
    public var description: String { "\(part) \(problem)" }
}

/// Bounds on what a report may carry; a host that needs more sends several.
public enum ReportLimits {
    /// Bytes of one report on the wire.
    public static let bytes = 4 << 20
    public static let events = 1000
    public static let units = 5000
    public static let samplesPerUnit = 200
    public static let silences = 1000
    public static let jobs = 1000
    /// Orders of one answer, and results of one report.
    public static let orders = 100
    /// UTF-8 bytes of one name or text.
    public static let text = 4096
}

extension Report {
    public var json: JSON {
        var members: [JSON.Member] = [
            .init("agent", .string(agent)), .init("host", .string(host)), .init("version", .string(version)), .init("at", .string(at.text())),
            .init("interval_ms", .integer(interval.microseconds / 1000)),
        ]
        if snapshot > 0 { members.append(.init("snapshot", .integer(Int64(clamping: snapshot)))) }
        if let base { members.append(.init("base", .integer(Int64(clamping: base)))) }
        members.append(.init("events", .array(events.map(\.json))))
        members.append(.init("units", .array(units.map(\.json))))
        members.append(.init("samples", samplesJSON(samples)))
        if !gone.isEmpty { members.append(.init("gone", .array(gone.map(JSON.string)))) }
        if !goneSamples.isEmpty {
            let sorted = goneSamples.sorted { $0.key < $1.key }
            members.append(.init("gone_samples", .object(sorted.map { .init($0.key, .array($0.value.map(JSON.string))) })))
        }
        // A whole report without them has none; a difference without them leaves them as they were.
        if let silences, base != nil || !silences.isEmpty { members.append(.init("silences", .array(silences.map(\.json)))) }
        if let jobs, base != nil || !jobs.isEmpty { members.append(.init("jobs", .array(jobs.map(\.json)))) }
        if !results.isEmpty { members.append(.init("results", .array(results.map(\.json)))) }
        return .object(members)
    }

    public init(_ json: JSON) throws(ReportError) {
        let reader = ReportReader(json: json, part: "report")
        agent = try reader.text("agent")
        guard agent.utf8.count == 32, agent.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
            throw ReportError(part: "report.agent", problem: "is not 32 hex digits")
        }
        host = try reader.text("host")
        guard !host.isEmpty else { throw ReportError(part: "report.host", problem: "is empty") }
        version = try reader.text("version")
        at = try reader.time("at")
        let milliseconds = try reader.integer("interval_ms")
        guard (1...86_400_000).contains(milliseconds) else { throw ReportError(part: "report.interval_ms", problem: "is not between 1 and a day") }
        interval = .milliseconds(milliseconds)
        events = []
        for (index, item) in try reader.array("events", limit: ReportLimits.events).enumerated() {
            events.append(try Event(item, part: "report.events[\(index)]"))
        }
        units = []
        for (index, item) in try reader.array("units", limit: ReportLimits.units).enumerated() {
            units.append(try UnitState(item, part: "report.units[\(index)]"))
        }
        samples = try reader.samples("samples")
        snapshot = try reader.number("snapshot") ?? 0
        base = try reader.number("base")
        gone = try reader.texts("gone", limit: ReportLimits.units)
        goneSamples = [:]
        if let members = json["gone_samples"]?.members {
            guard members.count <= ReportLimits.units + 1 else { throw ReportError(part: "report.gone_samples", problem: "has too many items") }
            for member in members {
                let names = ReportReader(json: .object([member]), part: "report.gone_samples")
                goneSamples[member.name] = try names.texts(member.name, limit: ReportLimits.samplesPerUnit)
            }
        }
        silences = base == nil || json["silences"] != nil ? [] : nil
        for (index, item) in try reader.array("silences", limit: ReportLimits.silences, required: false).enumerated() {
            silences?.append(try Silence(item, part: "report.silences[\(index)]"))
        }
        jobs = base == nil || json["jobs"] != nil ? [] : nil
        for (index, item) in try reader.array("jobs", limit: ReportLimits.jobs, required: false).enumerated() {
            jobs?.append(try JobState(item, part: "report.jobs[\(index)]"))
        }
        results = []
        for (index, item) in try reader.array("results", limit: ReportLimits.orders, required: false).enumerated() {
            results.append(try OrderResult(item, part: "report.results[\(index)]"))
        }
    }
}

extension OrderResult {
    public var json: JSON { ["id": .string(id), "ok": .bool(isGood), "text": .string(text)] }

    public init(_ json: JSON, part: String = "result") throws(ReportError) {
        let reader = ReportReader(json: json, part: part)
        guard let isGood = json["ok"]?.bool else { throw ReportError(part: "\(part).ok", problem: "is neither true nor false") }
        self.init(id: try reader.id("id"), isGood: isGood, text: try reader.text("text"))
    }
}

extension AgentOrder {
    /// An order with a request that could not be read has no JSON of its own: it is never sent on.
    public var json: JSON { ["id": .string(id), "request": (try? request.get().json) ?? .null] }

    public init(_ json: JSON, part: String = "order") throws(ReportError) {
        id = try ReportReader(json: json, part: part).id("id")
        do throws(RequestError) {
            request = .success(try AgentRequest(json["request"] ?? .null))
        } catch {
            request = .failure(error)
        }
    }
}

extension Event {
    public var json: JSON {
        var members: [JSON.Member] = [
            .init("sequence", .integer(Int64(clamping: sequence))), .init("kind", .string(kind.rawValue)), .init("at", .string(at.text())),
        ]
        if let unit { members.append(.init("unit", .string(unit))) }
        if let rule { members.append(.init("rule", .string(rule))) }
        if let importance { members.append(.init("importance", .string(importance.rawValue))) }
        if let cause { members.append(.init("cause", .string(cause.rawValue))) }
        members.append(.init("detail", .string(detail)))
        if routes != [nil] { members.append(.init("routes", .array(routes.map(JSON.init)))) }
        return .object(members)
    }

    public init(_ json: JSON, part: String = "event") throws(ReportError) {
        let reader = ReportReader(json: json, part: part)
        let number = try reader.integer("sequence")
        guard number >= 1 else { throw ReportError(part: "\(part).sequence", problem: "is not positive") }
        self.init(
            sequence: UInt64(number), kind: try reader.word("kind"), at: try reader.time("at"), unit: try reader.optionalText("unit"),
            rule: try reader.optionalText("rule"), importance: try reader.optionalWord("importance"), cause: try reader.optionalWord("cause"),
            detail: try reader.text("detail"), routes: try reader.routes("routes"))
    }
}

extension UnitState {
    public var json: JSON {
        var members: [JSON.Member] = [
            .init("name", .string(name)), .init("init", .string(initSystem)), .init("phase", .string(phase.rawValue)),
            .init("detail", .string(detail)),
        ]
        if let since { members.append(.init("since", .string(since.text()))) }
        if let mainPID { members.append(.init("main_pid", .integer(Int64(mainPID)))) }
        members.append(.init("samples", samplesJSON(samples)))
        if !failingRules.isEmpty { members.append(.init("failing_rules", .array(failingRules.map(JSON.string)))) }
        return .object(members)
    }

    public init(_ json: JSON, part: String = "unit") throws(ReportError) {
        let reader = ReportReader(json: json, part: part)
        let rules = try reader.texts("failing_rules", limit: 1000)
        let pid = try reader.optionalInteger("main_pid")
        self.init(
            name: try reader.text("name"), initSystem: try reader.text("init"), phase: try reader.word("phase"),
            since: try reader.optionalTime("since"), mainPID: pid.map { Int32(clamping: $0) },
            detail: try reader.text("detail"), samples: try reader.samples("samples"), failingRules: rules)
    }
}

extension Acknowledgement {
    public var json: JSON {
        var members: [JSON.Member] = [.init("acknowledged", .integer(Int64(clamping: sequence)))]
        if let snapshot { members.append(.init("snapshot", .integer(Int64(clamping: snapshot)))) }
        if resync { members.append(.init("resync", true)) }
        if !orders.isEmpty { members.append(.init("orders", .array(orders.map(\.json)))) }
        return .object(members)
    }

    public init(_ json: JSON) throws(ReportError) {
        let reader = ReportReader(json: json, part: "acknowledgement")
        let number = try reader.integer("acknowledged")
        guard number >= 0 else { throw ReportError(part: "acknowledgement.acknowledged", problem: "is negative") }
        var orders: [AgentOrder] = []
        for (index, item) in try reader.array("orders", limit: ReportLimits.orders, required: false).enumerated() {
            orders.append(try AgentOrder(item, part: "acknowledgement.orders[\(index)]"))
        }
        self.init(
            sequence: UInt64(number), snapshot: try reader.number("snapshot"), resync: json["resync"]?.bool ?? false, orders: orders)
    }
}

private func samplesJSON(_ samples: [Sample]) -> JSON { .object(samples.map { .init($0.metric, .number($0.value)) }) }

/// Reads the members of one object, each within its bounds.
struct ReportReader {
    let json: JSON
    let part: String

    func text(_ name: String) throws(ReportError) -> String {
        guard let text = try optionalText(name) else { throw ReportError(part: "\(part).\(name)", problem: "is missing") }
        return text
    }

    func optionalText(_ name: String) throws(ReportError) -> String? {
        guard let value = json[name], value != .null else { return nil }
        guard let text = value.string else { throw ReportError(part: "\(part).\(name)", problem: "is not a text") }
        guard text.utf8.count <= ReportLimits.text else {
            throw ReportError(part: "\(part).\(name)", problem: "is longer than \(ReportLimits.text) bytes")
        }
        return text
    }

    func integer(_ name: String) throws(ReportError) -> Int64 {
        guard let number = try optionalInteger(name) else { throw ReportError(part: "\(part).\(name)", problem: "is missing") }
        return number
    }

    func optionalInteger(_ name: String) throws(ReportError) -> Int64? {
        guard let value = json[name], value != .null else { return nil }
        guard let number = value.integer else { throw ReportError(part: "\(part).\(name)", problem: "is not an integer") }
        return number
    }

    /// A positive number, if there is one.
    func number(_ name: String) throws(ReportError) -> UInt64? {
        guard let number = try optionalInteger(name) else { return nil }
        guard number >= 1 else { throw ReportError(part: "\(part).\(name)", problem: "is not positive") }
        return UInt64(number)
    }

    func id(_ name: String) throws(ReportError) -> String {
        let id = try text(name)
        let isPlain = id.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == UInt8(ascii: "-") }
        guard (1...64).contains(id.utf8.count), isPlain else {
            throw ReportError(part: "\(part).\(name)", problem: "is not 1 to 64 letters, digits and hyphens")
        }
        return id
    }

    func texts(_ name: String, limit: Int) throws(ReportError) -> [String] {
        var texts: [String] = []
        for item in try array(name, limit: limit, required: false) {
            guard let text = item.string, text.utf8.count <= ReportLimits.text else {
                throw ReportError(part: "\(part).\(name)", problem: "holds something that is not a short text")
            }
            texts.append(text)
        }
        return texts
    }

    func time(_ name: String) throws(ReportError) -> Timestamp {
        guard let time = Timestamp(try text(name)) else {
            throw ReportError(part: "\(part).\(name)", problem: "is not a time like 2026-11-21T03:44:31.123Z")
        }
        return time
    }

    func optionalTime(_ name: String) throws(ReportError) -> Timestamp? { try optionalText(name) == nil ? nil : try time(name) }

    func word<Word: RawRepresentable<String>>(_ name: String) throws(ReportError) -> Word {
        guard let word: Word = try optionalWord(name) else { throw ReportError(part: "\(part).\(name)", problem: "is missing") }
        return word
    }

    func optionalWord<Word: RawRepresentable<String>>(_ name: String) throws(ReportError) -> Word? {
        guard let text = try optionalText(name) else { return nil }
        guard let word = Word(rawValue: text) else { throw ReportError(part: "\(part).\(name)", problem: "is unknown: \(text)") }
        return word
    }

    func array(_ name: String, limit: Int, required: Bool = true) throws(ReportError) -> [JSON] {
        guard let value = json[name] else {
            if !required { return [] }
            throw ReportError(part: "\(part).\(name)", problem: "is missing")
        }
        guard let values = value.array else { throw ReportError(part: "\(part).\(name)", problem: "is not an array") }
        guard values.count <= limit else { throw ReportError(part: "\(part).\(name)", problem: "has more than \(limit) items") }
        return values
    }

    /// The default route alone, where nothing is said.
    func routes(_ name: String) throws(ReportError) -> [String?] {
        guard json[name] != nil else { return [nil] }
        var routes: [String?] = []
        for item in try array(name, limit: 100) {
            guard item == .null || (item.string?.utf8.count).map({ $0 <= ReportLimits.text }) ?? false else {
                throw ReportError(part: "\(part).\(name)", problem: "holds something that is no short text")
            }
            routes.append(item.string)
        }
        return routes
    }

    func samples(_ name: String) throws(ReportError) -> [Sample] {
        guard let members = json[name]?.members else { throw ReportError(part: "\(part).\(name)", problem: "is not an object") }
        guard members.count <= ReportLimits.samplesPerUnit else {
            throw ReportError(part: "\(part).\(name)", problem: "has more than \(ReportLimits.samplesPerUnit) samples")
        }
        var samples: [Sample] = []
        for member in members {
            guard let value = member.value.number, value.isFinite, member.name.utf8.count <= 200 else {
                throw ReportError(part: "\(part).\(name).\(member.name.prefix(50))", problem: "is not a number")
            }
            samples.append(Sample(member.name, value))
        }
        return samples
    }
}
