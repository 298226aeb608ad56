// Messages to and from the kernel over netlink (netlink(7)).

import Glibc
import Platform

/// A message's header, and what follows it.
struct NetlinkMessage: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case done
        /// 0 is an acknowledgement, another number an errno.
        case error(Int32)
        case other(UInt16)
    }

    static let headerSize = 16

    var kind: Kind
    var sequence: UInt32
    var payload: ArraySlice<UInt8>

    /// The messages of one datagram, as far as they are whole.
    static func parse(_ datagram: ArraySlice<UInt8>) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram
        while let length = rest.word32(at: 0).flatMap({ Int(exactly: $0) }), length >= headerSize, length <= rest.count,
            let type = rest.word16(at: 4), let sequence = rest.word32(at: 8)
        {
            let payload = rest.dropFirst(headerSize).prefix(length - headerSize)
            let kind: Kind =
                switch type {
                case 2: .error(payload.word32(at: 0).map { Int32(bitPattern: 0 &- $0) } ?? EPROTO)
                case 3: .done
                default: .other(type)
                }
            messages.append(NetlinkMessage(kind: kind, sequence: sequence, payload: payload))
            rest = rest.dropFirst(min(rest.count, (length + 3) & ~3))
        }
        return messages
    }

    /// A request, with its header.
    static func request(type: UInt16, flags: UInt16, sequence: UInt32, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(word: UInt32(headerSize + payload.count))
        bytes.append(word: type)
        bytes.append(word: flags)
        bytes.append(word: sequence)
        bytes.append(word: UInt32(0))
        return bytes + payload
    }
}

/// A netlink socket of this process; it never waits.
final class NetlinkSocket {
    let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 32 << 10)

    /// - Parameter groups: what is multicast to it, a bit for each group.
    init(protocol number: Int32, groups: UInt32 = 0) throws(SystemError) {
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), number)
        guard descriptor >= 0 else { throw SystemError("opening a netlink socket") }
        guard groups != 0 else { return }
        // struct sockaddr_nl: family, padding, port (0: the kernel chooses), groups.
        var address: [UInt8] = []
        address.append(word: UInt16(AF_NETLINK))
        address.append(word: UInt16(0))
        address.append(word: UInt32(0))
        address.append(word: groups)
        let status = address.withUnsafeBytes { bind(descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)) }
        guard status == 0 else {
            let error = SystemError("listening on a netlink socket")
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws(SystemError) {
        guard Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count else { throw SystemError("asking the kernel over netlink") }
    }

    /// What is there; `nil` when nothing is.
    func receive() throws(SystemError) -> ArraySlice<UInt8>? {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count >= 0 { return buffer[..<count] }
        if errno == EAGAIN || errno == EINTR { return nil }
        throw SystemError("hearing the kernel over netlink")
    }
}

// MARK: Numbers in the machine's own order

extension ArraySlice where Element == UInt8 {
    func word16(at offset: Int) -> UInt16? { word(at: offset) }
    func word32(at offset: Int) -> UInt32? { word(at: offset) }
    func word64(at offset: Int) -> UInt64? { word(at: offset) }

    private func word<Word: FixedWidthInteger>(at offset: Int) -> Word? {
        let size = MemoryLayout<Word>.size
        guard offset >= 0, offset <= count - size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Word.self) }
    }
}

extension [UInt8] {
    mutating func append(word: some FixedWidthInteger) { Swift.withUnsafeBytes(of: word) { append(contentsOf: $0) } }
}
