// A small HTTP server: one request a connection, and bounds on all that a stranger can make it do.

import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Platform

/// Listens at one address and has requests answered. It lives on the event loop.
final class HTTPListener {
    struct Limits: Sendable {
        var connections = 32
        /// Bytes of a request, all in all.
        var requestBytes = 16 << 10
        /// How long a connection may take, all in all.
        var time = Duration.seconds(10)
    }

    struct Place: Sendable {
        var address: String
        var port: Int
        var tls: NIOSSLContext?
    }

    struct Answer: Equatable {
        var status: HTTPResponseStatus
        var body: String
        var contentType: String
        var field: (name: String, value: String)?

        init(
            _ status: HTTPResponseStatus, _ body: String, contentType: String = "text/plain; charset=us-ascii",
            field: (name: String, value: String)? = nil
        ) {
            self.status = status
            self.body = body
            self.contentType = contentType
            self.field = field
        }

        static func == (a: Answer, b: Answer) -> Bool {
            a.status == b.status && a.body == b.body && a.contentType == b.contentType && a.field?.name == b.field?.name
                && a.field?.value == b.field?.value
        }

        static let broken = Answer(.badRequest, "This is not a request that can be understood.")
        static let unauthorized = Answer(
            .unauthorized, "User and password, please.", field: ("WWW-Authenticate", "Basic realm=\"rollcall\", charset=\"UTF-8\""))
        static let tooManyFailures = Answer(.tooManyRequests, "Too many failed logins; try again in a second.", field: ("Retry-After", "1"))
    }

    /// As logs call it: `deploy endpoint`.
    private let name: String
    private let limits: Limits
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let answer: (HTTPRequestHead) -> Answer

    private var place: Place?
    private var listener: (any Channel)?
    private var retry: Scheduled<Void>?
    /// Numbers attempts to listen: an attempt that has been overtaken closes what it opened.
    private var attempt = 0
    private var hasFailed = false
    private var connections = 0

    init(
        _ name: String, limits: Limits, eventLoop: any EventLoop, logger: Logger, answer: @escaping (HTTPRequestHead) -> Answer
    ) {
        self.name = name
        self.limits = limits
        self.eventLoop = eventLoop
        self.logger = logger
        self.answer = answer
    }

    /// Where it listens at present.
    var address: SocketAddress? { listener?.localAddress }

    /// Listens as these settings say, or nowhere. An address that cannot be had is tried again for as long as it takes.
    func listen(_ new: Place?) {
        let isSamePlace = new?.address == place?.address && new?.port == place?.port
        place = new
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
        guard let place else { return }
        let (attempt, limits, logger) = (attempt, limits, logger)
        let server = NIOLoopBound(self, eventLoop: eventLoop)
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let server = server.value
                    guard server.admit(channel) else { throw ChannelError.operationUnsupported }
                    if let tls = server.place?.tls {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    var decoding = NIOHTTPDecoderLimitConfiguration()
                    decoding.maxHeaderFieldSize = 8 << 10
                    decoding.maxHeaderListSize = limits.requestBytes
                    decoding.maxHeaderFieldCount = 64
                    try channel.pipeline.syncOperations.addHandlers([
                        RequestBound(limits.requestBytes), HTTPResponseEncoder(),
                        ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: decoding)),
                        AnsweringHandler(name: server.name, logger: logger, answer: server.answer),
                    ])
                }
            }
            .bind(host: place.address, port: place.port)
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
        let told: Logger.Metadata = ["address": "\(self.place?.address ?? "")", "port": "\(self.place?.port ?? 0)"]
        switch result {
        case .success(let channel):
            listener = channel
            logger.notice("the \(name) listens", metadata: told)
        case .failure(let error):
            if !hasFailed {
                logger.error("the \(name) cannot listen; it keeps trying", metadata: told.merging(["why": "\(words(for: error))"]) { $1 })
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
        guard connections < limits.connections else {
            logger.debug("a connection was refused: there are too many", metadata: ["to": "\(name)"])
            return false
        }
        connections += 1
        let timer = eventLoop.assumeIsolated().scheduleTask(in: .init(limits.time)) { channel.close(promise: nil) }
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in
            timer.cancel()
            self?.connections -= 1
        }
        return true
    }
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
private final class AnsweringHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let name: String
    private let logger: Logger
    private let answer: (HTTPRequestHead) -> HTTPListener.Answer
    private var hasAnswered = false

    init(name: String, logger: Logger, answer: @escaping (HTTPRequestHead) -> HTTPListener.Answer) {
        self.name = name
        self.logger = logger
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing that is answered here has a body that counts.
        guard case .head(let head) = unwrapInboundIn(data), !hasAnswered else { return }
        respond(answer(head), isHead: head.method == .HEAD, context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("a request failed", metadata: ["to": "\(name)", "why": "\(words(for: error))"])
        guard !hasAnswered else { return }
        switch error {
        case is HTTPParserError: respond(.broken, isHead: false, context)
        case is RequestTooLong: respond(HTTPListener.Answer(.requestHeaderFieldsTooLarge, "The request is too long."), isHead: false, context)
        default: context.close(promise: nil)
        }
    }

    private func respond(_ answer: HTTPListener.Answer, isHead: Bool, _ context: ChannelHandlerContext) {
        hasAnswered = true
        var fields: HTTPHeaders = [
            "Content-Type": answer.contentType, "Content-Length": "\(answer.body.utf8.count)", "Cache-Control": "no-store",
            "Connection": "close",
        ]
        if let (name, value) = answer.field { fields.add(name: name, value: value) }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: answer.status, headers: fields))), promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: answer.body)))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}
