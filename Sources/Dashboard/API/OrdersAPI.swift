// `POST /v1/orders` and `POST /v1/orders/answers`: where agents listen for orders that cannot wait for a report, and answer them.

import AgentAPI
import AggregatorCore
import Compression
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform
import ServiceLifecycle

struct OrdersAPI: Sendable {
    /// Of a question for orders.
    private static let mostCallBytes = 16 << 10

    let tokens: any AgentTokenStoring
    let board: OrderBoard
    let logger: Logger

    /// Answers when there is something to do, or after a while.
    func hand(_ request: Request, _ channel: any Channel) async throws(StoreError) -> Response {
        guard let agent = try await agent(request) else { return Self.unknownAgent }
        let board = board
        // Its end tells who listens: an agent that hangs up meanwhile is handed nothing, and gets its order with the next question.
        return Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody { writer in
                // An agent that has to try again loses nothing.
                try await withGracefulShutdownHandler {
                    let handout = try await request.body.consumeWithCancellationOnInboundClose { body in
                        var bytes = ByteBuffer()
                        for try await var piece in body {
                            guard bytes.readableBytes + piece.readableBytes <= Self.mostCallBytes else {
                                throw NIOTooManyBytesError(maxBytes: Self.mostCallBytes)
                            }
                            bytes.writeBuffer(&piece)
                        }
                        let handout = await board.call(try OrderCall(JSON(parsing: Array(bytes.readableBytesView))), of: agent)
                        try Task.checkCancellation()
                        return handout
                    }
                    try await writer.write(ByteBuffer(bytes: handout.json.bytes))
                } onGracefulShutdown: {
                    channel.close(promise: nil)
                }
                try await writer.finish(nil)
            })
    }

    func take(_ request: Request) async throws(StoreError) -> Response {
        guard let agent = try await agent(request) else { return Self.unknownAgent }
        let isPacked = request.headers[.contentEncoding]?.lowercased() == "gzip"
        let answers: OrderAnswers
        do {
            let body = Array(try await request.body.collect(upTo: OrderLine.bytes).readableBytesView)
            answers = try OrderAnswers(JSON(parsing: isPacked ? gunzip(body, limit: OrderLine.bytes) : body))
        } catch is NIOTooManyBytesError {
            return Self.tooLarge
        } catch GzipError.tooLarge {
            return Self.tooLarge
        } catch {
            logger.notice("answers of an agent refused", metadata: ["agent": "\(agent)", "error": "\(error)"])
            return DeploysAPI.refusal(.badRequest, "\(error)")
        }
        return DeploysAPI.json(.ok, board.take(answers.answers, from: agent).json)
    }

    private func agent(_ request: Request) async throws(StoreError) -> String? {
        guard let token = bearerToken(request) else { return nil }
        return try await tokens.agent(ofToken: digest(token))
    }

    private static var tooLarge: Response { DeploysAPI.refusal(.contentTooLarge, "the answers are larger than \(OrderLine.bytes) bytes") }

    private static var unknownAgent: Response {
        var response = DeploysAPI.refusal(.unauthorized, "unknown token, or its agent has not reported yet")
        response.headers[.wwwAuthenticate] = "Bearer"
        return response
    }
}
