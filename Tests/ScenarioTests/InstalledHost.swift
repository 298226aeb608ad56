// A host as a new user has it: Rollcall as `make install` installs it, under its own units, users and sandboxes.

import AgentAPI
import Foundation
import Platform
import TestKit

/// A host under a real systemd on which Rollcall is installed. `rollcall-agent.service` runs there as it is shipped, with a cycle of one
/// second, no aggregator, and its own alerts posted to a web server on the host.
///
///     try await InstalledHost.with(
///         units: ["web.service": "[Service]\nExecStart=/bin/sleep infinity\n"], starting: ["web"],
///         rules: ["services.d/web.inq": "check service web\n"]
///     ) { host in
///         try await host.kill("web")
///         try await host.happens("the alert") { try host.messages().contains { $0.tells("unit_down", of: "web.service") } }
///     }
final class InstalledHost {
    /// What was posted to the web server: one alert of the agent's.
    struct Message {
        /// `nil`: the default route.
        var route: String?
        var subject: String
        var text: String
        var events: [MessageEvent]

        /// Whether it tells of an event of this kind (`unit_down`).
        /// - Parameter unit: as the event names it; `nil`: of any, and of the host.
        func tells(_ kind: String, of unit: String? = nil) -> Bool { events.contains { $0.kind == kind && (unit == nil || $0.unit == unit) } }
    }

    /// An event of a message.
    struct MessageEvent: Equatable {
        var kind: String
        /// `nil`: of the host.
        var unit: String?
        var rule: String?
        var importance: String?
        var detail: String
        /// `begins`, `ends` or `none`.
        var effect: String
    }

    /// An event as the agent's log has it.
    struct LogEvent: Equatable {
        var kind: String
        /// `nil`: of the host.
        var unit: String?
        var detail: String
    }

    /// Which loopback the host has.
    enum Network {
        /// One of its own: its services may listen on any port.
        case own
        /// This machine's: what a test listens on can be reached.
        case shared
    }

    let folder: TemporaryFolder
    /// The pid of its PID 1, as this machine counts.
    private(set) var pid: Int32 = 0
    private var hooks: HookBed?
    private let journal = JournalFollower()

    private var bedFolder: String { folder.path + "/bed" }
    private var hooksFolder: String { folder.path + "/hooks" }
    /// The name of the marker's job as well.
    private static let markerRoute = "marker"
    /// How the marker's job ended last: each time another way, which is news.
    private var markerStatus = 0

    private init() throws { folder = try TemporaryFolder() }

    /// Boots a host, starts the agent on it, hands it to `story`, and stops everything whatever the story does. Throws when something is left.
    /// - Parameters:
    ///   - units: unit files and drop-ins by their names below /etc/systemd/system; `texts(in:)` reads a folder of them. They are there before
    ///     the boot.
    ///   - files: others by their paths on the host. What begins with `#!` can be run.
    ///   - starting: units to start before the agent.
    ///   - rules: rule files by name below /etc/rollcall.
    ///   - settings: more lines of rollcall.conf; HOOKS stands for the web server's address (`http://127.0.0.1:8000`). With `send alerts` among
    ///     them there is no default route but what they say.
    ///   - routes: routes beside the default one whose messages are posted to the web server.
    ///   - secrets: files below /etc/rollcall that only the agent may read.
    ///   - mayDo: what polkit lets the agent do, by unit: `["web.service": ["restart"]]`.
    ///   - layout: of the host's control groups: `unified`, `hybrid`, `legacy`.
    ///   - binds: paths of this machine that are on the host too, writable; everything else is a copy on write.
    ///   - startsAgent: whether the agent runs when `story` begins.
    ///   - hasMarker: whether `settle()` can be used.
    static func with(
        units: [String: String] = [:], files: [String: String] = [:], starting: [String] = [], rules: [String: String] = [:], settings: String = "",
        routes: [String] = [], secrets: [String: String] = [:], mayDo: [String: [String]] = [:], layout: String = "unified",
        network: Network = .own, binds: [String] = [], startsAgent: Bool = true, hasMarker: Bool = false,
        _ story: (InstalledHost) async throws -> Void
    ) async throws {
        let host = try InstalledHost()
        do {
            try await host.boot(units: units, layout: layout, network: network, binds: binds)
            for (path, text) in files { try host.write(text, to: path, mode: text.hasPrefix("#!") ? 0o755 : 0o644) }
            var rules = rules
            if hasMarker { rules["jobs.d/\(markerRoute).inq"] = "check jobs with owner \(markerRoute)\n  \(markerRoute) happens every day\n" }
            try await host.configure(
                rules: rules, settings: settings, routes: routes + (hasMarker ? [markerRoute] : []), secrets: secrets, mayDo: mayDo)
            if !starting.isEmpty { try await host.run("systemctl", ["start"] + starting) }
            try host.journal.follow(host.bedFolder + "/run/log/journal")
            if startsAgent { try await host.startAgent() }
            try await story(host)
        } catch {
            try? await host.stop()
            throw error
        }
        try await host.stop()
    }

    /// The files of a folder of this machine, by their names below it.
    static func texts(in folder: String) throws -> [String: String] {
        var texts: [String: String] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder), !isFolder.boolValue else { continue }
            texts[name] = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
        }
        return texts
    }

    // MARK: What runs on it

    /// Runs a command on the host, as root, and answers with what it printed.
    @discardableResult
    func run(_ command: String, _ arguments: String...) async throws -> String { try await run(command, arguments) }

    @discardableResult
    func run(_ command: String, _ arguments: [String]) async throws -> String {
        let end = try await end(of: command, arguments)
        guard end.status == 0 else {
            throw NeverHappened(description: "\(command) \(arguments.joined(separator: " ")): status \(end.status): \(end.text)")
        }
        return end.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Runs a command to its end, whatever that is.
    func end(of command: String, _ arguments: [String] = [], within limit: Duration = .seconds(60)) async throws -> ChildProcess.End {
        let words = entering + [command] + arguments
        return try await ChildProcess.run(words[0], Array(words.dropFirst()), environment: Self.environment, within: limit)
    }

    /// Runs lines of bash; the first that fails ends them.
    @discardableResult
    func shell(_ script: String) async throws -> String { try await run("/bin/bash", "-euc", script) }

    /// Starts something that goes on; it ends with the host.
    func spawn(_ command: String, _ arguments: String...) throws -> ChildProcess {
        let words = entering + [command] + arguments
        return try ChildProcess(words[0], Array(words.dropFirst()), environment: Self.environment)
    }

    @discardableResult
    func systemctl(_ words: String...) async throws -> String { try await run("/bin/systemctl", words) }

    func property(_ name: String, of unit: String) async throws -> String { try await run("/bin/systemctl", "show", "-P", name, unit) }

    /// As the host counts.
    func mainPID(of unit: String) async throws -> Int32 { Int32(try await property("MainPID", of: unit)) ?? 0 }

    /// Sends a signal to the main process of a unit, past systemd.
    func kill(_ unit: String, _ signal: String = "KILL") async throws {
        let pid = try await mainPID(of: unit)
        guard pid > 0 else { throw NeverHappened(description: "\(unit) has no main process to kill") }
        try await run("/bin/kill", "-\(signal)", "\(pid)")
    }

    /// Waits for what has to come; says what the agent has said where it does not.
    func happens(_ what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Bool) async throws {
        try await eventually(what, within: limit, condition) {
            let told = ((try? messages()) ?? []).map { "\($0.route ?? "the default route"): \($0.subject)" }
            return "log:\n\(log)\nmessages:\n\(told.joined(separator: "\n"))"
        }
    }

    // MARK: Its files

    /// Where a file of the host is for this machine.
    func path(_ path: String) -> String { "/proc/\(pid)/root\(path)" }

    func write(_ text: String, to path: String, mode: UInt32 = 0o644) throws {
        let file = self.path(path)
        try FileManager.default.createDirectory(atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try AtomicFile.write(Array(text.utf8), to: file, mode: mode)
    }

    func read(_ path: String) throws -> String { try String(contentsOfFile: self.path(path), encoding: .utf8) }

    /// Writes unit files and has systemd read them.
    func change(units: [String: String]) async throws {
        for (name, text) in units { try write(text, to: "/etc/systemd/system/\(name)") }
        try await systemctl("daemon-reload")
    }

    /// Writes rule files below /etc/rollcall, and has the agent read them.
    func change(rules: [String: String]) async throws {
        for (name, text) in rules { try write(text, to: "/etc/rollcall/\(name)") }
        try await systemctl("reload", "rollcall-agent")
    }

    /// Writes what only the agent may read.
    func write(secret: String, to path: String) async throws {
        try write(secret, to: path, mode: 0o600)
        try await run("/bin/chown", "rollcall-agent:", path)
    }

    // MARK: The agent

    /// Starts it, and returns when it watches.
    func startAgent() async throws {
        let end = try await end(of: "/bin/systemctl", ["start", "rollcall-agent"])
        guard end.status == 0 else {
            throw NeverHappened(
                description: "the agent does not start: \(end.text)\n\(try await run("/usr/bin/journalctl", "-u", "rollcall-agent", "-o", "cat"))")
        }
    }

    func restartAgent() async throws { try await systemctl("restart", "rollcall-agent") }

    /// What the agent has logged, its runner too: a line each.
    var log: String { journal.lines(of: "rollcall-agent.service").map(\.message).joined(separator: "\n") }

    /// What happened, as the agent's log has it, oldest first.
    /// - Parameters:
    ///   - kind: `unit_down`; `nil`: any.
    ///   - unit: as the event names it (`web.service`); `nil`: any, and the host's.
    func events(_ kind: String? = nil, of unit: String? = nil) -> [LogEvent] {
        journal.lines(of: "rollcall-agent.service").compactMap(\.event).filter { event in
            (kind == nil || event.kind == kind) && (unit == nil || event.unit == unit)
        }
    }

    /// What was posted, oldest first, but for the marker's.
    func messages() throws -> [Message] { try allMessages().filter { $0.route != Self.markerRoute } }

    /// Waits until everything that has happened so far has been told: what is not among the messages then is not told. A route gets three
    /// messages in a row and then one a minute: more calls than that take their time, and what waits for its turn is not told yet.
    func settle() async throws {
        let before = try markers()
        markerStatus = 1 - markerStatus
        try await run("/usr/local/bin/rollcall", "job", "done", Self.markerRoute, "--status", "\(markerStatus)")
        try await happens("the marker's message", within: .seconds(120)) { try markers() > before }
    }

    private func markers() throws -> Int { try allMessages().count { $0.route == Self.markerRoute } }

    private func allMessages() throws -> [Message] {
        try (hooks?.taken() ?? []).map { taken in
            let json = taken.json
            let events = (json["events"]?.array ?? []).map { event in
                MessageEvent(
                    kind: event["kind"]?.string ?? "", unit: event["unit"]?.string, rule: event["rule"]?.string,
                    importance: event["importance"]?.string, detail: event["detail"]?.string ?? "", effect: event["effect"]?.string ?? "")
            }
            let route = taken.path.split(separator: "/").dropFirst(2).first.map(String.init)
            return Message(route: route, subject: json["subject"]?.string ?? "", text: json["text"]?.string ?? "", events: events)
        }
    }

    /// What `rollcall` says: its output and its complaints.
    func rollcall(_ words: String...) async throws -> String { try await end(of: "/usr/local/bin/rollcall", words).text }

    /// `rollcall export`.
    func export() async throws -> JSON { try JSON(parsing: try await run("/usr/local/bin/rollcall", "export")) }

    /// What `rollcall export` says of a unit (`web.service`).
    func unit(_ name: String) async throws -> JSON? { try await export()["services"]?[name] }

    // MARK: Its life

    private static let environment = ["LANG": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

    private var entering: [String] { ["/usr/bin/nsenter", "--target", "\(pid)", "--all", "--"] }

    private func boot(units: [String: String], layout: String, network: Network, binds: [String]) async throws {
        for (name, text) in units { try folder.write(text, to: "units/\(name)") }
        for folder in [folder.path + "/units", hooksFolder] {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        let programs = (built("rollcall-agent") as NSString).deletingLastPathComponent
        let beds = (bed("installed") as NSString).deletingLastPathComponent
        var words = ["start", "-d", bedFolder, "-p", programs, "-l", layout, "-u", folder.path + "/units"]
        for path in [hooksFolder, beds] + binds { words += ["-b", path] }
        if case .shared = network { words.append("-n") }
        let started = try await ChildProcess.run(bed("installed"), words, within: .seconds(120))
        guard started.status == 0 else { throw NeverHappened(description: "no bed: \(started.text)") }
        pid = Int32(try await ChildProcess.run(bed("installed"), ["pid", "-d", bedFolder]).output.trimmingCharacters(in: .newlines)) ?? 0
        hooks = try await HookBed(in: hooksFolder, by: entering)
    }

    private func configure(rules: [String: String], settings: String, routes: [String], secrets: [String: String], mayDo: [String: [String]])
        async throws
    {
        let address = "http://127.0.0.1:\(hooks?.port ?? 0)"
        var lines = ["set cycle_time 1", "set hostname web1"]
        if !settings.contains("send alerts") { lines.append("send alerts via webhook with url \(address)/take/200") }
        for route in routes { lines.append("send alerts to \(route) via webhook with url \(address)/take/200/\(route)") }
        lines.append(settings.replacingOccurrences(of: "HOOKS", with: address))
        try write(lines.joined(separator: "\n") + "\n", to: "/etc/rollcall/rollcall.conf")
        for (name, text) in rules { try write(text, to: "/etc/rollcall/\(name)") }
        for (name, text) in secrets { try await write(secret: text, to: "/etc/rollcall/\(name)") }
        guard !mayDo.isEmpty else { return }
        let rulesFile = "/etc/polkit-1/rules.d/49-rollcall-agent.rules"
        let example = "// \"puma.service\": [\"restart\", \"reload\"],"
        let shipped = try read(rulesFile)
        guard shipped.contains(example) else { throw NeverHappened(description: "\(rulesFile) does not show where units are named") }
        let allowed = mayDo.sorted { $0.key < $1.key }.map { "\"\($0.key)\": [\($0.value.map { "\"\($0)\"" }.joined(separator: ", "))]," }
        try write(shipped.replacingOccurrences(of: example, with: allowed.joined(separator: " ")), to: rulesFile)
    }

    private func stop() async throws {
        journal.stop()
        await hooks?.stop()
        guard FileManager.default.fileExists(atPath: bedFolder) else { return }
        let stopped = try await ChildProcess.run(bed("installed"), ["stop", "-d", bedFolder])
        guard stopped.status == 0 else { throw NeverHappened(description: "the bed left something behind: \(stopped.text)") }
    }
}

/// The host's journal, read as it grows.
private final class JournalFollower {
    struct Line {
        var unit: String
        var message: String
        var event: InstalledHost.LogEvent?
    }

    private var program: ChildProcess?
    private var all: [Line] = []
    /// How much of what the program has printed is among them.
    private var position: UInt64 = 0

    func follow(_ folder: String) throws {
        program = try ChildProcess("/usr/bin/journalctl", ["--directory", folder, "--follow", "--no-tail", "--output=json"])
    }

    func stop() { program?.signal(SIGKILL) }

    func lines(of unit: String) -> [Line] {
        read()
        return all.filter { $0.unit == unit }
    }

    private func read() {
        guard let program, let file = FileHandle(forReadingAtPath: program.outputPath) else { return }
        defer { try? file.close() }
        guard (try? file.seek(toOffset: position)) != nil, let data = try? file.readToEnd(), let end = data.lastIndex(of: 10) else { return }
        let whole = data[...end]
        position += UInt64(whole.count)
        for line in whole.split(separator: 10) { if let json = try? JSON(parsing: line) { all.append(Line(json)) } }
    }
}

extension JournalFollower.Line {
    init(_ json: JSON) {
        unit = json["_SYSTEMD_UNIT"]?.string ?? ""
        message = json["MESSAGE"]?.string ?? ""
        // A line without an event has no such field.
        if let kind = json["ROLLCALL_KIND"]?.string, message.hasPrefix("event ") {
            let name = json["ROLLCALL_UNIT"]?.string ?? ""
            event = InstalledHost.LogEvent(kind: kind, unit: name.isEmpty ? nil : name, detail: json["ROLLCALL_DETAIL"]?.string ?? "")
        }
    }
}
