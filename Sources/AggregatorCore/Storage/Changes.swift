// Tells live pages that something changed, after each commit.

import Synchronization

/// A broadcast of "something changed; read again".
///
/// It carries no content, so a subscriber that is slow loses nothing: however many changes happen while it looks away, one element waits
/// for it.
public final class Changes: Sendable {
    private struct State {
        var subscribers: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextID: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// The changes from now on, until the subscriber stops listening or its task is cancelled.
    public func subscribe() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.nextID += 1
            state.subscribers[state.nextID] = continuation
            return state.nextID
        }
        continuation.onTermination = { [weak self] _ in
            self?.forget(id)
        }
        return stream
    }

    /// Wakes every subscriber; it never waits.
    public func announce() {
        for subscriber in state.withLock({ Array($0.subscribers.values) }) { subscriber.yield() }
    }

    /// How many listen at present.
    public var subscribers: Int { state.withLock { $0.subscribers.count } }

    private func forget(_ id: UInt64) {
        _ = state.withLock { $0.subscribers.removeValue(forKey: id) }
    }
}
