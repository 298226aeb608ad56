// Metrics as Graphite reads them.

import AgentAPI
import AgentCore
import Platform

/// `PREFIX.HOST.UNIT.FAMILY.NAME VALUE SECONDS`, a line a value. Counters are sums that only grow; Graphite has `perSecond()` for them.
func graphiteLines(of snapshot: Snapshot, host: String, prefix: String) -> String {
    let start = (prefix.isEmpty ? "" : "\(prefix).") + pathStep(host)
    let seconds = snapshot.at.seconds
    var out = ""
    func add(_ samples: [Sample], _ path: String) {
        for sample in samples where sample.value.isFinite {
            out +=
                "\(start).\(path).\(sample.metric.split(separator: ":").map(pathStep).joined(separator: ".")) \(numberText(sample.value)) \(seconds)\n"
        }
    }
    for unit in snapshot.units {
        let path = pathStep(unit.name)
        if !unit.samples.contains(where: { $0.metric == "up" }), let up = unit.phase.upMetric { add([Sample("up", up)], path) }
        add(unit.samples, path)
    }
    add(snapshot.samples, "host")
    return out
}
