// What most scenarios need: a mail server, an aggregator, and a host under a real systemd with an agent on it.

import AgentAPI
import AggregatorCore
import Foundation
import Platform
import SQLiteStore
import TestKit

/// A whole site on this machine. The host is a bed whose PID 1 is systemd; the agent runs on it under its own unit file, user and
/// polkit rule, and dials out to the aggregator.
final class Site {
    let folder: TemporaryFolder
    let port: Int
    let mail: MailServer
    private(set) var aggregator: ChildProcess?
    private var hostFolder: String { folder.path + "/bed" }

    private init(folder: TemporaryFolder, port: Int, mail: MailServer) {
        self.folder = folder
        self.port = port
        self.mail = mail
    }

    /// Starts a site, hands it to `story`, and stops everything whatever the story does. Throws when something is left.
    /// - Parameters:
    ///   - layout: of the host's control groups: `unified`, `hybrid`.
    ///   - rules: rule files of the agent by name below its configuration folder.
    ///   - services: of the aggregator's configuration; PORT stands for the aggregator's.
    static func with(
        layout: String, rules: [String: String], services: String = "", _ story: (Site) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        let site = Site(folder: folder, port: try freePort(), mail: try await MailServer.start(in: folder.path + "/mail"))
        do {
            try await site.start(layout: layout, rules: rules, services: services)
            try await story(site)
        } catch {
            try? await site.stop()
            throw error
        }
        try await site.stop()
    }

    private func start(layout: String, rules: [String: String], services: String) async throws {
        try folder.write("\(MailServer.password)\n", to: "mail-password", mode: 0o600)
        try folder.write(
            """
            listen: 127.0.0.1:\(port)
            database: \(folder.path)/rollcall.sqlite
            mail:
              server: smtp://localhost:\(mail.port)
              ca_file: \(mail.certificate)
              user: \(MailServer.user)
              password_file: \(folder.path)/mail-password
              from: rollcall@example.test
              to: [ops@example.test]
            routes:
              team: [team@example.test]
            \(services.replacingOccurrences(of: "PORT", with: "\(port)"))

            """, to: "aggregator.yaml")
        let added = try await ChildProcess.run(
            built("rollcall-aggregator"), ["add-agent", "host", "--config", "\(folder.path)/aggregator.yaml"])
        guard added.status == 0 else { throw NeverHappened(description: "add-agent failed: \(added.text)") }
        try folder.write(added.text, to: "etc/agent-token", mode: 0o600)
        try folder.write(
            """
            set cycle_time 1
            set hostname web1
            set aggregator http://127.0.0.1:\(port)
            set aggregator_token_file /etc/rollcall/agent-token

            """, to: "etc/rollcall.conf")
        for (name, text) in rules { try folder.write(text, to: "etc/\(name)") }
        try await startAggregator()
        try await startHost(layout: layout)
    }

    private func stop() async throws {
        var left = ""
        if FileManager.default.fileExists(atPath: hostFolder) {
            let stopped = try await ChildProcess.run(bed("systemd"), ["stop", "-d", hostFolder])
            if stopped.status != 0 { left = stopped.text }
        }
        await aggregator?.stop()
        await mail.stop()
        guard left.isEmpty else { throw NeverHappened(description: "the bed left something behind: \(left)") }
    }

    // MARK: The aggregator

    /// As if the machine that it runs on had lost power.
    func killAggregator() async throws {
        aggregator?.signal(SIGKILL)
        _ = try await aggregator?.end()
    }

    func startAggregator() async throws {
        let program = try ChildProcess(built("rollcall-aggregator"), ["run", "--config", "\(folder.path)/aggregator.yaml"])
        aggregator = program
        try await eventually("the aggregator listens") {
            (try? await Self.status(port: port)) != nil
        } explanation: {
            program.text
        }
    }

    /// The body of `/status/` and its code.
    /// - Parameter authorities: the file with those to trust, of one that serves over TLS.
    static func status(port: Int, authorities: String? = nil) async throws -> (code: Int, body: String) {
        let trust = authorities.map { ["--cacert", $0] } ?? []
        let url = "\(authorities == nil ? "http" : "https")://localhost:\(port)/status/"
        let answer = try await ChildProcess.run("/usr/bin/curl", ["-s", "-4", "-m", "5", "-w", "\n%{http_code}", url] + trust)
        guard answer.status == 0 else { throw NeverHappened(description: "no answer from /status/") }
        let lines = answer.text.split(separator: "\n", omittingEmptySubsequences: false)
        return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
    }

    /// What the aggregator has stored, read as the pages read it.
    func store() throws -> SQLiteStore { try SQLiteStore(path: folder.path + "/rollcall.sqlite") }

    /// Every stored event, oldest first.
    func events() async throws -> [Event] {
        try await store().events(ofService: nil, agent: nil, limit: 10_000).map(\.event).sorted { $0.sequence < $1.sequence }
    }

    // MARK: The host

    /// Runs a command on the host and answers with what it printed.
    @discardableResult
    func onHost(_ command: String...) async throws -> String {
        let answer = try await ChildProcess.run(bed("systemd"), ["enter", "-d", hostFolder] + command)
        guard answer.status == 0 else { throw NeverHappened(description: "\(command.joined(separator: " ")): \(answer.text)") }
        return answer.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func mainPID(of unit: String) async throws -> String { try await onHost("systemctl", "show", "-P", "MainPID", unit) }

    /// Kills the main process of a unit and answers with the time just before.
    func kill(_ unit: String) async throws -> Timestamp {
        let pid = try await mainPID(of: unit)
        // Inside the bed, so that entering it does not count.
        let text = try await onHost("bash", "-c", "date -u +%Y-%m-%dT%H:%M:%S.%6NZ; kill -KILL \(pid)")
        guard let at = Timestamp(text) else { throw NeverHappened(description: "no time in: \(text)") }
        return at
    }

    private func startHost(layout: String) async throws {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        let units = folder.path + "/units"
        try FileManager.default.copyItem(atPath: sources + "/Tests/ScenarioTests/Units", toPath: units)
        // The unit as it is installed, but for where its program lies.
        let unit = try String(contentsOfFile: sources + "/init/systemd/rollcall-agent.service", encoding: .utf8)
        try folder.write(
            unit.replacingOccurrences(of: "/usr/local/bin/rollcall-agent", with: built("rollcall-agent")), to: "units/rollcall-agent.service")
        let build = (built("rollcall-agent") as NSString).deletingLastPathComponent
        let started = try await ChildProcess.run(
            bed("systemd"),
            ["start", "-d", hostFolder, "-l", layout, "-n", "-u", units, "-b", build, "-b", sources + "/init", "-b", folder.path + "/etc"])
        guard started.status == 0 else { throw NeverHappened(description: "no bed: \(started.text)") }
        try await onHost("systemd-sysusers", sources + "/init/systemd/rollcall-agent.sysusers.conf")
        try await onHost(
            "bash", "-c",
            """
            mkdir -p /etc/rollcall /etc/polkit-1/rules.d
            cp -r \(folder.path)/etc/. /etc/rollcall/ && chown -R rollcall-agent: /etc/rollcall
            sed 's|// "puma.service": .*|"grower.service": ["restart", "reload"], "greedy.service": ["restart"], "worker@1.service": ["start"],|' \
                \(sources)/init/systemd/49-rollcall-agent.rules > /etc/polkit-1/rules.d/49-rollcall-agent.rules
            systemctl start victim fragile grower greedy rollcall-agent
            """)
    }
}

/// The real mail server of a scenario.
final class MailServer {
    struct Mail: Decodable {
        var to: [String]
        var data: String

        /// The unfolded value of a header.
        func header(_ name: String) -> String {
            let head = data.replacingOccurrences(of: "\r\n", with: "\n").components(separatedBy: "\n\n")[0].replacingOccurrences(of: "\n ", with: " ")
            return head.components(separatedBy: "\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) } ?? ""
        }
        var subject: String { header("Subject") }
    }

    let port: Int
    let certificate: String
    static let user = "rollcall"
    static let password = "correct horse"
    private let program: ChildProcess
    private let inbox: String

    private init(program: ChildProcess, port: Int, folder: String) {
        self.program = program
        self.port = port
        certificate = folder + "/ca.pem"
        inbox = folder + "/mails.jsonl"
    }

    static func start(in folder: String) async throws -> MailServer {
        let program = try ChildProcess(bed("smtp"), [folder, "--user", user, "--password", password])
        func port() -> Int? {
            (try? String(contentsOfFile: folder + "/port", encoding: .utf8)).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        try await eventually("the mail server listens") {
            port() != nil
        } explanation: {
            program.text
        }
        return MailServer(program: program, port: port() ?? 0, folder: folder)
    }

    func stop() async { await program.stop() }

    /// Every mail that was accepted, in that order.
    func mails() throws -> [Mail] {
        guard let text = try? String(contentsOfFile: inbox, encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { try JSONDecoder().decode(Mail.self, from: Data($0.utf8)) }
    }
}

/// A port that nobody listens on now.
func freePort() throws -> Int {
    let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0 }
    }
    guard bound else { throw SystemError("finding a free port") }
    return Int(UInt16(bigEndian: address.sin_port))
}
