// Deploys on a real Puma, proved or refuted by the real verify-token.

import Foundation
import TestKit
import Testing

/// A running `Tests/Beds/puma` with one release that serves.
private struct PumaBed {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-puma-\(UUID().uuidString)").path

    func call(_ words: String...) async throws {
        let end = try await ChildProcess.run(bed("puma"), [folder] + words)
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
        if raisesOnBoot { try await call("release", name, "--raise-on-boot") } else { try await call("release", name) }
        let prepared = try await ChildProcess.run(program("verify-token"), ["prepare", "--release", "\(folder)/releases/\(name)"])
        try #require(prepared.status == 0, "\(prepared.errors)")
        try await call("switch", name)
        return prepared.output.trimmingCharacters(in: .newlines)
    }

    func check(_ token: String, _ options: String...) async throws -> ChildProcess.End {
        try await ChildProcess.run(
            program("verify-token"), ["check", "--url", url, "--token", token, "--user", "about", "--password-file", password] + options,
            within: .seconds(90))
    }
}

/// A built program: it lies beside the test bundle.
private func program(_ name: String) throws -> String {
    let here = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    let path = here.appendingPathComponent(name).path
    try #require(FileManager.default.isExecutableFile(atPath: path), "\(path) is not built")
    return path
}

@Suite(.timeLimit(.minutes(3))) struct DeployScenarioTests {
    private func withPuma(_ story: (PumaBed, _ token: String) async throws -> Void) async throws {
        let puma = PumaBed()
        do {
            let token = try await puma.deploy("1")
            try await puma.call("start")
            try await story(puma, token)
        } catch {
            try? await puma.call("stop")
            throw error
        }
        try await puma.call("stop")
        try? FileManager.default.removeItem(atPath: puma.folder)
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
            let check = try await ChildProcess.run(program("verify-token"), ["check", "--url", url, "--token", "-"], input: first + "\n")
            #expect(check.status == 0)
            #expect(check.errors.contains("use --user and --password-file"))
            #expect(!(check.output + check.errors).contains("correct-horse"))
        }
    }

    @Test func anInterruptionSaysHowFarItCame() async throws {
        let check = try ChildProcess(program("verify-token"), ["check", "--url", "http://127.0.0.1:1/", "--token", "0123456789abcdef", "--json"])
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
        let end = try await ChildProcess.run(program("verify-token"), words)
        #expect(end.status == 2)
        #expect(end.output == "")
        #expect(!end.errors.isEmpty)
        #expect(!end.errors.contains("hunter2"))
    }

    @Test(arguments: ["prepare", "check"])
    func helpSaysEverything(verb: String) async throws {
        let help = try await ChildProcess.run(program("verify-token"), [verb, "--help"])
        #expect(help.status == 0)
        try expectGolden(help.output, "verify-token-\(verb).txt")
    }
}
