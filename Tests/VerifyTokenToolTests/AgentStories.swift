// Deploys as verify-token goes through them with an agent.

import AgentAPI
import Foundation
import Platform
import TestKit
import Testing

private func json(_ text: String) throws -> JSON { try JSON(parsing: text.trimmingCharacters(in: .newlines)) }

@Suite(.timeLimit(.minutes(5))) struct AgentStories {
    @Test func aDeployIsPreparedAndThenVerifiedByAnotherProcess() async throws {
        let stage = try await Stage([
            "verify.json": says(state(.stale, old: 2), state(.mixed, new: 1, old: 1), state(.verified, new: 2, isFinal: true))
        ])
        try stage.folder.write("4f2c81\n", to: "release/REVISION")
        let id = try await stage.prepare("--token-path", "/about/deploy", "--host-header", "app.example.com", "--probe")
        #expect(id.hasPrefix("d-"))
        let asked = try #require(stage.asked("/v1/prepare").first?["body"])
        let preparation = try DeployPreparation(asked)
        #expect(preparation.id == id)
        #expect(preparation.token == stage.token)
        #expect(preparation.release == stage.release)
        #expect(preparation.question == TokenQuestion(path: "/about/deploy", host: "app.example.com"))
        #expect(preparation.availability == AvailabilityOrder())
        #expect(preparation.person == "anna")
        #expect(preparation.revision == "4f2c81")
        let check = try await stage.run(["check", "--deploy", id, "--expect-workers", "2", "--watch", "2s", "--drain", "wait:5s"])
        #expect(check.status == 0, "\(check.text)")
        #expect(check.output.hasSuffix("\n"))
        let last = try #require(check.output.split(separator: "\n").last)
        #expect(last.hasPrefix("VERIFIED (token \(stage.token.prefix(8))...): 2 workers on 1 host run the new release"))
        let question = try DeployCheck(try #require(stage.asked("/v1/verify").first?["body"]))
        #expect(question.deploy == id)
        #expect(question.expectedWorkers == 2)
        #expect(question.watch == .seconds(2))
        #expect(question.draining == .wait(.seconds(5)))
        // The probe was ordered with the preparation: no failure is its limit, unless another is said.
        #expect(question.limits == AvailabilityLimits())
    }

    @Test func theTokenAloneFindsThePreparedDeploy() async throws {
        let stage = try await Stage(["verify.json": says(state(.verified, new: 2, isFinal: true))])
        let id = try await stage.prepare()
        let check = try await stage.run(["check", "--service", "web", "--token", "-"], input: stage.token + "\n")
        #expect(check.status == 0, "\(check.text)")
        #expect(stage.asked("/v1/verify").first?["body"]?["deploy_id"]?.string == id)
    }

    /// As where continuous integration checks what a script prepared on the host.
    @Test func anotherMachineNeedsTheIdAndTheAgentsAlone() async throws {
        let stage = try await Stage(["verify.json": says(state(.verified, new: 2, isFinal: true))])
        let id = "d-0123456789abcdef"
        let check = try await stage.run(["check", "--deploy", id, "--agent-socket", stage.socket])
        #expect(check.status == 0, "\(check.text)")
        #expect(stage.asked("/v1/verify").first?["body"]?["token"] == nil)
        let unknown = try await stage.run(["check", "--deploy", id])
        #expect(unknown.status == 2)
        #expect(unknown.errors.contains("this machine has not prepared it"))
    }

    /// Three of them wait for five seconds: all at once.
    @Test func theLastWordOnThisDeployIsTheExitCodeAndNothingElseIsAProof() async throws {
        async let another: Void = whatIsSaidOfAnotherDeployProvesNothing()
        async let early: Void = aVerdictThatIsNotTheLastWordIsNoProof()
        async let nobody: Void = anAgentThatIsNotThereIsUnreachableAfterThreeTries()
        async let codes: Void = theAgentsVerdictIsTheExitCode()
        _ = try await (another, early, nobody, codes)
    }

    private func whatIsSaidOfAnotherDeployProvesNothing() async throws {
        guard case .object(let members) = state(.verified, new: 2, isFinal: true) else { return }
        let other = JSON.object(members.map { $0.name == "token" ? .init("token", "ffffffff") : $0 })
        let stage = try await Stage(["verify.json": says(other)])
        let check = try await stage.run(["check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", stage.socket])
        #expect(check.status == 10, "\(check.text)")
    }

    private func aVerdictThatIsNotTheLastWordIsNoProof() async throws {
        let stage = try await Stage([
            "verify.json": [["after": 0, "state": state(.verified, new: 2)], ["after": 30, "state": state(.stale, old: 2)]]
        ])
        let check = try await stage.run([
            "check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", stage.socket, "--timeout", "1s", "--settle", "0.5",
        ])
        #expect(check.status == 9, "\(check.text)")
    }

    private func anAgentThatIsNotThereIsUnreachableAfterThreeTries() async throws {
        let folder = try TemporaryFolder()
        let check = try await ChildProcess.run(
            built("verify-token"),
            ["check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", folder.path + "/none.sock", "--timeout", "30"],
            environment: ["XDG_STATE_HOME": folder.path])
        #expect(check.status == 10)
        #expect(check.output.contains("no agent answers at \(folder.path)/none.sock"))
    }

    @Test func whatIsKeptIsClosedToOthersAndHoldsNoPassword() async throws {
        let stage = try await Stage()
        let password = try stage.folder.write("correct horse\n", to: "password", mode: 0o600)
        let id = try await stage.prepare("--token-path", "/token", "--user", "deploy", "--password-file", password)
        #expect(stage.asked("/v1/prepare").first?["body"]?["question"]?["password"]?.string == "correct horse")
        let file = "\(stage.folder.path)/state/verify-token/\(id).json"
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(!stage.text("state/verify-token/\(id).json").contains("horse"))
    }

    private func theAgentsVerdictIsTheExitCode() async throws {
        let stage = try await Stage()
        for verdict in Verdict.allCases {
            try stage.write(
                says(state(verdict, new: 1, old: 1, isFinal: true, reasons: ["because of \u{1b}[31mthis"]), after: 0), to: "verify.json")
            let check = try await stage.run([
                "check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", stage.socket, "--json", "--quiet",
            ])
            #expect(check.status == verdict.exitCode)
            let result = try json(check.output)
            #expect(result["verdict"]?.string == verdict.rawValue)
            #expect(result["exit_code"]?.integer == Int64(verdict.exitCode))
            #expect(verdict == .verified || result["reasons"]?.array?.first?.string?.contains("because of") == true)
            #expect(result["hosts"]?.array?.count == 1)
            #expect(check.errors == "")
            #expect(!check.output.contains("\u{1b}"))
        }
    }

    @Test func aSecondDeployIsRefusedAndNothingIsWritten() async throws {
        let stage = try await Stage(["prepare.json": ["status": 409, "body": ["problem": "another deploy of web is under way (d-1, by bert)"]]])
        let end = try await stage.run(["prepare", "--service", "web", "--release", stage.release, "--agent-socket", stage.socket])
        #expect(end.status == 10)
        #expect(end.output == "")
        #expect(end.errors.contains("another deploy of web is under way (d-1, by bert)"))
        #expect(stage.token == "")
    }

    @Test func aReleaseWhereTheWorkersStandNeedsAWord() async throws {
        let warning = "worker 101 already stands in /srv/app, which is to be new: say --in-place if it is"
        let stage = try await Stage(["prepare.json": ["status": 200, "body": ["host": "app-1", "workers": 2, "warnings": [.string(warning)]]]])
        let words = ["prepare", "--service", "web", "--release", stage.release, "--agent-socket", stage.socket]
        let refused = try await stage.run(words)
        #expect(refused.status == 10)
        #expect(stage.token == "")
        #expect(stage.asked("/v1/cancel").count == 1)
        let meant = try await stage.run(words + ["--in-place"])
        #expect(meant.status == 0)
        #expect(stage.token + "\n" == meant.output)
    }

    @Test func deniedAccessIsNotTriedAgain() async throws {
        let stage = try await Stage(["verify.json": ["status": 401, "body": ["problem": "who are you?"]]])
        let password = try stage.folder.write("wrong\n", to: "password", mode: 0o600)
        let check = try await stage.run([
            "check", "--service", "web", "--token", "0123456789abcdef", "--agents", "127.0.0.1:\(stage.port)", "--agents-user", "me",
            "--agents-password-file", password,
        ])
        #expect(check.status == 10)
        #expect(check.output.contains("who are you?"))
        #expect(stage.asked("/v1/verify").count == 1)
        #expect(stage.asked("/v1/verify").first?["authorization"]?.string == "Basic \(Data("me:wrong".utf8).base64EncodedString())")
    }

    @Test func anAnswerThatBreaksOffIsAskedForAgain() async throws {
        let stage = try await Stage(["verify.json": says(state(.stale, old: 2))])
        let check = try stage.start(["check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", stage.socket])
        try await eventually { stage.asked("/v1/verify").count == 1 }
        try stage.write(says(state(.verified, new: 2, isFinal: true)), to: "verify.json")
        let end = try await check.end()
        #expect(end.status == 0, "\(end.text)")
        #expect(stage.asked("/v1/verify").count == 2)
        #expect(end.errors.contains("app-1: STALE"))
    }

    @Test func theAggregatorAsksAllHostsAndIsToldOfTheEnd() async throws {
        let stage = try await Stage([
            "prepare.json": [
                "status": 200,
                "body": [
                    "hosts": [
                        ["host": "app-1", "prepared": ["host": "app-1", "workers": 2, "warnings": []]],
                        ["host": "app-2", "prepared": ["host": "app-2", "workers": 2, "warnings": []]],
                    ]
                ],
            ],
            "verify.json": says(
                state(.mixed, new: 1, old: 1, host: "app-1"), state(.verified, new: 2, isFinal: true, host: "app-2"),
                state(.verified, new: 2, isFinal: true, host: "app-1")),
        ])
        let secret = try stage.folder.write("bearer-secret\n", to: "secret", mode: 0o600)
        let way = ["--aggregator", "http://127.0.0.1:\(stage.port)", "--aggregator-token-file", secret]
        let prepared = try await stage.run(
            ["prepare", "--service", "web", "--remote-release", "/srv/app/releases/2", "--print", "env"] + way)
        #expect(prepared.status == 0, "\(prepared.errors)")
        let variables = Dictionary(
            uniqueKeysWithValues: prepared.output.split(whereSeparator: \.isWhitespace).map { word in
                (String(word.prefix { $0 != "=" }), String(word.drop { $0 != "=" }.dropFirst()))
            })
        let id = try #require(variables["DEPLOY_ID"])
        let check = try await stage.run(["check", "--deploy", id, "--json", "--quiet"])
        #expect(check.status == 0, "\(check.text)")
        #expect(try json(check.output)["hosts"]?.array?.count == 2)
        let record = try DeployRecord(try #require(stage.asked("/api/v1/deploys").first?["body"]))
        #expect(record.id == id)
        #expect(record.verdict == .verified)
        #expect(record.hosts.map(\.host).sorted() == ["app-1", "app-2"])
        #expect(record.person == "anna")
        #expect(record.tokenPrefix == variables["DEPLOY_TOKEN"].map { String($0.prefix(8)) })
        #expect(stage.asked("/api/v1/deploys").first?["authorization"]?.string == "Bearer bearer-secret")
        #expect(check.errors.contains("https://aggregator.example/deploys/\(id)"))
    }

    @Test func passwordsDoNotPassThroughTheAggregator() async throws {
        let stage = try await Stage(["verify.json": says(state(.verified, new: 2, isFinal: true))])
        let secret = try stage.folder.write("bearer-secret\n", to: "secret", mode: 0o600)
        let password = try stage.folder.write("correct horse\n", to: "password", mode: 0o600)
        let login = ["--token-path", "/token", "--user", "deploy", "--password-file", password]
        let way = ["--service", "web", "--aggregator", "http://127.0.0.1:\(stage.port)", "--aggregator-token-file", secret]
        let check = try await stage.run(["check", "--token", "0123456789abcdef"] + login + way)
        #expect(check.status == 0, "\(check.text)")
        try stage.write(["status": 200, "body": ["hosts": [["host": "app-1", "prepared": ["host": "app-1", "workers": 2]]]]], to: "prepare.json")
        let prepared = try await stage.run(["prepare"] + login + way)
        #expect(prepared.status == 0, "\(prepared.text)")
        #expect(prepared.errors.contains("passwords do not pass through the aggregator"))
        #expect(stage.asked.count >= 2)
        #expect(!stage.text("asked").contains("horse"))
        #expect(stage.text("asked").contains("\"path\": \"/token\""))
    }

    @Test func aHostThatTheAggregatorDoesNotHearOfIsUnreachable() async throws {
        let prepared: JSON = ["host": "app-2", "prepared": ["host": "app-2", "workers": 2, "warnings": []]]
        let stage = try await Stage([
            "prepare.json": ["status": 200, "body": ["hosts": [prepared]]],
            "verify.json": says(state(.verified, new: 2, isFinal: true, host: "app-1")),
        ])
        let secret = try stage.folder.write("bearer-secret\n", to: "secret", mode: 0o600)
        let way = ["--aggregator", "http://127.0.0.1:\(stage.port)", "--aggregator-token-file", secret]
        let id = try await stage.run(["prepare", "--service", "web", "--print", "id"] + way).output.trimmingCharacters(in: .newlines)
        let check = try await stage.run(["check", "--deploy", id])
        #expect(check.status == 10, "\(check.text)")
        #expect(check.output.contains("app-2"))
    }

    @Test func reportsForOtherProgramsAreWellFormed() async throws {
        let stage = try await Stage(["verify.json": says(state(.stale, old: 2, isFinal: true, reasons: ["old < new & 100 %\nsure"]))])
        let report = stage.folder.path + "/report.xml"
        let check = try await stage.run(
            ["check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", stage.socket, "--junit", report, "--json"],
            environment: ["GITHUB_ACTIONS": "true"])
        #expect(check.status == 1)
        _ = try json(check.output)
        #expect(check.errors.contains("::add-mask::0123456789abcdef\n"))
        let annotation = try #require(check.errors.split(separator: "\n").first { $0.hasPrefix("::error ") })
        #expect(annotation.contains("STALE"))
        #expect(annotation.contains("100 %25 sure"))
        let xml = stage.text("report.xml")
        #expect(xml.contains("tests=\"1\" failures=\"1\""))
        #expect(xml.contains("old &lt; new &amp; 100 % sure"))
    }

    @Test func anInterruptionEndsWithoutAResult() async throws {
        let later: JSON = ["after": 30, "state": state(.verified, new: 2, isFinal: true)]
        let stage = try await Stage(["verify.json": [["after": 0, "state": state(.mixed, new: 1, old: 1)], later]])
        let check = try stage.start(["check", "--service", "web", "--token", "0123456789abcdef", "--agent-socket", stage.socket, "--json"])
        try await eventually { check.errors.contains("MIXED") }
        check.signal(SIGINT)
        let end = try await check.end()
        #expect(end.status == 130)
        #expect(end.output == "")
        #expect(end.errors.contains("interrupted: app-1: MIXED  1/2 workers new"))
    }

    @Test func statusIsATableOfWorkers() async throws {
        let stage = try await Stage(["status.json": ["status": 200, "body": ["services": [state(.stale, old: 2)]]]])
        let end = try await stage.run(["status", "--agent-socket", stage.socket])
        #expect(end.status == 0)
        let lines = end.output.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.first?.hasPrefix("HOST   SERVICE  PID") == true)
        #expect(lines.last?.hasPrefix("app-1  web      102") == true)
        let machine = try await stage.run(["status", "--agent-socket", stage.socket, "--json"])
        #expect(try json(machine.output)["services"]?.array?.count == 1)
    }
}
