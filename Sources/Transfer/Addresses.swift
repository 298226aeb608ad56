// All addresses behind a name: a load balancer's name may have several, and each is to answer for itself.

import Glibc
import Platform
import Synchronization

public enum Addresses {
    /// More than this are not looked at.
    public static let most = 64

    /// The addresses of a host as text, IPv6 without brackets, in the order in which the resolver says them. An address is its own.
    ///
    /// The C library may wait for a name server for a long time; that happens on a thread that nobody waits for after `limit`.
    public static func of(_ host: String, within limit: Duration) async throws(TransferError) -> [String] {
        let answer = Answer()
        let found: [String]? = await withCheckedContinuation { continuation in
            answer.wait(continuation)
            let hasStarted = detachThread(stackSize: mainStackSize) { answer.give(lookUp(host)) }
            if !hasStarted { answer.give([]) }
            Task {
                try? await SystemTime().sleep(limit)
                answer.give(nil)
            }
        }
        guard let found else { throw TransferError(.couldNotResolve, "no address for the name \(host) within \(limit.inWords)") }
        guard !found.isEmpty else { throw TransferError(.couldNotResolve, "no address for the name \(host)") }
        return found
    }

    /// Given once, by whoever comes first.
    private final class Answer: Sendable {
        private let waiting = Mutex<CheckedContinuation<[String]?, Never>?>(nil)

        func wait(_ continuation: CheckedContinuation<[String]?, Never>) { waiting.withLock { $0 = continuation } }

        func give(_ answer: [String]?) {
            let continuation = waiting.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            continuation?.resume(returning: answer)
        }
    }

    private static func lookUp(_ host: String) -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // Only families that this machine has an address of: an IPv6 address cannot be asked where there is no IPv6.
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        var problem = getaddrinfo(host, nil, &hints, &list)
        if problem != 0 {
            // Loopback does not count as an address there.
            hints.ai_flags = 0
            problem = getaddrinfo(host, nil, &hints, &list)
        }
        guard problem == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let entry = next, found.count < most {
            next = entry.pointee.ai_next
            guard let address = entry.pointee.ai_addr else { continue }
            var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard getnameinfo(address, entry.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 else { continue }
            let text = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            if !text.isEmpty, !found.contains(text) { found.append(text) }
        }
        return found
    }
}
