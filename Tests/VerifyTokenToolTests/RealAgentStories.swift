// Deploys of a real service that a real agent watches, over its endpoint.

import AgentAPI
import Foundation
import Platform
import TestKit
import Testing

private func json(_ text: String) throws -> JSON { try JSON(parsing: text.trimmingCharacters(in: .newlines)) }

@Suite(.timeLimit(.minutes(5))) struct RealAgentStories {
    /// Each with a service and agents of its own, and all at once: they wait more than they work.
    @Test func deploysAreProvenByRealAgents() async throws {
        async let story1: Void = aDeployIsProvenOverTLSAndNotBefore()
        async let story2: Void = aRunAroundTheRestartIsProven()
        async let story3: Void = everyOneOfTwoAgentsMustHaveProvenIt()
        async let story4: Void = everyAddressBehindANameIsAsked()
        async let story5: Void = anAgentThatWasStartedAgainKnowsTheBaseline()
        async let story6: Void = whoeverDoesNotKnowThePasswordIsToldSoAndSlowedDown()
        async let story7: Void = anAgentThatIsNotThereIsNoReasonToWriteAToken()
        async let story8: Void = anAgentThatWasStartedAgainIsToldThePasswordAgain()
        async let story9: Void = noAgentListensInTheClearToOthers()
        async let story10: Void = aRunFromElsewhereOpensAndClosesTheAgentsWindow()
        async let story11: Void = twoServicesOfOneReleaseAreDeployedWithOneToken()
        _ = try await (story1, story2, story3, story4, story5, story6, story7, story8, story9, story10, story11)
    }

    /// A service, and an agent that watches it as `web`.
    private func host(_ name: String = "app-1", at address: String = "127.0.0.1", port: Int? = nil, certificates: Certificates? = nil) async throws
        -> (service: TwoWorkers, agent: RealAgent)
    {
        let service = try await TwoWorkers()
        let agent = try await RealAgent(
            name, services: ["web": "pidfile \"\(service.folder.path)/pid\", \(service.asks)"], at: address, port: port, certificates: certificates)
        return (service, agent)
    }

    private func aDeployIsProvenOverTLSAndNotBefore() async throws {
        let certificates = try await Certificates()
        let (service, agent) = try await host(certificates: certificates)
        let desk = try Desk()
        let id = try await desk.prepare(try service.release("2"), agent.options)
        try service.change(to: "2")
        service.program.signal(SIGUSR1)
        try await agent.answers("mixed")
        let polled = try await agent.curl("/about/deploy/web", "--include").output
        #expect(polled.lowercased().contains("\r\nx-deploy-state: mixed; new=1; old=1; expected=2\r\n"), "\(polled)")
        let early = try await desk.run(["check", "--deploy", id, "--timeout", "500ms", "--settle", "100ms"])
        #expect(early.status == 3, "\(early.text)")
        #expect(early.output.contains("app-1: MIXED  1/2 workers new"))
        service.restart()
        let check = try await desk.run(["check", "--deploy", id, "--settle", "300ms", "--json", "--quiet"])
        #expect(check.status == 0, "\(check.text)")
        let result = try json(check.output)
        let host = try #require(result["hosts"]?.array?.first)
        #expect(host["evidence"]?.string == "attributed-http")
        #expect(host["baseline"]?.bool == true)
        #expect(host["workers"]?["new"]?.integer == 2)
        #expect(host["workers"]?["expected"]?.integer == 2)
        // The password's use was the agent's, from its own configuration.
        #expect(!check.text.contains("horse") && !check.text.contains("staple"))

        // A certificate by somebody else is not asked again and again.
        let strangers = try await Certificates()
        let untrusted = try await desk.run(["status", "--service", "web"] + RealAgent.options(agent.name, agent.password, strangers))
        #expect(untrusted.status == 10)
        #expect(untrusted.errors.contains("certificate"), "\(untrusted.errors)")
        let unchecked = try await desk.run(["check", "--deploy", id] + RealAgent.options(agent.name, agent.password, strangers))
        #expect(unchecked.status == 10)
        #expect(unchecked.output.contains("certificate"), "\(unchecked.text)")
        // Neither does anybody get an answer without TLS.
        let clear = try await ChildProcess.run("/usr/bin/curl", ["--silent", "--max-time", "5", "http://127.0.0.1:\(agent.port)/about/deploy"])
        #expect(clear.status != 0 && clear.output == "")
    }

    /// Web and jobs, started from one release: the second to prepare, even at the same moment, has the token of the first.
    private func twoServicesOfOneReleaseAreDeployedWithOneToken() async throws {
        let (web, jobs) = (try await TwoWorkers(), try await TwoWorkers())
        let agent = try await RealAgent(services: [
            "web": "pidfile \"\(web.folder.path)/pid\", \(web.asks)", "jobs": "pidfile \"\(jobs.folder.path)/pid\", \(jobs.asks)",
        ])
        let desk = try Desk()
        let release = try web.release("2")
        // The agent knows services once it has looked at them.
        try await agent.answers(String(repeating: "0", count: 32), at: "/about/deploy/jobs")
        func prepare(_ service: String, _ options: String...) async throws -> ChildProcess.End {
            try await desk.run(["prepare", "--service", service, "--release", release, "--print", "id"] + agent.options + options)
        }
        async let one = prepare("web")
        async let two = prepare("jobs")
        let ends = try await [one, two]
        #expect(ends.map(\.status) == [0, 0], "\(ends.map(\.text))")
        #expect(ends.count { $0.errors.contains("note: the release carries the token of deploy d-") } == 1)
        let token = try String(contentsOfFile: release + "/TOKEN", encoding: .utf8)

        let stranger = try await prepare("jobs", "--token", String(repeating: "b", count: 32), "--force")
        #expect(stranger.status == 0)
        let spoiled = try await desk.run(["check", "--deploy", ends[0].output.trimmingCharacters(in: .newlines), "--timeout", "500ms"])
        #expect(spoiled.status == 1, "\(spoiled.text)")
        let again = try await prepare("web", "--token", token)
        #expect(again.status == 10)
        #expect(again.errors.contains("carries the token of deploy") && again.errors.contains("of jobs"), "\(again.errors)")
        let both = try await prepare("web")
        #expect(both.status == 0, "\(both.text)")
        #expect(try String(contentsOfFile: release + "/TOKEN", encoding: .utf8) == String(repeating: "b", count: 32))

        try web.change(to: "2")
        try FileManager.default.removeItem(atPath: jobs.folder.path + "/current")
        try FileManager.default.createSymbolicLink(atPath: jobs.folder.path + "/current", withDestinationPath: release)
        web.restart()
        jobs.restart()
        for end in [both, stranger] {
            let check = try await desk.run(["check", "--deploy", end.output.trimmingCharacters(in: .newlines), "--settle", "300ms"])
            #expect(check.status == 0, "\(check.text)")
        }
        // Both are over: the next deploy of this folder has another token.
        #expect(try await prepare("jobs", "--in-place").status == 0)
        #expect(try String(contentsOfFile: release + "/TOKEN", encoding: .utf8) != String(repeating: "b", count: 32))
    }

    private func aRunAroundTheRestartIsProven() async throws {
        let (service, agent) = try await host()
        let desk = try Desk()
        let release = try service.release("2")
        let words = ["run", "--service", "web", "--release", release, "--settle", "300ms", "--agent-socket", agent.socket, "--quiet", "--probe"]
        let script = "ln -sfn releases/2 '\(service.folder.path)/current' && kill -HUP \(service.program.pid)"
        let end = try await desk.run(words + ["--", "sh", "-c", script])
        #expect(end.status == 0, "\(end.text)")
        #expect(end.output.contains("VERIFIED"))
        // What a script polls for is the new token by now.
        try await agent.answers(try String(contentsOfFile: release + "/TOKEN", encoding: .utf8))
    }

    private func aRunFromElsewhereOpensAndClosesTheAgentsWindow() async throws {
        let (service, agent) = try await host(certificates: try await Certificates())
        let desk = try Desk()
        let words = ["run", "--service", "web", "--release", try service.release("2"), "--settle", "300ms", "--person", "ann", "--quiet"]
        let log = { agent.log.split(separator: "\n").filter { $0.contains("kind=deploy_") }.joined(separator: "\n") }
        let failed = try await desk.run(words + agent.options + ["--", "sh", "-c", "exit 3"])
        #expect(failed.status == 3, "\(failed.text)")
        #expect(log().contains("deploy of web by ann, d-"), "\(agent.log)")
        try await eventually("the window is closed") {
            log().contains("kind=deploy_finished")
        } explanation: {
            agent.log
        }
        let script = "ln -sfn releases/2 '\(service.folder.path)/current' && kill -HUP \(service.program.pid)"
        let verified = try await desk.run(words + agent.options + ["--", "sh", "-c", script])
        #expect(verified.status == 0, "\(verified.text)")
        try await eventually("the second window is closed") {
            log().components(separatedBy: "kind=deploy_finished").count == 3
        } explanation: {
            agent.log
        }
        let quiet = try await desk.run(words + agent.options + ["--no-window", "--force", "--", "true"])
        #expect(quiet.status != 0)
        #expect(log().components(separatedBy: "kind=deploy_started").count == 3, "\(agent.log)")
    }

    private func everyOneOfTwoAgentsMustHaveProvenIt() async throws {
        let port = try freePort()
        async let one = host("app-1", at: "127.0.0.1", port: port)
        async let other = host("app-2", at: "127.0.0.2", port: port)
        let (first, second) = try await (one, other)
        let desk = try Desk()
        let token = DeployTokenText.new
        for service in [first.service, second.service] { _ = try service.release("2") }
        let ways = RealAgent.options("\(first.agent.name), \(second.agent.name)", first.agent.password, nil)
        let id = try await desk.prepare(try first.service.release("2"), ["--token", token] + ways)
        try second.service.folder.write(token, to: "releases/2/TOKEN")
        for service in [first.service, second.service] { try service.change(to: "2") }
        first.service.restart()
        let half = try await desk.run(["check", "--deploy", id, "--timeout", "2s", "--settle", "200ms"])
        #expect(half.status == 1, "\(half.text)")
        #expect(half.output.contains("app-1: VERIFIED"))
        #expect(half.output.contains("because app-2: "))
        second.service.restart()
        let whole = try await desk.run(["check", "--deploy", id, "--settle", "200ms"])
        #expect(whole.status == 0, "\(whole.text)")
        #expect(whole.output.contains("4 workers on 2 hosts run the new release"))
    }

    /// As a name that stands for all hosts of a service; each is asked, with the name in TLS.
    private func everyAddressBehindANameIsAsked() async throws {
        let certificates = try await Certificates(for: "DNS:app.example.test")
        let port = try freePort()
        async let one = host("app-1", at: "127.0.0.1", port: port, certificates: certificates)
        async let other = host("app-2", at: "127.0.0.2", port: port, certificates: certificates)
        let (first, second) = try await (one, other)
        let desk = try Desk()
        let hosts = try desk.folder.write("127.0.0.1 app.example.test\n127.0.0.2 app.example.test\n", to: "hosts")
        let fewer = try desk.folder.write("127.0.0.1 app.example.test\n", to: "fewer")
        func under(_ hosts: String) -> [String] {
            ["/usr/bin/unshare"] + (geteuid() == 0 ? ["--mount"] : ["--mount", "--map-root-user"])
                + ["sh", "-c", "mount --bind '\(hosts)' /etc/hosts && exec \"$@\"", "sh"]
        }
        let ways = RealAgent.options("app.example.test:\(port)", first.agent.password, certificates)
        let status = try await desk.run(["status", "--json"] + ways, prefix: under(hosts))
        #expect(status.status == 0, "\(status.text)")
        #expect(try json(status.output)["services"]?.array?.compactMap { $0["host"]?.string }.sorted() == ["app-1", "app-2"])

        let token = DeployTokenText.new
        let id = try await desk.prepare(try first.service.release("2"), ["--token", token] + ways, prefix: under(hosts))
        _ = try second.service.release("2")
        try second.service.folder.write(token, to: "releases/2/TOKEN")
        for service in [first.service, second.service] {
            try service.change(to: "2")
            service.restart()
        }
        let check = try await desk.run(["check", "--deploy", id, "--settle", "200ms"], prefix: under(hosts))
        #expect(check.status == 0, "\(check.text)")
        #expect(check.output.contains("4 workers on 2 hosts"))
        // A host that has lost its name since is not forgotten.
        let missing = try await desk.run(["check", "--deploy", id, "--settle", "200ms"], prefix: under(fewer))
        #expect(missing.status == 10, "\(missing.text)")
        #expect(missing.output.contains("app-2: was prepared for this deploy"))
    }

    private func anAgentThatWasStartedAgainKnowsTheBaseline() async throws {
        let (service, agent) = try await host()
        let desk = try Desk()
        let id = try await desk.prepare(try service.release("2"), ["--agent-socket", agent.socket])
        try await agent.restart()
        let early = try await desk.run(["check", "--deploy", id, "--timeout", "1s", "--settle", "100ms"])
        #expect(early.status == 1, "\(early.text)")
        try service.change(to: "2")
        service.restart()
        let check = try await desk.run(["check", "--deploy", id, "--settle", "300ms", "--json", "--quiet"])
        #expect(check.status == 0, "\(check.text)")
        let host = try #require(try json(check.output)["hosts"]?.array?.first)
        #expect(host["baseline"]?.bool == true)
        #expect(host["lacks"]?.array?.contains { $0.string?.contains("the agent was started again") == true } == true, "\(check.output)")
    }

    /// The password came with the preparation, and nobody keeps it: whoever checks brings it along again.
    private func anAgentThatWasStartedAgainIsToldThePasswordAgain() async throws {
        let service = try await TwoWorkers()
        let agent = try await RealAgent(services: ["web": "pidfile \"\(service.folder.path)/pid\""])
        let desk = try Desk()
        let login = ["--token-path", "/about/deploy", "--user", "about", "--password-file", service.folder.path + "/password"]
        let id = try await desk.prepare(try service.release("2"), ["--agent-socket", agent.socket] + login)
        try await agent.restart()
        try service.change(to: "2")
        service.restart()
        let check = try await desk.run(["check", "--deploy", id, "--settle", "300ms"])
        #expect(check.status == 0, "\(check.text)")
        for file in ["\(agent.folder.path)/state/deploys.json", "\(desk.folder.path)/verify-token/\(id).json"] {
            #expect(!(try String(contentsOfFile: file, encoding: .utf8)).contains("horse"))
        }
    }

    private func whoeverDoesNotKnowThePasswordIsToldSoAndSlowedDown() async throws {
        let (service, agent) = try await host()
        let desk = try Desk()
        let wrong = RealAgent.options(agent.name, agent.wrongPassword, nil)
        for verb in [["status"], ["doctor", "--service", "web"], ["check", "--service", "web", "--token", DeployTokenText.new]] {
            let end = try await desk.run(verb + wrong)
            #expect(end.status == 10, "\(end.text)")
            #expect(end.text.contains("User and password, please"), "\(end.text)")
        }
        let prepare = try await desk.run(["prepare", "--service", "web", "--release", try service.release("2")] + wrong)
        #expect(prepare.status == 10 && prepare.output == "", "\(prepare.text)")
        #expect(!FileManager.default.fileExists(atPath: service.folder.path + "/releases/2/TOKEN"))

        // A guesser is slowed down, and then the right password has to wait too; after a second it may be tried again.
        let guesses = try await agent.curl("/about/deploy/web?[1-30]", "--output", "/dev/null", "--write-out", "%{http_code}\n", login: "deploy:x")
        let codes = guesses.output.split(separator: "\n")
        #expect(codes.first == "401")
        #expect(codes.contains("429"), "\(guesses.output)")
        let check = try await desk.run(
            ["check", "--service", "web", "--token", DeployTokenText.new, "--timeout", "500ms", "--settle", "100ms"] + agent.options)
        #expect(check.status == 1 || check.status == 6, "\(check.text)")
        #expect(!agent.log.contains("staple"))
    }

    private func noAgentListensInTheClearToOthers() async throws {
        let folder = try TemporaryFolder()
        try folder.write("battery staple\n", to: "password", mode: 0o600)
        let login = "set listen_user deploy\nset listen_password_file \(folder.path)/password\n"
        try folder.write("set state_directory \(folder.path)/state\nset listen 0.0.0.0:\(try freePort())\n\(login)", to: "etc/rollcall.conf")
        let end = try await ChildProcess.run(built("rollcall-agent"), ["--config", folder.path + "/etc"])
        #expect(end.status != 0)
        #expect(end.errors.contains("is not a loopback address: the password would travel in clear"), "\(end.text)")
    }

    private func anAgentThatIsNotThereIsNoReasonToWriteAToken() async throws {
        let service = try await TwoWorkers()
        let desk = try Desk()
        let port = try freePort()
        let end = try await desk.run(
            ["prepare", "--service", "web", "--release", try service.release("2"), "--agents", "127.0.0.1:\(port)"])
        #expect(end.status == 10)
        #expect(end.errors.contains("127.0.0.1:\(port)"), "\(end.errors)")
        #expect(!FileManager.default.fileExists(atPath: service.folder.path + "/releases/2/TOKEN"))
    }
}

enum DeployTokenText {
    static var new: String { randomHex(bytes: 16) }
}
