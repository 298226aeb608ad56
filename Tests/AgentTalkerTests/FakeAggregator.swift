// An aggregator that does what a test wants, over real sockets.

import AgentAPI
import Compression
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Platform
import Synchronization

/// Stores events as an aggregator should, each number once; answers as it is told to.
final class FakeAggregator: Sendable {
    enum Behaviour: Sendable {
        /// Stores the events and acknowledges them.
        case well
        /// Stores and acknowledges only events up to this number.
        case until(UInt64)
        case status(Int, String)
        /// Stores the events, but the answer never comes: the connection is closed.
        case dropAfterStoring
        case drop
        /// Stores nothing and says nothing.
        case hang
        case body(String)
        /// Answers well and closes the connection without saying so.
        case wellThenClose
    }

    struct Request: Sendable {
        var path: String
        var fields: [String: String]
        /// Of the body as it came.
        var size: Int
        var report: Report?
        /// What the aggregator has after it; `nil` when the report was relative to something else.
        var state: ReportedState?
        /// Which connection it came over, in the order of their beginning.
        var connection: Int
    }

    private struct State {
        var behave: @Sendable (_ request: Int, _ report: Report) -> Behaviour = { _, _ in .well }
        var requests: [Request] = []
        var stored: [Event] = []
        var repeated = 0
        var connections = 0
        var state: ReportedState?
        var orders: [AgentOrder] = []
        var results: [OrderResult] = []
        var unpacks = true
        var line: [AgentOrder] = []
        var over: Set<String> = []
        var calls: [OrderCall] = []
        var answers: [OrderAnswer] = []
    }

    private let state = Mutex(State())
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    let port: Int

    var requests: [Request] { state.withLock { $0.requests } }
    /// The events in the order in which they came, without repetitions.
    var stored: [Event] { state.withLock { $0.stored } }
    /// What became of orders.
    var results: [OrderResult] { state.withLock { $0.results } }

    /// Sends these with every answer, as an aggregator does until it has their results.
    func order(_ orders: [AgentOrder]) { state.withLock { $0.orders = orders } }

    /// Hands these out on the line of orders, which this aggregator answers at once in any case.
    func orderOnTheLine(_ orders: [AgentOrder]) { state.withLock { $0.line = orders } }
    /// Nobody wants to hear of this order any more.
    func endOnTheLine(_ id: String) { state.withLock { _ = $0.over.insert(id) } }
    /// What agents asked and said on it.
    var calls: [OrderCall] { state.withLock { $0.calls } }
    var answers: [OrderAnswer] { state.withLock { $0.answers } }

    /// Forgets how hosts are, as another database would.
    func forgetState() { state.withLock { $0.state = nil } }

    /// Refuses what is packed, as something old would.
    func unpackNothing() { state.withLock { $0.unpacks = false } }

    var connections: Int { state.withLock { $0.connections } }

    init(port: Int = 0, tls: NIOSSLContext? = nil, behave: (@Sendable (_ request: Int, _ report: Report) -> Behaviour)? = nil) throws {
        let box = Mutex<FakeAggregator?>(nil)
        let answer: @Sendable (HTTPRequestHead, [UInt8], Int) -> Behaviour? = { head, body, connection in
            box.withLock { $0 }?.answer(head, body, connection)
        }
        let count: @Sendable () -> Int = {
            box.withLock { $0 }?.state.withLock { state in
                state.connections += 1
                return state.connections
            } ?? 0
        }
        channel = try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(connection: count(), answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: port).wait()
        self.port = channel.localAddress?.port ?? 0
        if let behave { state.withLock { $0.behave = behave } }
        box.withLock { $0 = self }
    }

    func behave(_ behave: @escaping @Sendable (_ request: Int, _ report: Report) -> Behaviour) { state.withLock { $0.behave = behave } }

    func stop() { try? group.syncShutdownGracefully() }

    private func answer(_ head: HTTPRequestHead, _ body: [UInt8], _ connection: Int) -> Behaviour {
        state.withLock { state in
            let fields = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
            let isPacked = fields["content-encoding"] == "gzip"
            let content = isPacked ? (try? gunzip(body, limit: ReportLimits.bytes)) ?? [] : body
            if head.uri == OrderLine.callPath || head.uri == OrderLine.answersPath { return answerOnTheLine(head, content, &state) }
            let report = isPacked && !state.unpacks ? nil : (try? JSON(parsing: content)).flatMap { try? Report($0) }
            let isRepeated = report != nil && report?.snapshot == state.state?.snapshot
            let applied = isRepeated ? state.state : report.flatMap { $0.applied(to: state.state) }
            state.requests.append(
                Request(path: head.uri, fields: fields, size: body.count, report: report, state: applied, connection: connection))
            if isPacked, !state.unpacks { return .status(415, "{\"error\":\"unknown encoding\"}") }
            guard let report else { return .status(400, "{\"error\":\"not a report\"}") }
            let behaviour = state.behave(state.requests.count, report)
            let limit: UInt64
            switch behaviour {
            case .well, .dropAfterStoring, .wellThenClose: limit = .max
            case .until(let number): limit = number
            case .status, .drop, .hang, .body: return behaviour
            }
            for event in report.events where event.sequence <= limit {
                if event.sequence > state.stored.last?.sequence ?? 0 { state.stored.append(event) } else { state.repeated += 1 }
            }
            if let applied { state.state = applied }
            state.results += report.results
            if case .dropAfterStoring = behaviour { return .drop }
            let acknowledgement = Acknowledgement(
                sequence: state.stored.last?.sequence ?? 0, snapshot: state.state?.snapshot, resync: applied == nil, orders: state.orders
            ).json.text
            if case .wellThenClose = behaviour { return .body("close" + acknowledgement) }
            return .body(acknowledgement)
        }
    }

    private func answerOnTheLine(_ head: HTTPRequestHead, _ content: [UInt8], _ state: inout State) -> Behaviour {
        guard let json = try? JSON(parsing: content) else { return .status(400, "{}") }
        var handout = OrderHandout()
        if let call = try? OrderCall(json) {
            state.calls.append(call)
            let finished = state.answers.filter(\.isFinal).map(\.id)
            handout.orders = state.line.filter { !call.underWay.contains($0.id) && !finished.contains($0.id) && !state.over.contains($0.id) }
            handout.over = call.underWay.filter(state.over.contains)
        } else if let answers = try? OrderAnswers(json) {
            state.answers += answers.answers
        }
        return .body(handout.json.text)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        let connection: Int
        let answer: @Sendable (HTTPRequestHead, [UInt8], Int) -> Behaviour?
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(connection: Int, answer: @escaping @Sendable (HTTPRequestHead, [UInt8], Int) -> Behaviour?) {
            self.connection = connection
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let part): body += part.readableBytesView
            case .end:
                guard let head else { return }
                let behaviour = answer(head, body, connection)
                body = []
                switch behaviour {
                case .status(let status, let text): respond(context, status, text)
                case .body(let text) where text.hasPrefix("close"):
                    respond(context, 200, String(text.dropFirst(5)))
                    context.close(promise: nil)
                case .body(let text): respond(context, 200, text)
                case .hang, nil: break
                default: context.close(promise: nil)
                }
            }
        }

        private func respond(_ context: ChannelHandlerContext, _ status: Int, _ text: String) {
            let head = HTTPResponseHead(
                version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: ["Content-Length": "\(text.utf8.count)"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: text)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
