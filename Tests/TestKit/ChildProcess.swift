// Programs that tests start: beds, and the programs under test.

import Foundation

/// A child with its output in files. Nothing here waits on a thread: tests share a few of those, and a test that blocks one may
/// be the one that another test's child waits for (Foundation's Process does).
public final class ChildProcess: Sendable {
    /// How a child ended.
    public struct End: Equatable, Sendable {
        /// 128 + the signal's number when a signal ended it, as shells say it.
        public var status: Int32
        public var output: String
        public var errors: String
        public var text: String { output + errors }
    }

    /// The child could not be started, or did not end in time.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
        public init(description: String) { self.description = description }
    }

    public let pid: Int32
    private let folder: String
    private let input: Int32

    /// Starts a program. Its standard input stays open, and so tells it when this process is gone.
    /// - Parameters:
    ///   - input: what it finds there first; short enough for a socket's buffer.
    ///   - environment: added to the test's own.
    public init(_ path: String, _ arguments: [String], input text: String = "", environment: [String: String] = [:]) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-child-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var ends: [Int32] = [-1, -1]
        // Close-on-exec: another child that is started at this moment must not hold our end open.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Failure(description: "no sockets: \(String(cString: strerror(errno)))")
        }
        defer { close(ends[0]) }
        _ = text.withCString { write(ends[1], $0, strlen($0)) }
        input = ends[1]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        for (number, name) in [(1, "output"), (2, "errors")] as [(Int32, String)] {
            posix_spawn_file_actions_addopen(&actions, number, "\(folder)/\(name)", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        // Swift's threads block most signals, and a child would inherit that.
        // Else a child keeps connections of this process open, and begins with many open files. One that is closed by then does no harm.
        for number in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap({ Int32($0) }) where number > 2 {
            posix_spawn_file_actions_addclose(&actions, number)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var child = pid_t()
        let words = ([path] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { strdup("\($0)=\($1)") }
        defer { for variable in variables { free(variable) } }
        let code = posix_spawn(&child, path, &actions, &attributes, words + [nil], variables + [nil])
        pid = child
        guard code == 0 else { throw Failure(description: "\(path) cannot be started: \(String(cString: strerror(code)))") }
    }

    deinit {
        // Nobody waits for it any longer; one that has ended and was waited for is not ours to signal.
        var status: Int32 = 0
        if waitpid(pid, &status, WNOHANG) == 0 {
            kill(pid, SIGKILL)
            waitpid(pid, &status, 0)
        }
        close(input)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Says that there is no more input.
    public func endInput() { shutdown(input, Int32(SHUT_WR)) }

    public func signal(_ number: Int32) { kill(pid, number) }

    public var output: String { text("output") }
    /// The file that its output is in.
    public var outputPath: String { "\(folder)/output" }
    public var errors: String { text("errors") }
    /// All that it has said so far.
    public var text: String { output + errors }

    /// Waits for the end of the child.
    public func end(within limit: Duration = .seconds(60)) async throws -> End {
        let deadline = ContinuousClock.now + limit
        while true {
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
                return End(status: code, output: output, errors: errors)
            }
            guard ContinuousClock.now < deadline else { throw Failure(description: "still running after \(limit): \(output)\(errors)") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Ends the child with SIGTERM, and with SIGKILL when it does not listen.
    public func stop() async {
        signal(SIGTERM)
        if (try? await end(within: .seconds(5))) != nil { return }
        signal(SIGKILL)
        _ = try? await end(within: .seconds(5))
    }

    /// Runs a program to its end.
    public static func run(
        _ path: String, _ arguments: [String], input: String = "", environment: [String: String] = [:], within limit: Duration = .seconds(60)
    ) async throws -> End {
        let child = try ChildProcess(path, arguments, input: input, environment: environment)
        child.endInput()
        return try await child.end(within: limit)
    }

    /// The content of a file that a child writes when it is ready.
    public func whenReady(_ path: String, within limit: Duration = .seconds(30)) async throws -> String {
        let deadline = ContinuousClock.now + limit
        while true {
            if let text = try? String(contentsOfFile: path, encoding: .utf8), !text.isEmpty { return text }
            guard ContinuousClock.now < deadline, kill(pid, 0) == 0 else { throw Failure(description: "not ready: \(output)\(errors)") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func text(_ name: String) -> String { (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)) ?? "" }
}

/// The path of a program in Tests/Beds.
public func bed(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Beds/\(name)").standardizedFileURL.path
}

/// The path of a program of this package, beside the tests that run.
public func built(_ name: String) -> String {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent(name).path
}
