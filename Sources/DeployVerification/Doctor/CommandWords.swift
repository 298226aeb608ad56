// The words of a command line in a unit, an Upstart job or a sentence of a shell.

public enum CommandWords {
    /// Splits at spaces outside of quotes; a backslash takes the next character as it is. Variables stay as they are written.
    public static func split(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var hasWord = false
        var quote: Character?
        var isEscaped = false
        for character in text.prefix(64 << 10) {
            if isEscaped {
                isEscaped = false
                word.append(character)
                hasWord = true
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                hasWord = true
            } else if character == " " || character == "\t" || character == "\n" {
                if hasWord { words.append(word) }
                word = ""
                hasWord = false
            } else {
                word.append(character)
                hasWord = true
            }
        }
        if hasWord { words.append(word) }
        return Array(words.prefix(1000))
    }

    /// The commands of a line in the order they run, each as words: what `sh -c '...'` holds is looked into, and prefixes such as `exec`,
    /// `env NAME=VALUE`, `bundle exec`, `sudo` are left away.
    public static func commands(_ text: String) -> [[String]] { commands(split(text), depth: 0) }

    private static func commands(_ words: [String], depth: Int) -> [[String]] {
        var words = words[...]
        var isStripped = true
        while isStripped, let first = words.first {
            isStripped = false
            if ["exec", "env", "sudo", "command", "nice", "-"].contains(name(first)) || isAssignment(first) {
                words.removeFirst()
                isStripped = true
            } else if name(first) == "bundle", words.dropFirst().first == "exec" {
                words.removeFirst(2)
                isStripped = true
            }
        }
        guard let program = words.first else { return [] }
        if depth < 3, ["sh", "bash", "dash", "zsh"].contains(name(program)),
            let flag = words.firstIndex(where: { $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.hasSuffix("c") }),
            words.index(after: flag) < words.endIndex
        {
            return sentences(words[words.index(after: flag)]).flatMap { commands(split($0), depth: depth + 1) }
        }
        return [Array(words)]
    }

    /// The last part of a program's path, without systemd's prefixes.
    public static func name(_ program: String) -> String {
        let bare = program.drop { "-@+!:|".contains($0) }
        return String(bare.split(separator: "/").last ?? bare)
    }

    private static func isAssignment(_ word: String) -> Bool {
        guard let sign = word.firstIndex(of: "="), sign != word.startIndex else { return false }
        return word[..<sign].allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
    }

    /// The parts of a line of a shell, at `;`, `&&`, `||` and line ends outside of quotes.
    private static func sentences(_ text: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var quote: Character?
        for character in text.prefix(64 << 10) {
            if let open = quote {
                if character == open { quote = nil }
                part.append(character)
            } else if character == "\"" || character == "'" {
                quote = character
                part.append(character)
            } else if character == ";" || character == "&" || character == "|" || character == "\n" {
                parts.append(part)
                part = ""
            } else {
                part.append(character)
            }
        }
        parts.append(part)
        return parts.filter { !$0.allSatisfy { $0 == " " || $0 == "\t" } }
    }
}
