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
    var bytes = bytes
    while let first = bytes.first, first == 32 || first == 9 { bytes.removeFirst() }
    while let last = bytes.last, last == 32 || last == 9 { bytes.removeLast() }
    return bytes
}

/// A decimal number, finite.
func number(_ bytes: ArraySlice<UInt8>) -> Double? {
    // Whole numbers are nearly all there is, and reading them needs no text.
    var whole = 0
    for byte in bytes {
        guard bytes.count <= 15, (48...57).contains(byte) else { return fraction(bytes) }
        whole = whole * 10 + Int(byte - 48)
    }
    return bytes.isEmpty ? nil : Double(whole)
}

private func fraction(_ bytes: ArraySlice<UInt8>) -> Double? {
    // Swift's reader knows more spellings than any daemon: hexadecimal, nan, infinity.
    for byte in bytes where !(48...57).contains(byte) && !(43...46).contains(byte) && byte | 32 != UInt8(ascii: "e") { return nil }
    guard bytes.count <= 64, let value = Double(text(bytes)), value.isFinite else { return nil }
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
    let shown = words.unicodeScalars.prefix(300).map { $0.properties.generalCategory == .control ? "." : Character($0) }
    return String(shown)
}
