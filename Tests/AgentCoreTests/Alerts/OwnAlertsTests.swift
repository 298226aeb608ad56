import AgentAPI
import AgentCore
import Logging
import Platform
import TestKit
import Testing

/// Takes alerts, and says nothing of them until a test does.
private final class AlertingRunner: Runner {
    private(set) var alerts: [OutgoingAlert] = []
    func start(observer: any RunnerObserver) {}
    func change(_ work: RunnerWork) {}
    func deliver(_ alert: OutgoingAlert) { alerts.append(alert) }
    func stop() {}
}

@Suite struct OwnAlertsTests {
    private let loop = try! Loop()
    private let time = ManualTime()
    private let folder = try! TemporaryFolder()
    private let channels = [AlertChannel(route: nil, kind: "email", parameters: [:]), AlertChannel(route: "ops", kind: "slack", parameters: [:])]

    private func alerts(_ runner: AlertingRunner, patience: Duration? = nil) -> OwnAlerts {
        OwnAlerts(
            loop: loop, time: time, runner: runner, file: folder.path + "/alerts.json", host: "web1", channels: channels,
            aggregatorPatience: patience, gathering: .zero, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func down(_ unit: String, _ routes: [String?] = [nil]) -> Event {
        Event(sequence: 9, kind: .unitDown, at: time.now().wall, unit: unit, importance: .error, cause: .failure, routes: routes)
    }

    /// Lets the loop do what is due now.
    private func turn() {
        loop.after(.milliseconds(5)) { [loop] in loop.stop() }
        loop.run()
    }

    @Test func anAlertIsHandedOverUntilItIsDelivered() throws {
        let runner = AlertingRunner()
        let alerts = alerts(runner)
        alerts.take(down("a"), at: time.now())
        let id = try #require(runner.alerts.first?.id)
        alerts.undelivered(id, why: "HTTP 503", mayRetry: true)
        time.advance(by: .seconds(6))
        alerts.take(down("b", ["ops"]), at: time.now())
        #expect(runner.alerts.map(\.subject) == ["[error] a on web1 is down", "[error] a on web1 is down", "[error] b on web1 is down"])
        #expect(runner.alerts[1].id == id && runner.alerts[1] == runner.alerts[0])
        for alert in runner.alerts { alerts.delivered(alert.id) }
        time.advance(by: .seconds(3600))
        turn()
        #expect(runner.alerts.count == 3)
    }

    @Test func whatIsRefusedForGoodIsNotHandedOverAgain() throws {
        let runner = AlertingRunner()
        let alerts = alerts(runner)
        alerts.take(down("a"), at: time.now())
        alerts.undelivered(try #require(runner.alerts.first?.id), why: "550", mayRetry: false)
        time.advance(by: .seconds(3600))
        alerts.take(down("b"), at: time.now())
        #expect(runner.alerts.map(\.subject) == ["[error] a on web1 is down", "[error] b on web1 is down"])
        #expect(runner.alerts.last?.body.contains("One earlier message could not be delivered.") == true)
    }

    @Test func whatWaitsGoesOnAfterARestart() throws {
        let runner = AlertingRunner()
        let first = alerts(runner)
        first.take(down("a"), at: time.now())
        first.stop()
        let next = AlertingRunner()
        let second = alerts(next)
        turn()
        #expect(next.alerts == runner.alerts)
        second.delivered(try #require(next.alerts.first?.id))
        second.stop()
        let last = AlertingRunner()
        let third = alerts(last)
        turn()
        #expect(last.alerts.isEmpty)
        third.stop()
    }

    @Test(arguments: ["", "{", "[]", "{\"version\":1,\"outbox\":[{}]}"]) func aDamagedFileIsNoReasonToBeSilent(text: String) throws {
        try folder.write(text, to: "alerts.json")
        let runner = AlertingRunner()
        let alerts = alerts(runner)
        turn()
        alerts.take(down("a"), at: time.now())
        #expect(runner.alerts.count == 1)
        alerts.stop()
    }

    @Test func theAggregatorDecidesWhoSpeaks() {
        let runner = AlertingRunner()
        let alerts = alerts(runner, patience: .seconds(300))
        alerts.aggregatorIsReachable(true, at: time.now())
        alerts.take(down("a"), at: time.now())
        alerts.aggregatorIsReachable(false, at: time.now())
        time.advance(by: .seconds(301))
        alerts.take(down("b", ["ops"]), at: time.now())
        #expect(runner.alerts.map { $0.route ?? "default" } == ["default", "ops"])
        #expect(runner.alerts.last?.subject == "[error] b on web1 is down")
        alerts.change(host: "web1", channels: [], aggregatorPatience: .seconds(300))
        alerts.take(down("c"), at: time.now())
        #expect(runner.alerts.count == 2)
        alerts.stop()
    }
}
