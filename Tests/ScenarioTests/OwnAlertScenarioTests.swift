// Sites without an aggregator: the agent tells people itself.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(2))) struct OwnAlertScenarioTests {
    @Test func mailChatAndAProgramHearOfARule() async throws {
        let mail = try await MailBed()
        let hooks = try await HookBed()
        let authorities = [mail.authority, hooks.authority].map { ($0 as NSString).deletingLastPathComponent }
        // The runner has to read whom to trust.
        for folder in authorities { chmod(folder, 0o755) }
        let settings = """
            send alerts via email with smtp_server \(mail.server.dropFirst("smtp://".count)), to_email "ops@example.com, boss@example.com",
              from_email rollcall@example.com, username \(mail.user), password_file /etc/rollcall/mail-password, ca_file "\(mail.authority)"
            send alerts to room via slack with url_file /etc/rollcall/room, ca_file "\(hooks.authority)"
            send alerts to program via webhook with url \(hooks.url("/take/200/program")), secret_file /etc/rollcall/secret
            """
        try await InstalledHost.with(
            rules: ["host.inq": "check host\n  if memory:total > 1m as warning then alert, alert room, alert program\n"], settings: settings,
            secrets: [
                "mail-password": mail.password + "\n", "room": "https://localhost:\(hooks.securePort)/take/200/room\n", "secret": "battery staple\n",
            ], network: .shared, binds: authorities
        ) { host in
            try await host.happens("every message") { try mail.mails().count == 2 && hooks.taken().count == 2 }
            let mails = try mail.mails()
            #expect(mails.map(\.to).sorted { $0[0] < $1[0] } == [["boss@example.com"], ["ops@example.com"]])
            #expect(mails.allSatisfy { $0.tls && $0.user == mail.user && $0.from == "rollcall@example.com" })
            let read = try await mail.read(mails[0])
            #expect(read.subject.hasPrefix("[warning] ") && read.subject.contains("web1") && read.body.contains("memory:total > 1m"))
            let taken = try hooks.taken().sorted { $0.path > $1.path }
            #expect(taken.map(\.path) == ["/take/200/room", "/take/200/program"])
            #expect(taken[0].json["text"]?.string?.hasPrefix("*[warning] ") == true)
            #expect(taken[1].json["events"]?.array?.map { $0["kind"]?.string } == ["rule_failed"])
            #expect(taken[1].headers["x-rollcall-signature"]?.hasPrefix("sha256=") == true)
            #expect(!host.log.contains("not delivered"))
            for secret in [mail.password, "battery staple"] { #expect(!host.log.contains(secret)) }

            // Does it work at all? The running agent is asked, and sends them as it sends all others.
            func test() async throws -> ChildProcess.End { try await host.end(of: "/usr/local/bin/rollcall-agent", ["--test-alerts"]) }
            let right = try await test()
            #expect(right.status == 0 && right.errors.isEmpty, "\(right.text)")
            #expect(
                right.output.split(separator: "\n") == [
                    "the default route, email: delivered", "room, slack: delivered", "program, webhook: delivered",
                ])
            #expect(try mail.mails().count == 4 && hooks.taken().count == 4)
            #expect(try await mail.read(try #require(mail.mails().last)).subject == "[test] This is a test: alerts of web1 arrive here")

            // Root may check what only the agent's user may read.
            let check = try await host.end(of: "/usr/local/bin/rollcall-agent", ["--check"])
            #expect(check.status == 0, "\(check.text)")

            // What is wrong is said, for each route.
            try await host.write(secret: "wrong\n", to: "/etc/rollcall/mail-password")
            try await host.write(secret: "https://localhost:\(hooks.securePort)/take/404\n", to: "/etc/rollcall/room")
            try await host.systemctl("reload", "rollcall-agent")
            let wrong = try await test()
            #expect(wrong.status == 78)
            #expect(wrong.output == "program, webhook: delivered\n")
            #expect(wrong.errors.contains("the default route, email: not delivered: ") && wrong.errors.contains("room, slack: not delivered: "))

            // What the agent has not read is not tested.
            try host.write(try host.read("/etc/rollcall/rollcall.conf") + "# changed\n", to: "/etc/rollcall/rollcall.conf")
            let stale = try await test()
            #expect(stale.status == 78 && stale.errors.contains("rollcall.conf was changed after the running agent had read it"), "\(stale.text)")

            // Without an agent the messages are sent from there, and that is said.
            try await host.systemctl("stop", "rollcall-agent")
            let alone = try await host.end(of: "/sbin/runuser", ["-u", "rollcall-agent", "--", "/usr/local/bin/rollcall-agent", "--test-alerts"])
            #expect(alone.status == 78 && alone.output == "program, webhook: delivered\n")
            #expect(alone.errors.contains("no agent answers at /run/rollcall-agent/agent.sock"), "\(alone.text)")
        }
        await mail.stop()
        await hooks.stop()
    }

    @Test func whatARuleRunsHearsOfTheEventAndIsWrittenDown() async throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/out", withIntermediateDirectories: true)
        chmod(folder.path + "/out", 0o777)
        let heal = try folder.write(
            "#!/bin/sh\nid -un > '\(folder.path)/out/user'\ncat > '\(folder.path)/out/event.new'\nmv '\(folder.path)/out/event.new' '\(folder.path)/out/event'\n",
            to: "heal", mode: 0o755)
        let fail = try folder.write("#!/bin/sh\necho 'no such shop' >&2\nexit 3\n", to: "fail", mode: 0o755)
        let hang = try folder.write("#!/bin/sh\nsleep 1000 & echo $! > '\(folder.path)/out/hanging'\nwait\n", to: "hang", mode: 0o755)
        let service = try ChildProcess("/bin/cat", [])
        try folder.write("\(service.pid)\n", to: "service.pid")
        try await LoneAgent.with(
            in: folder, settings: "send alerts via null",
            rules: [
                "host.inq": """
                check host
                  if memory:total > 1m then exec "\(heal) 'the shop'" as nobody timeout 10s
                  if memory:available > 1m then exec "\(fail)"
                  if uptime > 1s then exec "\(hang)" as nobody timeout 1s
                """,
                "services.d/shop.inq": """
                check service shop with pidfile "\(folder.path)/service.pid"
                  if uptime > 0 then exec "\(heal)" as no-such-user
                """,
            ]
        ) { agent in
            try await agent.happens("all four are written down") { try agent.actions().count == 4 }
            func action(_ words: String) throws -> JSON {
                try #require(try agent.actions().first { $0["rule"]?.string?.contains(words) == true }, "\(words)")
            }
            let healed = try action("memory:total")
            #expect(healed["outcome"] == "done" && healed["unit"] == "host" && healed["because"] == "memory:total > 1m")
            #expect(healed["verb"]?.string == "exec \(heal) the shop")
            #expect(try String(contentsOfFile: folder.path + "/out/user", encoding: .utf8) == "nobody\n")
            let event = try JSON(parsing: String(contentsOfFile: folder.path + "/out/event", encoding: .utf8))
            #expect(event["kind"] == "rule_failed" && event["rule"]?.string?.contains("memory:total > 1m") == true)
            let failed = try action("memory:available")
            #expect(failed["outcome"] == "exited with status 3" && failed["evidence"] == ["no such shop"])
            #expect(try action("uptime > 1s")["outcome"] == "killed, because it took too long")
            let refused = try action("uptime > 0")
            #expect(refused["unit"] == "shop" && refused["outcome"]?.string?.contains("no user no-such-user") == true)
            // Nothing of it is left, not even its child.
            let child = try #require(
                try Int32(String(contentsOfFile: folder.path + "/out/hanging", encoding: .utf8).trimmingCharacters(in: .newlines)))
            try await agent.happens("the end of what hung") { kill(child, 0) != 0 }
            #expect(agent.events("action_succeeded").count == 1 && agent.events("action_failed").count == 3)
        }
        await service.stop()
    }
}
