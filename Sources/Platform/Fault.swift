// A fault in a text that a person wrote: where it is, what is wrong, what would help.

/// One fault in a configuration or rule file. All faults of a text are gathered and shown at once.
public struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file, as its reader was told to call it.
    public var file: String
    /// From 1; 0 where the file as a whole is meant.
    public var line: Int
    /// From 1, in characters; 0 where the file as a whole is meant.
    public var column: Int
    public var message: String
    /// What would help, as a sentence; `nil` when the message says it all.
    public var help: String?

    public init(file: String, line: Int, column: Int, message: String, help: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.help = help
    }

    /// A fault of a file as a whole.
    public init(file: String, message: String, help: String? = nil) {
        self.init(file: file, line: 0, column: 0, message: message, help: help)
    }

    /// `file:line:column: message`, as editors understand it.
    public var description: String { line > 0 ? "\(file):\(line):\(column): \(message)" : "\(file): \(message)" }

    /// The description, the line of the text with a caret under the place, and the help.
    public func rendered(in text: String) -> String {
        var out = description + "\n"
        // By bytes: as a Character "\r\n" is no "\n".
        let lines = text.utf8.split(separator: 10, maxSplits: max(0, line), omittingEmptySubsequences: false)
        if line >= 1, line <= lines.count {
            // Tabs stay tabs under the caret's line too, so that the caret stands where a terminal puts the character.
            let bytes = lines[line - 1].last == 13 ? lines[line - 1].dropLast() : lines[line - 1]
            let shown = String(decoding: bytes.prefix(4000), as: UTF8.self).prefix(200).map { $0 != "\t" && isControl($0) ? " " : $0 }
            let indent = shown.prefix(max(0, column - 1)).map { $0 == "\t" ? "\t" : " " }
            out += "    \(String(shown))\n    \(indent.joined())^\n"
        }
        if let help { out += "    \(help)\n" }
        return out
    }
}

private func isControl(_ character: Character) -> Bool { character.unicodeScalars.contains { $0.properties.generalCategory == .control } }

/// Every fault that a text, or several, had.
public struct Faults: Error, Equatable, Sendable {
    public var all: [Fault]
    public init(_ all: [Fault]) { self.all = all }
}
