// What every store of the aggregator promises, whatever it is made of.

import AgentAPI
import AggregatorCore
import Checks
import Messages
import Platform
import Testing

struct AggregatorStorePromises {
    /// A new, empty store.
    let makeStore: () async throws -> any AggregatorStoring

    func verify() async throws {
        try await whatAReportSaysCanBeRead()
        try await theSameReportTwiceIsStoredOnce()
        try await aDecisionSeesWhatTheOneBeforeWrote()
        try await twoHostsShareAService()
        try await servicesWithoutUnitsCeaseUnlessConfigured()
        try await checksAreRemembered()
        try await messagesAreClaimedOnceUntilTheirLeaseIsOver()
        try await messagesToOneRecipientKeepTheirOrder()
        try await gatheredMessagesReplaceTheOneThatWaits()
        try await theBacklogTellsWhatFails()
        try await seriesAreThinned()
        try await oldHistoryIsForgotten()
        try await usersAndSessions()
        try await agentTokens()
        try await signsOfLife()
        try await differencesLeadToTheSameStateAsWholeReports()
        try await valuesThatAreLeftOutWereWhatTheyWere()
        try await ordersWaitForTheirResults()
        try await aTokenIsItsFirstAgents()
        try await retiredHostsCanBeRemoved()
        try await aDeployIsKeptWithWhatFollowsFromIt()
        try await deploysAreKeptForAYear()
        try await scriptTokens()
    }

    private func aDeployIsKeptWithWhatFollowsFromIt() async throws {
        let store = try await makeStore()
        func tell(_ record: DeployRecord, at now: Timestamp) async throws -> Decision {
            try await store.decide(DeployFiling.scope(of: record, plan: plan)) { DeployFiling.decide(record, on: $0, plan: plan, at: now) }
        }
        try await store.take(report())
        let bad = deploy("d-1", .mixed, after: 0)
        #expect(try await tell(bad, at: start + .seconds(20)).deploy != nil)
        #expect(try await store.deploy("d-1") == bad)
        #expect(try await store.deploy("d-2") == nil)
        let problems = try await store.service("puma.service")?.problems
        #expect(problems?.map(\.subject) == ["deploy of puma"] && problems?.map(\.text) == ["MIXED: in short"])
        #expect(try await store.backlog(at: start + .seconds(20)).waiting == 1)
        // Told again, it changes nothing; neither does what pretends to be it.
        var changed = bad
        changed.summary = "something else"
        for again in [bad, changed] { #expect(try await tell(again, at: start + .seconds(30)).deploy == nil) }
        #expect(try await store.deploy("d-1") == bad)

        var good = deploy("d-2", .verified, after: 100)
        good.availability = Availability(requests: 40, failed: 2, longestStall: .milliseconds(1500))
        #expect(try await tell(good, at: start + .seconds(120)).deploy != nil)
        #expect(try await store.service("puma.service")?.status == .passing)
        let lines = [DeployLine(good), DeployLine(bad)]
        #expect(lines[0].availability?.failed == 2)
        for scope in [DeployScope.all, .service("puma"), .service("puma.service"), .host("web1")] {
            #expect(try await store.deploys(scope, limit: 10) == lines)
            #expect(try await store.deploys(scope, limit: 1) == [lines[0]])
        }
        for scope in [DeployScope.service("nginx"), .host("web2")] { #expect(try await store.deploys(scope, limit: 10).isEmpty) }
        // Nobody watches a unit of that name: it is a service for as long as its deploy is a problem.
        #expect(try await tell(deploy("d-3", .down, of: "cron", after: 0), at: start + .seconds(200)).deploy != nil)
        #expect(try await store.service("cron")?.status == .error)
        #expect(try await tell(deploy("d-4", .verified, of: "cron", after: 50), at: start + .seconds(300)).deploy != nil)
        #expect(try await store.service("cron") == nil)
    }

    private func deploy(_ id: String, _ verdict: Verdict, of service: String = "puma", after seconds: Int64) -> DeployRecord {
        let began = start + .seconds(seconds)
        return DeployRecord(
            id: id, service: service, verdict: verdict, began: began, ended: began + .seconds(10), tokenPrefix: "9f31c2aa", person: "ada",
            revision: "7f3a", summary: "in short",
            hosts: [HostDeploy(service: service, host: "web1", state: verdict, since: began, evidence: "process")])
    }

    private func deploysAreKeptForAYear() async throws {
        let store = try await makeStore()
        for (id, seconds) in [("d-1", 0), ("d-2", 400 * 86_400)] as [(String, Int64)] {
            let record = deploy(id, .verified, after: seconds)
            _ = try await store.decide(DeployFiling.scope(of: record, plan: plan)) {
                DeployFiling.decide(record, on: $0, plan: plan, at: record.ended)
            }
        }
        let now = start + .seconds(401 * 86_400)
        #expect(try await !store.prune(samplesBefore: now, eventsBefore: now, at: now))
        for scope in [DeployScope.all, .service("puma"), .host("web1")] {
            #expect(try await store.deploys(scope, limit: 10).map(\.id) == ["d-2"])
        }
        #expect(try await store.deploy("d-1") == nil)
    }

    private func scriptTokens() async throws {
        let store = try await makeStore()
        #expect(try await store.addScriptToken(name: "pipeline", digest: "one", scope: .deploys, at: start))
        #expect(try await !store.addScriptToken(name: "pipeline", digest: "two", scope: .deploys, at: start))
        #expect(try await store.scriptToken(digest: "one", scope: .deploys) == "pipeline")
        #expect(try await store.scriptToken(digest: "two", scope: .deploys) == nil)
        #expect(try await store.agentToken(digest: "one") == nil)
        #expect(try await store.scriptTokens() == [ScriptToken(name: "pipeline", scope: .deploys, createdAt: start)])
        try await store.removeScriptToken(name: "pipeline")
        #expect(try await store.scriptToken(digest: "one", scope: .deploys) == nil)
    }

    private func differencesLeadToTheSameStateAsWholeReports() async throws {
        let (store, other) = (try await makeStore(), try await makeStore())
        var numbers = Numbers(state: 5)
        var base: ReportedState?
        for number in 1...40 as ClosedRange<UInt64> {
            var units = ["a", "b", "c", "d"].filter { _ in numbers.next(5) > 0 }.map { unit($0, numbers.next(4) == 0 ? .down : .up) }
            for index in units.indices {
                units[index].samples = ["cpu", "fds", "memory:rss"].filter { _ in numbers.next(4) > 0 }.map { Sample($0, Double(numbers.next(3))) }
            }
            let at = start + .seconds(Int64(number) * 10)
            var whole = report(units: units, at: at)
            whole.snapshot = number
            whole.samples = ["load:1", "swap"].filter { _ in numbers.next(3) > 0 }.map { Sample($0, Double(numbers.next(2))) }
            whole.silences =
                numbers.next(3) > 0 ? [] : [Silence(kind: .deploy, subject: nil, units: [], owner: "ada", reason: nil, since: start, until: at)]
            whole.jobs = ["sync", "backup"].filter { _ in numbers.next(3) > 0 }.map {
                JobState(name: $0, schedule: "daily", state: numbers.next(2) == 0 ? .ok : .failed, lastRun: nil, due: nil, detail: "")
            }
            let decision = try await store.take(base.map { whole.since($0) } ?? whole, at: at)
            #expect(!decision.isStateUnknown)
            base = ReportedState(snapshot: number, units: whole.units, samples: whole.samples, silences: whole.silences ?? [], jobs: whole.jobs ?? [])
            try await other.take(whole, at: at)
            func present(_ store: any AggregatorStoring) async throws -> [String] {
                let host = try #require(try await store.host(agent: agent))
                return try await store.units(ofAgent: agent).map { record in
                    var state = record.state
                    state.samples.sort { $0.metric < $1.metric }
                    return state.json.text
                } + host.silences.map(\.json.text) + host.jobs.map(\.json.text) + host.samples.map { "\($0.metric) \($0.value)" }.sorted()
                    + store.services().map { "\($0.name) \($0.status)" }
            }
            #expect(try await present(store) == present(other))
        }
    }

    private func valuesThatAreLeftOutWereWhatTheyWere() async throws {
        let store = try await makeStore()
        var first = report(units: [unit("puma.service", cpu: 1)])
        first.snapshot = 1
        try await store.take(first)
        let later = start + .seconds(600)
        var difference = report(units: [unit("puma.service", cpu: 9)], at: later)
        (difference.snapshot, difference.base) = (2, 1)
        try await store.take(difference, at: later)
        let series = try await store.series(agent: agent, unit: "puma.service", metric: "cpu", after: start - .seconds(1), limit: 100)
        #expect(series.points.map(\.value) == [1, 1, 9])
        #expect(series.points.map(\.at) == [start, later - .seconds(10), later])
    }

    private func ordersWaitForTheirResults() async throws {
        let store = try await makeStore()
        let first = try await store.order(.act(.restart, unit: "puma"), of: agent, by: "mika", at: start)
        let second = try await store.order(.status, of: agent, by: "mika", at: start + .seconds(1), patience: .seconds(5))
        try await store.order(.status, of: "another", by: "mika", at: start)
        #expect(try await store.waitingOrders(ofAgent: agent, at: start + .seconds(2), limit: 10) == [first, second])
        #expect(try await store.waitingOrders(ofAgent: agent, at: start + .seconds(2), limit: 1) == [first])
        #expect(try await store.waitingOrders(ofAgent: agent, at: start + .seconds(6), limit: 10) == [first])
        let result = OrderResult(id: first.id, isGood: false, text: "puma is masked\n")
        try await store.finishOrders(ofAgent: "another", [result], at: start)
        #expect(try await store.waitingOrders(ofAgent: agent, at: start, limit: 10).count == 2)
        try await store.finishOrders(ofAgent: agent, [result, OrderResult(id: "unknown", isGood: true, text: "")], at: start + .seconds(3))
        try await store.finishOrders(ofAgent: agent, [OrderResult(id: first.id, isGood: true, text: "")], at: start + .seconds(9))
        #expect(try await store.waitingOrders(ofAgent: agent, at: start, limit: 10) == [second])
        let kept = try await store.orders(ofAgent: agent, limit: 10)
        #expect(kept.map(\.id) == [second.id, first.id])
        #expect(kept[1].result == result && kept[1].finishedAt == start + .seconds(3) && kept[1].by == "mika")
        while try await store.prune(samplesBefore: start, eventsBefore: start + .seconds(86400), at: start) {}
        #expect(try await store.orders(ofAgent: agent, limit: 10).isEmpty)
    }

    private func aTokenIsItsFirstAgents() async throws {
        let store = try await makeStore()
        try await store.addAgentToken(name: "web1", digest: "d", at: start)
        #expect(try await store.agent(ofToken: "d") == nil)
        #expect(try await store.useAgentToken(name: "web1", agent: agent) { $0 == nil ? .own : .takenOver(from: "") } == .own)
        #expect(try await store.agent(ofToken: "d") == agent)
        #expect(try await store.agent(ofToken: "nobody's") == nil)
        try await store.take(report())
        let use = try await store.useAgentToken(name: "web1", agent: "other") { holder in
            holder?.agent == agent ? .belongs(toAgent: agent, host: "web1") : .own
        }
        #expect(use == .belongs(toAgent: agent, host: "web1"))
        #expect(try await store.useAgentToken(name: "web1", agent: agent) { _ in .takenOver(from: "") } == .own)
        try await store.moveAgentToken(name: "web1", from: "somebody", to: "other")
        #expect(try await store.useAgentToken(name: "web1", agent: agent) { _ in .takenOver(from: "") } == .own)
        try await store.moveAgentToken(name: "web1", from: agent, to: "other")
        #expect(try await store.useAgentToken(name: "web1", agent: "other") { _ in .takenOver(from: "") } == .own)
        // A new token of that name is nobody's yet.
        try await store.addAgentToken(name: "web1", digest: "e", at: start)
        #expect(try await store.useAgentToken(name: "web1", agent: agent) { $0 == nil ? .own : .takenOver(from: "") } == .own)
    }

    private func retiredHostsCanBeRemoved() async throws {
        let store = try await makeStore()
        try await store.take(report([event(1, .unitDown)], units: [unit("puma.service", .down)]))
        #expect(try await store.removeRetiredHost(agent: agent) == false)
        _ = try await store.decide(.agent(agent, services: [])) {
            HostRetirement.decide(on: $0, replacedBy: "other", on: "web2", plan: plan, at: start)
        }
        #expect(try await store.host(agent: agent)?.replacedBy == "other")
        #expect(try await store.units(ofAgent: agent).isEmpty)
        #expect(try await store.service("puma.service") == nil)
        #expect(try await store.events(ofService: nil, agent: agent, limit: 10).count == 1)
        #expect(try await store.removeRetiredHost(agent: agent) == true)
        #expect(try await store.hosts().isEmpty)
        #expect(try await store.events(ofService: nil, agent: agent, limit: 10).isEmpty)
        #expect(try await store.series(agent: agent, unit: nil, metric: "load:1", after: start - .seconds(1), limit: 10).points.isEmpty)
    }

    /// The same in every run.
    private struct Numbers {
        var state: UInt64
        mutating func next(_ below: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % below
        }
    }

    private func whatAReportSaysCanBeRead() async throws {
        let store = try await makeStore()
        let now = start + .seconds(2)
        let events = [event(1, .agentStarted, nil), event(2, .unitDown, detail: "killed by SIGKILL")]
        let sent = report(events, units: [unit("puma.service", .down), unit("nginx.service")])
        try await store.take(sent, at: now)
        let host = HostRecord(
            agent: agent, name: "web1", version: "0.1.0", lastReport: now, interval: .seconds(10), isSilent: false, lastSequence: 2,
            samples: [Sample("load:1", 0.5)])
        #expect(try await store.hosts() == [host])
        #expect(try await store.host(agent: agent) == host)
        #expect(try await store.host(agent: "unknown") == nil)
        let units = sent.units.sorted { $0.name < $1.name }.map { UnitRecord(agent: agent, host: "web1", state: $0) }
        #expect(try await store.units(ofAgent: agent) == units)
        #expect(try await store.units(ofService: nil) == units)
        #expect(try await store.units(ofService: "puma.service") == [units[1]])
        let records = events.map { EventRecord(agent: agent, host: "web1", receivedAt: now, event: $0) }
        #expect(try await store.events(ofService: nil, agent: nil, limit: 10) == [records[1], records[0]])
        #expect(try await store.events(ofService: nil, agent: agent, limit: 1) == [records[1]])
        #expect(try await store.events(ofService: "puma.service", agent: nil, limit: 10) == [records[1]])
        #expect(try await store.events(ofService: "host web1", agent: nil, limit: 10) == [records[0]])
        #expect(try await store.services().map(\.name) == ["host web1", "nginx.service", "puma.service"])
        let service = try #require(try await store.service("puma.service"))
        #expect(service.status == .error && service.since == start)
        #expect(
            service.problems == [Problem(subject: "puma.service on web1", text: "down: killed by SIGKILL", importance: .error, since: start)])
        let notifications = try await store.notifications(ofService: "puma.service", limit: 10)
        #expect(notifications.map(\.message.subject) == ["[error] puma.service on web1 is down: killed by SIGKILL"])
        #expect(notifications.map(\.state) == [.pending])
        #expect(try await store.notifications(ofService: "nginx.service", limit: 10).isEmpty)
    }

    private func theSameReportTwiceIsStoredOnce() async throws {
        let store = try await makeStore()
        let sent = report([event(1, .unitDown), event(2, .unitUp)])
        try await store.take(sent)
        let second = try await store.take(sent)
        #expect(second.situation.host?.lastSequence == 2)
        #expect(try await store.events(ofService: nil, agent: nil, limit: 10).count == 2)
        #expect(try await store.notifications(ofService: nil, limit: 10).count == 2)
    }

    private func aDecisionSeesWhatTheOneBeforeWrote() async throws {
        let store = try await makeStore()
        let first = try await store.take(report([event(1, .unitDown), event(2, .unitRestarted)], units: [unit("puma.service", .down)]))
        let seen = try await store.decide(ReportIngest.scope(of: report(), plan: plan)) { Decision(situation: $0) }
        #expect(seen.situation == first.situation)
        #expect(!seen.situation.restarts.isEmpty)
    }

    private func twoHostsShareAService() async throws {
        let store = try await makeStore()
        let other = String(agent.reversed())
        try await store.take(report([event(1, .unitDown)], units: [unit("puma.service", .down)]))
        try await store.take(report([event(1, .unitDown)], units: [unit("puma.service", .down)], from: other, host: "web2"))
        try await store.take(report([event(2, .unitUp)]))
        let service = try #require(try await store.service("puma.service"))
        #expect(service.status == .error)
        #expect(service.problems.map(\.subject) == ["puma.service on web2"])
        #expect(try await store.units(ofService: "puma.service").map(\.host) == ["web1", "web2"])
    }

    private func servicesWithoutUnitsCeaseUnlessConfigured() async throws {
        let store = try await makeStore()
        let shop = ServicePlan(services: [ConfiguredService(name: "Shop", units: [UnitPattern(unit: "puma")])])
        try await store.configure(shop)
        try await store.take(report(units: [unit("puma.service"), unit("nginx.service")]), plan: shop)
        try await store.take(report(units: []), plan: shop)
        #expect(try await store.services().map(\.name) == ["Shop", "host web1"])
        try await store.configure(ServicePlan())
        #expect(try await store.services().map(\.name) == ["host web1"])
    }

    private func checksAreRemembered() async throws {
        let store = try await makeStore()
        let configured = check("home page", service: "Shop")
        let shop = ServicePlan(services: [ConfiguredService(name: "Shop", checks: [configured])], defaultRecipients: ["ops@example.com"])
        try await store.configure(shop)
        var record = CheckRecord(
            name: "home page", service: "Shop", summary: "stands still", isFailing: false, lastRun: nil, lastDuration: nil, detail: "")
        #expect(try await store.checks(ofService: "Shop") == [record])
        let result = CheckResult(
            check: "Shop/home page", startedAt: start, duration: .milliseconds(12), outcome: .failed(reason: "answered 503"))
        _ = try await store.decide(.check(CheckKey(service: "Shop", name: "home page"))) {
            ResultIntake.decide(result, of: configured, on: $0, plan: shop, at: start + .seconds(1))
        }
        (record.isFailing, record.lastRun, record.lastDuration, record.detail) = (true, start, .milliseconds(12), "answered 503")
        #expect(try await store.checks(ofService: nil) == [record])
        #expect(try await store.checks(ofService: "other").isEmpty)
        #expect(try await store.service("Shop")?.status == .critical)
        #expect(try await store.services().first?.problems.first?.subject == "check home page")
        try await store.configure(ServicePlan())
        #expect(try await store.checks(ofService: nil).isEmpty)
        #expect(try await store.services().isEmpty)
    }

    // MARK: Outbox

    /// A store with one message to each of these recipients, in order.
    private func outbox(_ recipients: String..., gather: String? = nil) async throws -> any AggregatorStoring {
        let store = try await makeStore()
        for (index, recipient) in recipients.enumerated() { try await put(recipient, "message \(index + 1)", gather: gather, in: store) }
        return store
    }

    private func put(_ recipient: String, _ subject: String, due: Timestamp = start, gather: String? = nil, in store: any AggregatorStoring)
        async throws
    {
        let message = OutgoingMessage(
            service: "Shop", recipient: recipient, subject: subject, body: "body", createdAt: start, dueAt: due, gather: gather)
        _ = try await store.decide(.configuration(services: [])) { Decision(situation: $0, outbox: [message]) }
    }

    private func messagesAreClaimedOnceUntilTheirLeaseIsOver() async throws {
        let store = try await outbox("a", "b")
        let first = try await store.claimDue(at: start, lease: .seconds(60), limit: 1)
        #expect(first.map(\.message.subject) == ["message 1"] && first.map(\.attempts) == [1])
        #expect(first[0].notifier == "mail" && first[0].service == "Shop" && first[0].message.createdAt == start)
        let second = try await store.claimDue(at: start + .seconds(59), lease: .seconds(60), limit: 10)
        #expect(second.map(\.message.subject) == ["message 2"])
        let again = try await store.claimDue(at: start + .seconds(60), lease: .seconds(60), limit: 10)
        #expect(again.map(\.message.id) == first.map(\.message.id) && again.map(\.attempts) == [2])
        try await store.markSent(again[0].id, at: start + .seconds(61))
        try await store.markFailed(second[0].id, problem: "no such user", retryAt: nil, at: start + .seconds(61))
        #expect(try await store.claimDue(at: start + .seconds(9999), lease: .seconds(60), limit: 10).isEmpty)
        let records = try await store.notifications(ofService: "Shop", limit: 10)
        #expect(records.map(\.state) == [.failed, .sent])
        #expect(records.map(\.problem) == ["no such user", nil])
        #expect(records.map(\.sentAt) == [nil, start + .seconds(61)])
        #expect(Set(records.map(\.message.id)).count == 2)
    }

    private func messagesToOneRecipientKeepTheirOrder() async throws {
        let store = try await outbox("a", "b", "a")
        let first = try await store.claimDue(at: start, lease: .seconds(60), limit: 1)
        // The third waits for the first.
        let second = try await store.claimDue(at: start, lease: .seconds(60), limit: 10)
        #expect(second.map(\.message.subject) == ["message 2"])
        try await store.markFailed(first[0].id, problem: "451", retryAt: start + .seconds(5), at: start)
        // A message that is due takes the ones before it along.
        let third = try await store.claimDue(at: start, lease: .seconds(60), limit: 10)
        #expect(third.map(\.message.subject) == ["message 1", "message 3"])
        try await store.postpone(third[1].id, until: start + .seconds(5))
        #expect(try await store.claimDue(at: start, lease: .seconds(60), limit: 10).isEmpty)
        try await store.markSent(third[0].id, at: start)
        let last = try await store.claimDue(at: start + .seconds(5), lease: .seconds(60), limit: 10)
        #expect(last.map(\.message.subject) == ["message 3"] && last.map(\.attempts) == [1])
    }

    private func gatheredMessagesReplaceTheOneThatWaits() async throws {
        let store = try await outbox("a", "a", "b", gather: "restarts")
        #expect(try await store.notifications(ofService: nil, limit: 10).map(\.message.subject) == ["message 3", "message 2"])
        let claimed = try await store.claimDue(at: start, lease: .seconds(60), limit: 10)
        #expect(claimed.count == 2)
        // What is on its way cannot be changed.
        try await put("a", "message 4", gather: "restarts", in: store)
        #expect(try await store.notifications(ofService: nil, limit: 10).count == 3)
    }

    private func theBacklogTellsWhatFails() async throws {
        let store = try await outbox("a", "b")
        try await put("c", "later", due: start + .seconds(600), gather: "restarts", in: store)
        #expect(try await store.backlog(at: start) == OutboxBacklog(waiting: 2, oldestFailing: nil, refused: 0))
        let claimed = try await store.claimDue(at: start, lease: .seconds(60), limit: 10)
        try await store.markFailed(claimed[0].id, problem: "451", retryAt: start + .seconds(5), at: start)
        try await store.markFailed(claimed[1].id, problem: "550", retryAt: nil, at: start)
        #expect(try await store.backlog(at: start) == OutboxBacklog(waiting: 1, oldestFailing: start, refused: 1))
        #expect(try await store.backlog(at: start + .seconds(86401)).refused == 0)
        try await put("b", "next", in: store)
        let next = try await store.claimDue(at: start + .seconds(1), lease: .seconds(60), limit: 10)
        for message in next where message.message.recipient == "b" { try await store.markSent(message.id, at: start + .seconds(1)) }
        #expect(try await store.backlog(at: start + .seconds(2)).refused == 0)
    }

    // MARK: History

    private func seriesAreThinned() async throws {
        let store = try await makeStore()
        for second in 0..<100 {
            let at = start + .seconds(second)
            try await store.take(report(units: [unit("puma.service", cpu: Double(second))], at: at), at: at)
        }
        let all = try await store.series(agent: agent, unit: "puma.service", metric: "cpu", after: start - .seconds(1), limit: 1000)
        #expect(all.points.map(\.value) == (0..<10).map { Double($0 * 10) })
        #expect(all.points.first?.at == start)
        let few = try await store.series(agent: agent, unit: "puma.service", metric: "cpu", after: start - .seconds(1), limit: 5)
        #expect(few.points.map(\.value) == [5, 25, 45, 65, 85])
        let late = try await store.series(agent: agent, unit: "puma.service", metric: "cpu", after: start + .seconds(70), limit: 5)
        #expect(late.points.map(\.value) == [80, 90])
        #expect(try await store.series(agent: agent, unit: nil, metric: "load:1", after: start - .seconds(1), limit: 100).points.count == 10)
        #expect(try await store.series(agent: agent, unit: nil, metric: "cpu", after: start, limit: 100).points.isEmpty)
        #expect(try await store.series(agent: agent, unit: "puma.service", metric: "cpu", after: start, limit: 0).points.isEmpty)
    }

    private func oldHistoryIsForgotten() async throws {
        let store = try await makeStore()
        for step in 0..<4 {
            let now = start + .seconds(step * 86400)
            let down = event(UInt64(step + 1), step % 2 == 0 ? .unitDown : .unitUp, at: now)
            try await store.take(report([down], units: [unit("puma.service", step % 2 == 0 ? .down : .up)], at: now), at: now)
        }
        let now = start + .seconds(3 * 86400)
        for message in try await store.claimDue(at: now, lease: .seconds(60), limit: 1) { try await store.markSent(message.id, at: now) }
        var passes = 0
        while try await store.prune(samplesBefore: now - .seconds(60), eventsBefore: now - .seconds(86400), at: now), passes < 100 { passes += 1 }
        #expect(passes < 100)
        #expect(try await store.events(ofService: nil, agent: nil, limit: 10).count == 2)
        // The message that nobody has sent yet stays, however old.
        #expect(try await store.notifications(ofService: nil, limit: 10).count == 3)
        #expect(try await store.series(agent: agent, unit: "puma.service", metric: "cpu", after: start - .seconds(1), limit: 10).points.count == 1)
        #expect(try await store.service("puma.service")?.status == .passing)
    }

    // MARK: Accounts

    private func usersAndSessions() async throws {
        let store = try await makeStore()
        let (ada, bob) = (UserRecord(name: "ada", passwordHash: "hash"), UserRecord(name: "bob", passwordHash: "hash"))
        #expect(try await !store.hasUsers())
        #expect(try await store.addFirstUser(ada))
        #expect(try await !store.addFirstUser(bob))
        #expect(try await store.addUser(bob))
        #expect(try await !store.addUser(UserRecord(name: "bob", passwordHash: "other")))
        #expect(try await store.hasUsers())
        #expect(try await store.user("bob") == bob)
        #expect(try await store.user("eve") == nil)
        let session = SessionRecord(digest: "d", user: "ada", formToken: "f", expiresAt: start + .seconds(60))
        try await store.addSession(session)
        #expect(try await store.session(digest: "d", at: start + .seconds(59)) == session)
        #expect(try await store.session(digest: "d", at: start + .seconds(60)) == nil)
        #expect(try await store.session(digest: "x", at: start) == nil)
        try await store.removeSession(digest: "d")
        #expect(try await store.session(digest: "d", at: start) == nil)
    }

    private func agentTokens() async throws {
        let store = try await makeStore()
        try await store.addAgentToken(name: "web1", digest: "one", at: start)
        try await store.addAgentToken(name: "web2", digest: "two", at: start + .seconds(1))
        try await store.addAgentToken(name: "web1", digest: "three", at: start + .seconds(2))
        #expect(try await store.agentToken(digest: "one") == nil)
        #expect(try await store.agentToken(digest: "three") == "web1")
        let tokens = try await store.agentTokens()
        #expect(tokens.map(\.name) == ["web1", "web2"] && tokens.map(\.createdAt) == [start + .seconds(2), start + .seconds(1)])
        try await store.removeAgentToken(name: "web1")
        #expect(try await store.agentToken(digest: "three") == nil)
    }

    private func signsOfLife() async throws {
        let store = try await makeStore()
        #expect(try await store.lastBeat("aggregator") == nil)
        try await store.beat("aggregator", at: start)
        try await store.beat("aggregator", at: start + .seconds(5))
        #expect(try await store.lastBeat("aggregator") == start + .seconds(5))
    }
}
