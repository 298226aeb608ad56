// Deploys on a real Puma, proved or refuted by the real verify-token.

import Foundation
import TestKit
import Testing

/// A running Puma of `Tests/Beds/deploys` with one release that serves.
private struct PumaBed {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-puma-\(UUID().uuidString)").path

    func call(_ words: String...) async throws {
        let end = try await ChildProcess.run(bed("deploys"), [folder] + words)
        guard end.status == 0 else { throw ChildProcess.Failure(description: "puma \(words): \(end.errors)") }
    }

    var url: String {
        get throws {
            "http://127.0.0.1:\(try String(contentsOfFile: folder + "/port", encoding: .utf8).trimmingCharacters(in: .newlines))/about/deploy"
        }
    }
    var password: String { folder + "/password" }

    /// Makes a release with a fresh token and points `current` to it.
    func deploy(_ name: String, raisesOnBoot: Bool = false) async throws -> String {
        if raisesOnBoot { try await call("release", name, "raises") } else { try await call("release", name) }
        let prepared = try await ChildProcess.run(built("verify-token"), ["prepare", "--release", "\(folder)/releases/\(name)"])
        try #require(prepared.status == 0, "\(prepared.errors)")
        try await call("switch", name)
        return prepared.output.trimmingCharacters(in: .newlines)
    }

    func check(_ token: String, _ options: String...) async throws -> ChildProcess.End {
        try await ChildProcess.run(
            built("verify-token"), ["check", "--url", url, "--token", token, "--user", "about", "--password-file", password] + options,
            within: .seconds(90))
    }
}

@Suite(.timeLimit(.minutes(3))) struct DeployScenarioTests {
    private func withPuma(_ story: (PumaBed, _ token: String) async throws -> Void) async throws {
        let puma = PumaBed()
        do {
            let token = try await puma.deploy("1")
            try await puma.call("start", "puma", "workers=2")
            try await story(puma, token)
        } catch {
            try? await puma.call("stop")
            throw error
        }
        try await puma.call("stop")
        try? FileManager.default.removeItem(atPath: puma.folder)
    }

    /// The application's own endpoint is not asked: the agent says what the running main process was started with.
    @Test func theAgentAnswersForAMainProcessThatExecutesItselfAnew() async throws {
        try await withPuma { puma, first in
            let folder = try TemporaryFolder()
            let password = try folder.write("battery staple\n", to: "password", mode: 0o600)
            let port = try freePort()
            try folder.write(
                """
                set state_directory "\(folder.path)/state"
                set listen 127.0.0.1:\(port)
                set listen_user deploy
                set listen_password_file "\(password)"

                """, to: "etc/rollcall.conf")
            try folder.write("check service puma with pidfile \"\(puma.folder)/pid\"\n", to: "etc/services.d/puma.inq")
            let agent = try ChildProcess(built("rollcall-agent"), ["--config", "\(folder.path)/etc"])
            func check(_ token: String, _ options: String...) async throws -> ChildProcess.End {
                try await ChildProcess.run(
                    built("verify-token"),
                    [
                        "check", "--url", "http://127.0.0.1:\(port)/about/deploy/puma", "--user", "deploy", "--password-file", password, "--token",
                        token,
                    ] + options)
            }
            let running = try await check(first, "--timeout", "20")
            #expect(running.status == 0, "\(running.text)")
            // The new token lies in the new release, and nobody was restarted yet.
            let second = try await puma.deploy("2")
            #expect(try await check(second, "--timeout", "1").status == 1)
            try await puma.call("hot-restart")
            let restarted = try await check(second, "--timeout", "20")
            #expect(restarted.status == 0, "\(restarted.text)")
            await agent.stop()
        }
    }

    /// A script that nothing was prepared for, and that forgives nothing but a body which is not the token.
    @Test(arguments: [("hot-restart", true), ("hot-restart", false), ("phased-restart", true), ("phased-restart", false)])
    func aScriptThatPollsTheEndpointIsToldTheTruth(restart: String, asksWorkers: Bool) async throws {
        try await withPuma { puma, first in
            let folder = try TemporaryFolder()
            let password = try folder.write("battery\n", to: "listen-password", mode: 0o600)
            let (certificate, key) = (folder.path + "/certificate.pem", folder.path + "/key.pem")
            let made = try await ChildProcess.run(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=agent",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
                ])
            try #require(made.status == 0, "\(made.errors)")
            let port = try freePort()
            try folder.write(
                """
                set state_directory "\(folder.path)/state"
                set socket "\(folder.path)/agent.sock"
                set cycle_time 1
                set listen 127.0.0.1:\(port)
                set listen_user about
                set listen_password_file "\(password)"
                set listen_certificate_file "\(certificate)"
                set listen_key_file "\(key)"

                """, to: "etc/rollcall.conf")
            let question = asksWorkers ? ", deploy_path /about/deploy, deploy_user about, deploy_password_file \"\(puma.password)\"" : ""
            try folder.write("check service puma with pidfile \"\(puma.folder)/pid\"\(question)\n", to: "etc/services.d/puma.inq")
            let agent = try ChildProcess(built("rollcall-agent"), ["--config", "\(folder.path)/etc"])
            try await eventually("the agent's endpoint listens") { agent.errors.contains("the deploy endpoint listens") }
            func poll(_ token: String, _ seconds: Int) async throws -> ChildProcess.End {
                try await ChildProcess.run(
                    bed("poller"), ["https://about:battery@127.0.0.1:\(port)/about/deploy", token, "\(seconds)"],
                    environment: ["SSL_CERT_FILE": certificate], within: .seconds(90))
            }
            let running = try await poll(first, 30)
            #expect(running.status == 0, "\(running.text)")
            let second = try await puma.deploy("2")
            async let polled = poll(second, asksWorkers || restart == "hot-restart" ? 40 : 12)
            try await puma.call(restart)
            let end = try await polled
            if asksWorkers || restart == "hot-restart" {
                #expect(end.status == 0, "\(end.text)")
                for _ in 0..<20 {
                    let whoami = try puma.url.replacingOccurrences(of: "/about/deploy", with: "/whoami")
                    let answer = try await ChildProcess.run("/usr/bin/curl", ["--silent", "--max-time", "5", whoami])
                    #expect(answer.output.split(separator: " ").dropFirst().first == "2", "\(answer.text)")
                }
            } else {
                // What a main process of before has forked may have its code: nothing but the workers themselves can say so.
                #expect(end.status != 0 && end.errors.contains("not yet: unproven"), "\(end.text)")
                #expect(end.errors.contains("Timeout::Error"))
            }
            // It was never refused, and never met with anything but a word.
            #expect(!end.errors.contains("Errno::"))
            await agent.stop()
        }
    }

    @Test func aHotRestartWithNewCodeIsVerified() async throws {
        try await withPuma { puma, first in
            let running = try await puma.check(first)
            #expect(running.status == 0)
            let second = try await puma.deploy("2")
            try await puma.call("hot-restart")
            let check = try await puma.check(second)
            #expect(check.status == 0)
            #expect(check.output.contains("the new token 5 times"))
            #expect(check.output.contains("VERIFIED"))
            let old = try await puma.check(first, "--timeout", "1", "--quiet")
            #expect(old.status == 1)
        }
    }

    @Test func newCodeThatRaisesOnBootIsRefutedAndTheOldTokenNamed() async throws {
        try await withPuma { puma, first in
            let second = try await puma.deploy("2", raisesOnBoot: true)
            try await puma.call("phased-restart")
            let start = ContinuousClock.now
            let check = try await puma.check(second, "--timeout", "6")
            #expect(check.status == 1)
            #expect(check.output.contains("STALE"))
            #expect(check.output.contains("another token (\(first.prefix(8))...)"))
            #expect(!check.output.contains(second))
            #expect((.seconds(5.5)...(.seconds(15))).contains(ContinuousClock.now - start))
        }
    }

    @Test func aPhasedRestartIsVerifiedWhenTheLastWorkerIsNew() async throws {
        try await withPuma { puma, _ in
            let second = try await puma.deploy("2")
            try await puma.call("phased-restart")
            #expect(try await puma.check(second, "--consecutive", "20").status == 0)
        }
    }

    @Test func aServerThatDiedIsDownAndJSONSaysSo() async throws {
        try await withPuma { puma, first in
            try await puma.call("stop")
            let check = try await puma.check(first, "--timeout", "2", "--json", "--quiet")
            #expect(check.status == 4)
            #expect(check.errors == "")
            let result = try #require(JSONSerialization.jsonObject(with: Data(check.output.utf8)) as? [String: Any])
            #expect(result["verdict"] as? String == "DOWN")
            #expect(result["exit_code"] as? Int == 4)
            #expect(result["token_prefix"] as? String == String(first.prefix(8)))
        }
    }

    @Test func aPasswordInTheURLWorksAndIsNeverShown() async throws {
        try await withPuma { puma, first in
            let url = try puma.url.replacingOccurrences(of: "http://", with: "http://about:correct-horse@")
            let check = try await ChildProcess.run(built("verify-token"), ["check", "--url", url, "--token", "-"], input: first + "\n")
            #expect(check.status == 0)
            #expect(check.errors.contains("use --user and --password-file"))
            #expect(!(check.output + check.errors).contains("correct-horse"))
        }
    }

    @Test func anInterruptionSaysHowFarItCame() async throws {
        let check = try ChildProcess(built("verify-token"), ["check", "--url", "http://127.0.0.1:1/", "--token", "0123456789abcdef", "--json"])
        try await Task.sleep(for: .milliseconds(1500))
        check.signal(SIGINT)
        let end = try await check.end()
        #expect(end.status == 130)
        #expect(end.output == "")
        #expect(end.errors.contains("interrupted: http://127.0.0.1:1/: connection refused "))
    }

    @Test(arguments: [
        ["check", "--token", "0123456789abcdef"],
        ["check", "--url", "http://localhost/"],
        ["check", "--url", "http://localhost/", "--token", "short"],
        ["check", "--url", "nonsense", "--token", "0123456789abcdef"],
        ["check", "--url", "http://me:hunter2@example.com/", "--token", "0123456789abcdef"],
        ["check", "--url", "http://localhost/", "--token", "0123456789abcdef", "--timeout", "-1"],
        ["prepare"],
        ["prepare", "--release", "/nowhere/at/all"],
        ["frobnicate"],
    ])
    func wrongUsageIsExitCodeTwo(words: [String]) async throws {
        let end = try await ChildProcess.run(built("verify-token"), words)
        #expect(end.status == 2)
        #expect(end.output == "")
        #expect(!end.errors.isEmpty)
        #expect(!end.errors.contains("hunter2"))
    }

    @Test(arguments: ["prepare", "check", "run", "probe", "status", "doctor"])
    func helpSaysEverything(verb: String) async throws {
        let help = try await ChildProcess.run(built("verify-token"), [verb, "--help"])
        #expect(help.status == 0)
        try expectGolden(help.output, "verify-token-\(verb).txt")
    }
}

/// The table of `Tests/DeployScenarios`: real servers, good and bad deploys, and what a right verifier says about each.
@Suite(.timeLimit(.minutes(5))) struct DeployTableTests {
    /// Never wrong, never too early; `make test-deploys` runs the whole table.
    @Test func everyVerdictOfTheSubsetIsRight() async throws {
        let programs = URL(fileURLWithPath: built("verify-token")).deletingLastPathComponent().path
        let run = try await ChildProcess.run(
            bed("../DeployScenarios/run"), ["--subset", "--programs", programs], within: .seconds(240))
        #expect(run.status == 0, "\(run.text)")
    }
}
