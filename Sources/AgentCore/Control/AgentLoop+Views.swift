// How everything is: for people, for programs, and for whoever wonders about a rule.

import AgentAPI
import Platform
import RuleLanguage

extension AgentLoop {
    /// A calm table: the host first, then the units, then the jobs.
    func statusAnswer(at now: Moment) -> AgentAnswer {
        var table = TextTable(["unit", "state", "since", "pid", "cpu", "memory", "failing"])
        for unit in units {
            let state = state(of: unit)
            let age = state.since == unit.tracker.since ? unit.tracker.age(at: now) : state.since.map { max(.zero, now.wall - $0) }
            table.add([
                title(of: unit), words(unit, state.phase), age.map(durationWords) ?? "",
                state.mainPID.map { "\($0)" } ?? "", amount(unit, "cpu:total") ?? "",
                amount(unit, "memory:total") ?? amount(unit, "memory:rss") ?? "", failing(unit),
            ])
        }
        var text = "rollcall-agent \(version), \(status)\n"
        let shown = host.samples.map { "\($0.metric) \(amountText($0.value, unit: unit(of: $0.metric, .host)))" }
        if !shown.isEmpty { text += "host: \(shown.joined(separator: ", "))\n" }
        for evaluator in host.rules where evaluator.isFailing { text += "host fails: \(evaluator.rule.text)\n" }
        for line in silenceLines(at: now) { text += line + "\n" }
        for (name, failure) in silentSources.all {
            text += "\(name) has not answered since \(failure.since.text(fraction: false)): \(failure.why)\n"
        }
        if let failure = runnerFailure {
            text += "no alert is sent and no daemon is asked since \(failure.since.text(fraction: false)): \(failure.why)\n"
        }
        for fault in missingMeans {
            text += "the agent may not do what the configuration needs: \(fault)" + (fault.help.map { "\n    \($0)" } ?? "") + "\n"
        }
        for pattern in emptyPatterns { text += "\(pattern.name) matches no unit at present\n" }
        if !units.isEmpty { text += "\n" + table.text }
        let recurring = jobs.states + timers.states
        if !recurring.isEmpty {
            var table = TextTable(["job", "last run", "next due", "state"])
            for job in recurring {
                table.add([job.name, job.lastRun?.text(fraction: false) ?? "never", job.due?.text(fraction: false) ?? "", words(job.state)])
            }
            text += "\n" + table.text
        }
        return AgentAnswer(text: text, json: everything(at: now))
    }

    /// In Inspeqtor's shape, with more: `exported_at`, `host{name,metrics}`, `services{NAME:{name,pid,metrics}}`.
    func exportAnswer(at now: Moment) -> AgentAnswer {
        let json = everything(at: now)
        return AgentAnswer(text: json.text + "\n", json: json)
    }

    func showAnswer(_ name: String?, _ text: String) -> AgentAnswer {
        var subject: String?
        if let name, name != "host" {
            switch unit(named: name) {
            case .success(let unit): subject = unit.tracker.unit
            case .failure(let refusal): return .refused(refusal.problem)
            }
        }
        let known = history.metrics(of: subject)
        guard let metric = known.first(where: { $0.description == text || $0.text == text }) else {
            let list = known.map(\.text).joined(separator: ", ")
            return .refused(
                "\(shortened(text, to: 200)) of \(subject ?? "the host") is not recorded"
                    + (list.isEmpty ? "; nothing has been measured yet" : "; there are \(list)"))
        }
        guard let sparkline = history.sparkline(of: metric, unit: subject), let values = history.values(of: metric, unit: subject) else {
            return .refused("\(metric.text) of \(subject ?? "the host") has not been measured yet")
        }
        return AgentAnswer(
            text: sparkline,
            json: [
                "unit": JSON(subject), "metric": .string(metric.description), "times": .array(history.times.map { .string($0.wall.text()) }),
                "values": .array(values.map { $0.map(JSON.number) ?? .null }),
            ])
    }

    func explainAnswer(_ name: String?, _ rule: String?, at now: Moment) -> AgentAnswer {
        var text = ""
        var list: [JSON] = []
        func explain(_ evaluators: [RuleEvaluator], of subject: String?, key: String?, isUp: Bool = true) {
            for evaluator in evaluators where rule.map({ evaluator.rule.text.contains($0) }) ?? true {
                let explanation = evaluator.explanation(at: now) { [sampler] metric in
                    isUp ? sampler.absence(of: metric, unit: key) : .failed("it is not up")
                }
                text += "\(subject ?? "host"): \(explanation.text)"
                list.append(.object([.init("unit", JSON(subject)), .init("explanation", explanation.json)]))
            }
        }
        func explain(_ unit: WatchedUnit) {
            if rule == nil { text += situation(of: unit) }
            explain(unit.rules, of: unit.tracker.unit, key: unit.key, isUp: unit.tracker.isUp)
        }
        switch name {
        case nil:
            explain(host.rules, of: nil, key: nil)
            for unit in units { explain(unit) }
            if rule == nil { for pattern in emptyPatterns { text += "\(pattern.name) matches no unit at present\n" } }
        case "host"?:
            if rule == nil, host.rules.isEmpty { text += "host: no rules\n" }
            explain(host.rules, of: nil, key: nil)
        case let name?:
            if let pattern = plan.services.first(where: { $0.kind == .pattern && $0.name == name }) {
                let found = units.filter { $0.isDiscovered && $0.service.name == pattern.name }
                if found.isEmpty { return AgentAnswer(text: "\(name) matches no unit at present\n", json: ["rules": []]) }
                for unit in found { explain(unit) }
            } else {
                switch unit(named: name) {
                case .success(let unit): explain(unit)
                case .failure(let refusal): return .refused(refusal.problem)
                }
            }
        }
        if let rule, list.isEmpty { return .refused("no rule holds `\(shortened(rule, to: 200))`") }
        guard !text.isEmpty else { return .refused("nothing is watched") }
        return AgentAnswer(text: text, json: ["rules": .array(list)])
    }
}

// MARK: A unit in words

extension AgentLoop {
    /// What is known of a unit besides its rules: how it is, since when and why, and which other checks it has to do with.
    private func situation(of unit: WatchedUnit) -> String {
        let state = state(of: unit)
        var line = "\(title(of: unit)): \(words(unit, state.phase))"
        if let since = state.since { line += " since \(since.text(fraction: false))" }
        if let pid = state.mainPID { line += ", main process \(pid)" }
        var reasons: [String] = []
        if !unit.tracker.isUp, !unit.lastDown.isEmpty { reasons.append(unit.lastDown) }
        if !state.detail.isEmpty, !reasons.contains(where: { $0.contains(state.detail) }) {
            reasons.append(state.initSystem.isEmpty ? state.detail : "\(state.initSystem) says \(state.detail)")
        }
        if !reasons.isEmpty { line += "; " + reasons.joined(separator: "; ") }
        let lines =
            [line] + (speakers(of: unit).map { ["  \($0)"] } ?? []) + kindLines(of: unit).map { "  \($0)" } + relations(of: unit).map { "  \($0)" }
            + (unit.rules.isEmpty ? ["  no rules: you are alerted when it goes down"] : [])
        return lines.map { $0.onOneLine + "\n" }.joined()
    }

    /// What its kind means for what can be told of it.
    private func kindLines(of unit: WatchedUnit) -> [String] {
        guard let seen = unit.tracker.observation, seen.presence == .present else { return [] }
        switch seen.nature {
        case .marker:
            let advice = seen.parts.isEmpty ? "watch what it starts" : "watch \(seen.parts.prefix(5).joined(separator: ", "))"
            return ["it has no process of its own, so this check cannot tell whether anything lives: \(advice)"]
        case .batch:
            let by = seen.activation.map { " (started by \($0.by))" } ?? ""
            return ["it runs and ends\(by): between two runs it is idle, and each run that fails is reported"]
        case .daemon, .passive:
            guard let activation = seen.activation else { return [] }
            return ["\(activation.by) starts it when it is needed: while that is active it may be idle, and only its failure is reported"]
        }
    }

    private func relations(of unit: WatchedUnit) -> [String] {
        let name = unit.tracker.unit
        func at(_ service: WatchPlan.Service) -> String { service.place.isEmpty ? "" : " at \(service.place)" }
        if unit.isDiscovered { return ["found by the check `\(unit.service.name)`\(at(unit.service))"] }
        var lines: [String] = []
        let others = checks(ofUnit: name).filter { $0 !== unit }
        if unit.isAlias {
            let also = others.map { "as `\($0.service.name)`\(at($0.service))" }.joined(separator: ", ")
            lines.append("`\(unit.service.name)` is another name of \(name)" + (also.isEmpty ? "" : ", which is also checked \(also)"))
        } else {
            lines += others.map { "also checked as `\($0.service.name)`\(at($0.service)), which is another name of it" }
        }
        for pattern in plan.services where pattern.kind == .pattern && matches(name, pattern: pattern.name) {
            lines.append("`\(pattern.name)`\(at(pattern)) matches it too: that check's rules and owner do not apply to it")
        }
        return lines
    }

    /// The unit's own name; with the name by which it is checked where that is another one.
    private func title(of unit: WatchedUnit) -> String {
        unit.isAlias ? "\(unit.tracker.unit) (\(unit.service.name))" : unit.tracker.unit
    }

    /// Patterns without a unit at present.
    private var emptyPatterns: [WatchPlan.Service] {
        plan.services.filter { service in
            service.kind == .pattern && !units.contains { $0.service.name == service.name || matches($0.tracker.unit, pattern: service.name) }
        }
    }

    /// Of the rules that fail, what is compared with what; `explain` has the whole rules.
    private func failing(_ unit: WatchedUnit) -> String {
        let conditions = unit.rules.filter(\.isFailing).map { shortened($0.rule.condition.text, to: 48) }
        let shown = conditions.prefix(2).joined(separator: "; ")
        return conditions.count > 2 ? "\(shown); \(conditions.count - 2) more" : shown
    }

    /// The name of a unit in the list of all; a second check of one unit has its own name.
    private func exportNames() -> [String] {
        guard units.contains(where: \.isAlias) else { return units.map(\.tracker.unit) }
        var taken = Set(units.filter { !$0.isAlias }.map(\.tracker.unit))
        return units.map { unit in
            guard unit.isAlias else { return unit.tracker.unit }
            return taken.insert(unit.tracker.unit).inserted ? unit.tracker.unit : unit.service.name
        }
    }
}

extension String {
    /// Without the line breaks that evidence has.
    fileprivate var onOneLine: String { String(map { $0.isNewline ? " " : $0 }) }
}

// MARK: Parts

extension AgentLoop {
    private func words(_ unit: WatchedUnit, _ phase: UnitState.Phase) -> String {
        switch planned(silenceOf: unit) {
        case nil: phase.rawValue
        case .deploy: "\(phase.rawValue), deploy"
        case .unmonitored: "\(phase.rawValue), unmonitored"
        }
    }

    /// Who answers for a unit that several init systems know, and which others cannot be asked about it; `nil` when that needs no words.
    private func speakers(of unit: WatchedUnit) -> String? {
        // Of a unit of which nothing is known, that is said already.
        guard doubt(about: unit) == nil else { return nil }
        let silent = unit.candidates.compactMap { name in
            silentSources.failure(of: name, isHidden: unit.answers[name]?.presence == .hidden).map { "\(name) cannot be asked: \($0.why)" }
        }
        let words = ([unit.speakers] + silent).filter { !$0.isEmpty }
        return words.isEmpty ? nil : words.joined(separator: "; ")
    }

    private func amount(_ unit: WatchedUnit, _ metric: String) -> String? {
        unit.samples.first { $0.metric == metric }.map { amountText($0.value, unit: self.unit(of: metric, .service)) }
    }

    private func unit(of metric: String, _ subject: Metric.Subject) -> Metric.Unit {
        let parts = metric.split(separator: ":", maxSplits: 1)
        let name = MetricName(String(parts.first ?? ""), parts.count > 1 ? String(parts[1]) : nil)
        return Metric.named(name, of: subject)?.unit ?? .count
    }

    private func silenceLines(at now: Moment) -> [String] {
        func until(_ uptime: Duration) -> String { (now.wall + (uptime - now.uptime)).text(fraction: false) }
        let deploys = silences.windows.map { window in
            "deploy of \(window.unit ?? "the host") by \(window.owner) until \(until(window.ends)) at most" + (window.reason.map { ": \($0)" } ?? "")
        }
        let asked = silences.unmonitored.map { asked in
            "\(asked.unit ?? "the host") is not monitored" + (asked.ends.map { " until \(until($0))" } ?? "") + ", as \(asked.owner) asked"
                + (asked.reason.map { ": \($0)" } ?? "")
        }
        return deploys + asked
    }

    private func everything(at now: Moment) -> JSON {
        .object([
            .init("exported_at", .string(now.wall.text(fraction: false))),
            .init("version", .string(version)),
            .init(
                "host",
                [
                    "name": .string(hostname), "metrics": metrics(host.samples),
                    "failing_rules": .array(host.rules.filter(\.isFailing).map { .string($0.rule.text) }),
                ]),
            .init("services", .object(zip(exportNames(), units).map { .init($0, service($1, at: now)) })),
            .init("jobs", .array((jobs.states + timers.states).map(\.json))),
            .init("patterns_without_units", .array(emptyPatterns.map { .string($0.name) })),
            .init("silences", silences.json(at: now)),
            .init(
                "missing_means",
                .array(missingMeans.map { ["place": .string("\($0.file):\($0.line)"), "problem": .string($0.message), "help": JSON($0.help)] })),
            .init(
                "failed_sources",
                .array((silentSources.all.map(\.name) + (runnerFailure == nil ? [] : ["rollcall-runner"])).sorted().map(JSON.string))),
        ])
    }

    private func service(_ unit: WatchedUnit, at now: Moment) -> JSON {
        let state = state(of: unit)
        let action = actions?.state(of: unit.key)
        return .object([
            .init("name", .string(state.name)), .init("check", .string(unit.service.name)),
            .init("pid", state.mainPID.map { .integer(Int64($0)) } ?? .null),
            .init("metrics", metrics(unit.samples)), .init("init", .string(state.initSystem)), .init("state", .string(state.phase.rawValue)),
            .init("detail", .string(state.detail)), .init("since", JSON(state.since?.text())), .init("restarts", .integer(Int64(unit.restarts))),
            .init("stuck", .bool(unit.stall.isStuck)), .init("silent", .bool(planned(silenceOf: unit) != nil)),
            .init("acting", .bool(action?.isActing ?? false)),
            .init("actions_suspended_until", JSON(action?.suspendedUntil.map { (now.wall + ($0 - now.uptime)).text() })),
            .init("failing_rules", .array(state.failingRules.map(JSON.string))),
        ])
    }

    private func metrics(_ samples: [Sample]) -> JSON { .object(samples.map { .init($0.metric, .number($0.value)) }) }
}
