// One request to a service's listener, over a connection of its own.

import AgentAPI
import DeployVerification
import Glibc
import Platform
import Synchronization
import TransportSecurity

/// Connects, sends a request in two parts, and reads the answer, on a loop, without ever waiting. It is over with the answer, also where the
/// other side keeps the connection.
final class ServiceConnection {
    enum Outcome: Equatable {
        case answer(WorkerReply)
        case refused
        /// It ended before the answer did.
        case lost
        /// What came is no answer in the language that was spoken.
        case strange(HTTPReader.Breakage)
        case tlsFailed(String)
        /// Not in time; whether the connection stood.
        case silence(isConnected: Bool)
        case failed(String)
    }

    /// How the connection is made, and what is said over it.
    struct Speech {
        var request: [UInt8]
        /// What is sent only after `release()`; `nil`: nothing is held.
        var held: [UInt8]?
        /// The same for a process that is not known to be the service's.
        var heldWithoutSecrets: [UInt8] = []
        var language = TokenQuestion.Language.http
        var proxyHeader: TokenQuestion.ProxyHeader?
        /// `nil`: in the clear.
        var tls: (serverName: String?, trust: TLSSession.Trust)?

        /// The question in one way.
        /// - Parameter isHeld: whether its last part waits for `release()`.
        init(_ question: TokenQuestion, way: AskingWay, isHeld: Bool) {
            let parts = WorkerRequest(question, way: way)
            request = isHeld ? parts.first : parts.whole
            held = isHeld ? parts.held : nil
            heldWithoutSecrets = parts.heldWithoutSecrets
            language = way.language
            proxyHeader = question.proxyHeader
            if way.isTLS { tls = (way.serverName, question.tls == .verify ? .system : .anyone) }
        }
    }

    private enum Reader {
        case http(HTTPReader)
        case fastCGI(FastCGIReader)
    }

    /// Around an answer of the size that is read: its head, chunks, records, certificates. No answer that matters has more.
    private static let limit = 1 << 20
    private static let connecting = Duration.seconds(1)

    private let address: ServiceListener.Address
    private let loop: Loop
    private let patience: Duration
    private let folders: FolderQuestions
    private let speech: Speech
    private var descriptor: Int32 = -1
    private var toSend: ArraySlice<UInt8> = []
    private var rest: [UInt8]?
    /// What was let go.
    private var released: [UInt8]?
    private var tls: TLSSession?
    private var reader: Reader
    private var received = 0
    private var timer: Loop.Timer?
    private var done: ((ServiceConnection, Outcome) -> Void)?
    private(set) var isConnected = false
    /// All but the held part has been sent.
    private(set) var isHeld = false

    /// - Parameters:
    ///   - patience: from the connection to the end of the answer.
    ///   - folders: asked for a Unix listener, whose path may lead to a file system that hangs.
    ///   - done: called once, later, unless it is cancelled.
    init(
        to address: ServiceListener.Address, _ speech: Speech, patience: Duration, folders: FolderQuestions, on loop: Loop,
        _ done: @escaping (ServiceConnection, Outcome) -> Void
    ) {
        self.address = address
        self.loop = loop
        self.patience = patience
        self.folders = folders
        self.speech = speech
        reader = speech.language == .fastcgi ? .fastCGI(FastCGIReader()) : .http(HTTPReader())
        rest = speech.held
        self.done = done
        timer = loop.after(Self.connecting) { [unowned self] in finish(.silence(isConnected: false)) }
        open()
    }

    deinit { drop() }

    func cancel() {
        done = nil
        drop()
    }

    /// Lets the rest of the request go.
    /// - Parameter isTrusted: whether the process that has the other end is known to be the service's: it may hear what is secret.
    func release(isTrusted: Bool = true) {
        guard let rest else { return }
        let bytes = isTrusted ? rest : speech.heldWithoutSecrets
        self.rest = nil
        released = bytes
        isHeld = false
        guard isConnected, descriptor >= 0 else { return }
        say(bytes)
        send()
    }

    /// This end's and the other end's IP address and port, and this end's inode.
    var ends: (local: [UInt8], localPort: UInt16, remote: [UInt8], remotePort: UInt16)? {
        guard let near = ipAddress(getsockname), let far = ipAddress(getpeername) else { return nil }
        return (near.bytes, near.port, far.bytes, far.port)
    }

    var inode: UInt64? {
        var status = stat()
        return descriptor >= 0 && fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    // MARK: Steps

    private func open() {
        let socket =
            switch address {
            case .tcp: OutgoingSocket(to: address)
            case .unix(let path): folders.ask(about: path) { [address] in OutgoingSocket(to: address) }
            }
        guard let socket else { return fail(ETIMEDOUT) }
        guard socket.problem == 0 else { return fail(socket.problem) }
        descriptor = socket.take()
        watch(.writable) { [unowned self] in
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
            guard code == 0 else { return fail(code) }
            isConnected = true
            if let timer { loop.cancel(timer) }
            timer = loop.after(patience) { [unowned self] in finish(.silence(isConnected: true)) }
            begin()
        }
    }

    private func begin() {
        if let kind = speech.proxyHeader { toSend += proxyHeader(kind, from: ends) }
        if let (name, trust) = speech.tls {
            do throws(TLSProblem) {
                tls = try TLSSession(serverName: name, trust: trust)
            } catch {
                return finish(.tlsFailed(error.description))
            }
        }
        say(speech.request)
        // What was let go before there was a connection.
        if let released { say(released) }
        send()
    }

    private func say(_ bytes: [UInt8]) {
        guard let tls else {
            toSend += bytes
            return
        }
        tls.send(bytes)
        toSend += tls.takeOutgoing()
    }

    private func send() {
        guard descriptor >= 0 else { return }
        while !toSend.isEmpty {
            let count = toSend.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return watch(.writable) { [unowned self] in send() } }
            // A service that is ending may say why before it closes.
            guard count >= 0 else { break }
            toSend = toSend.dropFirst(count)
        }
        isHeld = rest != nil
        watch(.readable) { [unowned self] in receive() }
    }

    private func receive() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while descriptor >= 0 {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return }
            guard count > 0 else { return conclude(tls == nil || !isReaderEmpty ? atEnd() : .broken(.truncated)) }
            received += count
            guard received <= Self.limit else { return finish(.strange(.endlessHead)) }
            let progress = hear(chunk[0..<count])
            if progress != .reading { return conclude(progress) }
        }
    }

    private func hear(_ bytes: ArraySlice<UInt8>) -> HTTPReader.Progress {
        guard let tls else { return take(bytes) }
        do throws(TLSProblem) {
            try tls.receive(bytes)
        } catch {
            toSend += tls.takeOutgoing()
            // The end of what it said may have come with what went wrong.
            let progress = take(tls.takeIncoming()[...])
            if progress == .reading { finish(.tlsFailed(error.description)) }
            return progress
        }
        toSend += tls.takeOutgoing()
        let progress = take(tls.takeIncoming()[...])
        if progress == .reading, !toSend.isEmpty { send() }
        return progress
    }

    private func take(_ bytes: ArraySlice<UInt8>) -> HTTPReader.Progress {
        switch reader {
        case .http(var http):
            defer { reader = .http(http) }
            return http.take(bytes)
        case .fastCGI(var fastCGI):
            defer { reader = .fastCGI(fastCGI) }
            return fastCGI.take(bytes)
        }
    }

    private var isReaderEmpty: Bool {
        switch reader {
        case .http(let http): http.isEmpty
        case .fastCGI(let fastCGI): fastCGI.isEmpty
        }
    }

    private func atEnd() -> HTTPReader.Progress {
        switch reader {
        case .http(var http): http.end()
        case .fastCGI(var fastCGI): fastCGI.end()
        }
    }

    private func conclude(_ progress: HTTPReader.Progress) {
        switch progress {
        case .reading: break
        case .whole(let reply): finish(.answer(reply))
        case .broken(.truncated): finish(.lost)
        case .broken(let breakage): finish(.strange(breakage))
        }
    }

    private func watch(_ readiness: Loop.Readiness, _ ready: @escaping () -> Void) {
        do {
            try loop.watch(descriptor, for: readiness) { _ in ready() }
        } catch {
            fail(error.code)
        }
    }

    private func fail(_ code: Int32) {
        let outcome: Outcome =
            switch code {
            case ECONNREFUSED, ENOENT: .refused
            case ECONNRESET, EPIPE: .lost
            // A Unix listener whose queue is full.
            case EAGAIN: .silence(isConnected: false)
            default: .failed(String(cString: strerror(code)))
            }
        // Not before the call that began it has returned.
        if let timer { loop.cancel(timer) }
        timer = loop.after(.zero) { [unowned self] in finish(outcome) }
    }

    private func finish(_ outcome: Outcome) {
        drop()
        let done = done
        self.done = nil
        done?(self, outcome)
    }

    private func drop() {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        close(descriptor)
        descriptor = -1
    }

    private func ipAddress(
        _ question: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> (bytes: [UInt8], port: UInt16)? {
        var storage = [UInt8](repeating: 0, count: 128)
        var length = socklen_t(storage.count)
        let status = storage.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { question(descriptor, $0.assumingMemoryBound(to: sockaddr.self), &length) } ?? -1
        }
        guard status == 0, let family = storage[...].word16(at: 0) else { return nil }
        let port = UInt16(storage[2]) << 8 | UInt16(storage[3])
        switch Int32(family) {
        case AF_INET: return (Array(storage[4..<8]), port)
        case AF_INET6: return (Array(storage[8..<24]), port)
        default: return nil
        }
    }
}

/// A socket whose connection has begun. It closes itself unless somebody takes it: whoever wanted it may have stopped waiting.
private final class OutgoingSocket: Sendable {
    /// What stands against it, as errno; 0: nothing.
    let problem: Int32
    private let descriptor: Mutex<Int32>

    init(to address: ServiceListener.Address) {
        let (descriptor, problem) =
            address.withSocketAddress { family, address, length -> (Int32, Int32) in
                let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
                guard descriptor >= 0 else { return (-1, errno) }
                return (descriptor, connect(descriptor, address, length) == 0 || errno == EINPROGRESS ? 0 : errno)
            } ?? (-1, EINVAL)
        self.problem = problem
        self.descriptor = Mutex(descriptor)
    }

    deinit {
        let descriptor = take()
        if descriptor >= 0 { close(descriptor) }
    }

    func take() -> Int32 {
        descriptor.withLock { descriptor in
            defer { descriptor = -1 }
            return descriptor
        }
    }
}

extension ServiceListener.Address {
    /// Calls `body` with the family and the address to connect to: for a listener on all addresses, loopback. `nil` for what is no address.
    func withSocketAddress<Value>(_ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value? {
        switch self {
        case .tcp(let text, let port):
            var four = sockaddr_in()
            if inet_pton(AF_INET, text, &four.sin_addr) == 1 {
                four.sin_family = sa_family_t(AF_INET)
                four.sin_port = port.bigEndian
                if four.sin_addr.s_addr == 0 { four.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian }
                return withUnsafePointer(to: &four) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(AF_INET, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
                }
            }
            var six = sockaddr_in6()
            guard inet_pton(AF_INET6, text == "::" ? "::1" : text, &six.sin6_addr) == 1 else { return nil }
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            return withUnsafePointer(to: &six) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(AF_INET6, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
            }
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(AF_UNIX, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
        }
    }

    /// As a `Host` header has it: for a listener on all addresses, loopback.
    var hostText: String {
        switch self {
        case .tcp("0.0.0.0", let port), .tcp("::", let port): "localhost:\(port)"
        case .tcp(let address, let port): address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix: "localhost"
        }
    }
}
