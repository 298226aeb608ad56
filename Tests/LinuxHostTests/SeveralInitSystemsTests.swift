// Several init systems on one host, each of them real, that have services of one name.

import AgentAPI
import AgentCore
import Foundation
import LinuxHost
import Platform
import Synchronization
import Testing

extension InsideBed {
    @Test func whoAnswersForANameThatSeveralHave() throws {
        let (runit, supervisord) = (try RunitFixture(), try SupervisordFixture())
        try "[Service]\nExecStart=/bin/sleep 1000\n".write(toFile: "/run/systemd/system/steady.service", atomically: true, encoding: .utf8)
        try systemctl("daemon-reload")
        try systemctl("start", "steady.service")
        try runit.start(.steady)
        try supervisord.start(.steady)
        let pids = [
            "systemd": Int32(try systemctl("show", "--property=MainPID", "--value", "steady.service").filter { $0 != "\n" }),
            "runit": runit.workers.pid(of: .steady), "supervisord": supervisord.workers.pid(of: .steady),
        ]
        #expect(Set(pids.values.compactMap { $0 }).count == 3, "\(pids)")
        // The first that knows it answers for a check that names none.
        for (named, speaker) in [(nil, "systemd"), ("systemd", "systemd"), ("runit", "runit"), ("supervisord", "supervisord")] as [(String?, String)]
        {
            let state = try state(of: WatchPlan.Service(name: "steady", initSystem: named), runit, supervisord) { $0.phase == .up }
            #expect(state.initSystem == speaker && state.mainPID == pids[speaker], "\(String(describing: named)): \(state)")
        }
        // Only the one that is named counts, whoever else still runs.
        try runit.stop(.steady)
        _ = try state(of: WatchPlan.Service(name: "steady", initSystem: "runit"), runit, supervisord) {
            $0.phase == .idle && $0.initSystem == "runit"
        }
        // One that nobody names is found wherever it is.
        let elsewhere = try state(of: WatchPlan.Service(name: "pair:number0"), runit, supervisord) { $0.phase == .idle }
        #expect(elsewhere.initSystem == "supervisord")
        try systemctl("stop", "steady.service")
        unlink("/run/systemd/system/steady.service")
        try systemctl("daemon-reload")
    }

    /// What an agent with these init systems comes to say of a service.
    private func state(
        of service: WatchPlan.Service, _ fixtures: any InitSystemFixture..., until matches: (UnitState) -> Bool
    ) throws -> UnitState {
        let (on, sink) = (try OnLoop(), LatestSnapshot())
        let agent = try on.run {
            let systems = try [SystemdInit(loop: on.loop, logger: quiet)] + fixtures.map { try $0.makeInitSystem(on: on.loop) }
            let agent = AgentLoop(
                plan: WatchPlan(cycle: .seconds(1), services: [service]), on: on.loop, time: SystemTime(), initSystems: systems,
                sampler: LinuxSampler(logger: quiet), processes: PidfdWatcher(loop: on.loop), sink: sink,
                serviceManager: ServiceManager(address: nil), version: "1", logger: quiet)
            agent.start {}
            return agent
        }
        let came = eventually { sink.unit.map(matches) ?? false }
        let unit = sink.unit
        try on.run { agent.stop() }
        guard came, let unit else { throw NeverSaid(description: "the agent never said that of \(service.name), but \(String(describing: unit))") }
        return unit
    }
}

/// Keeps what was said last of the only unit.
private final class LatestSnapshot: ReportSink {
    private let latest = Mutex<Snapshot?>(nil)
    var unit: UnitState? { latest.withLock { $0?.units.first } }

    func record(_ event: Event) {}
    func update(_ snapshot: Snapshot) { latest.withLock { $0 = snapshot } }
    func wantsNumbers(at uptime: Duration) -> Bool { true }
    func cycleEnded(at now: Timestamp) {}
    func mainProcess(of unit: String, is process: ProcessIdentity?) {}
    func mainProcess(of unit: String, hasMark mark: ExecMark?) {}
}
