// A dashboard for a real browser: `Tests/Beds/chromium/run` starts it, looks at it, and ends it.

import AggregatorCore
import Foundation
import Logging
import Platform
import ServiceLifecycle
import Testing

@testable import Dashboard

private let folder = ProcessInfo.processInfo.environment["ROLLCALL_BROWSER_FIXTURE"]

@Suite(.enabled(if: folder != nil, "for a browser: set ROLLCALL_BROWSER_FIXTURE to a folder")) struct BrowserFixture {
    /// Writes `port` into the folder, changes something every second, and ends when `end` appears there.
    @Test(.timeLimit(.minutes(10))) func servesTheExampleToABrowser() async throws {
        let folder = URL(fileURLWithPath: folder ?? "")
        let (time, changes) = (SystemTime(), Changes())
        let start = time.now().wall
        let store = Example.store(at: start)
        if ProcessInfo.processInfo.environment["ROLLCALL_BROWSER_FIXTURE_EMPTY"] != nil { store.change { $0 = MemoryStore.Content() } }
        let server = try DashboardServer(
            configuration: try DashboardConfiguration(address: "127.0.0.1", port: 0, publicURL: "http://rollcall.example.com"), store: store,
            ingest: store, health: store, changes: changes, time: time, setupCode: DashboardUnderTest.setupCode,
            passwordCost: cheap, runbook: { Example.runbooks[$0] }, logger: Logger(label: "fixture")
        ) { port in try? Data("\(port)".utf8).write(to: folder.appendingPathComponent("port"), options: .atomic) }
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: Logger(label: "fixture")))
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            while !FileManager.default.fileExists(atPath: folder.appendingPathComponent("end").path) {
                try await time.sleep(.seconds(1))
                let now = time.now().wall
                store.change { content in
                    for index in content.hosts.indices where !content.hosts[index].isSilent { content.hosts[index].lastReport = now }
                    for index in content.checks.indices where content.checks[index].lastRun != nil { content.checks[index].lastRun = now }
                }
                changes.announce()
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }
}
