// Where a daemon listens, as socket addresses.

import Glibc
import Platform

/// An address that a socket can be connected to.
struct SocketAddress: Equatable, Sendable {
    /// A sockaddr of its family.
    let bytes: [UInt8]
    /// `127.0.0.1:6379`, `[::1]:6379`, `/run/redis.sock`
    let description: String
    /// Without the port.
    let host: String

    var family: Int32 {
        bytes.withUnsafeBytes { $0.count >= 2 ? Int32($0.loadUnaligned(as: sa_family_t.self)) : AF_UNSPEC }
    }

    /// `nil` when the path is longer than the kernel takes.
    static func unix(_ path: String) -> SocketAddress? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.utf8.count < room else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return SocketAddress(bytes: withUnsafeBytes(of: &address) { Array($0) }, description: path, host: path)
    }
}

/// A host and a port, or a socket's path.
enum Listener: Equatable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(String)

    var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }

    /// Whether what is said stays on this machine.
    var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): literalHosts(host).map { $0.allSatisfy { $0 == "::1" || $0.hasPrefix("127.") } } ?? false
        }
    }
}

/// The addresses that need nobody to be asked: those of an address as it is written, and of `localhost`.
func literalHosts(_ host: String) -> [String]? {
    if host.lowercased() == "localhost" { return ["127.0.0.1", "::1"] }
    return addresses(host, port: 0, flags: AI_NUMERICHOST).isEmpty ? nil : [host]
}

/// Asks the C library. Without AI_NUMERICHOST it may wait for a name server for a long time.
private func addresses(_ host: String, port: Int, flags: Int32) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = flags | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next, found.count < 16 {
        next = entry.pointee.ai_next
        guard let address = entry.pointee.ai_addr else { continue }
        var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        getnameinfo(address, entry.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
        let shown = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        found.append(
            SocketAddress(
                bytes: Array(UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))),
                description: Listener.tcp(host: shown, port: port).description, host: shown))
    }
    return found
}

/// Finds the addresses of one daemon. A name is looked up on a thread of its own, one at a time: a name server that does not answer
/// holds up one thread and no more, however often the daemon is asked.
final class AddressBook: @unchecked Sendable {
    private let loop: Loop
    private let listener: Listener
    /// Who waits for the thread; `nil` while there is none.
    private var waiting: [([SocketAddress]) -> Void]?

    init(_ listener: Listener, loop: Loop) {
        self.listener = listener
        self.loop = loop
    }

    /// Calls `found` on the loop, at once where nobody has to be asked. No addresses: the name has none.
    func find(_ found: @escaping ([SocketAddress]) -> Void) {
        switch listener {
        case .unix(let path): found(SocketAddress.unix(path).map { [$0] } ?? [])
        case .tcp(let host, let port):
            if let hosts = literalHosts(host) { return found(hosts.flatMap { addresses($0, port: port, flags: AI_NUMERICHOST) }) }
            if waiting != nil {
                waiting?.append(found)
                return
            }
            waiting = [found]
            let hasStarted = detachThread(stackSize: mainStackSize) { [self] in
                let answer = addresses(host, port: port, flags: 0)
                loop.post { self.tell(answer) }
            }
            if !hasStarted { loop.post { self.tell([]) } }
        }
    }

    private func tell(_ answer: [SocketAddress]) {
        let told = waiting ?? []
        waiting = nil
        for found in told { found(answer) }
    }
}
