// A server that is none of the daemons: it says what it is told to, and closes, or keeps silent.

import Foundation
import Glibc
import Synchronization

final class BadServer: Sendable {
    let port: Int
    private let listener: Int32
    private let isStopped = Atomic(false)

    /// - Parameters:
    ///   - says: sent to whoever connects and has said something, or has waited for a moment.
    ///   - closes: whether it closes afterwards.
    init(says: String, closes: Bool = true) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && getsockname(listener, address, &length) == 0
            }
        }
        guard bound, listen(listener, 16) == 0 else { throw CocoaError(.fileWriteUnknown) }
        self.listener = listener
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in
            var open: [Int32] = []
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { break }
                var entry = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
                poll(&entry, 1, 50)
                var buffer = [UInt8](repeating: 0, count: 65536)
                if entry.revents != 0 { _ = recv(connection, &buffer, buffer.count, 0) }
                _ = Array(says.utf8).withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                if closes { close(connection) } else { open.append(connection) }
            }
            for connection in open { close(connection) }
            // Not before: another server's listener would get its number, and this thread would accept from it.
            close(listener)
        }
    }

    func stop() {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    deinit { stop() }
}
