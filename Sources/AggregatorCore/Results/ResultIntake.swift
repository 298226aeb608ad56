// What a check's result changes, and what a changed list of checks changes.

public import Checks
public import Platform

/// The decision about one run of a check.
public enum ResultIntake {
    public static func decide(_ result: CheckResult, of configured: ConfiguredCheck, on situation: Situation, plan: ServicePlan, at now: Timestamp)
        -> Decision
    {
        let key = CheckKey(service: configured.service, name: configured.name)
        var state = situation.checks[key] ?? CheckState(key: key, summary: configured.check.probe.summary)
        state.summary = configured.check.probe.summary
        state.lastRun = result.startedAt
        state.lastDuration = result.duration
        state.detail = result.outcome.text
        let problem = ProblemKey(agent: "", subject: configured.name, item: .check)
        var statuses = Statuses(situation, plan: plan, now: now)
        let at = result.startedAt + result.duration
        switch result.outcome {
        case .passed:
            state.failures = 0
            state.isFailing = false
            statuses.recover(problem, in: configured.service, subject: .init(check: configured.name), at: at)
        case .failed(let reason):
            state.failures += 1
            state.isFailing = state.failures >= configured.check.failuresBeforeFailing
            if state.isFailing {
                statuses.fail(
                    problem, in: configured.service, subject: .init(check: configured.name), text: reason, importance: configured.importance, at: at)
            }
        }
        statuses.situation.checks[key] = state
        return statuses.decision
    }
}

/// The decision about a configuration that begins to hold: which services and checks there are.
public enum Reconfiguration {
    public static func scope(_ plan: ServicePlan) -> Scope { .configuration(services: Set(plan.services.map(\.name))) }

    public static func decide(on situation: Situation, plan: ServicePlan, at now: Timestamp) -> Decision {
        var statuses = Statuses(situation, plan: plan, now: now)
        for name in Set(situation.services.keys).union(plan.services.map(\.name)) { statuses.ensureService(name) }
        var checks: [CheckKey: CheckState] = [:]
        for configured in plan.checks {
            let key = CheckKey(service: configured.service, name: configured.name)
            let summary = configured.check.probe.summary
            // What a check found when it probed something else says nothing about what it probes now.
            let known = situation.checks[key].flatMap { $0.summary == summary ? $0 : nil }
            checks[key] = known ?? CheckState(key: key, summary: summary)
        }
        for name in situation.services.keys {
            statuses.forget(in: name) { key in
                key.item == .check && checks[CheckKey(service: name, name: key.subject)]?.isFailing != true
            }
        }
        statuses.situation.checks = checks
        return statuses.decision
    }
}
