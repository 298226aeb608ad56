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
    var samples: [Sample] = []
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

    /// Who answers for the unit, and what: the init system that answered for it before, as long as it knows the unit; else the first
    /// that does. `nil` while one that comes first has not spoken yet.
    /// - Parameter unanswerable: init systems that cannot be asked at present; nobody waits for them.
    func resolve(unanswerable: [String: Timestamp]) -> (String, Observation)? {
        if let chosen, let answer = answers[chosen], answer.presence == .present { return (chosen, answer) }
        for candidate in candidates {
            guard let answer = answers[candidate] else {
                if unanswerable[candidate] != nil { continue }
                return nil
            }
            if answer.presence == .present {
                chosen = candidate
                return (candidate, answer)
            }
        }
        // Nobody knows it; one who cannot be asked might.
        guard let last = candidates.first(where: { $0 == chosen }) ?? candidates.first, let answer = answers[last],
            candidates.allSatisfy({ answers[$0] != nil })
        else { return nil }
        return (last, answer)
    }
}
