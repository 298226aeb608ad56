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
    @Test func aSupervisordThatMayNotBeAskedIsAFailureOnlyForThoseWhoNameIt() throws {
        let fixture = try SupervisordFixture()
        try fixture.start(.steady)
        let wrong = fixture.configuration + ".wrong"
        let text = try String(contentsOfFile: fixture.configuration, encoding: .utf8)
        try text.replacingOccurrences(of: "password=p:ss word", with: "password=guessed").write(toFile: wrong, atomically: true, encoding: .utf8)
        let (listener, log, on) = (Listener(), LogBook(), try OnLoop())
        let system = try on.run {
            let system = SupervisordInit(loop: on.loop, configuration: wrong, logger: log.logger)
            system.start(watching: [UnitRequest(name: "steady")], observer: listener)
            return system
        }
        #expect(eventually { listener.latest("steady")?.presence == .absent })
        try on.run { system.change(watching: [UnitRequest(name: "steady"), UnitRequest(name: "other")]) }
        #expect(eventually { listener.latest("other")?.presence == .absent })
        #expect(log.messages.count == 1 && !listener.lines.contains(.failed))
        try on.run { system.change(watching: [UnitRequest(name: "steady", isForThisAlone: true)]) }
        #expect(eventually { listener.lines.contains(.failed) })
        #expect(listener.reasons.first?.contains("may not ask supervisord") == true)
        try text.write(toFile: wrong, atomically: true, encoding: .utf8)
        try on.run { system.change(watching: [UnitRequest(name: "steady")]) }
        #expect(eventually { listener.latest("steady")?.activity == .running && listener.lines.contains(.recovered) })
        try on.run { system.stop() }
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
