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
    private let folders: FolderQuestions
    private let loop: Loop
    private let time: any TimeSource
    private var count = AvailabilityCount()
    private var underWay: [ObjectIdentifier: (connection: ServiceConnection, began: Duration)] = [:]
    private var timer: Loop.Timer?

    init(_ order: AvailabilityOrder, at address: ServiceListener.Address, folders: FolderQuestions, loop: Loop, time: any TimeSource) {
        question = TokenQuestion(path: order.path)
        self.address = address
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
        let request = question.head(to: address) + Array("\r\n".utf8)
        let connection = ServiceConnection(
            to: address, request: request, held: nil, patience: Self.patience, folders: folders, on: loop
        ) { [weak self] connection, outcome in self?.ended(connection, outcome) }
        underWay[ObjectIdentifier(connection)] = (connection, now)
    }

    private func ended(_ connection: ServiceConnection, _ outcome: ServiceConnection.Outcome) {
        guard let (_, began) = underWay.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        switch outcome {
        case .answer(let status, _) where status < 500: count.answered(began: began, at: time.now().uptime)
        case .answer(let status, _): count.failed("status \(status)")
        case .refused: count.failed("connection refused")
        case .lost: count.failed("connection lost")
        case .silence(isConnected: true): count.failed("no answer in time")
        case .silence(isConnected: false): count.failed("no connection in time")
        case .failed(let why): count.failed(why)
        }
    }
}
