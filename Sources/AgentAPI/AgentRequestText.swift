// Requests and answers as they cross the agent's socket: one line each, in JSON or in words.

public import Platform

/// A request that makes no sense, in words for whoever made it.
public struct RequestError: Error, Equatable, CustomStringConvertible, Sendable {
    public var problem: String
    public init(problem: String) { self.problem = problem }
    public var description: String { problem }
}

/// Bounds on what a request may carry.
public enum RequestLimits {
    /// Bytes of one line, its end not counted.
    public static let line = 64 << 10
    public static let units = 1000
    /// UTF-8 bytes of one name or text.
    public static let text = 4096
    /// Windows and silences are at most a year long; who wants more wants no end.
    public static let length = Duration.seconds(366 * 86_400)
}

// MARK: JSON

extension AgentRequest {
    /// The name under which it is known in JSON, and in lists of what is allowed.
    public var verb: String {
        switch self {
        case .status: "status"
        case .show: "show"
        case .export: "export"
        case .explain: "explain"
        case .history: "history"
        case .startDeploy: "deploy_start"
        case .finishDeploy: "deploy_finish"
        case .prepareDeploy: "deploy_prepare"
        case .checkDeploy: "deploy_check"
        case .cancelDeploy: "deploy_cancel"
        case .stopMonitoring: "unmonitor"
        case .resumeMonitoring: "monitor"
        case .jobs: "jobs"
        case .jobStarted: "job_started"
        case .jobDone: "job_done"
        case .act(let order, _): order.rawValue
        case .testAlerts: "test_alerts"
        case .means: "means"
        }
    }

    /// Every verb that there is.
    public static let verbs =
        [
            "status", "show", "export", "explain", "history", "deploy_start", "deploy_finish", "deploy_prepare", "deploy_check", "deploy_cancel",
            "unmonitor", "monitor", "jobs", "job_started", "job_done", "test_alerts", "means",
        ] + UnitOrder.allCases.map(\.rawValue)

    public var json: JSON {
        var members: [JSON.Member] = [.init("request", .string(verb))]
        func add(_ name: String, _ text: String?) {
            if let text { members.append(.init(name, .string(text))) }
        }
        func add(_ units: [String]) {
            if !units.isEmpty { members.append(.init("units", .array(units.map(JSON.string)))) }
        }
        func add(_ length: Duration?) {
            if let length { members.append(.init("length_ms", .integer(length.microseconds / 1000))) }
        }
        switch self {
        case .status, .export, .history, .jobs, .testAlerts, .means: break
        case .show(let unit, let metric):
            add("unit", unit)
            add("metric", metric)
        case .explain(let unit, let rule):
            add("unit", unit)
            add("rule", rule)
        case .startDeploy(let units, let owner, let reason, let length):
            add(units)
            add("owner", owner)
            add("reason", reason)
            add(length)
        case .finishDeploy(let units, let owner):
            add(units)
            add("owner", owner)
        // Passwords are for the connection to the agent itself: this goes through others' hands, and into logs.
        case .prepareDeploy(let preparation): members.append(.init("preparation", preparation.json(withSecrets: false)))
        case .checkDeploy(let check):
            var check = check
            check.question?.user = nil
            check.question?.password = nil
            members.append(.init("check", check.json))
        case .cancelDeploy(let id): add("deploy_id", id)
        case .stopMonitoring(let units, let reason, let length):
            add(units)
            add("reason", reason)
            add(length)
        case .resumeMonitoring(let units): add(units)
        case .jobStarted(let name): add("name", name)
        case .jobDone(let name, let status):
            add("name", name)
            if let status { members.append(.init("exit_status", .integer(Int64(status)))) }
        case .act(_, let unit): add("unit", unit)
        }
        return .object(members)
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = RequestReader(json: json)
        let verb = try reader.text("request")
        switch verb {
        case "status": self = .status
        case "export": self = .export
        case "history": self = .history
        case "jobs": self = .jobs
        case "test_alerts": self = .testAlerts
        case "means": self = .means
        case "show": self = .show(unit: try reader.optionalText("unit"), metric: try reader.text("metric"))
        case "explain": self = .explain(unit: try reader.optionalText("unit"), rule: try reader.optionalText("rule"))
        case "deploy_start":
            self = .startDeploy(
                units: try reader.units(), owner: try reader.optionalText("owner"), reason: try reader.optionalText("reason"),
                length: try reader.length())
        case "deploy_finish": self = .finishDeploy(units: try reader.units(), owner: try reader.optionalText("owner"))
        case "deploy_prepare": self = .prepareDeploy(try DeployPreparation(json["preparation"] ?? .null))
        case "deploy_check": self = .checkDeploy(try DeployCheck(json["check"] ?? .null))
        case "deploy_cancel": self = .cancelDeploy(id: try reader.text("deploy_id"))
        case "unmonitor":
            self = .stopMonitoring(units: try reader.units(), reason: try reader.optionalText("reason"), length: try reader.length())
        case "monitor": self = .resumeMonitoring(units: try reader.units())
        case "job_started": self = .jobStarted(name: try reader.text("name"))
        case "job_done": self = .jobDone(name: try reader.text("name"), exitStatus: try reader.exitStatus())
        default:
            guard let order = UnitOrder(rawValue: verb) else {
                throw RequestError(problem: "this agent does not know the request `\(verb.prefix(50))`; is it older than the program that asks?")
            }
            self = .act(order, unit: try reader.text("unit"))
        }
    }
}

extension AgentAnswer {
    /// The answer's line: `{"ok":true,"text":"...","answer":{...}}`.
    public var message: JSON { ["ok": .bool(isGood), "text": .string(text), "answer": json] }

    public init(message: JSON) throws(RequestError) {
        guard let isGood = message["ok"]?.bool, let text = message["text"]?.string else {
            throw RequestError(problem: "what came is not the answer of an agent")
        }
        self.init(isGood: isGood, text: text, json: message["answer"] ?? .null)
    }

    /// A request that was not carried out, and why.
    /// - Parameter problem: without a full stop and a newline.
    public static func refused(_ problem: String) -> AgentAnswer {
        AgentAnswer(isGood: false, text: "\(problem)\n", json: ["error": .string(problem)])
    }
}

/// Reads the members of a request, each within its bounds.
private struct RequestReader {
    let json: JSON

    func text(_ name: String) throws(RequestError) -> String {
        guard let text = try optionalText(name), !text.isEmpty else { throw RequestError(problem: "the request says no `\(name)`") }
        return text
    }

    func optionalText(_ name: String) throws(RequestError) -> String? {
        guard let value = json[name], value != .null else { return nil }
        guard let text = value.string else { throw RequestError(problem: "`\(name)` is not a text") }
        return try checked(text, name)
    }

    func units() throws(RequestError) -> [String] {
        guard let value = json["units"], value != .null else { return [] }
        guard let items = value.array, items.count <= RequestLimits.units else {
            throw RequestError(problem: "`units` is not a list of at most \(RequestLimits.units) names")
        }
        var units: [String] = []
        for item in items {
            guard let unit = item.string, !unit.isEmpty else { throw RequestError(problem: "`units` holds something that is no name") }
            units.append(try checked(unit, "units"))
        }
        return units
    }

    func length() throws(RequestError) -> Duration? {
        guard let value = json["length_ms"], value != .null else { return nil }
        guard let milliseconds = value.integer, milliseconds > 0, milliseconds <= RequestLimits.length.microseconds / 1000 else {
            throw RequestError(problem: "`length_ms` is not between a millisecond and a year")
        }
        return .milliseconds(milliseconds)
    }

    func exitStatus() throws(RequestError) -> Int32? {
        guard let value = json["exit_status"], value != .null else { return nil }
        guard let status = value.integer, (0...255).contains(status) else { throw RequestError(problem: "`exit_status` is not between 0 and 255") }
        return Int32(status)
    }

    /// Names and reasons go into logs and onto terminals: what would steer those is not taken.
    private func checked(_ text: String, _ name: String) throws(RequestError) -> String {
        guard text.utf8.count <= RequestLimits.text else { throw RequestError(problem: "`\(name)` is longer than \(RequestLimits.text) bytes") }
        guard !text.unicodeScalars.contains(where: { $0.value < 32 || (127..<160).contains($0.value) }) else {
            throw RequestError(problem: "`\(name)` holds control characters")
        }
        return text
    }
}

// MARK: Lines

/// What a line on the agent's socket asks for.
public enum RequestLine: Equatable, Sendable {
    /// In JSON: it is answered in JSON.
    case program(AgentRequest)
    /// In words, as Inspeqtor's users and their scripts write them: it is answered with text.
    case words(AgentRequest)
    case help
    case heart

    /// - Parameter bytes: one line without its end; a carriage return before that does not matter.
    public init(_ bytes: some Collection<UInt8>) throws(RequestError) {
        guard bytes.count <= RequestLimits.line else { throw RequestError(problem: "a request is at most \(RequestLimits.line) bytes long") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw RequestError(problem: "the request is not in UTF-8") }
        if text.utf8.first(where: { $0 != 32 && $0 != 9 }) == UInt8(ascii: "{") {
            let json: JSON
            do throws(JSONError) {
                json = try JSON(parsing: text, maximumDepth: 8)
            } catch {
                throw RequestError(problem: "the request is not in JSON: \(error)")
            }
            self = .program(try AgentRequest(json))
        } else {
            try self.init(words: text.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init))
        }
    }

    private init(words: [String]) throws(RequestError) {
        guard let first = words.first else { throw RequestError(problem: "the line is empty; `help` says what can be asked") }
        let rest = Array(words.dropFirst())
        guard words.allSatisfy({ $0.utf8.count <= RequestLimits.text && $0.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 } }),
            words.count <= RequestLimits.units
        else { throw RequestError(problem: "the line holds control characters, or words that are too long or too many") }
        switch (first, rest.count) {
        case ("♡", 0), ("♥", 0), ("❤", 0), ("❤️", 0), ("<3", 0): self = .heart
        case ("help", _): self = .help
        case ("status", 0): self = .words(.status)
        case ("export", 0): self = .words(.export)
        case ("jobs", 0): self = .words(.jobs)
        case ("start", 1...) where rest[0] == "deploy":
            self = .words(.startDeploy(units: Array(rest.dropFirst()), owner: nil, reason: nil, length: nil))
        case ("finish", 1...) where rest[0] == "deploy": self = .words(.finishDeploy(units: Array(rest.dropFirst()), owner: nil))
        case ("show", 2): self = .words(.show(unit: rest[0] == "host" ? nil : rest[0], metric: rest[1]))
        case ("show", _): throw RequestError(problem: "`show` wants to know what: show host load:1, show puma memory:rss")
        case ("job_done", 1...): self = .words(.jobDone(name: rest.joined(separator: " "), exitStatus: nil))
        case ("job_done", _): throw RequestError(problem: "`job_done` wants the job's name: job_done backup")
        default: throw RequestError(problem: "unknown command: \(words.prefix(3).joined(separator: " ").prefix(60)); `help` says what can be asked")
        }
    }

    public static let helpText = """
        status                        how everything is
        show host|SERVICE METRIC      the last values of a metric
        start deploy [SERVICE...]     nobody is alerted and nothing restarted until the deploy is finished
        finish deploy [SERVICE...]    watching goes on; what is not well then is alerted
        job_done NAME                 a recurring job has happened
        jobs                          the recurring jobs, and when each is due
        export                        how everything is, in JSON
        help                          this
        One line a connection. Programs send JSON: {"request":"status"}

        """
}
