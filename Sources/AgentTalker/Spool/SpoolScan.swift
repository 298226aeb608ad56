// What a spool's files hold, and what they have lost.

import AgentAPI

/// Reads segments in their order and tells whole lines from damaged ones. A damaged line loses its number: no other event gets it.
struct SpoolScan {
    /// The number that the next event gets.
    private(set) var next: UInt64
    /// Numbers whose events are damaged.
    private(set) var lost: [ClosedRange<UInt64>] = []
    /// Damaged lines since the last whole one. How many numbers they held shows when a whole line follows.
    private var damaged: UInt64 = 0

    init(first: UInt64) { next = first }

    /// Reads a segment whose name promises `first` as its first number.
    /// - Returns: what the segment should hold instead; `nil` when it is as it should be.
    mutating func read(_ content: [UInt8], first: UInt64) -> [UInt8]? {
        if first > next { pass(to: first) }
        var kept: [UInt8] = []
        for line in content.split(separator: 10) {
            guard let event = SpoolLine.event(line) else {
                damaged += 1
                continue
            }
            guard event.sequence >= next else { continue }  // a repetition
            if event.sequence > next { pass(to: event.sequence) }
            damaged = 0
            next = event.sequence + 1
            kept += line
            kept.append(10)
        }
        return kept == content ? nil : kept
    }

    /// A segment that cannot be read at all.
    mutating func readDamaged() { damaged += 1 }

    /// After the last segment: what was damaged at the very end lost a number each.
    mutating func finish() {
        if damaged > 0 { pass(to: next + damaged) }
    }

    /// Numbers that are missing without damage were missed, and told, by an earlier scan.
    private mutating func pass(to number: UInt64) {
        if damaged > 0 { lost.append(next...(number - 1)) }
        damaged = 0
        next = number
    }
}
