// Metrics as statsd reads them.

import AgentAPI
import AgentCore

/// Turns snapshots into datagrams: gauges as they are, of counters what they grew by since the snapshot before.
struct StatsdText {
    /// What goes through any network in one piece.
    static let datagram = 1400

    private let prefix: String
    private var counters: [String: Double] = [:]
    private var kinds: [String: Bool] = [:]

    /// - Parameter prefix: what names begin with; empty for nothing.
    init(host: String, prefix: String) {
        self.prefix = (prefix.isEmpty ? "" : "\(prefix).") + pathStep(host)
    }

    /// What is not measured is not sent: statsd then keeps or drops the last value, as it was told to.
    mutating func datagrams(of snapshot: Snapshot) -> [String] {
        var lines: [String] = []
        var seen: [String: Double] = [:]
        func add(_ samples: [Sample], _ path: String, _ subject: Metric.Subject) {
            for sample in samples where sample.value.isFinite {
                let name = "\(prefix).\(path).\(sample.metric.split(separator: ":").map(pathStep).joined(separator: "."))"
                if isCounter(sample.metric, subject) {
                    seen[name] = sample.value
                    guard let before = counters[name] else { continue }
                    // It began anew: all that it shows now is growth.
                    let growth = sample.value >= before ? sample.value - before : sample.value
                    if growth > 0 { lines.append("\(name):\(numberText(growth))|c") }
                } else if sample.value < 0 {
                    // A sign makes it a change of the value before, so that has to be 0; both go together.
                    lines.append("\(name):0|g\n\(name):\(numberText(sample.value))|g")
                } else {
                    lines.append("\(name):\(numberText(sample.value))|g")
                }
            }
        }
        for unit in snapshot.units {
            let path = pathStep(unit.name)
            let up = unit.samples.contains { $0.metric == "up" } ? nil : unit.phase.upMetric
            add((up.map { [Sample("up", $0)] } ?? []) + unit.samples, path, .service)
        }
        add(snapshot.samples, "host", .host)
        counters = seen
        return packed(lines)
    }

    private mutating func isCounter(_ metric: String, _ subject: Metric.Subject) -> Bool {
        let key = subject == .host ? "host \(metric)" : metric
        if let known = kinds[key] { return known }
        let isCounter = OutsideMetric(metric, of: subject).isCounter
        kinds[key] = isCounter
        return isCounter
    }

    private func packed(_ lines: [String]) -> [String] {
        var datagrams: [String] = []
        var current = ""
        for line in lines where line.utf8.count <= Self.datagram {
            if !current.isEmpty, current.utf8.count + 1 + line.utf8.count > Self.datagram {
                datagrams.append(current)
                current = ""
            }
            current += current.isEmpty ? line : "\n\(line)"
        }
        return current.isEmpty ? datagrams : datagrams + [current]
    }
}
