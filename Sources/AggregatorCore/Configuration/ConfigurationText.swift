// A configuration file's text as a tree of nodes that know their places, or the fault that makes it none.

import Platform
import Yams

/// Where something stands in a file.
public struct Place: Equatable, Sendable {
    /// From 1.
    public var line: Int
    /// From 1, in characters.
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// A value with its place, for whoever finds out later that it is wrong.
public struct Placed<Value: Sendable>: Sendable {
    public var value: Value
    public var place: Place

    public init(_ value: Value, at place: Place) {
        self.value = value
        self.place = place
    }
}

extension Placed: Equatable where Value: Equatable {}

enum ConfigurationText {
    /// What a configuration may have at most; a larger file is not one.
    static let limit = 1 << 20

    /// The root of the text's only document; `nil` when the text holds nothing but space and comments.
    static func tree(of bytes: [UInt8], file: String) throws(Fault) -> Node? {
        guard bytes.count <= limit else { throw Fault(file: file, message: "is larger than \(limit) bytes") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let line = bytes.split(separator: 10, omittingEmptySubsequences: false).firstIndex { String(validating: $0, as: UTF8.self) == nil }
            throw Fault(file: file, line: (line ?? 0) + 1, column: 1, message: "this line is not UTF-8")
        }
        if let anchor = anchorInUse(in: text) {
            throw Fault(
                file: file, line: anchor.line, column: anchor.column, message: "anchors and aliases (&name, *name) are not understood here",
                help: "Write the value out where it is needed, or put the text into quotes if it is no anchor.")
        }
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw fault(of: error, in: file)
        } catch {
            throw Fault(file: file, message: "cannot be read: \(error)")
        }
    }

    /// The first `&name` that a `*name` refers to. A few of them can stand for a tree of any size, so they must not reach the reader.
    private static func anchorInUse(in text: String) -> Place? {
        var anchors: [(name: Substring, place: Place)] = []
        var aliases: Set<Substring> = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            var previous: Character = " "
            var index = line.startIndex
            var column = 1
            while index < line.endIndex {
                let character = line[index]
                let next = line.index(after: index)
                if character == "&" || character == "*", previous.isWhitespace || "[{,:-?".contains(previous) {
                    let name = line[next...].prefix { !$0.isWhitespace && !"[]{},".contains($0) }
                    if character == "*" {
                        aliases.insert(name)
                    } else if !name.isEmpty {
                        anchors.append((name, Place(line: number + 1, column: column)))
                    }
                }
                previous = character
                index = next
                column += 1
            }
        }
        return anchors.first { aliases.contains($0.name) }?.place
    }

    private static func fault(of error: YamlError, in file: String) -> Fault {
        switch error {
        case .composer(_, let problem, let mark, _):
            return Fault(file: file, line: mark.line, column: mark.column, message: "cannot be read: \(problem)")
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            let words = context.map { "\($0.text.trimmed): \(problem)" } ?? problem
            return Fault(
                file: file, line: mark.line, column: mark.column, message: "is not YAML: \(words)",
                help: "Indentation must be spaces, and the same for all keys of one level.")
        case .duplicatedKeysInMapping(let duplicates, let context):
            return Fault(
                file: file, line: max(1, context.mark.line), column: max(1, context.mark.column),
                message: "\(duplicates.joined(separator: ", ")) is there twice")
        case .reader(let problem, let offset, _, let text):
            let before = text.utf8.prefix(max(0, offset ?? 0)).split(separator: 10, omittingEmptySubsequences: false)
            let column = (before.last.map { String($0)?.count ?? 0 } ?? 0) + 1
            return Fault(file: file, line: max(1, before.count), column: column, message: "is not YAML: \(problem)")
        default:
            return Fault(file: file, message: "is not YAML: \(error)")
        }
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
