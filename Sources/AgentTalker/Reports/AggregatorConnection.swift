// One HTTP/1.1 connection to the aggregator, made when it is needed and kept while it lives.

import AgentCore
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Platform

/// What a server answered.
struct HTTPAnswer: Equatable {
    var status: Int
    var body: [UInt8]
}

/// An exchange without an answer: why, in words for a person.
struct ConnectionFailure: Error, Equatable {
    var why: String
}

/// Posts bodies, one at a time. Its names are looked up on a thread of NIO's; all else happens on the event loop.
final class AggregatorConnection {
    /// Answers to reports are a few bytes; whoever sends more is no aggregator.
    static let answerLimit = 64 << 10

    private let aggregator: CheckedConfiguration.Aggregator
    private let userAgent: String
    private let eventLoop: any EventLoop
    private let answerLimit: Int
    private var channel: (any Channel)?
    private var exchange: Exchange?

    private struct Exchange {
        var number: UInt64
        var path: String
        var body: [UInt8]
        var isPacked: Bool
        var deadline: Scheduled<Void>
        /// Whether it went over a connection that had been used before, which the other side may have closed meanwhile.
        var isReusing: Bool
        var then: (Result<HTTPAnswer, ConnectionFailure>) -> Void
    }

    private var exchanges: UInt64 = 0

    init(
        to aggregator: CheckedConfiguration.Aggregator, userAgent: String, answerLimit: Int = AggregatorConnection.answerLimit,
        eventLoop: any EventLoop
    ) {
        self.aggregator = aggregator
        self.answerLimit = answerLimit
        self.userAgent = userAgent
        self.eventLoop = eventLoop
    }

    /// Posts a body and answers once. Connecting, TLS and the answer together take no longer than `deadline`.
    /// - Parameter isPacked: whether the body is gzip.
    func post(
        _ body: [UInt8], to path: String = "/v1/reports", isPacked: Bool, deadline: TimeAmount,
        then: @escaping (Result<HTTPAnswer, ConnectionFailure>) -> Void
    ) {
        exchanges += 1
        let number = exchanges
        let timer = eventLoop.assumeIsolated().scheduleTask(in: deadline) { [weak self] in
            guard let self else { return }
            end(number, with: .failure(ConnectionFailure(why: "no answer within \(deadline.nanoseconds / 1_000_000) ms")), closing: true)
        }
        exchange = Exchange(number: number, path: path, body: body, isPacked: isPacked, deadline: timer, isReusing: false, then: then)
        if let channel, channel.isActive {
            exchange?.isReusing = true
            transmit(number, over: channel)
        } else {
            connect(number)
        }
    }

    /// Gives up what is under way, without an answer, and hangs up.
    func close() {
        exchange?.deadline.cancel()
        exchange = nil
        channel?.close(promise: nil)
        channel = nil
    }

    private func connect(_ number: UInt64) {
        let (tls, host, answerLimit) = (aggregator.tls, aggregator.address.host, answerLimit)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(10))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        // Names go into SNI and are checked against the certificate; of an address, NIOSSL checks the connected peer's.
                        let handler = try NIOSSLClientHandler(context: tls, serverHostname: isIPAddress(host) ? nil : host)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(AnswerCollector(limit: answerLimit))
                }
            }
            .connect(host: host, port: aggregator.address.port)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                switch result {
                case .failure(let error): self?.end(number, with: .failure(ConnectionFailure(why: words(for: error))), closing: true)
                case .success(let channel):
                    guard let self, exchange?.number == number else {
                        channel.close(promise: nil)
                        return
                    }
                    self.channel = channel
                    transmit(number, over: channel)
                }
            }
    }

    private func transmit(_ number: UInt64, over channel: any Channel) {
        guard let exchange, let collector = try? channel.pipeline.syncOperations.handler(type: AnswerCollector.self) else {
            end(number, with: .failure(ConnectionFailure(why: "the connection was closed")), closing: true)
            return
        }
        var fields: HTTPHeaders = [
            "Host": aggregator.address.hostField, "Authorization": aggregator.authorization.reveal(), "Content-Type": "application/json",
            "Content-Length": "\(exchange.body.count)", "Accept": "application/json", "User-Agent": userAgent,
        ]
        if exchange.isPacked { fields.add(name: "Content-Encoding", value: "gzip") }
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: aggregator.address.path + exchange.path, headers: fields)
        collector.send(head, body: channel.allocator.buffer(bytes: exchange.body)) { [weak self] result in
            switch result {
            case .success(let (answer, isLast)): self?.end(number, with: .success(answer), closing: isLast)
            case .failure(let failure): self?.broke(number, failure)
            }
        }
    }

    private func broke(_ number: UInt64, _ failure: ConnectionFailure) {
        guard exchange?.number == number else { return }
        guard exchange?.isReusing == true else {
            end(number, with: .failure(failure), closing: true)
            return
        }
        // The other side closed the idle connection just before we used it: that says nothing about a new one. An aggregator that
        // has stored the report all the same knows its events by their numbers.
        exchange?.isReusing = false
        channel?.close(promise: nil)
        channel = nil
        connect(number)
    }

    private func end(_ number: UInt64, with result: Result<HTTPAnswer, ConnectionFailure>, closing: Bool) {
        guard let ended = exchange, ended.number == number else { return }
        exchange = nil
        ended.deadline.cancel()
        if closing {
            channel?.close(promise: nil)
            channel = nil
        }
        ended.then(result)
    }
}

/// Sends one request at a time and gathers the answer.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart
    /// The answer, and whether the connection ends with it.
    typealias Then = (Result<(answer: HTTPAnswer, isLast: Bool), ConnectionFailure>) -> Void

    private let limit: Int
    private var context: ChannelHandlerContext?
    private var then: Then?
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    func send(_ head: HTTPRequestHead, body: ByteBuffer, then: @escaping Then) {
        guard let context, context.channel.isActive else {
            then(.failure(ConnectionFailure(why: "the connection was closed")))
            return
        }
        self.then = then
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let part):
            guard body.count + part.readableBytes <= limit else {
                fail(context, "its answer is longer than \(limit) bytes")
                return
            }
            body += part.readableBytesView
        case .end:
            guard let head else { return }
            let answer = HTTPAnswer(status: Int(head.status.code), body: body)
            self.head = nil
            body = []
            guard let then = take() else {
                context.close(promise: nil)  // an answer that nobody asked for
                return
            }
            then(.success((answer, !head.isKeepAlive)))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context, words(for: error)) }

    func channelInactive(context: ChannelHandlerContext) {
        take()?(.failure(ConnectionFailure(why: "the connection was closed before the answer came")))
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ why: String) {
        let then = take()
        context.close(promise: nil)
        then?(.failure(ConnectionFailure(why: why)))
    }

    private func take() -> Then? {
        defer { then = nil }
        return then
    }
}

/// An error of NIO in one short line.
func words(for error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
        if let failure = error.connectionErrors.first { return words(for: failure.error) }
        return "the name \(error.host) cannot be resolved"
    case let error as IOError: return error.errnoCode == 0 ? "\(error)" : String(cString: strerror(error.errnoCode))
    case ChannelError.connectTimeout: return "no connection within 10 s"
    case let error as NIOSSLExtraError where error == .failedToValidateHostname: return "its certificate is for another name"
    case NIOSSLError.handshakeFailed(let cause):
        let detail = "\(cause)"
        return detail.contains("CERTIFICATE_VERIFY_FAILED") ? "its certificate is not trusted" : "TLS failed: \(detail)"
    case is HTTPParserError: return "its answer is not HTTP/1.1"
    default: return "\(error)"
    }
}
