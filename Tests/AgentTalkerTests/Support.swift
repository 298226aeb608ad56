// What the tests of the talker share: folders, logs, patience, child processes, certificates.

import AgentAPI
import AgentCore
import Foundation
import Logging
import Platform
import Synchronization

@testable import AgentTalker

let startOfTime = Timestamp("2026-11-21T03:00:00Z")!

/// A folder that goes when the test ends.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "talker-test-\(randomHex(bytes: 6))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        let path = "\(path)/\(name)"
        let folder = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // A new file, as deploy tools make it: an old one's owner, links and times do not live on.
        try? FileManager.default.removeItem(atPath: path)
        guard FileManager.default.createFile(atPath: path, contents: Data(text.utf8)) else { throw Unexpected("cannot write \(path)") }
        return path
    }

    func names(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)").sorted()
    }
}

struct Unexpected: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Keeps what is logged.
final class LogRecorder: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var message: String
        var metadata: [String: String]
    }

    private let kept = Mutex<[Line]>([])
    var lines: [Line] { kept.withLock { $0 } }
    var text: String { lines.map { "\($0.level) \($0.message) \($0.metadata)" }.joined(separator: "\n") }
    func count(_ message: String) -> Int { lines.count { $0.message == message } }

    var logger: Logger {
        var logger = Logger(label: "talker") { _ in Handler(recorder: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = Line(level: event.level, message: "\(event.message)", metadata: (event.metadata ?? [:]).mapValues { "\($0)" })
            recorder.kept.withLock { $0.append(line) }
        }
    }
}

func event(_ detail: String, kind: Event.Kind = .unitRestarted, unit: String? = "puma.service") -> Event {
    Event(kind: kind, at: startOfTime, unit: unit, detail: detail)
}

func snapshot(_ samples: [Sample] = []) -> Snapshot {
    Snapshot(
        at: SystemTime().now().wall,
        units: [
            UnitState(
                name: "puma.service", initSystem: "systemd", phase: .up, since: startOfTime, mainPID: 17, detail: "active/running", samples: samples,
                failingRules: [])
        ], samples: [])
}

/// A process that a test started in a folder; it ends with the test.
final class Child {
    let process = Process()
    private let input = Pipe()

    init(_ arguments: String..., in folder: String) throws {
        process.executableURL = URL(fileURLWithPath: arguments[0])
        process.arguments = Array(arguments.dropFirst())
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = input
        try process.run()
    }

    deinit { end() }

    func end() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func say(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }

    var identity: ProcessIdentity { get throws { ProcessIdentity(pid: process.processIdentifier, startTicks: try field(22)) } }
    var execMark: ExecMark { get throws { ExecMark(code: try field(26), stack: try field(28), arguments: try field(48)) } }

    /// Whether its exec of this program is over and it waits for something; in the middle of an exec, a process has the new name already, and
    /// not all of its new addresses.
    func hasBecome(_ program: String) -> Bool { command == program && (try? words)?.first == "S" }

    /// One number of `stat`, as proc(5) counts them.
    private func field(_ number: Int) throws -> UInt64 {
        let fields = try words
        guard fields.count > number - 3, let value = UInt64(fields[number - 3]) else { throw Unexpected("no field \(number) in \(fields)") }
        return value
    }

    /// What stands behind the program's name in `stat`.
    private var words: [Substring] {
        get throws {
            let stat = try String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
            return stat.split(separator: ")").last?.split(separator: " ") ?? []
        }
    }

    /// The program's name: `sleep` after a shell has become it.
    var command: String {
        (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/comm", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines))
            ?? ""
    }
}

@discardableResult
func run(_ arguments: String..., expecting status: Int32? = 0) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard status == nil || process.terminationStatus == status else {
        throw Unexpected("\(arguments.joined(separator: " ")) ended with \(process.terminationStatus): \(text)")
    }
    return text
}

/// A certificate authority and a server's certificate for one name, made by openssl.
struct Certificates {
    let folder: TemporaryFolder
    var authority: String { "\(folder.path)/ca.pem" }
    var certificate: String { "\(folder.path)/server.pem" }
    var key: String { "\(folder.path)/server.key" }

    /// - Parameter name: `DNS:localhost`, `IP:127.0.0.1`
    init(for name: String) throws {
        folder = try TemporaryFolder()
        let path = folder.path
        try run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "\(path)/ca.key", "-out",
            authority, "-days", "2", "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign")
        try run(
            "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", "\(path)/server.csr",
            "-subj", "/CN=server")
        try folder.write("subjectAltName=\(name)\nextendedKeyUsage=serverAuth\n", to: "extensions")
        try run(
            "openssl", "x509", "-req", "-in", "\(path)/server.csr", "-CA", authority, "-CAkey", "\(path)/ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "\(path)/extensions", "-out", certificate)
    }
}
