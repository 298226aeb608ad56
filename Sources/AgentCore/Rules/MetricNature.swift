// How the values of a metric are read, whether the kernel tells them or a daemon.

import RuleLanguage

struct MetricNature {
    /// `nil` when nobody knows: the number is a daemon's own.
    var unit: Metric.Unit?
    /// Whether it only grows, so that a smaller value means that it began anew.
    var isCounter: Bool

    init(_ name: MetricName, of subject: Metric.Subject) {
        if let metric = Metric.named(name, of: subject) {
            (unit, isCounter) = (metric.unit, metric.kind == .counter)
        } else {
            let daemon = daemonFamilies.first { $0.family == name.family }
            unit = name.name.flatMap { daemon?.units[$0] }
            isCounter = name.name.flatMap { daemon?.counters.contains($0) } ?? false
        }
    }
}
