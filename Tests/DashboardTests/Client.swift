// A small HTTP client that says exactly what it is told to, and hides nothing of the answer.

import Dispatch
import Foundation
import Glibc

struct Answer: Sendable {
    var status: Int
    /// In the order in which they came, names in lower case.
    var headers: [(name: String, value: String)]
    var body: String

    subscript(name: String) -> String? { headers.first { $0.name == name }?.value }

    /// Names and values of the cookies that it sets.
    var cookies: [String: String] {
        var cookies: [String: String] = [:]
        for header in headers where header.name == "set-cookie" {
            let parts = header.value.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            cookies[String(parts[0])] = String(parts[1])
        }
        return cookies
    }

    /// The form token in the page.
    var formToken: String {
        guard let start = body.range(of: "name=\"form_token\" value=\"") else { return "" }
        return String(body[start.upperBound...].prefix { $0 != "\"" })
    }
}

struct ClientError: Error { var problem: String }

/// One connection to a server on loopback.
final class Connection: Sendable {
    private let socket: Int32
    private let queue = DispatchQueue(label: "client")

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw ClientError(problem: "cannot connect: \(String(cString: strerror(errno)))") }
    }

    deinit { close(socket) }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws {
        try await onQueue { [socket] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
                guard count > 0 else { return }  // the server has answered and closed: what it said is what matters
                sent += count
            }
        }
    }

    /// The next bytes; empty at the end.
    func receive() async throws -> [UInt8] {
        try await onQueue { [socket] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count >= 0 else {
                if errno == ECONNRESET { return [] }
                throw ClientError(problem: "no answer: \(String(cString: strerror(errno)))")
            }
            return Array(buffer.prefix(count))
        }
    }

    /// Everything until these have all come, or the end. They are looked for as bytes: to a `String`, CR LF is one character.
    func receive(until markers: String...) async throws -> String {
        try await receive { bytes in markers.allSatisfy { bytes.firstRange(of: Data($0.utf8)) != nil } }
    }

    func receiveToEnd() async throws -> String { try await receive { _ in false } }

    private func receive(isEnough: (Data) -> Bool) async throws -> String {
        var bytes = Data()
        while true {
            let more = try await receive()
            bytes += more
            if more.isEmpty || isEnough(bytes) { return String(decoding: bytes, as: UTF8.self) }
        }
    }

    private func onQueue<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in queue.async { continuation.resume(with: Result { try work() }) } }
    }
}

/// Sends one request and reads its answer to the end.
func exchange(port: Int, _ method: String, _ target: String, headers: [(String, String)] = [], body: [UInt8] = []) async throws -> Answer {
    let connection = try Connection(port: port)
    var head = "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if !body.isEmpty || method == "POST" { head += "Content-Length: \(body.count)\r\n" }
    try await connection.send(Array("\(head)\r\n".utf8) + body)
    return try parse(try await connection.receiveToEnd())
}

func parse(_ text: String) throws -> Answer {
    guard let end = text.range(of: "\r\n\r\n") else { throw ClientError(problem: "no head in: \(text.prefix(200))") }
    let lines = text[..<end.lowerBound].split(separator: "\r\n")
    guard let first = lines.first, let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
        throw ClientError(problem: "no status in: \(text.prefix(200))")
    }
    let headers = lines.dropFirst().map { line -> (name: String, value: String) in
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return (parts[0].lowercased(), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
    }
    return Answer(status: status, headers: headers, body: String(text[end.upperBound...]))
}
