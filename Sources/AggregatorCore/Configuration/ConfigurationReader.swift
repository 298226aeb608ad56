// Reads the keys of a configuration one by one and gathers every fault on the way.

import Checks
import Platform
import Yams

/// Gathers faults; every reading method answers `nil` where it has noted one, so that reading goes on to the next.
final class ConfigurationReader {
    let file: String
    private(set) var faults: [Fault] = []

    init(file: String) { self.file = file }

    func note(_ message: String, at place: Place, help: String? = nil) {
        faults.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    /// A mapping whose keys are all known.
    func section(_ node: Node, named name: String, keys: [String]) -> Section? {
        guard let section = mapping(node, named: name) else { return nil }
        for entry in section.entries where !keys.contains(entry.key) {
            note("\(section.full(entry.key)) is not known", at: entry.place, help: "Known here: \(keys.joined(separator: ", ")).")
        }
        return section
    }

    /// A mapping with any keys.
    func mapping(_ node: Node, named name: String) -> Section? {
        guard case .mapping(let mapping) = node else {
            note("\(name.isEmpty ? "the file" : name) must be a mapping (KEY: VALUE lines)", at: Place(node))
            return nil
        }
        var section = Section(name: name, place: Place(node), entries: [])
        for (key, value) in mapping {
            guard let word = key.scalar?.string else {
                note("a key must be a word", at: Place(key))
                continue
            }
            section.entries.append(.init(key: word, place: Place(key), node: value))
        }
        return section
    }

    // MARK: Values

    func text(_ section: Section, _ key: String, limit: Int = 4096) -> Placed<String>? {
        guard let entry = section[key] else { return nil }
        return text(entry.node, named: section.full(key), limit: limit)
    }

    func requiredText(_ section: Section, _ key: String) -> Placed<String>? {
        guard section[key] != nil else {
            note("\(section.full(key)) is missing", at: section.place)
            return nil
        }
        return text(section, key)
    }

    func text(_ node: Node, named name: String, limit: Int = 4096) -> Placed<String>? {
        guard let scalar = node.scalar else {
            note("\(name) must be a text", at: Place(node))
            return nil
        }
        guard !scalar.string.isEmpty else {
            note("\(name) is empty", at: Place(node))
            return nil
        }
        guard scalar.string.utf8.count <= limit, !scalar.string.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            note("\(name) must be one line of at most \(limit) bytes", at: Place(node))
            return nil
        }
        return Placed(scalar.string, at: Place(node))
    }

    /// A text that `make` understands.
    func value<Value>(_ section: Section, _ key: String, expected: String, _ make: (String) -> Value?) -> Value? {
        guard let text = text(section, key) else { return nil }
        guard let value = make(text.value) else {
            note("\(section.full(key)) must be \(expected), not \(text.value)", at: text.place)
            return nil
        }
        return value
    }

    func duration(_ section: Section, _ key: String, in range: ClosedRange<Duration>, expected: String) -> Duration? {
        value(section, key, expected: "a time like \(expected)") { text in
            Duration(configured: text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// The items of a list, each with its name for messages: `services[2]`.
    func list(_ section: Section, _ key: String) -> [(node: Node, name: String)]? {
        guard let entry = section[key] else { return nil }
        let name = section.full(key)
        guard case .sequence(let items) = entry.node else {
            note("\(name) must be a list (lines that begin with \"- \", or [A, B])", at: Place(entry.node))
            return nil
        }
        return items.enumerated().map { (node: $1, name: "\(name)[\($0 + 1)]") }
    }

    func texts(_ section: Section, _ key: String) -> [Placed<String>]? {
        list(section, key)?.compactMap { text($0.node, named: $0.name) }
    }
}

/// A mapping: its keys with their places.
struct Section {
    struct Entry {
        let key: String
        let place: Place
        let node: Node
    }

    let name: String
    let place: Place
    var entries: [Entry]

    subscript(key: String) -> Entry? { entries.first { $0.key == key } }

    /// A key with the names of what it is in: `mail.server`.
    func full(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }
}

extension Place {
    init(_ node: Node) {
        self.init(line: max(1, node.mark?.line ?? 1), column: max(1, node.mark?.column ?? 1))
    }
}

extension Setting {
    /// What a check kind reads, without places.
    init(_ node: Node) {
        switch node {
        case .scalar(let scalar): self = .text(scalar.string)
        case .sequence(let items): self = .list(items.map { Setting($0) })
        case .mapping(let mapping):
            var settings: [String: Setting] = [:]
            for (key, value) in mapping { settings[key.scalar?.string ?? ""] = Setting(value) }
            self = .map(settings)
        case .alias: self = .text("")
        }
    }
}

extension Node {
    /// The node that a key like `headers.Accept` names, as deep as there is one.
    func descendant(_ path: String) -> Node {
        var node = self
        for name in path.split(separator: ".") {
            guard case .mapping(let mapping) = node, let next = mapping.first(where: { $0.key.scalar?.string == String(name) }) else { return node }
            node = next.value
        }
        return node
    }
}
