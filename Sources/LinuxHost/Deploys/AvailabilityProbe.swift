// Requests to a service at a steady rate, while its deploy goes on.

import AgentAPI
import DeployVerification
import Platform

/// Begins a request at each tick, whatever became of the earlier ones. At most 64 are under way: a service that answers none of them
/// gets no more, and those that were due count as failed.
final class AvailabilityProbe {
    private static let mostUnderWay = 64
    private static let patience = Duration.seconds(5)

    private let question: TokenQuestion
    private let address: ServiceListener.Address
    private let way: () -> AskingWay
    private let folders: FolderQuestions
    private let loop: Loop
    private let time: any TimeSource
    private var count = AvailabilityCount()
    private var underWay: [ObjectIdentifier: (connection: ServiceConnection, began: Duration)] = [:]
    private var timer: Loop.Timer?

    /// - Parameters:
    ///   - question: how the service is asked for its token: its language, its TLS, its headers.
    ///   - way: what of that is found out.
    init(
        _ order: AvailabilityOrder, like question: TokenQuestion?, at address: ServiceListener.Address, way: @escaping () -> AskingWay,
        folders: FolderQuestions, loop: Loop, time: any TimeSource
    ) {
        var own = question ?? TokenQuestion(path: order.path)
        own.path = order.path
        // Which process takes the connection is not looked up: nothing secret may be sent.
        (own.user, own.password, own.headers) = (nil, nil, [])
        self.question = own
        self.address = address
        self.way = way
        self.folders = folders
        self.loop = loop
        self.time = time
        timer = loop.every(.seconds(1 / max(1, min(50, order.rate)))) { [weak self] in self?.ask() }
    }

    deinit {
        if let timer { loop.cancel(timer) }
        for (connection, _) in underWay.values { connection.cancel() }
    }

    var sum: Availability { count.sum(at: time.now().uptime) }

    private func ask() {
        let now = time.now().uptime
        count.begin(at: now)
        guard underWay.count < Self.mostUnderWay else { return count.failed("not even asked: \(Self.mostUnderWay) requests are waiting") }
        let speech = ServiceConnection.Speech(question, way: way(), isHeld: false)
        let connection = ServiceConnection(to: address, speech, patience: Self.patience, folders: folders, on: loop) {
            [weak self] connection, outcome in self?.ended(connection, outcome)
        }
        underWay[ObjectIdentifier(connection)] = (connection, now)
    }

    private func ended(_ connection: ServiceConnection, _ outcome: ServiceConnection.Outcome) {
        guard let (_, began) = underWay.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        switch outcome {
        case .answer(let reply) where reply.status < 500: count.answered(began: began, at: time.now().uptime)
        case .answer(let reply): count.failed("status \(reply.status)")
        case .strange: count.failed("an answer that is none")
        case .tlsFailed(let why): count.failed("TLS: \(why)")
        case .refused: count.failed("connection refused")
        case .lost: count.failed("connection lost")
        case .silence(isConnected: true): count.failed("no answer in time")
        case .silence(isConnected: false): count.failed("no connection in time")
        case .failed(let why): count.failed(why)
        }
    }
}
