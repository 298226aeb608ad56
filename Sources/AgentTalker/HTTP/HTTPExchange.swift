// A request that waits for its answer, and the way back.

import NIOCore
import NIOHTTP1
import Platform

/// One request over HTTP and its answer: at once, or line by line for as long as it takes. It lives on the event loop. What is said to
/// somebody who is gone is lost.
final class HTTPExchange {
    let head: HTTPRequestHead
    let body: [UInt8]
    /// Whoever asked has hung up before the answer was over.
    var gone: (() -> Void)?
    /// More can be sent again.
    var writable: (() -> Void)?

    private let limits: HTTPListener.Limits
    private let patience: Patience
    private let context: ChannelHandlerContext
    private var isOver = false
    private var isLong = false

    init(head: HTTPRequestHead, body: [UInt8], limits: HTTPListener.Limits, patience: Patience, context: ChannelHandlerContext) {
        self.head = head
        self.body = body
        self.limits = limits
        self.patience = patience
        self.context = context
    }

    private func part(_ part: HTTPServerResponsePart) -> NIOAny { NIOAny(part) }

    /// The whole answer.
    /// - Parameter closing: false: whoever calls closes the connection.
    func answer(_ answer: HTTPListener.Answer, closing: Bool = true) {
        guard !isOver, !isLong, context.channel.isActive else { return }
        isOver = true
        var fields: HTTPHeaders = [
            "Content-Type": answer.contentType, "Content-Length": "\(answer.body.utf8.count)", "Cache-Control": "no-store",
            "Connection": "close",
        ]
        if let (name, value) = answer.field { fields.add(name: name, value: value) }
        patience.wait(closing ? limits.time : min(limits.time, .seconds(2)))
        context.write(part(.head(HTTPResponseHead(version: .http1_1, status: answer.status, headers: fields))), promise: nil)
        if head.method != .HEAD {
            context.write(part(.body(.byteBuffer(context.channel.allocator.buffer(string: answer.body)))), promise: nil)
        }
        finish(closing: closing)
    }

    /// Begins an answer that takes as long as it takes.
    func begin(contentType: String) {
        guard !isOver, !isLong, context.channel.isActive else { return }
        isLong = true
        patience.end()
        let fields: HTTPHeaders = [
            "Content-Type": contentType, "Transfer-Encoding": "chunked", "Cache-Control": "no-store", "Connection": "close",
            "X-Accel-Buffering": "no",
        ]
        context.writeAndFlush(part(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: fields))), promise: nil)
    }

    /// Whether what is sent now goes out soon.
    var isWritable: Bool { context.channel.isWritable }

    func send(_ bytes: [UInt8]) {
        guard isLong, !isOver, context.channel.isActive else { return }
        context.writeAndFlush(part(.body(.byteBuffer(context.channel.allocator.buffer(bytes: bytes)))), promise: nil)
    }

    /// The end of a long answer.
    func end() {
        guard isLong, !isOver, context.channel.isActive else { return }
        isOver = true
        patience.wait(limits.reading)
        finish(closing: true)
    }

    private func finish(closing: Bool) {
        (gone, writable) = (nil, nil)
        let written = context.writeAndFlush(part(.end(nil)))
        if closing { written.assumeIsolated().whenComplete { [context] _ in context.close(promise: nil) } }
    }

    // MARK: What happens to the connection

    func isGone() {
        isOver = true
        let gone = gone
        (self.gone, writable) = (nil, nil)
        gone?()
    }

    func writabilityChanged() {
        guard isLong, !isOver else { return }
        if isWritable {
            patience.end()
            writable?()
        } else {
            // Who does not read for so long will not read any more.
            patience.wait(limits.reading)
        }
    }
}
