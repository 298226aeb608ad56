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
        let answer: ArraySlice<UInt8>
        do throws(LineExchangeError) {
            answer = try exchangeLine(line, with: socket, limit: Self.answerLimit, patience: patience)
        } catch {
            throw ConnectionError(description: words(for: error, patience))
        }
        do {
            return try AgentAnswer(message: try JSON(parsing: answer))
        } catch {
            throw ConnectionError(description: "\(socket) does not answer like an agent: \(error)")
        }
    }

    private func words(for error: LineExchangeError, _ patience: Duration) -> String {
        switch error {
        case .path(let longest): "\(socket) cannot be a socket's path: it is empty or longer than \(longest) bytes"
        case .connecting(let problem): explanation(of: problem)
        case .hungUp(saidAnything: false): "the agent hung up without an answer: it is stopping, or others ask it too much; try again"
        case .hungUp: "the agent's answer ended too early"
        case .late: "the agent did not answer within \(patience.components.seconds) s"
        case .tooLong: "the agent's answer does not end"
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
