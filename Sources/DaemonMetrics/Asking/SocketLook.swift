// A look over a socket: connect, say something, read until the answer is whole.

import Glibc
import Platform

/// What to say to a daemon, and what to make of what it says.
struct Question {
    var bytes: [UInt8]
    /// What the answer is called when it does not come: `the answer to INFO`.
    var answerName: String
    /// An answer that is longer is none.
    var limit = 1 << 20
    /// Pure. It is asked again whenever more has come, with all that has; `nil` is for more, and no answer when there will be no more.
    var answer: (_ received: [UInt8], _ isAll: Bool) -> DaemonAnswer?
}

/// Asks one question over a connection of its own. It lives on the loop.
final class SocketLook: Look {
    private let loop: Loop
    private let question: Question
    private let finish: (DaemonAnswer) -> Void
    private var candidates: ArraySlice<SocketAddress> = []
    private var failures: [String] = []
    private var socket: Int32 = -1
    private var sent = 0
    private var received: [UInt8] = []
    private(set) var awaited = "the daemon's address"
    private var isOver = false

    init(_ question: Question, at book: AddressBook, loop: Loop, _ finish: @escaping (DaemonAnswer) -> Void) {
        self.loop = loop
        self.question = question
        self.finish = finish
        book.find { [self] addresses in
            guard !isOver else { return }
            guard !addresses.isEmpty else { return end(.failure(DaemonError("the name has no address: is it spelled right?"))) }
            candidates = addresses[...]
            awaited = "a connection"
            connectToNext()
        }
    }

    func cancel() {
        isOver = true
        closeSocket()
    }

    private func end(_ answer: DaemonAnswer) {
        guard !isOver else { return }
        cancel()
        finish(answer)
    }

    private func closeSocket() {
        guard socket >= 0 else { return }
        loop.unwatch(socket)
        close(socket)
        socket = -1
    }

    // MARK: Connecting

    private func connectToNext() {
        closeSocket()
        guard let address = candidates.popFirst() else {
            return end(.failure(DaemonError(failures.isEmpty ? "no connection" : failures.joined(separator: "; "))))
        }
        socket = Glibc.socket(address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard socket >= 0 else { return connectionFailed(address, errno) }
        let code = address.bytes.withUnsafeBytes { buffer in
            buffer.baseAddress.map { connect(socket, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count)) == 0 ? 0 : errno } ?? EINVAL
        }
        guard code == 0 || code == EINPROGRESS else { return connectionFailed(address, code) }
        watch(for: .writable) { [self] _ in
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            if getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size) != 0 { code = errno }
            code == 0 ? send() : connectionFailed(address, code)
        }
    }

    private func connectionFailed(_ address: SocketAddress, _ code: Int32) {
        failures.append(connectionProblem(code, at: address.description))
        connectToNext()
    }

    private func watch(for readiness: Loop.Readiness, _ handler: @escaping (Loop.Readiness) -> Void) {
        do {
            try loop.watch(socket, for: readiness, handler)
        } catch {
            end(.failure(DaemonError("no connection: \(error)")))
        }
    }

    // MARK: Talking

    private func send() {
        awaited = question.answerName
        while sent < question.bytes.count {
            let count = question.bytes[sent...].withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                return watch(for: .writable) { [self] _ in send() }
            } else if errno != EINTR {
                // It may have said why before it closed.
                break
            }
        }
        watch(for: .readable) { [self] _ in receive() }
    }

    private func receive() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        let isAll = count <= 0
        if count > 0 { received += buffer[..<count] }
        if let answer = question.answer(received, isAll) { return end(answer) }
        if isAll {
            end(
                .failure(
                    DaemonError(
                        received.isEmpty
                            ? "it closed the connection without an answer"
                            : "it closed the connection in the middle of its answer, after \(received.count) bytes: \(seen(received))")))
        } else if received.count > question.limit {
            end(.failure(DaemonError("its answer is longer than \(question.limit) bytes: \(seen(received))")))
        }
    }
}

/// Why there is no connection, and what would help.
func connectionProblem(_ code: Int32, at address: String) -> String {
    let reason = String(cString: strerror(code)).lowercased()
    switch code {
    case ECONNREFUSED: return "\(reason) at \(address): does it run, and listen there?"
    case ENOENT: return "there is no socket \(address): does it run, and is this its socket?"
    case EACCES, EPERM: return "no permission to open \(address): let the user that asks into the group of the socket"
    case EAGAIN: return "the queue of connections at \(address) is full: the daemon is too busy, or hangs"
    default: return "no connection to \(address): \(reason)"
    }
}
