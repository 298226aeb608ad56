import AgentAPI
import AggregatorCore
import Checks
import Messages
import Platform
import SQLiteStore
import Synchronization
import TestKit
import Testing

/// The loops around the decisions, with the real database and time that the test moves.
@Suite struct LoopTests {
    let database: TemporaryDatabase
    let time = ManualTime(at: start)
    let vitals = Vitals()
    let changes = Changes()
    let current = CurrentPlan(plan)

    init() throws { database = try TemporaryDatabase() }

    /// Lets time pass, a second at a time, whenever the loop under test sleeps, until `isDone`.
    private func letTimePass(until isDone: () async throws -> Bool) async throws {
        for _ in 0..<3000 {
            if try await isDone() { return }
            if time.sleepers > 0 { time.advance(by: .seconds(1)) }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    @Test func anAgentThatFallsSilentIsNoticedOnceItsGraceIsOver() async throws {
        let store = try database.open()
        try await store.take(report())
        let watch = SilenceWatch(store: store, plan: current, vitals: vitals, changes: changes, time: time)
        let running = Task { try await watch.run() }
        defer { running.cancel() }
        try await letTimePass { try await store.host(agent: agent)?.isSilent == true }
        #expect((30...45).contains((time.now().wall - start).inSeconds))
        #expect(try await store.service("host web1")?.status == .critical)
        try await letTimePass { time.now().wall > start + .seconds(200) }
        #expect(try await store.notifications(ofService: "host web1", limit: 10).count == 1)
        #expect(try await store.lastBeat("aggregator") != nil)
    }

    @Test func anAgentThatWasQuietWhileTheAggregatorWasDownGetsItsGraceAnew() async throws {
        let store = try database.open()
        try await store.take(report())
        time.advance(by: .seconds(86400))
        let watch = SilenceWatch(store: store, plan: current, vitals: vitals, changes: changes, time: time)
        let running = Task { try await watch.run() }
        defer { running.cancel() }
        try await letTimePass { time.now().wall >= start + .seconds(86400 + 25) }
        #expect(try await store.host(agent: agent)?.isSilent == false)
        try await letTimePass { try await store.host(agent: agent)?.isSilent == true }
        #expect(try await store.host(agent: agent)?.isSilent == true)
    }

    @Test func reportsAreStoredAcknowledgedAndAnnounced() async throws {
        let store = try database.open()
        let ingestion = Ingestion(store: store, plan: current, vitals: vitals, changes: changes)
        var announcements = changes.subscribe().makeAsyncIterator()
        let acknowledgement = try await ingestion.ingest(report([event(1, .unitDown), event(2, .unitUp)]), at: start)
        #expect(acknowledgement == Acknowledgement(sequence: 2))
        await announcements.next()
        #expect(try await store.events(ofService: nil, agent: nil, limit: 10).count == 2)
    }

    @Test func configuredChecksRunAndTheirResultsAreStored() async throws {
        let probe = CountingProbe()
        let checking = try await checking(probe)
        let running = Task { try await checking.run() }
        defer { running.cancel() }
        let store = try database.open()
        try await letTimePass { try await store.service("Shop")?.status == .error }
        #expect(try await store.checks(ofService: "Shop").first?.detail == "answered 503")
        probe.outcome = .passed(detail: "answered 200")
        try await letTimePass { try await store.service("Shop")?.status == .passing }
        #expect(
            try await store.notifications(ofService: "Shop", limit: 10).map { String($0.message.subject.prefix(30)) } == [
                "[ok] Shop is passing again aft", "[error] Shop: check home page:",
            ])
    }

    @Test func aReloadThatTakesACheckAwayEndsItsProblem() async throws {
        let checking = try await checking(CountingProbe())
        let running = Task { try await checking.run() }
        defer { running.cancel() }
        let store = try database.open()
        try await letTimePass { try await store.service("Shop")?.status == .error }
        try await checking.apply(ServicePlan())
        #expect(try await store.services().isEmpty)
        #expect(try await store.checks(ofService: nil).isEmpty)
    }

    @Test func healthIsTrueOnceEveryLoopHasGoneRound() async throws {
        let checking = try await checking(CountingProbe())
        let store = try database.open()
        let health = AggregatorHealth(vitals: vitals, store: store, time: time)
        #expect(try await !health.health(at: time.now().wall).isRunning)
        let loops = [
            Task { try await checking.run() },
            Task { try await SilenceWatch(store: store, plan: current, vitals: vitals, changes: changes, time: time).run() },
            Task { try await Delivery(store: store, notifier: { nil }, vitals: vitals, changes: changes, time: time).run() },
        ]
        defer { for loop in loops { loop.cancel() } }
        try await letTimePass { try await health.health(at: time.now().wall).isRunning }
        #expect(
            try await health.health(at: time.now().wall).lines.prefix(2) == ["scheduler: on time", "database: takes writes"])
        for loop in loops { loop.cancel() }
        for loop in loops { _ = try? await loop.value }
        time.advance(by: .seconds(200))
        #expect(try await !health.health(at: time.now().wall).isRunning)
    }

    private func checking(_ probe: CountingProbe) async throws -> Checking {
        let configured = ConfiguredCheck(
            name: "home page", service: "Shop", importance: .error,
            check: Check(name: "Shop/home page", every: .seconds(10), deadline: .seconds(5), failuresBeforeFailing: 2, probe: probe))
        let plan = ServicePlan(services: [ConfiguredService(name: "Shop", checks: [configured])], defaultRecipients: ["ops@example.com"])
        let checking = Checking(store: try database.open(), plan: current, vitals: vitals, changes: changes, time: time)
        try await checking.apply(plan)
        return checking
    }
}

/// A probe that answers what the test says.
final class CountingProbe: Probe {
    static let kind = "counting"
    let summary = "counts"
    private let state = Mutex(ProbeOutcome.failed(reason: "answered 503"))

    var outcome: ProbeOutcome {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    func run(deadline: Duration) async -> ProbeOutcome { outcome }
}
