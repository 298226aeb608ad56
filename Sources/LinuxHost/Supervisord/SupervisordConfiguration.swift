// supervisord.conf, as far as it says where supervisord listens.

import Platform

/// Where to reach a supervisord, and as whom.
struct SupervisordConfiguration: Equatable, Sendable {
    enum Address: Equatable, Sendable {
        case socket(path: String)
        /// On this machine; the agent talks to no other.
        case loopback(port: UInt16)
    }

    var address: Address
    var username: String?
    var password: Secret?
    /// supervisord's own log, to which it writes whenever a process changes.
    var logFile: String?

    /// - Parameters:
    ///   - text: the file's.
    ///   - folder: what `%(here)s` stands for.
    /// - Returns: `nil` when it says nowhere how supervisord can be asked. The socket goes before the port.
    init?(parsing text: [UInt8], folder: String) {
        var sections: [String: [String: String]] = [:]
        var section = ""
        for line in text.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
            // A semicolon after a blank begins a comment, also behind a value.
            let bytes = Self.withoutComment(line)
            guard let first = bytes.first, first != UInt8(ascii: "#") else { continue }
            if first == UInt8(ascii: "[") {
                guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { continue }
                section = String(decoding: bytes[(bytes.startIndex + 1)..<end], as: UTF8.self)
                continue
            }
            guard ["unix_http_server", "inet_http_server", "supervisord"].contains(section),
                let separator = bytes.firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") })
            else { continue }
            let key = String(decoding: trimmed(bytes[..<separator]), as: UTF8.self)
            let value = String(decoding: trimmed(bytes[(separator + 1)...]), as: UTF8.self)
            sections[section, default: [:]][key] = Self.expanded(value, folder: folder)
        }
        if let socket = sections["unix_http_server"], let path = socket["file"], path.hasPrefix("/") {
            self.init(.socket(path: path), socket)
        } else if let server = sections["inet_http_server"], let port = Self.port(server["port"] ?? "") {
            self.init(.loopback(port: port), server)
        } else {
            return nil
        }
        logFile = sections["supervisord"]?["logfile"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    private init(_ address: Address, _ settings: [String: String]) {
        self.address = address
        username = settings["username"]
        password = settings["password"].map { Secret($0) }
    }

    private static func withoutComment(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var previous = UInt8(ascii: " ")
        for index in line.indices {
            if line[index] == UInt8(ascii: ";"), previous == 32 || previous == 9 { return trimmed(line[..<index]) }
            previous = line[index]
        }
        return trimmed(line)
    }

    private static func expanded(_ value: String, folder: String) -> String {
        guard let range = value.utf8.firstRange(of: "%(here)s".utf8) else { return value }
        return String(value[..<range.lowerBound]) + folder + String(value[range.upperBound...])
    }

    /// `9001`, `:9001`, `*:9001`, `127.0.0.1:9001`, `localhost:9001`; no other host.
    private static func port(_ text: String) -> UInt16? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let last = parts.last, let port = UInt16(last), port > 0, parts.count <= 2 else { return nil }
        let host = parts.count == 2 ? String(parts[0]) : ""
        return ["", "*", "127.0.0.1", "localhost", "0.0.0.0"].contains(host) ? port : nil
    }
}

private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isBlank: (UInt8) -> Bool = { $0 == 32 || $0 == 9 }
    guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) }) else { return [] }
    return bytes[first...last]
}
