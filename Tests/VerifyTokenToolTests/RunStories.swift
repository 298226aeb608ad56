// A deploy command with everything around it.

import AgentAPI
import Foundation
import Platform
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct RunStories {
    private func words(_ stage: Stage, _ options: [String] = [], _ command: [String]) -> [String] {
        ["run", "--service", "web", "--release", stage.release, "--agent-socket", stage.socket] + options + ["--"] + command
    }

    @Test func theCommandRunsWithinTheWindowAndIsChecked() async throws {
        let stage = try await Stage(["verify.json": says(state(.verified, new: 2, isFinal: true))])
        let end = try await stage.run(words(stage, [], ["sh", "-c", "echo deploys $DEPLOY_ID $DEPLOY_TOKEN; cat '\(stage.folder.path)/control'"]))
        #expect(end.status == 0, "\(end.text)")
        let id = try #require(stage.asked("/v1/prepare").first?["body"]?["deploy_id"]?.string)
        // The window was open, and the command's output is passed through.
        #expect(end.output.hasPrefix("deploys \(id) \(stage.token)\n{\"request\":\"deploy_start\",\"units\":[\"web\"],\"owner\":\"anna\""))
        #expect(end.output.contains("VERIFIED"))
        #expect(stage.text("control").split(separator: "\n").last?.contains("deploy_finish") == true)
        #expect(stage.asked.compactMap { $0["path"]?.string } == ["/v1/prepare", "/v1/verify"])
    }

    @Test func aCommandThatFailsKeepsItsStatusAndNothingIsChecked() async throws {
        let stage = try await Stage()
        let end = try await stage.run(words(stage, ["--on-failure", "echo back from $DEPLOY_VERDICT"], ["sh", "-c", "exit 42"]))
        #expect(end.status == 42)
        #expect(end.output == "back from COMMAND_FAILED\n")
        #expect(stage.asked.compactMap { $0["path"]?.string } == ["/v1/prepare", "/v1/cancel"])
        #expect(stage.text("control").contains("deploy_finish"))
    }

    @Test func aDeployThatIsNotVerifiedIsRolledBack() async throws {
        let stage = try await Stage(["verify.json": says(state(.crashLoop, new: 1, isFinal: true, reasons: ["3 processes died"]))])
        let end = try await stage.run(words(stage, ["--json", "--on-failure", "echo back from $DEPLOY_VERDICT"], ["echo", "deploys"]))
        #expect(end.status == 5)
        // The result alone is on standard output.
        let result = try JSON(parsing: end.output.trimmingCharacters(in: .newlines))
        #expect(result["verdict"]?.string == "CRASH_LOOP")
        #expect(end.errors.contains("deploys\n"))
        #expect(end.errors.contains("back from CRASH_LOOP\n"))
    }

    @Test func noSuchCommandIs127() async throws {
        let stage = try await Stage()
        #expect(try await stage.run(words(stage, [], ["no-such-command-anywhere"])).status == 127)
        #expect(stage.text("control").contains("deploy_finish"))
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
    func aSignalReachesTheCommandAndTheWindowIsClosed(signal: Int32) async throws {
        let stage = try await Stage()
        let run = try stage.start(words(stage, [], ["sh", "-c", "trap 'echo caught; exit 1' TERM INT HUP; echo ready; while :; do sleep 0.1; done"]))
        try await eventually { run.output.contains("ready") }
        run.signal(signal)
        let end = try await run.end()
        #expect(end.status == 128 + signal)
        #expect(end.output.contains("caught"))
        #expect(stage.text("control").contains("deploy_finish"))
        #expect(stage.asked("/v1/cancel").count == 1)
        #expect(stage.asked("/v1/verify").isEmpty)
    }

    @Test func aSignalDuringTheCheckClosesTheWindowToo() async throws {
        let later: JSON = ["after": 30, "state": state(.verified, new: 2, isFinal: true)]
        let stage = try await Stage(["verify.json": [["after": 0, "state": state(.mixed, new: 1, old: 1)], later]])
        let run = try stage.start(words(stage, ["--on-failure", "echo rolled back"], ["true"]))
        try await eventually { run.errors.contains("MIXED") }
        run.signal(SIGTERM)
        let end = try await run.end()
        #expect(end.status == 143)
        #expect(stage.text("control").contains("deploy_finish"))
        #expect(!end.output.contains("rolled back"))
    }

    @Test func withoutAnAgentThereIsNoWindowAndNoDeploy() async throws {
        let folder = try TemporaryFolder()
        let end = try await ChildProcess.run(
            built("verify-token"),
            ["run", "--service", "web", "--agent-socket", folder.path + "/deploy.sock", "--", "touch", folder.path + "/deployed"],
            environment: ["XDG_STATE_HOME": folder.path])
        #expect(end.status == 10)
        #expect(end.errors.contains("no deploy window"))
        #expect(try folder.names() == [])
    }
}
