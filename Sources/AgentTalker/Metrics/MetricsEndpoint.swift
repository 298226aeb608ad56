// Serves the last snapshot's metrics to scrapers.

import AgentCore
import Logging
import NIOCore
import NIOHTTP1
import Platform

/// `GET /metrics`, with basic authentication where the configuration asks for it. It lives on the event loop.
final class MetricsEndpoint {
    private let time: any TimeSource
    private let own: () -> OwnMetrics
    private var login = BasicLogin(failuresPerSecond: 10)
    private var credential: Secret?
    private var snapshot: Snapshot?
    private var listener: HTTPListener?

    init(time: any TimeSource, eventLoop: any EventLoop, logger: Logger, own: @escaping () -> OwnMetrics) {
        self.time = time
        self.own = own
        listener = HTTPListener(
            "metrics endpoint", limits: HTTPListener.Limits(), eventLoop: eventLoop, logger: logger,
            service: .init(admit: { [unowned self] in answer(to: $0, from: $1) }, take: { _ in }))
    }

    var address: SocketAddress? { listener?.address }

    func listen(_ settings: CheckedConfiguration.Metrics?) {
        credential = settings?.credential
        listener?.listen(settings?.place)
    }

    func close() { listener?.close() }

    func update(_ snapshot: Snapshot) { self.snapshot = snapshot }

    private func answer(to head: HTTPRequestHead, from address: String) -> HTTPListener.Answer {
        if let credential {
            switch login.verdict(on: head, from: address, credential: credential, at: time.now().uptime) {
            case .known: break
            case .unknown: return .unauthorized
            case .tooManyFailures: return .tooManyFailures
            }
        }
        guard head.method == .GET || head.method == .HEAD else {
            return HTTPListener.Answer(.methodNotAllowed, "Only GET and HEAD are answered here.", field: ("Allow", "GET, HEAD"))
        }
        guard head.uri.prefix(while: { $0 != "?" }) == "/metrics" else {
            return HTTPListener.Answer(.notFound, "There is nothing here; ask for /metrics.")
        }
        let isOpenMetrics = head.headers["Accept"].contains { $0.contains("application/openmetrics-text") }
        return HTTPListener.Answer(
            .ok, PrometheusText.text(of: snapshot, own(), dialect: isOpenMetrics ? .openMetrics : .prometheus),
            contentType: isOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8")
    }
}
