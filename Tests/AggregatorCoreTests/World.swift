// A host and its aggregator without a database: decisions follow each other, and everything that they say is kept.

import AgentAPI
import Checks
import Platform

@testable import AggregatorCore

struct World {
    static let agent = "0123456789abcdef0123456789abcdef"
    static let start = Timestamp("2026-11-21T03:00:00Z")!

    var plan: ServicePlan
    var situation = Situation()
    var now = World.start
    var events: [Event] = []
    var alerts: [Alert] = []
    var outbox: [OutgoingMessage] = []
    private var sequence: UInt64 = 0

    init(_ plan: ServicePlan = ServicePlan(defaultRecipients: ["ops@example.com"])) { self.plan = plan }

    var subjects: [String] { outbox.map(\.subject) }
    var reasons: [Alert.Reason] { alerts.map(\.reason) }

    func status(_ service: String) -> Status? { situation.services[service]?.status }

    /// The next event of the host, `after` seconds from the start.
    mutating func event(
        _ kind: Event.Kind, _ unit: String? = "puma.service", after seconds: Int64 = 0, rule: String? = nil, importance: Importance? = nil,
        cause: Event.Cause? = nil, detail: String = "", routes: [String?] = [nil]
    ) -> Event {
        sequence += 1
        return Event(
            sequence: sequence, kind: kind, at: World.start + .seconds(seconds), unit: unit, rule: rule, importance: importance, cause: cause,
            detail: detail, routes: routes)
    }

    @discardableResult
    mutating func report(
        _ events: [Event] = [], units: [UnitState] = [.up("puma.service")], host: String = "web1", at: Timestamp? = nil, snapshot: UInt64 = 0
    ) -> Decision {
        let report = Report(
            agent: World.agent, host: host, version: "0.1.0", at: at ?? now, interval: .seconds(10), events: events, units: units, samples: [],
            snapshot: snapshot)
        return apply(ReportIngest.decide(report, on: situation, plan: plan, at: now))
    }

    /// A report that says only what differs from an earlier one.
    @discardableResult
    mutating func difference(
        _ events: [Event] = [], since base: UInt64, as snapshot: UInt64, units: [UnitState] = [], gone: [String] = [], at: Timestamp? = nil
    ) -> Decision {
        let report = Report(
            agent: World.agent, host: "web1", version: "0.1.0", at: at ?? now, interval: .seconds(10), events: events, units: units, samples: [],
            snapshot: snapshot, base: base, gone: gone)
        return apply(ReportIngest.decide(report, on: situation, plan: plan, at: now))
    }

    /// Another agent has the token now.
    mutating func retire(replacedBy agent: String) {
        apply(HostRetirement.decide(on: situation, replacedBy: agent, on: "web2", plan: plan, at: now))
    }

    /// Time passes, and nothing is heard.
    mutating func watch(awakeSince: Timestamp = World.start) {
        apply(HostSilence.decide(on: situation, plan: plan, awakeSince: awakeSince, at: now))
    }

    mutating func result(_ outcome: ProbeOutcome, service: String, check: String) {
        guard let configured = plan.check(CheckKey(service: service, name: check)) else { return }
        let result = CheckResult(check: configured.check.name, startedAt: now - .milliseconds(20), duration: .milliseconds(20), outcome: outcome)
        apply(ResultIntake.decide(result, of: configured, on: situation, plan: plan, at: now))
    }

    mutating func configure(_ plan: ServicePlan) {
        self.plan = plan
        apply(Reconfiguration.decide(on: situation, plan: plan, at: now))
        apply(Membership.decide(on: situation, plan: plan, at: now))
    }

    mutating func pass(_ duration: Duration) { now = now + duration }

    @discardableResult
    private mutating func apply(_ decision: Decision) -> Decision {
        situation = decision.situation
        events += decision.events
        alerts += decision.alerts
        for message in decision.outbox {
            if let gather = message.gather,
                let index = outbox.firstIndex(where: { $0.gather == gather && $0.recipient == message.recipient && $0.dueAt > now })
            {
                outbox[index] = message
            } else {
                outbox.append(message)
            }
        }
        return decision
    }
}

extension UnitState {
    static func up(_ name: String) -> UnitState { unit(name, .up, "active/running") }
    static func down(_ name: String, _ detail: String = "failed/failed (signal)") -> UnitState { unit(name, .down, detail) }
    static func stopped(_ name: String) -> UnitState { unit(name, .stopped, "inactive/dead") }

    private static func unit(_ name: String, _ phase: Phase, _ detail: String) -> UnitState {
        UnitState(
            name: name, initSystem: "systemd", phase: phase, since: nil, mainPID: nil, detail: detail, samples: [Sample("cpu", 1)], failingRules: [])
    }
}

/// A probe that is never run.
struct StandStill: Probe {
    static let kind = "stand_still"
    var summary = "stands still"
    func run(deadline: Duration) async -> ProbeOutcome { .passed(detail: "") }
}

extension ConfiguredCheck {
    static func still(_ name: String, service: String, failures: Int = 1, importance: Importance = .error, summary: String = "stands still")
        -> ConfiguredCheck
    {
        ConfiguredCheck(
            name: name, service: service, importance: importance,
            check: Check(
                name: "\(service)/\(name)", every: .seconds(60), deadline: .seconds(10), failuresBeforeFailing: failures,
                probe: StandStill(summary: summary)))
    }
}
