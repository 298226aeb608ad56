// What doctor reads on a host: its units with all that changes them, and configurations that bring in others.

import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import VerifyTokenTool

@Suite struct DoctorReaderTests {
    private func service(_ arguments: [String], name: String = "web-shop@1", folder: String = "/srv/app/releases/1") -> DoctorService {
        DoctorService(
            name: name, unit: name + ".service", initSystem: "systemd", mainProcess: 7,
            processes: [.init(pid: 7, arguments: arguments, folder: folder, shellFolder: "/srv/app/current")], listeners: ["tcp 127.0.0.1:80"])
    }

    @Test func aUnitIsReadWithEveryDropInThatChangesIt() throws {
        let root = try TemporaryFolder()
        let unit = "[Service]\nWorkingDirectory=/srv/app/current\nExecStart=/usr/bin/puma\nExecReload=/bin/kill -USR1 $MAINPID\n"
        try root.write(unit, to: "usr/lib/systemd/system/web-shop@.service")
        try root.write("[Service]\nExecReload=\nExecReload=/bin/true\n", to: "etc/systemd/system/web-.service.d/20-reload.conf")
        // Of one name, the folder that counts more has its way; what is linked to /dev/null is nothing.
        try root.write("[Service]\nWorkingDirectory=/nowhere\n", to: "usr/lib/systemd/system/web-shop@.service.d/30-folder.conf")
        try root.write("[Service]\nWorkingDirectory=/srv/app/releases/20260101\n", to: "etc/systemd/system/web-shop@.service.d/30-folder.conf")
        try root.write("[Service]\nExecStart=/usr/bin/no\n", to: "usr/lib/systemd/system/web-shop@1.service.d/10-start.conf")
        try root.write("x", to: "etc/systemd/system/web-shop@1.service.d/x")
        try FileManager.default.createSymbolicLink(
            atPath: root.path + "/etc/systemd/system/web-shop@1.service.d/10-start.conf", withDestinationPath: "/dev/null")
        try root.write("[Service]\nEnvironment=RACK_ENV=staging\n", to: "etc/systemd/system/service.d/all.conf")
        try root.write("[Service]\nExecStart=/usr/bin/other\n", to: "etc/systemd/system/other-.service.d/x.conf")
        let facts = DoctorReader(root: root.path).facts(of: service(["puma 5.6.5 (tcp://127.0.0.1:80)"]))
        #expect(facts.unit?.last("ExecStart")?.value == "/usr/bin/puma")
        #expect(facts.unit?.last("ExecReload")?.file == "/etc/systemd/system/web-.service.d/20-reload.conf")
        #expect(facts.unit?.last("WorkingDirectory")?.file == "/etc/systemd/system/web-shop@.service.d/30-folder.conf")
        #expect(facts.unit?.variable("RACK_ENV")?.value == "staging")
        let report = DoctorReport(host: "app-1", facts: facts, isLocal: true, hasAsked: false)
        let found = report.findings.map { "\($0.code.rawValue) \($0.places.first ?? "") | \($0.mend ?? "")" }
        #expect(found.contains("reload-does-nothing /etc/systemd/system/web-.service.d/20-reload.conf:3 | ExecReload=/bin/kill -USR1 $MAINPID"))
        #expect(
            found.contains("release-named /etc/systemd/system/web-shop@.service.d/30-folder.conf:2 | WorkingDirectory=/srv/app/current"), "\(found)")
    }

    @Test func whatAConfigurationBringsInIsReadToo() throws {
        let root = try TemporaryFolder()
        try root.write("include modules/*.conf;\ninclude extra.conf;\n", to: "etc/nginx/nginx.conf")
        try root.write("load_module x;\n", to: "etc/nginx/modules/10.conf")
        try root.write("include last.conf;\n", to: "etc/nginx/modules/20.conf")
        try root.write("daemon off;\n", to: "etc/nginx/last.conf")
        // A pipe cannot hold it up.
        try #require(mkfifo(root.path + "/etc/nginx/extra.conf", 0o644) == 0)
        let facts = DoctorReader(root: root.path).facts(of: service(["nginx: master process /usr/sbin/nginx"], name: "nginx", folder: "/"))
        let report = DoctorReport(host: "app-1", facts: facts, isLocal: true, hasAsked: false)
        #expect(report.read == ["/etc/nginx/last.conf", "/etc/nginx/modules/10.conf", "/etc/nginx/modules/20.conf", "/etc/nginx/nginx.conf"])
        #expect(
            report.findings.map { "\($0.severity) \($0.code.rawValue) \($0.places.first ?? "")" } == [
                "caution daemon-off /etc/nginx/last.conf:1", "unknown not-read /etc/nginx/extra.conf",
            ])
    }

    @Test func aJobOfUpstartIsFound() throws {
        let root = try TemporaryFolder()
        try root.write("chdir /srv/app/current\nexec puma -C config/puma.rb\n", to: "etc/init/web.conf")
        var service = service(["puma 5.6.5 (tcp://127.0.0.1:80)"], name: "web")
        (service.unit, service.initSystem) = ("web", "upstart")
        try root.write("workers 2\n", to: "srv/app/current/config/puma.rb")
        let facts = DoctorReader(root: root.path).facts(of: service)
        #expect(facts.unit?.last("ExecStart")?.line == 2)
        #expect(facts.files["/srv/app/current/config/puma.rb"] == .text("workers 2\n"))
    }
}

/// Servers as they run, an agent that watches them, and `verify-token doctor`.
@Suite(.timeLimit(.minutes(5))) struct DoctorStories {
    /// The second has to wait.
    @Test func doctorIsRightOnRealServersAndItsExitCodesAreThoseOfItsHelp() async throws {
        async let servers: Void = aRealServerIsReadFromItsProcesses()
        async let codes: Void = itsExitCodesAreWhatItsHelpSays()
        _ = try await (servers, codes)
    }

    private func aRealServerIsReadFromItsProcesses() async throws {
        let folder = try TemporaryFolder()
        let (puma, gunicorn) = (try freePort(), try freePort())
        let home = folder.path + "/releases/20260101"
        try folder.write("def application(e, s):\n    s('200 OK', [])\n    return [b'ok']\n", to: "releases/20260101/app.py")
        try folder.write("preload_app = True\n", to: "releases/20260101/shared.py")
        try folder.write(
            "from shared import *\nbind = '127.0.0.1:\(gunicorn)'\npidfile = '\(folder.path)/gunicorn.pid'\n", to: "releases/20260101/conf.py")
        try folder.write(
            """
            app { |env| [200, {}, ["ok"]] }
            bind "tcp://127.0.0.1:\(puma)"
            pidfile "\(folder.path)/puma.pid"
            load "config/more.rb"

            """, to: "releases/20260101/config/puma.rb")
        try folder.write("workers 2\nfork_worker\n", to: "releases/20260101/config/more.rb")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/current", withDestinationPath: "releases/20260101")
        // Without PWD: nothing tells them to follow the link.
        let servers = try [["gunicorn", "-c", "python:conf", "app:application"], ["puma"]].map { words in
            try ChildProcess("/usr/bin/env", ["-u", "PWD", "sh", "-c", "cd '\(home)' && unset PWD && exec \"$@\"", "sh"] + words)
        }
        for (server, name) in zip(servers, ["gunicorn", "puma"]) { _ = try await server.whenReady("\(folder.path)/\(name).pid") }
        let agent = try await RealAgent(services: [
            "api": "pidfile \"\(folder.path)/gunicorn.pid\"", "shop": "pidfile \"\(folder.path)/puma.pid\"",
        ])
        let desk = try Desk()
        func doctor(_ service: String) async throws -> (status: Int32, found: [String], mends: [String]) {
            let end = try await desk.run(["doctor", "--service", service, "--agent-socket", agent.socket, "--json"])
            let host = try JSON(parsing: end.output.trimmingCharacters(in: .newlines))["hosts"]?.array?.first
            let findings = host?["findings"]?.array ?? []
            return (
                end.status,
                findings.map { "\($0["severity"]?.string ?? "") \($0["code"]?.string ?? "") \($0["where"]?.array?.last?.string ?? "")" },
                findings.map { $0["mend"]?.string ?? "" }
            )
        }
        try await eventually("the workers are seen") { try await doctor("api").found.contains { $0.hasPrefix("fault no-directory") } }
        let api = try await doctor("api")
        #expect(api.status == 1)
        #expect(api.found.contains("caution preload \(home)/shared.py:1"), "\(api)")
        #expect(api.mends.contains("chdir = \"\(folder.path)/current\" in \(home)/conf.py"), "\(api)")
        let shop = try await doctor("shop")
        #expect(shop.found.contains("caution fork-worker \(home)/config/more.rb:2"), "\(shop)")
        #expect(shop.mends.contains("directory \"\(folder.path)/current\" in \(home)/config/puma.rb"), "\(shop)")
        #expect(shop.found.contains { $0.hasPrefix("unknown not-read process ") }, "\(shop)")
        let words = try await desk.run(["doctor", "--service", "shop", "--agent-socket", agent.socket])
        #expect(words.status == 1 && words.output.hasPrefix("shop on this host: Puma; "), "\(words.text)")
        for server in servers { await server.stop() }
    }

    private func itsExitCodesAreWhatItsHelpSays() async throws {
        let service = try await TwoWorkers(token: "00112233445566778899aabbccddeeff")
        let start = ContinuousClock.now
        let agent = try await RealAgent(services: ["web": "pidfile \"\(service.folder.path)/pid\", \(service.asks)"])
        let dynamic = try await RealAgent(services: [
            "web": "pidfile \"\(service.folder.path)/pid\", \(service.asks.replacing("/about/deploy", with: "/dynamic"))"
        ])
        let desk = try Desk()
        let good = try await desk.run(["doctor", "--service", "web", "--agent-socket", agent.socket, "--ask"])
        #expect(good.status == 0, "\(good.text)")
        #expect(good.output.contains("nothing found that would keep old code"))
        // Written anew under workers that have run for longer than clocks are coarse.
        try await Task.sleep(until: start + .milliseconds(5500))
        try service.folder.write("ffeeddccbbaa99887766554433221100", to: "releases/1/TOKEN")
        let once = try await desk.run(["doctor", "--service", "web", "--agent-socket", agent.socket, "--ask"])
        #expect(once.status == 0, "\(once.text)")
        let each = try await desk.run(["doctor", "--service", "web", "--agent-socket", dynamic.socket, "--ask"])
        #expect(each.status == 1, "\(each.text)")
        #expect(each.output.contains("[dynamic-token]"))
        #expect(!each.output.contains("ffeeddccbb"))
        #expect(try await desk.run(["doctor", "--service", "nobody", "--agent-socket", agent.socket]).status == 10)
        #expect(try await desk.run(["doctor", "--service", "web", "--agent-socket", desk.folder.path + "/none"]).status == 10)
        #expect(try await desk.run(["doctor"]).status == 2)
        #expect(try await desk.run(["doctor", "--service", "web", "--aggregator", "https://a", "--aggregator-token-file", "/x"]).status == 2)
    }
}
