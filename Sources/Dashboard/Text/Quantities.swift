// Numbers as people read them: 412.5 MiB, 3.1 %, 42 ms.

import Platform

/// What a metric's number counts.
enum Quantity: Sendable {
    case bytes, percent, plain

    /// By the metric's family: `memory:rss` is bytes, `cpu:user` is percent.
    init(metric: String) {
        switch metric.prefix(while: { $0 != ":" }) {
        case "memory": self = .bytes
        case "cpu", "disk", "swap": self = .percent
        default: self = .plain
        }
    }

    func text(_ value: Double) -> String {
        switch self {
        case .bytes: bytesText(value)
        case .percent: "\(decimal(value, places: abs(value) < 100 ? 1 : 0)) %"
        case .plain: value == value.rounded() ? decimal(value, places: 0) : decimal(value, places: 2)
        }
    }
}

func durationText(_ duration: Duration) -> String {
    let seconds = duration.inSeconds
    if seconds < 0.9995 { return "\(decimal(seconds * 1000, places: 0)) ms" }
    if seconds < 59.95 { return "\(short(seconds)) s" }
    return "\(short(seconds / 60)) min"
}

/// How old something is: `9.2 s`, `5 min`, `3 h`, `5 days`.
func ageText(_ age: Duration) -> String {
    let seconds = age.microseconds / 1_000_000
    if seconds < 3600 { return durationText(age) }
    return seconds < 48 * 3600 ? "\(seconds / 3600) h" : "\(seconds / 86_400) days"
}

/// With one decimal place, if it says anything.
private func short(_ value: Double) -> String { decimal(value, places: value == value.rounded() ? 0 : 1) }

/// `1 unit`, `3 units`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// A number with a fixed count of decimal places.
func decimal(_ value: Double, places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 1e15 else { return String(value) }
    let digits = String(Int64(scaled))
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let sign = value < 0 && scaled > 0 ? "-" : ""
    return places == 0 ? sign + padded : "\(sign)\(padded.dropLast(places)).\(padded.suffix(places))"
}

private func bytesText(_ value: Double) -> String {
    var value = value
    var unit = "B"
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] where abs(value) >= 1023.95 {
        value /= 1024
        unit = next
    }
    return "\(decimal(value, places: unit == "B" ? 0 : 1)) \(unit)"
}
