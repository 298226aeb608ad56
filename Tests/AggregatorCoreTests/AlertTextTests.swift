import AgentAPI
import Messages
import Platform
import TestKit
import Testing

@testable import AggregatorCore

@Suite struct AlertTextTests {
    static let plan = ServicePlan(
        services: [ConfiguredService(name: "Shop & Kasse", runbook: "https://wiki.example.com/shop")],
        defaultRecipients: ["ops@example.com"], publicURL: "https://rollcall.example.com")
    let at = Timestamp("2026-11-21T03:44:31.5Z")!

    private func golden(_ alert: Alert, _ name: String) throws {
        let text = AlertText(alert, plan: Self.plan)
        try expectGolden("Subject: \(text.subject)\n\n\(text.body)", "\(name).txt")
    }

    @Test func aUnitThatIsDown() throws {
        try golden(
            Alert(
                reason: .newProblem, service: "puma.service", status: .error, subject: .init(host: "web1", unit: "puma.service"),
                detail: "down: killed by SIGKILL", at: at, now: at + .seconds(3)), "unit-down")
    }

    @Test func anotherProblemOfAServiceWithARunbookKnownLate() throws {
        let others = [
            Problem(subject: "check home page", text: "answered 503, expected 200", importance: .error, since: at - .seconds(60)),
            Problem(subject: "nginx.service on web2", text: "down: exit status 1", importance: .warning, since: at - .seconds(3600)),
        ]
        try golden(
            Alert(
                reason: .anotherProblem, service: "Shop & Kasse", status: .error, subject: .init(host: "web1", unit: "puma.service"),
                detail: "memory:total_rss is 512.3m, over 500m for 2 cycles", at: at, now: at + .seconds(725), others: others), "another-problem")
    }

    @Test func recovery() throws {
        try golden(
            Alert(
                reason: .recovered, service: "puma.service", status: .passing, subject: .init(host: "web1", unit: "puma.service"),
                detail: "down: killed by SIGKILL", at: at, now: at, lasted: .seconds(130)), "recovered")
    }

    @Test func oneProblemLess() throws {
        try golden(
            Alert(
                reason: .problemSolved, service: "Shop & Kasse", status: .warning, subject: .init(check: "home page"),
                detail: "answered 503, expected 200", at: at, now: at, lasted: .seconds(42),
                others: [Problem(subject: "nginx.service on web2", text: "down", importance: .warning, since: at - .seconds(3600))]),
            "problem-solved")
    }

    @Test func aSilentHost() throws {
        try golden(
            Alert(
                reason: .newProblem, service: "host web1", status: .critical, subject: .init(host: "web1"),
                detail: "silent: its agent has not reported for 31 s", at: at, now: at), "silent-host")
    }

    @Test func manyRestarts() throws {
        let lines = (0..<7).map { "\((at + .seconds($0 * 30)).words)  killed by SIGSEGV" }
        try golden(
            Alert(
                reason: .unitRestartedOften, service: "puma.service", status: .passing, subject: .init(host: "web1", unit: "puma.service"),
                detail: "killed by SIGSEGV", at: at + .seconds(180), now: at + .seconds(180),
                restarts: RestartSeries(lastTold: at, isGathering: true, firstAt: at, count: 7, lines: lines)), "restarts")
    }

    @Test func textsFromOutsideCannotForgeLines() {
        let alert = Alert(
            reason: .newProblem, service: "a\r\nBcc: x@example.com", status: .error, subject: .init(host: "web1", unit: "b\nc"),
            detail: "down: \u{2028}x" + String(repeating: "y", count: 9000), at: at, now: at)
        let text = AlertText(alert, plan: Self.plan)
        #expect(!text.subject.contains { $0.isNewline })
        #expect(text.subject.count <= 200)
        #expect(!text.body.contains("\nBcc"))
        #expect(text.body.contains("https://rollcall.example.com/services/a%0D%0ABcc%3A%20x%40example.com\n"))
    }

    @Test(arguments: [
        (0, "0 s"), (59, "59 s"), (60, "1 min"), (130, "2 min 10 s"), (11100, "3 h 5 min"), (86400, "1 day"), (353_000, "4 days 2 h"), (-5, "0 s"),
    ])
    func durationsInWords(seconds: Int, words: String) {
        #expect(Duration.seconds(seconds).words == words)
    }
}
