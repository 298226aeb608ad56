// SysV and OpenRC: a script with the real start-stop-daemon, and an OpenRC that is made of files.

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

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { SysVInit(loop: loop, root: root.path, logger: quiet) }
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
    var abilities: InitSystemAbilities { InitSystemAbilities(restartsByItself: false) }
}

/// The files that OpenRC keeps, and an `rc-service` that keeps them as OpenRC 0.45 does.
final class OpenRCFixture: InitSystemFixture {
    let workers: Workers
    let root = Folder()
    private var tool: String { root.path + "/rc-service" }

    init() throws {
        workers = try Workers()
        for folder in ["started", "starting", "stopping", "inactive", "failed", "options"] { try root.write("", to: "run/openrc/\(folder)/.keep") }
        try root.write("default", to: "run/openrc/softlevel")
        for role in ServiceRole.allCases where role != .late { try install(role) }
        try root.write(
            """
            #!/bin/sh
            cd \(root.path)/run/openrc || exit 1
            script=../../etc/init.d/$1
            [ -e "$script" ] || { echo " * rc-service: service \\`$1' does not exist"; exit 1; }
            pidfile=\(root.path)/run/$1.pid
            start() {
                [ ! -L started/$1 ] || return 0
                ln -s $script starting/$1
                mkdir -p options/$1
                echo /run/$1.pid >options/$1/pidfile
                . ./$script
                start-stop-daemon --start --background --make-pidfile --pidfile $pidfile --startas $command -- $command_args
                sleep 0.2
                rm starting/$1
                if kill -0 $(cat $pidfile) 2>/dev/null; then ln -s $script started/$1; else ln -s $script failed/$1; rm -f $pidfile; echo "\\033[31;01m*\\033[0m $1 failed to start"; return 1; fi
            }
            stop() {
                rm -f failed/$1
                [ -L started/$1 ] || return 0
                ln -s $script stopping/$1
                start-stop-daemon --stop --oknodo --retry 5 --remove-pidfile --pidfile $pidfile
                rm -f started/$1 stopping/$1
            }
            case $2 in
                start) start $1 ;;
                stop) stop $1 ;;
                restart) stop $1; start $1 ;;
                reload) kill -HUP $(cat $pidfile) ;;
            esac

            """, to: "rc-service")
        chmod(tool, 0o755)
    }

    deinit { for role in ServiceRole.allCases { try? stop(role) } }

    private func install(_ role: ServiceRole) throws {
        let command = workers.command(role).split(separator: " ")
        try root.write(
            "extra_started_commands=\"reload\"\ncommand=\(command[0])\ncommand_args=\(command.dropFirst().joined())\n",
            to: "etc/init.d/\(role.rawValue)")
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { OpenRCInit(loop: loop, root: root.path, tool: tool, logger: quiet) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        // A crashed service still counts as started: it is stopped first.
        if let text = try? String(contentsOfFile: "\(root.path)/run/\(role.rawValue).pid", encoding: .utf8),
            let pid = pidNumber(parsing: Array(text.utf8)),
            ProcFileSystem(root: "/").stat(of: pid)?.hasEnded ?? true
        {
            try stop(role)
        }
        try LinuxHostTests.tool(tool, role.rawValue, "start")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws {
        guard access("\(root.path)/etc/init.d/\(role.rawValue)", F_OK) == 0 else { return }
        try LinuxHostTests.tool(tool, role.rawValue, "stop")
    }
    func add() throws {
        try install(.late)
        try start(.late)
    }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities(restartsByItself: false) }
}

extension InsideSupervisors {
    @Test func sysv() throws { try InitSystemPromises(SysVFixture()).verify() }
    @Test func openrc() throws { try InitSystemPromises(OpenRCFixture()).verify() }

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
