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
        let answer = try await ingestion.ingest(report([event(1, .unitDown), event(2, .unitUp)]), token: "web1", at: start)
        #expect(answer == .taken(Acknowledgement(sequence: 2)))
        await announcements.next()
        #expect(try await store.events(ofService: nil, agent: nil, limit: 10).count == 2)
    }

    @Test func anotherAgentTakesATokenOverWhenTheFirstIsSilent() async throws {
        let store = try database.open()
        try await store.addAgentToken(name: "web1", digest: "d", at: start)
        let ingestion = Ingestion(store: store, plan: current, vitals: vitals, changes: changes)
        let other = String(repeating: "b", count: 32)
        _ = try await ingestion.ingest(report([event(1, .unitDown)], units: [unit("puma.service", .down)]), token: "web1", at: start)
        #expect(try await ingestion.ingest(report(from: other), token: "web1", at: start + .seconds(20)) == .tokenOfAnother(host: "web1"))
        #expect(try await store.host(agent: other) == nil)
        let taken = try await ingestion.ingest(report(from: other), token: "web1", at: start + .seconds(60))
        #expect(taken == .taken(Acknowledgement(sequence: 0)))
        #expect(try await store.host(agent: agent)?.replacedBy == other)
        #expect(try await store.service("puma.service")?.status == .passing)
        #expect(try await ingestion.ingest(report(), token: "web1", at: start + .seconds(61)) == .tokenOfAnother(host: "web1"))
    }

    @Test func ordersGoOutWithAnswersUntilTheirResultsCome() async throws {
        let store = try database.open()
        try await store.addAgentToken(name: "web1", digest: "d", at: start)
        let ingestion = Ingestion(store: store, plan: current, vitals: vitals, changes: changes)
        let order = try await store.order(.act(.restart, unit: "puma"), of: agent, by: "mika", at: start)
        let given = AgentOrder(id: order.id, request: .success(.act(.restart, unit: "puma")))
        var sent = report()
        sent.snapshot = 4
        for _ in 1...2 {
            #expect(try await ingestion.ingest(sent, token: "web1", at: start) == .taken(Acknowledgement(sequence: 0, snapshot: 4, orders: [given])))
        }
        sent.results = [OrderResult(id: order.id, isGood: true, text: "restarted\n")]
        #expect(try await ingestion.ingest(sent, token: "web1", at: start) == .taken(Acknowledgement(sequence: 0, snapshot: 4)))
        #expect(try await store.orders(ofAgent: agent, limit: 1).first?.result == sent.results.first)
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
