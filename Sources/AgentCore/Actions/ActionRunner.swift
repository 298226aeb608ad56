// What a rule does when it fails.

import AgentAPI
import Platform
import RuleLanguage

/// Reloads and restarts units through their init systems because rules failed. It is called once per episode of a rule, when that begins.
///
/// `alert` is not done here: the rule's own event carries the route. It lives on the watcher's loop.
final class ActionRunner {
    /// How long an init system may take for a job: systemd's own default for starts and stops.
    static let deadline = Duration.seconds(90)

    private let time: any TimeSource
    private let record: (Event) -> Void
    private var queues: [String: ActionQueue] = [:]

    /// - Parameter record: takes the events about how the jobs ended.
    init(time: any TimeSource, record: @escaping (Event) -> Void) {
        self.time = time
        self.record = record
    }

    /// Asks for a rule's reloads and restarts, in their written order.
    func run(_ rule: Rule, on unit: String, through initSystem: any InitSystem, routes: [String?]) {
        let verbs = rule.actions.compactMap { action -> UnitVerb? in
            switch action.kind {
            case .alert, .signal, .exec: nil
            case .reload: .reload
            case .restart: .restart
            case .start: .start
            case .stop: .stop
            }
        }
        let call = ActionQueue.RuleCall(text: rule.text, condition: rule.condition.text, routes: routes)
        if let job = queues[unit, default: ActionQueue()].add(verbs, for: call) { start(job, on: unit, through: initSystem) }
    }

    /// Forgets the jobs that wait; of those that run the init system alone will know the end.
    func stop() { queues = [:] }

    private func start(_ job: ActionQueue.Job, on unit: String, through initSystem: any InitSystem) {
        var wasAnswered = false
        initSystem.perform(job.verb, on: unit, deadline: Self.deadline) { [weak self, weak initSystem] result in
            guard let self, !wasAnswered, let (ended, next) = self.queues[unit]?.end() else { return }
            wasAnswered = true
            if next == nil { self.queues[unit] = nil }
            for rule in ended.rules { self.record(self.event(ended.verb, on: unit, because: rule, result)) }
            if let next, let initSystem { self.start(next, on: unit, through: initSystem) }
        }
    }

    private func event(_ verb: UnitVerb, on unit: String, because rule: ActionQueue.RuleCall, _ result: Result<Void, ActionError>) -> Event {
        let now = time.now().wall
        switch result {
        case .success:
            return Event(
                kind: .actionSucceeded, at: now, unit: unit, rule: rule.text, detail: "\(verb.participle), because \(rule.condition)",
                routes: rule.routes)
        case .failure(let error):
            return Event(
                kind: .actionFailed, at: now, unit: unit, rule: rule.text, importance: .error,
                detail: "could not be \(verb.participle), although \(rule.condition): \(error.problem)", routes: rule.routes)
        }
    }
}

extension UnitVerb {
    fileprivate var participle: String {
        switch self {
        case .reload: "reloaded"
        case .restart: "restarted"
        case .start: "started"
        case .stop: "stopped"
        case .signal(let number): "sent \(signalName(number))"
        }
    }
}
