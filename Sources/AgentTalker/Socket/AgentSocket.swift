// The agent's own socket: people and programs on this host ask the agent here.

public import AgentAPI
import Glibc
import Logging
import NIOCore
import NIOPosix
import Platform

/// Answers a request, whenever it can, from whatever thread. `by` is the name of the user who asks.
public typealias RequestHandler =
    @Sendable (_ request: AgentRequest, _ by: String, _ answer: @escaping @Sendable (AgentAnswer) -> Void) -> Void

/// A Unix socket on which one line is one request; it is answered, and the connection closed.
///
/// Who may open it, `SocketFile` says.
///
/// It lives on the event loop. What a stranger can make it do is bounded: connections, bytes and time of each.
final class AgentSocket {
    struct Limits: Sendable {
        var connections = 32
        /// How long a line may take to come.
        var line = Duration.seconds(5)
        /// How long the watcher may take to answer.
        var answer = Duration.seconds(30)
        /// How long a test of the alerts may take, which waits for providers.
        var test = Duration.seconds(120)
        /// How long whoever asked may take to read it.
        var reading = Duration.seconds(10)
    }

    private let handler: RequestHandler
    fileprivate let limits: Limits
    private let eventLoop: any EventLoop
    fileprivate let logger: Logger

    private var settings: TalkerConfiguration.Socket?
    private var listener: (any Channel)?
    private var file: SocketFile?
    private var retry: Scheduled<Void>?
    /// Numbers attempts to listen: an attempt that has been overtaken closes what it opened.
    private var attempt = 0
    private var hasFailed = false
    private var connections = 0
    private var names: [UInt32: String] = [:]

    init(handler: @escaping RequestHandler, limits: Limits = Limits(), eventLoop: any EventLoop, logger: Logger) {
        self.handler = handler
        self.limits = limits
        self.eventLoop = eventLoop
        self.logger = logger
    }

    var isListening: Bool { listener != nil }

    /// Listens as these settings say, or nowhere. What prevents it is logged, and it is tried again for as long as it takes.
    func listen(_ new: TalkerConfiguration.Socket?) {
        if new == settings, listener != nil { return }
        close()
        settings = new
        guard new != nil else { return }
        hasFailed = false
        bind(wait: .seconds(1))
    }

    /// Stops to listen and removes the socket; requests that are being answered are.
    func close() {
        attempt += 1
        retry?.cancel()
        retry = nil
        listener?.close(promise: nil)
        listener = nil
        file?.remove()
        file = nil
    }

    // MARK: Listening

    private func bind(wait: Duration) {
        guard let settings else { return }
        do throws(TalkerError) {
            try SocketFile(settings).prepare()
        } catch {
            failed(because: error.problem, wait: wait)
            return
        }
        let attempt = attempt
        let socket = NIOLoopBound(self, eventLoop: eventLoop)
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 64)
            .childChannelOption(.allowRemoteHalfClosure, value: true)  // `echo status | nc -U ...` has nothing more to say
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let socket = socket.value
                    guard socket.admit(channel) else { throw ChannelError.operationUnsupported }
                    try channel.pipeline.syncOperations.addHandler(LineHandler(socket: socket))
                }
            }
            .bind(unixDomainSocketPath: settings.path)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, attempt == self.attempt else {
                    if case .success(let channel) = result { channel.close(promise: nil) }
                    return
                }
                switch result {
                case .success(let channel): opened(channel, settings, wait: wait)
                case .failure(let error): failed(because: words(for: error), wait: wait)
                }
            }
    }

    private func opened(_ channel: any Channel, _ settings: TalkerConfiguration.Socket, wait: Duration) {
        var file = SocketFile(settings)
        do throws(TalkerError) {
            try file.give()
        } catch {
            channel.close(promise: nil)
            failed(because: error.problem, wait: wait)
            return
        }
        self.file = file
        listener = channel
        logger.notice("the agent's socket listens", metadata: ["socket": "\(settings.path)"])
    }

    private func failed(because why: String, wait: Duration) {
        if !hasFailed {
            logger.error(
                "the agent's socket cannot be opened; it keeps trying", metadata: ["socket": "\(settings?.path ?? "")", "why": "\(why)"])
        }
        hasFailed = true
        retry = eventLoop.assumeIsolated().scheduleTask(in: .init(wait)) { [weak self] in
            guard let self else { return }
            bind(wait: min(.seconds(60), wait * 2))
        }
    }

    /// Counts a connection in, if there is room for it.
    private func admit(_ channel: any Channel) -> Bool {
        guard connections < limits.connections else {
            logger.debug("a connection to the agent's socket was refused: there are too many")
            return false
        }
        connections += 1
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.connections -= 1 }
        return true
    }

    // MARK: Answering

    /// - Parameter then: called once, on the event loop, with the bytes to send.
    fileprivate func answer(_ line: [UInt8], from user: UInt32?, then: @escaping ([UInt8]) -> Void) {
        let request: RequestLine
        do throws(RequestError) {
            request = try RequestLine(line)
        } catch {
            let isJSON = line.first { $0 != 32 && $0 != 9 } == UInt8(ascii: "{")
            then(isJSON ? AgentAnswer.refused(error.problem).message.bytes + [10] : Array("\(error.problem)\n".utf8))
            return
        }
        switch request {
        case .help: then(Array(RequestLine.helpText.utf8))
        case .heart: then(Array("♥ and may nothing ever page you.\n".utf8))
        case .words(let asked): ask(asked, from: user) { then($0.bytes(inWordsTo: asked)) }
        case .program(let asked): ask(asked, from: user) { then($0.message.bytes + [10]) }
        }
    }

    private func ask(_ request: AgentRequest, from user: UInt32?, then: @escaping (AgentAnswer) -> Void) {
        let by = user.map(name) ?? "somebody"
        logger.debug("asked", metadata: ["request": "\(request.verb)", "by": "\(by)"])
        // Whatever comes first: the answer, or the end of our patience.
        let waiting = NIOLoopBoundBox<((AgentAnswer) -> Void)?>(then, eventLoop: eventLoop)
        let (eventLoop, limit) = (eventLoop, request == .testAlerts ? limits.test : limits.answer)
        let timer = eventLoop.scheduleTask(in: .init(limit)) {
            let then = waiting.value
            waiting.value = nil
            then?(.refused("the agent is too busy: it did not answer within \(limit.components.seconds) s"))
        }
        handler(request, by) { answer in
            eventLoop.execute {
                timer.cancel()
                let then = waiting.value
                waiting.value = nil
                then?(answer)
            }
        }
    }

    private func name(of user: UInt32) -> String {
        if let name = names[user] { return name }
        if names.count > 1000 { names = [:] }
        let name = userName(user) ?? "uid \(user)"
        names[user] = name
        return name
    }
}

extension AgentAnswer {
    /// As Inspeqtor's scripts expect it: `export` is JSON, all else text.
    fileprivate func bytes(inWordsTo request: AgentRequest) -> [UInt8] {
        if case .export = request, isGood { return json.bytes + [10] }
        return Array(text.utf8)
    }
}

/// Gathers a line, has it answered, and hangs up.
private final class LineHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let socket: AgentSocket
    private var line: [UInt8] = []
    private var isTaken = false
    private var timer: Scheduled<Void>?

    init(socket: AgentSocket) { self.socket = socket }

    func handlerAdded(context: ChannelHandlerContext) { wait(socket.limits.line, context) }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isTaken else { return }
        for byte in unwrapInboundIn(data).readableBytesView {
            if byte == 10 { return take(context) }
            line.append(byte)
            // One byte too many is a line that is refused in words; the rest of it is not gathered.
            if line.count > RequestLimits.line { return take(context) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        if line.isEmpty, !isTaken { context.close(promise: nil) } else { take(context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func take(_ context: ChannelHandlerContext) {
        guard !isTaken else { return }
        isTaken = true
        timer?.cancel()
        let channel = context.channel
        socket.answer(line, from: peer(of: channel)) { [weak self] bytes in
            guard let self, channel.isActive else { return }
            wait(socket.limits.reading, context)
            context.writeAndFlush(wrapOutboundOut(channel.allocator.buffer(bytes: bytes))).assumeIsolated().whenComplete { _ in
                context.close(promise: nil)
            }
        }
        line = []
    }

    private func wait(_ limit: Duration, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: .init(limit)) { channel.close(promise: nil) }
    }

    /// The user at the other end, as the kernel knows it.
    private func peer(of channel: any Channel) -> UInt32? {
        (channel as? any SocketOptionProvider)?.peer
    }
}

/// `struct ucred`.
private struct PeerCredentials: Sendable {
    var process: Int32 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
}

extension SocketOptionProvider {
    /// On the channel's own event loop the option is there at once.
    fileprivate var peer: UInt32? {
        var user: UInt32?
        let credentials: EventLoopFuture<PeerCredentials> = unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        credentials.assumeIsolated().whenSuccess { user = $0.user }
        return user
    }
}

private func userName(_ user: UInt32) -> String? {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var room = [CChar](repeating: 0, count: 16 << 10)
    guard getpwuid_r(user, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.pw_name else { return nil }
    return String(cString: name)
}
