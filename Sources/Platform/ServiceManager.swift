// What a daemon tells the service manager that started it: ready, reloading, alive.

import Glibc

/// systemd's notification protocol (sd_notify(3)): datagrams of `KEY=value` lines to `$NOTIFY_SOCKET`. Without that variable
/// nobody asked, and nothing is sent.
public struct ServiceManager: Sendable {
    private let address: String?
    /// How often the service manager wants to hear `alive()`: half of its watchdog's time. `nil` when it has no watchdog for this process.
    public let watchdogInterval: Duration?

    /// Reads what the service manager put into the environment.
    public init() {
        address = environment("NOTIFY_SOCKET")
        let meant = environment("WATCHDOG_PID").flatMap { Int32($0) }.map { $0 == getpid() } ?? true
        watchdogInterval = meant ? environment("WATCHDOG_USEC").flatMap { Int64($0) }.map { .microseconds($0 / 2) } : nil
    }

    /// - Parameter address: as `NOTIFY_SOCKET` has it; `nil` for nobody.
    public init(address: String?, watchdogInterval: Duration? = nil) {
        self.address = address
        self.watchdogInterval = watchdogInterval
    }

    public func ready(status: String) { send("READY=1\nSTATUS=\(status)") }
    public func alive() { send("WATCHDOG=1") }
    public func stopping() { send("STOPPING=1") }

    /// Says that a reload begins; `ready` says that it is over. The time stamp is what `Type=notify-reload` asks for.
    public func reloading() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        send("RELOADING=1\nMONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)")
    }

    private func send(_ state: String) {
        guard let address else { return }
        sendDatagram(Array(state.utf8), to: address)
    }
}

/// Sends one datagram to a Unix socket; a leading `@` names an abstract one. Returns false when it could not be sent.
@discardableResult
func sendDatagram(_ bytes: [UInt8], to address: String) -> Bool {
    var socketAddress = sockaddr_un()
    socketAddress.sun_family = sa_family_t(AF_UNIX)
    let path = Array(address.utf8)
    guard path.count < MemoryLayout.size(ofValue: socketAddress.sun_path) else { return false }
    withUnsafeMutableBytes(of: &socketAddress.sun_path) { buffer in
        buffer.copyBytes(from: path)
        if path.first == UInt8(ascii: "@") { buffer[0] = 0 }
    }
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard socket >= 0 else { return false }
    defer { close(socket) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count + (path.first == UInt8(ascii: "@") ? 0 : 1))
    return withUnsafePointer(to: &socketAddress) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            sendto(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length) == bytes.count
        }
    }
}

/// A variable of the environment, unless it is unset or empty.
func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}
