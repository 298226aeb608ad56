import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

@Suite struct ActionTests {
    private let manager = FakeInit("systemd")
    private let events = Box<[Event]>([])
    private let runner: ActionRunner

    init() {
        runner = ActionRunner(time: ManualTime()) { [events] in events.value.append($0) }
    }

    private func fail(_ actions: [Action.Kind], above threshold: Double = 500, on unit: String = "puma.service") {
        runner.run(rule(.above, threshold, actions: actions), on: unit, through: manager, routes: ["ops"])
    }

    private var told: [String] { events.value.map { "\($0.kind.rawValue): \($0.detail)" } }

    @Test func actionsRunInWrittenOrderOneAfterTheOther() {
        fail([.reload, .alert(route: nil), .restart])
        #expect(manager.performed == ["reload puma.service"])
        manager.finish()
        #expect(manager.performed == ["reload puma.service", "restart puma.service"])
        manager.finish()
        #expect(
            told == [
                "action_succeeded: reloaded, because memory:total_rss > 500",
                "action_succeeded: restarted, because memory:total_rss > 500",
            ])
        #expect(events.value.allSatisfy { $0.unit == "puma.service" && $0.routes == ["ops"] && $0.importance == nil })
    }

    @Test func anAlertAloneAsksNothingOfTheInitSystem() {
        fail([.alert(route: nil)])
        #expect(manager.performed == [])
    }

    @Test func aFailedActionIsAnErrorAndTheNextOneRuns() {
        fail([.reload, .restart])
        manager.finish(.failure(ActionError("the unit has no way to reload")))
        manager.finish()
        #expect(
            told == [
                "action_failed: could not be reloaded, although memory:total_rss > 500: the unit has no way to reload",
                "action_succeeded: restarted, because memory:total_rss > 500",
            ])
        #expect(events.value.map(\.importance) == [.error, nil])
    }

    @Test func twoRulesThatWantTheSameGetOneJob() {
        fail([.restart], above: 500)
        fail([.restart], above: 600)
        manager.finish()
        #expect(manager.performed == ["restart puma.service"])
        #expect(
            told == [
                "action_succeeded: restarted, because memory:total_rss > 500",
                "action_succeeded: restarted, because memory:total_rss > 600",
            ])
    }

    @Test func aSharedJobKeepsTheOrderOfBothRules() {
        fail([.restart], above: 500)
        fail([.reload, .restart], above: 600)
        fail([.restart, .reload], above: 700)
        for _ in 0..<3 { manager.finish() }
        #expect(manager.performed == ["restart puma.service", "reload puma.service", "restart puma.service"])
        #expect(events.value.map(\.rule).map { $0?.contains("700") } == [false, true, false, true, false])
        #expect(manager.isIdle)
    }

    @Test func unitsDoNotWaitForEachOther() {
        fail([.restart], on: "a")
        fail([.restart], on: "b")
        #expect(manager.performed == ["restart a", "restart b"])
    }

    @Test func aRuleThatFailsAgainLaterRunsItsActionsAgain() {
        fail([.restart])
        manager.finish()
        fail([.restart])
        manager.finish()
        #expect(manager.performed.count == 2)
    }

    @Test func anInitSystemThatAnswersTwiceIsHeardOnce() {
        fail([.restart, .reload])
        let answer = manager.answers[0]
        answer(.success(()))
        answer(.success(()))
        #expect(told.count == 1)
        #expect(manager.performed == ["restart puma.service", "reload puma.service"])
    }

    @Test func theDeadlineIsNinetySeconds() {
        fail([.restart])
        #expect(manager.deadlines == [.seconds(90)])
    }
}
