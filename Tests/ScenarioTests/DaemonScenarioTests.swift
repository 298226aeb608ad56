// An agent, its runner, and a real Redis that comes and goes.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .timeLimit(.minutes(2))) struct DaemonScenarioTests {
    @Test func aDaemonIsAskedAndItsSilenceIsNeverANumber() async throws {
        let folder = try TemporaryFolder()
        let hooks = try await HookBed()
        let redis = try RedisServer(in: folder)
        try await redis.start()
        try await LoneAgent.with(
            in: folder, settings: "send alerts via webhook with url \(hooks.url())",
            rules: [
                "services.d/redis.inq": """
                check service redis with pidfile "\(redis.pidFile)", port \(redis.port), password_file "\(redis.passwordFile)"
                  if redis:connected_clients > 2 for 2 cycles then alert
                """
            ]
        ) { agent in
            func value() async throws -> Double? { try await agent.unit("redis")?["metrics"]?["redis:connected_clients"]?.number }
            try await agent.happens("the first value") { try await value() == 1 }

            // It breaches, and recovers.
            let visitors = try redis.visitors()
            try await agent.happens("the alert") { try hooks.told("rule_failed").contains { $0["unit"] == "redis" && $0["effect"] == "begins" } }
            #expect(try await agent.ask("status").contains("redis:connected_clients > 2"))
            await visitors.stop()
            try await agent.happens("the end of the alert") { try hooks.told("rule_recovered").contains { $0["unit"] == "redis" } }

            // It goes away: it is down and its numbers are not there.
            await redis.stop()
            try await agent.happens("a source that fails") { !agent.events("source_failed", of: "redis").isEmpty }
            try await agent.happens("the value's end") { try await value() == nil }
            #expect(try #require(agent.events("source_failed").first).contains("redis"))
            #expect(try await agent.ask("explain", "redis").contains("cannot be judged now"))
            #expect(try await agent.ask("status").contains("redis  down"))
            #expect(try #require(agent.events("unit_down", of: "redis").first).contains("its main process ended"))

            // Back again.
            try await redis.start()
            try await agent.happens("the source's return") { !agent.events("source_recovered", of: "redis").isEmpty }
            try await agent.happens("a value") { try await value() == 1 }
            #expect(agent.events("source_failed").count == 1)

            // The runner dies, and another one goes on.
            let runner = try #require(agent.runner())
            kill(runner, SIGKILL)
            try await agent.happens("the failure of the runner") { agent.events("source_failed").count == 2 }
            #expect(agent.events("source_failed")[1].contains("rollcall-runner failed: it was killed by signal 9"))
            try await agent.happens("another runner") { agent.runner().map { $0 != runner } ?? false }
            try await agent.happens("its values") { try await value() == 1 && agent.events("source_recovered").count == 2 }
            let more = try redis.visitors()
            try await agent.happens("the rule is judged again") { agent.events("rule_failed", of: "redis").count == 2 }
            await more.stop()
            // What was seen was never anything but the truth.
            #expect(try await agent.ask("history").split(separator: "\n").filter { $0.contains("\"redis:connected_clients\":0") } == [])
        }
        await redis.stop()
        await hooks.stop()
    }
}

/// A real Redis with a password.
private final class RedisServer {
    let port: Int
    let pidFile: String
    let passwordFile: String
    private let folder: TemporaryFolder
    private var program: ChildProcess?

    init(in folder: TemporaryFolder) throws {
        self.folder = folder
        port = try freePort()
        pidFile = folder.path + "/redis.pid"
        passwordFile = try folder.write("correct horse\n", to: "redis-password", mode: 0o600)
        try folder.write(
            """
            bind 127.0.0.1
            port \(port)
            dir \(folder.path)
            pidfile \(pidFile)
            requirepass "correct horse"
            save ""

            """, to: "redis.conf")
    }

    func start() async throws {
        let program = try ChildProcess("/usr/bin/redis-server", [folder.path + "/redis.conf"])
        self.program = program
        try await eventually("redis is ready") {
            program.text.contains("Ready to accept connections")
        } explanation: {
            program.text
        }
    }

    func stop() async { await program?.stop() }

    /// Somebody who holds five connections.
    func visitors() throws -> ChildProcess {
        try ChildProcess("/bin/bash", ["-c", "for number in 3 4 5 6 7; do eval \"exec $number<>/dev/tcp/127.0.0.1/\(port)\"; done; exec cat"])
    }
}

extension HookBed {
    /// The events of a kind that were posted, oldest first.
    func told(_ kind: String) throws -> [JSON] {
        try taken().flatMap { $0.json["events"]?.array ?? [] }.filter { $0["kind"]?.string == kind }
    }
}

extension LoneAgent {
    /// The process that it has for the outside world.
    func runner() -> Int32? {
        let children = (try? String(contentsOfFile: "/proc/\(program.pid)/task/\(program.pid)/children", encoding: .utf8)) ?? ""
        return children.split(separator: " ").compactMap { Int32($0) }.first { pid in
            (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?.hasPrefix("rollcall-runner") ?? false
        }
    }
}
