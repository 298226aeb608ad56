import AgentAPI
@testable import AgentCore
import Platform
import TestKit
import Testing

private let start = Timestamp("2026-11-21T03:00:00Z")!

/// A desk and the time that a test gives it.
private struct Story {
    var desk: AlertDesk
    var now = Moment(wall: start, uptime: .seconds(1000))
    /// `ROUTE: SUBJECT`, in the order of delivery; every delivery succeeds.
    var told: [String] = []
    var alerts: [OutgoingAlert] = []
    var isProviderThere = true

    init(_ routes: [String?] = [nil], patience: Duration? = nil) {
        desk = AlertDesk(host: "web1", routes: routes, aggregatorPatience: patience, at: Moment(wall: start, uptime: .seconds(1000)))
    }

    /// Lets time go by, second by second.
    mutating func pass(_ seconds: Int) {
        for _ in 0..<seconds {
            now = Moment(wall: now.wall + .seconds(1), uptime: now.uptime + .seconds(1))
            deliver()
        }
    }

    mutating func deliver() {
        for alert in desk.due(at: now) {
            if isProviderThere {
                told.append("\(alert.route ?? "default"): \(alert.subject)")
                alerts.append(alert)
                desk.delivered(alert.id)
            } else {
                _ = desk.undelivered(alert.id, mayRetry: true, at: now)
            }
        }
    }

    mutating func happens(_ event: Event) {
        var event = event
        event.at = now.wall
        desk.take(event, at: now)
    }

    mutating func aggregator(_ isReachable: Bool) { desk.aggregatorIsReachable(isReachable, at: now) }
}

private func event(
    _ kind: Event.Kind, _ unit: String? = "puma.service", rule: String? = nil, _ importance: Importance? = nil, cause: Event.Cause? = nil,
    _ detail: String = "", routes: [String?] = [nil]
) -> Event {
    Event(kind: kind, at: start, unit: unit, rule: rule, importance: importance, cause: cause, detail: detail, routes: routes)
}

private let down = event(.unitDown, .some("puma.service"), .error, cause: .failure, "killed by SIGKILL (failed/failed)")
private let up = event(.unitUp)

@Suite struct AlertDeskTests {
    @Test func whatHappensIsToldAfterAFewSeconds() {
        var story = Story()
        story.happens(down)
        story.pass(4)
        #expect(story.told == [])
        story.pass(1)
        #expect(story.told == ["default: [error] puma.service on web1 is down: killed by SIGKILL (failed/failed)"])
        story.pass(100)
        story.happens(up)
        story.pass(5)
        #expect(story.told.dropFirst() == ["default: [ok] puma.service on web1 is up again"])
    }

    @Test func whatHappensWithinSecondsIsOneMessage() {
        var story = Story()
        story.happens(down)
        story.pass(2)
        story.happens(event(.ruleFailed, "redis.service", rule: "if memory:rss > 1g then alert", .critical, "memory:rss is 1.2g, over 1g"))
        story.pass(2)
        story.happens(up)
        story.pass(60)
        #expect(story.told == ["default: [critical] redis.service on web1: memory:rss is 1.2g, over 1g, and 1 more problem"])
        #expect(story.alerts.first?.events.count == 3)
    }

    @Test func aFloodIsOneMessageAMinute() {
        var story = Story()
        for number in 0..<300 {
            story.happens(event(.unitDown, "unit\(number).service", .error))
            story.pass(1)
        }
        story.pass(120)
        // Three at once, then one in each minute.
        #expect(story.told.count == 8)
        #expect(story.alerts.allSatisfy { $0.body.contains("On web1:") })
        story.pass(300)
        for _ in 0..<3 {
            story.happens(event(.unitRestarted, .some("a"), .warning, cause: .failure))
            story.pass(6)
        }
        #expect(story.told.count == 11)
    }

    @Test func noMessageIsLongerThanAnybodyReads() throws {
        var story = Story()
        for number in 0..<1000 { story.happens(event(.unitDown, "unit\(number).service", .error)) }
        story.pass(5)
        let alert = try #require(story.alerts.first)
        #expect(alert.events.count == 200)
        #expect(alert.subject.hasSuffix("and 999 more problems"))
        #expect(alert.body.contains("  and 950 more\n"))
    }

    @Test(arguments: [
        event(.unitRestarted, .some("a"), .warning, cause: .failure, "killed by SIGSEGV; systemd restarted it"),
        event(.unitRestarted, .some("a"), .warning, cause: .finished), event(.unitDown, .some("a"), .error, cause: .request),
        event(.ruleFailed, .some("a"), rule: "r", .warning), event(.sourceFailed, .none, .error, "systemd: no answer"),
        event(.actionFailed, .some("a"), rule: "r", .error), event(.actionsSuspended, .some("a"), rule: "r", .error),
        event(.jobOverdue, .none, rule: "job backup", .error), event(.jobFailed, .none, rule: "job backup", .error),
        event(.unitStuck, .some("a"), .error),
        event(.deployFinished, .some("a"), .error, "down"), event(.agentStarted, .none, .warning, "after a crash"), event(.eventsLost, .none),
    ])
    func whatSomebodyMustHearOfIsTold(event: Event) {
        var story = Story()
        story.happens(event)
        story.pass(5)
        #expect(story.told.count == 1)
    }

    @Test(arguments: [
        event(.unitRestarted, .some("a"), cause: .request), event(.unitUp), event(.ruleRecovered, .some("a"), rule: "r", .warning),
        event(.sourceRecovered, .none, nil, "systemd answers again"), event(.actionSucceeded, .some("a"), rule: "r", .error),
        event(.jobRan, .some("backup")),
        event(.deployStarted), event(.deployFinished), event(.agentStarted, .none, nil, "0.1.0"), event(.agentStopped, .none),
        event(.monitoringStopped), event(.unitDown, .some("a"), .error, routes: []), event(.unitDown, .some("a"), .error, routes: ["nobody"]),
    ])
    func whatNobodyNeedsToHearOfIsNotTold(event: Event) {
        var story = Story(["ops"])
        story.happens(event)
        story.pass(10)
        #expect(story.told == [])
    }

    @Test func eachEventGoesWhereItsRulesSay() {
        var story = Story([nil, "ops", "chat"])
        story.happens(event(.ruleFailed, .some("a"), rule: "r", .error, "too much", routes: ["ops", "chat", "ops"]))
        story.pass(5)
        #expect(story.told.sorted() == ["chat: [error] a on web1: too much", "ops: [error] a on web1: too much"])
        // A route without a channel is the default route's.
        story.happens(event(.ruleFailed, .some("b"), rule: "r", .error, "too much", routes: ["team", nil]))
        story.pass(5)
        #expect(story.told.dropFirst(2) == ["default: [error] b on web1: too much"])
    }

    @Test func anEndIsToldWhereItsBeginningWas() {
        var story = Story([nil, "ops"])
        story.happens(event(.ruleFailed, .some("a"), rule: "r", .error, "too much", routes: ["ops"]))
        story.pass(5)
        story.happens(event(.ruleRecovered, .some("a"), rule: "r", .error, routes: [nil]))
        story.pass(5)
        #expect(story.told.last == "ops: [ok] a on web1 has recovered")
    }

    // MARK: Several checks of one unit

    private static let database = "mariadb.service"
    private let dba = event(.unitDown, database, .error, cause: .failure, "killed by SIGKILL", routes: ["dba"])
    private let web = event(.unitDown, database, .error, cause: .failure, "killed by SIGKILL", routes: ["web"])

    @Test func everyOwnerOfAUnitIsTold() {
        var story = Story(["dba", "web"])
        story.happens(dba)
        story.happens(web)
        story.pass(5)
        #expect(
            story.told.sorted() == [
                "dba: [error] mariadb.service on web1 is down: killed by SIGKILL", "web: [error] mariadb.service on web1 is down: killed by SIGKILL",
            ])
        // One of the two checks is taken from the configuration: the other one's owner hears nothing of that.
        story.happens(event(.unitUp, Self.database, routes: ["web"]))
        story.pass(5)
        #expect(story.told.dropFirst(2) == ["web: [ok] mariadb.service on web1 is up again"])
        story.happens(event(.unitUp, Self.database, routes: ["dba"]))
        story.pass(5)
        #expect(story.told.dropFirst(3) == ["dba: [ok] mariadb.service on web1 is up again"])
    }

    @Test func theOwnerOfTwoChecksOfOneUnitIsToldOnce() {
        var story = Story(["dba"])
        for _ in 1...2 { story.happens(dba) }
        story.pass(5)
        #expect(story.told == ["dba: [error] mariadb.service on web1 is down: killed by SIGKILL"])
        story.pass(60)
        for _ in 1...2 { story.happens(event(.unitUp, Self.database, routes: ["dba"])) }
        story.pass(60)
        #expect(story.told.dropFirst() == ["dba: [ok] mariadb.service on web1 is up again"])
    }

    /// Neither route has a channel of its own, so that both are the default route.
    @Test func twoOwnersWithOneChannelAreToldOnce() {
        var story = Story()
        story.happens(dba)
        story.happens(web)
        story.pass(60)
        #expect(story.told == ["default: [error] mariadb.service on web1 is down: killed by SIGKILL"])
        for route in ["dba", "web"] { story.happens(event(.unitUp, Self.database, routes: [route])) }
        story.pass(60)
        #expect(story.told.dropFirst() == ["default: [ok] mariadb.service on web1 is up again"])
    }

    @Test func anOwnerWhoIsNewHearsOfWhatLasts() {
        var story = Story(["dba", "web"])
        story.happens(event(.ruleFailed, "a", rule: "r", .error, "too much", routes: ["dba"]))
        story.pass(60)
        story.happens(event(.ruleFailed, "a", rule: "r", .error, "too much", routes: ["dba", "web"]))
        story.pass(60)
        #expect(story.told == ["dba: [error] a on web1: too much", "web: [error] a on web1: too much"])
        story.happens(event(.ruleRecovered, "a", rule: "r", routes: ["web"]))
        story.pass(60)
        #expect(story.told.dropFirst(2).sorted() == ["dba: [ok] a on web1 has recovered", "web: [ok] a on web1 has recovered"])
    }

    @Test func everyOwnerIsRememberedByTheNextLifeOfTheAgent() throws {
        var story = Story(["dba", "web"])
        story.happens(dba)
        story.happens(web)
        story.pass(5)
        var next = try restarted(story, routes: ["dba", "web"])
        next.happens(dba)
        next.happens(web)
        next.pass(60)
        #expect(next.told == [])
        for route in ["dba", "web"] { next.happens(event(.unitUp, Self.database, routes: [route])) }
        next.pass(60)
        #expect(next.told.sorted() == ["dba: [ok] mariadb.service on web1 is up again", "web: [ok] mariadb.service on web1 is up again"])
    }

    @Test func theEndOfASuspensionIsTold() {
        var story = Story()
        story.happens(event(.actionsSuspended, "a", .error, "rules acted on it 3 times within 10 min"))
        story.pass(60)
        story.happens(event(.actionsResumed, "a"))
        story.pass(60)
        #expect(
            story.told == [
                "default: [error] a on web1: automatic actions suspended: rules acted on it 3 times within 10 min",
                "default: [ok] a on web1: automatic actions resumed",
            ])
    }

    // MARK: What a message counts

    /// A short crisis is a crisis.
    @Test func whatBeganAndEndedWithinAMessageIsRecoveredAndNotOK() {
        var story = Story()
        let rule = "if memory:oom_kills > 0/sec as critical then alert"
        story.happens(event(.ruleFailed, "varnish.service", rule: rule, .critical, "memory:oom_kills is 1.00/sec, above 0/sec"))
        story.pass(1)
        story.happens(event(.ruleRecovered, "varnish.service", rule: rule, .critical, "memory:oom_kills is 0.00/sec again, at 0/sec"))
        story.pass(60)
        #expect(story.told == ["default: [critical] varnish.service on web1: memory:oom_kills is 1.00/sec, above 0/sec (recovered)"])
    }

    @Test func theWorstOfAMessageIsFoundHoweverMuchHappens() {
        var story = Story()
        for number in 0..<1000 { story.happens(event(.unitRestarted, "unit\(number).service", .warning, cause: .failure)) }
        story.happens(event(.ruleFailed, "redis.service", rule: "r", .critical, "too much"))
        story.pass(60)
        #expect(story.told == ["default: [critical] redis.service on web1: too much, and 1000 more problems"])
        #expect(story.alerts[0].events.contains { $0.unit == "redis.service" })
    }

    @Test func aUnitThatFlapsIsOneProblem() {
        var story = Story()
        story.isProviderThere = true
        for _ in 0..<50 {
            story.happens(down)
            story.happens(up)
        }
        story.happens(down)
        story.pass(60)
        #expect(story.told == ["default: [error] puma.service on web1 is down: killed by SIGKILL (failed/failed)"])
        #expect(story.alerts[0].events.count == AlertItem.mostEvents)
    }

    /// An agent that was restarted says again what is wrong.
    @Test func whatWasToldIsNotToldAgain() {
        var story = Story()
        story.happens(down)
        story.pass(5)
        story.happens(down)
        story.pass(60)
        #expect(story.told.count == 1)
        story.happens(event(.unitDown, .some("puma.service"), .error, cause: .failure, "exit status 1"))
        story.pass(60)
        #expect(story.told.count == 2)
    }

    // MARK: With an aggregator

    @Test func whileTheAggregatorIsThereThisHostIsSilent() {
        var story = Story(patience: .seconds(300))
        story.aggregator(true)
        story.happens(down)
        story.pass(600)
        story.happens(up)
        story.pass(600)
        #expect(story.told == [])
    }

    @Test func withoutTheAggregatorThisHostTellsThemItself() throws {
        var story = Story(patience: .seconds(300))
        story.aggregator(true)
        story.happens(event(.unitDown, .some("old.service"), .error))
        story.pass(100)
        story.aggregator(false)
        story.happens(event(.unitDown, .some("short.service"), .error, "down for a moment"))
        story.happens(down)
        story.happens(event(.unitRestarted, .some("worker.service"), .warning, cause: .failure, "exit status 1"))
        story.pass(10)
        story.happens(event(.unitUp, .some("short.service")))
        story.pass(289)
        #expect(story.told == [])
        story.pass(6)
        #expect(story.told == ["default: [error] puma.service on web1 is down: killed by SIGKILL (failed/failed), and 1 more problem"])
        let first = try #require(story.alerts.first)
        #expect(first.body.hasPrefix("The aggregator has been unreachable since 2026-11-21 03:01:40 UTC; web1 is alerting you directly.\n"))
        #expect(!first.body.contains("short.service") && !first.body.contains("old.service"))
        // From now on it tells what happens, the end of what the aggregator had told too.
        story.happens(event(.unitUp, .some("old.service")))
        story.pass(10)
        #expect(story.told.last == "default: [ok] old.service on web1 is up again")
        story.aggregator(true)
        story.pass(10)
        #expect(story.told.last == "default: [ok] web1 reaches the aggregator again")
        story.happens(up)
        story.happens(down)
        story.pass(600)
        #expect(story.told.count == 3)
    }

    @Test func aShortAbsenceIsNotToldAtAll() {
        var story = Story(patience: .seconds(300))
        story.aggregator(true)
        for _ in 0..<5 {
            story.aggregator(false)
            story.happens(down)
            story.pass(200)
            story.aggregator(true)
            story.pass(200)
        }
        #expect(story.told == [])
    }

    @Test func anAggregatorThatWasNeverThereIsMissedToo() {
        var story = Story(["ops"], patience: .seconds(300))
        story.pass(310)
        #expect(story.told == ["ops: [warning] web1 cannot reach the aggregator"])
        story.pass(3600)
        #expect(story.told.count == 1)
    }

    // MARK: Delivery

    @Test func whatIsNotDeliveredWaitsInOrder() {
        var story = Story()
        story.isProviderThere = false
        story.happens(down)
        story.pass(100)
        story.happens(up)
        story.pass(3000)
        #expect(story.told == [])
        story.isProviderThere = true
        story.pass(600)
        #expect(story.told.map { $0.prefix(14) } == ["default: [erro", "default: [ok] "])
    }

    @Test func twoDaysOldIsNoNews() {
        var story = Story()
        story.isProviderThere = false
        story.happens(down)
        story.pass(60)
        #expect(story.desk.outbox.entries.count == 1)
        story.now = Moment(wall: story.now.wall + .seconds(2 * 86400), uptime: story.now.uptime + .seconds(2 * 86400))
        story.pass(1)
        #expect(story.desk.outbox.entries.isEmpty)
        story.isProviderThere = true
        story.happens(event(.unitDown, .some("b"), .error))
        story.pass(5)
        #expect(story.alerts.first?.body.contains("\nOne earlier message could not be delivered.\n") == true)
    }

    @Test func somebodyIsWokenOnlyWhenThereIsSomethingToDo() {
        var story = Story(patience: .seconds(300))
        #expect(story.desk.nextTime(at: story.now) == .seconds(1300))
        story.aggregator(true)
        #expect(story.desk.nextTime(at: story.now) == nil)
        var alone = Story()
        #expect(alone.desk.nextTime(at: alone.now) == nil)
        alone.happens(down)
        #expect(alone.desk.nextTime(at: alone.now) == .seconds(1005))
        alone.isProviderThere = false
        alone.pass(5)
        #expect(alone.desk.nextTime(at: alone.now) == .seconds(1010))
    }

    @Test func aRouteThatIsGoneLeavesItsMessagesToTheDefaultRoute() {
        var story = Story([nil, "ops"])
        story.isProviderThere = false
        story.happens(event(.unitDown, .some("a"), .error, routes: ["ops"]))
        story.pass(5)
        story.happens(event(.unitDown, .some("b"), .error, routes: ["ops"]))
        story.desk.change(host: "web1", routes: [nil], aggregatorPatience: nil, at: story.now)
        story.isProviderThere = true
        story.pass(20)
        #expect(story.told == ["default: [error] a on web1 is down", "default: [error] b on web1 is down"])
    }

    // MARK: Restarts of the agent

    private func restarted(_ story: Story, routes: [String?] = [nil], patience: Duration? = nil) throws -> Story {
        var next = Story(routes, patience: patience)
        next.now = Moment(wall: story.now.wall + .seconds(10), uptime: .seconds(20))
        next.desk = AlertDesk(host: "web1", routes: routes, aggregatorPatience: patience, at: next.now)
        let faults = next.desk.resume(from: try JSON(parsing: story.desk.json.bytes), at: next.now)
        #expect(faults == 0)
        return next
    }

    @Test func aRestartLosesNothingAndRepeatsNothing() throws {
        var story = Story([nil, "ops"])
        story.happens(event(.unitDown, .some("told"), .error))
        story.pass(5)
        story.isProviderThere = false
        story.happens(event(.unitDown, .some("written"), .error, routes: ["ops"]))
        story.pass(5)
        story.happens(event(.unitDown, .some("gathered"), .error))
        let id = try #require(story.desk.outbox.entries.first?.alert.id)
        var next = try restarted(story, routes: [nil, "ops"])
        for unit in ["told", "gathered"] { next.happens(event(.unitDown, unit, .error)) }
        next.happens(event(.unitDown, .some("written"), .error, routes: ["ops"]))
        next.pass(10)
        #expect(next.told == ["ops: [error] written on web1 is down", "default: [error] gathered on web1 is down"])
        #expect(next.alerts.first?.id == id)
        #expect(next.alerts.last.map { $0.id > id } == true)
        next.happens(event(.unitUp, .some("told")))
        next.pass(10)
        #expect(next.told.last == "default: [ok] told on web1 is up again")
    }

    @Test func whoHasTakenOverGoesOnAfterARestart() throws {
        var story = Story(patience: .seconds(300))
        story.pass(310)
        #expect(story.told.count == 1)
        var next = try restarted(story, patience: .seconds(300))
        next.happens(down)
        next.pass(10)
        #expect(next.told.count == 1)
        next.aggregator(true)
        next.pass(10)
        #expect(next.told.last == "default: [ok] web1 reaches the aggregator again")
        var last = try restarted(next, patience: .seconds(300))
        last.aggregator(true)
        last.happens(down)
        last.pass(600)
        #expect(last.told == [])
    }
}

@Suite struct AlertOutboxTests {
    private func moment(_ seconds: Int64) -> Moment { Moment(wall: start + .seconds(seconds), uptime: .seconds(1000 + seconds)) }

    @Test(arguments: zip([1, 2, 3, 7, 8, 9, 1000, 0, -5], [5, 10, 20, 320, 600, 600, 600, 5, 5])) func pausesGrow(attempt: Int, seconds: Int) {
        #expect(AlertOutbox.pause(afterAttempt: attempt) == .seconds(seconds))
    }

    @Test func theNumberStaysTheSameForEveryAttempt() throws {
        var outbox = AlertOutbox()
        outbox.add(route: nil, subject: "a", body: "", events: [], host: "h", at: moment(0))
        func due(_ seconds: Int64) -> [OutgoingAlert] { outbox.due(at: moment(seconds)) }
        let first = try #require(due(0).first)
        #expect(due(1).isEmpty)
        let isTriedAgain = outbox.undelivered(first.id, mayRetry: true, at: moment(1))
        #expect(isTriedAgain)
        #expect(due(5).isEmpty)
        #expect(due(6) == [first])
        let isTriedForEver = outbox.undelivered(first.id, mayRetry: false, at: moment(7))
        #expect(!isTriedForEver)
        #expect(due(9999).isEmpty)
        let dropped = [outbox.takeDropped(of: nil), outbox.takeDropped(of: nil)]
        #expect(dropped == [1, 0])
    }

    @Test func numbersNeverRepeat() {
        var outbox = AlertOutbox()
        for _ in 0..<10 { outbox.add(route: nil, subject: "", body: "", events: [], host: "h", at: moment(0)) }
        outbox.add(route: nil, subject: "", body: "", events: [], host: "h", at: moment(-3600))
        #expect(zip(outbox.entries, outbox.entries.dropFirst()).allSatisfy { $0.alert.id < $1.alert.id })
    }

    /// What is over goes first, with its end; then the oldest.
    @Test func aFullOutboxForgetsWhatIsOverFirst() {
        var outbox = AlertOutbox()
        func add(_ name: String, _ events: [Event]) { outbox.add(route: nil, subject: name, body: "", events: events, host: "h", at: moment(0)) }
        add("oldest", [event(.unitDown, "x")])
        add("a down", [event(.unitDown, "a")])
        add("a up", [event(.unitUp, "a")])
        for number in 0..<(AlertOutbox.longest - 3) { add("\(number)", [event(.unitDown, "u\(number)")]) }
        #expect(outbox.entries.count == AlertOutbox.longest)
        add("one more", [event(.unitDown, "y")])
        #expect(outbox.entries.prefix(2).map(\.alert.subject) == ["oldest", "0"])
        add("another", [event(.unitDown, "z")])
        add("and another", [event(.unitDown, "zz")])
        #expect(outbox.entries.count == AlertOutbox.longest)
        #expect(outbox.entries.first?.alert.subject == "0")
        let dropped = outbox.takeDropped(of: nil)
        #expect(dropped == 3)
    }
}

@Suite struct OwnAlertTextTests {
    private func text(_ news: [Event], more: Int = 0, notes: [AlertDesk.Note] = [], dropped: Int = 0, later: Int = 5) -> String {
        var gathering = AlertDesk.Gathering()
        for event in news { gathering.add(event, at: Moment(wall: start, uptime: .zero)) }
        let text = OwnAlertText(
            host: "web1", items: gathering.items, more: more, notes: notes, dropped: dropped, at: start + .seconds(later))
        return "Subject: \(text.subject)\n\n\(text.body)"
    }

    private func at(_ seconds: Int, _ event: Event) -> Event {
        var event = event
        event.at = start + .seconds(seconds)
        return event
    }

    private static let failed = event(
        .ruleFailed, .some("puma.service"), rule: "if memory:total_rss > 500m for 2 cycles then alert", .critical,
        "memory:total_rss is 512.3m, over 500m for 2 cycles")
    private static let recovered = event(
        .ruleRecovered, .some("puma.service"), rule: "if memory:total_rss > 500m for 2 cycles then alert", .critical,
        "memory:total_rss is 310.2m again, below 500m")
    private static let crashed = event(
        .unitRestarted, .some("worker.service"), .warning, cause: .failure, "killed by SIGSEGV; systemd restarted it")

    @Test func oneProblem() throws { try expectGolden(text([down]), "down.txt") }
    @Test func oneRule() throws { try expectGolden(text([Self.failed], dropped: 3, later: 725), "rule.txt") }
    @Test func oneRecovery() throws {
        try expectGolden(text([event(.ruleRecovered, .some("puma.service"), rule: "if cpu > 90% then alert", nil, "cpu is 3%")]), "recovered.txt")
    }

    @Test func severalThings() throws {
        try expectGolden(text([down, Self.crashed, Self.failed, at(3, up)], more: 7), "several.txt")
    }

    @Test func oneThatBeganAndEnded() throws {
        try expectGolden(text([Self.failed, at(3, Self.recovered)]), "began-and-ended.txt")
        try expectGolden(text([Self.failed, at(1, Self.recovered), at(2, Self.failed), at(4, Self.recovered)]), "began-and-ended-twice.txt")
    }

    @Test func oneThatEndedAndBeganAgain() throws { try expectGolden(text([up, at(2, down)]), "ended-and-began.txt") }

    @Test func oneThatBeganAndEndedAndOneThatLasts() throws {
        try expectGolden(text([Self.failed, at(1, down), at(3, Self.recovered)]), "one-recovered-one-lasts.txt")
    }

    @Test func oneThatLastsAndOneThatIsOver() throws {
        try expectGolden(text([down, at(1, Self.recovered)]), "one-lasts-one-over.txt")
    }

    @Test func onlyEnds() throws { try expectGolden(text([up, at(1, Self.recovered)]), "over.txt") }

    @Test func restarts() throws {
        try expectGolden(text([Self.crashed]), "restart.txt")
        try expectGolden(text([Self.crashed, at(1, Self.crashed), at(2, Self.crashed)]), "restarts.txt")
        try expectGolden(text([Self.crashed, at(1, Self.crashed), at(2, up)]), "restarts-and-over.txt")
    }

    @Test func whatAnOperatorStops() throws {
        let stopped = event(.unitStopped, .some("nginx.service"), .warning, cause: .request, "stopped on request (inactive/dead)")
        try expectGolden(text([stopped]), "stopped.txt")
    }

    @Test func aJobIsCalledByItsName() throws {
        let overdue = event(
            .jobOverdue, .none, rule: "job nightly-backup", .error, "nightly-backup happens every day, and it last ended 2026-11-19T03:12:00Z")
        try expectGolden(text([overdue]), "job.txt")
        let failed = event(.jobFailed, .none, rule: "job nightly-backup", .error, "nightly-backup ended with status 2 after 5 s")
        try expectGolden(text([failed, at(3, event(.jobRan, .none, rule: "job nightly-backup", nil, "nightly-backup ended well"))]), "job-ran.txt")
    }

    @Test(arguments: [
        ("is not running: exited with status 1 (failed/failed)", "a on web1 is down: not running: exited with status 1 (failed/failed)"),
        ("is still down: killed by SIGKILL", "a on web1 is still down: killed by SIGKILL"),
        ("does not run for 90 s (activating/start)", "a on web1 is down: does not run for 90 s (activating/start)"), ("", "a on web1 is down"),
    ])
    func theReasonIsPartOfTheSentence(detail: String, sentence: String) {
        #expect(text([event(.unitDown, .some("a"), .error, detail)]).hasPrefix("Subject: [error] \(sentence)\n"))
    }

    @Test func anEndSaysHowItEnded() {
        #expect(text([event(.unitUp, .some("a"), nil, "is running (active/running)")]).hasPrefix("Subject: [ok] a on web1 is up again\n"))
        #expect(text([event(.unitUp, .some("a"), nil, "is no longer failed")]).hasPrefix("Subject: [ok] a on web1 is no longer failed\n"))
        #expect(text([event(.unitUp, .some("a"), nil, "its last run ended well")]).hasPrefix("Subject: [ok] a on web1: its last run ended well\n"))
    }

    /// However long the sentence is, it is seen that there is more.
    @Test func theCountSurvivesALongSentence() {
        let long = event(.ruleFailed, .some("a"), rule: "r", .critical, String(repeating: "very ", count: 100))
        let subject = text([long, down]).prefix { $0 != "\n" }
        #expect(subject.hasSuffix("…, and 1 more problem") && subject.count <= 209)
    }

    @Test func takingOver() throws {
        let since = start - .seconds(300)
        try expectGolden(text([], notes: [.takingOver(since: since)]), "taking-over.txt")
        try expectGolden(text([down], notes: [.takingOver(since: since)]), "taking-over-one.txt")
        try expectGolden(text([down, Self.failed], notes: [.takingOver(since: since)]), "taking-over-several.txt")
        try expectGolden(text([], notes: [.aggregatorIsBack(since: start)]), "back.txt")
    }

    @Test func everyKindOfEventHasItsSentence() throws {
        let all = Event.Kind.allCases.map { event($0, .some("u"), rule: "r", .error, "why") }
        try expectGolden(all.map { text([$0]).prefix { $0 != "\n" } + "\n" }.joined(), "every-kind.txt")
        let ofTheHost = Event.Kind.allCases.map { event($0, .none) }
        try expectGolden(ofTheHost.map { text([$0]).prefix { $0 != "\n" } + "\n" }.joined(), "every-kind-of-the-host.txt")
    }

    @Test func nothingInAnEventBreaksTheText() {
        let evil = event(.unitDown, .some("a\nSubject: b"), .error, "x\r\n\u{2028}y\u{7}")
        let lines = text([evil]).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(!lines.contains { $0.hasPrefix("Subject: b") })
        #expect(lines.first == "Subject: [error] a Subject: b on web1 is down: x   y ")
    }
}
