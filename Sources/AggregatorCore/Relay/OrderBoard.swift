// Orders that cannot wait for a report, and the agents that listen for them.

public import AgentAPI
public import Platform
import Synchronization

/// The aggregator's end of the line of orders: see `OrderLine`. It lives in memory alone. What it loses by a restart, agents hear is over
/// and whoever waited for an answer asks for again.
public final class OrderBoard: Sendable {
    /// An order that was given, and what its agent says of it: the newest, and at last what is final.
    struct Given: Sendable {
        let id: String
        let agent: String
        let answers: AsyncStream<OrderAnswer>
    }

    /// How far an order is.
    enum Standing: Equatable {
        /// Its agent has not come for it. - Parameter since: when it was given.
        case waiting(since: Duration)
        /// Its agent has it. - Parameter heard: when it last said anything of it.
        case handedOut(heard: Duration)
    }

    private struct Order {
        let order: AgentOrder
        let agent: String
        let at: Duration
        let answers: AsyncStream<OrderAnswer>.Continuation
        var heard: Duration?
    }

    private struct State {
        /// In the order in which they were given.
        var orders: [Order] = []
        var listeners: [String: [UInt64: AsyncStream<Void>.Continuation]] = [:]
        var lastListener: UInt64 = 0
    }

    private let time: any TimeSource
    private let state = Mutex(State())

    public init(time: any TimeSource) { self.time = time }

    // MARK: For agents

    /// Waits for something to do for an agent.
    public func call(_ call: OrderCall, of agent: String) async -> OrderHandout {
        let (wakeups, wakeup) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            state.lastListener += 1
            state.listeners[agent, default: [:]][state.lastListener] = wakeup
            return state.lastListener
        }
        wakeup.yield()
        let handout = await withTaskGroup(of: Void.self) { group in
            group.addTask { [time] in
                try? await time.sleep(OrderLine.patience)
                wakeup.finish()
            }
            for await _ in wakeups {
                let handout = self.handout(for: call, of: agent)
                guard handout.isEmpty else {
                    group.cancelAll()
                    return handout
                }
            }
            group.cancelAll()
            return OrderHandout()
        }
        state.withLock { state in
            state.listeners[agent]?[number] = nil
            if state.listeners[agent]?.isEmpty == true { state.listeners[agent] = nil }
        }
        return handout
    }

    private func handout(for call: OrderCall, of agent: String) -> OrderHandout {
        let now = time.now().uptime
        return state.withLock { state in
            var handout = OrderHandout()
            let underWay = Set(call.underWay)
            var bytes = 0
            for index in state.orders.indices where state.orders[index].agent == agent && !underWay.contains(state.orders[index].order.id) {
                bytes += state.orders[index].order.json.bytes.count
                guard handout.orders.count < OrderLine.orders, handout.orders.isEmpty || bytes < OrderLine.bytes / 2 else { break }
                handout.orders.append(state.orders[index].order)
                state.orders[index].heard = now
            }
            let known = Set(state.orders.lazy.filter { $0.agent == agent }.map(\.order.id))
            handout.over = call.underWay.filter { !known.contains($0) }
            return handout
        }
    }

    /// Takes what an agent says of its orders.
    /// - Returns: which of them nobody wants answered any more.
    public func take(_ answers: [OrderAnswer], from agent: String) -> OrderHandout {
        let now = time.now().uptime
        return state.withLock { state in
            var handout = OrderHandout()
            for answer in answers {
                guard let index = state.orders.firstIndex(where: { $0.order.id == answer.id && $0.agent == agent }) else {
                    handout.over.append(answer.id)
                    continue
                }
                state.orders[index].heard = now
                state.orders[index].answers.yield(answer)
                guard answer.isFinal else { continue }
                state.orders[index].answers.finish()
                state.orders.remove(at: index)
            }
            return handout
        }
    }

    // MARK: For whoever orders

    func isListening(_ agent: String) -> Bool { state.withLock { $0.listeners[agent] != nil } }

    func give(_ request: AgentRequest, to agent: String) -> Given {
        let (answers, continuation) = AsyncStream<OrderAnswer>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let order = AgentOrder(id: randomHex(bytes: 12), request: .success(request))
        let now = time.now().uptime
        state.withLock { $0.orders.append(Order(order: order, agent: agent, at: now, answers: continuation)) }
        wake(agent)
        return Given(id: order.id, agent: agent, answers: answers)
    }

    /// `nil` when it is over.
    func standing(of given: Given) -> Standing? {
        state.withLock { state in
            guard let order = state.orders.first(where: { $0.order.id == given.id }) else { return nil }
            return order.heard.map { .handedOut(heard: $0) } ?? .waiting(since: order.at)
        }
    }

    /// Its answer is not wanted any more; its agent hears so.
    func end(_ given: Given) {
        let wasOpen = state.withLock { state in
            guard let index = state.orders.firstIndex(where: { $0.order.id == given.id }) else { return false }
            state.orders.remove(at: index).answers.finish()
            return true
        }
        if wasOpen { wake(given.agent) }
    }

    private func wake(_ agent: String) {
        let listeners = state.withLock { $0.listeners[agent]?.values.map(\.self) ?? [] }
        for listener in listeners { listener.yield() }
    }
}
