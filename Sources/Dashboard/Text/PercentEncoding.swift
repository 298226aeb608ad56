// Percent-encoding (RFC 3986), and forms as browsers send them.

import Platform

/// All but letters, digits and `-._~` as `%XX`.
func percentEncoded(_ text: String) -> String {
    var out = ""
    for byte in text.utf8 {
        let scalar = Unicode.Scalar(byte)
        if scalar.properties.isASCIIHexDigit || ("A"..."Z").contains(scalar) || ("a"..."z").contains(scalar) || "-._~".unicodeScalars.contains(scalar)
        {
            out.unicodeScalars.append(scalar)
        } else {
            out += "%\(hex([byte]).uppercased())"
        }
    }
    return out
}

/// `nil` for a `%` without two hex digits, and for what is not UTF-8.
func percentDecoded(_ bytes: some Sequence<UInt8>) -> String? {
    var out: [UInt8] = []
    var iterator = bytes.makeIterator()
    while let byte = iterator.next() {
        guard byte == UInt8(ascii: "%") else {
            out.append(byte)
            continue
        }
        guard let high = iterator.next().flatMap(hexValue), let low = iterator.next().flatMap(hexValue) else { return nil }
        out.append(high << 4 | low)
    }
    return String(validating: out, as: UTF8.self)
}

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

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
