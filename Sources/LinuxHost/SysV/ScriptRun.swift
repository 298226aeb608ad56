// A script or tool that does what an action asks for.

import AgentCore
import Glibc
import Platform

/// Runs a program as a child, on a loop, without ever waiting: its end is told by the kernel, its output is kept up to a bound, and
/// a deadline ends it.
final class ScriptRun {
    struct End: Equatable, Sendable {
        var reason: ExitReason
        /// The end of what it printed, in one line.
        var output: String
    }

    /// What is kept of the output.
    private static let limit = 4096
    /// From SIGTERM to SIGKILL.
    private static let grace = Duration.seconds(2)
    private static let environment: [String] = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TERM=dumb"]

    private let loop: Loop
    private var pid: Int32 = 0
    private var process: Int32 = -1
    private var output: Int32 = -1
    private var text: [UInt8] = []
    private var timer: Loop.Timer?
    private var poll: Loop.Timer?
    private var isLate = false
    private let deadline: Duration
    private var done: ((Result<End, ActionError>) -> Void)?

    /// - Parameters:
    ///   - arguments: the program's absolute path and its arguments.
    ///   - done: called once, later.
    init(_ arguments: [String], deadline: Duration, on loop: Loop, _ done: @escaping (Result<End, ActionError>) -> Void) {
        self.loop = loop
        self.deadline = deadline
        self.done = done
        if let problem = spawn(arguments) {
            loop.after(.zero) { [weak self] in self?.finish(.failure(ActionError(problem))) }
            return
        }
        timer = loop.after(deadline) { [weak self] in self?.endIt() }
        do {
            process = try openProcess(pid)
            try loop.watch(process, for: .readable) { [weak self] _ in self?.reap() }
        } catch {
            poll = loop.every(.milliseconds(100)) { [weak self] in self?.reap() }
        }
        // Without its output it still does what it was asked to.
        try? loop.watch(output, for: .readable) { [weak self] _ in self?.read() }
    }

    deinit { drop() }

    /// Whoever waited is told nothing; the program goes on.
    func forget() {
        done = nil
        drop()
    }

    private func spawn(_ arguments: [String]) -> String? {
        guard let path = arguments.first else { return "there is nothing to run" }
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            return "\(path) cannot be run: \(String(cString: strerror(errno)))"
        }
        output = ends[0]
        defer { close(ends[1]) }
        let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(nothing) }
        do throws(SystemError) {
            // A session of its own: what it starts has no terminal, and does not die with the agent's group.
            pid = try Platform.spawn(
                path, Array(arguments.dropFirst()), environment: Self.environment, input: nothing, output: ends[1], errors: ends[1], isSession: true)
        } catch {
            return "\(path) cannot be run: \(String(cString: strerror(error.code)))"
        }
        return nil
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(output, &chunk, chunk.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if count == 0 { loop.unwatch(output) }
                return
            }
            text += chunk[0..<count]
            if text.count > Self.limit { text.removeFirst(text.count - Self.limit) }
        }
    }

    private func endIt() {
        guard pid > 0 else { return }
        // The program alone: what it has started may be the service.
        kill(pid, isLate ? SIGKILL : SIGTERM)
        isLate = true
        timer = loop.after(Self.grace) { [weak self] in self?.endIt() }
    }

    private func reap() {
        var status: Int32 = 0
        guard pid > 0, waitpid(pid, &status, WNOHANG) == pid else { return }
        pid = 0
        // What a daemon that it left behind prints later is not its own.
        read()
        let signal = status & 0x7f
        let reason: ExitReason =
            signal == 0 ? .exited(status: status >> 8 & 0xff) : status & 0x80 != 0 ? .dumpedCore(signal: signal) : .signaled(signal)
        if isLate { return finish(.failure(ActionError("was not done within \(secondsText(deadline)) and was ended"))) }
        finish(.success(End(reason: reason, output: inOneLine(text))))
    }

    private func finish(_ result: Result<End, ActionError>) {
        drop()
        let answer = done
        done = nil
        answer?(result)
    }

    private func drop() {
        for timer in [timer, poll].compactMap({ $0 }) { loop.cancel(timer) }
        (timer, poll) = (nil, nil)
        for descriptor in [process, output] where descriptor >= 0 {
            loop.unwatch(descriptor)
            close(descriptor)
        }
        (process, output) = (-1, -1)
    }
}

/// The end of a text that a terminal was meant for: no control characters, blanks and newlines as one blank.
func inOneLine(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        index += 1
        if byte == 27 {
            // ESC [ ... letter
            if index < bytes.count, bytes[index] == UInt8(ascii: "[") {
                index += 1
                while index < bytes.count, !(0x40...0x7e).contains(bytes[index]) { index += 1 }
                index += 1
            }
        } else if byte <= 32 || byte == 127 {
            if let last = out.last, last != 32 { out.append(32) }
        } else {
            out.append(byte)
        }
    }
    if out.last == 32 { out.removeLast() }
    return String(decoding: out.suffix(300), as: UTF8.self)
}
