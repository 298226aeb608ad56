// Deploys as JSON: what verify-token and scripts exchange with the agent and the aggregator.

public import Platform

/// Bounds on what is said of a deploy.
public enum DeployLimits {
    /// Bytes of one request.
    public static let request = 64 << 10
    /// Bytes of one host's state.
    public static let state = 1 << 20
    /// Bytes of a record with all its hosts.
    public static let record = 8 << 20
    public static let hosts = 500
    /// Names under which one application is asked.
    public static let hostNames = 16
    public static let processes = 1000
    public static let listeners = 100
    public static let incidents = 200
    public static let texts = 100
    /// UTF-8 bytes of one name or text.
    public static let text = 4096
    public static let duration = Duration.seconds(86_400)
}

// MARK: Requests

extension DeployPreparation {
    /// For the agent itself, with the password in it: never for a log, nor for the aggregator.
    public var json: JSON { json(withSecrets: true) }

    public func json(withSecrets: Bool) -> JSON {
        var members = Members()
        members.add("deploy_id", id)
        members.add("service", service)
        members.add("token", token)
        members.add("release", release)
        members.add("in_place", isInPlace)
        members.add("question", question?.json(withSecrets: withSecrets))
        if !hosts.isEmpty { members.add("hosts", .array(hosts.map(JSON.string))) }
        if let availability { members.add("probe", ["path": .string(availability.path), "rate": .number(availability.rate)]) }
        members.add("force", takesOver)
        members.add("window", opensWindow)
        members.add("person", person)
        members.add("revision", revision)
        return members.json
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            id: try reader.text("deploy_id"), service: try reader.text("service"), token: try reader.text("token"),
            release: try reader.optionalText("release"), isInPlace: try reader.flag("in_place") ?? false,
            question: try json["question"].map { json throws(RequestError) in try TokenQuestion(json) }, hosts: try reader.hosts("hosts"),
            availability: try json["probe"].map { json throws(RequestError) in try AvailabilityOrder(json) },
            takesOver: try reader.flag("force") ?? false, opensWindow: try reader.flag("window") ?? false,
            person: try reader.optionalText("person"), revision: try reader.optionalText("revision"))
        guard id.hasPrefix("d-"), (3...66).contains(id.utf8.count),
            id.utf8.dropFirst(2).allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { throw RequestError(problem: "deploy_id is not `d-` and at most 64 lower-case hex digits") }
        if let release, !release.hasPrefix("/") { throw RequestError(problem: "release is not an absolute path") }
    }
}

extension TokenQuestion {
    func json(withSecrets: Bool) -> JSON {
        var members = Members()
        members.add("path", path)
        members.add("host", host)
        if withSecrets {
            members.add("user", user)
            members.add("password", password?.reveal())
        }
        return members.json
    }

    init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            path: try reader.path("path"), host: try reader.headerText("host"), user: try reader.headerText("user"),
            password: try reader.optionalText("password").map { Secret($0) })
    }
}

extension AskingOrder {
    /// For the agent itself, with the password in it.
    public var json: JSON {
        var members = Members()
        members.add("service", service)
        members.add("question", question?.json(withSecrets: true))
        if !hosts.isEmpty { members.add("hosts", .array(hosts.map(JSON.string))) }
        return members.json
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            service: try reader.text("service"), question: try json["question"].map { json throws(RequestError) in try TokenQuestion(json) },
            hosts: try reader.hosts("hosts"))
    }
}

extension AvailabilityOrder {
    init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(path: try reader.path("path"), rate: json["rate"]?.number ?? 20)
        guard rate >= 1, rate <= 50 else { throw RequestError(problem: "the probe's rate is not between 1 and 50 requests a second") }
    }
}

extension DeployPrepared {
    public var json: JSON {
        var members = Members()
        members.add("deploy_id", id)
        members.add("service", service)
        members.add("host", host)
        members.add("workers", workers)
        members.add("asked", isAsked.map(JSON.bool))
        members.add("warnings", .array(warnings.map(JSON.string)))
        return members.json
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            id: try reader.text("deploy_id"), service: try reader.text("service"), host: try reader.text("host"),
            workers: try reader.count("workers") ?? 0, warnings: try reader.texts("warnings"), isAsked: try reader.flag("asked"))
    }
}

extension DeployCheck {
    public var json: JSON {
        var members = Members()
        members.add("deploy_id", deploy)
        members.add("service", service)
        members.add("token", token)
        members.add("question", question?.json(withSecrets: true))
        if !hosts.isEmpty { members.add("hosts", .array(hosts.map(JSON.string))) }
        members.add("evidence", evidence.rawValue)
        members.add("no_preload", hasNoPreload)
        members.add("expect_workers", expectedWorkers)
        members.add("timeout_ms", timeout)
        members.add("settle_ms", settle)
        members.add("watch_ms", watch)
        switch draining {
        case .ignore: members.add("drain", "ignore")
        case .warn: members.add("drain", "warn")
        case .wait(let time):
            members.add("drain", "wait")
            members.add("drain_ms", time)
        }
        members.add("fail_fast", failsFast)
        if let limits {
            switch limits.failed {
            case .count(let count): members.add("max_failed", count)
            case .share(let share): members.add("max_failed_share", .number(share))
            }
            members.add("max_stall_ms", limits.stall)
        }
        return members.json
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            deploy: try reader.optionalText("deploy_id"), service: try reader.optionalText("service"), token: try reader.optionalText("token"),
            question: try json["question"].map { json throws(RequestError) in try TokenQuestion(json) }, hosts: try reader.hosts("hosts"))
        guard deploy != nil || (service != nil && token != nil) else {
            throw RequestError(problem: "neither a deploy_id nor a service with a token is given")
        }
        if let word = try reader.optionalText("evidence") {
            guard let kind = EvidenceKind(rawValue: word) else { throw RequestError(problem: "evidence is neither http nor process") }
            evidence = kind
        }
        hasNoPreload = try reader.flag("no_preload") ?? false
        expectedWorkers = try reader.count("expect_workers")
        if let time = try reader.duration("timeout_ms") { timeout = time }
        if let time = try reader.duration("settle_ms") { settle = time }
        if let time = try reader.duration("watch_ms") { watch = time }
        switch try reader.optionalText("drain") {
        case nil, "warn": draining = .warn
        case "ignore": draining = .ignore
        case "wait": draining = .wait(try reader.duration("drain_ms") ?? .seconds(30))
        default: throw RequestError(problem: "drain is none of ignore, warn, wait")
        }
        failsFast = try reader.flag("fail_fast") ?? true
        let stall = try reader.duration("max_stall_ms")
        if let count = try reader.count("max_failed") {
            limits = AvailabilityLimits(failed: .count(count), stall: stall)
        } else if let share = json["max_failed_share"]?.number {
            guard (0...1).contains(share) else { throw RequestError(problem: "max_failed_share is not between 0 and 1") }
            limits = AvailabilityLimits(failed: .share(share), stall: stall)
        } else if let stall {
            limits = AvailabilityLimits(stall: stall)
        }
    }
}

// MARK: States

extension HostDeploy {
    public var json: JSON {
        var members = Members()
        members.add("schema", 1)
        members.add("service", service)
        members.add("host", host)
        members.add("state", state.rawValue)
        members.add("final", isFinal)
        members.add("since", since.text())
        members.add("token", JSON(tokenPrefix))
        members.add("deploy_id", deploy)
        members.add("baseline", hasBaseline)
        members.add("evidence", evidence)
        members.add("workers", workerCounts)
        members.add("processes", .array(processes.map(\.json)))
        members.add("listeners", .array(listeners.map(\.json)))
        members.add("events", .array(incidents.map(\.json)))
        members.add("probe", availability?.json)
        members.add("reasons", .array(reasons.map(JSON.string)))
        members.add("lacks", .array(lacks.map(JSON.string)))
        return members.json
    }

    private var workerCounts: JSON {
        func number(_ class: Class) -> JSON { .integer(Int64(count(`class`))) }
        return [
            "expected": expectedWorkers.map { .integer(Int64($0)) } ?? .null, "new": number(.new), "old": number(.old),
            "old_code": number(.oldCode), "unknown": number(.unknown), "dynamic": number(.dynamic), "draining": number(.draining),
        ]
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            service: try reader.text("service"), host: try reader.text("host"), state: try reader.word("state"),
            isFinal: try reader.flag("final") ?? false, since: try reader.time("since"), deploy: try reader.optionalText("deploy_id"),
            tokenPrefix: try reader.optionalText("token"), hasBaseline: try reader.flag("baseline") ?? false,
            evidence: try reader.text("evidence"), expectedWorkers: try json["workers"].map { DeployReader($0) }?.count("expected"))
        processes = try reader.items("processes", limit: DeployLimits.processes, Process.init)
        listeners = try reader.items("listeners", limit: DeployLimits.listeners, Listener.init)
        incidents = try reader.items("events", limit: DeployLimits.incidents, Incident.init)
        if let json = json["probe"], json != .null { availability = try Availability(json) }
        reasons = try reader.texts("reasons")
        lacks = try reader.texts("lacks")
    }
}

extension HostDeploy.Process {
    var json: JSON {
        var members = Members()
        members.add("pid", Int(pid))
        members.add("role", role.rawValue)
        members.add("class", `class`?.rawValue)
        members.add("token", tokenPrefix)
        members.add("answered_ms", answerMilliseconds.map(JSON.number))
        members.add("age_s", .number(Double(age.microseconds / 1000) / 1000))
        members.add("exec", exec)
        members.add("cwd", folder)
        members.add("cwd_is_release", isInRelease.map(JSON.bool))
        members.add("cwd_deleted", isFolderDeleted)
        members.add("established", connections)
        members.add("busy_s", busy.map { .number(Double($0.microseconds / 1000) / 1000) })
        members.add("reason", reason)
        return members.json
    }

    init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        guard let pid = Int32(exactly: try reader.integer("pid")) else { throw RequestError(problem: "a pid is out of range") }
        self.init(
            pid: pid, role: try reader.word("role"), class: try reader.optionalWord("class"), tokenPrefix: try reader.optionalText("token"),
            answerMilliseconds: json["answered_ms"]?.number, age: .seconds(min(1e12, max(0, json["age_s"]?.number ?? 0))),
            exec: try reader.text("exec"), folder: try reader.optionalText("cwd"), isInRelease: try reader.flag("cwd_is_release"),
            isFolderDeleted: try reader.flag("cwd_deleted") ?? false, connections: try reader.count("established"),
            busy: json["busy_s"]?.number.map { .seconds(min(1e9, max(0, $0))) }, reason: try reader.optionalText("reason"))
    }
}

extension HostDeploy.Listener {
    var json: JSON {
        var members = Members()
        members.add("proto", kind)
        members.add("addr", address)
        members.add("accept_queue", queue)
        members.add("backlog", backlog)
        return members.json
    }

    init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            kind: try reader.text("proto"), address: try reader.text("addr"), queue: try reader.count("accept_queue"),
            backlog: try reader.count("backlog"))
    }
}

extension HostDeploy.Incident {
    var json: JSON {
        var members = Members()
        members.add("t", .number(Double(after.microseconds / 1000) / 1000))
        members.add("ev", what)
        members.add("pid", Int(pid))
        members.add("class", `class`?.rawValue)
        members.add("how", how)
        return members.json
    }

    init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        guard let pid = Int32(exactly: try reader.integer("pid")) else { throw RequestError(problem: "a pid is out of range") }
        self.init(
            after: .seconds(min(1e9, max(0, json["t"]?.number ?? 0))), what: try reader.text("ev"), pid: pid,
            class: try reader.optionalWord("class"), how: try reader.optionalText("how"))
    }
}

extension Availability {
    public var json: JSON {
        var members = Members()
        members.add("requests", requests)
        members.add("failed", failed)
        members.add("late", late)
        members.add("longest_stall_ms", longestStall)
        members.add("p50_ms", median.map { .number($0.milliseconds) })
        members.add("p99_ms", percentile99.map { .number($0.milliseconds) })
        members.add("failures", .array(failures.map(JSON.string)))
        return members.json
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        func amount(_ name: String) -> Duration? { json[name]?.number.map { .milliseconds(min(86_400_000, max(0, $0))) } }
        self.init(
            requests: try reader.count("requests") ?? 0, failed: try reader.count("failed") ?? 0, late: try reader.count("late") ?? 0,
            longestStall: amount("longest_stall_ms") ?? .zero, median: amount("p50_ms"), percentile99: amount("p99_ms"),
            failures: try reader.texts("failures"))
    }
}

// MARK: Records

extension DeployRecord.URL {
    fileprivate var json: JSON {
        var members = Members()
        members.add("url", url)
        members.add("state", state.rawValue)
        members.add("account", account)
        members.add("consecutive", consecutive)
        return members.json
    }
}

extension DeployRecord {
    public var json: JSON {
        var members = Members()
        members.add("schema", 1)
        members.add("deploy_id", id)
        members.add("service", service)
        members.add("verdict", verdict.rawValue)
        members.add("exit_code", Int(verdict.exitCode))
        members.add("began", began.text())
        members.add("ended", ended.text())
        members.add("token_prefix", tokenPrefix)
        members.add("person", person)
        members.add("revision", revision)
        members.add("summary", summary)
        members.add("hosts", .array(hosts.map(\.json)))
        members.add("urls", .array(urls.map(\.json)))
        members.add("probe", availability?.json)
        return members.json
    }

    public init(_ json: JSON) throws(RequestError) {
        let reader = DeployReader(json)
        self.init(
            id: try reader.text("deploy_id"), service: try reader.text("service"), verdict: try reader.word("verdict"),
            began: try reader.time("began"), ended: try reader.time("ended"), tokenPrefix: try reader.text("token_prefix"),
            person: try reader.optionalText("person"), revision: try reader.optionalText("revision"), summary: try reader.text("summary"))
        hosts = try reader.items("hosts", limit: DeployLimits.hosts, HostDeploy.init)
        urls = try reader.items("urls", limit: DeployLimits.texts) { json throws(RequestError) in
            let reader = DeployReader(json)
            return URL(
                url: try reader.text("url"), state: try reader.word("state"), account: try reader.text("account"),
                consecutive: try reader.count("consecutive"))
        }
        if let json = json["probe"], json != .null { availability = try Availability(json) }
        guard ended >= began else { throw RequestError(problem: "the deploy ended before it began") }
    }
}

// MARK: Helpers

/// Whether a text may stand in a `Host` header: a name or an address, with or without a port.
public func isHostText(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 255 && text.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "@") }
}

extension Duration {
    fileprivate var milliseconds: Double { Double(microseconds) / 1000 }
}

/// Members in the order in which they are written; what is absent is left out.
private struct Members {
    private var members: [JSON.Member] = []

    var json: JSON { .object(members) }

    mutating func add(_ name: String, _ value: JSON?) {
        if let value { members.append(.init(name, value)) }
    }
    mutating func add(_ name: String, _ text: String?) { add(name, text.map(JSON.string)) }
    mutating func add(_ name: String, _ flag: Bool) { add(name, JSON.bool(flag)) }
    mutating func add(_ name: String, _ number: Int?) { add(name, number.map { JSON.integer(Int64($0)) }) }
    mutating func add(_ name: String, _ time: Duration?) { add(name, time.map { JSON.integer($0.microseconds / 1000) }) }
}

/// Reads members within bounds, and says which one is wrong.
private struct DeployReader {
    let json: JSON

    init(_ json: JSON) { self.json = json }

    private func value(_ name: String) -> JSON? {
        guard let value = json[name], value != .null else { return nil }
        return value
    }

    func optionalText(_ name: String) throws(RequestError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else { throw RequestError(problem: "\(name) is not a text") }
        guard text.utf8.count <= DeployLimits.text else { throw RequestError(problem: "\(name) is longer than \(DeployLimits.text) bytes") }
        return text
    }

    func text(_ name: String) throws(RequestError) -> String {
        guard let text = try optionalText(name), !text.isEmpty else { throw RequestError(problem: "\(name) is missing or empty") }
        return text
    }

    /// What is put into a request's header must not end its line.
    func headerText(_ name: String) throws(RequestError) -> String? {
        let text = try optionalText(name)
        guard text?.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) ?? true else { throw RequestError(problem: "\(name) has control characters") }
        return text
    }

    /// What may stand in a `Host` header.
    func hosts(_ name: String) throws(RequestError) -> [String] {
        let hosts = try texts(name)
        guard hosts.count <= DeployLimits.hostNames, hosts.allSatisfy(isHostText) else {
            throw RequestError(problem: "\(name) has something that is not a host, or more than \(DeployLimits.hostNames) of them")
        }
        return hosts
    }

    func path(_ name: String) throws(RequestError) -> String {
        let path = try text(name)
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw RequestError(problem: "\(name) is not a path that begins with `/`, in ASCII without spaces")
        }
        return path
    }

    func flag(_ name: String) throws(RequestError) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let flag = value.bool else { throw RequestError(problem: "\(name) is neither true nor false") }
        return flag
    }

    func integer(_ name: String) throws(RequestError) -> Int64 {
        guard let number = value(name)?.integer else { throw RequestError(problem: "\(name) is not a whole number") }
        return number
    }

    func count(_ name: String) throws(RequestError) -> Int? {
        guard value(name) != nil else { return nil }
        let number = try integer(name)
        guard (0...Int64(Int32.max)).contains(number) else { throw RequestError(problem: "\(name) is out of range") }
        return Int(number)
    }

    func duration(_ name: String) throws(RequestError) -> Duration? {
        guard value(name) != nil else { return nil }
        let number = try integer(name)
        guard number >= 0, number <= DeployLimits.duration.microseconds / 1000 else {
            throw RequestError(problem: "\(name) is not between 0 and a day")
        }
        return .milliseconds(number)
    }

    func time(_ name: String) throws(RequestError) -> Timestamp {
        guard let time = Timestamp(try text(name)) else { throw RequestError(problem: "\(name) is not a time") }
        return time
    }

    func optionalWord<Word: RawRepresentable>(_ name: String) throws(RequestError) -> Word? where Word.RawValue == String {
        guard let text = try optionalText(name) else { return nil }
        guard let word = Word(rawValue: text) else { throw RequestError(problem: "\(name) is not a word that is known there") }
        return word
    }

    func word<Word: RawRepresentable>(_ name: String) throws(RequestError) -> Word where Word.RawValue == String {
        guard let word: Word = try optionalWord(name) else { throw RequestError(problem: "\(name) is missing") }
        return word
    }

    func items<Item>(_ name: String, limit: Int, _ read: (JSON) throws(RequestError) -> Item) throws(RequestError) -> [Item] {
        guard let value = value(name) else { return [] }
        guard let array = value.array else { throw RequestError(problem: "\(name) is not a list") }
        guard array.count <= limit else { throw RequestError(problem: "\(name) has more than \(limit) items") }
        var items: [Item] = []
        for json in array { items.append(try read(json)) }
        return items
    }

    func texts(_ name: String) throws(RequestError) -> [String] {
        try items(name, limit: DeployLimits.texts) { json throws(RequestError) in
            guard let text = json.string, text.utf8.count <= DeployLimits.text else {
                throw RequestError(problem: "\(name) holds something that is not a text, or a long one")
            }
            return text
        }
    }
}
