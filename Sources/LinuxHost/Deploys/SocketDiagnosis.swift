// The kernel's table of sockets, as requests and answers (sock_diag(7)).

import DeployVerification
import Glibc

/// One TCP socket.
struct TCPSocketEntry: Equatable, Sendable {
    var isListening: Bool
    var isIPv6: Bool
    /// In text; IPv6 without brackets.
    var localAddress: String
    var localPort: UInt16
    /// 0 while nobody has accepted the connection.
    var inode: UInt64
    /// Of a listener: connections that wait to be accepted, and how many may.
    var queue: Int
    var backlog: Int
    /// As the kernel has it, 4 or 16 bytes.
    var localBytes: [UInt8]
    /// The other end of a connection.
    var remoteBytes: [UInt8]
    var remotePort: UInt16
    /// Of a listener on all IPv6 addresses: it takes no connections over IPv4.
    var isIPv6Only = false
    /// Bytes that have come, and bytes that the other end has confirmed; where that was asked for.
    var traffic: (received: UInt64, sent: UInt64)?

    /// `nil` for what is no `inet_diag_msg`.
    init?(parsing bytes: ArraySlice<UInt8>) {
        guard bytes.count >= 72 else { return nil }
        let raw = Array(bytes.prefix(72))
        let all = raw[...]
        isIPv6 = raw[0] == UInt8(AF_INET6)
        guard isIPv6 || raw[0] == UInt8(AF_INET), let queue = all.word32(at: 56), let backlog = all.word32(at: 60), let inode = all.word32(at: 68)
        else { return nil }
        isListening = raw[1] == TCPState.listen
        localPort = UInt16(raw[4]) << 8 | UInt16(raw[5])
        localBytes = Array(raw[8..<(isIPv6 ? 24 : 12)])
        localAddress = addressText(isIPv6 ? AF_INET6 : AF_INET, localBytes)
        remoteBytes = Array(raw[24..<(isIPv6 ? 40 : 28)])
        remotePort = UInt16(raw[6]) << 8 | UInt16(raw[7])
        self.inode = UInt64(inode)
        self.queue = Int(queue)
        self.backlog = Int(backlog)
        forEachAttribute(of: bytes.dropFirst(72)) { type, value in
            switch type {
            case 2:
                // struct tcp_info: tcpi_bytes_acked and tcpi_bytes_received.
                if let sent = value.word64(at: 120), let received = value.word64(at: 128) { traffic = (received, sent) }
            case 11: isIPv6Only = value.first == 1
            default: break
            }
        }
    }

    static func == (a: Self, b: Self) -> Bool {
        a.isListening == b.isListening && a.localBytes == b.localBytes && a.localPort == b.localPort && a.remoteBytes == b.remoteBytes
            && a.remotePort == b.remotePort && a.inode == b.inode && a.queue == b.queue && a.backlog == b.backlog && a.isIPv6Only == b.isIPv6Only
            && a.traffic?.received == b.traffic?.received && a.traffic?.sent == b.traffic?.sent
    }
}

enum TCPState {
    static let established: UInt8 = 1
    static let closeWait: UInt8 = 8
    static let listen: UInt8 = 10
}

/// The attributes that follow a message: each a length, a type and a value.
private func forEachAttribute(of bytes: ArraySlice<UInt8>, _ body: (_ type: UInt16, _ value: ArraySlice<UInt8>) -> Void) {
    var rest = bytes
    while let length = rest.word16(at: 0).map(Int.init), length >= 4, length <= rest.count, let type = rest.word16(at: 2) {
        body(type, rest.dropFirst(4).prefix(length - 4))
        rest = rest.dropFirst(min(rest.count, (length + 3) & ~3))
    }
}

/// One Unix stream socket.
struct UnixSocketEntry: Equatable, Sendable {
    var isListening: Bool
    var inode: UInt64
    /// As it was bound; `nil` for one without a name, and for an abstract one.
    var path: String?
    /// The file that it was bound to.
    var file: (device: UInt32, inode: UInt32)?
    /// The other end's inode; 0 while nobody has accepted the connection.
    var peer: UInt64?
    var queue: Int?
    var backlog: Int?

    /// `nil` for what is no `unix_diag_msg` with its attributes.
    init?(parsing bytes: ArraySlice<UInt8>) {
        guard bytes.count >= 16, let inode = bytes.word32(at: 4) else { return nil }
        isListening = bytes[bytes.startIndex + 2] == TCPState.listen
        self.inode = UInt64(inode)
        forEachAttribute(of: bytes.dropFirst(16)) { type, value in
            switch type {
            case 0: path = value.first == 0 || value.isEmpty ? nil : String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
            case 1:
                if let inode = value.word32(at: 0), let device = value.word32(at: 4) { file = (device, inode) }
            case 2: peer = value.word32(at: 0).map(UInt64.init)
            case 4:
                queue = value.word32(at: 0).map(Int.init)
                backlog = value.word32(at: 4).map(Int.init)
            default: break
            }
        }
    }

    static func == (a: Self, b: Self) -> Bool {
        a.isListening == b.isListening && a.inode == b.inode && a.path == b.path && a.file?.device == b.file?.device
            && a.file?.inode == b.file?.inode && a.peer == b.peer && a.queue == b.queue && a.backlog == b.backlog
    }
}

enum SocketDiagnosis {
    private static let byFamily: UInt16 = 20
    private static let request: UInt16 = 1
    private static let dump: UInt16 = 0x300
    private static let anyCookie = UInt32.max

    /// All TCP sockets of a family that are in one of `states`; with a port, only those that are bound to it.
    /// - Parameter withTraffic: also how much has passed over each.
    static func tcp(family: Int32, states: UInt32, localPort: UInt16 = 0, withTraffic: Bool = false, sequence: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(family), UInt8(IPPROTO_TCP), withTraffic ? 0x2 : 0, 0]
        bytes.append(word: states)
        bytes.append(word: localPort.bigEndian)
        bytes += [UInt8](repeating: 0, count: 46)
        return NetlinkMessage.request(type: byFamily, flags: request | dump, sequence: sequence, bytes)
    }

    /// The one end of a connection.
    /// - Parameters:
    ///   - local: of that end, 4 or 16 bytes; its port.
    ///   - remote: of the other end.
    static func connection(local: [UInt8], _ localPort: UInt16, remote: [UInt8], _ remotePort: UInt16, sequence: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(local.count == 4 ? AF_INET : AF_INET6), UInt8(IPPROTO_TCP), 0, 0]
        bytes.append(word: UInt32.max)
        bytes.append(word: localPort.bigEndian)
        bytes.append(word: remotePort.bigEndian)
        for address in [local, remote] { bytes += address.prefix(16) + [UInt8](repeating: 0, count: max(0, 16 - address.count)) }
        bytes.append(word: UInt32(0))
        bytes.append(word: anyCookie)
        bytes.append(word: anyCookie)
        return NetlinkMessage.request(type: byFamily, flags: request, sequence: sequence, bytes)
    }

    /// All Unix sockets that listen.
    static func unixListeners(sequence: UInt32) -> [UInt8] {
        unix(flags: request | dump, states: 1 << 10, inode: 0, show: 0x1 | 0x2 | 0x10, sequence)
    }

    /// All Unix sockets that are connected. The end of the server has the path of its listener.
    static func unixConnections(sequence: UInt32) -> [UInt8] {
        unix(flags: request | dump, states: 1 << UInt32(TCPState.established), inode: 0, show: 0x1 | 0x4, sequence)
    }

    /// The socket with this inode, and the other end of its connection.
    static func unixPeer(of inode: UInt32, sequence: UInt32) -> [UInt8] { unix(flags: request, states: .max, inode: inode, show: 0x4, sequence) }

    private static func unix(flags: UInt16, states: UInt32, inode: UInt32, show: UInt32, _ sequence: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(AF_UNIX), 0, 0, 0]
        for word in [states, inode, show, anyCookie, anyCookie] { bytes.append(word: word) }
        return NetlinkMessage.request(type: byFamily, flags: flags, sequence: sequence, bytes)
    }
}

/// `127.0.0.1`, `::1`
func addressText(_ family: Int32, _ bytes: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard bytes.count >= (family == AF_INET ? 4 : 16), inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
