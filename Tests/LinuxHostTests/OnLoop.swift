// A loop on a thread of its own, and what tests need beside it.

import AgentCore
import Foundation
import LinuxHost
import Logging
import Platform
import Synchronization

/// Runs a loop until it is released.
final class OnLoop: @unchecked Sendable {
    let loop: Loop

    init() throws {
        let loop = try Loop()
        self.loop = loop
        Thread { loop.run() }.start()
    }

    deinit { loop.stop() }

    /// Runs `work` on the loop and waits for it.
    func run<Value>(_ work: @escaping () throws -> Value) throws -> Value {
        let outcome = Box<Result<Value, any Error>>()
        let done = DispatchSemaphore(value: 0)
        nonisolated(unsafe) let work = work
        loop.post {
            outcome.value = Result { try work() }
            done.signal()
        }
        done.wait()
        return try outcome.value!.get()
    }
}

final class Box<Value>: @unchecked Sendable {
    var value: Value?
}

/// Looks every few milliseconds whether something has become true.
func eventually(within seconds: Double = 10, _ condition: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    while Date() < end {
        if condition() { return true }
        usleep(2000)
    }
    return condition()
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Keeps what is said to the people who read logs: notices, and whatever is worse.
final class LogBook: Sendable {
    private let said = Mutex<[String]>([])
    var messages: [String] { said.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(book: self) } }

    private struct Handler: LogHandler {
        let book: LogBook
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.notice
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { book.said.withLock { $0.append("\(event.message)") } }
    }
}

/// Writes down what an init system says.
final class Listener: InitObserver, Sendable {
    enum Line: Equatable, Sendable {
        case observed(Observation)
        case failed
        case recovered
        case hostIsStopping(Bool)
    }

    private let said = Mutex<[Line]>([])
    private let whys = Mutex<[String]>([])
    /// Why sources have failed.
    var reasons: [String] { whys.withLock { $0 } }

    func observed(_ observation: Observation, from initSystem: any InitSystem) { note(.observed(observation)) }
    func sourceFailed(_ initSystem: any InitSystem, why: String) {
        whys.withLock { $0.append(why) }
        note(.failed)
    }
    func sourceRecovered(_ initSystem: any InitSystem) { note(.recovered) }
    func hostIsStopping(_ isStopping: Bool, as initSystem: any InitSystem) { note(.hostIsStopping(isStopping)) }
    private func note(_ line: Line) { said.withLock { $0.append(line) } }

    var lines: [Line] { said.withLock { $0 } }
    func forget() { said.withLock { $0 = [] } }

    func observations(of request: String) -> [Observation] {
        lines.compactMap { if case .observed(let observation) = $0, observation.request == request { observation } else { nil } }
    }

    func latest(_ request: String) -> Observation? { observations(of: request).last }
}

/// A folder that is removed with its owner.
final class Folder {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "rollcall-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        let url = URL(fileURLWithPath: path).appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }
}

/// A child process, of which the test is the parent that waits for it.
final class Child {
    let pid: Int32
    private var hasEnded = false

    /// - Parameter output: a descriptor that becomes its standard output and error.
    init(_ command: String, _ arguments: [String], output: Int32? = nil) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        }
        var words: [UnsafeMutablePointer<CChar>?] = ([command] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: Int32 = 0
        let result = posix_spawnp(&pid, command, &actions, nil, &words, environ)
        guard result == 0 else { throw SystemError("starting \(command)", code: result) }
        self.pid = pid
    }

    deinit { end() }

    func end() {
        guard !hasEnded else { return }
        kill(pid, SIGKILL)
        _ = wait()
    }

    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        hasEnded = true
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }
}

/// A child that sleeps until it is ended.
func sleeper() throws -> Child { try Child("sleep", ["1000"]) }

/// Runs a command; its exit status and what it printed.
@discardableResult
func shell(_ command: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    // Not a pipe: a grandchild that lives on would keep it open.
    let file = NSTemporaryDirectory() + "rollcall-\(UUID().uuidString)"
    let output = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard output >= 0 else { throw SystemError("creating \(file)") }
    unlink(file)
    let handle = FileHandle(fileDescriptor: output, closeOnDealloc: true)
    let status = try Child(command, arguments, output: output).wait()
    lseek(output, 0, SEEK_SET)
    return (status, String(decoding: handle.readDataToEndOfFile(), as: UTF8.self))
}

/// Lets the calling thread, and no other, be to the file systems what another user is: without the capabilities that root has there.
func become(_ user: uid_t) throws {
    typealias SetUser = @convention(c) (uid_t) -> Int32
    guard let symbol = dlsym(nil, "setfsuid") else { throw SystemError("finding setfsuid", code: ENOSYS) }
    let setUser = unsafeBitCast(symbol, to: SetUser.self)
    _ = setUser(user)
    // It answers with what was before; this asks without changing anything.
    guard setUser(.max) == Int32(user) else { throw SystemError("becoming user \(user)", code: EPERM) }
}
