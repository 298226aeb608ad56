// Sites without an aggregator: the agent tells people itself.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(2))) struct OwnAlertScenarioTests {
    @Test func mailChatAndAProgramHearOfARule() async throws {
        let folder = try TemporaryFolder()
        let mail = try await MailBed()
        let hooks = try await HookBed()
        let password = try folder.write(mail.password + "\n", to: "mail-password", mode: 0o600)
        let room = try folder.write("https://localhost:\(hooks.securePort)/take/200/room\n", to: "room", mode: 0o600)
        let secret = try folder.write("battery staple\n", to: "secret", mode: 0o600)
        // The runner is nobody, and has to read whom to trust.
        for authority in [mail.authority, hooks.authority] { chmod((authority as NSString).deletingLastPathComponent, 0o755) }
        let settings = """
            send alerts via email with smtp_server \(mail.server.dropFirst("smtp://".count)), to_email "ops@example.com, boss@example.com",
              from_email rollcall@example.com, username \(mail.user), password_file "\(password)", ca_file "\(mail.authority)"
            send alerts to room via slack with url_file "\(room)", ca_file "\(hooks.authority)"
            send alerts to program via webhook with url \(hooks.url("/take/200/program")), secret_file "\(secret)"
            """
        try await LoneAgent.with(
            in: folder, settings: settings,
            rules: ["host.inq": "check host\n  if memory:total > 1m as warning then alert, alert room, alert program\n"]
        ) { agent in
            try await agent.happens("every message") { try mail.mails().count == 2 && hooks.taken().count == 2 }
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
            #expect(!agent.log.contains("not delivered"))
            for secret in [mail.password, "battery staple"] { #expect(!agent.log.contains(secret)) }
        }

        // Before anything is wrong: does it work at all?
        let test = try await ChildProcess.run(built("rollcall-agent"), ["--config", folder.path + "/etc", "--test-alerts"])
        #expect(test.status == 0, "\(test.text)")
        #expect(
            Set(test.output.split(separator: "\n")) == [
                "the default route, email: delivered", "room, slack: delivered", "program, webhook: delivered",
            ])
        #expect(try mail.mails().count == 4 && hooks.taken().count == 4)
        #expect(try await mail.read(try #require(mail.mails().last)).subject == "[test] This is a test: alerts of web1 arrive here")

        // What is wrong is said, for each route.
        try folder.write("wrong\n", to: "mail-password", mode: 0o600)
        try folder.write("https://localhost:\(hooks.securePort)/take/404\n", to: "room", mode: 0o600)
        let wrong = try await ChildProcess.run(built("rollcall-agent"), ["--config", folder.path + "/etc", "--test-alerts"])
        #expect(wrong.status == 78)
        #expect(wrong.output == "program, webhook: delivered\n")
        #expect(wrong.errors.contains("the default route, email: not delivered: ") && wrong.errors.contains("room, slack: not delivered: "))
        #expect(!wrong.text.contains("wrong\n"))
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
