// Signs of life of the aggregator's own loops, and what /status/ makes of them.

import Messages
public import Platform
import Synchronization

/// What the loops last did. It lives in memory, because it speaks of this process.
public final class Vitals: Sendable {
    private struct State {
        var scheduler: Moment?
        var lateness: Duration?
        var latenessAt: Moment?
        var delivery: Moment?
        var storeWorked: Moment?
        var storeProblem: String?
        var hasRefusedReports = false
    }

    private let state = Mutex(State())

    public init() {}

    /// The scheduler of checks began a pass.
    /// - Parameter lateness: how late the latest start since the pass before was.
    public func schedulerPassed(at now: Moment, lateness: Duration?) {
        state.withLock { state in
            state.scheduler = now
            if let lateness, lateness > VitalSigns.latenessLimit || (state.latenessAt.map { now.uptime - $0.uptime > VitalSigns.memory } ?? true) {
                state.lateness = lateness
                state.latenessAt = now
            }
        }
    }

    /// The delivery loop went round.
    func deliveryPassed(at now: Moment) { state.withLock { $0.delivery = now } }

    func storeWorked(at now: Moment) {
        state.withLock { state in
            state.storeWorked = now
            state.storeProblem = nil
        }
    }

    func storeFailed(_ problem: String) { state.withLock { $0.storeProblem = problem } }

    func reportsRefused() { state.withLock { $0.hasRefusedReports = true } }

    /// Whether reports were refused since this was asked last.
    func takeRefusedReports() -> Bool {
        state.withLock { state in
            defer { state.hasRefusedReports = false }
            return state.hasRefusedReports
        }
    }

    /// Whether the loops go round: what a watchdog wants to know. Before their first sign they are starting.
    public func isAlive(at now: Moment) -> Bool {
        let signs = signs(at: now)
        return (signs.schedulerAge ?? .zero) <= VitalSigns.limit && (signs.deliveryAge ?? .zero) <= VitalSigns.deliveryLimit
    }

    func signs(at now: Moment) -> VitalSigns {
        state.withLock { state in
            func age(_ moment: Moment?) -> Duration? { moment.map { now.uptime - $0.uptime } }
            let isRecent = age(state.latenessAt).map { $0 <= VitalSigns.memory } ?? false
            return VitalSigns(
                schedulerAge: age(state.scheduler), lateness: isRecent ? state.lateness : nil, deliveryAge: age(state.delivery),
                storeAge: age(state.storeWorked), storeHasProblem: state.storeProblem != nil)
        }
    }
}

/// How long ago each loop gave a sign of life; absent while it never has.
struct VitalSigns: Equatable, Sendable {
    /// How old a loop's last sign may be.
    static let limit = Duration.seconds(60)
    /// The same for the delivery, which may have to wait for a slow server.
    static let deliveryLimit = Duration.seconds(180)
    /// How late a check may start.
    static let latenessLimit = Duration.seconds(30)
    /// For how long a late start is held against the scheduler.
    static let memory = Duration.seconds(300)
    /// How long a message may be undelivered because of failures.
    static let patience = Duration.seconds(900)

    var schedulerAge: Duration?
    var lateness: Duration?
    var deliveryAge: Duration?
    var storeAge: Duration?
    var storeHasProblem: Bool

    /// - Parameter backlog: `nil` when the database could not say.
    func health(_ backlog: OutboxBacklog?, at now: Timestamp) -> Health {
        let lines = [scheduler, store, delivery(backlog, at: now)]
        return Health(isRunning: lines.allSatisfy(\.isWell), lines: lines.map(\.text))
    }

    private typealias Line = (isWell: Bool, text: String)

    private var scheduler: Line {
        guard let schedulerAge else { return (false, "scheduler: has not begun") }
        guard schedulerAge <= Self.limit else { return (false, "scheduler: stands still for \(schedulerAge.words)") }
        if let lateness, lateness > Self.latenessLimit { return (false, "scheduler: a check started \(lateness.words) late") }
        return (true, "scheduler: on time")
    }

    private var store: Line {
        guard let storeAge else { return (false, storeHasProblem ? "database: does not take writes" : "database: not written yet") }
        guard !storeHasProblem, storeAge <= Self.limit else { return (false, "database: last written \(storeAge.words) ago") }
        return (true, "database: takes writes")
    }

    private func delivery(_ backlog: OutboxBacklog?, at now: Timestamp) -> Line {
        guard let deliveryAge else { return (false, "delivery: has not begun") }
        guard deliveryAge <= Self.deliveryLimit else { return (false, "delivery: stands still for \(deliveryAge.words)") }
        guard let backlog else { return (false, "delivery: the database does not answer") }
        if backlog.refused > 0 { return (false, "delivery: \(count(backlog.refused)) refused for good in the last day") }
        if let oldest = backlog.oldestFailing, now - oldest > Self.patience {
            return (false, "delivery: has been failing for \((now - oldest).words), \(count(backlog.waiting)) waiting")
        }
        return (true, backlog.waiting == 0 ? "delivery: nothing waits" : "delivery: \(count(backlog.waiting)) waiting")
    }

    private func count(_ messages: Int) -> String { messages == 1 ? "1 message" : "\(messages) messages" }
}

/// Answers for the whole aggregator.
public struct AggregatorHealth: HealthReading {
    private let vitals: Vitals
    private let store: any OutboxStoring
    private let time: any TimeSource

    public init(vitals: Vitals, store: any OutboxStoring, time: any TimeSource) {
        self.vitals = vitals
        self.store = store
        self.time = time
    }

    /// A database that does not answer is an answer here.
    public func health(at now: Timestamp) async throws(StoreError) -> Health {
        let backlog: OutboxBacklog?
        do throws(StoreError) {
            backlog = try await store.backlog(at: now)
        } catch {
            backlog = nil
        }
        return vitals.signs(at: time.now()).health(backlog, at: now)
    }
}
