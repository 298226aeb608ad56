import AgentAPI
import AggregatorCore
import Messages
import Platform
import SQLiteStore
import Synchronization
import TestKit
import Testing

/// Stories of messages, from the outbox to people, with the real database between them.
@Suite struct DeliveryTests {
    let database: TemporaryDatabase
    let time = ManualTime(at: start)
    let mail: Mailbox

    init() throws {
        database = try TemporaryDatabase()
        mail = Mailbox(time)
    }

    /// One unit goes down and comes up: two messages.
    private func storeWithTwoMessages() async throws -> SQLiteStore {
        let store = try database.open()
        try await store.take(report([event(1, .unitDown), event(2, .unitUp)]))
        return store
    }

    private func delivery(_ store: any OutboxStoring) -> Delivery {
        Delivery(store: store, notifier: { [mail] in mail }, vitals: Vitals(), changes: Changes(), time: time)
    }

    /// Runs the delivery until `isDone`; time passes whenever it sleeps.
    private func run(_ store: any OutboxStoring, until isDone: @escaping @Sendable () async throws -> Bool) async throws {
        let running = Task { [delivery = delivery(store)] in try await delivery.run() }
        defer { running.cancel() }
        for _ in 0..<2000 {
            if try await isDone() { break }
            if time.sleepers > 0 { time.advance(by: .seconds(1)) }
            try await Task.sleep(for: .milliseconds(1))
        }
        running.cancel()
        _ = try? await running.value
    }

    private func pending(_ store: SQLiteStore) async throws -> Int {
        try await store.notifications(ofService: nil, limit: 100).count { $0.state == .pending }
    }

    @Test func messagesArriveInOrderAndOnce() async throws {
        let store = try await storeWithTwoMessages()
        try await run(store) { try await pending(store) == 0 }
        #expect(mail.subjects == ["[error] puma.service on web1 is down", "[ok] puma.service is passing again after 0 s"])
        let record = try #require(try await store.notifications(ofService: nil, limit: 1).first)
        #expect(record.attempts == 1 && record.sentAt == start)
    }

    @Test func aServerThatIsAwayIsTriedAgainWithPatience() async throws {
        let store = try await storeWithTwoMessages()
        mail.fail(times: 3, DeliveryError(notifier: "mail", remedy: .retry, detail: "connection refused"))
        try await run(store) { try await pending(store) == 0 }
        #expect(mail.subjects.count == 2)
        #expect(mail.attempts == [0, 5, 15, 35, 35].map { start + .seconds($0) })
        let records = try await store.notifications(ofService: nil, limit: 2)
        #expect(records.map(\.attempts) == [1, 4])
    }

    /// For ten minutes at most, whatever it says.
    @Test(arguments: [(2, 5), (90, 90), (86400, 600)]) func aProviderIsLeftAloneForAsLongAsItSays(says: Int, seconds: Int) async throws {
        let store = try await storeWithTwoMessages()
        mail.fail(times: 1, DeliveryError(notifier: "mail", remedy: .retry, detail: "HTTP 429", wait: .seconds(says)))
        try await run(store) { try await pending(store) == 0 }
        #expect(mail.attempts == [0, seconds, seconds].map { start + .seconds($0) })
    }

    @Test func aMessageThatIsRefusedForGoodStopsAndIsVisible() async throws {
        let store = try await storeWithTwoMessages()
        mail.fail(times: 1, DeliveryError(notifier: "mail", remedy: .correct, detail: "550 no such user"))
        try await run(store) { try await pending(store) == 0 }
        let records = try await store.notifications(ofService: nil, limit: 2)
        #expect(records.map(\.state) == [.sent, .failed])
        #expect(records[1].problem == "550 no such user")
    }

    @Test func aSlowRecipientHoldsUpNobodyElse() async throws {
        let store = try database.open()
        let plan = ServicePlan(defaultRecipients: ["slow@example.com", "ops@example.com"])
        try await store.take(report([event(1, .unitDown)], units: [unit("puma.service", .down)]), plan: plan)
        mail.holdUp("slow@example.com")
        try await run(store) { mail.recipients == ["ops@example.com"] }
        #expect(mail.recipients == ["ops@example.com"])
    }

    @Test func stoppedBetweenSendingAndMarkingOneMessageIsRepeatedAndNoneForgotten() async throws {
        let store = try await storeWithTwoMessages()
        // The process ends after the provider has taken the first message and before that is written.
        let dying = DyingOutbox(store)
        try await run(dying) { dying.isDead }
        #expect(mail.subjects.count == 1)
        let afterwards = try database.open()
        try await run(afterwards) { try await pending(afterwards) == 0 }
        #expect(
            mail.subjects == [
                "[error] puma.service on web1 is down", "[error] puma.service on web1 is down", "[ok] puma.service is passing again after 0 s",
            ])
        #expect(mail.ids[0] == mail.ids[1])
    }

    @Test func stoppedBetweenClaimingAndSendingNoneIsForgotten() async throws {
        let store = try await storeWithTwoMessages()
        _ = try await store.claimDue(at: start, lease: .seconds(300), limit: 10)
        let afterwards = try database.open()
        try await run(afterwards) { try await pending(afterwards) == 0 }
        #expect(mail.subjects.count == 2)
        // At once: the lease of the life before is worth nothing.
        #expect(mail.attempts.allSatisfy { $0 == start })
    }

    @Test func aShutdownGivesBackWhatItCutShort() async throws {
        let store = try await storeWithTwoMessages()
        mail.holdUp("ops@example.com")
        try await run(store) { mail.isHolding }
        #expect(try await store.claimDue(at: time.now().wall, lease: .seconds(60), limit: 10).map(\.attempts) == [1, 1])
    }

    @Test func healthTellsOfMessagesThatDoNotGetThrough() async throws {
        let store = try await storeWithTwoMessages()
        mail.fail(times: 1000, DeliveryError(notifier: "mail", remedy: .retry, detail: "connection refused"))
        let later = start + .seconds(1000)
        try await run(store) { time.now().wall > later }
        let backlog = try await store.backlog(at: later)
        #expect(backlog.waiting == 2 && backlog.oldestFailing == start)
    }
}

/// A provider that keeps what it gets, and fails when it is told to.
final class Mailbox: Notifier {
    let name = "mail"
    private struct State {
        var messages: [Message] = []
        var attempts: [Timestamp] = []
        var failures = 0
        var error = DeliveryError(notifier: "mail", remedy: .retry, detail: "")
        var slow: String?
        var isHolding = false
    }
    private let state = Mutex(State())
    private let time: ManualTime

    init(_ time: ManualTime) { self.time = time }

    var subjects: [String] { state.withLock { $0.messages.map(\.subject) } }
    var ids: [String] { state.withLock { $0.messages.map(\.id) } }
    var recipients: [String] { state.withLock { $0.messages.map(\.recipient) } }
    var isHolding: Bool { state.withLock { $0.isHolding } }
    var attempts: [Timestamp] { state.withLock { $0.attempts } }

    func fail(times: Int, _ error: DeliveryError) {
        state.withLock { state in
            state.failures = times
            state.error = error
        }
    }

    func holdUp(_ recipient: String) { state.withLock { $0.slow = recipient } }

    func deliver(_ message: Message) async throws(DeliveryError) {
        state.withLock { $0.attempts.append(time.now().wall) }
        if state.withLock({ $0.slow == message.recipient }) {
            state.withLock { $0.isHolding = true }
            while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
            throw DeliveryError(notifier: name, remedy: .retry, detail: "cancelled")
        }
        let error = state.withLock { state -> DeliveryError? in
            guard state.failures > 0 else {
                state.messages.append(message)
                return nil
            }
            state.failures -= 1
            return state.error
        }
        if let error { throw error }
    }
}

/// An outbox whose process is killed right after the first message was sent: nothing is written any more.
final class DyingOutbox: OutboxStoring {
    private let store: SQLiteStore
    private let dead = Mutex(false)

    init(_ store: SQLiteStore) { self.store = store }

    var isDead: Bool { dead.withLock { $0 } }
    private let gone = StoreError(doing: "writing", detail: "the process is gone")

    func takeBackClaims() async throws(StoreError) { try await store.takeBackClaims() }

    func claimDue(at now: Timestamp, lease: Duration, limit: Int) async throws(StoreError) -> [ClaimedMessage] {
        if isDead { return [] }
        return try await store.claimDue(at: now, lease: lease, limit: 1)
    }

    func markSent(_ id: Int64, at now: Timestamp) async throws(StoreError) {
        dead.withLock { $0 = true }
        throw gone
    }

    func markFailed(_ id: Int64, problem: String, retryAt: Timestamp?, at now: Timestamp) async throws(StoreError) { throw gone }
    func postpone(_ id: Int64, until due: Timestamp) async throws(StoreError) { throw gone }
    func backlog(at now: Timestamp) async throws(StoreError) -> OutboxBacklog { try await store.backlog(at: now) }
}
