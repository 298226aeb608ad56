// One event as a line of the spool.

import AgentAPI
import Platform

/// `CRC-32 of the JSON in eight hex digits, a space, the JSON`, without the newline.
enum SpoolLine {
    /// No event that was clipped to the limits of a report makes a longer line: each byte of its four texts becomes at most six.
    static let maximumBytes = 128 << 10

    static func bytes(of event: Event) -> [UInt8] {
        let json = event.json.bytes
        return hexadecimal(checksum(json)) + [UInt8(ascii: " ")] + json
    }

    /// The event of an undamaged line.
    static func event(_ line: ArraySlice<UInt8>) -> Event? {
        guard line.count > 9, line.count <= maximumBytes, line[line.startIndex + 8] == UInt8(ascii: " ") else { return nil }
        let json = line.dropFirst(9)
        guard line.prefix(8).elementsEqual(hexadecimal(checksum(json))), let value = try? JSON(parsing: json) else { return nil }
        guard let event = try? Event(value), event.sequence < largestNumber else { return nil }
        return event
    }

    /// Counting on from here never overflows, whatever a file says.
    static let largestNumber = UInt64(1) << 62
}

extension Event {
    /// With texts that a report may carry. What is longer would be refused for ever.
    func clipped() -> Event {
        var event = self
        event.unit = unit.map { $0.clipped(to: ReportLimits.text) }
        event.rule = rule.map { $0.clipped(to: ReportLimits.text) }
        event.routes = routes.prefix(100).map { $0?.clipped(to: ReportLimits.text) }
        event.detail = detail.clipped(to: ReportLimits.text)
        return event
    }
}

extension String {
    /// At most `limit` bytes of UTF-8, cut between characters.
    func clipped(to limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var clipped = ""
        var size = 0
        for scalar in unicodeScalars {
            size += UTF8.width(scalar)
            if size > limit { break }
            clipped.unicodeScalars.append(scalar)
        }
        return clipped
    }
}

private func hexadecimal(_ checksum: UInt32) -> [UInt8] {
    Array(hex((0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * $0)) }).utf8)
}

/// CRC-32 as in ISO-HDLC, zip and PNG.
private func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { checksumTable[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
}

private let checksumTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
}
