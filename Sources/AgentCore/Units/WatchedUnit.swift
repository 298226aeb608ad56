// One unit that is watched, and all that the watcher knows of it.

import AgentAPI
import Platform

/// The watcher's state for one unit. It lives on the watcher's loop.
final class WatchedUnit {
    /// What can be wrong with a unit, each told once when it begins and once when it is over.
    enum Concern: Hashable {
        case down, stuck
        /// A rule, by its text.
        case rule(String)
        /// Something it is measured with.
        case source(String)
    }

    /// One for each watched unit: what others hold for it is held under it.
    let key: String
    /// Whether it was found by a pattern or because it failed, and not asked for by its name.
    let isDiscovered: Bool
    var service: WatchPlan.Service
    var tracker: UnitTracker
    var rules: [RuleEvaluator]
    var metrics: SubjectMetrics
    /// Of the last cycle, in the order of `metrics.all`.
    var values: [Double?] = []
    /// The same for people: of a unit that is up.
    var samples: [Sample] { tracker.isUp ? metrics.samples(values) : [] }
    /// When the tracker wants to look again.
    var timer: Loop.Timer?
    /// The main process that is watched.
    var process: ProcessIdentity?
    /// As it was last sampled and told.
    var execMark: ExecMark?
    /// The tracker's number of the run that is up.
    var run: Int?
    var stall = Stall()
    var sources = FailingSources()
    /// Runs that were followed by another in earlier lives of the agent.
    var earlierRestarts = 0

    /// What is wrong and nobody was told of, because it happened in a silence.
    var untold: Set<Concern> = []
    /// What was said last of its being down.
    var lastDown = ""
    /// Whether a unit that it depends on was down in the last cycle, or has been back for less than one.
    var isWaitingForDependency = false
    /// In which cycle that was seen to be up again.
    var dependencyIsBackSince: Duration?

    /// The init systems that may answer for it, the preferred one first, and what they said last.
    var candidates: [String]
    var answers: [String: Observation]
    private(set) var chosen: String?

    init(
        _ service: WatchPlan.Service, key: String? = nil, metrics: SubjectMetrics, candidates: [String], answers: [String: Observation] = [:],
        cycle: Duration, before: UnitTracker.Before? = nil, run: String? = nil
    ) {
        self.key = key ?? service.name
        isDiscovered = service.kind != .unit
        self.service = service
        self.metrics = metrics
        self.candidates = candidates
        self.answers = answers.filter { candidates.contains($0.key) }
        tracker = UnitTracker(name: service.name, scope: service.kind == .failed ? .failures : .life, before: before, run: run)
        rules = service.rules.map { RuleEvaluator(rule: $0, of: .service, cycle: cycle) }
    }

    var restarts: Int { earlierRestarts + tracker.restarts }

    /// Whether somebody who says this name means this unit.
    func isNamed(_ name: String) -> Bool { name == tracker.unit || name == service.name && !isDiscovered || "\(name).service" == tracker.unit }

    /// Whether it is checked by another name than its own: `mysql`, which is `mariadb.service`.
    var isAlias: Bool {
        guard !isDiscovered, tracker.wasSeen else { return false }
        let (unit, name) = (tracker.unit, service.name)
        return unit != name && !(unit.hasPrefix(name) && unit.utf8.count == name.utf8.count + 8 && unit.hasSuffix(".service"))
    }

    /// Whether the one that answers for it is among these, so that it is the same unit.
    func isAnswered(by candidates: [String]) -> Bool { chosen.map(candidates.contains) ?? (candidates == self.candidates) }

    /// Who answers for the unit, and what. One whose unit lives wins over one that merely knows the name, and answers for it from then on: as
    /// long as it lives, and afterwards as long as it lives nowhere else. Among equals the first one answers.
    ///
    /// A unit that lives nowhere is said to be idle, or unknown, when each candidate has spoken. An idle one is not doubted because of init
    /// systems that cannot be asked; that a unit is unknown is.
    /// - Parameter silent: init systems that cannot be asked at present.
    /// - Returns: `nil` when that is not known, or not known yet.
    func resolve(silent: Set<String>) -> (String, Observation)? {
        func isSilent(_ name: String) -> Bool { silent.contains(name) || answers[name]?.presence == .hidden }
        func word(of name: String) -> Observation? { isSilent(name) ? nil : answers[name] }
        if let chosen, let answer = word(of: chosen), answer.isLive { return (chosen, answer) }
        for candidate in candidates where !isSilent(candidate) {
            guard let answer = answers[candidate] else { break }  // one that comes first may say the same
            guard answer.isLive else { continue }
            chosen = candidate
            return (candidate, answer)
        }
        if let chosen {
            // Its last word is not the present.
            guard let answer = word(of: chosen) else { return nil }
            if answer.presence == .present { return (chosen, answer) }
        }
        guard candidates.allSatisfy({ answers[$0] != nil || isSilent($0) }) else { return nil }
        for candidate in candidates {
            guard let answer = word(of: candidate), answer.presence == .present else { continue }
            chosen = candidate
            return (candidate, answer)
        }
        // It was there and has gone.
        if let chosen, let answer = word(of: chosen) { return (chosen, answer) }
        guard let first = candidates.first, let answer = answers[first], !candidates.contains(where: isSilent) else { return nil }
        return (first, answer)
    }

    /// Whether it may be known to an init system that cannot be asked, and to no other.
    func depends(on name: String, silent: Set<String>) -> Bool {
        guard candidates.contains(name) else { return false }
        if chosen == name || candidates.count == 1 { return true }
        return candidates.allSatisfy { candidate in
            candidate == name || silent.contains(candidate) || answers[candidate].map { $0.presence != .present } ?? false
        }
    }

    /// Who runs it or answers for it, and who else knows the name, for people; each with the init system's words. Empty when only one knows it.
    var speakers: String {
        let known = candidates.compactMap { name in answers[name].flatMap { $0.presence == .present ? (name, $0) : nil } }
        guard known.count > 1, let (speaker, answer) = known.first(where: { $0.0 == chosen }) else { return "" }
        let others = known.filter { $0.0 != speaker }.map { "\($0) also knows \($1.unit) (\($1.detail))" }
        return (["\(speaker) \(answer.isLive ? "runs it" : "answers for it") (\(answer.detail))"] + others).joined(separator: "; ")
    }
}

extension Observation {
    /// Its init system runs it, or is about to.
    fileprivate var isLive: Bool {
        guard presence == .present else { return false }
        return switch activity {
        case .running, .starting, .stopping, .restarting, .reloading: true
        case .stopped, .failed: false
        }
    }
}
