// Asks the kernel which sockets there are.

import DeployVerification
import Glibc
import Platform

/// Questions to the kernel's socket tables. Each takes microseconds; `/proc/net/tcp` would take milliseconds.
///
/// It sees the network namespace that this process is in, and no other.
final class SocketTable {
    private static let diagnosis: Int32 = 4  // NETLINK_SOCK_DIAG
    /// A question that the kernel has not answered by then is given up.
    private static let mostDatagrams = 4096

    private let socket: NetlinkSocket
    private var sequence: UInt32 = 0

    init() throws(SystemError) { socket = try NetlinkSocket(protocol: Self.diagnosis) }

    /// Every socket that accepts connections, by inode.
    func listeners() throws(SystemError) -> [UInt64: ServiceListener] {
        var found: [UInt64: ServiceListener] = [:]
        for family in [AF_INET, AF_INET6] {
            for entry in try tcp(family: family, states: [TCPState.listen], port: 0) where entry.isListening {
                found[entry.inode] = ServiceListener(
                    inode: entry.inode, address: .tcp(address: entry.localAddress, port: entry.localPort), queue: entry.queue, backlog: entry.backlog,
                    isIPv6Only: entry.isIPv6Only)
            }
        }
        for payload in try ask({ SocketDiagnosis.unixListeners(sequence: $0) }) {
            guard let entry = UnixSocketEntry(parsing: payload), entry.isListening, let path = entry.path, isBound(entry, at: path) else { continue }
            found[entry.inode] = ServiceListener(inode: entry.inode, address: .unix(path: path), queue: entry.queue, backlog: entry.backlog)
        }
        return found
    }

    /// Accepted connections to a listener of this port, those too whose client has gone. This takes a millisecond or two, whatever their number.
    /// - Parameter withTraffic: with how much has passed over each.
    func connections(port: UInt16, isIPv6: Bool, withTraffic: Bool = false) throws(SystemError) -> [TCPSocketEntry] {
        try tcp(
            family: isIPv6 ? AF_INET6 : AF_INET, states: [TCPState.established, TCPState.closeWait], port: port, withTraffic: withTraffic
        ).filter { $0.inode != 0 }
    }

    /// The ports of those who are or were connected to a listener of this port; the kernel forgets them after a minute.
    func clients(port: UInt16, isIPv6: Bool) throws(SystemError) -> Set<UInt16> {
        let all = (UInt8(1)...11).filter { $0 != TCPState.listen }
        return Set(try tcp(family: isIPv6 ? AF_INET6 : AF_INET, states: all, port: port).lazy.map(\.remotePort))
    }

    /// Accepted connections to Unix listeners: the path of each, by the inode of the server's end, and the inode of the client's.
    func unixConnections() throws(SystemError) -> [UInt64: (path: String, client: UInt64)] {
        var found: [UInt64: (path: String, client: UInt64)] = [:]
        for payload in try ask({ SocketDiagnosis.unixConnections(sequence: $0) }) {
            guard let entry = UnixSocketEntry(parsing: payload), let path = entry.path else { continue }
            found[entry.inode] = (path, entry.peer ?? 0)
        }
        return found
    }

    /// The inode of the end of a TCP connection that is at `local`: 0 before it is accepted, `nil` when there is no such connection.
    func inode(local: [UInt8], _ localPort: UInt16, remote: [UInt8], _ remotePort: UInt16) throws(SystemError) -> UInt64? {
        let answers = try ask { SocketDiagnosis.connection(local: local, localPort, remote: remote, remotePort, sequence: $0) }
        guard let entry = answers.first.flatMap({ TCPSocketEntry(parsing: $0) }) else { return nil }
        // While the handshake lasts, the listener itself is found.
        return entry.isListening ? 0 : entry.inode
    }

    /// The inode of the other end of a Unix socket: 0 before it is accepted, `nil` when there is none.
    func peer(of inode: UInt64) throws(SystemError) -> UInt64? {
        guard let number = UInt32(exactly: inode) else { return nil }
        return try ask { SocketDiagnosis.unixPeer(of: number, sequence: $0) }.first.flatMap { UnixSocketEntry(parsing: $0) }?.peer
    }

    /// Another server may still listen on a socket whose file was replaced since: nobody can reach it.
    private func isBound(_ entry: UnixSocketEntry, at path: String) -> Bool {
        guard let file = entry.file else { return true }
        var status = stat()
        return stat(path, &status) == 0 && UInt64(status.st_ino) & 0xffff_ffff == UInt64(file.inode)
    }

    private func tcp(family: Int32, states: [UInt8], port: UInt16, withTraffic: Bool = false) throws(SystemError) -> [TCPSocketEntry] {
        let states = states.reduce(UInt32(0)) { $0 | 1 << UInt32($1) }
        return try ask { SocketDiagnosis.tcp(family: family, states: states, localPort: port, withTraffic: withTraffic, sequence: $0) }
            .compactMap { TCPSocketEntry(parsing: $0) }
    }

    /// The kernel answers within the call that asks: what is not there then will not come.
    private func ask(_ request: (_ sequence: UInt32) -> [UInt8]) throws(SystemError) -> [ArraySlice<UInt8>] {
        sequence &+= 1
        let bytes = request(sequence)
        let isDump = bytes[6] != 1 || bytes[7] != 0
        try socket.send(bytes)
        var payloads: [ArraySlice<UInt8>] = []
        for _ in 0..<Self.mostDatagrams {
            guard let datagram = try socket.receive() else { return payloads }
            for message in NetlinkMessage.parse(datagram) where message.sequence == sequence {
                switch message.kind {
                case .done: return payloads
                case .error(let code):
                    // No such socket, or none any more.
                    if code == 0 || code == ENOENT { return payloads }
                    throw SystemError("asking for sockets", code: code)
                case .other:
                    payloads.append(message.payload)
                    if !isDump { return payloads }
                }
            }
        }
        return payloads
    }
}
