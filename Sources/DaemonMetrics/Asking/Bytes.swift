// Walking through the bytes of an answer: lines, words, numbers, and what to show of an answer that is none.

import Glibc

/// The lines of an answer, without their ends (LF or CR LF). It looks for them with memchr, because a metrics page has megabytes.
struct Lines: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> ArraySlice<UInt8>? {
        guard at < bytes.count else { return nil }
        let feed = position(of: 10, in: bytes[at...]) ?? bytes.endIndex
        var end = feed
        if end > at, bytes[end - 1] == 13 { end -= 1 }
        defer { at = feed + 1 }
        return bytes[at..<end]
    }
}

/// Where `byte` is first.
func position(of byte: UInt8, in bytes: ArraySlice<UInt8>) -> Int? {
    bytes.withUnsafeBytes { buffer in
        guard let start = buffer.baseAddress, let found = memchr(start, Int32(byte), buffer.count) else { return nil }
        return bytes.startIndex + (UnsafeRawPointer(found) - start)
    }
}

/// Where `pattern` is first.
func position(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard let first = pattern.first else { return nil }
    var rest = bytes
    while let at = position(of: first, in: rest) {
        if bytes[at...].starts(with: pattern) { return at }
        rest = bytes[(at + 1)...]
    }
    return nil
}

func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// Without blanks at both ends.
func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var (start, end) = (bytes.startIndex, bytes.endIndex)
    while start < end, bytes[start] == 32 || bytes[start] == 9 { start += 1 }
    while start < end, bytes[end - 1] == 32 || bytes[end - 1] == 9 { end -= 1 }
    return bytes[start..<end]
}

/// What blanks and line ends part, at most `limit` of it.
func words(of bytes: ArraySlice<UInt8>, limit: Int) -> [ArraySlice<UInt8>] {
    bytes.withUnsafeBytes { buffer in
        var words: [ArraySlice<UInt8>] = []
        var at = 0
        while words.count < limit {
            while at < buffer.count, isBlank(buffer[at]) { at += 1 }
            let start = at
            while at < buffer.count, !isBlank(buffer[at]) { at += 1 }
            if start == at { break }
            words.append(bytes[(bytes.startIndex + start)..<(bytes.startIndex + at)])
        }
        return words
    }
}

private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 10 || byte == 13 || byte == 9 }

func isText(_ bytes: ArraySlice<UInt8>, _ text: StaticString) -> Bool {
    bytes.count == text.utf8CodeUnitCount && begins(bytes, with: text)
}

func begins(_ bytes: ArraySlice<UInt8>, with text: StaticString) -> Bool {
    bytes.withUnsafeBytes { buffer in
        guard let start = buffer.baseAddress, buffer.count >= text.utf8CodeUnitCount else { return text.utf8CodeUnitCount == 0 }
        return memcmp(start, text.utf8Start, text.utf8CodeUnitCount) == 0
    }
}

/// A decimal number, finite.
func number(_ bytes: ArraySlice<UInt8>) -> Double? {
    // Whole numbers are nearly all there is, and reading them needs no text.
    let whole: Int? = bytes.withUnsafeBytes { buffer in
        guard (1...15).contains(buffer.count) else { return nil }
        var value = 0
        for index in 0..<buffer.count {
            guard buffer[index] >= 48, buffer[index] <= 57 else { return nil }
            value = value * 10 + Int(buffer[index] - 48)
        }
        return value
    }
    if let whole { return Double(whole) }
    // Swift's reader knows more spellings than any daemon: hexadecimal, nan, infinity.
    guard (1...64).contains(bytes.count) else { return nil }
    for byte in bytes where !(byte >= 48 && byte <= 57 || byte >= 43 && byte <= 46 || byte | 32 == UInt8(ascii: "e")) { return nil }
    guard let value = Double(text(bytes)), value.isFinite else { return nil }
    return value
}

/// What was seen instead of an answer: printable, at most 60 bytes of it.
func seen(_ bytes: some Collection<UInt8>) -> String {
    if bytes.isEmpty { return "nothing" }
    let shown = bytes.prefix(60).map { (32..<127).contains($0) ? Character(Unicode.Scalar($0)) : "." }
    return "\"\(String(shown))\"\(bytes.count > 60 ? "..." : "")"
}

func seen(_ text: String) -> String { seen(Array(text.utf8)) }

/// A library's or server's message: one line, printable, of a length to be read.
func oneLine(_ message: String) -> String {
    let words = message.split { $0.isNewline || $0 == "\t" || $0 == " " }.joined(separator: " ")
    let shown = words.unicodeScalars.prefix(300).map { scalar -> Character in
        switch scalar.properties.generalCategory {
        case .control, .format: "."
        default: Character(scalar)
        }
    }
    return String(shown)
}
