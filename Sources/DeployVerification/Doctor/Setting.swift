// What a configuration file says, line by line, whatever language it is written in.

/// One line of a configuration file that says something.
public struct Setting: Equatable, Sendable {
    public enum Value: Equatable, Sendable {
        /// The name alone, as in `preload_app!`.
        case absent
        case flag(Bool)
        case text(String)
        /// Only the program that reads the file can say what it comes to.
        case unclear(String)
    }

    public var name: String
    public var value: Value
    public var line: Int
    /// Inside of a condition or a block, or with a condition behind it: it may not count.
    public var isConditional: Bool

    public init(_ name: String, _ value: Value, line: Int, isConditional: Bool = false) {
        self.name = name
        self.value = value
        self.line = line
        self.isConditional = isConditional
    }

    /// Whether it is switched on; `nil` when only the program can say.
    public var isOn: Bool? {
        guard !isConditional else { return nil }
        switch value {
        case .absent: return true
        case .flag(let flag): return flag
        case .text(let text):
            switch text.lowercased() {
            case "true", "1", "yes", "on": return true
            case "false", "0", "no", "off", "": return false
            default: return nil
            }
        case .unclear: return nil
        }
    }

    /// Its value as text; `nil` when only the program can say.
    public var text: String? {
        guard !isConditional, case .text(let text) = value else { return nil }
        return text
    }
}

/// The bounds on what is read of a configuration.
public enum DoctorLimits {
    /// Bytes of one file.
    public static let file = 1 << 20
    /// Lines of one file.
    public static let lines = 20_000
    /// Files of one service.
    public static let files = 60
    /// Settings of one file.
    public static let settings = 5_000
    /// Processes of one service.
    public static let processes = 1000
    /// UTF-8 bytes of a text that is repeated to a person.
    public static let text = 200
}

/// The lines of a text, the first one numbered 1, without what ends them.
func numberedLines(_ text: String) -> [(number: Int, text: Substring)] {
    // By bytes: to Swift, CR LF is one character.
    text.utf8.split(separator: 10, maxSplits: DoctorLimits.lines, omittingEmptySubsequences: false).prefix(DoctorLimits.lines).enumerated().map {
        ($0.offset + 1, Substring($0.element.last == 13 ? $0.element.dropLast() : $0.element))
    }
}

extension Substring {
    /// Without spaces and tabs at both ends.
    var trimmed: Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" || first == "\r\n" || first == "\r" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" || last == "\r\n" || last == "\r" { text.removeLast() }
        return text
    }
}

/// A part of what was read, as it can be shown to a person on one line.
func shown(_ text: some StringProtocol) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        guard result.utf8.count < DoctorLimits.text else { return result + "..." }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: result += " "
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
