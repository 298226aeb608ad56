// What gunicorn.conf.py says, read as lines: nothing of it is ever executed.

/// Assignments such as `preload_app = True` at the beginning of a line, and what brings in other files. One that is indented depends on something; one inside of a function
/// or a class sets nothing.
public enum PythonSettings {
    public static func parse(_ text: String) -> [Setting] {
        var settings: [Setting] = []
        var openText: String?
        var definition: Int?
        for (number, whole) in numberedLines(text) {
            if let quotes = openText {
                if occurrences(of: quotes, in: whole) % 2 == 1 { openText = nil }
                continue
            }
            let code = whole.trimmed
            guard !code.isEmpty, code.first != "#" else { continue }
            let indentation = whole.prefix { $0 == " " || $0 == "\t" }.count
            if let start = definition, indentation <= start { definition = nil }
            if definition == nil, code.hasPrefix("def ") || code.hasPrefix("class ") || code.hasPrefix("async def ") { definition = indentation }
            if definition == nil, let setting = statement(code, number, isInside: indentation > 0), settings.count < DoctorLimits.settings {
                settings.append(setting)
            }
            for quotes in ["\"\"\"", "'''"] where openText == nil && occurrences(of: quotes, in: code) % 2 == 1 { openText = quotes }
        }
        return settings
    }

    private static func statement(_ code: Substring, _ line: Int, isInside: Bool) -> Setting? {
        // `from shared import *` brings in what another file says, and `exec(...)` what only Python knows.
        if code.hasPrefix("from ") {
            let words = code.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 4, words[2] == "import", words[3] == "*" else { return nil }
            return Setting("from import *", .text(String(words[1])), line: line, isConditional: isInside)
        }
        for name in ["exec", "execfile"] where code.hasPrefix(name + "(") {
            return Setting(name, .unclear(shown(code.dropFirst(name.count))), line: line, isConditional: isInside)
        }
        return assignment(code, line, isInside: isInside)
    }

    private static func occurrences(of part: String, in text: Substring) -> Int {
        var count = 0
        var rest = text
        while let found = rest.range(of: part) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }

    private static func assignment(_ code: Substring, _ line: Int, isInside: Bool) -> Setting? {
        let name = code.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        guard let first = name.first, first.isLetter || first == "_" else { return nil }
        var rest = code[name.endIndex...].trimmed
        guard rest.first == "=", !rest.hasPrefix("==") else { return nil }
        rest = rest.dropFirst().trimmed
        return Setting(String(name), literal(rest), line: line, isConditional: isInside)
    }

    private static func literal(_ text: Substring) -> Setting.Value {
        if let quote = text.first, quote == "\"" || quote == "'", !text.hasPrefix("\"\"\""), !text.hasPrefix("'''") {
            let rest = text.dropFirst()
            guard let end = rest.firstIndex(of: quote), !rest[..<end].contains("\\") else { return .unclear(shown(text)) }
            let behind = rest[rest.index(after: end)...].trimmed
            return behind.isEmpty || behind.first == "#" ? .text(String(rest[..<end])) : .unclear(shown(text))
        }
        let word = text.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        let behind = text[word.endIndex...].trimmed
        guard behind.isEmpty || behind.first == "#" else { return .unclear(shown(text)) }
        switch word {
        case "True": return .flag(true)
        case "False", "None": return .flag(false)
        default: return !word.isEmpty && word.allSatisfy(\.isNumber) ? .text(String(word)) : .unclear(shown(text))
        }
    }
}
