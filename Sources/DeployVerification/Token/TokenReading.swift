// What an answer's body says of a token.

import Platform

/// A body read for a token. What some servers and frameworks put around every answer is no part of it: a byte order mark, blanks and line
/// ends, and one pair of quotes.
public enum TokenReading: Equatable, Sendable {
    case token(String)
    /// Something that looks like a token, and more than that around it.
    case within([String])
    case none

    private static let mostFound = 8

    public init(_ body: [UInt8]) {
        let text = Self.trimmed(body[...])
        if DeployToken.isToken(text) {
            self = .token(String(decoding: text, as: UTF8.self))
            return
        }
        let found = Self.tokens(in: text)
        self = found.isEmpty ? .none : .within(found)
    }

    private static func trimmed(_ body: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = body
        if text.starts(with: [0xef, 0xbb, 0xbf]) { text = text.dropFirst(3) }
        text = withoutBlanks(text)
        if let first = text.first, text.count >= 2, first == UInt8(ascii: "\"") || first == UInt8(ascii: "'"), text.last == first {
            text = text.dropFirst().dropLast()
        }
        return text
    }

    private static func withoutBlanks(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    /// The words of a token's form. Part of a longer word is none.
    private static func tokens(in text: ArraySlice<UInt8>) -> [String] {
        var found: [String] = []
        for word in text.split(whereSeparator: { !isOfWord($0) }) where found.count < mostFound && DeployToken.isToken(word) {
            if word.contains(where: { $0 != UInt8(ascii: "-") }) { found.append(String(decoding: word, as: UTF8.self)) }
        }
        return found
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: byte >= 128
        }
    }
}

extension Secret {
    /// Whether it is this token, in capitals or not: of hexadecimal digits both are the same.
    func isToken(_ text: String) -> Bool { Secret(reveal().lowercased()).matches(text.lowercased().utf8) }
}
