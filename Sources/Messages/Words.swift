// Times and texts as people read them in mails.

public import Platform

extension Timestamp {
    /// `2026-11-21 03:44:31 UTC`
    public var words: String {
        let text = text(fraction: false)
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(8)) UTC"
    }
}

extension Duration {
    /// `45 s`, `2 min 10 s`, `3 h 5 min`, `4 days 2 h`: the two largest units, rounded down.
    public var words: String {
        let seconds = max(0, microseconds / 1_000_000)
        func both(_ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String {
            small == 0 ? "\(large) \(largeUnit)" : "\(large) \(largeUnit) \(small) \(smallUnit)"
        }
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return both(seconds / 60, "min", seconds % 60, "s")
        case ..<86400: return both(seconds / 3600, "h", seconds / 60 % 60, "min")
        default: return both(seconds / 86400, seconds < 172_800 ? "day" : "days", seconds / 3600 % 24, "h")
        }
    }
}

extension String {
    /// The text on one line without control characters, cut to `limit` characters.
    public func onOneLine(limit: Int) -> String {
        let line = String(String.UnicodeScalarView(unicodeScalars.map { isBreak($0) ? " " : $0 }))
        return line.count <= limit ? line : line.prefix(limit - 1) + "…"
    }
}

/// Control characters, and what some readers take for the end of a line.
private func isBreak(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 32 || (127..<160).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
}
