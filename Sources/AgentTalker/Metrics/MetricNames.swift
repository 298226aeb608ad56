// What our metrics are called where others keep them.

import AgentCore
import RuleLanguage

/// A metric as other systems know it.
struct OutsideMetric: Equatable {
    /// `rollcall_unit_memory_rss_bytes`, without `_total`.
    var name: String
    /// What a name has no room for: the mount point of `disk:/var`.
    var label: (name: String, value: String)?
    var isCounter: Bool
    /// For people; empty when the catalogue does not know it.
    var meaning: String

    static func == (a: OutsideMetric, b: OutsideMetric) -> Bool {
        a.name == b.name && a.label?.name == b.label?.name && a.label?.value == b.label?.value && a.isCounter == b.isCounter
            && a.meaning == b.meaning
    }

    /// - Parameter key: as samples have it: `memory:rss`, `disk:/var`.
    init(_ key: String, of subject: Metric.Subject) {
        let family = key.prefix { $0 != ":" }
        let part = key.dropFirst(family.count + 1)
        let metric = Metric.named(MetricName(String(family), part.isEmpty ? nil : String(part)), of: subject)
        var words = ["rollcall"]
        // What the agent says of itself is not the host's.
        if subject == .service { words.append("unit") } else if family != "agent" { words.append("host") }
        words.append(plain(family))
        switch metric?.name {
        case .anyPath: label = ("path", String(part))
        case .anyWord: label = (family.hasPrefix("network") ? "interface" : "name", String(part))
        default:
            if !part.isEmpty { words.append(plain(part)) }
        }
        switch metric?.unit {
        case .bytes: words.append("bytes")
        case .percent: words.append("percent")
        case .seconds: words.append("seconds")
        case .count, nil: break
        }
        name = words.joined(separator: "_")
        isCounter = metric?.kind == .counter
        meaning = metric?.meaning ?? ""
    }
}

/// Letters, digits and `_`; all else becomes `_`.
private func plain(_ text: Substring) -> String {
    String(decoding: text.utf8.map { isMetricByte($0) && $0 != UInt8(ascii: "-") ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
}

/// Letters, digits, `_` and `-`.
func isMetricByte(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
}

/// One step of a name with dots: what has a meaning to statsd or Graphite becomes `_`.
func pathStep(_ text: some StringProtocol) -> String {
    let step = String(decoding: text.utf8.map { isMetricByte($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
    return step.isEmpty ? "_" : step
}

/// A number as short as it can be said exactly.
func numberText(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
}
