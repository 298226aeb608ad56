// Lengths of time on a command line.

import ArgumentParser
import Platform

/// `60`, `0.5`, `500ms`, `60s`, `5m`, `1h`; a number alone is seconds.
struct Seconds: ExpressibleByArgument, CustomStringConvertible {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
        let (unit, factor) = units.first { argument.hasSuffix($0.0) } ?? ("", 1.0)
        guard let value = Double(argument.dropLast(unit.count)), value.isFinite, value >= 0, value <= 1e9 else { return nil }
        duration = .microseconds(Int64((value * factor * 1_000_000).rounded()))
    }

    var description: String {
        let value = duration.inSeconds
        return value == value.rounded() ? "\(Int(value))s" : "\(value)s"
    }
}
