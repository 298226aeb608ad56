// runit and s6: real ones in a bed, and their status files.

import AgentCore
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

/// A folder of services that a real runsvdir watches.
final class RunitFixture: InitSystemFixture {
    /// Ends before its folders do.
    private let supervisor: Supervisor
    let workers: Workers
    let scan = Folder()

    init() throws {
        workers = try Workers()
        for role in ServiceRole.allCases where role != .late { try makeRunitService(workers, role, in: scan, isDown: true) }
        // Told to hang up, it ends its runsv processes too.
        supervisor = try Supervisor("runsvdir", ["-P", scan.path], farewell: SIGHUP)
        let isUp = eventually { [scan] in
            (try? shell("sv", ["status", scan.path + "/steady", scan.path + "/failing", scan.path + "/first", scan.path + "/second"]))?.status == 0
        }
        if !isUp { throw NeverSaid(description: "runsvdir did not come up") }
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { RunitInit(loop: loop, roots: ["/no/such/folder", scan.path], logger: quiet) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        try tool("sv", "start", "\(scan.path)/\(role.rawValue)")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws { try tool("sv", "stop", "\(scan.path)/\(role.rawValue)") }
    func add() throws { try makeRunitService(workers, .late, in: scan, isDown: false) }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities(tellsFailures: false) }

    /// Ends runsvdir and a service's runsv without their consent.
    func killSupervisors(of service: String) {
        kill(supervisor.child.pid, SIGKILL)
        guard let text = try? String(contentsOfFile: "\(scan.path)/\(service)/supervise/pid", encoding: .utf8),
            let process = pidNumber(parsing: Array(text.utf8)), let runsv = parent(of: process)
        else { return }
        kill(runsv, SIGKILL)
    }
}

private func parent(of process: Int32) -> Int32? {
    guard let line = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8), let end = line.lastIndex(of: ")") else { return nil }
    let fields = line[line.index(after: end)...].split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) : nil
}

private func makeRunitService(_ workers: Workers, _ role: ServiceRole, in scan: Folder, isDown: Bool) throws {
    let hidden = ".\(role.rawValue)"
    try scan.write("#!/bin/sh\nexec \(workers.command(role))\n", to: "\(hidden)/run")
    chmod("\(scan.path)/\(hidden)/run", 0o755)
    if isDown { try scan.write("", to: "\(hidden)/down") }
    rename("\(scan.path)/\(hidden)", "\(scan.path)/\(role.rawValue)")
}

/// A folder of services that a real s6-svscan watches.
final class S6Fixture: InitSystemFixture {
    /// Ends before its folders do.
    private let supervisor: Supervisor
    let workers: Workers
    let scan = Folder()

    init() throws {
        workers = try Workers()
        for role in ServiceRole.allCases where role != .late { try makeRunitService(workers, role, in: scan, isDown: true) }
        // A failure that is not to be repeated.
        try scan.write("#!/bin/sh\nexit 125\n", to: "failing/finish")
        chmod("\(scan.path)/failing/finish", 0o755)
        supervisor = try Supervisor("s6-svscan", [scan.path], farewell: SIGTERM)
        let isUp = eventually { [scan] in
            ["steady", "failing", "first", "second"].allSatisfy { (try? shell("s6-svok", ["\(scan.path)/\($0)"]))?.status == 0 }
        }
        if !isUp { throw NeverSaid(description: "s6-svscan did not come up") }
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { S6Init(loop: loop, roots: [scan.path], logger: quiet) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        try tool("s6-svc", "-u", "\(scan.path)/\(role.rawValue)")
        try tool("s6-svwait", "-u", "-t", "5000", "\(scan.path)/\(role.rawValue)")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws {
        try tool("s6-svc", "-d", "\(scan.path)/\(role.rawValue)")
        try tool("s6-svwait", "-D", "-t", "5000", "\(scan.path)/\(role.rawValue)")
    }
    func add() throws {
        try makeRunitService(workers, .late, in: scan, isDown: false)
        try tool("s6-svscanctl", "-a", scan.path)
    }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities() }
}

extension InsideSupervisors {
    @Test func runit() throws { try InitSystemPromises(RunitFixture()).verify() }
    @Test func s6() throws { try InitSystemPromises(S6Fixture()).verify() }

    /// Looking at a service opens its pipe, and who watches the folder hears of that: a look must not lead to the next one.
    @Test(arguments: ["runit", "s6"]) func atRestNobodyIsDisturbed(family: String) throws {
        let fixture: any InitSystemFixture = family == "runit" ? try RunitFixture() : try S6Fixture()
        let scan = (fixture as? RunitFixture)?.scan ?? (fixture as? S6Fixture)?.scan
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        _ = try watching.running("steady")
        sleep(1)
        let ears = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        defer { close(ears) }
        let folder = "\(try #require(scan).path)/steady/supervise"
        #expect(inotify_add_watch(ears, folder, UInt32(IN_OPEN | IN_CLOSE)) >= 0)
        sleep(3)
        var events = [UInt8](repeating: 0, count: 1 << 16)
        let bytes = read(ears, &events, events.count)
        // An event takes 16 bytes and its name.
        #expect(bytes < 50 * 32, "\(bytes / 32) times somebody opened or closed something there")
        withExtendedLifetime(watching) {}
    }

    @Test func whatAnOperatorDoesToAServiceIsNoAutomaticRestart() throws {
        let fixture = try RunitFixture()
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        let before = try watching.running("steady")
        watching.listener.forget()
        try tool("sv", "restart", fixture.scan.path + "/steady")
        let after = try watching.wait(for: "steady", "to be restarted") {
            $0.activity == .running && $0.mainProcess != before.mainProcess && !$0.hasJob
        }
        #expect(after.automaticRestarts == before.automaticRestarts)
        #expect(watching.observations(of: "steady").contains { $0.hasJob })
        // Paused is still running.
        try tool("sv", "pause", fixture.scan.path + "/steady")
        try watching.wait(for: "steady", "to be paused") { $0.activity == .running && $0.detail.contains("paused") }
    }

    @Test func aServiceThatEndsAgainAndAgainIsCounted() throws {
        let fixture = try RunitFixture()
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "failing")])
        try watching.wait(for: "failing", "to be known") { $0.activity == .stopped }
        try tool("sv", "up", fixture.scan.path + "/failing")
        // runsv starts it once a second; its runs are short, and those that nobody could see are not counted.
        try watching.wait(for: "failing", "to be waiting for its next start") { $0.activity == .restarting && $0.detail.contains("want up") }
        #expect(watching.latest("failing")?.mainProcess == nil)
    }

    @Test func aLogServiceIsNoUnitAndWhatVanishesIsGone() throws {
        let fixture = try RunitFixture()
        try fixture.start(.first)
        try fixture.scan.write("#!/bin/sh\nexec cat >/dev/null\n", to: "log/run")
        let everything = UnitRequest(name: "*", kind: .pattern)
        let watching = try PromiseWatch(
            fixture, [everything, UnitRequest(name: "first"), UnitRequest(name: "../first"), UnitRequest(name: "first/log")])
        try watching.running("first")
        for odd in ["../first", "first/log"] { try watching.wait(for: odd, "to be unknown") { $0.presence == .absent } }
        try watching.wait(for: "*", unit: "first", "to run") { $0.activity == .running }
        #expect(!watching.observations(of: "*").contains { $0.unit == "log" && $0.presence == .present && $0.detail.isEmpty })
        // Its supervisor ends with it.
        rename("\(fixture.scan.path)/first", "\(fixture.scan.path)/.first")
        try watching.wait(for: "first", "to be gone") { $0.presence == .absent }
        try watching.wait(for: "*", unit: "first", "to be gone") { $0.presence == .absent }
        rename("\(fixture.scan.path)/.first", "\(fixture.scan.path)/first")
        try watching.running("first")
    }

    @Test func aServiceWhoseSupervisorIsStillToComeIsNotSaidToBeUnknown() throws {
        let fixture = try S6Fixture()
        // s6-svscan is not told of them yet.
        try makeRunitService(fixture.workers, .late, in: fixture.scan, isDown: false)
        try fixture.scan.write("#!/bin/sh\nexec sleep 1000\n", to: "never/run")
        try fixture.scan.write("", to: "empty/data")
        let watching = try PromiseWatch(fixture, ["late", "never", "empty"].map { UnitRequest(name: $0) })
        try watching.wait(for: "empty", "to be unknown") { $0.presence == .absent }
        #expect(watching.observations(of: "late").isEmpty && watching.observations(of: "never").isEmpty)
        rename("\(fixture.scan.path)/never", "\(fixture.scan.path)/.never")
        mkdir("\(fixture.scan.path)/.never/supervise", 0o700)
        try tool("s6-svscanctl", "-a", fixture.scan.path)
        try watching.running("late")
        #expect(watching.observations(of: "late").allSatisfy { $0.presence == .present })
        rename("\(fixture.scan.path)/.never", "\(fixture.scan.path)/never")
        try watching.wait(for: "never", "to be unknown") { $0.presence == .absent }
    }

    @Test(arguments: ["runit", "s6"]) func whatTheAgentMayNotLookAtIsHiddenNotGone(family: String) throws {
        let fixture: any InitSystemFixture = family == "runit" ? try RunitFixture() : try S6Fixture()
        let scan = try #require((fixture as? RunitFixture)?.scan ?? (fixture as? S6Fixture)?.scan).path
        try fixture.start(.steady)
        let (listener, on) = (Listener(), try OnLoop())
        try on.run { try become(65534) }
        let requests = [UnitRequest(name: "steady"), UnitRequest(name: "first"), UnitRequest(name: "nothing")]
        // Each family leaves the other's folders to the other.
        let systems: [any InitSystem] = try on.run {
            let systems = [RunitInit(loop: on.loop, roots: [scan], logger: quiet), S6Init(loop: on.loop, roots: [scan], logger: quiet)]
            for system in systems { system.start(watching: requests, observer: listener) }
            return systems
        }
        func hidden(_ name: String) -> [Observation] { listener.observations(of: name).filter { $0.presence == .hidden } }
        #expect(eventually { !hidden("steady").isEmpty && !hidden("first").isEmpty })
        #expect(eventually { listener.observations(of: "nothing").count == 2 })
        #expect(hidden("nothing").isEmpty && hidden("steady").count == 1, "\(listener.lines)")
        let words = hidden("steady").first?.detail ?? ""
        #expect(words.hasPrefix("the agent may not look at \(scan)/steady/supervise: \(family)'s"), "\(words)")
        try shell("chmod", ["-R", "a+rX", "\(scan)/steady/supervise"])
        #expect(eventually { listener.observations(of: "steady").last { $0.presence != .absent }?.activity == .running })
        // Its pipe is still closed to the agent: that its supervisor lives is seen by the lock.
        let process = try #require(listener.observations(of: "steady").last { $0.mainProcess != nil }?.mainProcess)
        #expect(process.pid == (fixture as? RunitFixture)?.workers.pid(of: .steady) || family == "s6")
        try on.run { for system in systems { system.stop() } }
    }

    @Test(arguments: ["runit", "s6"]) func aServiceThatShallRunOnceIsNoFailureWhenItHasEnded(family: String) throws {
        let fixture: any InitSystemFixture = family == "runit" ? try RunitFixture() : try S6Fixture()
        let scan = try #require((fixture as? RunitFixture)?.scan ?? (fixture as? S6Fixture)?.scan)
        unlink("\(scan.path)/first/down")
        try scan.write("#!/bin/sh\nexec sleep 1\n", to: "first/run")
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "first"), UnitRequest(name: "second")])
        try watching.wait(for: "second", "to be known as one that is normally down") { $0.activity == .stopped && $0.nature == .batch }
        if family == "runit" { try tool("sv", "once", "\(scan.path)/first") } else { try tool("s6-svc", "-o", "\(scan.path)/first") }
        try watching.wait(for: "first", "to run once") { $0.activity == .running && $0.nature == .batch }
        let end = try watching.wait(for: "first", "to have ended") { $0.activity == .stopped && $0.mainProcess == nil }
        #expect(end.nature == .batch && !end.hasJob)
        #expect(end.lastExit == (family == "s6" ? .exited(status: 0) : nil))
    }

    @Test func anOperatorsStopShowsHoweverFastItIs() throws {
        let fixture = try RunitFixture()
        try fixture.scan.write("#!/bin/sh\nexec sleep 1000\n", to: "first/run")
        unlink("\(fixture.scan.path)/first/down")
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "first")])
        for _ in 0..<10 {
            try tool("sv", "up", "\(fixture.scan.path)/first")
            try watching.running("first")
            watching.listener.forget()
            try tool("sv", "down", "\(fixture.scan.path)/first")
            try watching.wait(for: "first", "to be stopped") { $0.activity == .stopped && !$0.hasJob }
            #expect(watching.observations(of: "first").contains { $0.hasJob }, "somebody asked for it")
            #expect(watching.latest("first")?.nature == .daemon)
        }
    }

    @Test func aSupervisorThatIsGoneForGoodIsToldEvenIfItsProcessRunsOn() throws {
        let fixture = try RunitFixture()
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        let process = try #require(try watching.running("steady").mainProcess)
        // runsvdir first, or it would start the other again.
        fixture.killSupervisors(of: "steady")
        let end = try watching.wait(for: "steady", "to have lost its supervisor") { $0.activity == .failed }
        #expect(end.detail == "no runsv supervises it any longer; its process \(process.pid) still runs")
        kill(process.pid, SIGKILL)
    }

    @Test func aSupervisorThatIsReplacedIsOneRestart() throws {
        let fixture = try RunitFixture()
        // A new supervisor would leave it down.
        unlink("\(fixture.scan.path)/steady/down")
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        let before = try watching.running("steady")
        let process = try #require(before.mainProcess)
        kill(try #require(parent(of: process.pid)), SIGKILL)
        kill(process.pid, SIGKILL)
        let after = try watching.wait(for: "steady", "to run again") { $0.activity == .running && $0.mainProcess.map { $0 != process } ?? false }
        #expect(after.automaticRestarts == before.automaticRestarts + 1)
        #expect(watching.observations(of: "steady").allSatisfy { $0.presence == .present })
    }

    @Test func aStatusFileThatIsHalfWrittenIsNotBelieved() throws {
        let fixture = try RunitFixture()
        try fixture.start(.first)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "first")])
        try watching.running("first")
        watching.listener.forget()
        let path = fixture.scan.path + "/first/supervise/status"
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        try whole.prefix(11).write(to: URL(fileURLWithPath: path))
        usleep(300_000)
        try whole.write(to: URL(fileURLWithPath: path))
        usleep(300_000)
        #expect(watching.observations(of: "first").allSatisfy { $0.presence == .present && $0.activity == .running })
        try fixture.stop(.first)
        try watching.wait(for: "first", "to be stopped") { $0.activity == .stopped }
    }
}
