// Which HTTP statuses are right.

/// Some statuses, as a person writes them: `200`, `2xx`, `200-204`.
struct StatusSet: Equatable, Sendable, CustomStringConvertible {
    private var ranges: [ClosedRange<Int>]
    private let words: [String]

    static let success = StatusSet(ranges: [200...299], words: ["2xx"])

    private init(ranges: [ClosedRange<Int>], words: [String]) {
        self.ranges = ranges
        self.words = words
    }

    /// `nil` when a word names no statuses.
    init?(_ words: [String]) {
        var ranges: [ClosedRange<Int>] = []
        for word in words {
            guard let range = Self.range(word) else { return nil }
            ranges.append(range)
        }
        guard !ranges.isEmpty else { return nil }
        self.init(ranges: ranges, words: words)
    }

    func contains(_ status: Int) -> Bool { ranges.contains { $0.contains(status) } }

    /// `2xx`, `200, 301 or 302`.
    var description: String {
        words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
    }

    private static func range(_ word: String) -> ClosedRange<Int>? {
        let valid = 100...599
        if let status = Int(word) { return valid.contains(status) ? status...status : nil }
        if word.count == 3, word.lowercased().hasSuffix("xx"), let hundreds = Int(word.prefix(1)), (1...5).contains(hundreds) {
            return (hundreds * 100)...(hundreds * 100 + 99)
        }
        let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last, valid.contains(first), valid.contains(last) else { return nil }
        return first...last
    }
}
