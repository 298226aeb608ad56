// What the agent asks for, done: orders in, answers out.

import AgentAPI
import DaemonMetrics
import Glibc
import Logging
import Notifiers
import Platform
import Transfer

/// Reads orders on standard input and has them carried out; all on one loop, which ends with the input.
final class Errands {
    private let loop: Loop
    private let logger: Logger
    private let rounds: Rounds
    private let deliveries: Deliveries
    private var orders = LineSplitter(limit: RunnerLimits.order)

    init(loop: Loop, transfers: Transfers, logger: Logger) {
        self.loop = loop
        self.logger = logger
        rounds = Rounds(loop: loop, kinds: daemonKinds(transfers: transfers), tell: tell)
        deliveries = Deliveries(loop: loop, kinds: notifierKinds(transfers: transfers), host: hostName(), tell: tell)
    }

    func start() throws(SystemError) {
        try loop.watch(0, for: .readable) { [unowned self] _ in read() }
    }

    private func read() {
        var piece = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(0, &piece, piece.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return }
        guard count > 0 else { return loop.stop() }
        orders.add(piece[..<count])
        do {
            while let line = try orders.next() { take(line) }
        } catch {
            // What follows cannot be understood any more: the agent starts another.
            logger.error("an order is too long")
            loop.stop()
        }
    }

    private func take(_ line: ArraySlice<UInt8>) {
        do throws(RunnerMessageError) {
            switch try RunnerOrder(line: line) {
            case .work(let work):
                rounds.change(work.sources, interval: work.interval)
                for problem in deliveries.change(work.channels) {
                    logger.error("a way for alerts cannot be used", metadata: ["problem": "\(problem)"])
                }
            case .deliver(let alert): deliveries.deliver(alert)
            case .ping: tell(.alive)
            }
        } catch {
            logger.error("an order was not understood", metadata: ["problem": "\(error)"])
        }
    }
}

/// Writes an answer, and waits for the agent to take it where it must: there is nothing to do for an agent that does not listen.
func tell(_ answer: RunnerAnswer) {
    var line = answer.line
    if line.count > RunnerLimits.answer, case .measured(_, let source) = answer {
        line = RunnerAnswer.sourceFailed(source, why: "answers more than anybody reads").line
    }
    var written = 0
    while written < line.count {
        let count = line.withUnsafeBytes { write(1, $0.baseAddress.map { $0 + written }, line.count - written) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { exit(0) }
        written += count
    }
}

private func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
