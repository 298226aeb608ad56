// Asks the running agent over its socket.

import AgentAPI
import Glibc
import Platform

/// Why the agent could not be asked, and what would help.
struct ConnectionError: Error, CustomStringConvertible {
    var description: String
}

/// The agent's socket. A connection is one request and one answer.
struct AgentConnection {
    static let defaultSocket = "/run/rollcall-agent/agent.sock"
    /// Answers of an agent with thousands of units are some megabytes.
    static let answerLimit = 256 << 20

    var socket: String

    /// - Parameter patience: how long the answer may take.
    func ask(_ request: AgentRequest, patience: Duration = .seconds(60)) throws(ConnectionError) -> AgentAnswer {
        let line = request.json.bytes + [10]
        guard line.count <= RequestLimits.line + 1 else { throw ConnectionError(description: "the request is too long for the agent's socket") }
        let descriptor = try connect()
        defer { close(descriptor) }
        var limit = timeval(tv_sec: Int(patience.components.seconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        // An agent that is too busy may have hung up already and said why: what it says is read in any case.
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        let answer = try receive(from: descriptor, patience)
        guard let end = answer.firstIndex(of: 10) else {
            throw ConnectionError(
                description: answer.isEmpty
                    ? "the agent hung up without an answer: it is stopping, or others ask it too much; try again"
                    : "the agent's answer ended too early")
        }
        do {
            return try AgentAnswer(message: try JSON(parsing: answer[..<end]))
        } catch {
            throw ConnectionError(description: "\(socket) does not answer like an agent: \(error)")
        }
    }

    private func connect() throws(ConnectionError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socket.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.count < room, !path.contains(0) else {
            throw ConnectionError(description: "\(socket) cannot be a socket's path: it is empty or longer than \(room - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw ConnectionError(description: "no socket: \(String(cString: strerror(errno)))") }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let problem = errno
            close(descriptor)
            throw ConnectionError(description: explanation(of: problem))
        }
        return descriptor
    }

    private func receive(from descriptor: Int32, _ patience: Duration) throws(ConnectionError) -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 {
                if errno == EINTR { continue }
                guard errno != EAGAIN else {
                    throw ConnectionError(description: "the agent did not answer within \(patience.components.seconds) s")
                }
                return answer
            }
            guard count > 0 else { return answer }
            answer += buffer[..<count]
            guard answer.count <= Self.answerLimit else { throw ConnectionError(description: "the agent's answer does not end") }
        }
    }

    private func explanation(of problem: Int32) -> String {
        switch problem {
        case ENOENT, ECONNREFUSED:
            return
                "no agent answers at \(socket). Is it running? `systemctl status rollcall-agent`; another path goes into --socket or $ROLLCALL_SOCKET"
        case EACCES, EPERM:
            if let group = groupOfSocket() {
                return "you may not ask this agent: you are not in the group \(group). `sudo usermod -aG \(group) \(userName())`, then log in again"
            }
            return "you may not ask this agent: \(socket) is closed to you. Use sudo, or give the agent a `socket_group` that you are in"
        case EAGAIN: return "the agent is asked too much at the moment; try again"
        default: return "\(socket): \(String(cString: strerror(problem)))"
        }
    }

    /// The group that may use the socket and that this process is not in.
    private func groupOfSocket() -> String? {
        var status = stat()
        guard stat(socket, &status) == 0, status.st_mode & 0o020 != 0 else { return nil }
        var mine = [gid_t](repeating: 0, count: 65536)
        let count = getgroups(Int32(mine.count), &mine)
        guard status.st_gid != getegid(), !mine.prefix(max(0, Int(count))).contains(status.st_gid) else { return nil }
        guard let entry = getgrgid(status.st_gid), let name = entry.pointee.gr_name else { return "\(status.st_gid)" }
        return String(cString: name)
    }
}

/// Who runs this program; with sudo, who asked for it.
func userName() -> String {
    for variable in ["SUDO_USER", "USER", "LOGNAME"] {
        if let value = getenv(variable), value.pointee != 0 { return String(cString: value) }
    }
    guard let entry = getpwuid(getuid()), let name = entry.pointee.pw_name else { return "uid \(getuid())" }
    return String(cString: name)
}
