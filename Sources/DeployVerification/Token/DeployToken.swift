// The random word that tells one deploy from every other.

import Platform

/// A text that cannot be a deploy token. It is not repeated: it may be anything.
public struct DeployTokenError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String { "a deploy token is 16 to 128 hexadecimal digits and dashes" }
}

/// A deploy token: 128 random bits in hex, or what a deploy script brought along. It is no credential, but whoever knows it can
/// answer for a deploy: logs show its first digits only.
public struct DeployToken: Equatable, Sendable, CustomStringConvertible {
    public let text: String

    /// A new one; tokens are never used twice, a rollback gets its own too.
    public init() { text = randomHex(bytes: 16) }

    public init(parsing text: String) throws(DeployTokenError) {
        guard Self.isToken(text.utf8) else { throw DeployTokenError() }
        self.text = text
    }

    /// Whether `bytes` have the form of a token: `^[0-9a-fA-F-]{16,128}$`.
    public static func isToken(_ bytes: some Collection<UInt8>) -> Bool {
        (16...128).contains(bytes.count)
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// Compares in a time that says nothing about how much of it was right.
    public func matches(_ candidate: some Collection<UInt8>) -> Bool { Secret(text).matches(candidate) }

    /// What may be shown.
    public var prefix: String { String(text.prefix(8)) }

    public var description: String { "\(prefix)..." }
}
