// The smaller files of /proc about the whole host.

/// Waiting for a resource: /proc/pressure/NAME, and NAME.pressure of a control group.
struct Pressure: Equatable, Sendable {
    /// Percent of the last 10 seconds in which some process waited.
    var some: Double

    init?(parsing text: Span<UInt8>) {
        var position = 0
        repeat {
            guard text.takes("some", &position) else { continue }
            guard let value = fraction(after: "avg10=", in: text, &position) else { return nil }
            some = value
            return
        } while text.skipLine(&position)
        return nil
    }
}

/// The word `key12.34`; nothing else of a fraction is ever written by the kernel.
private func fraction(after key: StaticString, in text: Span<UInt8>, _ position: inout Int) -> Double? {
    for offset in 0..<key.utf8CodeUnitCount {
        guard position < text.count, text[position] == key.utf8Start[offset] else { return nil }
        position += 1
    }
    var value = 0.0
    var scale = 0.0
    var digits = 0
    while position < text.count, text[position] > 32 {
        let byte = text[position]
        position += 1
        if byte == UInt8(ascii: "."), scale == 0, digits > 0 {
            scale = 1
            continue
        }
        guard byte >= 48, byte <= 57, digits < 15 else { return nil }
        digits += 1
        scale *= 10
        value = value * 10 + Double(byte - 48)
    }
    return digits > 0 ? value / max(1, scale) : nil
}

/// Open files of all processes: /proc/sys/fs/file-nr.
struct FileCount: Equatable, Sendable {
    var open: UInt64
    /// `nil` when there is none to speak of.
    var limit: UInt64?

    init?(parsing text: Span<UInt8>) {
        var position = 0
        guard let allocated = text.number(&position), let unused = text.number(&position), let limit = text.number(&position) else { return nil }
        open = allocated - min(allocated, unused)
        // systemd sets the highest number that there is.
        self.limit = limit < 1 << 62 ? limit : nil
    }
}

/// What has passed through a network interface: a line of /proc/net/dev.
struct InterfaceCounters: Equatable, Sendable {
    var received: UInt64
    var sent: UInt64
    /// Packets that were broken or dropped, in and out.
    var errors: UInt64

    /// - Parameter name: of the interface; `nil` comes back when the list does not have it.
    init?(of name: String, parsing text: Span<UInt8>) {
        var position = 0
        repeat {
            text.skipBlanks(&position)
            guard takesName(name, in: text, &position) else { continue }
            text.skipBlanks(&position)
            guard let received = text.number(&position), text.number(&position) != nil, let brokenIn = text.number(&position),
                let droppedIn = text.number(&position)
            else { return nil }
            for _ in 0..<4 { text.skipWord(&position) }
            guard let sent = text.number(&position), text.number(&position) != nil, let brokenOut = text.number(&position),
                let droppedOut = text.number(&position)
            else { return nil }
            self.received = received
            self.sent = sent
            errors = brokenIn &+ droppedIn &+ brokenOut &+ droppedOut
            return
        } while text.skipLine(&position)
        return nil
    }
}

/// Whether `name:` is here, and moves past it. What follows may stick to the colon.
private func takesName(_ name: String, in text: Span<UInt8>, _ position: inout Int) -> Bool {
    var index = position
    for byte in name.utf8 {
        guard index < text.count, text[index] == byte else { return false }
        index += 1
    }
    guard index < text.count, text[index] == UInt8(ascii: ":") else { return false }
    position = index + 1
    return true
}
