// The agent as a whole on a host without systemd, where six init systems run one service each.

import Foundation
import Platform
import TestKit
import Testing

/// A service of Tests/Beds/old-host.
private struct Shop: Sendable {
    var initSystem: String
    /// How its init system takes it when its process is killed.
    var repairsItself = true
    var name: String { "\(initSystem)-shop" }

    /// What its rule file says.
    var rules: String {
        switch initSystem {
        case "pidfile": "check service \(name) with pidfile \"/run/\(name).pid\"\n"
        case "sysv": "check service \(name)\n  if fds > 25 then restart\n  if down then start\n"
        default: "check service \(name)\n  if fds > 25 then restart\n"
        }
    }

    static let all = [
        Shop(initSystem: "runit"), Shop(initSystem: "s6"), Shop(initSystem: "supervisord"), Shop(initSystem: "upstart"),
        Shop(initSystem: "sysv", repairsItself: false), Shop(initSystem: "pidfile", repairsItself: false),
    ]
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct OldHostScenarioTests {
    @Test func everyInitSystemIsWatchedAndActsOnWhatItRuns() async throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path + "/host", withIntermediateDirectories: true)
        let host = try ChildProcess(bed("old-host"), [folder.path + "/host"])
        let first = try await host.whenReady(folder.path + "/host/pid").trimmingCharacters(in: .whitespacesAndNewlines)
        let enter = ["/usr/bin/nsenter", "--target", first, "--mount", "--pid"]
        let rules = Dictionary(uniqueKeysWithValues: Shop.all.map { ("services.d/\($0.name).inq", $0.rules) })
        try await LoneAgent.with(in: folder, settings: "send alerts via null", rules: rules, prefix: enter) { agent in
            func inside(_ command: String...) async throws {
                let end = try await ChildProcess.run(enter[0], Array(enter.dropFirst()) + command)
                guard end.status == 0 else { throw NeverHappened(description: "\(command): \(end.text)") }
            }
            func pid(of shop: Shop) async throws -> Int64? { try await agent.unit(shop.name)?["pid"]?.integer }
            func isUp(_ shop: Shop) async throws -> Bool { try await agent.unit(shop.name)?["state"] == "up" }

            // Found by its name, wherever it is.
            try await agent.happens("all six are up") {
                for shop in Shop.all where !(try await isUp(shop)) { return false }
                return true
            }
            for shop in Shop.all { #expect(try await agent.unit(shop.name)?["init"]?.string == shop.initSystem) }

            // Each of them is killed.
            var killed: [String: Int64] = [:]
            for shop in Shop.all {
                let pid = try #require(try await pid(of: shop))
                killed[shop.name] = pid
                try await inside("/bin/kill", "-KILL", "\(pid)")
            }
            for shop in Shop.all {
                let kind = shop.repairsItself ? "unit_restarted" : "unit_down"
                try await agent.happens("the event of \(shop.name)") { !agent.events(kind, of: shop.name).isEmpty }
            }
            try await agent.happens("sysv-shop is started by its rule") { !agent.events("unit_up", of: "sysv-shop").isEmpty }
            #expect(try await agent.ask("status").split(separator: "\n").contains { $0.hasPrefix("pidfile-shop") && $0.contains(" down ") })
            try await inside("/bin/bash", "-c", "'\(folder.path)/host/worker' >/dev/null 2>&1 & echo $! >/run/pidfile-shop.pid")
            for shop in Shop.all {
                try await agent.happens("\(shop.name) is up again") { try await isUp(shop) }
                #expect(try await pid(of: shop) != killed[shop.name])
            }

            // A rule restarts them, through the init system.
            let acting = Shop.all.filter { $0.initSystem != "pidfile" }
            var before: [String: Int64] = [:]
            for shop in acting {
                let pid = try #require(try await pid(of: shop))
                before[shop.name] = pid
                try await inside("/bin/kill", "-USR1", "\(pid)")
            }
            for shop in acting {
                try await agent.happens("\(shop.name) is restarted") {
                    try agent.actions().contains { $0["unit"]?.string == shop.name && $0["verb"] == "restart" && $0["outcome"] == "done" }
                }
                try await agent.happens("the rule of \(shop.name) is content") { !agent.events("rule_recovered", of: shop.name).isEmpty }
                #expect(try await pid(of: shop) != before[shop.name])
            }

            // Nothing but that has happened.
            for shop in Shop.all {
                let ends = agent.events("unit_down", of: shop.name)
                #expect(ends.count == (shop.repairsItself ? 0 : 1), "\(shop.name): \(ends)")
                #expect(agent.events("rule_failed", of: shop.name).count(where: { $0.contains("fds") }) == (shop.initSystem == "pidfile" ? 0 : 1))
            }
            #expect(agent.events("action_failed").isEmpty && agent.events("source_failed").isEmpty, "\(agent.log)")
        }
        await host.stop()
    }
}
