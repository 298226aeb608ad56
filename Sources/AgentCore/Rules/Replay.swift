// What rules would have done: they are judged by samples that were recorded before.

public import Platform
public import RuleLanguage

/// The rules of a configuration, judged by a recording.
public struct Replay: Equatable, Sendable {
    /// From failing to recovering.
    public struct Episode: Equatable, Sendable {
        public var failed: Timestamp
        public var failure: String
        /// `nil` when it still lasted at the end.
        public var recovered: Timestamp?
        public var recovery: String?
    }

    /// One rule of one unit, or of the host.
    public struct Judgement: Equatable, Sendable {
        /// `nil` for the host.
        public var unit: String?
        public var rule: String
        public var file: String
        public var place: Place
        public var importance: Importance
        public var episodes: [Episode]
        /// Why it cannot be judged by this recording.
        public var obstacle: String?
    }

    public var cycles: Int
    public var first: Timestamp?
    public var last: Timestamp?
    /// Rules of the host, then those of the services in the order of the configuration.
    public var judgements: [Judgement]
    /// Services of the configuration of which nothing was recorded.
    public var unrecorded: [String]

    public init(_ configuration: AgentConfiguration, by recording: Recording) {
        cycles = recording.times.count
        (first, last) = (recording.times.first?.wall, recording.times.last?.wall)
        let cycle = usualStep(of: recording.times)
        judgements = []
        unrecorded = []
        if let host = configuration.host, let subject = recording[nil] {
            judgements += host.rules.map { judge($0, of: .host, by: subject, recording.times, cycle, file: host.file) }
        }
        for service in configuration.services {
            let subjects = recording.subjects.filter { subject in subject.unit.map { service.covers($0) } ?? false }
            if subjects.isEmpty { unrecorded.append(service.name) }
            for subject in subjects {
                judgements += service.rules.map { judge($0, of: .service, by: subject, recording.times, cycle, file: service.file) }
            }
        }
    }
}

private func judge(
    _ rule: Rule, of kind: Metric.Subject, by subject: Recording.Subject, _ times: [Moment], _ cycle: Duration?, file: String
) -> Replay.Judgement {
    var evaluator = RuleEvaluator(rule: rule, of: kind, cycle: cycle)
    var judgement = Replay.Judgement(
        unit: subject.unit, rule: rule.text, file: file, place: rule.place, importance: evaluator.importance, episodes: [])
    let list = MetricList(subject.series.map(\.metric))
    let absent = evaluator.metrics.filter { list.index(of: $0) == nil }
    if !evaluator.workerMetrics.isEmpty {
        judgement.obstacle = "workers are not recorded"
    } else if let absent = absent.first {
        judgement.obstacle = "\(absent) was not recorded"
    }
    guard judgement.obstacle == nil else { return judgement }
    let uptime = list.index(of: MetricName("uptime"))
    var uptimeBefore: Double?
    for (index, moment) in times.enumerated() {
        let values = subject.series.map { index < $0.values.count ? $0.values[index] : nil }
        if let uptime, kind == .service, let now = values[uptime] {
            // It has been restarted in between.
            if let uptimeBefore, now < uptimeBefore { evaluator.startAnew() }
            uptimeBefore = now
        }
        switch evaluator.observe(values, of: list, at: moment) {
        case .none: break
        case .failed(let text): judgement.episodes.append(.init(failed: moment.wall, failure: text))
        case .recovered(let text):
            guard let last = judgement.episodes.indices.last else { break }
            judgement.episodes[last].recovered = moment.wall
            judgement.episodes[last].recovery = text
        }
    }
    return judgement
}

/// How far apart the cycles are, most of the time.
private func usualStep(of times: [Moment]) -> Duration? {
    let steps = zip(times, times.dropFirst()).map { $1.uptime - $0.uptime }.filter { $0 > .zero }.sorted()
    return steps.isEmpty ? nil : steps[steps.count / 2]
}

// MARK: Text and JSON

extension Replay {
    /// Lines for a person, each with its newline.
    public var text: String {
        guard let first, let last else { return "nothing was recorded\n" }
        var lines = ["\(plural(cycles, "cycle")), \(first.text(fraction: false)) to \(last.text(fraction: false))"]
        for judgement in judgements {
            lines.append("\(judgement.unit ?? "host"): \(judgement.rule)")
            if let obstacle = judgement.obstacle {
                lines.append("  cannot be judged: \(obstacle)")
            } else if judgement.episodes.isEmpty {
                lines.append("  would not have failed")
            }
            for episode in judgement.episodes {
                lines.append("  failed    \(episode.failed.text(fraction: false)): \(episode.failure)")
                if let recovered = episode.recovered, let recovery = episode.recovery {
                    lines.append("  recovered \(recovered.text(fraction: false)): \(recovery)")
                } else {
                    lines.append("  still failing at the end")
                }
            }
        }
        for service in unrecorded { lines.append("\(service): nothing was recorded of it") }
        let failed = judgements.filter { !$0.episodes.isEmpty }
        let obstructed = judgements.count { $0.obstacle != nil }
        lines.append(
            "\(plural(failed.count, "rule")) would have failed, \(plural(failed.reduce(0) { $0 + $1.episodes.count }, "time")) in all; "
                + "\(judgements.count - failed.count - obstructed) would not; \(obstructed) cannot be judged")
        return lines.joined(separator: "\n") + "\n"
    }

    public var json: JSON {
        func time(_ time: Timestamp?) -> JSON { JSON(time?.text()) }
        return .object([
            .init("cycles", .integer(Int64(cycles))), .init("first", time(first)), .init("last", time(last)),
            .init(
                "rules",
                .array(
                    judgements.map { judgement in
                        .object([
                            .init("unit", JSON(judgement.unit)), .init("rule", .string(judgement.rule)), .init("file", .string(judgement.file)),
                            .init("line", .integer(Int64(judgement.place.line))), .init("importance", .string(judgement.importance.rawValue)),
                            .init("obstacle", JSON(judgement.obstacle)), .init("failed", .integer(Int64(judgement.episodes.count))),
                            .init(
                                "episodes",
                                .array(
                                    judgement.episodes.map { episode in
                                        .object([
                                            .init("failed", time(episode.failed)), .init("failure", .string(episode.failure)),
                                            .init("recovered", time(episode.recovered)), .init("recovery", JSON(episode.recovery)),
                                        ])
                                    })),
                        ])
                    })), .init("unrecorded", .array(unrecorded.map { .string($0) })),
        ])
    }
}

private func plural(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
