// Orders of the aggregator: each is carried out at most once, whatever is sent twice and whoever is killed in between.

import AgentAPI
import Logging
import NIOCore
import Platform

/// Remembers orders and how they ended, in the state folder's file `orders`. An order is written down before it is carried out: one
/// that a killed agent may or may not have carried out is not tried again, and its result says so.
///
/// It lives on the event loop.
final class OrderBook {
    private struct Entry: Equatable {
        var id: String
        /// `nil` while it is being carried out.
        var result: OrderResult?
        var isDelivered = false
    }

    /// More than an aggregator has under way at once, so that none is forgotten that may come again.
    private static let remembered = 1000

    private let path: String
    private let handler: RequestHandler?
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var entries: [Entry] = []
    private let onResult: () -> Void

    /// - Parameter onResult: there is a result to report.
    init(folder: String, handler: RequestHandler?, eventLoop: any EventLoop, logger: Logger, onResult: @escaping () -> Void) {
        path = "\(folder)/orders"
        self.handler = handler
        self.eventLoop = eventLoop
        self.logger = logger
        self.onResult = onResult
        load()
    }

    /// What the aggregator has not heard yet.
    var results: [OrderResult] { Array(entries.lazy.filter { !$0.isDelivered }.compactMap(\.result).prefix(ReportLimits.orders)) }

    /// The aggregator has these.
    func delivered(_ results: [OrderResult]) {
        guard !results.isEmpty else { return }
        let ids = Set(results.map(\.id))
        for index in entries.indices where ids.contains(entries[index].id) { entries[index].isDelivered = true }
        if let problem = save() { logger.warning("orders cannot be written down", metadata: ["why": "\(problem)"]) }
    }

    func take(_ orders: [AgentOrder], allowed: [AllowedOrder]) {
        for order in orders where !entries.contains(where: { $0.id == order.id }) {
            entries.append(Entry(id: order.id))
            switch order.request {
            case .failure(let error): end(order.id, .refused(error.problem))
            case .success(let request): carryOut(request, order.id, allowed: allowed)
            }
        }
        // An order that comes again although its result was delivered: the aggregator has lost it, and gets it with the next report.
        let ids = Set(orders.map(\.id))
        for index in entries.indices where ids.contains(entries[index].id) && entries[index].isDelivered { entries[index].isDelivered = false }
    }

    private func carryOut(_ request: AgentRequest, _ id: String, allowed: [AllowedOrder]) {
        // Its answer is for somebody who waits, and its token is not for this file and the log.
        guard !request.isForTheLine else {
            end(id, .refused("this agent hears of `\(request.verb)` only on the line of orders"))
            return
        }
        guard allowed.allow(request) else {
            logger.warning("an order of the aggregator was refused: it is not allowed here", metadata: ["order": "\(request.json.text)"])
            end(id, .refused("this agent's configuration does not allow the aggregator to order `\(request.verb)` there"))
            return
        }
        guard let handler else {
            end(id, .refused("this agent carries out no orders"))
            return
        }
        if let problem = save() {
            logger.error("an order of the aggregator was not carried out: it cannot be written down", metadata: ["why": "\(problem)"])
            end(id, .refused("it was not carried out: the agent cannot remember it (\(problem))"))
            return
        }
        logger.notice("the aggregator ordered", metadata: ["order": "\(request.json.text)"])
        let book = NIOLoopBound(self, eventLoop: eventLoop)
        handler(request, "aggregator") { [eventLoop] answer in
            eventLoop.execute { book.value.end(id, answer) }
        }
    }

    private func end(_ id: String, _ answer: AgentAnswer) {
        guard let index = entries.firstIndex(where: { $0.id == id && $0.result == nil }) else { return }
        entries[index].result = OrderResult(id: id, isGood: answer.isGood, text: answer.text.clipped(to: ReportLimits.text))
        if let problem = save() { logger.warning("orders cannot be written down", metadata: ["why": "\(problem)"]) }
        onResult()
    }

    // MARK: The file

    private func load() {
        guard let content = try? AtomicFile.read(path, limit: 16 << 20) else { return }
        guard let lines = (try? JSON(parsing: content))?.array else {
            logger.error("the file of the aggregator's orders is damaged; it begins anew", metadata: ["file": "\(path)"])
            return
        }
        for line in lines {
            guard let id = line["id"]?.string else { continue }
            let result =
                (try? OrderResult(line))
                ?? OrderResult(
                    id: id, isGood: false, text: "the agent ended while it did this: whether it was done is not known\n")
            entries.append(Entry(id: id, result: result, isDelivered: line["delivered"]?.bool ?? false))
        }
    }

    /// - Returns: why not, when it could not be.
    private func save() -> String? {
        if entries.count > Self.remembered {
            let surplus = entries.count - Self.remembered
            let old = Set(entries.lazy.filter(\.isDelivered).prefix(surplus).map(\.id))
            entries.removeAll { old.contains($0.id) }
        }
        let lines = entries.map { entry in
            guard case .object(var members)? = entry.result?.json else { return JSON.object([.init("id", .string(entry.id))]) }
            members.append(.init("delivered", .bool(entry.isDelivered)))
            return .object(members)
        }
        do {
            try AtomicFile.write(JSON.array(lines).bytes, to: path, mode: 0o600)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
