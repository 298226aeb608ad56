// Sends what waits in the outbox: sends, then marks, so that a crash repeats at most one message and forgets none.

import Logging
public import Messages
public import Platform
public import ServiceLifecycle

/// How long to wait before trying a message again.
enum BackOff {
    static let first = Duration.seconds(5)
    static let longest = Duration.seconds(600)
    /// A message this old is no news any more.
    static let patience = Duration.seconds(2 * 86400)

    /// 5 s after the first attempt, twice as long after each further one, 10 min at most.
    static func delay(afterAttempt attempts: Int) -> Duration { min(longest, first * (1 << min(max(attempts, 1) - 1, 10))) }
}

/// The loop between the outbox and the notifier.
///
/// Messages to one recipient go one after the other, in order; several recipients are served at once, so that one whose server is slow
/// holds up nobody else.
public struct Delivery: Service {
    /// How long a claim lasts: longer than any notifier takes for one message, so that nobody else sends it meanwhile.
    static let lease = Duration.seconds(300)
    static let pause = Duration.seconds(1)
    static let batch = 40
    static let recipientsAtOnce = 4

    private let store: any OutboxStoring
    private let notifier: @Sendable () -> (any Notifier)?
    private let vitals: Vitals
    private let changes: Changes
    private let time: any TimeSource
    private let logger = Logger(label: "delivery")

    /// - Parameter notifier: the one that the present configuration gives; asked for before each message. Without one messages wait.
    public init(
        store: any OutboxStoring, notifier: @escaping @Sendable () -> (any Notifier)?, vitals: Vitals, changes: Changes, time: any TimeSource
    ) {
        self.store = store
        self.notifier = notifier
        self.vitals = vitals
        self.changes = changes
        self.time = time
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            do throws(StoreError) {
                try await store.takeBackClaims()
            } catch {
                // Then they go when their leases are over.
                logger.error("taking back messages failed", metadata: ["problem": "\(error)"])
            }
            while !Task.isCancelled {
                vitals.deliveryPassed(at: time.now())
                let isBusy = await pass()
                if !isBusy { try? await time.sleep(Self.pause) }
            }
        }
    }

    /// Delivers what is due; true when something was.
    func pass() async -> Bool {
        guard notifier() != nil else { return false }
        let claimed: [ClaimedMessage]
        do throws(StoreError) {
            claimed = try await store.claimDue(at: time.now().wall, lease: Self.lease, limit: Self.batch)
        } catch {
            logger.error("claiming messages failed", metadata: ["problem": "\(error)"])
            return false
        }
        guard !claimed.isEmpty else { return false }
        let byRecipient = Dictionary(grouping: claimed, by: \.message.recipient)
        var waiting = Array(byRecipient.values)
        await withTaskGroup { group in
            for _ in 0..<min(Self.recipientsAtOnce, waiting.count) {
                let messages = waiting.removeLast()
                group.addTask { await deliver(messages) }
            }
            for await _ in group {
                guard let messages = waiting.popLast() else { continue }
                group.addTask { await deliver(messages) }
            }
        }
        changes.announce()
        return true
    }

    /// The messages of one recipient. When one has to wait, those behind it wait too, so that nobody hears of an end before its beginning.
    private func deliver(_ messages: [ClaimedMessage]) async {
        var waitUntil: Timestamp?
        for claimed in messages {
            if waitUntil == nil, Task.isCancelled { waitUntil = time.now().wall }
            do throws(StoreError) {
                if let waitUntil {
                    try await store.postpone(claimed.id, until: waitUntil)
                } else {
                    waitUntil = try await deliver(claimed)
                }
            } catch {
                // Not marked, so it will be sent once more when its lease is over: twice is better than never.
                logger.error("marking a message failed", metadata: ["message": "\(claimed.message.id)", "problem": "\(error)"])
            }
        }
    }

    /// Until when the recipient's next messages have to wait; `nil` when they need not.
    private func deliver(_ claimed: ClaimedMessage) async throws(StoreError) -> Timestamp? {
        guard let notifier = notifier() else {
            try await store.postpone(claimed.id, until: time.now().wall)
            return time.now().wall
        }
        let facts: Logger.Metadata = [
            "message": "\(claimed.message.id)", "service": "\(claimed.service)", "attempt": "\(claimed.attempts)",
        ]
        vitals.deliveryPassed(at: time.now())
        do throws(DeliveryError) {
            try await notifier.deliver(claimed.message)
        } catch {
            let now = time.now().wall
            if Task.isCancelled {
                // The shutdown cut it short; whether the provider has taken it nobody knows, so the next start sends it again.
                try await store.postpone(claimed.id, until: now)
                return now
            }
            let retryAt = retry(claimed, after: error, at: now)
            try await store.markFailed(claimed.id, problem: error.detail, retryAt: retryAt, at: now)
            logger.warning(
                retryAt == nil ? "message refused for good" : "message not delivered, will try again",
                metadata: facts.merging(["problem": "\(error)"]) { $1 })
            return retryAt
        }
        try await store.markSent(claimed.id, at: time.now().wall)
        logger.info("message delivered", metadata: facts)
        return nil
    }

    private func retry(_ claimed: ClaimedMessage, after error: DeliveryError, at now: Timestamp) -> Timestamp? {
        switch error.remedy {
        case .correct: return nil
        case .retry:
            guard now - claimed.message.createdAt < BackOff.patience else { return nil }
            let wait = min(error.wait ?? .zero, BackOff.longest)
            return now + max(wait, BackOff.delay(afterAttempt: claimed.attempts))
        }
    }
}
