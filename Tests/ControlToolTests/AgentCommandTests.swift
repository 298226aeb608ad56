import AgentAPI
import Foundation
import Platform
import Synchronization
import TestKit
import Testing

/// An agent's socket that answers as a test wants, on a thread of its own.
private final class FakeAgent: Sendable {
    let path: String
    private let folder: TemporaryFolder
    private let descriptor: Int32
    private let kept = Mutex<[AgentRequest]>([])
    var requests: [AgentRequest] { kept.withLock { $0 } }

    init(_ answer: @escaping @Sendable (AgentRequest) -> AgentAnswer = { AgentAnswer(text: "\($0.verb) done\n", json: ["asked": $0.json]) }) throws {
        folder = try TemporaryFolder()
        path = "\(folder.path)/agent.sock"
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        withUnsafePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
        }
        listen(descriptor, 8)
        Thread { [descriptor, self] in
            while true {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                var line: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65536)
                while !line.contains(10) {
                    let count = recv(client, &buffer, buffer.count, 0)
                    guard count > 0 else { break }
                    line += buffer[..<count]
                }
                if let json = try? JSON(parsing: line.prefix { $0 != 10 }), let request = try? AgentRequest(json) {
                    kept.withLock { $0.append(request) }
                    let bytes = answer(request).message.bytes + [10]
                    _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                }
                close(client)
            }
        }.start()
    }

    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}

private struct Ending: Equatable {
    var status: Int32
    var output: String
    var errors: String
}

private func rollcall(_ arguments: [String], socket: String?, environment: [String: String] = [:]) async throws -> Ending {
    var environment = environment
    environment["COLUMNS"] = "80"
    if environment["SUDO_USER"] == nil { environment["SUDO_USER"] = "" }
    if environment["USER"] == nil { environment["USER"] = "mika" }
    if let socket { environment["ROLLCALL_SOCKET"] = socket }
    let child = try ChildProcess(built("rollcall"), arguments, environment: environment)
    let end = try await child.end()
    return Ending(status: end.status, output: end.output, errors: end.errors)
}

@Suite("rollcall asks the agent") struct AgentCommandTests {
    @Test(
        "each command asks for what it says",
        arguments: [
            (["status"], AgentRequest.status), (["show", "load:1"], .show(unit: nil, metric: "load:1")),
            (["show", "host", "cpu"], .show(unit: nil, metric: "cpu")), (["show", "puma", "memory:rss"], .show(unit: "puma", metric: "memory:rss")),
            (["export"], .export), (["explain"], .explain(unit: nil, rule: nil)),
            (["explain", "puma", "--rule", "memory"], .explain(unit: "puma", rule: "memory")), (["history"], .history), (["jobs"], .jobs),
            (["deploy", "start"], .startDeploy(units: [], owner: "mika", reason: nil, length: nil)),
            (
                ["deploy", "start", "puma", "nginx", "--reason", "release 7", "--length", "1h30m", "--owner", "ci"],
                .startDeploy(units: ["puma", "nginx"], owner: "ci", reason: "release 7", length: .seconds(5400))
            ),
            (["deploy", "finish", "puma"], .finishDeploy(units: ["puma"], owner: "mika")),
            (["unmonitor", "puma", "--for", "2h", "--reason", "disk"], .stopMonitoring(units: ["puma"], reason: "disk", length: .seconds(7200))),
            (["unmonitor", "host"], .stopMonitoring(units: [], reason: nil, length: nil)), (["monitor", "puma"], .resumeMonitoring(units: ["puma"])),
            (["job", "start", "backup"], .jobStarted(name: "backup")), (["job", "done", "backup"], .jobDone(name: "backup", exitStatus: nil)),
            (["job", "done", "backup", "--status", "3"], .jobDone(name: "backup", exitStatus: 3)),
            (["restart", "puma"], .act(.restart, unit: "puma")),
            (["reload", "puma"], .act(.reload, unit: "puma")), (["start", "puma"], .act(.start, unit: "puma")),
            (["stop", "puma"], .act(.stop, unit: "puma")),
        ])
    func requests(arguments: [String], request: AgentRequest) async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let end = try await rollcall(arguments, socket: agent.path)
        #expect(end.status == 0 && end.errors == "")
        #expect(agent.requests == [request])
        // These two are for programs alone.
        let isAlwaysJSON = request == .export || request == .history
        #expect(end.output == (isAlwaysJSON ? "{\"asked\":{\"request\":\"\(request.verb)\"}}\n" : "\(request.verb) done\n"))
        if !isAlwaysJSON {
            #expect(try await rollcall(arguments + ["--json"], socket: agent.path).output == "{\"asked\":\(request.json.text)}\n")
        }
    }

    @Test("the deploy's owner is who asked for it with sudo; --socket goes before the environment")
    func sudo() async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let end = try await rollcall(
            ["deploy", "finish", "--socket", agent.path], socket: "/nowhere", environment: ["SUDO_USER": "ana", "USER": "root"])
        #expect(end.status == 0)
        #expect(agent.requests == [.finishDeploy(units: [], owner: "ana")])
    }

    @Test("what the agent could not do is said on standard error, and the exit status is 1")
    func refused() async throws {
        let agent = try FakeAgent { _ in .refused("no unit is called pmua; did you mean puma?") }
        defer { agent.stop() }
        let end = try await rollcall(["restart", "pmua"], socket: agent.path)
        #expect(end == Ending(status: 1, output: "", errors: "rollcall: no unit is called pmua; did you mean puma?\n"))
        #expect(
            try await rollcall(["restart", "pmua", "--json"], socket: agent.path).output
                == "{\"error\":\"no unit is called pmua; did you mean puma?\"}\n")
    }

    @Test("without an agent it says where it looked and what would help")
    func noAgent() async throws {
        let end = try await rollcall(["status"], socket: "/nowhere/agent.sock")
        #expect(end.status == 69 && end.output == "")
        #expect(end.errors.hasPrefix("rollcall: no agent answers at /nowhere/agent.sock. Is it running?"))
    }

    @Test("without permission it says which group is wanting")
    func noPermission() async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let folder = (agent.path as NSString).deletingLastPathComponent
        #expect(chmod(folder, 0o755) == 0 && chmod(agent.path, 0o660) == 0)
        let copy = "\(folder)/rollcall"
        try FileManager.default.copyItem(atPath: built("rollcall"), toPath: copy)
        #expect(chmod(copy, 0o755) == 0)
        let child = try ChildProcess(
            "/usr/bin/setpriv",
            ["--reuid=nobody", "--regid=nogroup", "--clear-groups", copy, "status", "--socket", agent.path], environment: ["USER": "nobody"])
        let end = try await child.end()
        #expect(end.status == 69)
        #expect(end.errors.hasPrefix("rollcall: you may not ask this agent: you are not in the group root. `sudo usermod -aG root"))
    }

    @Test("a terminal gets colour for state words alone, unless it wants none; a pipe gets none")
    func colours() async throws {
        let agent = try FakeAgent { _ in AgentAnswer(text: "puma up since upstart 3 h\nnginx down\n", json: [:]) }
        defer { agent.stop() }
        func onTerminal(_ environment: [String: String]) async throws -> String {
            let command = "\(built("rollcall")) status --socket \(agent.path)"
            let child = try ChildProcess("/usr/bin/script", ["-qec", command, "/dev/null"], environment: environment)
            return String(String.UnicodeScalarView(try await child.end().output.unicodeScalars.filter { $0 != "\r" }))
        }
        #expect(
            try await onTerminal(["TERM": "xterm", "NO_COLOR": ""])
                == "puma \u{1B}[32mup\u{1B}[0m since upstart 3 h\nnginx \u{1B}[31mdown\u{1B}[0m\n")
        for environment in [["TERM": "xterm", "NO_COLOR": "1"], ["TERM": "dumb", "NO_COLOR": ""]] {
            #expect(try await onTerminal(environment) == "puma up since upstart 3 h\nnginx down\n")
        }
        #expect(try await rollcall(["status"], socket: agent.path).output == "puma up since upstart 3 h\nnginx down\n")
    }

    @Test("something else at the socket is no agent")
    func notAnAgent() async throws {
        let folder = try TemporaryFolder()
        let end = try await rollcall(["status", "--socket", try folder.write("", to: "file")], socket: nil)
        #expect(end.status == 69)
        #expect(try await rollcall(["status", "--socket", String(repeating: "x", count: 200)], socket: nil).status == 69)
    }

    @Test(
        "a command line that makes no sense is a usage error",
        arguments: [
            ["show"], ["show", "a", "b", "c"], ["deploy"], ["deploy", "start", "--length", "soon"], ["unmonitor"], ["job", "run", "backup"],
            ["unmonitor", "puma", "--for", "0s"], ["unmonitor", "puma", "--for", "9999999999d"], ["job", "done", "x", "--status", "300"],
        ])
    func usage(arguments: [String]) async throws {
        #expect(try await rollcall(arguments, socket: "/nowhere").status == 64)
    }

    @Test("help is there for every command")
    func help() async throws {
        for words in [
            [], ["status"], ["show"], ["explain"], ["deploy"], ["deploy", "start"], ["deploy", "finish"], ["deploy", "run"], ["unmonitor"],
            ["monitor"], ["restart"], ["jobs"], ["job"], ["job", "run"], ["job", "done"], ["export"], ["history"],
        ] {
            let end = try await rollcall(words + ["--help"], socket: nil)
            try expectGolden(end.output, (["help"] + words).joined(separator: "-") + ".txt")
        }
    }
}

@Suite("rollcall wraps a command") struct WrappingTests {
    @Test("a deploy opens a window, runs, and closes it, whatever comes of it", arguments: [0, 7] as [Int32])
    func deploy(status: Int32) async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let end = try await rollcall(
            ["deploy", "--unit", "puma", "--reason", "release 7", "--", "/bin/sh", "-c", "echo deploying --help; exit \(status)"], socket: agent.path)
        #expect(end == Ending(status: status, output: "deploying --help\n", errors: "rollcall: deploy_start done\nrollcall: deploy_finish done\n"))
        #expect(
            agent.requests == [
                .startDeploy(units: ["puma"], owner: "mika", reason: "release 7", length: nil), .finishDeploy(units: ["puma"], owner: "mika"),
            ])
    }

    @Test("a signal goes to the command, and the window closes all the same", arguments: [SIGTERM, SIGINT, SIGHUP])
    func signals(signal: Int32) async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let folder = try TemporaryFolder()
        let child = try ChildProcess(
            built("rollcall"), ["deploy", "--", "/bin/sh", "-c", "echo $$ > \(folder.path)/pid; exec sleep 60"],
            environment: ["ROLLCALL_SOCKET": agent.path])
        try await eventually { FileManager.default.fileExists(atPath: "\(folder.path)/pid") }
        child.signal(signal)
        #expect(try await child.end().status == 128 + signal)
        #expect(agent.requests.count == 2)
    }

    @Test("a command that there is not is 127, and the window closes")
    func noCommand() async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let end = try await rollcall(["deploy", "--", "no-such-command"], socket: agent.path)
        #expect(end.status == 127 && end.errors.contains("rollcall: no-such-command: No such file or directory\n"))
        #expect(agent.requests.count == 2)
    }

    @Test("without an agent a deploy is not begun, unless that is asked for")
    func withoutAgent() async throws {
        let refused = try await rollcall(["deploy", "--", "echo", "hello"], socket: "/nowhere")
        #expect(refused.status == 69 && refused.output == "")
        let told = try await rollcall(["deploy", "--without-agent", "--", "echo", "hello"], socket: "/nowhere")
        #expect(told.status == 0 && told.output == "hello\n" && told.errors.contains("no agent answers"))
    }

    @Test("a job tells how it began and ended, and prints nothing of its own")
    func job() async throws {
        let agent = try FakeAgent()
        defer { agent.stop() }
        let end = try await rollcall(["job", "run", "backup", "--", "/bin/sh", "-c", "exit 3"], socket: agent.path)
        #expect(end == Ending(status: 3, output: "", errors: ""))
        #expect(agent.requests == [.jobStarted(name: "backup"), .jobDone(name: "backup", exitStatus: 3)])
        let alone = try await rollcall(["job", "run", "backup", "--", "echo", "done"], socket: "/nowhere")
        #expect(alone.status == 0 && alone.output == "done\n" && alone.errors.contains("no agent answers"))
    }
}
