// When an agent has been quiet for too long, and what that means.

import AgentAPI
import Messages
public import Platform

/// The decision about an agent that does not report.
public enum HostSilence {
    /// - Parameter awakeSince: since when the aggregator has been there to hear reports; what it missed before is not the agents' silence.
    public static func isOverdue(
        lastReport: Timestamp, interval: Duration, plan: ServicePlan, awakeSince: Timestamp, at now: Timestamp
    ) -> Bool {
        now > max(lastReport, awakeSince) + plan.grace(forInterval: interval)
    }

    /// Makes `host NAME` critical. A report that has come in meanwhile is seen here, and nothing changes.
    public static func decide(on situation: Situation, plan: ServicePlan, awakeSince: Timestamp, at now: Timestamp) -> Decision {
        guard var host = situation.host, !host.isSilent, host.replacedBy == nil,
            isOverdue(lastReport: host.lastReport, interval: host.interval, plan: plan, awakeSince: awakeSince, at: now)
        else { return Decision(situation: situation) }
        var statuses = Statuses(situation, plan: plan, now: now)
        Membership.refresh(&statuses, agent: host.agent, host: host.name)
        host.isSilent = true
        statuses.situation.host = host
        for service in (statuses.situation.members[""] ?? []).sorted() {
            statuses.fail(
                key(host), in: service, subject: .init(host: host.name),
                text: "silent: its agent has not reported for \((now - host.lastReport).words)", importance: .critical, at: now)
        }
        return statuses.decision
    }

    /// It reports again.
    static func end(_ statuses: inout Statuses, _ host: HostState, at now: Timestamp) {
        for service in (statuses.situation.members[""] ?? []).sorted() {
            statuses.recover(key(host), in: service, subject: .init(host: host.name), at: now)
        }
    }

    private static func key(_ host: HostState) -> ProblemKey { ProblemKey(agent: host.agent, subject: "", item: .silent) }
}

/// Since when the aggregator has been awake: a stopped process, a suspended machine and a clock that was set are not the agents' silence.
public struct Wakefulness: Sendable {
    /// Two looks at the clocks that are further apart have something between them that was not ours.
    static let longestPause = Duration.seconds(30)
    /// How far the clocks may drift apart between two looks before the wall clock was set.
    static let drift = Duration.seconds(5)

    public private(set) var since: Timestamp
    private var last: Moment

    public init(at now: Moment) {
        since = now.wall
        last = now
    }

    /// A pass of a loop that comes every few seconds.
    public mutating func observe(_ now: Moment) {
        let passed = now.uptime - last.uptime
        let shift = (now.wall - last.wall) - passed
        if passed > Self.longestPause || shift > Self.drift || shift < .zero - Self.drift { since = now.wall }
        last = now
    }

    /// The database did not take reports until now.
    public mutating func restart(at now: Moment) {
        since = now.wall
        last = now
    }
}
