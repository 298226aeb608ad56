// What a rule sees and what it waits for, for whoever asks why it does or does not fire.

public import Platform
public import RuleLanguage

/// How one rule stands.
public struct RuleExplanation: Equatable, Sendable {
    /// One comparison, as the last cycle saw it.
    public struct Reading: Equatable, Sendable {
        /// `memory:total > 80%`
        public var comparison: String
        /// `nil` when it could not be measured. Of workers it is that of the one for which it holds, else of the first.
        public var value: Double?
        /// `85.2% (435.0m of 510.6m)`
        public var text: String
        public var worker: Int32?
        public var holds: Bool?
        /// Why there is no value.
        public var absence: String?
    }

    public enum State: Equatable, Sendable {
        /// It would be judged at another time of the week.
        case outsideItsHours
        /// An episode lasts, since an instant as far as that is known.
        case failing(since: Timestamp?)
        /// The condition holds, and not for long enough yet.
        case holding
        case fine
        /// Whether the condition holds cannot be said.
        case unknown
    }

    /// The rule as its file says it.
    public var rule: String
    public var importance: Importance
    public var readings: [Reading]
    public var state: State
    /// Whether it is not judged at present; an episode that lasts is kept until it is judged again.
    public var isOutsideItsHours: Bool
    /// `for 2 of 3 cycles`: for how long the condition has held, or during an episode what clears it; `nil` when it has not.
    public var progress: String?
    /// What is missing until it fires, or until an episode is over: `1 more cycle`, `20s more`.
    public var missing: String
}

extension RuleEvaluator {
    /// How the rule stands after the last cycle.
    /// - Parameter absence: why a metric could not be measured, from who measures it.
    public func explanation(at now: Moment, absence: (MetricName) -> Absence? = { _ in nil }) -> RuleExplanation {
        let isOpenNow = compiled.isOpen.map { $0(now.wall) } ?? true
        let state: RuleExplanation.State =
            if isFailing {
                .failing(since: failingSince)
            } else if !isOpenNow {
                .outsideItsHours
            } else {
                switch holds {
                case nil: .unknown
                case true?: .holding
                case false?: .fine
                }
            }
        let progress = isFailing ? clearing.progress(in: compiled.clearPersistence) : failure.progress(in: rule.persistence)
        let missing = isFailing ? clearing.missing(in: compiled.clearPersistence) : failure.missing(in: rule.persistence)
        return RuleExplanation(
            rule: rule.text, importance: importance, readings: compiled.terms.indices.map { reading($0, absence) }, state: state,
            isOutsideItsHours: !isOpenNow, progress: progress, missing: missing)
    }

    private func reading(_ index: Int, _ absence: (MetricName) -> Absence?) -> RuleExplanation.Reading {
        let term = compiled.terms[index]
        let comparison = compiled.comparisons[index]
        let worker = term.isOfWorkers ? grounds(.term(index)).first?.worker ?? workers.first : nil
        let value = term.isOfWorkers ? worker.flatMap { index < $0.readings.count ? $0.readings[index] : nil } : readings[index]
        return .init(
            comparison: Condition.comparison(comparison).text, value: value,
            text: value == nil ? "unknown" : readingText(of: index, worker: worker), worker: worker?.process.pid, holds: holds(index),
            absence: value == nil ? whyAbsent(term, comparison, worker, absence) : nil)
    }

    private func whyAbsent(
        _ term: CompiledRule.Term, _ comparison: Comparison, _ worker: Worker?, _ absence: (MetricName) -> Absence?
    ) -> String {
        if term.isOfWorkers, worker == nil { return "it has no workers, or they cannot be seen" }
        let inputs = worker?.inputs ?? inputs
        let isMeasured = term.source < inputs.count && inputs[term.source] != nil
        if let limit = term.limit, isMeasured, self.inputs[limit] == nil {
            return "\(compiled.metrics[limit]), of which it is a part, is unknown" + words(absence(compiled.metrics[limit]), before: ": ")
        }
        if isMeasured, term.isRate { return "a rate needs two looks at a value that grows" }
        let why = words(absence(comparison.metric), before: "")
        return why.isEmpty ? "it was not measured in the last cycle" : why
    }

    private func words(_ absence: Absence?, before: String) -> String {
        switch absence {
        case nil: ""
        case .notYet: before + "it needs a second look"
        case .nothing: before + "there is nothing to measure"
        case .failed(let why): before + why
        }
    }
}

extension Holding {
    fileprivate func progress(in persistence: Persistence) -> String? {
        guard count > 0 else { return nil }
        return switch persistence {
        case .cycles(let cycles): "for \(count) of \(cycles) \(cycles == 1 ? "cycle" : "cycles")"
        case .time(let time): "for \(durationText(held.rounded)) of \(durationText(time))"
        case .times(let times, let cycles): "\(count) of \(times) times within \(cycles) cycles"
        }
    }

    fileprivate func missing(in persistence: Persistence) -> String {
        switch persistence {
        case .cycles(let cycles): more(cycles - count, "cycle")
        case .time(let time): count == 0 ? durationText(time) : "\(durationText(max(.zero, time - held).rounded)) more"
        case .times(let times, _): more(times - count, "time")
        }
    }

    private func more(_ number: Int, _ noun: String) -> String {
        "\(max(1, number))\(count > 0 ? " more" : "") \(noun)\(number > 1 ? "s" : "")"
    }
}

extension Duration {
    fileprivate var rounded: Duration { .seconds(Int64(inSeconds.rounded())) }
}

// MARK: Text and JSON

extension RuleExplanation {
    /// Several lines for a person, each with its newline.
    public var text: String {
        var lines = [rule]
        for reading in readings {
            let whose = reading.worker.map { " (worker \($0))" } ?? ""
            let verdict = reading.holds.map { $0 ? "holds" : "does not hold" } ?? "unknown"
            lines.append("  \(reading.comparison): \(verdict)" + (reading.absence.map { ", \($0)" } ?? ", it is \(reading.text)\(whose)"))
        }
        lines.append("  " + sentence)
        return lines.joined(separator: "\n") + "\n"
    }

    private var sentence: String {
        switch state {
        case .outsideItsHours: "outside its hours: not judged now"
        case .failing(let since):
            "failing\(since.map { " since \($0.text(fraction: false))" } ?? ""); "
                + (progress.map { "clear \($0), over after \(missing)" } ?? "over when it is clear for \(missing)")
                + (isOutsideItsHours ? "; outside its hours: not judged now" : "")
        case .holding: "\(progress.map { "holds \($0)" } ?? "holds"); fires after \(missing)"
        case .fine: progress.map { "held \($0); fires after \(missing)" } ?? "fires when it holds for \(missing)"
        case .unknown:
            "cannot be judged now" + (progress.map { "; held \($0) before" } ?? "")
        }
    }

    public var json: JSON {
        var members: [JSON.Member] = [
            .init("rule", .string(rule)), .init("importance", .string(importance.rawValue)), .init("state", .string(word)),
        ]
        if case .failing(let since?) = state { members.append(.init("since", .string(since.text(fraction: false)))) }
        members.append(
            .init(
                "readings",
                .array(
                    readings.map { reading in
                        .object([
                            .init("comparison", .string(reading.comparison)), .init("value", reading.value.map { .number($0) } ?? .null),
                            .init("worker", reading.worker.map { .integer(Int64($0)) } ?? .null),
                            .init("holds", reading.holds.map { .bool($0) } ?? .null), .init("absence", JSON(reading.absence)),
                        ])
                    })))
        members += [.init("outside_its_hours", .bool(isOutsideItsHours)), .init("progress", JSON(progress)), .init("missing", .string(missing))]
        return .object(members)
    }

    private var word: String {
        switch state {
        case .outsideItsHours: "outside_its_hours"
        case .failing: "failing"
        case .holding: "holding"
        case .fine: "fine"
        case .unknown: "unknown"
        }
    }
}
