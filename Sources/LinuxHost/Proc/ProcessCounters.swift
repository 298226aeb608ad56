// /proc/PID/stat, the numbers of it that every cycle wants.

import AgentCore

/// What the kernel counts of one process (proc(5)).
struct ProcessCounters: Equatable, Sendable {
    /// `R`, `S`, `Z`, ...
    var state: UInt8
    var parent: Int32
    /// Clock ticks in user and kernel mode: of all threads, without children.
    var user: UInt64
    var system: UInt64
    /// The same of the children that have ended and that it has waited for, with theirs.
    var childUser: UInt64
    var childSystem: UInt64
    var threads: UInt64
    /// Clock ticks from boot to its start.
    var start: UInt64
    /// Where an exec put things; constants stand for what may not be seen. `nil` where the line ends before it.
    var execMark: ExecMark?

    /// `nil` for anything that is not such a line.
    init?(parsing text: Span<UInt8>) {
        // The name may hold parentheses; what follows it may not.
        var position = text.count
        while position > 0, text[position - 1] != UInt8(ascii: ")") { position -= 1 }
        guard position > 0 else { return nil }
        text.skipBlanks(&position)
        guard position < text.count, text[position] > 32 else { return nil }
        let state = text[position]
        text.skipWord(&position)
        guard let parent = text.number(&position) else { return nil }
        for _ in 0..<9 { text.skipWord(&position) }
        guard let user = text.number(&position), let system = text.number(&position), let childUser = text.number(&position),
            let childSystem = text.number(&position)
        else { return nil }
        // Priority and niceness, which may be negative.
        for _ in 0..<2 { text.skipWord(&position) }
        guard let threads = text.number(&position) else { return nil }
        text.skipWord(&position)
        guard let start = text.number(&position) else { return nil }
        self.state = state
        self.parent = Int32(clamping: parent)
        self.user = user
        self.system = system
        self.childUser = childUser
        self.childSystem = childSystem
        self.threads = threads
        self.start = start
        execMark = ExecMark(after: &position, in: text)
    }

    /// It has ended and only waits for its parent to take note.
    var hasEnded: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
}

extension ExecMark {
    /// - Parameter position: behind the 22nd field, the process's start.
    fileprivate init?(after position: inout Int, in text: Span<UInt8>) {
        for _ in 23..<26 { text.skipWord(&position) }
        guard let code = text.number(&position) else { return nil }
        text.skipWord(&position)
        guard let stack = text.number(&position) else { return nil }
        for _ in 29..<48 { text.skipWord(&position) }
        guard let arguments = text.number(&position) else { return nil }
        self.init(code: code, stack: stack, arguments: arguments)
    }
}

extension ProcessState {
    init(_ letter: UInt8) {
        switch letter {
        case UInt8(ascii: "R"), UInt8(ascii: "S"), UInt8(ascii: "I"): self = .running
        case UInt8(ascii: "D"): self = .blocked
        case UInt8(ascii: "T"), UInt8(ascii: "t"): self = .stopped
        case UInt8(ascii: "Z"), UInt8(ascii: "X"), UInt8(ascii: "x"): self = .zombie
        default: self = .other
        }
    }
}
