// An agent that has no aggregator: what most people start with.

import Foundation
import Platform
import TestKit

/// A real `rollcall-agent` with a folder of its own, and `rollcall` to ask it.
final class LoneAgent {
    let folder: TemporaryFolder
    let program: ChildProcess
    private var socket: String { folder.path + "/agent.sock" }

    /// - Parameters:
    ///   - folder: where it lives; its configuration is in `etc`, its state in `state`.
    ///   - settings: more lines of its `rollcall.conf`.
    ///   - rules: rule files by name below its configuration folder.
    ///   - prefix: what runs it, such as `setpriv --reuid=nobody`.
    init(
        in folder: TemporaryFolder, settings: String = "", rules: [String: String], prefix: [String] = [], environment: [String: String] = [:]
    ) throws {
        self.folder = folder
        try folder.write(
            """
            set cycle_time 1
            set hostname web1
            set state_directory "\(folder.path)/state"
            set socket "\(folder.path)/agent.sock"
            set listen off
            \(settings)

            """, to: "etc/rollcall.conf")
        for (name, text) in rules { try folder.write(text, to: "etc/\(name)") }
        let words = prefix + [built("rollcall-agent"), "--config", folder.path + "/etc"]
        program = try ChildProcess(words[0], Array(words.dropFirst()), environment: environment)
    }

    /// Starts an agent, hands it to `story`, and stops it whatever the story does.
    static func with(
        in folder: TemporaryFolder, settings: String = "", rules: [String: String], prefix: [String] = [], environment: [String: String] = [:],
        _ story: (LoneAgent) async throws -> Void
    ) async throws {
        let agent = try LoneAgent(in: folder, settings: settings, rules: rules, prefix: prefix, environment: environment)
        do {
            try await agent.happens("the agent watches") { agent.log.contains("notice rollcall-agent: watching ") }
            try await story(agent)
        } catch {
            await agent.program.stop()
            throw error
        }
        await agent.program.stop()
    }

    /// What it has said so far.
    var log: String { program.errors }

    /// The lines of its log that tell of an event of this kind, oldest first.
    func events(_ kind: String, of unit: String? = nil) -> [Substring] {
        log.split(separator: "\n").filter { line in
            line.contains("rollcall-agent: event ") && line.contains(" kind=\(kind) ") && unit.map { line.hasSuffix(" unit=\($0)") } ?? true
        }
    }

    /// The lines of its log of actions.
    func actions() throws -> [JSON] {
        guard let text = try? String(contentsOfFile: folder.path + "/state/actions.log", encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { try JSON(parsing: String($0)) }
    }

    /// Runs `rollcall`.
    func ask(_ words: String...) async throws -> String {
        let end = try await ChildProcess.run(built("rollcall"), words, environment: ["ROLLCALL_SOCKET": socket])
        return end.text
    }

    /// What `rollcall export` tells of a unit.
    func unit(_ name: String) async throws -> JSON? {
        try JSON(parsing: try await ask("export"))["services"]?[name]
    }

    /// Waits for what has to come; says what the agent has said where it does not.
    func happens(_ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
        try await eventually(what, within: limit, condition) { log }
    }
}
