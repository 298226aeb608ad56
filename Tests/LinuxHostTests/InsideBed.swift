import AgentCore
import Foundation
import Platform
import Testing

@testable import LinuxHost

/// One `SystemdInit` on the bed's systemd.
final class Watching {
    let on: OnLoop
    let system: SystemdInit
    let listener = Listener()

    convenience init(_ names: [String], address: String? = nil) throws {
        try self.init(requests: names.map { UnitRequest(name: $0) }, address: address)
        for name in names where address == nil { try #require(eventually { listener.latest(name) != nil }, "\(name) was never told of") }
    }

    init(requests: [UnitRequest], address: String? = nil) throws {
        let on = try OnLoop()
        self.on = on
        let listener = listener
        system = try on.run {
            let system = SystemdInit(loop: on.loop, address: address, logger: quiet)
            system.start(watching: requests, observer: listener)
            return system
        }
    }

    deinit {
        let system = system
        try? on.run { system.stop() }
    }

    func waitFor(_ name: String, within seconds: Double = 10, _ matches: (Observation) -> Bool) throws -> Observation {
        guard eventually(within: seconds, { listener.latest(name).map(matches) ?? false }), let latest = listener.latest(name) else {
            throw NeverSaid(description: "\(name) never came there; said was: \(listener.observations(of: name))")
        }
        return latest
    }

    /// What was said last of one unit of a group.
    func waitFor(_ unit: String, of group: String, _ matches: (Observation) -> Bool) throws -> Observation {
        func latest() -> Observation? { listener.observations(of: group).last { $0.unit == unit } }
        guard eventually({ latest().map(matches) ?? false }), let latest = latest() else {
            throw NeverSaid(description: "\(unit) of \(group) never came there; said was: \(listener.observations(of: group))")
        }
        return latest
    }

    /// Waits until what systemd had to say has been told, and forgets it: systemd tells of the job of a start once more when the unit runs
    /// already. Its answer to a call that changes nothing comes after that.
    func settle(_ name: String) throws {
        _ = try systemctl("show", "-P", "Id", name)
        _ = try perform(.signal(0), on: name)
        // What may be passing is told a moment later.
        usleep(150_000)
        listener.forget()
    }

    func perform(_ verb: UnitVerb, on name: String, deadline: Duration = .seconds(10)) throws -> Result<Void, ActionError> {
        let answer = Box<Result<Void, ActionError>>()
        let system = system
        try on.run { system.perform(verb, on: name, deadline: deadline) { answer.value = $0 } }
        guard eventually(within: 15, { (try? on.run { answer.value != nil }) == true }), let value = answer.value else {
            throw NeverSaid(description: "\(verb) of \(name) was never answered")
        }
        return value
    }
}

struct NeverSaid: Error, CustomStringConvertible { var description: String }

@discardableResult
func systemctl(_ arguments: String...) throws -> String { try shell("/bin/systemctl", arguments).output }

extension Result where Success == Void, Failure == ActionError {
    var problem: String? { if case .failure(let error) = self { error.problem } else { nil } }
}

/// A real systemd, seen from inside.
@Suite(.serialized, .enabled(if: isInsideBed && getuid() == 0, "runs inside a bed, which SystemdBedTests starts"))
struct InsideBed {
    @Test func aUnitStartsAndStops() throws {
        let watching = try Watching(["never"])
        #expect(watching.listener.latest("never")?.activity == .stopped)
        #expect(watching.listener.latest("never")?.presence == .present)
        try systemctl("start", "never")
        let up = try watching.waitFor("never") { $0.activity == .running && $0.cgroup != nil && !$0.hasJob }
        #expect(up.unit == "never.service" && up.detail == "active/running")
        #expect(up.cgroup == "/system.slice/never.service")
        #expect(up.run?.count == 32)
        #expect(!up.restartsByItself)
        let process = try #require(up.mainProcess)
        #expect(try systemctl("show", "-P", "MainPID", "never") == "\(process.pid)\n")
        #expect(ProcFileSystem(root: "/").stat(of: process.pid)?.startTicks == process.startTicks)
        try systemctl("stop", "never")
        let down = try watching.waitFor("never") { $0.activity == .stopped && !$0.hasJob }
        #expect(down.lastExit == .signaled(15) && down.mainProcess == nil && down.cgroup == nil)
        #expect(watching.listener.observations(of: "never").contains { $0.activity == .stopping || $0.hasJob })
        try systemctl("start", "never")
        let again = try watching.waitFor("never") { $0.activity == .running && !$0.hasJob }
        #expect(again.run != up.run)
        try systemctl("stop", "never")
    }

    @Test func aKilledUnitThatNothingRestartsHasFailed() throws {
        let watching = try Watching(["never"])
        try systemctl("start", "never")
        let up = try watching.waitFor("never") { $0.activity == .running && !$0.hasJob }
        kill(try #require(up.mainProcess).pid, SIGKILL)
        let down = try watching.waitFor("never") { $0.activity == .failed }
        #expect(down.lastExit == .signaled(9))
        #expect(down.run == up.run)
        try systemctl("reset-failed", "never")
        _ = try watching.waitFor("never") { $0.activity == .stopped }
    }

    @Test func aKilledUnitThatSystemdRestartsNeverLooksDown() throws {
        let watching = try Watching(["always"])
        try systemctl("start", "always")
        var up = try watching.waitFor("always") { $0.activity == .running && !$0.hasJob && $0.cgroup != nil }
        #expect(up.restartsByItself)
        for round in 1...3 {
            try watching.settle("always")
            kill(try #require(up.mainProcess).pid, SIGKILL)
            let next = try watching.waitFor("always") { $0.activity == .running && $0.run != up.run && $0.mainProcess != nil }
            let told = watching.listener.observations(of: "always")
            #expect(told.allSatisfy { ![.failed, .stopped].contains($0.activity) && !$0.hasJob }, "\(told)")
            #expect(told.first { $0.activity != .running }?.activity == .restarting && told.last?.lastExit == .signaled(9))
            #expect(next.automaticRestarts == up.automaticRestarts + 1, "round \(round)")
            #expect(next.lastExit == .signaled(9))
            up = next
        }
        try systemctl("stop", "always")
    }

    @Test func aRestartWithoutAPauseIsSeenAllTheSame() throws {
        let watching = try Watching(["at-once"])
        try systemctl("start", "at-once")
        let up = try watching.waitFor("at-once") { $0.activity == .running && !$0.hasJob }
        try watching.settle("at-once")
        kill(try #require(up.mainProcess).pid, SIGKILL)
        let next = try watching.waitFor("at-once") { $0.activity == .running && $0.run != up.run && $0.mainProcess != nil }
        #expect(next.automaticRestarts == up.automaticRestarts + 1 && next.lastExit == .signaled(9))
        let told = watching.listener.observations(of: "at-once")
        #expect(told.allSatisfy { ![.failed, .stopped].contains($0.activity) && !$0.hasJob }, "\(told)")
        try systemctl("stop", "at-once")
    }

    @Test func manyUnitsAreFoundThoughTheBusLimitsOpenCalls() throws {
        let names = (1...300).map { "worker@\($0)" }
        let watching = try Watching(names)
        #expect(names.allSatisfy { watching.listener.latest($0)?.presence == .present })
        #expect(!watching.listener.lines.contains(.failed))
    }

    @Test func aRestartThatSomebodyAsksForIsAJob() throws {
        let watching = try Watching(["always"])
        try systemctl("start", "always")
        let up = try watching.waitFor("always") { $0.activity == .running && !$0.hasJob }
        try watching.settle("always")
        try systemctl("restart", "always")
        let next = try watching.waitFor("always") { $0.activity == .running && $0.run != up.run && !$0.hasJob }
        let told = watching.listener.observations(of: "always")
        #expect(told.filter { $0.activity != .running }.allSatisfy { $0.hasJob }, "\(told)")
        #expect(next.mainProcess != up.mainProcess)
        try systemctl("stop", "always")
    }

    @Test func whatGivesUpRestartingHasHitItsStartLimit() throws {
        let watching = try Watching(["crash-loop"])
        try systemctl("start", "crash-loop")
        let down = try watching.waitFor("crash-loop") { $0.activity == .failed }
        #expect(down.lastExit == .startLimit)
        #expect(down.automaticRestarts > 0)
        try systemctl("reset-failed", "crash-loop")
    }

    @Test func exitsAreTold() throws {
        let watching = try Watching(["exits-with-3", "finished", "start-fails"])
        try systemctl("start", "--no-block", "exits-with-3", "finished", "start-fails")
        #expect(try watching.waitFor("exits-with-3") { $0.activity == .failed }.lastExit == .exited(status: 3))
        #expect(try watching.waitFor("start-fails") { $0.activity == .failed }.lastExit == .exited(status: 1))
        let finished = try watching.waitFor("finished") { $0.activity == .running }
        #expect(finished.detail == "active/exited" && finished.mainProcess == nil)
        try systemctl("stop", "finished")
        try systemctl("reset-failed")
    }

    @Test func aliasesAndInstancesAreUnits() throws {
        let watching = try Watching(["nickname", "never.service", "worker@1", "masked", "no such thing", "worker@.service", "dbus.socket"])
        try systemctl("start", "never", "worker@1")
        for name in ["nickname", "never.service"] { #expect(try watching.waitFor(name) { $0.activity == .running }.unit == "never.service") }
        let worker = try watching.waitFor("worker@1") { $0.activity == .running && $0.cgroup != nil }
        #expect(worker.unit == "worker@1.service" && worker.cgroup?.hasSuffix("/worker@1.service") == true)
        #expect(watching.listener.latest("masked")?.detail == "inactive/dead, masked")
        #expect(watching.listener.latest("no such thing")?.presence == .absent)
        #expect(watching.listener.latest("worker@.service")?.presence == .absent)
        #expect(watching.listener.latest("dbus.socket")?.activity == .running)
        try systemctl("stop", "never", "worker@1")
        #expect(try watching.waitFor("nickname") { $0.activity == .stopped }.unit == "never.service")
    }

    @Test func actionsEndInSuccessOrInWords() throws {
        let watching = try Watching(["always", "reloads", "reload-fails", "start-fails", "masked", "stubborn", "never"])
        try systemctl("start", "always", "reloads", "reload-fails", "stubborn")
        let up = try watching.waitFor("always") { $0.activity == .running && !$0.hasJob }
        _ = try watching.waitFor("reloads") { $0.activity == .running && !$0.hasJob }
        _ = try watching.waitFor("stubborn") { $0.activity == .running && !$0.hasJob }
        #expect(try watching.perform(.restart, on: "always.service").problem == nil)
        _ = try watching.waitFor("always") { $0.run != up.run && $0.activity == .running && !$0.hasJob }
        #expect(try watching.perform(.reload, on: "reloads").problem == nil)
        #expect(try watching.perform(.reload, on: "always").problem == "always.service cannot be reloaded: it has no ExecReload=")
        #expect(try watching.perform(.reload, on: "reload-fails").problem?.contains("its ExecReload= command did not succeed") == true)
        #expect(try watching.perform(.restart, on: "start-fails").problem == "the restart of start-fails.service failed: it exited with status 1")
        #expect(try watching.perform(.restart, on: "masked").problem == "masked.service is masked: systemd refuses to run it")
        #expect(try watching.perform(.restart, on: "unheard").problem == "systemd knows no unit unheard")
        try systemctl("stop", "reloads")
        _ = try watching.waitFor("reloads") { $0.activity == .stopped && !$0.hasJob }
        #expect(try watching.perform(.reload, on: "reloads").problem == "the reload of reloads.service was not possible: it is not running")

        #expect(try watching.perform(.restart, on: "stubborn", deadline: .milliseconds(300)).problem?.contains("was not done within 0.3 s") == true)
        _ = try watching.waitFor("stubborn") { $0.hasJob }
        #expect(try watching.perform(.restart, on: "stubborn").problem?.contains("has a job for stubborn.service already") == true)
        _ = try watching.waitFor("stubborn") { $0.activity == .running && !$0.hasJob }
        try systemctl("stop", "always", "reload-fails")
        try systemctl("kill", "-s", "KILL", "stubborn")
        try systemctl("reset-failed")
    }

    @Test func aUnitThatAppearsLaterIsFoundAndOneThatIsDeletedIsGone() throws {
        let watching = try Watching(["later", "unreloaded", "fleeting"])
        for name in ["later", "unreloaded", "fleeting"] { #expect(watching.listener.latest(name)?.presence == .absent) }
        let text = "[Service]\nExecStart=/bin/sleep infinity\n"
        try text.write(toFile: "/etc/systemd/system/later.service", atomically: true, encoding: .utf8)
        try systemctl("daemon-reload")
        #expect(try watching.waitFor("later") { $0.presence == .present }.activity == .stopped)
        try text.write(toFile: "/etc/systemd/system/unreloaded.service", atomically: true, encoding: .utf8)
        try systemctl("start", "unreloaded")
        _ = try watching.waitFor("unreloaded") { $0.activity == .running && $0.mainProcess != nil }
        try shell("/usr/bin/systemd-run", ["--unit=fleeting", "sleep", "infinity"])
        _ = try watching.waitFor("fleeting") { $0.activity == .running && $0.presence == .present }
        try systemctl("stop", "fleeting", "unreloaded")
        for name in ["later", "unreloaded"] { try FileManager.default.removeItem(atPath: "/etc/systemd/system/\(name).service") }
        try systemctl("daemon-reload")
        for name in ["later", "unreloaded", "fleeting"] { _ = try watching.waitFor(name) { $0.presence == .absent } }
    }

    @Test(arguments: ["daemon-reload", "daemon-reexec"])
    func watchingSurvives(verb: String) throws {
        let watching = try Watching(["always", "never"])
        try systemctl("start", "always", "never")
        let up = try watching.waitFor("always") { $0.activity == .running && !$0.hasJob && $0.cgroup != nil }
        _ = try watching.waitFor("never") { $0.activity == .running && !$0.hasJob && $0.cgroup != nil }
        try watching.settle("never")
        try systemctl(verb)
        usleep(500_000)
        #expect(watching.listener.lines.isEmpty, "nothing has changed, but said was: \(watching.listener.reasons) \(watching.listener.lines)")
        kill(try #require(up.mainProcess).pid, SIGKILL)
        let next = try watching.waitFor("always") { $0.activity == .running && $0.run != up.run }
        #expect(next.automaticRestarts == up.automaticRestarts + 1)
        try systemctl("stop", "always", "never")
        _ = try watching.waitFor("never") { $0.activity == .stopped }
    }

    @Test func aNewDefinitionIsReadAfterAReload() throws {
        let watching = try Watching(["never"])
        #expect(watching.listener.latest("never")?.restartsByItself == false)
        try FileManager.default.createDirectory(atPath: "/etc/systemd/system/never.service.d", withIntermediateDirectories: true)
        try "[Service]\nRestart=on-failure\n".write(toFile: "/etc/systemd/system/never.service.d/a.conf", atomically: true, encoding: .utf8)
        try systemctl("daemon-reload")
        _ = try watching.waitFor("never") { $0.restartsByItself }
        try FileManager.default.removeItem(atPath: "/etc/systemd/system/never.service.d")
        try systemctl("daemon-reload")
        _ = try watching.waitFor("never") { !$0.restartsByItself }
    }

    @Test func aLostBusIsOneFailureAndEverythingIsSaidAnew() throws {
        let watching = try Watching(["always", "never"])
        try systemctl("start", "always")
        let up = try watching.waitFor("always") { $0.activity == .running && !$0.hasJob && $0.cgroup != nil }
        try watching.settle("always")
        let bus = try #require(Int32(systemctl("show", "-P", "MainPID", "dbus").split(separator: "\n").first ?? ""))
        kill(bus, SIGKILL)
        #expect(eventually { watching.listener.lines.contains(.failed) })
        #expect(eventually { watching.listener.lines.contains(.recovered) })
        _ = try watching.waitFor("always") { $0.activity == .running && $0.run == up.run && $0.cgroup == up.cgroup }
        _ = try watching.waitFor("never") { $0.activity == .stopped }
        #expect(watching.listener.lines.filter { $0 == .failed }.count == 1)
        #expect(watching.listener.lines.first == .failed && watching.listener.lines.dropFirst().first == .recovered)
        kill(try #require(up.mainProcess).pid, SIGKILL)
        let next = try watching.waitFor("always") { $0.activity == .running && $0.run != up.run && !$0.hasJob }
        #expect(try watching.perform(.restart, on: "always").problem == nil)
        _ = try watching.waitFor("always") { $0.activity == .running && $0.run != next.run && !$0.hasJob }
        try systemctl("stop", "always")
    }

    /// The bus daemon is stopped for longer than a call may take, while units die.
    @Test func aBusThatHangsIsOneFailureAndNobodyLooksDown() throws {
        let watching = try Watching(["always", "never"])
        try systemctl("start", "always", "never")
        let up = try watching.waitFor("always") { $0.activity == .running && !$0.hasJob && $0.cgroup != nil }
        _ = try watching.waitFor("never") { $0.activity == .running && !$0.hasJob && $0.cgroup != nil }
        try watching.settle("never")
        let bus = try #require(Int32(systemctl("show", "-P", "MainPID", "dbus").split(separator: "\n").first ?? ""))
        kill(bus, SIGSTOP)
        // A question that nobody answers is how a hang is noticed.
        let system = watching.system
        try watching.on.run { system.change(watching: ["always", "never", "worker@9"].map { UnitRequest(name: $0) }) }
        kill(try #require(up.mainProcess).pid, SIGKILL)
        #expect(eventually(within: 10) { watching.listener.lines.contains(.failed) })
        #expect(!watching.listener.lines.contains { if case .observed = $0 { true } else { false } })
        kill(bus, SIGCONT)
        #expect(eventually { watching.listener.lines.contains(.recovered) })
        let next = try watching.waitFor("always") { $0.activity == .running && $0.run != up.run && $0.mainProcess != nil }
        #expect(next.lastExit == .signaled(9))
        _ = try watching.waitFor("never") { $0.activity == .running }
        #expect(watching.listener.lines.filter { $0 == .failed }.count == 1)
        #expect(watching.listener.observations(of: "never").allSatisfy { $0.activity == .running })
        try systemctl("stop", "always", "never")
    }

    @Test func aBusThatIsNotThereIsOneFailure() throws {
        let watching = try Watching(["never"], address: "unix:path=/run/no-such-bus")
        usleep(700_000)
        #expect(watching.listener.lines == [.failed])
        #expect(try watching.perform(.restart, on: "never").problem == "systemd cannot be reached at present")
    }

    @Test func watchingCanChange() throws {
        let watching = try Watching(["always", "never"])
        let system = watching.system
        try watching.on.run { system.change(watching: [UnitRequest(name: "never"), UnitRequest(name: "worker@7")]) }
        _ = try watching.waitFor("worker@7") { $0.activity == .stopped }
        watching.listener.forget()
        try systemctl("start", "always", "worker@7")
        _ = try watching.waitFor("worker@7") { $0.activity == .running && !$0.hasJob }
        #expect(watching.listener.observations(of: "always").isEmpty)
        try systemctl("stop", "always", "worker@7")
    }

    @Test func aFamilyIsMeasuredThroughItsGroup() throws {
        let watching = try Watching(["family"])
        try systemctl("start", "family")
        let up = try watching.waitFor("family") { $0.activity == .running && $0.cgroup != nil && !$0.hasJob }
        #expect(eventually { (try? systemctl("show", "-P", "TasksCurrent", "family")) != nil })
        usleep(300_000)
        let sampler = LinuxSampler(logger: quiet)
        let time = SystemTime()
        sampler.beginCycle(at: time.now().uptime)
        let first = sampler.sample(unit: "family", process: up.mainProcess, cgroup: up.cgroup, metrics: LinuxSampler.serviceMetrics)
        usleep(1_000_000)
        sampler.beginCycle(at: time.now().uptime)
        let second = sampler.sample(unit: "family", process: up.mainProcess, cgroup: up.cgroup, metrics: LinuxSampler.serviceMetrics)
        // Here the shell turns in circles and its two children sleep.
        let rss = try #require(first["memory:rss"])
        #expect(try #require(first["memory:total_rss"]) > rss)
        #expect(first["cpu:total"] == nil)
        #expect(try #require(second["cpu:total"]) > 5)
        #expect(try #require(second["cpu:total"]) < 120)
        #expect(try #require(second["cpu:user"]) <= 5 + (try #require(second["cpu:total"])))
        // The version 2 hierarchy of the bed has no memory controller.
        let isHybrid = ProcessInfo.processInfo.environment["ROLLCALL_INSIDE_BED"] == "hybrid"
        #expect((second["memory:total"] != nil) == isHybrid)
        try systemctl("stop", "family")
    }
}

/// The same systemd, seen by somebody who may only look.
@Suite(.serialized, .enabled(if: isInsideBed && getuid() != 0, "runs inside a bed, which SystemdBedTests starts"))
struct UnprivilegedInBed {
    @Test func aRefusalNamesWhatIsMissing() throws {
        let watching = try Watching(["dbus"])
        #expect(watching.listener.latest("dbus")?.activity == .running)
        let problem = try watching.perform(.restart, on: "dbus").problem
        #expect(problem?.contains("may not restart dbus.service") == true && problem?.contains("polkit") == true, "\(problem ?? "allowed")")
    }

    /// Without a reference systemd forgets a stopped unit, and asking for it makes it appear again.
    @Test func watchingAStoppedUnitKeepsNobodyBusy() throws {
        let watching = try Watching(["never", "no-such-unit"])
        let proc = ProcFileSystem(root: "/")
        usleep(200_000)
        let before = try #require(proc.stat(of: 1))
        watching.listener.forget()
        usleep(2_000_000)
        let after = try #require(proc.stat(of: 1))
        #expect(after.userTicks + after.systemTicks - before.userTicks - before.systemTicks < 20)
        #expect(watching.listener.lines.isEmpty)
    }
}
