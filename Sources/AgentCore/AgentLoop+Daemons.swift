// Daemons that are asked for numbers, through the process without privileges.

import AgentAPI
import Platform

/// Hears how the agent's own alerts fared.
public protocol DeliveryObserver: AnyObject {
    func delivered(_ alert: UInt64)
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool)
}

extension AgentLoop: RunnerObserver {
    public func measured(_ values: [String: Double], by source: String) {
        let now = time.now()
        guard isRunning, hasSource(source) else { return }
        take(daemons[source, default: DaemonValues()].take(values, at: now.uptime), of: source, at: now)
    }

    public func sourceFailed(_ source: String, why: String) {
        guard isRunning, hasSource(source) else { return }
        take(daemons[source, default: DaemonValues()].fail(why), of: source, at: time.now())
    }

    public func delivered(_ alert: UInt64) { deliveries?.delivered(alert) }

    public func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) { deliveries?.undelivered(alert, why: why, mayRetry: mayRetry) }

    public func runnerFailed(_ why: String) {
        guard isRunning else { return }
        runnerFailure = RunnerFailure(why: why, since: time.now().wall)
        recordSource(.failed(why), of: nil, concern: .source("runner"), at: time.now())
    }

    public func runnerRecovered() {
        guard isRunning else { return }
        runnerFailure = nil
        recordSource(.recovered("rollcall-runner works again"), of: nil, concern: .source("runner"), at: time.now())
    }

    /// What a changed plan does not ask any longer is forgotten.
    func reloadDaemons() {
        let ids = Set(plan.services.flatMap(\.sources).map(\.id))
        daemons = daemons.filter { ids.contains($0.key) }
        runner?.change(plan.runnerWork)
    }

    private func hasSource(_ id: String) -> Bool { plan.services.contains { $0.sources.contains { $0.id == id } } }

    /// Says it of every unit that is judged by the source.
    private func take(_ outcome: DaemonValues.Outcome, of source: String, at now: Moment) {
        let said: FailingSources.Outcome
        switch outcome {
        case .none: return
        case .failed(let why): said = .failed("\(source) does not answer: \(why)")
        case .recovered: said = .recovered("\(source) answers again")
        }
        for unit in units where unit.service.sources.contains(where: { $0.id == source }) {
            recordSource(said, of: unit, concern: .source(source), at: now)
        }
    }
}
