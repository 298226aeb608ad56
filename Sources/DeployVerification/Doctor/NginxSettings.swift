// What nginx.conf says outside of all blocks.

/// Directives of the main level, each with its arguments as one text: `daemon off;`. An `include` inside of a block brings nothing that a restart depends on.
public enum NginxSettings {
    public static func parse(_ text: String) -> [Setting] {
        var settings: [Setting] = []
        var words: [String] = []
        var word = ""
        var hasWord = false
        var depth = 0
        var line = 1
        var startLine = 1
        var quote: Unicode.Scalar?
        var isComment = false
        var isEscaped = false

        func endWord() {
            guard hasWord else { return }
            if words.isEmpty { startLine = line }
            words.append(word)
            word = ""
            hasWord = false
        }

        func endDirective() {
            endWord()
            if let name = words.first, depth == 0, settings.count < DoctorLimits.settings {
                let rest = words.dropFirst().joined(separator: " ")
                settings.append(Setting(name, rest.isEmpty ? .absent : .text(rest), line: startLine))
            }
            words = []
        }

        for scalar in text.unicodeScalars {
            defer { if scalar == "\n" { line += 1 } }
            if isComment {
                if scalar == "\n" { isComment = false }
                continue
            }
            if isEscaped {
                isEscaped = false
                word.unicodeScalars.append(scalar)
                hasWord = true
                continue
            }
            if scalar == "\\" {
                isEscaped = true
                continue
            }
            if let open = quote {
                if scalar == open { quote = nil } else { word.unicodeScalars.append(scalar) }
                continue
            }
            switch scalar {
            case " ", "\t", "\r", "\n": endWord()
            case "#" where !hasWord: isComment = true
            case ";": endDirective()
            case "{":
                endWord()
                words = []
                depth = min(depth + 1, 1000)
            case "}":
                endWord()
                words = []
                depth = max(0, depth - 1)
            case "\"" where !hasWord, "'" where !hasWord:
                quote = scalar
                hasWord = true
            default:
                word.unicodeScalars.append(scalar)
                hasWord = true
            }
        }
        return settings
    }
}
