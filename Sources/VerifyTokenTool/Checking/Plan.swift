// What a check looks at, and when it is content.

import AgentAPI
import DeployVerification
import Platform
import Transfer

struct Plan: Sendable {
    /// `nil` when only agents are asked, who know it from the preparation.
    var token: DeployToken?
    var deploy: String?
    var service: String?
    /// When it was prepared; `nil`: its check is its begin.
    var prepared: Timestamp?
    var person: String?
    var revision: String?

    /// One for each address of each URL.
    var requests: [HTTPRequest] = []
    var patience = Verifier.Patience()
    /// How long all URLs must have been right, and how much longer they are looked at.
    var settle = Duration.zero
    var watch = Duration.zero

    var way = AgentWay()
    var doors: [Door] = []
    /// What the agents are asked; their evidence counts for more than a URL's.
    var check: DeployCheck?
    /// Hosts that have a baseline, as they call themselves.
    var hosts: [String] = []

    var failsFast = true
    var probe: SteadyProbe?
    var limits: AvailabilityLimits?

    /// From the begin to when the agents must have said their last word.
    var agentsLimit: Duration {
        var limit = patience.timeout + watch + .seconds(5)
        if case .wait(let time) = check?.draining { limit += time }
        return limit
    }
}

extension JudgingOptions {
    func apply(to plan: inout Plan) {
        plan.patience.consecutive = consecutive
        plan.patience.timeout = timeout.duration
        plan.patience.interval = interval.duration
        plan.settle = settle?.duration ?? (plan.doors.isEmpty ? .zero : .seconds(1))
        plan.watch = watch.duration
        plan.failsFast = !noFastFail
    }

    /// What the agents are asked for a plan that is otherwise complete.
    func check(for plan: Plan) -> DeployCheck {
        DeployCheck(
            deploy: plan.deploy, service: plan.service, token: plan.token?.text, evidence: evidence.kind, hasNoPreload: noPreload,
            expectedWorkers: expectWorkers.count, timeout: timeout.duration, settle: settle?.duration ?? .seconds(1), watch: watch.duration,
            draining: drain.draining, failsFast: !noFastFail, limits: plan.limits)
    }
}
