// SysV and OpenRC: scripts with the real start-stop-daemon, and a real OpenRC.

import AgentCore
import Foundation
import Platform
import Synchronization
import TestKit
import Testing

@testable import LinuxHost

/// Scripts as Debian's packages have them.
final class SysVFixture: InitSystemFixture {
    let workers: Workers
    let root = Folder()

    init() throws {
        workers = try Workers()
        for role in ServiceRole.allCases where role != .late { try install(role) }
        try root.write("", to: "run/.keep")
    }

    deinit { for role in ServiceRole.allCases { try? stop(role) } }

    private func install(_ role: ServiceRole) throws {
        let command = workers.command(role).split(separator: " ")
        try root.write(
            """
            #!/bin/sh
            ### BEGIN INIT INFO
            # Provides: \(role.rawValue)
            ### END INIT INFO
            NAME=\(role.rawValue)
            PIDFILE="\(role == .first ? "/run/elsewhere-$NAME.pid" : "/run/${NAME}.pid")"
            do_start() { start-stop-daemon --start --background --make-pidfile --pidfile \(root.path)$PIDFILE --startas \(command[0]) -- \(command.dropFirst().joined()); }
            do_stop() { start-stop-daemon --stop --oknodo --retry 5 --remove-pidfile --pidfile \(root.path)$PIDFILE; }
            case "$1" in
                start) do_start || [ $? = 1 ] ;;
                stop) do_stop ;;
                restart|force-reload) do_stop; do_start ;;
                reload) start-stop-daemon --stop --signal HUP --pidfile \(root.path)$PIDFILE ;;
                *) echo "usage: $0 start|stop|restart|reload" >&2; exit 3 ;;
            esac

            """, to: ".new")
        chmod(root.path + "/.new", 0o755)
        mkdir(root.path + "/etc", 0o755)
        mkdir(root.path + "/etc/init.d", 0o755)
        rename(root.path + "/.new", "\(root.path)/etc/init.d/\(role.rawValue)")
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { SysVInit(loop: loop, root: root.path) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        try tool("\(root.path)/etc/init.d/\(role.rawValue)", "start")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws { try tool("\(root.path)/etc/init.d/\(role.rawValue)", "stop") }
    func add() throws {
        try install(.late)
        try start(.late)
    }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities(restartsByItself: false, tellsStops: false) }
}

/// A real OpenRC, with services in the bed's own /etc/init.d.
final class OpenRCFixture: InitSystemFixture {
    /// Whether supervise-daemon starts the services and watches them, or start-stop-daemon starts them.
    let isSupervised: Bool
    let workers: Workers

    init(isSupervised: Bool) throws {
        self.isSupervised = isSupervised
        workers = try Workers()
        guard access("/sbin/openrc-run", X_OK) == 0 else { throw NeverSaid(description: "there is no OpenRC: see Tests/Beds/supervisors") }
        for role in ServiceRole.allCases where role != .late { try install(role) }
    }

    deinit {
        for role in ServiceRole.allCases {
            try? stop(role)
            unlink("/etc/init.d/\(role.rawValue)")
        }
    }

    private func install(_ role: ServiceRole) throws {
        let how = isSupervised ? "supervisor=supervise-daemon\nrespawn_delay=1\nrespawn_max=1\nrespawn_period=10" : "command_background=yes"
        let signal = isSupervised ? "supervise-daemon $RC_SVCNAME" : "start-stop-daemon --stop"
        try workers.folder.write(
            """
            #!/sbin/openrc-run
            command=/bin/sh
            command_args="\(workers.command(role))"
            pidfile=/run/$RC_SVCNAME.pid
            \(how)
            retry=TERM/5/KILL/5
            extra_started_commands="reload"
            reload() { \(signal) --signal HUP --pidfile "$pidfile"; }

            """, to: "script")
        let path = workers.folder.path + "/script"
        chmod(path, 0o755)
        try tool("mv", path, "/etc/init.d/\(role.rawValue)")
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { OpenRCInit(loop: loop) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        // One that has crashed counts as started.
        if hasCrashed(role) { try tool("rc-service", role.rawValue, "zap") }
        try tool("rc-service", role.rawValue, "start")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws {
        guard access("/etc/init.d/\(role.rawValue)", F_OK) == 0 else { return }
        try tool("rc-service", role.rawValue, hasCrashed(role) ? "zap" : "stop")
    }
    func add() throws {
        try install(.late)
        try start(.late)
    }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities(restartsByItself: isSupervised) }

    private func hasCrashed(_ role: ServiceRole) -> Bool {
        guard access("/run/openrc/started/\(role.rawValue)", F_OK) == 0, !isSupervised else { return false }
        let text = (try? String(contentsOfFile: "/run/\(role.rawValue).pid", encoding: .utf8)) ?? ""
        return pidNumber(parsing: Array(text.utf8)).flatMap { ProcFileSystem(root: "/").stat(of: $0) }?.hasEnded ?? true
    }
}

extension InsideSupervisors {
    @Test func sysv() throws { try InitSystemPromises(SysVFixture()).verify() }
    @Test func openrc() throws { try InitSystemPromises(OpenRCFixture(isSupervised: false)).verify() }
    @Test func openrcWithItsSupervisor() throws { try InitSystemPromises(OpenRCFixture(isSupervised: true)).verify() }

    @Test func whatHasCrashedUnderOpenRCCanBeStartedAndStopped() throws {
        let fixture = try OpenRCFixture(isSupervised: false)
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        for verb in [UnitVerb.restart, .start] {
            let before = try watching.running("steady")
            kill(try #require(before.mainProcess).pid, SIGKILL)
            try watching.wait(for: "steady", "to have crashed") { $0.activity == .failed && $0.detail.hasPrefix("crashed") }
            try watching.succeed(verb, on: "steady")
            try watching.wait(for: "steady", "to run again") { $0.activity == .running && $0.mainProcess != before.mainProcess && !$0.hasJob }
        }
        kill(try #require(try watching.running("steady").mainProcess).pid, SIGKILL)
        try watching.wait(for: "steady", "to have crashed") { $0.activity == .failed }
        try watching.succeed(.stop, on: "steady")
        try watching.wait(for: "steady", "to be stopped") { $0.activity == .stopped && !$0.hasJob }
    }

    /// As gunicorn does at every HUP.
    @Test func aDaemonMayWriteItsPidFileAnew() throws {
        let fixture = try SysVFixture()
        try fixture.start(.steady)
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        let process = try #require(try watching.running("steady").mainProcess)
        watching.listener.forget()
        try fixture.root.remove("run/steady.pid")
        usleep(300_000)
        try fixture.root.write("\(process.pid)\n", to: "run/steady.pid")
        usleep(2_500_000)
        #expect(watching.listener.lines.isEmpty, "\(watching.listener.lines)")
        // One that stays away is believed.
        try fixture.root.remove("run/steady.pid")
        try watching.wait(for: "steady", "not to run") { $0.activity == .stopped }
        kill(process.pid, SIGKILL)
    }

    @Test func aScriptThatFailsSaysWhy() throws {
        let fixture = try SysVFixture()
        let watching = try PromiseWatch(fixture, [UnitRequest(name: "steady")])
        try watching.wait(for: "steady", "to be known") { $0.activity == .stopped }
        let path = fixture.root.path + "/etc/init.d/steady"
        try fixture.workers.script("echo 'no disk left' >&2; exit 6", to: "broken")
        rename(fixture.workers.folder.path + "/broken", path)
        let problem = try watching.perform(.start, on: "steady").problem
        #expect(problem == "the start of steady failed: its script exited with status 6: it is not configured (no disk left)")
        try fixture.workers.script("sleep 100", to: "slow")
        rename(fixture.workers.folder.path + "/slow", path)
        let late = try watching.perform(.start, on: "steady", within: 0.5).problem
        #expect(late == "the start of steady was not done within 0.5 s and was ended")
        unlink(path)
    }

    @Test func aPidFileAloneIsGoodForSignals() throws {
        let workers = try Workers()
        let on = try OnLoop()
        let listener = Listener()
        let child = try Child("env", ["--default-signal"] + workers.command(.steady).split(separator: " ").map(String.init))
        try workers.waitUntilReady(.steady)
        try workers.folder.write("\(child.pid)\n", to: "app.pid")
        let system = try on.run { PidFileInit(loop: on.loop, logger: quiet) }
        try on.run { system.start(watching: [UnitRequest(name: "app", pidFile: workers.folder.path + "/app.pid")], observer: listener) }
        #expect(eventually { listener.latest("app")?.activity == .running })
        let answers = Mutex<[String?]>([])
        let ask = { (verb: UnitVerb) throws -> String? in
            let before = answers.withLock { $0.count }
            try on.run { system.perform(verb, on: "app", deadline: .seconds(5)) { result in answers.withLock { $0.append(result.problem) } } }
            #expect(eventually { answers.withLock { $0.count } == before + 1 })
            return answers.withLock { $0.last ?? nil }
        }
        #expect(try ask(.signal(SIGHUP)) == nil)
        #expect(eventually { workers.reloads(.steady) == 1 })
        #expect(try ask(.reload) == "nothing knows how to reload a process that only has a pid file")
        child.end()
        #expect(eventually { listener.latest("app")?.activity == .failed })
        #expect(try ask(.signal(SIGHUP))?.contains("is not running") == true)
        try on.run { system.stop() }
    }
}
