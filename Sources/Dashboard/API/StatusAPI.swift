// `GET /status/`: whether the aggregator does its work, for whoever watches it, without a login.

import AggregatorCore
import Hummingbird
import Logging
import NIOCore
import Platform

/// Answers `Checks running` or `Checks not running`, and nothing else.
struct StatusAPI: Sendable {
    let health: any HealthReading
    let logger: Logger

    func answer(at now: Timestamp) async -> Response {
        let isRunning: Bool
        do {
            isRunning = try await health.health(at: now).isRunning
        } catch {
            // Who cannot read whether checks run cannot say that they do.
            logger.error("health could not be read", metadata: ["error": "\(error)"])
            isRunning = false
        }
        return Response(
            status: isRunning ? .ok : .serviceUnavailable,
            headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: isRunning ? "Checks running" : "Checks not running")))
    }
}
