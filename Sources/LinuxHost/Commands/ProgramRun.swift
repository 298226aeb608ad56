// A program that does something for the agent.

import AgentCore
import Glibc
import Platform

/// Runs a program as a child, on a loop, without ever waiting: its end is told by the kernel, its output is kept up to a bound, and a
/// deadline ends it. It runs in a process group of its own, with nothing of the agent's but what it is given.
final class ProgramRun {
    struct Order {
        /// What happens to a program that is late.
        enum Ending {
            /// SIGTERM, and SIGKILL when that does not help, for the program alone: what it has started may be the service.
            case program
            /// SIGKILL for all that it has started.
            case group
        }

        /// The first is the program's path.
        var arguments: [String]
        var environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TERM=dumb"]
        var input: [UInt8] = []
        var deadline: Duration
        var ending = Ending.program
        /// Bytes of its output that are kept: the last ones.
        var mostOutput = 4096
    }

    struct End: Equatable, Sendable {
        var reason: ExitReason
        /// Whether it was ended at its deadline.
        var wasLate: Bool
        /// What it wrote to its standard output and error.
        var output: [UInt8]
        /// Whether it wrote more than is kept.
        var isCut: Bool
    }

    /// From SIGTERM to SIGKILL.
    private static let grace = Duration.seconds(2)

    private let loop: Loop
    private let order: Order
    private var pid: Int32 = 0
    private var process: Int32 = -1
    private var input: Int32 = -1
    private var output: Int32 = -1
    private var toWrite: ArraySlice<UInt8>
    private var written: [UInt8] = []
    private var isCut = false
    private var timer: Loop.Timer?
    private var poll: Loop.Timer?
    private var isLate = false
    private var done: ((Result<End, ActionError>) -> Void)?

    /// - Parameter done: hears once how it ended, or why it could not be started; never before this returns, and only while somebody
    ///   holds the run.
    init(_ order: Order, on loop: Loop, _ done: @escaping (Result<End, ActionError>) -> Void) {
        self.order = order
        self.loop = loop
        self.done = done
        toWrite = order.input[...]
        do throws(ActionError) {
            try start()
        } catch {
            loop.after(.zero) { [weak self] in self?.finish(.failure(error)) }
            return
        }
        follow()
    }

    deinit { drop() }

    /// Whoever waited is told nothing; the program goes on.
    func forget() {
        done = nil
        drop()
    }

    /// Kills it with all that it has started. Whoever waited is told nothing.
    func kill() {
        done = nil
        drop()
        guard pid > 0 else { return }
        Glibc.kill(-pid, SIGKILL)
        waitpid(pid, nil, 0)
        pid = 0
    }

    // MARK: Start

    private func start() throws(ActionError) {
        guard let path = order.arguments.first else { throw ActionError("there is nothing to run") }
        let toChild = try makePipe()
        defer { close(toChild.read) }
        input = toChild.write
        let fromChild = try makePipe()
        defer { close(fromChild.write) }
        output = fromChild.read
        do throws(SystemError) {
            pid = try spawn(
                path, Array(order.arguments.dropFirst()), environment: order.environment, input: toChild.read, output: fromChild.write,
                errors: fromChild.write)
        } catch {
            throw ActionError("\(path) cannot be run: \(String(cString: strerror(error.code)))")
        }
    }

    private func makePipe() throws(ActionError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ActionError("no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    // MARK: Follow

    private func follow() {
        timer = loop.after(order.deadline) { [weak self] in self?.endIt() }
        do {
            process = try openProcess(pid)
            try loop.watch(process, for: .readable) { [weak self] _ in self?.reap() }
        } catch {
            poll = loop.every(.milliseconds(100)) { [weak self] in self?.reap() }
        }
        for end in [input, output] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        // Without its output it still does what it was asked to.
        try? loop.watch(output, for: .readable) { [weak self] _ in self?.read() }
        write()
        guard input >= 0 else { return }
        do {
            try loop.watch(input, for: .writable) { [weak self] _ in self?.write() }
        } catch {
            close(&input)
        }
    }

    private func write() {
        if !toWrite.isEmpty {
            let count = toWrite.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            if count > 0 { toWrite = toWrite.dropFirst(count) }
            // It does not want to hear the rest.
            if count < 0, errno != EAGAIN, errno != EINTR { toWrite = [] }
        }
        if toWrite.isEmpty { close(&input) }
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 16384)
        // Bounded, so that a program which writes without end does not hold the loop.
        for _ in 0..<16 {
            let count = Glibc.read(output, &chunk, chunk.count)
            if count < 0 { return }
            guard count > 0 else { return close(&output) }
            written += chunk[..<count]
            if written.count > order.mostOutput {
                isCut = true
                written.removeFirst(written.count - order.mostOutput)
            }
        }
    }

    private func endIt() {
        guard pid > 0 else { return }
        switch order.ending {
        case .group: Glibc.kill(-pid, SIGKILL)
        case .program:
            Glibc.kill(pid, isLate ? SIGKILL : SIGTERM)
            timer = loop.after(Self.grace) { [weak self] in self?.endIt() }
        }
        isLate = true
    }

    private func reap() {
        var status: Int32 = 0
        guard pid > 0, waitpid(pid, &status, WNOHANG) == pid else { return }
        pid = 0
        // What a daemon that it left behind prints later is not its own.
        if output >= 0 { read() }
        let signal = status & 0x7f
        let reason: ExitReason =
            signal == 0 ? .exited(status: status >> 8 & 0xff) : status & 0x80 != 0 ? .dumpedCore(signal: signal) : .signaled(signal)
        finish(.success(End(reason: reason, wasLate: isLate, output: written, isCut: isCut)))
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
        close(&process)
        close(&input)
        close(&output)
    }

    private func close(_ descriptor: inout Int32) {
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
    }

    private func close(_ descriptor: Int32) { Glibc.close(descriptor) }
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
