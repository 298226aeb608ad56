// Numbers, and the rules that they are judged by.

import AgentAPI
import Platform
import RuleLanguage

extension AgentLoop {
    func sampleHost(at now: Moment) {
        var values = sampler.sampleHost(host.metrics.sampled)
        for own in host.metrics.own { values.append(own == .lateness ? lateness.inSeconds : nil) }
        host.values = values
        host.samples = host.metrics.samples(values)
        history.record(values, of: host.metrics.all, unit: nil)
        guard silences.ofHost == nil else {
            for index in host.rules.indices { host.rules[index].startAnew() }
            return
        }
        let list = host.metrics.sampled
        let ruled = host.metrics.ruled.filter { $0 < list.keys.count }.map { index in
            (key: list.keys[index], isMeasured: index < values.count && values[index] != nil)
        }
        let outcome = host.sources.observe(ruled) { [sampler] key in
            list.keys.firstIndex(of: key).map { sampler.absence(of: list.metrics[$0], unit: nil) } ?? .notYet
        }
        recordSource(outcome, of: nil, concern: .source("metrics"), at: now)
        for index in host.rules.indices {
            let outcome = host.rules[index].observe(values, of: host.metrics.all, at: now)
            if outcome != .none { take(outcome, of: host.rules[index], unit: nil, at: now) }
        }
    }

    func sample(_ unit: WatchedUnit, at now: Moment) {
        let isSilent = planned(silenceOf: unit) != nil
        noticeDependencies(of: unit, at: now)
        guard unit.tracker.isUp else {
            tell(nil, of: unit)
            // A unit that is not up has no numbers, and only rules about that can be judged.
            // At rest it is neither up nor down, and while nothing is known of it neither is known.
            let isKnown = unit.tracker.wasSeen && doubt(about: unit) == nil
            let up: Double? = unit.tracker.isAtRest || !isKnown ? nil : 0
            unit.values = unit.metrics.all.keys.map { $0 == "up" ? up : $0 == "restarts" ? Double(unit.restarts) : nil }
            if isSilent { return startAnew(unit) }
            for index in unit.rules.indices {
                if unit.rules[index].judgesWhenDown { judge(index, of: unit, [], at: now) } else { unit.rules[index].forgetReadings() }
            }
            return
        }
        let sampled = SampledUnit(key: unit.key, process: unit.tracker.mainProcess, cgroup: unit.tracker.cgroup)
        var values = sampler.sample(sampled, unit.metrics.sampled)
        for own in unit.metrics.own { values.append(value(own, of: unit, at: now)) }
        unit.values = values
        history.record(values, of: unit.metrics.all, unit: unit.tracker.unit)
        lookAtMainProcess(of: unit, at: now)
        if isSilent { return startAnew(unit) }
        noticeFailingSources(of: unit, at: now)
        let workers = unit.metrics.ofWorkers.map { sampler.sampleWorkers(of: sampled, $0) } ?? []
        for index in unit.rules.indices { judge(index, of: unit, workers, at: now) }
    }

    private func startAnew(_ unit: WatchedUnit) {
        for index in unit.rules.indices { unit.rules[index].startAnew() }
    }

    private func judge(_ index: Int, of unit: WatchedUnit, _ workers: [WorkerSamples], at now: Moment) {
        let outcome = unit.rules[index].observe(unit.values, of: unit.metrics.all, workers: workers, of: unit.metrics.ofWorkers, at: now)
        if outcome != .none { take(outcome, of: unit.rules[index], unit: unit, at: now) }
    }

    private func value(_ own: SubjectMetrics.Own, of unit: WatchedUnit, at now: Moment) -> Double? {
        switch own {
        case .up: doubt(about: unit) == nil ? 1 : nil
        case .uptime: unit.tracker.runBegan.map { max(0, (now.uptime - $0).inSeconds) }
        case .restarts: Double(unit.restarts)
        case .lateness: nil
        case .daemon(let source, let key):
            source < unit.service.sources.count
                ? daemons[unit.service.sources[source].id]?.value(key, at: now.uptime, interval: plan.cycle) : nil
        }
    }
}

// MARK: What comes of it

extension AgentLoop {
    private func take(_ outcome: RuleEvaluator.Outcome, of evaluator: RuleEvaluator, unit: WatchedUnit?, at now: Moment) {
        let rule = evaluator.rule
        let owner = unit == nil ? plan.hostRoute : unit?.service.route
        switch outcome {
        case .none: return
        case .failed(let words):
            let routes = rule.alertRoutes.map { $0 ?? owner }
            let event = ruleEvent(.ruleFailed, rule, unit: unit?.tracker.unit, detail: words, routes: routes, at: now)
            if let unit, let evidence, let cgroup = unit.tracker.cgroup, rule.watchesKills {
                askWhatWasKilled(WaitingFailure(event: event, unit: unit, rule: rule.text), rule, in: cgroup, evidence)
            } else {
                record(event, of: unit, .begins(.rule(rule.text)))
            }
            actions?.run(rule, on: unit?.key ?? hostKey, routes: routes)
        case .recovered(let words):
            let routes = rule.recoveryRoutes.map { $0 ?? owner }
            let event = ruleEvent(.ruleRecovered, rule, unit: unit?.tracker.unit, detail: words, routes: routes, at: now)
            record(event, of: unit, .ends(.rule(rule.text)))
            actions?.run(rule, on: unit?.key ?? hostKey, isRecovery: true, routes: routes)
        }
    }

    /// An event that calls somebody has an importance. A rule that only reloads or restarts has none: its event is in the history, and
    /// nobody is woken for it.
    func ruleEvent(_ kind: Event.Kind, _ rule: Rule, unit: String?, detail: String, routes: [String?], at now: Moment) -> Event {
        Event(
            kind: kind, at: now.wall, unit: unit, rule: rule.text, importance: rule.alertRoutes.isEmpty ? nil : rule.importance ?? .error,
            detail: detail, routes: routes)
    }

    /// The evaluators of `rules`, with the history of those that were there before. An episode of a rule that is gone has ended.
    func continued(_ evaluators: [RuleEvaluator], as rules: [Rule], of unit: WatchedUnit?, route: String?) -> [RuleEvaluator] {
        var old = evaluators
        let next = rules.map { rule in
            guard let index = old.firstIndex(where: { $0.rule.judgement == rule.judgement }) else {
                return RuleEvaluator(rule: rule, of: unit == nil ? .host : .service, cycle: plan.cycle)
            }
            return old.remove(at: index).continued(with: rule)
        }
        let now = time.now()
        for evaluator in old where evaluator.isFailing {
            let rule = evaluator.rule
            let detail = "\(rule.condition.text) is not checked any longer"
            let routes = rule.recoveryRoutes.map { $0 ?? route }
            let event = ruleEvent(.ruleRecovered, rule, unit: unit?.tracker.unit, detail: detail, routes: routes, at: now)
            record(event, of: unit, .ends(.rule(rule.text)))
        }
        return next
    }

    private func lookAtMainProcess(of unit: WatchedUnit, at now: Moment) {
        if unit.tracker.observation?.isFrozen ?? false { return noticeStall(.frozen, of: unit, at: now) }
        guard unit.tracker.mainProcess != nil else { return noticeStall(unit.stall.isStuck ? .running : nil, of: unit, at: now) }
        let main = sampler.mainProcess(of: unit.key)
        tell(main?.execMark, of: unit)
        noticeStall(main.map { Stall.State($0.state) }, of: unit, at: now)
    }

    /// Says what tells of an exec, if that is news.
    private func tell(_ mark: ExecMark?, of unit: WatchedUnit) {
        guard mark != unit.execMark else { return }
        unit.execMark = mark
        sink.mainProcess(of: unit.tracker.unit, hasMark: mark)
    }

    private func noticeStall(_ state: Stall.State?, of unit: WatchedUnit, at now: Moment) {
        switch unit.stall.observe(state, at: now.uptime) {
        case .none: return
        case .stuck(let words):
            let event = Event(kind: .unitStuck, at: now.wall, unit: unit.tracker.unit, importance: .error, detail: words)
            record(event, of: unit, .begins(.stuck))
        case .unstuck:
            let event = Event(kind: .unitUnstuck, at: now.wall, unit: unit.tracker.unit, detail: "is running again")
            record(event, of: unit, .ends(.stuck))
        }
    }

    private func noticeFailingSources(of unit: WatchedUnit, at now: Moment) {
        guard !unit.metrics.ruled.isEmpty else { return }
        let list = unit.metrics.sampled
        let ruled = unit.metrics.ruled.lazy.filter { $0 < list.keys.count }.map { index in
            (key: list.keys[index], isMeasured: index < unit.values.count && unit.values[index] != nil)
        }
        let outcome = unit.sources.observe(ruled) { key in
            list.keys.firstIndex(of: key).map { sampler.absence(of: list.metrics[$0], unit: unit.key) } ?? .notYet
        }
        recordSource(outcome, of: unit, concern: .source("metrics"), at: now)
    }

    func recordSource(_ outcome: FailingSources.Outcome, of unit: WatchedUnit?, concern: WatchedUnit.Concern, at now: Moment) {
        switch outcome {
        case .none: return
        case .failed(let words):
            let event = Event(
                kind: .sourceFailed, at: now.wall, unit: unit?.tracker.unit, importance: .error, detail: words, routes: [plan.hostRoute])
            record(event, of: unit, .begins(concern))
        case .recovered(let words):
            let event = Event(kind: .sourceRecovered, at: now.wall, unit: unit?.tracker.unit, detail: words, routes: [plan.hostRoute])
            record(event, of: unit, .ends(concern))
        }
    }
}

// MARK: What was killed

/// A failure of a rule that is recorded as soon as the kernel's log has said what was killed, or soon without that.
struct WaitingFailure {
    var event: Event
    var unit: WatchedUnit
    /// Its text.
    var rule: String
}

extension AgentLoop {
    /// An event is held back for so long at most.
    private static let killPatience = Duration.seconds(1)

    private func askWhatWasKilled(_ failure: WaitingFailure, _ rule: Rule, in cgroup: String, _ evidence: any EvidenceReader) {
        waitingFailures.append(failure)
        let age = plan.cycle * 2 + rule.persistence.length(cycle: plan.cycle) + .seconds(5)
        evidence.kills(in: cgroup, within: age, deadline: Self.killPatience) { [weak self] killed in
            let words = killed.isEmpty ? "the kernel's log does not say which process" : "the kernel killed \(killed.joined(separator: ", "))"
            self?.recordWaitingFailures(adding: words) { $0.unit === failure.unit && $0.event == failure.event }
        }
    }

    /// Records failures that wait: it is known what was killed, or their end must not come before them.
    func recordWaitingFailures(adding words: String? = nil, where isMeant: (WaitingFailure) -> Bool) {
        let ready = waitingFailures.filter(isMeant)
        guard !ready.isEmpty else { return }
        waitingFailures.removeAll(where: isMeant)
        for failure in ready {
            var event = failure.event
            if let words { event.detail += "; \(words)" }
            record(event, of: failure.unit, .begins(.rule(failure.rule)))
        }
    }
}

extension Persistence {
    /// How long the condition has held when the rule fails, or longer.
    fileprivate func length(cycle: Duration) -> Duration {
        switch self {
        case .cycles(let cycles): cycle * max(0, min(cycles, 100_000))
        case .time(let time): time
        case .times(_, let cycles): cycle * max(0, min(cycles, 100_000))
        }
    }
}

extension Rule {
    /// Whether it judges how many processes the kernel kills for their memory.
    fileprivate var watchesKills: Bool {
        condition.comparisons.contains { $0.metric == MetricName("memory", "oom_kills") && [.above, .atLeast].contains($0.operator) }
    }

    /// Who hears that an episode is over: who heard that it began, and who asked for it.
    fileprivate var recoveryRoutes: [String?] {
        var routes = alertRoutes
        for action in recoveryActions {
            if case .alert(let route) = action.kind, !routes.contains(route) { routes.append(route) }
        }
        return routes
    }
}
