import AgentCore
import Foundation
import Glibc
import Platform
import TestKit
import Testing

@testable import LinuxHost

@Suite(.serialized) struct UpstartTests {
    @Test(.timeLimit(.minutes(2))) func upstartKeepsThePromises() throws {
        let bed = try UpstartBed()
        try InitSystemPromises(bed).verify()
    }

    @Test(.timeLimit(.minutes(2))) func upstartKeepsThePromisesOverItsOwnSocket() throws {
        let bed = try UpstartBed(through: .ownSocket)
        try InitSystemPromises(bed).verify()
    }

    @Test(.timeLimit(.minutes(2))) func upstartKeepsThePromisesThroughItsTool() throws {
        let bed = try UpstartBed(through: .tool)
        try InitSystemPromises(bed).verify()
    }

    @Test(.timeLimit(.minutes(1))) func pollingIsSaidAndEndsWhenTheBusIsBack() throws {
        let bed = try UpstartBed(through: .busOrTool)
        try bed.start(.steady)
        let watching = try PromiseWatch(bed, [UnitRequest(name: "steady")])
        let up = try watching.running("steady")
        #expect(bed.log.messages.isEmpty)
        bed.freeze()
        // A question that nobody answers is how a hang is noticed.
        try watching.change([UnitRequest(name: "steady"), UnitRequest(name: "failing")])
        #expect(eventually(within: 10) { bed.log.messages.contains { $0.contains("is polled through initctl") } })
        watching.listener.forget()
        try watching.change([UnitRequest(name: "steady")])
        try watching.succeed(.restart, on: "steady")
        try watching.wait(for: "steady", "to run again") { $0.activity == .running && $0.mainProcess != up.mainProcess && !$0.hasJob }
        bed.thaw()
        #expect(eventually(within: 15) { bed.log.messages.contains { $0.contains("is polled no longer") } })
        #expect(bed.log.messages.count == 2, "\(bed.log.messages)")
        try watching.succeed(.stop, on: "steady")
        try watching.wait(for: "steady", "to be stopped") { $0.activity == .stopped && !$0.hasJob }
        #expect(!watching.listener.lines.contains(.failed), "it could be asked all the time")
    }

    @Test(.timeLimit(.minutes(1))) func aToolThatFailsTooIsAFailedSource() throws {
        let folder = Folder()
        try folder.write("#!/bin/sh\necho 'initctl: Unable to connect to Upstart: refused' >&2\nexit 1\n", to: "initctl")
        chmod(folder.path + "/initctl", 0o755)
        let on = try OnLoop()
        let listener = Listener()
        let system = try on.run {
            let system = UpstartInit(
                loop: on.loop, addresses: [.init("unix:path=\(folder.path)/nobody", isDirect: true)], tool: folder.path + "/initctl", logger: quiet)
            system.start(watching: [UnitRequest(name: "a")], observer: listener)
            return system
        }
        #expect(eventually { listener.reasons.contains { $0.contains("Unable to connect to Upstart: refused") && $0.contains("nobody") } })
        let answer = Box<Result<Void, ActionError>>()
        try on.run { system.perform(.start, on: "a", deadline: .seconds(1)) { answer.value = $0 } }
        #expect(eventually { answer.value != nil })
        #expect(answer.value?.problem?.contains("cannot be reached") == true)
        usleep(2_500_000)
        #expect(listener.lines == [.failed], "a failure is said once")
        try folder.write("#!/bin/sh\necho 'a start/running, process 1'\n", to: "initctl")
        #expect(eventually { listener.latest("a")?.activity == .running })
        #expect(listener.lines.contains(.recovered))
        try on.run { system.stop() }
    }

    @Test(.timeLimit(.minutes(1))) func aRespawnIsOneRestartThatNobodyAskedFor() throws {
        let bed = try UpstartBed()
        try bed.start(.steady)
        let watching = try PromiseWatch(bed, [UnitRequest(name: "steady")])
        let up = try watching.running("steady")
        watching.listener.forget()
        kill(try #require(up.mainProcess).pid, SIGKILL)
        let next = try watching.wait(for: "steady", "to run again") {
            $0.activity == .running && $0.mainProcess != up.mainProcess && $0.mainProcess != nil
        }
        #expect(next.automaticRestarts == up.automaticRestarts + 1)
        let told = watching.observations(of: "steady")
        #expect(told.allSatisfy { $0.activity != .stopped && $0.activity != .failed && !$0.hasJob }, "\(told)")
    }

    @Test(.timeLimit(.minutes(1))) func aJobThatGivesUpHasHitItsRespawnLimit() throws {
        let bed = try UpstartBed()
        try bed.write(job: "flap", ["exec": ["/bin/false"], "respawn": true, "limit": [3, 5]])
        let watching = try PromiseWatch(bed, [UnitRequest(name: "flap")])
        try watching.wait(for: "flap", "to be known") { $0.activity == .stopped }
        try bed.call("/com/ubuntu/Upstart/jobs/flap", "Job", "Start", "asb", "0", "true")
        let down = try watching.wait(for: "flap", "to have given up") { $0.activity == .failed }
        #expect(down.lastExit == .startLimit && down.obstacle == .startLimit && down.automaticRestarts == 3)
    }

    @Test(.timeLimit(.minutes(1))) func howAJobEndedIsTold() throws {
        let bed = try UpstartBed()
        try bed.write(job: "killed", ["exec": ["/bin/sleep", "1000"]])
        let watching = try PromiseWatch(bed, [UnitRequest(name: "failing"), UnitRequest(name: "killed")])
        try bed.start(.failing)
        #expect(try watching.wait(for: "failing", "to have failed") { $0.activity == .failed }.lastExit == .exited(status: 3))
        try bed.call("/com/ubuntu/Upstart/jobs/killed", "Job", "Start", "asb", "0", "true")
        kill(try #require(try watching.running("killed").mainProcess).pid, SIGKILL)
        #expect(try watching.wait(for: "killed", "to have failed") { $0.activity == .failed }.lastExit == .signaled(9))
        try bed.call("/com/ubuntu/Upstart/jobs/killed", "Job", "Start", "asb", "0", "true")
        try watching.wait(for: "killed", "to run again") { $0.activity == .running }
    }

    @Test(.timeLimit(.minutes(1))) func aBusThatGoesAwayIsOneFailureAndEverythingIsSaidAnew() throws {
        let bed = try UpstartBed()
        try bed.start(.steady)
        let watching = try PromiseWatch(bed, [UnitRequest(name: "steady")])
        _ = try watching.running("steady")
        watching.listener.forget()
        bed.freeze()
        // A question that nobody answers is how a hang is noticed.
        try watching.change([UnitRequest(name: "steady"), UnitRequest(name: "failing")])
        #expect(eventually(within: 10) { watching.listener.lines.contains(.failed) })
        bed.thaw()
        #expect(eventually(within: 15) { watching.listener.lines.contains(.recovered) })
        _ = try watching.running("steady")
        #expect(watching.listener.lines.filter { $0 == .failed }.count == 1)
        #expect(watching.observations(of: "steady").allSatisfy { $0.activity == .running })
    }

    @Test(.timeLimit(.minutes(1))) func aJobWithInstancesSaysHowToCheckThem() throws {
        let bed = try UpstartBed()
        try bed.start(.first)
        let watching = try PromiseWatch(bed, [UnitRequest(name: "worker"), UnitRequest(name: "worker/a")])
        let one = try watching.wait(for: "worker", "to be told of") { $0.detail.contains("worker/*") }
        #expect(one.activity == .stopped && one.detail == "stop/waiting, has the instances a: check worker/*")
        try watching.wait(for: "worker/a", "to run") { $0.activity == .running && $0.unit == "worker/a" }
    }

    @Test(
        arguments: [
            ("/com/ubuntu/Upstart/jobs/bed_2dinst/a_2fb_2dc_2ed", "bed-inst/a/b-c.d"), ("/com/ubuntu/Upstart/jobs/dbus/_", "dbus"),
            ("/com/ubuntu/Upstart/jobs/x", "x"), ("/com/ubuntu/Upstart", nil), ("/com/ubuntu/Upstart/jobs/", nil),
            ("/com/ubuntu/Upstart/jobs/a_2", nil), ("/com/ubuntu/Upstart/jobs/a_zz", nil), ("/com/ubuntu/Upstart/jobs/a/b/c", nil), ("", nil),
        ] as [(String, String?)])
    func pathsAreNames(path: String, unit: String?) {
        let read = UpstartPath(path)
        #expect(read?.unit == unit)
        if let read { #expect(read.text == path) }
    }

    @Test func noPathIsTooBroken() {
        Mutations.run(seeds: Mutations.seeds("upstart-path")) { bytes in
            guard let path = UpstartPath(String(decoding: bytes, as: UTF8.self)) else { return }
            if UpstartPath(path.text) != path { Issue.record("\(path) is not read back") }
        }
    }
}

/// The stand-in for Upstart, with the jobs of the promises.
final class UpstartBed: InitSystemFixture {
    /// How the agent reaches it.
    enum Way {
        case bus, ownSocket, tool, busOrTool
    }

    private let folder = Folder()
    private let child: ChildProcess
    private let address: String
    private let way: Way
    let log = LogBook()
    let abilities: InitSystemAbilities
    let pattern = "worker/*"

    init(through way: Way = .bus) throws {
        self.way = way
        abilities = InitSystemAbilities(tellsStops: way != .tool, tellsFailures: way != .tool)
        let path = folder.path
        try folder.write("", to: "reloads")
        let steady = "trap 'echo reload >> \(path)/reloads' HUP; while :; do sleep 0.2; done"
        try Self.write("steady", ["exec": ["/bin/sh", "-c", steady], "respawn": true], in: folder)
        try Self.write("failing", ["exec": ["/bin/sh", "-c", "exit 3"]], in: folder)
        try Self.write("worker", ["exec": ["/bin/sleep", "1000"], "instance": "N", "respawn": true], in: folder)
        child = try ChildProcess(bed("upstart"), [path])
        guard eventually(within: 15, { FileManager.default.fileExists(atPath: "\(path)/address") }) else {
            throw NeverSaid(description: "the stand-in for Upstart did not start")
        }
        address = try String(contentsOfFile: "\(path)/address", encoding: .utf8)
    }

    deinit {
        thaw()
        child.endInput()
        // It ends its processes and its bus before itself.
        _ = eventually(within: 10) { kill(child.pid, 0) != 0 || isZombie(child.pid) }
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem {
        let socket = try String(contentsOfFile: folder.path + "/private", encoding: .utf8)
        let nowhere = "unix:path=\(folder.path)/nobody"
        let addresses: [BusAddress] =
            switch way {
            case .bus, .busOrTool: [.init(address, isDirect: false)]
            case .ownSocket: [.init(nowhere, isDirect: false), .init(socket, isDirect: true)]
            case .tool: [.init(nowhere, isDirect: false), .init(nowhere, isDirect: true)]
            }
        let tool = way == .tool || way == .busOrTool ? folder.path + "/initctl" : nil
        return UpstartInit(loop: loop, addresses: addresses, tool: tool, logger: log.logger)
    }

    func request(for role: ServiceRole) -> String {
        switch role {
        case .first: "worker/a"
        case .second: "worker/b"
        default: role.rawValue
        }
    }

    func unit(for role: ServiceRole) -> String { request(for: role) }

    func start(_ role: ServiceRole) throws {
        let arguments = environment(of: role).isEmpty ? ["0"] : ["1", environment(of: role)]
        // One that runs already is what was asked for.
        _ = try? call("/com/ubuntu/Upstart/jobs/\(job(of: role))", "Job", "Start", ["asb"] + arguments + ["true"])
    }

    func stop(_ role: ServiceRole) throws {
        let arguments = environment(of: role).isEmpty ? ["0"] : ["1", environment(of: role)]
        _ = try? call("/com/ubuntu/Upstart/jobs/\(job(of: role))", "Job", "Stop", ["asb"] + arguments + ["true"])
    }

    func add() throws {
        try write(job: "late", ["exec": ["/bin/sleep", "1000"]])
        try start(.late)
    }

    var reloads: Int {
        let text = (try? String(contentsOfFile: "\(folder.path)/reloads", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").count
    }

    func write(job: String, _ settings: [String: Any]) throws {
        try Self.write(job, settings, in: folder)
        try call("/com/ubuntu/Upstart", "", "ReloadConfiguration")
    }

    /// Stops the bus, not Upstart's processes.
    func freeze() { for pid in daemon { kill(pid, SIGSTOP) } }
    func thaw() { for pid in daemon { kill(pid, SIGCONT) } }

    private var daemon: [Int32] {
        let text = (try? String(contentsOfFile: "\(folder.path)/daemon.pid", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { Int32($0) }
    }

    func call(_ path: String, _ interface: String, _ method: String, _ arguments: String...) throws {
        try call(path, interface, method, arguments)
    }

    private func call(_ path: String, _ interface: String, _ method: String, _ arguments: [String]) throws {
        let name = "com.ubuntu.Upstart0_6" + (interface.isEmpty ? "" : ".\(interface)")
        let result = try shell("/usr/bin/busctl", ["--address=\(address)", "call", "com.ubuntu.Upstart", path, name, method] + arguments)
        guard result.status == 0 else { throw NeverSaid(description: "\(method) of \(path): \(result.output)") }
    }

    private func job(of role: ServiceRole) -> String { role == .first || role == .second ? "worker" : role.rawValue }
    private func environment(of role: ServiceRole) -> String { role == .first ? "N=a" : role == .second ? "N=b" : "" }

    private static func write(_ job: String, _ settings: [String: Any], in folder: Folder) throws {
        try folder.write(String(decoding: JSONSerialization.data(withJSONObject: settings), as: UTF8.self), to: "jobs/\(job).json")
    }
}

private func isZombie(_ pid: Int32) -> Bool { ProcFileSystem(root: "/").stat(of: pid)?.hasEnded ?? true }
