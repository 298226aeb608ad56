// Time that stands still until a test moves it.

public import Platform
import Synchronization

public final class ManualTime: TimeSource {
    private struct State {
        var now: Moment
        var sleepers: [(until: Duration, id: UInt64, wake: CheckedContinuation<Void, any Error>)] = []
        var nextID: UInt64 = 0
    }

    private let state: Mutex<State>

    public init(at wall: Timestamp = Timestamp("2026-11-21T03:00:00Z")!) {
        state = Mutex(State(now: Moment(wall: wall, uptime: .seconds(1000))))
    }

    public func now() -> Moment { state.withLock { $0.now } }

    /// Moves both clocks and wakes who has slept long enough.
    public func advance(by duration: Duration) {
        let woken = state.withLock { state in
            state.now.wall = state.now.wall + duration
            state.now.uptime += duration
            let now = state.now.uptime
            let due = state.sleepers.filter { $0.until <= now }
            state.sleepers.removeAll { $0.until <= now }
            return due.map(\.wake)
        }
        for sleeper in woken { sleeper.resume() }
    }

    /// How many are asleep: a test waits for the loop under test to get there before it moves time.
    public var sleepers: Int { state.withLock { $0.sleepers.count } }

    public func sleep(_ duration: Duration) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let refused = state.withLock { state in
                    if Task.isCancelled || duration <= .zero { return true }
                    state.sleepers.append((state.now.uptime + duration, id, continuation))
                    return false
                }
                if refused { Task.isCancelled ? continuation.resume(throwing: CancellationError()) : continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else { return CheckedContinuation<Void, any Error>?.none }
                return state.sleepers.remove(at: index).wake
            }
            sleeper?.resume(throwing: CancellationError())
        }
    }
}
