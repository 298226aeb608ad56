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
        /// Bytes of a request without its body, and of that.
        var requestBytes = 16 << 10
        var bodyBytes = 0
        /// How long a connection may take until its request is there, and then again until it is answered.
        var time = Duration.seconds(10)
        /// How long whoever hears a long answer may leave off reading.
        var reading = Duration.seconds(30)
    }

    struct Place: Sendable {
        enum Site: Equatable, Sendable {
            case network(address: String, port: Int)
            case file(TalkerConfiguration.Socket)
        }

        var site: Site
        var tls: NIOSSLContext?
    }

    /// Who answers. Both are called on the event loop.
    struct Service {
        /// Looks at a request, and at the address that it comes from, before its body has come. An answer is all that it gets; otherwise it
        /// is taken.
        var admit: (HTTPRequestHead, _ address: String) -> Answer?
        var take: (HTTPExchange) -> Void
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

        /// For programs.
        init(_ status: HTTPResponseStatus, json: JSON, field: (name: String, value: String)? = nil) {
            self.init(status, json.text, contentType: "application/json", field: field)
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
    private let service: Service

    private var place: Place?
    private var listener: (any Channel)?
    private var file: SocketFile?
    private var retry: Scheduled<Void>?
    /// Numbers attempts to listen: an attempt that has been overtaken closes what it opened.
    private var attempt = 0
    private var hasFailed = false
    private var connections = 0

    init(_ name: String, limits: Limits, eventLoop: any EventLoop, logger: Logger, service: Service) {
        self.name = name
        self.limits = limits
        self.eventLoop = eventLoop
        self.logger = logger
        self.service = service
    }

    /// Where it listens at present.
    var address: SocketAddress? { listener?.localAddress }

    /// Listens as these settings say, or nowhere. An address that cannot be had is tried again for as long as it takes.
    func listen(_ new: Place?) {
        let isSamePlace = new?.site == place?.site
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
        file?.remove()
        file = nil
    }

    private func bind(wait: Duration) {
        guard let place else { return }
        let (attempt, limits) = (attempt, limits)
        let server = NIOLoopBound(self, eventLoop: eventLoop)
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let server = server.value
                    guard let patience = server.admit(channel) else { throw ChannelError.operationUnsupported }
                    if let tls = server.place?.tls {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    var decoding = NIOHTTPDecoderLimitConfiguration()
                    decoding.maxHeaderFieldSize = 8 << 10
                    decoding.maxHeaderListSize = limits.requestBytes
                    decoding.maxHeaderFieldCount = 64
                    try channel.pipeline.syncOperations.addHandlers([
                        RequestBound(limits.requestBytes + limits.bodyBytes), HTTPResponseEncoder(),
                        ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: decoding)),
                        AnsweringHandler(name: server.name, logger: server.logger, limits: limits, patience: patience, service: server.service),
                    ])
                }
            }
        let future: EventLoopFuture<any Channel>
        switch place.site {
        case .network(let address, let port):
            future = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(host: address, port: port)
        case .file(let socket):
            do throws(TalkerError) {
                try SocketFile(socket).prepare()
            } catch {
                return failed(because: error.problem, wait: wait)
            }
            future = bootstrap.bind(unixDomainSocketPath: socket.path)
        }
        future.assumeIsolated().whenComplete { [weak self] result in
            guard let self, attempt == self.attempt else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                return
            }
            switch result {
            case .success(let channel): opened(channel, wait: wait)
            case .failure(let error): failed(because: words(for: error), wait: wait)
            }
        }
    }

    private func opened(_ channel: any Channel, wait: Duration) {
        if case .file(let socket)? = place?.site {
            var file = SocketFile(socket)
            do throws(TalkerError) {
                try file.give()
            } catch {
                channel.close(promise: nil)
                return failed(because: error.problem, wait: wait)
            }
            self.file = file
        }
        listener = channel
        logger.notice("the \(name) listens", metadata: told)
    }

    private func failed(because why: String, wait: Duration) {
        if !hasFailed { logger.error("the \(name) cannot listen; it keeps trying", metadata: told.merging(["why": "\(why)"]) { $1 }) }
        hasFailed = true
        retry = eventLoop.assumeIsolated().scheduleTask(in: .init(wait)) { [weak self] in
            guard let self else { return }
            bind(wait: min(.seconds(60), wait * 2))
        }
    }

    private var told: Logger.Metadata {
        switch place?.site {
        case .network(let address, let port): ["address": "\(address)", "port": "\(port)"]
        case .file(let socket): ["socket": "\(socket.path)"]
        case nil: [:]
        }
    }

    /// Counts a connection in, if there is room for it, and ends it when its time is up.
    private func admit(_ channel: any Channel) -> Patience? {
        guard connections < limits.connections else {
            logger.debug("a connection was refused: there are too many", metadata: ["to": "\(name)"])
            return nil
        }
        connections += 1
        let patience = Patience(channel)
        patience.wait(limits.time)
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in
            patience.end()
            self?.connections -= 1
        }
        return patience
    }
}

/// Closes a connection when its time is up.
final class Patience {
    private let channel: any Channel
    private var timer: Scheduled<Void>?

    init(_ channel: any Channel) { self.channel = channel }

    func wait(_ time: Duration) {
        timer?.cancel()
        timer = channel.eventLoop.scheduleTask(in: .init(time)) { [channel] in channel.close(promise: nil) }
    }

    func end() {
        timer?.cancel()
        timer = nil
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

/// Has the first request of a connection answered, and hangs up.
private final class AnsweringHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum Stage {
        case head
        case body(HTTPRequestHead, [UInt8])
        case taken(HTTPExchange)
        /// Answered before all of the request was there: the rest is read, because a connection that is closed before loses its answer.
        case drained
        case over
    }

    private let name: String
    private let logger: Logger
    private let limits: HTTPListener.Limits
    private let patience: Patience
    private let service: HTTPListener.Service
    private var stage = Stage.head

    init(name: String, logger: Logger, limits: HTTPListener.Limits, patience: Patience, service: HTTPListener.Service) {
        self.name = name
        self.logger = logger
        self.limits = limits
        self.patience = patience
        self.service = service
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), stage) {
        case (.head(let head), .head): begin(head, context)
        case (.body(let part), .body(let head, var body)):
            guard body.count + part.readableBytes <= limits.bodyBytes else { return refuse(head, tooLong, context) }
            body += part.readableBytesView
            stage = .body(head, body)
        case (.end, .body(let head, let body)):
            let exchange = HTTPExchange(head: head, body: body, limits: limits, patience: patience, context: context)
            stage = .taken(exchange)
            patience.wait(limits.time * 2)
            service.take(exchange)
        case (.end, .drained):
            stage = .over
            context.close(promise: nil)
        default: break
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        if let answer = service.admit(head, context.remoteAddress?.ipAddress ?? "") { return refuse(head, answer, context) }
        if let length = head.headers["Content-Length"].first.flatMap({ Int($0) }), length > limits.bodyBytes {
            return refuse(head, tooLong, context)
        }
        stage = .body(head, [])
        if head.headers["Expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
    }

    private var tooLong: HTTPListener.Answer {
        HTTPListener.Answer(.payloadTooLarge, json: ["problem": .string("a request's body has at most \(limits.bodyBytes) bytes")])
    }

    private func refuse(_ head: HTTPRequestHead, _ answer: HTTPListener.Answer, _ context: ChannelHandlerContext) {
        let hasBody = head.headers.contains(name: "Transfer-Encoding") || head.headers["Content-Length"].contains { $0 != "0" }
        stage = hasBody ? .drained : .over
        HTTPExchange(head: head, body: [], limits: limits, patience: patience, context: context).answer(answer, closing: !hasBody)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .taken(let exchange) = stage { exchange.isGone() }
        stage = .over
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .taken(let exchange) = stage { exchange.writabilityChanged() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("a request failed", metadata: ["to": "\(name)", "why": "\(words(for: error))"])
        let answer: HTTPListener.Answer? =
            switch error {
            case is HTTPParserError: .broken
            case is RequestTooLong: HTTPListener.Answer(.requestHeaderFieldsTooLarge, "The request is too long.")
            default: nil
            }
        switch stage {
        case .head, .body:
            stage = .over
            guard let answer else { return context.close(promise: nil) }
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
            HTTPExchange(head: head, body: [], limits: limits, patience: patience, context: context).answer(answer)
        // What is said after a request that is being answered does not matter, as long as the connection lasts.
        case .taken where error is HTTPParserError: break
        case .over: break
        case .taken, .drained: context.close(promise: nil)
        }
    }
}
