// URLs: who is asked, with which password, and what is found out without an agent.

import AgentAPI
import Foundation
import Platform
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct URLStories {
    private func url(_ stage: Stage) -> String { "http://127.0.0.1:\(stage.port)/token" }

    private func basic(_ login: String) -> String { "Basic \(Data(login.utf8).base64EncodedString())" }

    @Test func anEndpointThatReadsTheFileOnEveryRequestIsFoundOutBeforeTheDeploy() async throws {
        let stage = try await Stage()
        let end = try await stage.run(["prepare", "--release", stage.release, "--url", url(stage)])
        #expect(end.status == 7)
        #expect(end.output == "")
        #expect(end.errors.contains("answers the new token before any restart"))
    }

    @Test func theURLsOfThePreparationAreCheckedAfterIt() async throws {
        let stage = try await Stage()
        try stage.folder.write("0123456789abcdef", to: "answer")
        let prepared = try await stage.run(["prepare", "--release", stage.release, "--url", url(stage), "--print", "id"])
        #expect(prepared.status == 0, "\(prepared.errors)")
        let words = ["check", "--deploy", prepared.output.trimmingCharacters(in: .newlines), "--timeout", "700ms", "--quiet"]
        let stale = try await stage.run(words)
        #expect(stale.status == 1, "\(stale.text)")
        #expect(!stale.text.contains(stage.token))
        try stage.folder.write(stage.token + "\n", to: "answer")
        let fresh = try await stage.run(words + ["--settle", "300ms", "--watch", "300ms"])
        #expect(fresh.status == 0, "\(fresh.text)")
    }

    /// Two parts of an application that are reached over URLs of their own and started from one release.
    @Test func twoDeploysOfOneReleaseHaveOneToken() async throws {
        let stage = try await Stage()
        try stage.folder.write("0123456789abcdef", to: "answer")
        let other = "http://localhost:\(stage.port)/token"
        func prepare(_ url: String, _ options: String...) async throws -> ChildProcess.End {
            try await stage.run(["prepare", "--release", stage.release, "--url", url, "--print", "id"] + options)
        }
        let first = try await prepare(url(stage))
        let token = stage.token
        let second = try await prepare(other)
        #expect(second.status == 0 && stage.token == token, "\(second.text)")
        #expect(second.errors.contains("note: the release carries the token of deploy \(first.output.trimmingCharacters(in: .newlines))"))
        try stage.folder.write(token, to: "answer")
        for id in [first.output, second.output] {
            let check = try await stage.run(["check", "--deploy", id.trimmingCharacters(in: .newlines), "--quiet"])
            #expect(check.status == 0, "\(check.text)")
        }
        // Both are over: another deploy of the same folder has another token.
        #expect(try await prepare(other).status == 0)
        #expect(stage.token != token)
        let third = stage.token
        #expect(try await prepare(url(stage), "--force").status == 0)
        #expect(stage.token != third)
    }

    @Test func aURLSaysWhatItWasAnsweredAndWhatToDo() async throws {
        let stage = try await Stage()
        let words = ["check", "--token", "0123456789abcdef", "--timeout", "700ms", "--json", "--quiet"]
        let missing = try await stage.run(words + ["--url", "http://127.0.0.1:\(stage.port)/nothing"])
        #expect(missing.status == 8)
        #expect(missing.output.contains("it answers with status 404; nothing is at this path: check the path of --url"), "\(missing.output)")
        try stage.folder.write("0123456789abcdef", to: "answer")
        let right = try await stage.run(words + ["--url", url(stage), "--consecutive", "37", "--timeout", "20s"])
        let result = try JSON(parsing: right.output.trimmingCharacters(in: .newlines))
        #expect(right.status == 0)
        #expect(
            result["summary"]?.string?.contains(
                "37 answers in a row over fresh connections: a share of more than 17 % old answers is excluded at 99.9 %") == true)
        #expect(result["urls"]?.array?.first?["excluded_share"]?.number == 0.171)
    }

    @Test func rightAnswersThatDidNotSettleAreInProgress() async throws {
        let stage = try await Stage()
        try stage.folder.write("0123456789abcdef", to: "answer")
        let check = try await stage.run([
            "check", "--url", url(stage), "--token", "0123456789abcdef", "--timeout", "700ms", "--settle", "0.699", "--interval", "50ms", "--json",
            "--quiet",
        ])
        #expect(check.status == 9, "\(check.text)")
    }

    @Test func passwordsComeFromTheEnvironmentNetrcAndSystemd() async throws {
        let stage = try await Stage()
        try stage.folder.write("0123456789abcdef", to: "answer")
        let netrc = try stage.folder.write("machine 127.0.0.1 login net password rc\n", to: "netrc", mode: 0o600)
        try stage.folder.write("unit", to: "credentials/verify-token.user")
        try stage.folder.write("secret\n", to: "credentials/verify-token.password")
        let words = ["check", "--url", url(stage), "--token", "0123456789abcdef", "--consecutive", "1", "--quiet"]
        #expect(try await stage.run(words, environment: ["VERIFY_TOKEN_USER": "en", "VERIFY_TOKEN_PASS": "viron"]).status == 0)
        #expect(try await stage.run(words + ["--netrc-file", netrc]).status == 0)
        #expect(try await stage.run(words, environment: ["CREDENTIALS_DIRECTORY": stage.folder.path + "/credentials"]).status == 0)
        #expect(stage.asked("/token").map { $0["authorization"]?.string } == [basic("en:viron"), basic("net:rc"), basic("unit:secret")])
    }

    @Test func theHostHeaderCanBeAnother() async throws {
        let stage = try await Stage()
        try stage.folder.write("0123456789abcdef", to: "answer")
        let check = try await stage.run([
            "check", "--url", url(stage), "--token", "0123456789abcdef", "--consecutive", "1", "--host-header", "app.example.com",
        ])
        #expect(check.status == 0)
        #expect(stage.asked("/token").first?["host"]?.string == "app.example.com")
    }

    @Test func theProbeCountsWhatFailsAndHasLimits() async throws {
        let stage = try await Stage()
        async let answered = stage.run(["probe", "--url", url(stage), "--for", "1s", "--rate", "20/s", "--json"])
        async let refused = stage.run(["probe", "--url", "http://127.0.0.1:1/", "--for", "500ms", "--rate", "20/s"])
        async let accepted = stage.run(["probe", "--url", "http://127.0.0.1:1/", "--for", "500ms", "--max-failed", "100%"])
        let (good, bad, allowed) = try await (answered, refused, accepted)
        #expect(good.status == 0, "\(good.text)")
        let result = try JSON(parsing: good.output.trimmingCharacters(in: .newlines))
        #expect(result["within_limits"]?.bool == true)
        #expect(result["failed"]?.integer == 0)
        #expect((10...21).contains(result["requests"]?.integer ?? 0))
        #expect(result["p99_ms"]?.number != nil)
        #expect(bad.status == 11)
        #expect(bad.output.contains("connection refused"))
        #expect(allowed.status == 0)
    }

    @Test func aProbeBesideACheckCanBreakItsLimits() async throws {
        let stage = try await Stage(["verify.json": says(state(.verified, new: 2, isFinal: true), after: 0.5)])
        // The token's URL is right, the agent verified; the limit for a stall is one that nothing keeps.
        try stage.folder.write("0123456789abcdef", to: "answer")
        let words = [
            "check", "--url", url(stage), "--service", "web", "--agent-socket", stage.socket, "--token", "0123456789abcdef", "--probe", "--settle",
            "200ms",
        ]
        async let limited = stage.run(words + ["--max-stall", "0.001ms", "--json", "--quiet"])
        async let lenient = stage.run(words + ["--max-stall", "60s"])
        let (strict, generous) = try await (limited, lenient)
        #expect(strict.status == 11, "\(strict.text)")
        #expect(try JSON(parsing: strict.output.trimmingCharacters(in: .newlines))["verdict"]?.string == "SLO_BREACHED")
        #expect(generous.status == 0, "\(generous.text)")
    }
}
