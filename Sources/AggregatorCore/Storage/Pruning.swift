// Forgets what is older than it need be.

import Logging
public import Platform
public import ServiceLifecycle

/// For how long history is kept.
public struct Retention: Equatable, Sendable {
    public var samples: Duration
    public var events: Duration

    public init(samples: Duration, events: Duration) {
        self.samples = samples
        self.events = events
    }
}

/// Prunes a small piece at a time, with a rest after each, until nothing old is left; then again after a while.
public struct Pruning: Service {
    static let pause = Duration.seconds(600)
    static let rest = Duration.milliseconds(200)

    private let store: any StoreKeeping
    private let retention: @Sendable () -> Retention
    private let time: any TimeSource
    private let logger = Logger(label: "pruning")

    /// - Parameter retention: as the present configuration says.
    public init(
        store: any StoreKeeping, retention: @escaping @Sendable () -> Retention, time: any TimeSource
    ) {
        self.store = store
        self.retention = retention
        self.time = time
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let now = time.now().wall
                let retention = retention()
                var isMore = false
                do throws(StoreError) {
                    isMore = try await store.prune(samplesBefore: now - retention.samples, eventsBefore: now - retention.events, at: now)
                } catch {
                    logger.error("forgetting old history failed", metadata: ["problem": "\(error)"])
                }
                try? await time.sleep(isMore ? Self.rest : Self.pause)
            }
        }
    }
}
