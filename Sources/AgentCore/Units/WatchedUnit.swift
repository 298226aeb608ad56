// One service of the plan, and all that the watcher knows of it.

import AgentAPI
import Platform

/// The watcher's state for one service. It lives on the watcher's loop.
final class WatchedUnit {
    var service: WatchPlan.Service
    var tracker: UnitTracker
    var rules: [RuleEvaluator]
    /// Of the last cycle.
    var samples: [Sample] = []
    /// When the tracker wants to look again.
    var timer: Loop.Timer?
    /// The main process that is watched.
    var process: ProcessIdentity?
    /// The tracker's number of the run that is up.
    var run: Int?

    /// The init systems that may answer for it, the preferred one first, and what they said last.
    var candidates: [String]
    var answers: [String: Observation]
    private(set) var chosen: String?

    init(_ service: WatchPlan.Service, candidates: [String], answers: [String: Observation] = [:]) {
        self.service = service
        self.candidates = candidates
        self.answers = answers.filter { candidates.contains($0.key) }
        tracker = UnitTracker(name: service.name)
        rules = service.rules.map { RuleEvaluator(rule: $0, of: .service) }
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
