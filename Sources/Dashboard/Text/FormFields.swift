// Forms as browsers send them.

/// A form's fields (`application/x-www-form-urlencoded`). What cannot be read counts as not sent.
struct FormFields: Sendable {
    private var fields: [String: String] = [:]

    init(parsing bytes: some Collection<UInt8>) {
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let decoded = parts.map { part in percentDecoded(part.lazy.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }) }
            guard let name = decoded[0], decoded.count == 2, let value = decoded[1] else { continue }
            fields[name] = value
        }
    }

    /// Empty when it was not sent.
    subscript(name: String) -> String { fields[name] ?? "" }
}
