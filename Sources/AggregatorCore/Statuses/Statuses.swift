// How services change when something begins or ceases to fail, and what people have to hear of that.

import AgentAPI
import Messages
import Platform

/// One decision in the making: every step changes the situation and may add an alert, in the order in which things happened.
struct Statuses {
    let plan: ServicePlan
    let now: Timestamp
    private(set) var alerts: [Alert] = []
    private(set) var outbox: [OutgoingMessage] = []
    var situation: Situation

    init(_ situation: Situation, plan: ServicePlan, now: Timestamp) {
        self.situation = situation
        self.plan = plan
        self.now = now
    }

    /// The service, which comes to be if there is none.
    mutating func ensureService(_ name: String) {
        situation.services[name, default: ServiceState(name: name, since: now)].isConfigured = plan.isConfigured(name)
    }

    /// Something in the service fails since `at`. What failed already keeps the time at which it began. Without any route nobody is told;
    /// once it fails with one, it is news. A problem that is known is news to the routes that have not heard of it: several checks of one unit
    /// report the same, each to its own owner.
    /// - Parameter importance: `nil` for what the service itself weighs: a unit that is down.
    mutating func fail(
        _ key: ProblemKey, in name: String, subject: Alert.Subject, text: String, importance: Importance?, at: Timestamp, routes: [String?]? = nil
    ) {
        ensureService(name)
        guard var service = situation.services[name] else { return }
        let at = min(at, now)  // an agent's clock may be ahead of ours
        let known = service.problems[key]
        let knownRoutes = known?.routes ?? []
        let newRoutes = (routes ?? []).filter { !knownRoutes.contains($0) }
        let problem = Problem(
            subject: subject.words, text: text, importance: importance ?? plan.importanceOfDown(in: name), since: known?.problem.since ?? at)
        service.problems[key] = ServiceProblem(
            problem, routes: known == nil ? routes ?? [nil] : knownRoutes + newRoutes, isTold: known?.isTold ?? false)
        let before = service.status
        settle(&service, at: at)
        let isNews = known == nil || !newRoutes.isEmpty
        if routes?.isEmpty != true, var reason = reason(from: before, to: service.status, isNew: isNews, importance: problem.importance) {
            var recipients = plan.recipients(of: name, routes: routes ?? [nil])
            if reason == .anotherProblem, !knownRoutes.isEmpty {
                // Those of the other routes have heard of it.
                reason = .newProblem
                let told = plan.recipients(of: name, routes: knownRoutes)
                recipients = plan.recipients(of: name, routes: newRoutes).filter { !told.contains($0) }
            }
            service.told = Array(Set(service.told).union(recipients)).sorted()
            service.problems[key]?.isTold = true
            let others = service.problems.filter { $0.key != key }
            if !recipients.isEmpty || knownRoutes.isEmpty {
                tell(
                    Alert(
                        reason: reason, service: name, status: service.status, subject: subject, detail: text, at: at, now: now,
                        others: ServiceState(name: name, since: now, problems: others).orderedProblems, recipients: recipients))
            }
        }
        situation.services[name] = service
    }

    /// Something in the service no longer fails.
    mutating func recover(_ key: ProblemKey, in name: String, subject: Alert.Subject, at: Timestamp) {
        guard var service = situation.services[name], let gone = service.problems.removeValue(forKey: key) else { return }
        let at = min(at, now)
        let began = service.incidentSince
        settle(&service, at: at)
        var alert = Alert(
            reason: .problemSolved, service: name, status: service.status, subject: subject,
            detail: gone.problem.text, at: at, now: now, lasted: at - gone.problem.since,
            others: service.orderedProblems, recipients: plan.recipients(of: name, routes: gone.routes))
        if service.status == .passing {
            alert.reason = .recovered
            alert.lasted = began.map { at - $0 }
            if !service.told.isEmpty { alert.recipients = service.told }
            service.told = []
            tell(alert)
        } else if gone.isTold {
            tell(alert)
        }
        situation.services[name] = service
    }

    /// Takes away what nobody watches any more; people need not hear that their own change to a configuration worked.
    mutating func forget(in name: String, where isGone: (ProblemKey) -> Bool) {
        guard var service = situation.services[name], service.problems.contains(where: { isGone($0.key) }) else { return }
        service.problems = service.problems.filter { !isGone($0.key) }
        settle(&service, at: now)
        if service.status == .passing { service.told = [] }
        situation.services[name] = service
    }

    /// Puts a known problem into a service that it belongs to from now on.
    mutating func adopt(_ key: ProblemKey, _ problem: ServiceProblem, in name: String) {
        ensureService(name)
        guard var service = situation.services[name] else { return }
        var adopted = problem
        if key.item == .down { adopted.problem.importance = plan.importanceOfDown(in: name) }
        service.problems[key] = adopted
        settle(&service, at: now)
        situation.services[name] = service
    }

    /// A unit failed and its init system restarted it.
    mutating func restarted(_ event: Event, unit: String, on host: HostState) {
        let at = min(event.at, now)
        let reason = event.detail.isEmpty ? "reason unknown" : event.detail
        let (series, telling) = RestartSeries.observe(situation.restarts[unit], reason: reason, at: at, now: now)
        situation.restarts[unit] = series
        // Who hears of several services that the unit belongs to is told once.
        var told: Set<String> = []
        for name in (situation.members[unit] ?? []).sorted() {
            ensureService(name)
            let recipients = plan.recipients(of: name, routes: event.routes).filter { told.insert($0).inserted }
            var alert = Alert(
                reason: .unitRestarted, service: name, status: situation.services[name]?.status ?? .passing,
                subject: .init(host: host.name, unit: unit), detail: event.detail, at: at, now: now,
                others: situation.services[name]?.orderedProblems ?? [], recipients: recipients)
            switch telling {
            case .atOnce:
                tell(alert)
            case .gathered(let due):
                alert.reason = .unitRestartedOften
                alert.restarts = series
                tell(alert, due: due, gather: "restarts \(host.agent) \(unit) \(due)")
            }
        }
    }

    /// The decision, without what only a report brings.
    var decision: Decision { Decision(situation: situation, alerts: alerts, outbox: outbox) }

    // MARK: Helpers

    /// Gives the service the status that follows from its problems.
    private func settle(_ service: inout ServiceState, at: Timestamp) {
        let worst = service.problems.values.map { Status($0.problem.importance) }.max() ?? .passing
        if worst != service.status {
            service.status = worst
            service.since = at
        }
        if worst == .passing {
            service.incidentSince = nil
        } else if service.incidentSince == nil {
            service.incidentSince = service.problems.values.map(\.problem.since).min() ?? at
        }
    }

    private func reason(from before: Status, to after: Status, isNew: Bool, importance: Importance) -> Alert.Reason? {
        if before == .passing { return after == .passing ? nil : .newProblem }
        if after > before { return .worse }
        return isNew && Status(importance) == after ? .anotherProblem : nil
    }

    private mutating func tell(_ alert: Alert, due: Timestamp? = nil, gather: String? = nil) {
        alerts.append(alert)
        let text = AlertText(alert, plan: plan)
        for recipient in alert.recipients {
            outbox.append(
                OutgoingMessage(
                    service: alert.service, recipient: recipient, subject: text.subject, body: text.body, createdAt: now, dueAt: due ?? now,
                    gather: gather.map { "\($0) \(alert.service)" }))
        }
    }
}
