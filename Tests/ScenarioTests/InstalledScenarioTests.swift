// What a new user sees: the agent as it is installed, in its sandbox, telling people itself.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct InstalledScenarioTests {
    private static let sleeper = "[Service]\nExecStart=/bin/sleep infinity\n"
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..").standardizedFileURL.path

    @Test func whatIsInstalledIsWhatTheMakefileInstalls() async throws {
        try await InstalledHost.with(rules: ["services.d/web.inq": "check service web\n"]) { host in
            let unit = try await host.systemctl("cat", "rollcall-agent")
            #expect(unit.hasPrefix("# /usr/local/lib/systemd/system/rollcall-agent.service\n"))
            #expect(unit.contains("SystemCallFilter=~@privileged @resources") && !unit.contains("/etc/systemd/system/"))
            #expect(try await host.property("NRestarts", of: "rollcall-agent") == "0")
            let status = try await host.run("/bin/cat", "/proc/\(host.mainPID(of: "rollcall-agent"))/status")
            #expect(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1") && !status.contains("Uid:\t0\t"))
            for name in ["rollcall", "rollcall-agent", "rollcall-aggregator", "rollcall-runner", "verify-token"] {
                #expect(try await host.run("/usr/local/bin/\(name)", "--version").contains("."), "\(name)")
            }
            #expect(try await host.run("/usr/bin/id", "-Gn", "rollcall-agent") == "rollcall-agent")
            try await host.happens("the start") { host.events("agent_started").count == 1 }
            #expect(try await host.rollcall("status").contains("watching 1 service"))
        }
    }

    @Test func aDeathIsTold() async throws {
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper], starting: ["web"], rules: ["services.d/web.inq": "check service web with owner web\n"],
            routes: ["web"], hasMarker: true
        ) { host in
            try await host.kill("web")
            try await host.happens("the event") { host.events("unit_down", of: "web.service").count == 1 }
            try await host.happens("the message") { try host.messages().contains { $0.route == "web" && $0.tells("unit_down", of: "web.service") } }
            try await host.settle()
            #expect(try host.messages().count == 1)
            #expect(try #require(await host.unit("web.service"))["state"] == "down")
        }
    }

    @Test func aHealthyHostIsQuiet() async throws {
        let rules = try String(contentsOfFile: Self.sources + "/recipes/rules/host.inq", encoding: .utf8)
        let first = try String(contentsOfFile: Self.sources + "/recipes/first/host.inq", encoding: .utf8)
        try await InstalledHost.with(
            rules: [
                "host.inq": rules + first.split(separator: "\n").filter { $0.hasPrefix("  if ") }.joined(separator: "\n")
                    + "\n  if readonly(/dev/shm) == 1 then alert\n  if disk(/dev) > 99% then alert\n  if disk(/run/) > 99% then alert\n"
            ], hasMarker: true
        ) { host in
            try await host.happens("five cycles") { try await host.export()["host"]?["metrics"]?["disk:/"] != nil }
            try await host.settle()
            #expect(try host.messages().map(\.subject) == [])
            #expect(host.events().map(\.kind).filter { $0 != "job_failed" } == ["agent_started"])
        }
    }

    /// Whatever keeps `rollcall-runner` from working.
    @Test func aRunnerThatCannotStartIsSaidEverywhere() async throws {
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper], files: ["/usr/local/bin/broken": "#!/bin/sh\necho '{\"cannot_go_on\":\"no luck\"}'\nexit 71\n"],
            starting: ["web"], rules: ["services.d/web.inq": "check service web\n"], settings: "set metrics_listen 127.0.0.1:9100", startsAgent: false
        ) { host in
            let runner = "/usr/local/bin/rollcall-runner"
            try await host.shell("mv \(runner) \(runner).good; mv /usr/local/bin/broken \(runner)")
            try await host.startAgent()
            try await host.happens("the event") { host.events("source_failed").count == 1 }
            #expect(try #require(host.events("source_failed").first).detail == "rollcall-runner failed: no luck (it ended with status 71)")
            try await host.kill("web")
            func metric() async throws -> String {
                try await host.run("/usr/bin/curl", "-s", "http://127.0.0.1:9100/metrics").split(separator: "\n").map(String.init)
                    .first { $0.hasPrefix("rollcall_agent_runner_up ") } ?? ""
            }
            #expect(try await metric() == "rollcall_agent_runner_up 0")
            let status = try await host.rollcall("status")
            #expect(status.contains("no alert is sent and no daemon is asked since ") && status.contains("no luck"), "\(status)")
            #expect(try await host.export()["failed_sources"] == ["rollcall-runner"])
            let test = try await host.end(of: "/usr/local/bin/rollcall-agent", ["--test-alerts"])
            #expect(test.status == 78 && test.errors.contains("the default route, webhook: not delivered: "), "\(test.text)")
            #expect(test.errors.contains("no luck"), "\(test.text)")

            // It is mended: what was to be told is told, and so is that it was not for a while.
            try await host.shell("mv \(runner).good \(runner)")
            try await host.happens("the message", within: .seconds(90)) { try host.messages().contains { $0.tells("unit_down", of: "web.service") } }
            try await host.happens("the recovery", within: .seconds(60)) { host.events("source_recovered").count == 1 }
            #expect(host.events("source_failed").count == 1)
            #expect(try await metric() == "rollcall_agent_runner_up 1")
            #expect(try await !host.rollcall("status").contains("no alert is sent"))
        }
    }

    @Test func withoutAnyCapabilityPeopleAreToldAndTheHostIsTheHost() async throws {
        let profile = try String(contentsOfFile: Self.sources + "/init/systemd/rollcall-agent.service.d/without-capabilities.conf", encoding: .utf8)
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper, "rollcall-agent.service.d/without-capabilities.conf": profile + "PrivateTmp=yes\n"],
            files: ["/tmp/job.pid": "1\n"], starting: ["web"],
            rules: [
                "services.d/web.inq": "check service web with owner web\n", "services.d/job.inq": "check service job with pidfile /tmp/job.pid\n",
                "host.inq": "check host\n  if readonly(/) == 1 then alert\n  if disk(/) > 99% then alert\n  if disk(/dev/) > 99% then alert\n",
            ], routes: ["web"]
        ) { host in
            try await host.happens("the disk") { try await host.export()["host"]?["metrics"]?["disk:/"] != nil }
            // What the sandbox has of its own is not told of as the host's.
            try await host.happens("the file system out of reach") {
                host.events("source_failed").contains { $0.detail.hasPrefix("disk:/dev/ cannot be read: the agent's sandbox") }
            }
            #expect(host.events("source_failed").allSatisfy { $0.detail.contains("needs CAP_SYS_PTRACE") } && host.events("rule_failed").isEmpty)
            #expect(host.events("unit_down").isEmpty)
            #expect(try await host.unit("job")?["state"] == "unknown")
            try await host.kill("web")
            try await host.happens("the message") { try host.messages().contains { $0.route == "web" && $0.tells("unit_down", of: "web.service") } }
        }
    }

    /// What a drop-in may hide from the agent.
    @Test func whatTheAgentHasOfItsOwnIsNotTheHosts() async throws {
        try await InstalledHost.with(
            units: [
                "rollcall-agent.service.d/more.conf": "[Service]\nPrivateTmp=yes\nProtectHome=yes\n",
                "job.service": "[Service]\nType=forking\nExecStart=/bin/sh -c '/bin/sleep infinity & echo $! > /tmp/job.pid'\n",
            ], starting: ["job"],
            rules: [
                "host.inq": """
                check host
                  if disk(/srv/full/) > 50% then alert
                  if readonly(/srv/shut) == 1 then alert
                  if disk(/tmp) > 50% then alert
                  if disk(/home) > 50% then alert

                """, "services.d/job.inq": "check service job with pidfile /tmp/job.pid\n",
            ], startsAgent: false, hasMarker: true
        ) { host in
            try await host.shell(
                """
                mkdir -p /srv/full /srv/shut /home
                for folder in /srv/full /srv/shut /home; do mount -t tmpfs -o size=1m tmpfs $folder; done
                head -c 700000 /dev/zero > /srv/full/file
                mount -o remount,ro /srv/shut
                """)
            try await host.startAgent()
            try await host.happens("both") { host.events("rule_failed").count == 2 }
            try await host.settle()
            #expect(Set(host.events("rule_failed").map { $0.detail.prefix { $0 != " " } }) == ["disk:/srv/full/", "readonly:/srv/shut"])
            #expect(host.events("source_failed") == [])
            let metrics = try #require(try await host.export()["host"]?["metrics"])
            #expect(metrics["disk:/home"] == 0 && metrics["disk:/tmp"] != nil)
            #expect(try await host.unit("job")?["state"] == "up")
            #expect(host.events("unit_down") == [])
        }
    }

    /// What it needs and the agent may not do, and that what is said to help does help.
    @Test func whatTheSandboxForbidsIsSaidEverywhere() async throws {
        let heal = "#!/bin/sh\nid -un > /srv/out/who\n"
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper], files: ["/usr/local/bin/heal": heal], starting: ["web"],
            rules: [
                "services.d/web.inq": "check service web\n  if down then start\n  if memory:rss > 20m then exec \"/usr/local/bin/heal\" as nobody\n"
            ],
            settings: "set metrics_listen 127.0.0.1:80", startsAgent: false
        ) { host in
            let problems = [
                "/etc/rollcall/rollcall.conf:4:20: warning: the agent may not listen on port 80",
                "/etc/rollcall/services.d/web.inq:2:16: warning: polkit does not let the agent start web.service",
                "/etc/rollcall/services.d/web.inq:3:28: warning: only an agent that runs as root can run a program as nobody",
            ]
            // Before it ever ran, as the unit is shipped.
            let before = try await host.end(of: "/usr/local/bin/rollcall", ["check-config"])
            for problem in problems { #expect(before.text.contains(problem), "\(before.text)") }
            #expect(before.status == 0)

            try await host.startAgent()
            try await host.happens("the event") { host.events("source_failed").count == 1 }
            let event = try #require(host.events("source_failed").first)
            #expect(event.detail.hasPrefix("sandbox: ") && event.detail.contains("rollcall.conf:4: the agent may not listen on port 80"))
            try await host.happens("the message") { try host.messages().contains { $0.tells("source_failed") } }
            let status = try await host.rollcall("status")
            for help in ["AmbientCapabilities=CAP_NET_BIND_SERVICE", "`\"web.service\": [\"start\"],`", "User=root"] {
                #expect(status.contains(help), "\(status)")
            }
            #expect(host.log.contains("the agent may not do what the configuration needs"))
            let check = try await host.end(of: "/usr/local/bin/rollcall-agent", ["--check"])
            for problem in problems { #expect(check.text.contains(problem.replacingOccurrences(of: "warning: ", with: "")), "\(check.text)") }

            // The drop-ins that it names.
            try await host.shell("install -d -m 777 /srv/out")
            try await host.change(units: [
                "rollcall-agent.service.d/root.conf": """
                [Service]
                User=root
                CapabilityBoundingSet=CAP_SETUID CAP_SETGID
                SystemCallFilter=@setuid capset
                AmbientCapabilities=CAP_NET_BIND_SERVICE
                CapabilityBoundingSet=CAP_NET_BIND_SERVICE
                ReadWritePaths=/srv/out

                """, "web.service": "[Service]\nExecStart=/usr/bin/python3 -c 'text = b\"x\" * 50000000; import time; time.sleep(1000)'\n",
            ])
            try await host.restartAgent()
            try await host.happens("the recovery") { host.events("source_recovered").count == 1 }
            #expect(try await host.run("/usr/bin/curl", "-s", "http://127.0.0.1/metrics").contains("rollcall_agent_info"))
            let after = try await host.end(of: "/usr/local/bin/rollcall", ["check-config"])
            #expect(!after.text.contains("warning"), "\(after.text)")
            try await host.kill("web")
            try await host.happens("both actions") { host.events("action_succeeded").count == 2 }
            #expect(try host.read("/srv/out/who") == "nobody\n")
            // Whoever the agent is: its runner is nobody.
            try await host.happens("the message of the runner") { try host.messages().contains { $0.tells("unit_up", of: "web.service") } }
        }
    }

    /// In a separate user namespace the agent's capabilities hold for its own processes alone.
    @Test func inAUserNamespaceOfItsOwnTheAgentTellsTheTruth() async throws {
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper, "rollcall-agent.service.d/users.conf": "[Service]\nPrivateUsers=yes\n"], starting: ["web"],
            rules: [
                "services.d/web.inq": "check service web\n  if memory:pss > 1t then alert\n  if memory:rss > 1t then alert\n",
                "host.inq": "check host\n  if disk(/) > 99.9% then alert\n",
            ], hasMarker: true
        ) { host in
            try await host.happens("the numbers") { try await host.unit("web.service")?["metrics"]?["memory:rss"] != nil }
            #expect(try await host.unit("web.service")?["state"] == "up")
            try await host.settle()
            #expect(host.events("unit_down") == [] && host.events("rule_failed") == [])
            let status = try await host.rollcall("status")
            #expect(status.contains("`memory:pss` of other users' processes cannot be read without CAP_SYS_PTRACE"), "\(status)")
            #expect(status.contains("PrivateUsers=no"), "\(status)")
            try await host.kill("web")
            try await host.happens("the message") { try host.messages().contains { $0.tells("unit_down", of: "web.service") } }
        }
    }

    /// A bus that is out of reach is a state of the agent's, and none of a unit's.
    @Test func whileSystemdCannotBeAskedItsUnitsAreUnknown() async throws {
        let shut = "[Service]\nInaccessiblePaths=/run/dbus /run/systemd/private\n"
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper, "rollcall-agent.service.d/shut.conf": shut], starting: ["web"],
            rules: ["services.d/web.inq": "check service web\n  if down then alert\n"], hasMarker: true
        ) { host in
            try await host.happens("the event") { host.events("source_failed").contains { $0.detail.hasPrefix("systemd: ") } }
            try await host.settle()
            #expect(host.events("source_failed").filter { $0.detail.hasPrefix("systemd: ") }.count == 1)
            #expect(host.events("unit_down") == [] && host.events("unit_stopped") == [] && host.events("rule_failed") == [])
            #expect(try await host.unit("web")?["state"] == "unknown")
            #expect(try await host.rollcall("status").contains("systemd"))

            try await host.change(units: ["rollcall-agent.service.d/shut.conf": "[Service]\n"])
            try await host.restartAgent()
            try await host.happens("it is known again") { try await host.unit("web.service")?["state"] == "up" }
            try await host.settle()
            #expect(host.events("unit_down") == [])
        }
    }

    /// /proc shows the agent its own processes alone.
    @Test func aProcessThatIsHiddenIsNotOneThatHasEnded() async throws {
        let profile = try String(contentsOfFile: Self.sources + "/init/systemd/rollcall-agent.service.d/without-capabilities.conf", encoding: .utf8)
        try await InstalledHost.with(
            units: ["web.service": Self.sleeper, "rollcall-agent.service.d/without-capabilities.conf": profile + "ProtectProc=invisible\n"],
            starting: ["web"],
            rules: [
                "services.d/web.inq": "check service web\n  if memory:rss > 1t then alert\n",
                "services.d/job.inq": "check service job with pidfile /run/job.pid\n",
                "host.inq": "check host\n  if readonly(/) == 1 then alert\n",
            ], startsAgent: false
        ) { host in
            try await host.shell("sleep infinity <&- >&- 2>&- & echo $! > /run/job.pid")
            try await host.startAgent()
            try await host.happens("what is hidden") { host.events("source_failed").contains { $0.detail.contains("hidepid") && $0.unit == nil } }
            try await host.happens("both units") {
                let services = try await host.export()["services"]
                return services?["web.service"]?["state"] == "up" && services?["job"]?["state"] == "up"
            }
            #expect(host.events("unit_down") == [] && host.events("rule_failed") == [])
            #expect(!host.events("source_failed").contains { $0.detail.contains("has ended") })
            try await host.kill("web")
            try await host.shell("kill $(cat /run/job.pid)")
            try await host.happens("both deaths") {
                host.events("unit_down", of: "web.service").count == 1 && host.events("unit_down", of: "job").count == 1
            }
        }
    }
}
