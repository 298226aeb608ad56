// Metrics as Prometheus and OpenMetrics read them.

import AgentAPI
import AgentCore
import Platform

/// What the talker says of itself beside what the watcher measures.
struct OwnMetrics: Equatable {
    var version: String
    var eventsWaiting: UInt64
    /// `nil` without an aggregator, and before it was asked.
    var isAggregatorReachable: Bool?
    var graphiteDropped: UInt64
}

/// A snapshot in the text format of Prometheus (0.0.4), or of OpenMetrics (1.0.0), which differ in the names of counters and in the end.
struct PrometheusText {
    enum Dialect {
        case prometheus, openMetrics
    }

    private struct Family {
        var isCounter: Bool
        var meaning: String
        var lines: [(labels: [(String, String)], value: Double)] = []
    }

    private let dialect: Dialect
    private var order: [String] = []
    private var families: [String: Family] = [:]
    /// Names are made once for all units.
    private var names: [String: OutsideMetric] = [:]

    private init(_ dialect: Dialect) { self.dialect = dialect }

    static func text(of snapshot: Snapshot?, _ own: OwnMetrics, dialect: Dialect = .prometheus) -> String {
        var text = PrometheusText(dialect)
        if let snapshot {
            for unit in snapshot.units {
                let labels = [("unit", unit.name), ("init", unit.initSystem)]
                if let up = unit.phase.upMetric { text.add("rollcall_unit_up", "whether the unit runs", labels, up) }
                text.add("rollcall_unit_failing_rules", "rules of the unit in breach", [("unit", unit.name)], Double(unit.failingRules.count))
            }
            for unit in snapshot.units {
                // `up` is told above, with its init system.
                for sample in unit.samples where sample.metric != "up" { text.add(sample, .service, [("unit", unit.name)]) }
            }
            for sample in snapshot.samples { text.add(sample, .host, []) }
            if let isUp = snapshot.isRunnerUp {
                text.add("rollcall_agent_runner_up", "whether rollcall-runner works, which sends alerts and asks daemons", [], isUp ? 1 : 0)
            }
            text.add("rollcall_agent_snapshot_timestamp_seconds", "when these values were measured", [], Double(snapshot.at.microseconds) / 1e6)
        }
        text.add("rollcall_agent_info", "the agent's version", [("version", own.version)], 1)
        text.add("rollcall_agent_events_waiting", "events that the aggregator does not have yet", [], Double(own.eventsWaiting))
        if let isReachable = own.isAggregatorReachable {
            text.add("rollcall_agent_aggregator_reachable", "whether the aggregator takes reports", [], isReachable ? 1 : 0)
        }
        text.add(
            "rollcall_agent_graphite_dropped", "metrics that Graphite did not take in time", [], Double(own.graphiteDropped), isCounter: true)
        return text.written()
    }

    private mutating func add(_ sample: Sample, _ subject: Metric.Subject, _ labels: [(String, String)]) {
        guard sample.value.isFinite else { return }
        let key = subject == .host ? "host \(sample.metric)" : sample.metric
        let metric = names[key] ?? OutsideMetric(sample.metric, of: subject)
        names[key] = metric
        add(metric.name, metric.meaning, labels + (metric.label.map { [$0] } ?? []), sample.value, isCounter: metric.isCounter)
    }

    private mutating func add(_ name: String, _ meaning: String, _ labels: [(String, String)], _ value: Double, isCounter: Bool = false) {
        if families[name] == nil {
            order.append(name)
            families[name] = Family(isCounter: isCounter, meaning: meaning)
        }
        families[name]?.lines.append((labels, value))
    }

    private func written() -> String {
        var out = ""
        for name in order {
            guard let family = families[name] else { continue }
            let sampleName = family.isCounter ? "\(name)_total" : name
            let familyName = dialect == .openMetrics ? name : sampleName
            if !family.meaning.isEmpty { out += "# HELP \(familyName) \(escaped(family.meaning, quotes: dialect == .openMetrics))\n" }
            out += "# TYPE \(familyName) \(family.isCounter ? "counter" : "gauge")\n"
            for (labels, value) in family.lines {
                out += sampleName
                if !labels.isEmpty { out += "{" + labels.map { "\($0)=\"\(escaped($1, quotes: true))\"" }.joined(separator: ",") + "}" }
                out += " \(numberText(value))\n"
            }
        }
        return dialect == .openMetrics ? out + "# EOF\n" : out
    }

    private func escaped(_ text: String, quotes: Bool) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }
}
