// How everything is: for people, for programs, and for whoever wonders about a rule.

import AgentAPI
import Platform
import RuleLanguage

extension AgentLoop {
    /// A calm table: the host first, then the units.
    func statusAnswer(at now: Moment) -> AgentAnswer {
        var table = TextTable(["unit", "state", "since", "pid", "cpu", "memory", "failing"])
        for unit in units {
            let state = state(of: unit)
            let age = state.since == unit.tracker.since ? unit.tracker.age(at: now) : state.since.map { max(.zero, now.wall - $0) }
            table.add([
                state.name, words(unit, state.phase), age.map(durationWords) ?? "",
                state.mainPID.map { "\($0)" } ?? "", amount(unit, "cpu:total") ?? "",
                amount(unit, "memory:total") ?? amount(unit, "memory:rss") ?? "", state.failingRules.joined(separator: "; "),
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
        if !units.isEmpty { text += "\n" + table.text }
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
        if let name, name != "host" {
            switch unit(named: name) {
            case .success(let unit):
                if rule == nil, let words = speakers(of: unit) { text += "\(unit.tracker.unit): \(words)\n" }
                explain(unit.rules, of: unit.tracker.unit, key: unit.key, isUp: unit.tracker.isUp)
            case .failure(let refusal): return .refused(refusal.problem)
            }
        } else {
            explain(host.rules, of: nil, key: nil)
            if name == nil { for unit in units { explain(unit.rules, of: unit.tracker.unit, key: unit.key, isUp: unit.tracker.isUp) } }
        }
        guard !text.isEmpty else { return .refused(rule.map { "no rule holds `\(shortened($0, to: 200))`" } ?? "there are no rules") }
        return AgentAnswer(text: text, json: ["rules": .array(list)])
    }
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

    /// Who answers for a unit, and which init systems cannot be asked about it; `nil` when nothing has been heard.
    private func speakers(of unit: WatchedUnit) -> String? {
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
            .init("services", .object(units.map { .init($0.tracker.unit, service($0, at: now)) })),
            .init("silences", silences.json(at: now)),
            .init("failed_sources", .array(silentSources.all.map { .string($0.name) })),
        ])
    }

    private func service(_ unit: WatchedUnit, at now: Moment) -> JSON {
        let state = state(of: unit)
        let action = actions?.state(of: unit.key)
        return .object([
            .init("name", .string(state.name)), .init("pid", state.mainPID.map { .integer(Int64($0)) } ?? .null),
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
