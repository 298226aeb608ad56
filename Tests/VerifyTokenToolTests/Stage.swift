// An agent that says what a test has written down, and verify-token beside it.

import AgentAPI
import Foundation
import Platform
import TestKit
import Testing

/// A running `Tests/Beds/agent-stage`, a release, and a folder of notes.
struct Stage: Sendable {
    let folder: TemporaryFolder
    let port: Int
    private let agent: ChildProcess

    init(_ scripts: [String: JSON] = [:]) async throws {
        folder = try TemporaryFolder()
        for (name, script) in scripts { try folder.write(script.text, to: name) }
        try FileManager.default.createDirectory(atPath: folder.path + "/release", withIntermediateDirectories: true)
        agent = try ChildProcess(bed("agent-stage"), [folder.path])
        port = try #require(Int(try await agent.whenReady(folder.path + "/port")))
    }

    var release: String { folder.path + "/release" }
    var socket: String { folder.path + "/deploy.sock" }
    var token: String { text("release/TOKEN") }

    func text(_ name: String) -> String { (try? String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)) ?? "" }

    func write(_ script: JSON, to name: String) throws { try folder.write(script.text, to: name) }

    /// What the agent was asked, in order.
    var asked: [JSON] { text("asked").split(separator: "\n").compactMap { try? JSON(parsing: String($0)) } }

    func asked(_ path: String) -> [JSON] { asked.filter { $0["path"]?.string == path } }

    private var environment: [String: String] {
        ["XDG_STATE_HOME": folder.path + "/state", "SUDO_USER": "anna", "GITHUB_ACTIONS": "", "ROLLCALL_SOCKET": "", "TERM": "dumb"]
    }

    func run(_ words: [String], input: String = "", environment more: [String: String] = [:]) async throws -> ChildProcess.End {
        try await ChildProcess.run(
            built("verify-token"), words, input: input, environment: environment.merging(more) { $1 }, within: .seconds(60))
    }

    func start(_ words: [String]) throws -> ChildProcess { try ChildProcess(built("verify-token"), words, environment: environment) }

    /// Prepares the service `web`, and answers with the deploy's id.
    func prepare(_ options: String...) async throws -> String {
        let end = try await run(["prepare", "--service", "web", "--release", release, "--agent-socket", socket, "--print", "id"] + options)
        try #require(end.status == 0, "\(end.errors)")
        return end.output.trimmingCharacters(in: .newlines)
    }
}

/// A state as an agent says it.
func state(
    _ state: Verdict, new: Int = 0, old: Int = 0, isFinal: Bool = false, host: String = "app-1", reasons: [String] = [], probe: Availability? = nil
) -> JSON {
    HostDeploy(
        service: "web", host: host, state: state, isFinal: isFinal, since: Timestamp(seconds: 1_790_000_000), hasBaseline: true,
        evidence: "attributed-http", expectedWorkers: 2,
        processes: (0..<new).map { .init(pid: Int32(201 + $0), role: .worker, class: .new, age: .seconds(1), exec: "new") }
            + (0..<old).map { .init(pid: Int32(101 + $0), role: .worker, class: .old, age: .seconds(99), exec: "same-as-baseline") },
        availability: probe, reasons: reasons
    ).json
}

/// The script of an agent: what it says, each a tenth of a second after the one before.
func says(_ states: JSON..., after: Double = 0.1) -> JSON { .array(states.map { ["after": .number(after), "state": $0] }) }
