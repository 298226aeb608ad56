// Reports and plans that several suites use.

import AgentAPI
import AggregatorCore
import Checks
import Platform

let start = Timestamp("2026-11-21T03:00:00Z")!
let agent = "0123456789abcdef0123456789abcdef"
let plan = ServicePlan(defaultRecipients: ["ops@example.com"])

func unit(_ name: String, _ phase: UnitState.Phase = .up, cpu: Double = 1) -> UnitState {
    UnitState(
        name: name, initSystem: "systemd", phase: phase, since: start, mainPID: 42, detail: "active/running", samples: [Sample("cpu", cpu)],
        failingRules: ["if cpu > 90% then alert"])
}

func report(
    _ events: [Event] = [], units: [UnitState] = [unit("puma.service")], from agent: String = agent, host: String = "web1", at: Timestamp = start
) -> Report {
    Report(
        agent: agent, host: host, version: "0.1.0", at: at, interval: .seconds(10), events: events, units: units,
        samples: [Sample("load:1", 0.5)])
}

func event(_ sequence: UInt64, _ kind: Event.Kind, _ unit: String? = "puma.service", at: Timestamp = start, detail: String = "") -> Event {
    Event(sequence: sequence, kind: kind, at: at, unit: unit, importance: .error, cause: .failure, detail: detail)
}

extension DecisionStoring {
    /// Takes a report as the aggregator does.
    @discardableResult
    func take(_ report: Report, plan: ServicePlan = plan, at now: Timestamp = start) async throws(StoreError) -> Decision {
        try await decide(ReportIngest.scope(of: report, plan: plan)) { ReportIngest.decide(report, on: $0, plan: plan, at: now) }
    }

    func configure(_ plan: ServicePlan, at now: Timestamp = start) async throws(StoreError) {
        _ = try await decide(Reconfiguration.scope(plan)) { Reconfiguration.decide(on: $0, plan: plan, at: now) }
    }
}

/// A probe that is never run.
struct StandStill: Probe {
    static let kind = "stand_still"
    var summary = "stands still"
    func run(deadline: Duration) async -> ProbeOutcome { .passed(detail: "") }
}

func check(_ name: String, service: String) -> ConfiguredCheck {
    ConfiguredCheck(
        name: name, service: service, importance: .critical,
        check: Check(name: "\(service)/\(name)", every: .seconds(60), deadline: .seconds(10), failuresBeforeFailing: 1, probe: StandStill()))
}
