// Which of a unit's or host's metrics the tables show, and their last hour.

import AgentAPI
import AggregatorCore
import Platform

/// A kind of number with a column of its own, and the metrics that can fill it, best first.
struct Measurement: Sendable {
    var name: String
    var metrics: [String]

    static let unitCPU = Measurement(name: "CPU", metrics: ["cpu:total", "cpu", "cpu:user"])
    static let unitMemory = Measurement(name: "Memory", metrics: ["memory:total", "memory:total_rss", "memory:rss"])
    static let hostLoad = Measurement(name: "Load", metrics: ["load:1"])
    static let hostCPU = Measurement(name: "CPU", metrics: ["cpu", "cpu:total"])
    static let hostMemory = Measurement(name: "Free memory", metrics: ["memory:available", "memory:free"])

    func sample(in samples: [Sample]) -> Sample? {
        for metric in metrics { if let sample = samples.last(where: { $0.metric == metric }) { return sample } }
        return nil
    }

    /// The latest value as text.
    func latest(in samples: [Sample]) -> HTML {
        sample(in: samples).map { HTML(text: Quantity(metric: $0.metric).text($0.value)) } ?? absent
    }
}

/// The last hour of a unit's CPU and memory.
struct UnitHistory: Sendable {
    var cpu: Series?
    var memory: Series?
}

/// Units beyond this many show their latest numbers without a picture: each picture is a query.
private let mostHistories = 40

/// The histories of units, in their order.
func readHistories(of units: [UnitRecord], store: any StoreReading, at now: Timestamp) async throws(StoreError) -> [UnitHistory] {
    var histories: [UnitHistory] = []
    for (index, unit) in units.enumerated() {
        guard index < mostHistories else {
            histories.append(UnitHistory())
            continue
        }
        histories.append(
            UnitHistory(
                cpu: try await readSeries(.unitCPU, of: unit.state.samples, agent: unit.agent, unit: unit.state.name, store: store, at: now),
                memory: try await readSeries(.unitMemory, of: unit.state.samples, agent: unit.agent, unit: unit.state.name, store: store, at: now)))
    }
    return histories
}

/// The last hour of the metric that a column shows; `nil` when none of its metrics is measured.
func readSeries(_ measurement: Measurement, of samples: [Sample], agent: String, unit: String?, store: any StoreReading, at now: Timestamp)
    async throws(StoreError) -> Series?
{
    guard let sample = measurement.sample(in: samples) else { return nil }
    return try await store.series(agent: agent, unit: unit, metric: sample.metric, after: now - Sparkline.span, limit: Sparkline.points)
}

/// A number with its last hour.
func measured(
    _ measurement: Measurement, _ samples: [Sample], _ series: Series?, marks: [DeployMark] = [], of subject: String, id: String, at now: Timestamp
) -> HTML {
    div(.class("measured")) {
        span(.class("value")) { measurement.latest(in: samples) }
        let name = "\(measurement.name) of \(subject)"
        if let picture = series.flatMap({ Sparkline(subject: name, id: id, series: $0, marks: marks).html(at: now) }) { picture }
    }
}
