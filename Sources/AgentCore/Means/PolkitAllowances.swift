// What polkit lets the agent do with units.

import Glibc
import Platform

/// The table of 49-rollcall-agent.rules: which unit the agent may act on, and how. It is read as it is shipped, with lines added; what
/// polkit really decides is for polkit.
struct PolkitAllowances: Equatable {
    static let folder = "/etc/polkit-1/rules.d"
    static let file = "49-rollcall-agent.rules"

    /// By full name of the unit: `restart`, `kill`, ...
    private var verbs: [String: Set<String>] = [:]

    /// - Returns: `nil` for a text without the table.
    init?(parsing text: String) {
        var rest = Self.withoutComments(text)[...]
        guard let begin = rest.range(of: "var units") else { return nil }
        rest = rest[begin...]
        guard let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") else { return nil }
        var words = Self.words(of: rest[rest.index(after: open)..<close])[...]
        while let unit = words.popFirst() {
            guard case .name(let name) = unit, words.popFirst() == .other(":"), words.popFirst() == .other("[") else { return nil }
            while let verb = words.popFirst(), verb != .other("]") {
                if case .name(let verb) = verb { verbs[name, default: []].insert(verb) }
            }
            if words.first == .other(",") { words.removeFirst() }
        }
    }

    private init() {}

    /// Of this host; `nil` where they cannot be known: without systemd, where the folder is closed to this process, or where other rules speak
    /// of the agent as well.
    static func ofHost() -> PolkitAllowances? {
        guard access("/run/systemd/system", F_OK) == 0, let listing = opendir(folder) else { return nil }
        defer { closedir(listing) }
        var allowances = PolkitAllowances()
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { String(cString: $0) }
            }
            guard name.hasSuffix(".rules") else { continue }
            guard let bytes = try? AtomicFile.read("\(folder)/\(name)", limit: 1 << 20) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            if name == file {
                guard let own = PolkitAllowances(parsing: text) else { return nil }
                allowances = own
            } else if text.range(of: "rollcall-agent") != nil {
                return nil
            }
        }
        return allowances
    }

    /// - Parameter check: the name of a check: `puma`, `sidekiq@*`. For a pattern one unit that matches is enough.
    func allow(_ verb: String, on check: String) -> Bool { verbs.contains { unitMatches($0.key, pattern: check) && $0.value.contains(verb) } }

    // MARK: Reading

    private enum Word: Equatable {
        case name(String)
        case other(Character)
    }

    private static func withoutComments(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.range(of: "//").map { String(line[..<$0]) } ?? String(line)
        }.joined(separator: "\n")
    }

    private static func words(of text: Substring) -> [Word] {
        var words: [Word] = []
        var rest = text
        while let character = rest.popFirst() {
            if character.isWhitespace { continue }
            guard character == "\"" || character == "'" else {
                words.append(.other(character))
                continue
            }
            let name = rest.prefix { $0 != character }
            rest = rest[name.endIndex...].dropFirst()
            words.append(.name(String(name)))
        }
        return words
    }
}

extension StringProtocol where SubSequence: StringProtocol {
    /// Where a text begins in this one.
    fileprivate func range(of text: String) -> Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) { return index }
            index = self.index(after: index)
        }
        return nil
    }
}
