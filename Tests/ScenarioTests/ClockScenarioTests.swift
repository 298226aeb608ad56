// Somebody sets the clock of a host.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.timeLimit(.minutes(2))) struct ClockScenarioTests {
    /// An hour ahead and two back: nothing has happened to the services, so nothing is said of them.
    @Test func aClockThatStepsChangesNothingButTheTimeOfDay() async throws {
        let folder = try TemporaryFolder()
        let library = folder.path + "/clock.so"
        let compiled = try await ChildProcess.run("/usr/bin/env", ["clang", "-shared", "-fPIC", "-o", library, bed("clock.c")])
        try #require(compiled.status == 0, "\(compiled.text)")
        let offset = try folder.write("0\n", to: "offset")
        let service = try ChildProcess("/bin/cat", [])
        try folder.write("\(service.pid)\n", to: "service.pid")
        try await LoneAgent.with(
            in: folder, settings: "send alerts via null",
            rules: [
                "services.d/shop.inq": """
                check service shop with pidfile "\(folder.path)/service.pid"
                  if uptime > 20min then alert
                  if memory:rss > 1 for 20min then alert
                  if memory:rss > 2 for 8s then alert
                """,
                "host.inq": "check host\n  if agent:lateness > 20s then alert\n",
            ], environment: ["LD_PRELOAD": library, "STEPPING_CLOCK": offset]
        ) { agent in
            func uptime() async throws -> Double { try #require(try await agent.unit("shop")?["metrics"]?["uptime"]?.number) }
            func now() async throws -> Timestamp {
                try #require(Timestamp(JSON(parsing: try await agent.ask("export"))["exported_at"]?.string ?? ""))
            }
            try await agent.happens("a number") { try await agent.unit("shop")?["metrics"]?["uptime"] != nil }
            for (step, seconds) in [3600, 0, -3600].enumerated() {
                let before = try await (uptime: uptime(), clock: now())
                try folder.write("\(seconds)\n", to: "offset")
                try await agent.happens("a cycle by the new clock") { abs((try await now() - before.clock).inSeconds) > 3000 }
                try await Task.sleep(for: .seconds(2))
                // What lasts has lasted for a few seconds.
                let after = try await uptime()
                #expect(after > before.uptime && after < 60, "step \(step)")
                let status = try await agent.ask("status")
                #expect(status.split(separator: "\n").contains { $0.hasPrefix("shop") && $0.contains(" up ") && $0.contains(" s ") }, "\(status)")
            }
            try await agent.happens("the rule that has waited for 8 s") { agent.events("rule_failed", of: "shop").count == 1 }
            #expect(agent.events("rule_failed")[0].contains("for 8s"))
            #expect(try await agent.ask("show", "shop", "uptime").contains("shop uptime min"))
            // What was recorded can be judged again, and by the time that has passed.
            let history = try folder.write(try await agent.ask("history"), to: "history.json")
            let replay = try await ChildProcess.run(built("rollcall"), ["check-config", folder.path + "/etc", "--replay", history])
            #expect(replay.status == 0, "\(replay.text)")

            // A death is told with the time that the host's clock shows.
            let clock = try await now()
            service.signal(SIGKILL)
            try await agent.happens("the death") { !agent.events("unit_down", of: "shop").isEmpty }
            let died = try #require(Timestamp(String(agent.events("unit_down")[0].prefix { $0 != " " })))
            #expect(died >= clock - .seconds(2) && died < clock + .seconds(30))
            for kind in ["unit_restarted", "source_failed", "unit_stuck", "rule_recovered"] { #expect(agent.events(kind).isEmpty, "\(kind)") }
        }
        await service.stop()
    }
}
