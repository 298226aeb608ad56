// `/usr/local/bin/heal --name 'the shop'`: a command as its words, as a shell splits them, and back.

extension Command {
    /// Splits at blanks; single quotes keep everything, double quotes and a backslash what stands in or behind them. Nothing is expanded.
    static func words(parsing text: String) throws(TextProblem) -> [String] {
        var words: [String] = []
        var word: String?
        var isPlain = true
        var quote: Unicode.Scalar?
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if isEscaped {
                isEscaped = false
                // In double quotes a backslash keeps itself where it protects nothing.
                if quote == "\"", !"\"\\$`".unicodeScalars.contains(scalar) { word?.unicodeScalars.append("\\") }
                word?.unicodeScalars.append(scalar)
            } else if scalar == "\\", quote != "'" {
                word = word ?? ""
                (isEscaped, isPlain) = (true, false)
            } else if let open = quote {
                if scalar == open { quote = nil } else { word?.unicodeScalars.append(scalar) }
            } else if scalar == "'" || scalar == "\"" {
                word = word ?? ""
                (quote, isPlain) = (scalar, false)
            } else if scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r" {
                if let word { words.append(try checked(word, isPlain: isPlain)) }
                (word, isPlain) = (nil, true)
            } else {
                word = word ?? ""
                word?.unicodeScalars.append(scalar)
            }
        }
        if let quote { throw TextProblem("a `\(quote)` in the command is not closed", help: "close it, or write \\\\\(quote) for the character") }
        if isEscaped { throw TextProblem("the command ends with a backslash", help: "put it in single quotes") }
        if let word { words.append(try checked(word, isPlain: isPlain)) }
        guard let program = words.first else { throw TextProblem("found an empty command, expected a program and its arguments") }
        guard program.hasPrefix("/") else {
            throw TextProblem("\(quoted(program)) is not an absolute path", help: "begin it with a slash, such as /usr/bin/\(printable(program))")
        }
        guard !program.hasSuffix("/") else { throw TextProblem("\(quoted(program)) is a folder, not a program") }
        return words
    }

    private static func checked(_ word: String, isPlain: Bool) throws(TextProblem) -> String {
        let operators: Set = ["|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>>", "2>&1", "&>", ">&2"]
        guard isPlain, operators.contains(word) else { return word }
        throw TextProblem(
            "\(quoted(word)) means nothing here: no shell reads the command",
            help: "put it into a script, or into single quotes to hand it to the program as it is")
    }

    /// What `words(parsing:)` reads back as the same words.
    var wordsText: String {
        arguments.map { argument in
            let isPlain =
                !argument.isEmpty
                && argument.unicodeScalars.allSatisfy { scalar in
                    switch scalar {
                    case "A"..."Z", "a"..."z", "0"..."9", "/", ".", "-", "_", "=", ":", ",", "+", "@", "%", "\u{A1}"...: true
                    default: false
                    }
                }
            return isPlain ? argument : "'" + argument.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }
        .joined(separator: " ")
    }
}
