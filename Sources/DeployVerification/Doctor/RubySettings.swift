// What config/puma.rb and unicorn.rb say, read as lines: nothing of them is ever executed.

/// Calls at the beginning of a line, such as `directory "/srv/app/current"`. Everything else is Ruby's business; a call that depends on
/// something is told as conditional, and an argument that is more than a literal as unclear.
public enum RubySettings {
    public static func parse(_ text: String) -> [Setting] {
        var settings: [Setting] = []
        var depth = 0
        var isInComment = false
        var heredoc: String?
        for (number, whole) in numberedLines(text) {
            if let end = heredoc {
                if whole.trimmed == end { heredoc = nil }
                continue
            }
            if whole.hasPrefix("=begin") { isInComment = true }
            if isInComment {
                if whole.hasPrefix("=end") { isInComment = false }
                continue
            }
            if whole == "__END__" { break }
            let code = withoutComment(whole).trimmed
            guard !code.isEmpty else { continue }
            let change = depthChange(code)
            if change.closesFirst { depth = max(0, depth - 1) }
            if let setting = call(code, number, isInside: depth > 0), settings.count < DoctorLimits.settings {
                settings.append(setting)
                if setting.name == "load" { settings += moreFiles(code, setting) }
            }
            depth = min(1000, max(0, depth + change.opened))
            heredoc = heredocEnd(code)
        }
        return settings
    }

    /// A comment begins with # outside of quotes.
    private static func withoutComment(_ line: Substring) -> Substring {
        var quote: Character?
        var isEscaped = false
        for index in line.indices {
            let character = line[index]
            if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "#" {
                return line[..<index]
            }
        }
        return line
    }

    private static func depthChange(_ code: Substring) -> (closesFirst: Bool, opened: Int) {
        let first = code.prefix { $0.isLetter }
        let words = code.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "?" || $0 == "!") }
        let closes = first == "end" || code.first == "}"
        // `if ready then start end` on one line opens nothing.
        let endsHere = !closes && words.last == "end"
        var opened = 0
        if ["if", "unless", "case", "while", "until", "for", "begin", "def", "class", "module"].contains(first), !endsHere { opened = 1 }
        if opened == 0, words.contains("do"), first != "while", first != "until", first != "for", !endsHere { opened = 1 }
        // `x = if ...` and `x = begin`.
        if opened == 0, let assigned = code.split(separator: "=", maxSplits: 1).last.map(\.trimmed), code.contains("="), !endsHere {
            if ["if", "unless", "case", "begin"].contains(assigned.prefix { $0.isLetter }) { opened = 1 }
        }
        let opening = code.count { $0 == "{" }
        let closing = code.count { $0 == "}" }
        // Else, elsif, rescue, when: in between, as deep as before.
        opened += max(-1, min(1, opening - closing + (code.first == "}" ? 1 : 0)))
        return (closes, opened)
    }

    private static func heredocEnd(_ code: Substring) -> String? {
        guard let start = code.range(of: "<<") else { return nil }
        var rest = code[start.upperBound...]
        guard let mark = rest.first, mark == "~" || mark == "-" || mark.isUppercase else { return nil }
        if mark == "~" || mark == "-" { rest.removeFirst() }
        if let quote = rest.first, quote == "\"" || quote == "'" { rest.removeFirst() }
        let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        guard let first = name.first, first.isLetter || first == "_" else { return nil }
        return String(name)
    }

    private static let keywords: Set<Substring> = [
        "begin", "break", "case", "class", "def", "else", "elsif", "end", "ensure", "for", "if", "module", "rescue", "return", "unless", "until",
        "when", "while",
    ]

    private static func call(_ code: Substring, _ line: Int, isInside: Bool) -> Setting? {
        let name = code.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "!" }
        guard let first = name.first, first.isLetter || first == "_", !keywords.contains(name) else { return nil }
        var rest = code[name.endIndex...].trimmed
        // An assignment to a variable, a method of something, an operator: no call that sets something.
        if let next = rest.first, "=.+-*/<>&|[?".contains(next), !rest.hasPrefix("->") { return nil }
        if rest.first == "(" {
            rest.removeFirst()
            if let end = rest.lastIndex(of: ")") { rest = (rest[..<end] + rest[rest.index(after: end)...])[...] }
            rest = rest.trimmed
        }
        var isConditional = isInside
        if rest.hasPrefix("if ") || rest.hasPrefix("unless ") { return Setting(String(name), .absent, line: line, isConditional: true) }
        guard !rest.isEmpty else { return Setting(String(name), .absent, line: line, isConditional: isConditional) }
        let (value, behind) = literal(rest)
        if behind.hasPrefix("if ") || behind.hasPrefix("unless ") { isConditional = true }
        return Setting(String(name), value, line: line, isConditional: isConditional)
    }

    /// `load` takes several files.
    private static func moreFiles(_ code: Substring, _ first: Setting) -> [Setting] {
        guard first.text != nil else { return [] }
        var files: [Setting] = []
        for part in code.split(separator: ",").dropFirst().prefix(DoctorLimits.files) {
            var part = part.trimmed
            if part.hasSuffix(")"), !part.contains("(") { part.removeLast() }
            let file = Setting(first.name, literal(part).0, line: first.line, isConditional: first.isConditional)
            files.append(file)
            // What is behind a word of Ruby may be a part of it.
            if file.text == nil { break }
        }
        return files
    }

    /// A literal at the beginning, and what comes behind it.
    private static func literal(_ text: Substring) -> (Setting.Value, Substring) {
        if let quote = text.first, quote == "\"" || quote == "'" {
            var value = ""
            var index = text.index(after: text.startIndex)
            while index < text.endIndex, text[index] != quote {
                if text[index] == "\\" {
                    index = text.index(after: index)
                    guard index < text.endIndex else { break }
                }
                value.append(text[index])
                index = text.index(after: index)
            }
            guard index < text.endIndex else { return (.unclear(shown(text)), "") }
            let behind = text[text.index(after: index)...].trimmed
            if quote == "\"", value.contains("#{") { return (.unclear(shown(text)), behind) }
            guard behind.isEmpty || behind.first == "," || behind.hasPrefix("if ") || behind.hasPrefix("unless ") else {
                return (.unclear(shown(text)), behind)
            }
            return (.text(value), behind)
        }
        let word = text.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
        let behind = text[word.endIndex...].trimmed
        let isWhole = behind.isEmpty || behind.first == "," || behind.hasPrefix("if ") || behind.hasPrefix("unless ")
        switch word {
        case "true" where isWhole: return (.flag(true), behind)
        case "false" where isWhole, "nil" where isWhole: return (.flag(false), behind)
        default: break
        }
        if isWhole, !word.isEmpty, word.allSatisfy({ $0.isNumber || $0 == "_" }) { return (.text(word.filter { $0 != "_" }), behind) }
        // `workers ENV.fetch("N", 2) if production`: the condition alone is of interest.
        let condition = text.range(of: " if ") ?? text.range(of: " unless ")
        return (.unclear(shown(text)), condition.map { text[text.index(after: $0.lowerBound)...] } ?? "")
    }
}

extension Substring {
    /// Where a text begins and ends in this one.
    func range(of part: String) -> Range<Index>? {
        guard !part.isEmpty else { return nil }
        var start = startIndex
        while let found = self[start...].firstIndex(of: part[part.startIndex]) {
            if self[found...].hasPrefix(part), let end = index(found, offsetBy: part.count, limitedBy: endIndex) { return found..<end }
            start = index(after: found)
        }
        return nil
    }
}
