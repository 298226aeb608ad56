// /proc/PID/stat.

/// What the kernel tells about one process (proc(5)).
struct ProcessStat: Equatable, Sendable {
    var pid: Int32
    /// The program's name: any bytes, spaces and parentheses too.
    var command: String
    /// `R`, `S`, `Z`, ...
    var state: Character
    var parent: Int32
    /// Clock ticks in user and kernel mode, all threads, without children.
    var userTicks: UInt64
    var systemTicks: UInt64
    /// Clock ticks from boot to its start.
    var startTicks: UInt64

    /// `nil` for anything that is not such a line.
    init?(parsing text: some Collection<UInt8>) {
        let bytes = Array(text)
        // The name may hold parentheses; what follows it may not.
        guard let opening = bytes.firstIndex(of: UInt8(ascii: "(")), let closing = bytes.lastIndex(of: UInt8(ascii: ")")), opening < closing,
            let pid = Int32(String(decoding: bytes[..<opening], as: UTF8.self).filter { $0 != " " })
        else { return nil }
        let fields = Fields(bytes[(closing + 1)...])
        guard let state = fields.first(at: 0), let parent = fields.number(at: 1), let user = fields.number(at: 11),
            let system = fields.number(at: 12), let start = fields.number(at: 19)
        else { return nil }
        self.pid = pid
        command = String(decoding: bytes[(opening + 1)..<closing], as: UTF8.self)
        self.state = Character(UnicodeScalar(state))
        self.parent = Int32(clamping: parent)
        userTicks = user
        systemTicks = system
        startTicks = start
    }

    /// It has ended and only waits for its parent to take note.
    var hasEnded: Bool { state == "Z" || state == "X" }
}

/// Pages in memory, the second number of /proc/PID/statm; `nil` for what is not such a line, and for a process without memory.
func residentPages(parsing text: some Collection<UInt8>) -> UInt64? {
    Fields(Array(text)[...]).number(at: 1).flatMap { $0 == 0 ? nil : $0 }
}

/// Words between blanks.
struct Fields {
    private var fields: [ArraySlice<UInt8>]

    init(_ bytes: ArraySlice<UInt8>) {
        fields = bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\t") }
    }

    func first(at index: Int) -> UInt8? { index < fields.count ? fields[index].first : nil }
    func text(at index: Int) -> String? { index < fields.count ? String(decoding: fields[index], as: UTF8.self) : nil }
    func number(at index: Int) -> UInt64? { index < fields.count ? decimal(fields[index]) : nil }
    func fraction(at index: Int) -> Double? {
        guard let text = text(at: index), let number = Double(text), number.isFinite else { return nil }
        return number
    }
}

/// An unsigned decimal number, the whole of the text; `nil` for anything else, and for what does not fit.
func decimal(_ text: some Collection<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    for byte in text {
        guard byte >= 48, byte <= 57 else { return nil }
        let (product, carried) = number.multipliedReportingOverflow(by: 10)
        let (sum, overflown) = product.addingReportingOverflow(UInt64(byte - 48))
        guard !carried, !overflown else { return nil }
        number = sum
    }
    return text.isEmpty ? nil : number
}

/// The number after `key` in lines of `key value`, as in memory.stat and cpu.stat.
func number(of key: String, in text: some Collection<UInt8>) -> UInt64? {
    for line in Array(text).split(separator: UInt8(ascii: "\n")) {
        let fields = Fields(line)
        if fields.text(at: 0) == key { return fields.number(at: 1) }
    }
    return nil
}
