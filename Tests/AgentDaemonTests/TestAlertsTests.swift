import AgentAPI
import Foundation
import Logging
import Platform
import TestKit
import Testing

@testable import AgentDaemon

@Suite struct TestAlertsTests {
    /// On a thread of its own: it waits for providers.
    private func test(_ channels: [AlertChannel]) async -> ExitCode {
        await withCheckedContinuation { continuation in
            Thread {
                let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                continuation.resume(returning: testAlerts(channels, host: "web1", user: "nobody", logger: quiet))
            }.start()
        }
    }

    @Test func everyRouteIsFiredOnce() async throws {
        let bed = try await HookBed()
        let code = await test([
            AlertChannel(route: nil, kind: "slack", parameters: ["url": bed.url("/take/200/first")]),
            AlertChannel(route: "ops", kind: "webhook", parameters: ["url": bed.url("/take/200/second")]),
            AlertChannel(route: "quiet", kind: "null", parameters: [:]),
        ])
        #expect(code == .done)
        let taken = try bed.taken().sorted { $0.path < $1.path }
        #expect(taken.map(\.path) == ["/take/200/first", "/take/200/second"])
        #expect(taken[1].json["subject"] == "[test] This is a test: alerts of web1 for ops arrive here")
        #expect(taken[1].json["events"] == [])
    }

    @Test func oneThatFailsIsSaid() async throws {
        let bed = try await HookBed()
        let code = await test([
            AlertChannel(route: nil, kind: "slack", parameters: ["url": bed.url("/take/200")]),
            AlertChannel(route: "ops", kind: "slack", parameters: ["url": bed.url("/take/404")]),
        ])
        #expect(code == .configuration)
        #expect(try bed.taken().count == 2)
        #expect(await test([]) == .configuration)
    }
}
