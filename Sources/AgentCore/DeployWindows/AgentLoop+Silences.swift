// Deploys, units that nobody wants watched, and units whose dependencies are down: who is told, and what is told when it is over.

import AgentAPI
import Platform
import RuleLanguage

/// Why nobody is told of a unit.
enum UnitSilence {
    case planned(Silences.Kind)
    /// A unit that it depends on is down.
    case dependency(String)
}

/// Silences that end in this cycle.
struct EndingSilences {
    var deploys: [Silences.Ending] = []
    var unmonitored: [Silences.Unmonitored] = []
    /// What was wrong before this cycle was judged, by unit: what begins in this cycle is told by itself.
    var wrongBefore: [String: Set<WatchedUnit.Concern>] = [:]
    var hostWrongBefore: Set<WatchedUnit.Concern> = []

    var isEmpty: Bool { deploys.isEmpty && unmonitored.isEmpty }

    /// Whether one of them covers a unit.
    func covers(where isNamed: (String) -> Bool) -> Bool {
        deploys.contains { $0.windows.contains { $0.unit.map(isNamed) ?? true } } || unmonitored.contains { $0.unit.map(isNamed) ?? true }
    }

    var coversHost: Bool { covers { _ in false } }
}

extension AgentLoop {
    func planned(silenceOf unit: WatchedUnit) -> Silences.Kind? {
        if silences.isEmpty { return nil }
        return silences.silence { name in unit.isNamed(name) || matches(unit.tracker.unit, pattern: name) }
    }

    func fullSilence(of unit: WatchedUnit) -> UnitSilence? {
        if let planned = planned(silenceOf: unit) { return .planned(planned) }
        return downDependency(of: unit).map(UnitSilence.dependency)
    }

    // MARK: Deploys and requests

    func endSilences(at now: Moment) -> EndingSilences {
        let over = silences.expire(at: now, grace: plan.cycle)
        var ending = EndingSilences(deploys: over.endings, unmonitored: over.unmonitored)
        guard !ending.isEmpty else { return ending }
        for unit in units { ending.wrongBefore[unit.key] = wrongs(of: unit) }
        ending.hostWrongBefore = hostWrongs
        return ending
    }

    /// Tells what is wrong now with all that was silent, whether it was before or died in the silence.
    func review(_ ending: EndingSilences, at now: Moment) {
        guard !ending.isEmpty else { return }
        var found: [String] = []
        for unit in units {
            let isCovered = ending.covers { unit.isNamed($0) || matches(unit.tracker.unit, pattern: $0) }
            guard isCovered, planned(silenceOf: unit) == nil else { continue }
            let wrong = wrongs(of: unit)
            tell(wrong.intersection(ending.wrongBefore[unit.key] ?? []), of: unit, at: now)
            found += words(wrong, of: unit)
        }
        if ending.coversHost, silences.ofHost == nil {
            tellHost(hostWrongs.intersection(ending.hostWrongBefore), at: now)
            for case .rule(let rule) in hostWrongs { found.append("the host: \(rule)") }
        }
        let result = found.isEmpty ? "all is well" : "not well: " + found.joined(separator: "; ")
        for deploy in ending.deploys {
            let who = deploy.windows.first?.owner ?? ""
            let how = deploy.hasRunOut ? "ran out, nobody finished it" : "finished"
            let subject = subject(deploy.windows.map(\.unit))
            record(
                Event(
                    kind: .deployFinished, at: now.wall, unit: subject.unit, detail: "deploy of \(subject.text) by \(who) \(how); \(result)",
                    routes: []))
        }
        for asked in ending.unmonitored {
            let subject = subject([asked.unit])
            record(
                Event(
                    kind: .monitoringResumed, at: now.wall, unit: subject.unit, detail: "\(subject.text) is monitored again; \(result)",
                    routes: []))
        }
    }

    /// What reports say of them.
    func reportedSilences(at now: Moment) -> [Silence] {
        if silences.isEmpty { return [] }
        func clock(_ uptime: Duration) -> Timestamp {
            // To the second: what is read from two clocks is never quite the same twice.
            Timestamp(seconds: (now.wall + (uptime - now.uptime) + .milliseconds(500)).seconds)
        }
        func silence(_ kind: Silence.Kind, _ subject: String?, _ owner: String, _ reason: String?, _ since: Timestamp, _ until: Duration?) -> Silence
        {
            let covered = subject.map { name in units.filter { $0.isNamed(name) || matches($0.tracker.unit, pattern: name) }.map(\.tracker.unit) }
            return Silence(
                kind: kind, subject: subject, units: covered ?? [], owner: owner, reason: reason, since: Timestamp(seconds: since.seconds),
                until: until.map(clock))
        }
        return silences.windows.map { silence(.deploy, $0.unit, $0.owner, $0.reason, $0.began, $0.ends) }
            + silences.endings.flatMap { ending in
                ending.windows.map { silence(.deploy, $0.unit, $0.owner, $0.reason, $0.began, ending.graceEnds) }
            } + silences.unmonitored.map { silence(.unmonitored, $0.unit, $0.owner, $0.reason, $0.began, $0.ends) }
    }

    /// A unit's own name, where it is about exactly one, and what to call it.
    func subject(_ names: [String?]) -> (unit: String?, text: String) {
        let named = names.compactMap(\.self)
        guard named.count == names.count, !named.isEmpty else { return (nil, "the host") }
        let unit = named.count == 1 ? units.first { $0.isNamed(named[0]) }?.tracker.unit : nil
        return (unit, named.joined(separator: ", "))
    }

    // MARK: What is wrong

    func wrongs(of unit: WatchedUnit) -> Set<WatchedUnit.Concern> {
        var wrong: Set<WatchedUnit.Concern> = []
        if unit.tracker.isDown { wrong.insert(.down) }
        if unit.stall.isStuck { wrong.insert(.stuck) }
        for evaluator in unit.rules where evaluator.isFailing { wrong.insert(.rule(evaluator.rule.text)) }
        return wrong
    }

    var hostWrongs: Set<WatchedUnit.Concern> {
        Set(host.rules.filter(\.isFailing).map { WatchedUnit.Concern.rule($0.rule.text) })
    }

    private func words(_ wrong: Set<WatchedUnit.Concern>, of unit: WatchedUnit) -> [String] {
        var words: [String] = []
        if wrong.contains(.down) { words.append("\(unit.tracker.unit) is down") }
        if wrong.contains(.stuck) { words.append("\(unit.tracker.unit) is stuck") }
        for evaluator in unit.rules where evaluator.isFailing { words.append("\(unit.tracker.unit): \(evaluator.rule.condition.text)") }
        return words
    }

    /// Says again what is still wrong.
    private func tell(_ wrong: Set<WatchedUnit.Concern>, of unit: WatchedUnit, at now: Moment) {
        let name = unit.tracker.unit
        if wrong.contains(.down) {
            let event = Event(
                kind: .unitDown, at: now.wall, unit: name, importance: .error, cause: .unknown, detail: "is still down: \(unit.lastDown)")
            record(event, of: unit, .begins(.down))
        }
        if wrong.contains(.stuck) {
            let event = Event(kind: .unitStuck, at: now.wall, unit: name, importance: .error, detail: "is still stuck")
            record(event, of: unit, .begins(.stuck))
        }
        for evaluator in unit.rules where evaluator.isFailing && wrong.contains(.rule(evaluator.rule.text)) {
            let rule = evaluator.rule
            let routes = rule.alertRoutes.map { $0 ?? unit.service.route }
            let event = ruleEvent(.ruleFailed, rule, unit: name, detail: "still \(rule.condition.text)", routes: routes, at: now)
            record(event, of: unit, .begins(.rule(rule.text)))
        }
    }

    private func tellHost(_ wrong: Set<WatchedUnit.Concern>, at now: Moment) {
        for evaluator in host.rules where evaluator.isFailing && wrong.contains(.rule(evaluator.rule.text)) {
            let rule = evaluator.rule
            let routes = rule.alertRoutes.map { $0 ?? plan.hostRoute }
            let event = ruleEvent(.ruleFailed, rule, unit: nil, detail: "still \(rule.condition.text)", routes: routes, at: now)
            record(event, of: nil, .begins(.rule(rule.text)))
        }
    }
}

// MARK: Dependencies

extension AgentLoop {
    /// The unit that is down and without which this one cannot work, if there is one; also a dependency's dependency.
    private func downDependency(of unit: WatchedUnit) -> String? {
        if unit.service.dependencies.isEmpty { return nil }
        var waiting = unit.service.dependencies
        var seen = Set(waiting)
        while let name = waiting.popLast() {
            for other in units where other !== unit && (other.service.name == name || other.isNamed(name)) {
                if other.tracker.isDown { return other.tracker.unit }
                for next in other.service.dependencies where seen.insert(next).inserted { waiting.append(next) }
            }
        }
        return nil
    }

    /// What is still wrong when the dependency has been back for a whole cycle is told: the unit had that long to find it again.
    func noticeDependencies(of unit: WatchedUnit, at now: Moment) {
        guard !unit.service.dependencies.isEmpty || unit.isWaitingForDependency else { return }
        if downDependency(of: unit) != nil {
            unit.isWaitingForDependency = true
            unit.dependencyIsBackSince = nil
        } else if unit.isWaitingForDependency {
            guard let since = unit.dependencyIsBackSince else {
                unit.dependencyIsBackSince = now.uptime
                return
            }
            guard now.uptime > since else { return }
            unit.isWaitingForDependency = false
            unit.dependencyIsBackSince = nil
            if planned(silenceOf: unit) == nil { tell(wrongs(of: unit).intersection(unit.untold), of: unit, at: now) }
        }
    }
}
