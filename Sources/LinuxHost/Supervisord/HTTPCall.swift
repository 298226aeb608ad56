// One HTTP request to a server on this machine.

import Glibc
import Platform

/// Sends a POST and gathers the answer, on a loop, without ever waiting. HTTP/1.0: the server closes when it has said all.
final class HTTPCall {
    enum Failure: Error, Equatable {
        /// Nobody listens there.
        case notThere
        /// The kernel lets the agent not connect.
        case notAllowed
        case wrongPassword
        case problem(String)
    }

    /// An answer with 200 processes has 100 kB.
    static let limit = 8 << 20

    private let loop: Loop
    private var descriptor: Int32 = -1
    private var toSend: ArraySlice<UInt8>
    private var received: [UInt8] = []
    private var timer: Loop.Timer?
    private var done: ((Result<[UInt8], Failure>) -> Void)?

    /// - Parameter done: called once, later: with the body of an answer 200.
    init(
        _ address: SupervisordConfiguration.Address, request: [UInt8], deadline: Duration, on loop: Loop,
        _ done: @escaping (Result<[UInt8], Failure>) -> Void
    ) {
        self.loop = loop
        toSend = request[...]
        self.done = done
        timer = loop.after(deadline) { [weak self] in self?.finish(.failure(.problem("did not answer within \(secondsText(deadline))"))) }
        descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else {
            fail(errno)
            return
        }
        guard connect(descriptor, to: address) else { return }
        do {
            try loop.watch(descriptor, for: .writable) { [weak self] _ in self?.send() }
        } catch {
            fail(error.code)
        }
    }

    deinit { drop() }

    func cancel() {
        done = nil
        drop()
    }

    private func connect(_ descriptor: Int32, to address: SupervisordConfiguration.Address) -> Bool {
        guard let status = address.withSocketAddress({ Glibc.connect(descriptor, $0, $1) }) else {
            fail(ENAMETOOLONG)
            return false
        }
        guard status != 0, errno != EINPROGRESS else { return true }
        fail(errno)
        return false
    }

    private func send() {
        let count = toSend.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count >= 0 else { return fail(errno) }
        toSend = toSend.dropFirst(count)
        guard toSend.isEmpty else { return }
        do {
            try loop.watch(descriptor, for: .readable) { [weak self] _ in self?.receive() }
        } catch {
            fail(error.code)
        }
    }

    private func receive() {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count >= 0 else { return fail(errno) }
        if count == 0 { return conclude() }
        guard received.count + count <= Self.limit else { return finish(.failure(.problem("answered with more than \(Self.limit >> 20) MB"))) }
        received += chunk[0..<count]
    }

    private func conclude() {
        guard let answer = HTTPAnswer(parsing: received) else { return finish(.failure(.problem("answered with something that is not HTTP"))) }
        switch answer.status {
        case 200: finish(.success(Array(answer.body)))
        case 401, 403: finish(.failure(.wrongPassword))
        default: finish(.failure(.problem("answered with HTTP \(answer.status)")))
        }
    }

    private func fail(_ code: Int32) {
        let failure: Failure =
            switch code {
            case ENOENT, ECONNREFUSED: .notThere
            case EACCES, EPERM: .notAllowed
            default: .problem(String(cString: strerror(code)))
            }
        // Not before the call that began it has returned.
        loop.after(.zero) { [weak self] in self?.finish(.failure(failure)) }
    }

    private func finish(_ result: Result<[UInt8], Failure>) {
        drop()
        let answer = done
        done = nil
        answer?(result)
    }

    private func drop() {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        close(descriptor)
        descriptor = -1
    }
}

/// The status and the body of an answer.
struct HTTPAnswer: Equatable, Sendable {
    var status: Int
    var body: ArraySlice<UInt8>

    /// `nil` for anything that is no whole answer: one shorter than it says it is not.
    init?(parsing bytes: [UInt8]) {
        guard let end = bytes.firstRange(of: [13, 10, 13, 10]) else { return nil }
        let head = String(decoding: bytes[..<end.lowerBound].prefix(16384), as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        guard let words = lines.first?.split(separator: " "), words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].utf8.count == 3,
            let status = Int(words[1])
        else { return nil }
        self.status = status
        body = bytes[end.upperBound...]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "content-length" else { continue }
            guard let length = Int(line[line.index(after: colon)...].drop { $0 == " " }), length >= 0, length <= body.count else { return nil }
            body = body.prefix(length)
        }
    }
}

extension SupervisordConfiguration.Address {
    var family: Int32 { if case .socket = self { AF_UNIX } else { AF_INET } }

    /// `nil` for a path that is too long for an address.
    func withSocketAddress<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value? {
        switch self {
        case .socket(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
        case .loopback(let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
        }
    }
}
