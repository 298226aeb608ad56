// Where the agent is asked about deploys: at an address and, on its host, over a socket.

import AgentCore
import Logging
import NIOCore
import NIOHTTP1
import Platform

/// The same pages at two places: at an address for whoever knows user and password, and on a Unix socket for whoever may open it.
/// It lives on the event loop.
final class DeployEndpoint {
    struct Limits: Sendable {
        var listener = HTTPListener.Limits(connections: 64, bodyBytes: 64 << 10)
        var pages = DeployPages.Limits()
        var failuresPerSecond = 10
    }

    private let time: any TimeSource
    private let pages: DeployPages
    private var login: BasicLogin
    private var settings: CheckedConfiguration.Endpoint?
    private var listener: HTTPListener?
    private var socket: HTTPListener?

    init(deploys: DeployThread, time: any TimeSource, limits: Limits, eventLoop: any EventLoop, logger: Logger) {
        self.time = time
        pages = DeployPages(deploys: deploys, limits: limits.pages, eventLoop: eventLoop, logger: logger)
        login = BasicLogin(failuresPerSecond: limits.failuresPerSecond)
        listener = HTTPListener(
            "deploy endpoint", limits: limits.listener, eventLoop: eventLoop, logger: logger,
            service: pages.service { [unowned self] head, address in answer(to: head, from: address) })
        socket = HTTPListener(
            "deploy socket", limits: limits.listener, eventLoop: eventLoop, logger: logger, service: pages.service { _, _ in nil })
    }

    /// Where it listens at present.
    var address: SocketAddress? { listener?.address }
    var isSocketOpen: Bool { socket?.address != nil }

    /// Listens as these settings say, or nowhere. Credentials and certificates count from the next connection on.
    func listen(_ new: CheckedConfiguration.Endpoint?, socket file: TalkerConfiguration.Socket?) {
        settings = new
        listener?.listen(new?.place)
        socket?.listen(file.map { HTTPListener.Place(site: .file($0)) })
    }

    /// Stops to listen; requests that are being answered are.
    func close() {
        listener?.close()
        socket?.close()
    }

    /// What somebody is told who may not ask.
    private func answer(to head: HTTPRequestHead, from address: String) -> HTTPListener.Answer? {
        guard let settings else { return .init(.serviceUnavailable, "This endpoint is closing.") }
        return switch login.verdict(on: head, from: address, credential: settings.credential, at: time.now().uptime) {
        case .known: nil
        case .unknown: .unauthorized
        case .tooManyFailures: .tooManyFailures
        }
    }
}
