// What agents and other watchers see.

import AgentAPI
import AggregatorCore
import Compression
import Platform
import TestKit
import Testing

@testable import Dashboard

@Suite struct ReportsAPITests {
    private let token = "0123456789abcdef0123456789abcdef"
    private let report = Report(
        agent: Example.web1, host: "web1", version: "0.1.0", at: Timestamp("2026-11-21T02:59:59Z")!, interval: .seconds(15),
        events: [Event(sequence: 7, kind: .agentStarted, at: Timestamp("2026-11-21T02:59:58Z")!)], units: [], samples: [Sample("load:1", 0.5)])

    private func run(_ use: @escaping @Sendable (DashboardUnderTest) async throws -> Void) async throws {
        let store = MemoryStore()
        store.change { $0.tokens = [("web1", digest(token), Timestamp(seconds: 0))] }
        try await DashboardUnderTest.run(store, use)
    }

    @Test func aReportIsIngestedAndAcknowledged() async throws {
        try await run { [token, report] dashboard async throws in
            let answer = try await exchange(
                port: dashboard.port, "POST", "/v1/reports", headers: [("Authorization", "Bearer \(token)")], body: report.json.bytes)
            #expect(answer.status == 200 && answer["content-type"] == "application/json")
            #expect(try Acknowledgement(try JSON(parsing: answer.body)).sequence == 7)
            #expect(dashboard.store.look(\.reports) == [report])
        }
    }

    @Test func anUnknownTokenIsRefused() async throws {
        try await run { [token, report] dashboard async throws in
            let wrong: [[(String, String)]] = [
                [], [("Authorization", "Bearer wrong")], [("Authorization", "Basic \(token)")], [("Authorization", "Bearer")],
                [("Authorization", "Bearer \(digest(token))")], [("Authorization", "Bearer \(String(repeating: "x", count: 1000))")],
            ]
            for headers in wrong {
                let answer = try await exchange(port: dashboard.port, "POST", "/v1/reports", headers: headers, body: report.json.bytes)
                #expect(answer.status == 401 && answer["www-authenticate"] == "Bearer")
                #expect(try JSON(parsing: answer.body)["error"]?.string?.hasPrefix("unknown token") == true)
            }
            #expect(dashboard.store.look(\.reports).isEmpty)
        }
    }

    @Test func aBadReportIsToldWhatIsWrong() async throws {
        try await run { [token] dashboard async throws in
            for (body, error) in [
                ("", "the text ends too early at byte 0"), ("{", "expected a member's name in quotes at byte 1"), ("{}", "report.agent is missing"),
                ("{\"agent\": 1}", "report.agent is not a text"), ("\u{0}", "expected a value at byte 0"),
            ] {
                let answer = try await exchange(
                    port: dashboard.port, "POST", "/v1/reports", headers: [("Authorization", "Bearer \(token)")], body: Array(body.utf8))
                #expect(answer.status == 400)
                #expect(try JSON(parsing: answer.body)["error"]?.string == error)
            }
        }
    }

    @Test func aReportTooLargeIsRefused() async throws {
        try await run { [token] dashboard async throws in
            let body = [UInt8](repeating: 32, count: ReportLimits.bytes + 1)
            let answer = try await exchange(port: dashboard.port, "POST", "/v1/reports", headers: [("Authorization", "Bearer \(token)")], body: body)
            #expect(answer.status == 413)

            let chunked = try Connection(port: dashboard.port)
            try await chunked.send(
                "POST /v1/reports HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \(token)\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<5 {
                try await chunked.send("100000\r\n")
                try await chunked.send([UInt8](repeating: 32, count: 1 << 20) + Array("\r\n".utf8))
            }
            try await chunked.send("0\r\n\r\n")
            #expect(try parse(try await chunked.receive(until: "\r\n\r\n")).status == 413)
        }
    }

    private func post(_ dashboard: DashboardUnderTest, _ body: [UInt8], encoding: String) async throws -> Answer {
        try await exchange(
            port: dashboard.port, "POST", "/v1/reports", headers: [("Authorization", "Bearer \(token)"), ("Content-Encoding", encoding)], body: body)
    }

    @Test func aPackedReportIsUnpacked() async throws {
        try await run { [report] dashboard async throws in
            let packed = try #require(gzip(report.json.bytes))
            #expect(try await post(dashboard, packed, encoding: "gzip").status == 200)
            #expect(try await post(dashboard, report.json.bytes, encoding: "identity").status == 200)
            #expect(dashboard.store.look(\.reports) == [report, report])
            let damaged = try await post(dashboard, Array(packed.dropLast()), encoding: "gzip")
            #expect(damaged.status == 400 && damaged.body.contains("it is not whole gzip data"))
        }
    }

    @Test func aBombIsRefused() async throws {
        try await run { dashboard async throws in
            let bomb = try #require(gzip([UInt8](repeating: 32, count: 3 * ReportLimits.bytes)))
            #expect(bomb.count < 64 << 10)
            #expect(try await post(dashboard, bomb, encoding: "gzip").status == 413)
            #expect(dashboard.store.look(\.reports).isEmpty)
        }
    }

    @Test func anEncodingThatNobodyKnowsIsToldWhichOnesAre() async throws {
        try await run { [report] dashboard async throws in
            let answer = try await post(dashboard, report.json.bytes, encoding: "zstd")
            #expect(answer.status == 415 && answer["accept-encoding"] == "gzip")
        }
    }

    @Test func aTokenOfAnotherAgentIsRefusedWithWhose() async throws {
        try await run { [token, report] dashboard async throws in
            dashboard.store.change { $0.tokenOfAnother = "web2" }
            let answer = try await exchange(
                port: dashboard.port, "POST", "/v1/reports", headers: [("Authorization", "Bearer \(token)")], body: report.json.bytes)
            #expect(answer.status == 403 && answer.body.contains("this token belongs to the agent on web2"))
        }
    }

    @Test func aBrokenStoreAsksForAnotherTry() async throws {
        try await run { [token, report] dashboard async throws in
            dashboard.store.change { $0.failure = StoreError(doing: "store a report", detail: "disk full") }
            let answer = try await exchange(
                port: dashboard.port, "POST", "/v1/reports", headers: [("Authorization", "Bearer \(token)")], body: report.json.bytes)
            #expect(answer.status == 503 && answer.body.contains("\"error\"") && !answer.body.contains("disk full"))
        }
    }
}

@Suite struct StatusTests {
    @Test(arguments: ["/status/", "/status"])
    func itSaysWhetherChecksRun(path: String) async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            let running = try await exchange(port: dashboard.port, "GET", path)
            #expect(running.status == 200 && running.body == "Checks running")
            #expect(running["content-type"] == "text/plain; charset=utf-8" && running["cache-control"] == "no-store")
            dashboard.store.change { $0.health.isRunning = false }
            let stopped = try await exchange(port: dashboard.port, "GET", path)
            #expect(stopped.status == 503 && stopped.body == "Checks not running")
        }
    }

    @Test func aBrokenStoreIsNotRunning() async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            dashboard.store.change { $0.failure = StoreError(doing: "read health", detail: "disk I/O error") }
            let answer = try await exchange(port: dashboard.port, "GET", "/status/")
            #expect(answer.status == 503 && answer.body == "Checks not running")
        }
    }

    @Test func detailsAreForWhoIsLoggedIn() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            #expect(try await dashboard.browser().get("/status/details").status == 303)
            #expect(try await browser.get("/status/details").body.contains("checks: 12 run in the last minute"))
        }
    }
}
