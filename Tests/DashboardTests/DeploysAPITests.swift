// What scripts tell of deploys, and what they are answered.

import AgentAPI
import AggregatorCore
import Platform
import TestKit
import Testing

@testable import Dashboard

@Suite struct DeploysAPITests {
    private let now = Timestamp("2026-11-21T03:00:00Z")!
    private let token = "fedcba9876543210fedcba9876543210"
    private var bearer: [(String, String)] { [("Authorization", "Bearer \(token)")] }

    private func run(_ use: @escaping @Sendable (DashboardUnderTest, Browser) async throws -> Void) async throws {
        let store = MemoryStore()
        store.change {
            $0.scriptTokens = [(digest(token), ScriptToken(name: "pipeline", scope: .deploys, createdAt: now))]
            $0.tokens = [("web1", digest("an-agents-token"), now)]
        }
        try await DashboardUnderTest.runLoggedIn(to: store, use)
    }

    private func post(_ dashboard: DashboardUnderTest, _ text: String, token: String? = nil) async throws -> Answer {
        let headers = token.map { [("Authorization", "Bearer \($0)")] } ?? bearer
        return try await exchange(port: dashboard.port, "POST", "/api/v1/deploys", headers: headers, body: Array(text.utf8))
    }

    private func problem(_ answer: Answer) throws -> String? { try JSON(parsing: answer.body)["problem"]?.string }

    @Test func aDeployIsFiledAndSeenOnItsPage() async throws {
        try await run { [now] dashboard, browser async throws in
            let record = Example.deploys(at: now)[0]
            let answer = try await post(dashboard, record.json.text)
            #expect(answer.status == 200 && answer["content-type"] == "application/json")
            #expect(try JSON(parsing: answer.body)["url"]?.string == "http://rollcall.example.com/deploys/d-5af3c1")
            #expect(dashboard.store.look(\.deploys).map(\.id) == ["d-5af3c1"])
            #expect(try await browser.get("/deploys").body.contains("href=\"/deploys/d-5af3c1\""))
            let page = try await browser.get("/deploys/d-5af3c1").body
            #expect(page.contains("worker 1201 still runs the old release") && page.contains("the kernel refused the connector"))
        }
    }

    @Test func aRepetitionIsWelcomeAndAnotherDeployOfTheIdIsNot() async throws {
        try await run { [now] dashboard, _ async throws in
            var record = Example.deploys(at: now)[1]
            for _ in 1...2 { #expect(try await post(dashboard, record.json.text).status == 200) }
            record.summary = "something else"
            let answer = try await post(dashboard, record.json.text)
            #expect(answer.status == 409)
            #expect(try problem(answer) == "another deploy is kept as d-77ab01, and a deploy that is kept never changes")
            #expect(dashboard.store.look(\.deploys).count == 1)
        }
    }

    @Test func onlyAScriptsTokenFiles() async throws {
        try await run { [now] dashboard, browser async throws in
            let text = Example.deploys(at: now)[1].json.text
            for wrong in ["an-agents-token", "nothing", digest(token)] {
                let answer = try await post(dashboard, text, token: wrong)
                #expect(answer.status == 401 && answer["www-authenticate"] == "Bearer")
            }
            let visitor = try await exchange(
                port: dashboard.port, "POST", "/api/v1/deploys", headers: await browser.cookieHeader, body: Array(text.utf8))
            #expect(visitor.status == 401)
            let report = try await exchange(port: dashboard.port, "POST", "/v1/reports", headers: bearer, body: Array("{}".utf8))
            #expect(report.status == 401)
            #expect(dashboard.store.look(\.deploys).isEmpty)
        }
    }

    @Test(arguments: [
        ("", "the text ends too early at byte 0"), ("{}", "deploy_id is missing or empty"), ("[]", "deploy_id is missing or empty"),
    ])
    func whatCannotBeReadIsToldWhatIsWrong(text: String, expected: String) async throws {
        try await run { dashboard, _ async throws in
            let answer = try await post(dashboard, text)
            #expect(answer.status == 400)
            #expect(try problem(answer) == expected)
        }
    }

    @Test func wholeTokensAndOddIdsAreRefused() async throws {
        try await run { [now] dashboard, _ async throws in
            var record = Example.deploys(at: now)[1]
            record.tokenPrefix = "77aa0b1c77aa0b1c77aa0b1c77aa0b1c"
            #expect(try problem(try await post(dashboard, record.json.text))?.contains("whole tokens are not kept here") == true)
            record.tokenPrefix = "77aa0b1c"
            record.id = "../etc"
            #expect(try problem(try await post(dashboard, record.json.text)) == "deploy_id is not `d-` and at most 64 lower-case hex digits")
            record.id = "d-1"
            record.person = "a\u{7}b"
            #expect(try problem(try await post(dashboard, record.json.text)) == "person has control characters")
            #expect(dashboard.store.look(\.deploys).isEmpty)
        }
    }

    @Test func aPasswordInAnAddressIsNotKept() async throws {
        try await run { [now] dashboard, _ async throws in
            var record = Example.deploys(at: now)[1]
            record.urls = [.init(url: "https://ada:secret@shop.example.com/a?b=@c", state: .verified, account: "the new token")]
            #expect(try await post(dashboard, record.json.text).status == 200)
            #expect(dashboard.store.look { $0.deploys[0].urls[0].url } == "https://shop.example.com/a?b=@c")
        }
    }

    @Test func programsReadDeploys() async throws {
        try await run { [now] dashboard, browser async throws in
            dashboard.store.change { $0.deploys = Example.deploys(at: now) }
            for headers in [bearer, await browser.cookieHeader] {
                let list = try await exchange(port: dashboard.port, "GET", "/api/v1/deploys?limit=2", headers: headers)
                let lines = try JSON(parsing: list.body)["deploys"]?.array ?? []
                #expect(list.status == 200 && lines.compactMap { $0["verdict"]?.string } == ["MIXED", "VERIFIED"])
                #expect(lines.first?["probe"]?["failed"]?.integer == 3 && lines.first?["exit_code"]?.integer == 3)
                let one = try await exchange(port: dashboard.port, "GET", "/api/v1/deploys/d-5af3c1", headers: headers)
                #expect(try DeployRecord(JSON(parsing: one.body)).id == "d-5af3c1")
            }
            let mail = try await exchange(port: dashboard.port, "GET", "/api/v1/deploys?service=postfix%40-.service", headers: bearer)
            #expect(try JSON(parsing: mail.body)["deploys"]?.array?.count == 1)
            #expect(try await exchange(port: dashboard.port, "GET", "/api/v1/deploys", headers: []).status == 401)
            #expect(try await exchange(port: dashboard.port, "GET", "/api/v1/deploys?limit=0", headers: bearer).status == 400)
            #expect(try await exchange(port: dashboard.port, "GET", "/api/v1/deploys/d-1", headers: bearer).status == 404)
            let deletion = try await exchange(port: dashboard.port, "DELETE", "/api/v1/deploys/d-5af3c1", headers: bearer)
            #expect(deletion.status == 405 && deletion["allow"] == "GET, HEAD")
        }
    }

    @Test func aScriptThatTellsTooMuchWaits() async throws {
        try await run { dashboard, _ async throws in
            for _ in 1...DeploysAPI.mostFilingsAMinute { #expect(try await post(dashboard, "{}").status == 400) }
            let answer = try await post(dashboard, "{}")
            #expect(answer.status == 429 && answer["retry-after"] == "60")
            dashboard.time.advance(by: .seconds(61))
            #expect(try await post(dashboard, "{}").status == 400)
        }
    }

    @Test func aRecordTooLargeIsRefused() async throws {
        try await run { [token] dashboard, _ async throws in
            let connection = try Connection(port: dashboard.port)
            try await connection.send(
                """
                POST /api/v1/deploys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token)\r\nContent-Length: \(DeployLimits.record + 1)\r\n\r\n
                """)
            #expect(try parse(try await connection.receive(until: "\r\n\r\n")).status == 413)
        }
    }

    @Test func aBrokenStoreAsksForAnotherTry() async throws {
        try await run { [now] dashboard, _ async throws in
            dashboard.store.change { $0.failure = StoreError(doing: "writing a decision", detail: "disk full") }
            let answer = try await post(dashboard, Example.deploys(at: now)[1].json.text)
            #expect(answer.status == 503)
            #expect(try problem(answer)?.contains("try again") == true && !answer.body.contains("disk full"))
        }
    }

    @Test func tokensAreMadeListedAndRevoked() async throws {
        let log = RecordedLog()
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore(), logger: log.logger) { dashboard, browser async throws in
            let made = try await browser.submit("/tokens", ["name": "shop's pipeline"])
            #expect(made.status == 200 && made.body.contains("--aggregator http://rollcall.example.com"))
            let marker = "aria-label=\"Token\">"
            let start = try #require(made.body.firstRange(of: marker))
            let token = String(made.body[start.upperBound...].prefix { $0 != "<" })
            #expect(token.count == 64 && !log.lines.contains { $0.contains(token) })
            #expect(try await post(dashboard, "{}", token: token).status == 400)
            let again = try await browser.submit("/tokens", ["name": "shop's pipeline"])
            #expect(again.status == 422 && again.body.contains("There is a token of that name."))
            #expect(try await !browser.get("/tokens").body.contains(token))
            #expect(try await browser.submit("/tokens/revoke", from: "/tokens", ["name": "shop's pipeline"]).status == 303)
            #expect(try await post(dashboard, "{}", token: token).status == 401)
            #expect(try await browser.get("/tokens").body.contains("There is no token yet."))
        }
    }
}
