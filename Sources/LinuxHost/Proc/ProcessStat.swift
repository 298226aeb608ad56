// /proc/PID/stat, for those who meet a process for the first time.

/// A process: its numbers, and what it calls itself.
struct ProcessStat: Equatable, Sendable {
    var pid: Int32
    /// The program's name: any bytes, spaces and parentheses too.
    var command: String
    var counters: ProcessCounters

    /// `nil` for anything that is not such a line.
    init?(parsing text: some Collection<UInt8>) {
        let bytes = Array(text)
        guard let opening = bytes.firstIndex(of: UInt8(ascii: "(")), let closing = bytes.lastIndex(of: UInt8(ascii: ")")), opening < closing,
            let pid = Int32(String(decoding: bytes[..<opening], as: UTF8.self).filter { $0 != " " }),
            let counters = ProcessCounters(parsing: bytes.span)
        else { return nil }
        self.pid = pid
        command = String(decoding: bytes[(opening + 1)..<closing], as: UTF8.self)
        self.counters = counters
    }

    /// `R`, `S`, `Z`, ...
    var state: Character { Character(UnicodeScalar(counters.state)) }
    var parent: Int32 { counters.parent }
    /// Clock ticks in user and kernel mode, all threads, without children.
    var userTicks: UInt64 { counters.user }
    var systemTicks: UInt64 { counters.system }
    /// Clock ticks from boot to its start.
    var startTicks: UInt64 { counters.start }
    /// It has ended and only waits for its parent to take note.
    var hasEnded: Bool { counters.hasEnded }
}
