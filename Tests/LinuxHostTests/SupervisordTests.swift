// supervisord: a real one in a bed, and what it answers.

import AgentCore
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

final class SupervisordFixture: InitSystemFixture {
    /// Ends before its folders do.
    private var supervisor: Supervisor?
    let workers: Workers
    private let folder = Folder()
    var configuration: String { folder.path + "/supervisord.conf" }

    init() throws {
        workers = try Workers()
        try Self.configure(workers, folder, with: [.steady, .failing])
        try boot()
    }

    func boot() throws {
        supervisor = try Supervisor("supervisord", ["--nodaemon", "--silent", "--configuration", configuration], farewell: SIGTERM)
        let isUp = eventually { [folder] in access(folder.path + "/socket", F_OK) == 0 }
        if !isUp { throw NeverSaid(description: "supervisord did not come up") }
    }

    func end() { supervisor = nil }

    private static func configure(_ workers: Workers, _ folder: Folder, with roles: [ServiceRole]) throws {
        var text = """
            [supervisord]
            logfile=\(folder.path)/log
            pidfile=\(folder.path)/pid
            childlogdir=\(folder.path)
            [unix_http_server]
            file=%(here)s/socket ; beside this file
            username=rollcall
            password=p:ss word
            [rpcinterface:supervisor]
            supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
            [supervisorctl]
            serverurl=unix://\(folder.path)/socket
            username=rollcall
            password=p:ss word

            """
        for role in roles {
            text += """
                [program:\(role.rawValue)]
                command=\(workers.command(role))
                autostart=\(role == .late)
                autorestart=\(role != .failing)
                startsecs=\(role == .failing ? 1 : 0)
                startretries=0
                stopwaitsecs=5

                """
        }
        for (number, role) in [ServiceRole.first, .second].enumerated() {
            text += "[program:number\(number)]\ncommand=\(workers.command(role))\nautostart=false\nstartsecs=0\n"
        }
        text += "[group:pair]\nprograms=number0,number1\n"
        try folder.write(text, to: "supervisord.conf")
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { SupervisordInit(loop: loop, configuration: configuration, logger: quiet) }
    func request(for role: ServiceRole) -> String {
        switch role {
        case .first: "pair:number0"
        case .second: "pair:number1"
        default: role.rawValue
        }
    }
    func unit(for role: ServiceRole) -> String { request(for: role) }
    var pattern: String { "pair:*" }
    func start(_ role: ServiceRole) throws {
        try control("startProcess", role)
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws { try control("stopProcess", role) }
    func add() throws {
        try Self.configure(workers, folder, with: [.steady, .failing, .late])
        _ = try call("reloadConfig", "")
        _ = try call("addProcessGroup", "<param><value><string>late</string></value></param>")
    }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities() }

    /// What is already so is no error here.
    private func control(_ verb: String, _ role: ServiceRole) throws {
        let answer = try call(verb, "<param><value><string>\(request(for: role))</string></value></param>")
        if answer.contains("faultCode"), !answer.contains("ALREADY_STARTED"), !answer.contains("NOT_RUNNING") {
            throw NeverSaid(description: "\(verb) \(role): \(answer)")
        }
    }

    /// supervisorctl takes a second to start; curl does not.
    private func call(_ method: String, _ parameters: String) throws -> String {
        let call = "<methodCall><methodName>supervisor.\(method)</methodName><params>\(parameters)</params></methodCall>"
        let end = try shell(
            "curl",
            [
                "--silent", "--show-error", "--unix-socket", folder.path + "/socket", "--user", "rollcall:p:ss word", "--header",
                "Content-Type: text/xml", "--data", call, "http://localhost/RPC2",
            ])
        if end.status != 0 { throw NeverSaid(description: "supervisor.\(method): \(end.output)") }
        return end.output
    }
}

extension InsideSupervisors {
    @Test func aSupervisordThatMayNotBeAskedSaysWhyAndAnswersWhenItMay() throws {
        let fixture = try SupervisordFixture()
        try fixture.start(.steady)
        let wrong = fixture.configuration + ".wrong"
        let text = try String(contentsOfFile: fixture.configuration, encoding: .utf8)
        try text.replacingOccurrences(of: "password=p:ss word", with: "password=guessed").write(toFile: wrong, atomically: true, encoding: .utf8)
        let (listener, on) = (Listener(), try OnLoop())
        let system = try on.run {
            let system = SupervisordInit(loop: on.loop, configuration: wrong, logger: quiet)
            system.start(watching: [UnitRequest(name: "steady"), UnitRequest(name: "other")], observer: listener)
            return system
        }
        #expect(eventually { listener.lines.contains(.failed) })
        #expect(listener.reasons.first?.contains("may not ask supervisord: it refuses the username and password of \(wrong)") == true)
        #expect(listener.latest("steady") == nil && listener.latest("other") == nil, "it may know them")
        try text.write(toFile: wrong, atomically: true, encoding: .utf8)
        #expect(eventually { listener.latest("steady")?.activity == .running && listener.lines.contains(.recovered) })
        #expect(eventually { listener.latest("other")?.presence == .absent })
        #expect(listener.lines.filter { $0 == .failed }.count == 1)
        try on.run { system.stop() }
    }

    @Test func aSocketThatIsRootsAloneIsNamedWithWhatToChange() throws {
        let fixture = try SupervisordFixture()
        try fixture.start(.steady)
        let (listener, on) = (Listener(), try OnLoop())
        // The agent's user is not root; its loop has a thread of its own.
        try on.run { try become(65534) }
        let system = try on.run {
            let system = SupervisordInit(loop: on.loop, configuration: fixture.configuration, logger: quiet)
            system.start(watching: [UnitRequest(name: "steady")], observer: listener)
            return system
        }
        #expect(eventually { listener.lines.contains(.failed) })
        let socket = (fixture.configuration as NSString).deletingLastPathComponent + "/socket"
        let words = listener.reasons.first ?? ""
        #expect(words.hasPrefix("the agent may not ask supervisord: \(socket) is root's alone; set chmod=0770 and chown=root:"), "\(words)")
        #expect(words.hasSuffix("under [unix_http_server] in \(fixture.configuration)"), "\(words)")
        chmod(socket, 0o777)
        #expect(eventually { listener.latest("steady")?.activity == .running })
        #expect(listener.lines.filter { $0 == .recovered }.count == 1)
        try on.run { system.stop() }
    }

    @Test func aProgramWithSeveralProcessesIsOneUnit() throws {
        let fixture = try SupervisordFixture()
        try fixture.start(.first)
        try fixture.start(.second)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "pair")])
        let up = try watching.wait(for: "pair", "to run") { $0.activity == .running }
        #expect(up.detail == "RUNNING: 2 processes" && up.automaticRestarts == 0)
        // One of them dies, and supervisord replaces it: one restart of the whole.
        let pid = try #require(fixture.workers.pid(of: .first))
        kill(pid, SIGKILL)
        let after = try watching.wait(for: "pair", "to be restarted") { $0.activity == .running && $0.automaticRestarts == 1 }
        // How it ended supervisord forgets with the next start, which may be sooner than anybody asks.
        let ends: [ExitReason] = [.other("pair:number0: killed by a signal"), .other("pair:number0 ended")]
        #expect(after.lastExit.map(ends.contains) == true, "\(String(describing: after.lastExit))")
        // One of them is stopped: which one is said.
        watching.listener.forget()
        try fixture.stop(.second)
        let down = try watching.wait(for: "pair", "to be down") { $0.activity == .stopped && !$0.hasJob }
        #expect(down.detail == "1 of 2 run: pair:number1 STOPPED")
        #expect(watching.observations(of: "pair").contains { $0.hasJob }, "somebody asked for it")
        try watching.succeed(.start, on: "pair")
        try watching.wait(for: "pair", "to run again") { $0.activity == .running && !$0.hasJob }
        let before = fixture.workers.reloads(.first)
        for role in [ServiceRole.first, .second] { try fixture.workers.waitUntilReady(role) }
        try watching.succeed(.reload, on: "pair")
        #expect(eventually { fixture.workers.reloads(.first) == before + 1 })
        try watching.succeed(.restart, on: "pair")
        try watching.succeed(.stop, on: "pair")
        try watching.wait(for: "pair", "to be stopped") { $0.activity == .stopped && !$0.hasJob && $0.detail.hasPrefix("0 of 2 run") }
        // Its processes can still be watched one by one.
        try watching.change([UnitRequest(name: "pair"), UnitRequest(name: "pair:*", kind: .pattern)])
        try watching.succeed(.start, on: "pair")
        for unit in ["pair:number0", "pair:number1"] { try watching.wait(for: "pair:*", unit: unit, "to run") { $0.activity == .running } }
    }

    @Test func aProgramThatIsStartedByHandMayRest() throws {
        let fixture = try SupervisordFixture()
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady"), UnitRequest(name: "failing")])
        // Both have autostart=false.
        let rest = try watching.wait(for: "steady", "to be known") { $0.activity == .stopped }
        #expect(rest.nature == .batch)
        try fixture.start(.steady)
        try watching.wait(for: "steady", "to run") { $0.activity == .running && $0.nature == .batch }
        // Status 3 is not one that it expects.
        _ = try watching.perform(.start, on: "failing")
        let failed = try watching.wait(for: "failing", "to have failed") { $0.activity == .failed }
        #expect(failed.nature == .batch && failed.detail.contains("Exited too quickly"), "\(failed)")
    }

    @Test func supervisord() throws { try InitSystemPromises(SupervisordFixture()).verify() }

    @Test func aSupervisordThatGoesAndComesBackIsTold() throws {
        let fixture = try SupervisordFixture()
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        let before = try watching.running("steady")
        fixture.end()
        let hasFailed = eventually { watching.listener.lines.contains(.failed) }
        #expect(hasFailed)
        let refused = try watching.perform(.restart, on: before.unit).problem
        #expect(refused?.contains("cannot be reached") == true)
        watching.listener.forget()
        try fixture.boot()
        try fixture.start(.steady)
        try watching.wait(for: "steady", "to run again") { $0.activity == .running && $0.mainProcess != before.mainProcess }
        #expect(watching.listener.lines.filter { $0 == .recovered }.count == 1)
    }
}
