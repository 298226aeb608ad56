// A whole agent on fakes.

import AgentAPI
@testable import AgentCore
import Logging
import Platform
import RuleLanguage
import TestKit

/// An agent on fakes. Its time stands still but for `advance`; its loop's timers run in `turn`, by the machine's clock.
final class AgentBed {
    let loop: Loop
    let time = ManualTime()
    let systemd = FakeInit("systemd")
    let upstart = FakeInit("upstart")
    let pidFiles = FakeInit("pidfile")
    let sampler = FakeSampler()
    let processes = FakeProcesses()
    let sink = FakeSink()
    let agent: AgentLoop
    let runner = FakeRunner()
    let commands = FakeCommands()
    let evidence = FakeEvidence()
    private(set) var isReady = false

    init(
        _ services: [WatchPlan.Service], host: [Rule] = [], cycle: Duration = .seconds(3600), time: (any TimeSource)? = nil,
        serviceManager: ServiceManager = ServiceManager(address: nil), jobs: [Job] = [], timers: [WatchPlan.Timers] = [], stateFolder: String? = nil
    ) throws {
        loop = try Loop()
        agent = AgentLoop(
            plan: WatchPlan(
                cycle: cycle, hostRules: host, hostRoute: "hosts", services: services, jobs: jobs,
                jobRoutes: Dictionary(jobs.map { ($0.name, "night") }) { first, _ in first }, timers: timers), on: loop,
            time: time ?? self.time,
            initSystems: [systemd, upstart, pidFiles], sampler: sampler, processes: processes, sink: sink, serviceManager: serviceManager,
            version: "1.0", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, runner: runner, commands: commands,
            evidence: evidence, stateFolder: stateFolder, hostname: "web1", boot: "b",
            nextCron: { _, after in Timestamp(seconds: (after.seconds / 3600 + 1) * 3600) })
    }

    func start() { agent.start { [unowned self] in isReady = true } }

    /// Starts with one unit that runs.
    func startWithPuma() {
        start()
        systemd.runs("puma")
        turn()
    }

    /// Lets the loop run for a while: what is due happens.
    func turn(for duration: Duration = .milliseconds(1)) {
        loop.after(duration) { [loop] in loop.stop() }
        loop.run()
    }

    /// Lets the loop run until something is so, for five seconds at most.
    func turn(until isDone: () -> Bool) {
        for _ in 0..<500 {
            if isDone() { return }
            turn(for: .milliseconds(10))
        }
    }

    func cycle(_ rss: Double?) {
        sampler.units["puma"] = rss.map { ["memory:total_rss": $0] } ?? [:]
        cycle()
    }

    /// One cycle, 15 seconds later.
    func cycle(after duration: Duration = .seconds(15)) {
        time.advance(by: duration)
        agent.cycle()
    }

    /// Moves time without a cycle and lets what is due happen: trackers and actions are looked at when their units are heard of.
    func pass(_ duration: Duration) {
        time.advance(by: duration)
        agent.actions?.look()
        turn()
    }

    func ask(_ request: AgentRequest, from asker: String = "bob") -> AgentAnswer { agent.answer(request, from: asker) }

    /// `unit_down web`: kind and routes of what happened since the start, without what an action came to.
    var told: [String] {
        sink.events.filter { $0.kind != .agentStarted }.map { event in
            ([event.kind.rawValue] + event.routes.map { $0 ?? "default" }).joined(separator: " ")
        }
    }

    /// Without the start of the agent.
    var events: [String] { sink.events.filter { $0.kind != .agentStarted }.map { "\($0.kind.rawValue): \($0.detail)" } }
    var phases: [String: UnitState.Phase] {
        Dictionary(uniqueKeysWithValues: (sink.snapshots.last?.units ?? []).map { ($0.name, $0.phase) })
    }
}
