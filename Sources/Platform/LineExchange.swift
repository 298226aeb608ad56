// One line to a Unix socket, and the line that answers it.

import Glibc

/// Why a socket gave no answer.
public enum LineExchangeError: Error, Equatable, Sendable {
    /// The path cannot be a socket's.
    case path(longest: Int)
    /// The kernel's word for it, as errno: ENOENT and ECONNREFUSED when nobody listens.
    case connecting(Int32)
    /// The other end hung up before its line was complete, or said nothing at all.
    case hungUp(saidAnything: Bool)
    case late
    case tooLong
}

/// Sends a line to a Unix socket, reads what comes back, and hangs up: a connection is one request and one answer.
/// - Parameters:
///   - line: with its newline.
///   - limit: bytes that the answer may have.
///   - patience: how long it may take.
/// - Returns: the answer's first line, without its newline.
public func exchangeLine(_ line: [UInt8], with socket: String, limit: Int, patience: Duration) throws(LineExchangeError) -> ArraySlice<UInt8> {
    let descriptor = try connect(to: socket)
    defer { close(descriptor) }
    var time = timeval(tv_sec: Int(patience.components.seconds), tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    // The other end may have hung up already and said why: what it says is read in any case.
    var rest = line[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        rest = rest.dropFirst(count)
    }
    let answer = try receive(from: descriptor, limit: limit)
    guard let end = answer.firstIndex(of: 10) else { throw LineExchangeError.hungUp(saidAnything: !answer.isEmpty) }
    return answer[..<end]
}

private func connect(to socket: String) throws(LineExchangeError) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = Array(socket.utf8)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard !path.isEmpty, path.count < room, !path.contains(0) else { throw LineExchangeError.path(longest: room - 1) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw LineExchangeError.connecting(errno) }
    let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard result == 0 else {
        let problem = errno
        close(descriptor)
        throw LineExchangeError.connecting(problem)
    }
    return descriptor
}

private func receive(from descriptor: Int32, limit: Int) throws(LineExchangeError) -> [UInt8] {
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 {
            if errno == EINTR { continue }
            guard errno != EAGAIN else { throw LineExchangeError.late }
            return answer
        }
        guard count > 0 else { return answer }
        answer += buffer[..<count]
        guard answer.count <= limit else { throw LineExchangeError.tooLong }
    }
}
