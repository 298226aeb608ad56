// Forks, execs and ends of processes, as the kernel tells them (the process events connector).

import DeployVerification
import Glibc
import Platform

/// A message of the connector.
struct ProcessEvent: Equatable, Sendable {
    enum What: Equatable, Sendable {
        case fork(parent: Int32)
        case exec
        /// As `wait` encodes it.
        case exit(status: Int32)
    }

    var pid: Int32
    var what: What
    /// Since boot, without the time in which the machine slept.
    var at: Duration?

    /// `nil` for what is of no concern: threads, changes of names, and what is no event.
    /// - Parameter bytes: a `cn_msg` with a `proc_event` in it.
    init?(parsing bytes: ArraySlice<UInt8>) {
        let event = bytes.dropFirst(Self.headerSize)
        guard event.count >= 32, let what = event.word32(at: 0) else { return nil }
        at = event.word64(at: 8).flatMap { Int64(exactly: $0) }.map { .nanoseconds($0) }
        func number(_ offset: Int) -> Int32? { event.word32(at: offset).map { Int32(bitPattern: $0) } }
        switch what {
        case 0x1:
            // The child's thread and process; they differ for a thread.
            guard let parent = number(20), let thread = number(24), let child = number(28), thread == child else { return nil }
            pid = child
            self.what = .fork(parent: parent)
        case 0x2:
            guard let process = number(20) else { return nil }
            pid = process
            self.what = .exec
        case 0x8000_0000:
            guard let thread = number(16), let process = number(20), thread == process, let status = number(24) else { return nil }
            pid = process
            self.what = .exit(status: status)
        default: return nil
        }
    }

    /// `struct cn_msg`: id, sequence, acknowledgement, length and flags.
    static let headerSize = 20

    /// Asks for events, or for none any more.
    static func subscription(_ isOn: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in [UInt32(1), 1, 0, 0] { bytes.append(word: word) }
        bytes.append(word: UInt16(4))
        bytes.append(word: UInt16(0))
        bytes.append(word: UInt32(isOn ? 1 : 2))
        return NetlinkMessage.request(type: 3, flags: 0, sequence: 0, bytes)
    }
}

/// Hears of every fork, exec and end on this machine, while anybody listens. The kernel lets root hear it, since Linux 6.6 everybody;
/// in a container nobody.
final class ProcessEvents {
    private static let connector: Int32 = 11  // NETLINK_CONNECTOR
    private let socket: NetlinkSocket
    private let loop: Loop

    /// - Parameter lost: the kernel had more to tell than there was room for: what happened meanwhile must be looked for.
    init(on loop: Loop, heard: @escaping (ProcessEvent) -> Void, lost: @escaping () -> Void) throws(SystemError) {
        socket = try NetlinkSocket(protocol: Self.connector, groups: 1)
        self.loop = loop
        var size = Int32(1 << 20)
        setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        try socket.send(ProcessEvent.subscription(true))
        try loop.watch(socket.descriptor, for: .readable) { [unowned self] _ in
            do throws(SystemError) {
                while let datagram = try self.socket.receive() {
                    for message in NetlinkMessage.parse(datagram) { ProcessEvent(parsing: message.payload).map(heard) }
                }
            } catch {
                lost()
            }
        }
    }

    deinit {
        loop.unwatch(socket.descriptor)
        try? socket.send(ProcessEvent.subscription(false))
    }
}
