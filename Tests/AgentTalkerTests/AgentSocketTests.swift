import AgentAPI
import Foundation
import Glibc
import Platform
import Synchronization
import TestKit
import Testing

@testable import AgentTalker

@Suite("The agent's own socket") struct AgentSocketTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()
    private var path: String { "\(folder.path)/run/agent.sock" }

    init() throws { folder = try TemporaryFolder() }

    private func configuration(group: String? = nil, path: String? = nil) -> TalkerConfiguration {
        TalkerConfiguration(
            host: "app-1", version: "1", interval: .seconds(10), stateFolder: "\(folder.path)/state",
            socket: .init(path: path ?? self.path, group: group))
    }

    /// Answers with what was asked, and by whom; `hang` in a metric's name is never answered.
    private static let echo: RequestHandler = { request, by, answer in
        if case .show(_, metric: "hang") = request { return }
        answer(AgentAnswer(isGood: request != .jobs, text: "\(request.verb) by \(by)\n", json: ["asked": request.json]))
    }

    private func talker(
        _ configuration: TalkerConfiguration, limits: AgentSocket.Limits = .init(), state: String? = nil
    ) throws -> Talker {
        var configuration = configuration
        if let state { configuration.stateFolder = state }
        let talker = try Talker(
            configuration: configuration, logger: log.logger, time: SystemTime(), timing: .init(), socketLimits: limits, answering: Self.echo)
        talker.start()
        return talker
    }

    private func withSocket(_ limits: AgentSocket.Limits = .init(), _ body: () async throws -> Void) async throws {
        let talker = try talker(configuration(), limits: limits)
        defer { talker.stop() }
        try await eventually { talker.isSocketOpen }
        try await body()
    }

    @Test("words get text, JSON gets JSON, each with the name of who asks")
    func twoLanguages() async throws {
        try await withSocket { () async throws in
            let me = try run("id", "-un").trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(try ask("status\n") == "status by \(me)\n")
            #expect(try ask("status\r\n") == "status by \(me)\n")
            #expect(try ask("start deploy puma\n") == "deploy_start by \(me)\n")
            #expect(try ask("export\n") == "{\"asked\":{\"request\":\"export\"}}\n")
            #expect(try ask("help\n").hasPrefix("status   "))
            #expect(try ask("♡\n").hasPrefix("♥"))
            #expect(try ask("stauts\n") == "unknown command: stauts; `help` says what can be asked\n")
            let answer = try AgentAnswer(message: try JSON(parsing: try ask("{\"request\":\"restart\",\"unit\":\"puma\"}\nignored\n")))
            #expect(answer.isGood && answer.text == "restart by \(me)\n")
            #expect(answer.json == ["asked": ["request": "restart", "unit": "puma"]])
            let refused = try AgentAnswer(message: try JSON(parsing: try ask("{\"request\":\"dance\"}\n")))
            #expect(!refused.isGood && refused.text.contains("does not know the request `dance`"))
        }
    }

    @Test("a line may end with the end of what is sent, as from echo -n")
    func withoutNewline() async throws {
        try await withSocket { () async throws in
            #expect(try ask("status", endingInput: true).hasPrefix("status by"))
            #expect(try ask("", endingInput: true) == "")
        }
    }

    @Test("a line that does not come, one that does not end, and an answer that does not come are bounded")
    func bounds() async throws {
        var limits = AgentSocket.Limits()
        (limits.line, limits.answer) = (.milliseconds(300), .milliseconds(300))
        try await withSocket(limits) { () async throws in
            #expect(try ask("stat") == "")
            #expect(try ask(String(repeating: "x", count: RequestLimits.line + 1000)) == "a request is at most 65536 bytes long\n")
            #expect(try ask("show host hang\n").hasPrefix("the agent is too busy"))
            #expect(try ask("status\n").hasPrefix("status by"))
        }
    }

    @Test("only so many connections are served at a time, and room comes back")
    func crowd() async throws {
        var limits = AgentSocket.Limits()
        (limits.connections, limits.line) = (4, .seconds(2))
        try await withSocket(limits) { () async throws in
            let idle = try (0..<4).map { _ in try UnixClient(path) }
            try await eventually { try ask("status\n") == "" }
            withExtendedLifetime(idle) {}
            for client in idle { client.close() }
            try await eventually { try ask("status\n").hasPrefix("status by") }
        }
    }

    @Test("the mode is the permission: 0600, and 0660 for a group")
    func modes() async throws {
        for (group, mode) in [(nil, "600"), ("daemon", "660")] as [(String?, String)] {
            let talker = try talker(configuration(group: group))
            defer { talker.stop() }
            try await eventually { talker.isSocketOpen }
            #expect(try run("stat", "-c", "%a", path) == "\(mode)\n")
            if let group { #expect(try run("stat", "-c", "%G", path) == "\(group)\n") }
            talker.stop()
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test("another user may ask only through the group")
    func otherUsers() async throws {
        #expect(chmod(folder.path, 0o755) == 0)
        let talker = try talker(configuration(group: "daemon"))
        defer { talker.stop() }
        try await eventually { talker.isSocketOpen }
        let script =
            "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'status\\n'); print(s.recv(99).decode(),end='')"
        let python = "/usr/bin/python3"
        #expect(
            try run("setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", python, "-c", script, path) == "status by daemon\n")
        #expect(
            try run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", python, "-c", script, path, expecting: 1)
                .contains("PermissionError"))
    }

    @Test("a socket that a killed agent left is replaced, one that answers is not")
    func staleSockets() async throws {
        try FileManager.default.createDirectory(atPath: "\(folder.path)/run", withIntermediateDirectories: true)
        try UnixClient.leaveStaleSocket(at: path)
        let first = try talker(configuration())
        defer { first.stop() }
        try await eventually { first.isSocketOpen }
        let second = try talker(configuration(), state: "\(folder.path)/second")
        try await eventually { log.lines.contains { $0.metadata["why"] == "another agent answers on it" } }
        second.stop()
        #expect(try ask("status\n").hasPrefix("status by"))
    }

    @Test("what is no socket is left alone, and a folder of others is not trusted")
    func strangePlaces() async throws {
        try folder.write("precious", to: "run/agent.sock")
        let first = try talker(configuration())
        try await eventually { log.lines.contains { $0.metadata["why"] == "there is something at its path that is no socket" } }
        first.stop()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        try run("mkdir", "-m", "777", "\(folder.path)/open")
        let second = try talker(configuration(path: "\(folder.path)/open/agent.sock"))
        defer { second.stop() }
        try await eventually { log.lines.contains { $0.metadata["why"]?.contains("writable for nobody else") ?? false } }
        #expect(throws: TalkerError.self) { try talker(configuration(path: "run/agent.sock"), state: "\(folder.path)/third") }
    }

    @Test("a reload moves it")
    func reload() async throws {
        let talker = try talker(configuration())
        defer { talker.stop() }
        try await eventually { talker.isSocketOpen }
        let elsewhere = "\(folder.path)/run/other.sock"
        try talker.reconfigure(configuration(path: elsewhere))
        try await eventually { access(elsewhere, F_OK) == 0 && access(path, F_OK) != 0 }
        var none = configuration()
        none.socket = nil
        try talker.reconfigure(none)
        try await eventually { access(elsewhere, F_OK) != 0 && !talker.isSocketOpen }
    }

    private func ask(_ text: String, endingInput: Bool = false) throws -> String {
        let client = try UnixClient(path)
        defer { client.close() }
        client.send(text)
        if endingInput { client.endInput() }
        return client.receive()
    }
}

/// A client of a Unix socket with a deadline of 10 s.
final class UnixClient: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = withAddress(of: path) { connect(descriptor, $0, $1) }
        guard result == 0 else { throw Unexpected("cannot connect to \(path): \(String(cString: strerror(errno)))") }
    }

    func send(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    func receive() -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    func close() { Glibc.close(descriptor) }

    /// As an agent leaves it that was killed.
    static func leaveStaleSocket(at path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { Glibc.close(descriptor) }
        guard withAddress(of: path, { bind(descriptor, $0, $1) }) == 0 else { throw Unexpected("cannot bind \(path)") }
    }
}

private func withAddress(of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
}
