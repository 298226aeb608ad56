// A program that a test starts, reads and stops.

import Foundation
import Platform
import Synchronization

/// A running program and what it has said so far. It is stopped, by its pid, when the test lets go of it.
public final class Program: Sendable {
    private let process: Process
    private let output = Mutex<(bytes: [UInt8], isClosed: Bool)>(([], false))
    private let name: String

    /// - Parameters:
    ///   - path: the program; see `built` and `bed`.
    ///   - environment: added to the test's own.
    public init(_ path: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
        name = (path as NSString).lastPathComponent
        process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        pipe.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            self?.output.withLock {
                $0.bytes += data
                $0.isClosed = data.isEmpty
            }
        }
        // A child inherits the mask of the thread that makes it, and Dispatch's threads block SIGTERM and most others.
        var none = sigset_t()
        var former = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        try process.run()
    }

    deinit { if isRunning { kill(process.processIdentifier, SIGKILL) } }

    public var pid: Int32 { process.processIdentifier }
    public var isRunning: Bool { ended == nil }
    /// Standard output and standard error, in the order of their arrival.
    public var text: String { output.withLock { String(decoding: $0.bytes, as: UTF8.self) } }

    /// Waits until the program has said `part`.
    public func waitFor(_ part: String, within limit: Duration = .seconds(20)) async throws {
        try await eventually("\(name) says \(part)", within: limit) {
            self.text.contains(part)
        } explanation: {
            self.text
        }
    }

    public func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for its end and answers with its exit status, or minus the signal that ended it.
    @discardableResult
    public func exit(within limit: Duration = .seconds(30)) async throws -> Int32 {
        try await eventually("\(name) ends", within: limit) {
            self.ended != nil
        } explanation: {
            self.text
        }
        // Its last words may still be on their way, unless a descendant keeps the pipe open.
        try? await eventually("the output ends", within: .milliseconds(300)) { self.output.withLock { $0.isClosed } }
        return ended ?? 0
    }

    /// The exit status, or minus the signal; `nil` while it runs. Asked of the kernel: Foundation notices an end only when every
    /// descendant that inherited its socket has ended too, and the beds leave daemons behind on purpose.
    private var ended: Int32? {
        var info = siginfo_t()
        guard waitid(P_PID, id_t(process.processIdentifier), &info, WEXITED | WNOHANG | WNOWAIT) == 0 else {
            // Reaped already: Foundation knows, or will in a moment.
            if process.isRunning { return nil }
            return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        }
        guard info.si_signo == SIGCHLD else { return nil }
        return info.si_code == CLD_EXITED ? info._sifields._sigchld.si_status : -info._sifields._sigchld.si_status
    }

    /// SIGTERM, then its end.
    @discardableResult
    public func stop() async throws -> Int32 {
        signal(SIGTERM)
        return try await exit()
    }

    /// Starts a program and waits for its end.
    public static func run(
        _ path: String, _ arguments: [String] = [], environment: [String: String] = [:], within limit: Duration = .seconds(60)
    ) async throws -> (status: Int32, text: String) {
        let program = try Program(path, arguments, environment: environment)
        let status = try await program.exit(within: limit)
        return (status, program.text)
    }

    /// A program of this package, beside the tests that run.
    public static func built(_ name: String) -> String {
        let folder = Bundle.main.executableURL?.deletingLastPathComponent().path ?? "."
        return Bundle.allBundles.map { $0.bundleURL.deletingLastPathComponent().path + "/" + name }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
            ?? folder + "/" + name
    }

    /// A script in `Tests/Beds`.
    public static func bed(_ name: String, file: String = #filePath) -> String {
        URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Beds/\(name)").path
    }
}

/// Something that did not come true in time: what, and how things were.
public struct NeverHappened: Error, CustomStringConvertible {
    public var description: String
    public init(description: String) { self.description = description }
}

/// Waits until `condition` holds, looking often.
public func eventually(
    _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool, explanation: () -> String = { "" }
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NeverHappened(description: "not within \(limit): \(what)\n\(explanation())") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
