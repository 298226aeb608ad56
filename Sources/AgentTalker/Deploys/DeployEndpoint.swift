// Answers over HTTP which deploy token a unit's main process carries.

import AgentCore
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Platform

/// `GET /about/deploy/UNIT` with basic authentication, in plain text: exactly the token that the unit's main process was started
/// with, or a word that is no token: `none`, `down`. One request a connection.
///
/// It lives on the event loop. What a stranger can make it do is bounded: connections, bytes and time of each, guesses a second.
final class DeployEndpoint {
    struct Limits: Sendable {
        var connections = 32
        /// Bytes of a request, all in all.
        var requestBytes = 16 << 10
        /// How long a connection may take, all in all.
        var time = Duration.seconds(10)
        var failuresPerSecond = 10
    }

    private let tokens: DeployTokens
    private let time: any TimeSource
    private let limits: Limits
    private let eventLoop: any EventLoop
    private let logger: Logger

    private var settings: CheckedConfiguration.Endpoint?
    private var listener: (any Channel)?
    private var retry: Scheduled<Void>?
    /// Numbers attempts to listen: an attempt that has been overtaken closes what it opened.
    private var attempt = 0
    private var hasFailed = false
    private var connections: [ObjectIdentifier: any Channel] = [:]
    private var failures: FailureLimit

    init(tokens: DeployTokens, time: any TimeSource, limits: Limits = Limits(), eventLoop: any EventLoop, logger: Logger) {
        self.tokens = tokens
        self.time = time
        self.limits = limits
        self.eventLoop = eventLoop
        self.logger = logger
        failures = FailureLimit(perSecond: limits.failuresPerSecond)
    }

    /// Where it listens at present.
    var address: SocketAddress? { listener?.localAddress }

    /// Listens as these settings say, or nowhere. An address that cannot be had is tried again for as long as it takes.
    func listen(_ new: CheckedConfiguration.Endpoint?) {
        let isSamePlace = new?.address == settings?.address && new?.port == settings?.port
        settings = new
        // Credentials and certificates count from the next connection on.
        if isSamePlace, listener != nil { return }
        close()
        guard new != nil else { return }
        hasFailed = false
        bind(wait: .seconds(1))
    }

    /// Stops to listen; requests that are being answered are.
    func close() {
        attempt += 1
        retry?.cancel()
        retry = nil
        listener?.close(promise: nil)
        listener = nil
    }

    private func bind(wait: Duration) {
        guard let settings else { return }
        let (attempt, limits, logger) = (attempt, limits, logger)
        let endpoint = NIOLoopBound(self, eventLoop: eventLoop)
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let endpoint = endpoint.value
                    guard endpoint.admit(channel) else { throw ChannelError.operationUnsupported }
                    if let tls = endpoint.settings?.tls {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    var decoding = NIOHTTPDecoderLimitConfiguration()
                    decoding.maxHeaderFieldSize = 8 << 10
                    decoding.maxHeaderListSize = limits.requestBytes
                    decoding.maxHeaderFieldCount = 64
                    try channel.pipeline.syncOperations.addHandlers([
                        RequestBound(limits.requestBytes), HTTPResponseEncoder(),
                        ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: decoding)),
                        RequestHandler(endpoint: endpoint, logger: logger),
                    ])
                }
            }
            .bind(host: settings.address, port: settings.port)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, attempt == self.attempt else {
                    if case .success(let channel) = result { channel.close(promise: nil) }
                    return
                }
                bound(result, wait: wait)
            }
    }

    private func bound(_ result: Result<any Channel, any Error>, wait: Duration) {
        let place: Logger.Metadata = ["address": "\(settings?.address ?? "")", "port": "\(settings?.port ?? 0)"]
        switch result {
        case .success(let channel):
            listener = channel
            logger.notice("the deploy endpoint listens", metadata: place)
        case .failure(let error):
            if !hasFailed {
                logger.error("the deploy endpoint cannot listen; it keeps trying", metadata: place.merging(["why": "\(words(for: error))"]) { $1 })
            }
            hasFailed = true
            retry = eventLoop.assumeIsolated().scheduleTask(in: .init(wait)) { [weak self] in
                guard let self else { return }
                bind(wait: min(.seconds(60), wait * 2))
            }
        }
    }

    /// Counts a connection in, if there is room for it, and ends it when its time is up.
    private func admit(_ channel: any Channel) -> Bool {
        guard connections.count < limits.connections else {
            logger.debug("a connection to the deploy endpoint was refused: there are too many")
            return false
        }
        let id = ObjectIdentifier(channel)
        connections[id] = channel
        let timer = eventLoop.assumeIsolated().scheduleTask(in: .init(limits.time)) { channel.close(promise: nil) }
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in
            timer.cancel()
            self?.connections[id] = nil
        }
        return true
    }

    // MARK: Answering

    struct Answer: Equatable {
        var status: HTTPResponseStatus
        var body: String
        var field: (name: String, value: String)?

        init(_ status: HTTPResponseStatus, _ body: String, field: (name: String, value: String)? = nil) {
            self.status = status
            self.body = body
            self.field = field
        }

        static func == (a: Answer, b: Answer) -> Bool {
            a.status == b.status && a.body == b.body && a.field?.name == b.field?.name && a.field?.value == b.field?.value
        }

        static let broken = Answer(.badRequest, "This is not a request that can be understood.")
    }

    fileprivate func answer(to head: HTTPRequestHead) -> Answer {
        let now = time.now()
        guard let settings else { return Answer(.serviceUnavailable, "This endpoint is closing.") }
        // Also with the right password: else a guesser would not be slowed down.
        guard !failures.isReached(at: now.uptime) else {
            return Answer(.tooManyRequests, "Too many failed logins; try again in a second.", field: ("Retry-After", "1"))
        }
        let authorization = head.headers["Authorization"]
        guard authorization.count == 1, let credential = basicCredential(authorization[0]), settings.credential.matches(credential) else {
            // Asking without a password is how some clients find out that they need one; it guesses nothing.
            if !authorization.isEmpty { failures.failed(at: now.uptime) }
            return Answer(.unauthorized, "User and password, please.", field: ("WWW-Authenticate", "Basic realm=\"rollcall\", charset=\"UTF-8\""))
        }
        guard head.method == .GET || head.method == .HEAD else {
            return Answer(.methodNotAllowed, "Only GET and HEAD are answered here.", field: ("Allow", "GET, HEAD"))
        }
        let path = head.uri.prefix { $0 != "?" }
        guard path.hasPrefix("/about/deploy/"), path.utf8.count > 14 else {
            return Answer(.notFound, "There is nothing here; ask for /about/deploy/UNIT.")
        }
        guard let unit = percentDecoded(path.dropFirst(14)) else { return .broken }
        switch tokens.answer(for: unit, now: now) {
        case .token(let token): return Answer(.ok, token)
        case .none: return Answer(.ok, "none")
        case .down: return Answer(.ok, "down")
        case .unwatched: return Answer(.notFound, "No unit of this name is watched here.")
        }
    }
}

/// What comes after `Basic `.
private func basicCredential(_ authorization: String) -> Substring.UTF8View? {
    guard authorization.prefix(6).lowercased() == "basic " else { return nil }
    return authorization.dropFirst(6).drop { $0 == " " }.utf8
}

/// `nil` for a percent sign without two hex digits, and for what is not UTF-8.
func percentDecoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
}

/// Hangs up on a request that does not end.
private final class RequestBound: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var left: Int

    init(_ bytes: Int) { left = bytes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        left -= unwrapInboundIn(data).readableBytes
        guard left >= 0 else {
            context.fireErrorCaught(RequestTooLong())
            return
        }
        context.fireChannelRead(data)
    }
}

private struct RequestTooLong: Error {}

/// Answers the first request of a connection and hangs up.
private final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let endpoint: DeployEndpoint
    private let logger: Logger
    private var hasAnswered = false

    init(endpoint: DeployEndpoint, logger: Logger) {
        self.endpoint = endpoint
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing that is answered here has a body that counts.
        guard case .head(let head) = unwrapInboundIn(data), !hasAnswered else { return }
        respond(endpoint.answer(to: head), isHead: head.method == .HEAD, context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("a request to the deploy endpoint failed", metadata: ["why": "\(words(for: error))"])
        guard !hasAnswered else { return }
        switch error {
        case is HTTPParserError: respond(.broken, isHead: false, context)
        case is RequestTooLong: respond(DeployEndpoint.Answer(.requestHeaderFieldsTooLarge, "The request is too long."), isHead: false, context)
        default: context.close(promise: nil)
        }
    }

    private func respond(_ answer: DeployEndpoint.Answer, isHead: Bool, _ context: ChannelHandlerContext) {
        hasAnswered = true
        var fields: HTTPHeaders = [
            "Content-Type": "text/plain; charset=us-ascii", "Content-Length": "\(answer.body.utf8.count)", "Cache-Control": "no-store",
            "Connection": "close",
        ]
        if let (name, value) = answer.field { fields.add(name: name, value: value) }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: answer.status, headers: fields))), promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: answer.body)))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}
