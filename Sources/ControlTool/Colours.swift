// Colour for the words that say how something is, on a terminal that wants it.

import Glibc

enum Colours {
    /// Colours the state words of a text and nothing else.
    static func coloured(_ text: String) -> String {
        var out = ""
        var word = ""
        for character in text {
            if character.isLetter {
                word.append(character)
            } else {
                out += colouredWord(word) + String(character)
                word = ""
            }
        }
        return out + colouredWord(word)
    }

    private static func colouredWord(_ word: String) -> String {
        switch word {
        case "up", "passing": "\u{1B}[32m\(word)\u{1B}[0m"
        case "down", "failing", "overdue": "\u{1B}[31m\(word)\u{1B}[0m"
        case "changing", "stopped", "unknown", "unmonitored": "\u{1B}[33m\(word)\u{1B}[0m"
        default: word
        }
    }
}

extension Output {
    /// Whether it goes to a terminal whose owner does not mind colour (https://no-color.org).
    var isColourful: Bool {
        func value(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
        return isatty(rawValue) == 1 && value("NO_COLOR").isEmpty && value("TERM") != "dumb"
    }
}
