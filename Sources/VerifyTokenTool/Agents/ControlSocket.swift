// Asks the agent of this host for a deploy window, over its own socket.

import AgentAPI
import Glibc
import Platform

/// The socket that `rollcall` uses too: one request and one answer a connection.
struct ControlSocket {
    static let defaultPath = "/run/rollcall-agent/agent.sock"
    private static let answerLimit = 1 << 20
    private static let patience = 10

    var path: String

    /// The one beside the socket for deploys, unless $ROLLCALL_SOCKET says another.
    init(besides deploySocket: String?) {
        if let told = variable("ROLLCALL_SOCKET") {
            path = told
        } else if let deploySocket, let slash = deploySocket.lastIndex(of: "/") {
            path = deploySocket[...slash] + "agent.sock"
        } else {
            path = Self.defaultPath
        }
    }

    /// Blocks for some seconds at most.
    func ask(_ request: AgentRequest) throws(DoorError) -> AgentAnswer {
        let descriptor = try connect()
        defer { close(descriptor) }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var rest = (request.json.bytes + [10])[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            // An agent that hung up may have said why.
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        let answer = receive(from: descriptor)
        guard let end = answer.firstIndex(of: 10) else { throw problem("the agent did not answer at \(path)") }
        do { return try AgentAnswer(message: try JSON(parsing: answer[..<end])) } catch {
            throw problem("\(path) does not answer like an agent: \(error)")
        }
    }

    private func connect() throws(DoorError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            throw problem("\(path) cannot be a socket's path")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw problem("no socket: \(String(cString: strerror(errno)))") }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw problem("no agent answers at \(path): is it running, and may you open its socket? (\(reason))")
        }
        return descriptor
    }

    private func receive(from descriptor: Int32) -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while answer.count <= Self.answerLimit {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        return answer
    }

    private func problem(_ text: String) -> DoorError { DoorError(kind: .unreachable, description: text) }
}
