// Text to tokens, for rule files, job files and rollcall.conf alike.

/// One of the three languages: which characters a bare name may hold, which stand for themselves, which words are taken.
struct Dialect: Sendable {
    let reserved: Set<String>
    private let symbols: [Bool]
    private let nameCharacters: [Bool]

    /// - Parameter moreNameCharacters: beyond letters, digits, U+0080 and above, and the characters that every dialect allows.
    private init(symbols: String, moreNameCharacters: String = "", reserved: Set<String>) {
        self.reserved = reserved
        self.symbols = table(of: symbols)
        nameCharacters = table(
            of: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$%&'*+-/=?^_`{|}~.@" + moreNameCharacters)
    }

    static let rules = Dialect(
        symbols: ",:()><",
        reserved: ["check", "service", "host", "expose", "with", "if", "then", "for", "cycles", "restart", "reload", "alert"])

    /// A job's name may hold `#`, but not begin with it: that is a comment.
    static let jobs = Dialect(
        symbols: ",", moreNameCharacters: "#",
        reserved: ["check", "jobs", "with", "happens", "every", "minute", "minutes", "hour", "hours", "day", "days"])

    static let settings = Dialect(
        symbols: ",", moreNameCharacters: ":;<>", reserved: ["set", "send", "alerts", "to", "via", "with"])

    func allowsInName(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= 128 || nameCharacters[Int(scalar.value)] }

    func isSymbol(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 128 && symbols[Int(scalar.value)] }

    /// Whether a bare name is over before this character. What neither belongs to a name nor ends it is a fault.
    func endsName(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case " ", "\t", "\r", "\n", "\"", "#": true
        default: isSymbol(scalar)
        }
    }

    /// Whether `name` means itself when it is written without quotes.
    func isBare(_ name: String) -> Bool {
        !name.isEmpty && !reserved.contains(name) && name.unicodeScalars.first != "#" && name.unicodeScalars.first != "\u{FEFF}"
            && name.unicodeScalars.allSatisfy(allowsInName)
    }
}

/// For each of the 128 characters of ASCII whether it is among these.
private func table(of characters: String) -> [Bool] {
    var table = [Bool](repeating: false, count: 128)
    for scalar in characters.unicodeScalars where scalar.isASCII { table[Int(scalar.value)] = true }
    return table
}

struct Token {
    enum Kind: Equatable {
        /// A name or keyword without quotes.
        case word
        /// A name in quotes; `text` is what they enclose.
        case string
        case symbol
        /// After the last token; every token list ends with it.
        case end
    }

    var kind: Kind
    var text: String
    /// Offsets in the source.
    var start: Int
    var end: Int
    var place: Place
    /// A fault has been told already, so that the parser keeps silent about this token.
    var isFaulty = false
    /// A string without its closing quote: what stands behind it is in it.
    var isUnclosed = false

    /// For "found ...".
    var description: String {
        switch kind {
        case .word, .symbol: quoted(text)
        case .string: "\"\(printable(text))\""
        case .end: "the end of the file"
        }
    }
}

struct Lexer {
    private let source: SourceText
    /// The source's; by itself, because it is asked for every character.
    private let scalars: [Unicode.Scalar]
    private let dialect: Dialect
    private var at = 0
    private var tokens: [Token] = []
    private var faults: FaultList

    /// All tokens of a text; always at least the end.
    static func tokens(of source: SourceText, dialect: Dialect) -> (tokens: [Token], faults: FaultList) {
        var lexer = Lexer(source: source, dialect: dialect, faults: FaultList(source))
        lexer.run()
        return (lexer.tokens, lexer.faults)
    }

    private init(source: SourceText, dialect: Dialect, faults: FaultList) {
        self.source = source
        scalars = source.scalars
        self.dialect = dialect
        self.faults = faults
    }

    private mutating func run() {
        while at < scalars.count {
            let scalar = scalars[at]
            switch scalar {
            case " ", "\t", "\r", "\n": at += 1
            case "#": while at < scalars.count, scalars[at] != "\n" { at += 1 }
            case "\"": string()
            case _ where dialect.isSymbol(scalar):
                append(.symbol, String(scalar), from: at, to: at + 1)
                at += 1
            default: word()
            }
        }
        let end = tokens.last?.end ?? 0
        var place = source.place(at: end)
        // Behind the last token, which is where something is missing, and not in the empty line that most files end with.
        if let last = tokens.last, place.line != last.place.line {
            place = Place(line: last.place.line, column: source.place(at: end - 1).column + 1)
        }
        tokens.append(Token(kind: .end, text: "", start: end, end: end, place: place))
    }

    private mutating func append(_ kind: Token.Kind, _ text: String, from start: Int, to end: Int, isFaulty: Bool = false, isUnclosed: Bool = false) {
        tokens.append(
            Token(kind: kind, text: text, start: start, end: end, place: source.place(at: start), isFaulty: isFaulty, isUnclosed: isUnclosed))
    }

    /// Takes characters that have no business in a bare name along, so that `puma[1]` is one fault and not four.
    private mutating func word() {
        let start = at
        var text = ""
        var wrong: Int?
        while at < scalars.count {
            let scalar = scalars[at]
            if !dialect.allowsInName(scalar) {
                if dialect.endsName(scalar) { break }
                wrong = wrong ?? at
            }
            text.unicodeScalars.append(scalar)
            at += 1
        }
        append(.word, text, from: start, to: at, isFaulty: wrong != nil)
        guard let wrong else { return }
        let scalar = scalars[wrong]
        let isVisible = scalar.properties.generalCategory != .control
        // A password with a semicolon in it is nobody's business.
        let isSecret = tokens.dropLast().last.map { isSecretKey($0.text) } ?? false
        faults.add(
            "\(isVisible ? quoted(String(scalar)) : "the character \(codePoint(scalar))") may stand only inside quotes", at: source.place(at: wrong),
            help: isVisible && wrong < at - 1 && !isSecret
                ? "put quotes around the name: \(inQuotes(printable(text)))" : "remove it, or put quotes around the name")
    }

    // MARK: Quotes

    private mutating func string() {
        let start = at
        var bytes: [UInt8] = []
        var isFaulty = false
        at += 1
        while at < scalars.count {
            let scalar = scalars[at]
            switch scalar {
            case "\"":
                at += 1
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    faults.add("the escapes of this string make no UTF-8", at: source.place(at: start))
                    return append(.string, String(decoding: bytes, as: UTF8.self), from: start, to: at, isFaulty: true)
                }
                if bytes.contains(0), !isFaulty {
                    faults.add("a name cannot hold the character U+0000", at: source.place(at: start))
                    isFaulty = true
                }
                return append(.string, text, from: start, to: at, isFaulty: isFaulty)
            case "\n":
                return unclosed(from: start, bytes)
            case "\\" where at + 1 < scalars.count && scalars[at + 1] != "\n":
                if !escape(into: &bytes) { isFaulty = true }
            default:
                bytes += String(scalar).utf8
                at += 1
            }
        }
        unclosed(from: start, bytes)
    }

    private mutating func unclosed(from start: Int, _ bytes: [UInt8]) {
        faults.add(
            "the string is not closed before the end of its line", at: source.place(at: start),
            help: "close it with \"; a line break in it is written \\n")
        append(.string, String(decoding: bytes, as: UTF8.self), from: start, to: at, isFaulty: true, isUnclosed: true)
    }

    /// Takes `\n`, `\x41`, `\101`, `\u00e4`, ...: false, and a fault, for what is none.
    private mutating func escape(into bytes: inout [UInt8]) -> Bool {
        let start = at
        let letter = scalars[at + 1]
        at += 2
        switch letter {
        case "\"", "\\": bytes.append(UInt8(letter.value))
        case "a": bytes.append(7)
        case "b": bytes.append(8)
        case "t": bytes.append(9)
        case "n": bytes.append(10)
        case "v": bytes.append(11)
        case "f": bytes.append(12)
        case "r": bytes.append(13)
        case "x":
            guard let value = digits(2, radix: 16) else { return wrongEscape(start, "\\x takes two hexadecimal digits") }
            bytes.append(UInt8(value))
        case "0"..."7":
            at -= 1
            guard let value = digits(3, radix: 8), value < 256 else { return wrongEscape(start, "an octal escape has three digits, at most \\377") }
            bytes.append(UInt8(value))
        case "u", "U":
            guard let value = digits(letter == "u" ? 4 : 8, radix: 16), let scalar = Unicode.Scalar(value) else {
                return wrongEscape(start, "\\u takes four and \\U eight hexadecimal digits of a character")
            }
            bytes += String(scalar).utf8
        default:
            return wrongEscape(start, "a backslash in a string is written \\\\")
        }
        return true
    }

    private mutating func digits(_ count: Int, radix: UInt32) -> UInt32? {
        var value: UInt32 = 0
        for offset in 0..<count {
            guard at + offset < scalars.count, let digit = Character(scalars[at + offset]).hexDigitValue, digit < Int(radix),
                scalars[at + offset].isASCII
            else { return nil }
            value = value &* radix &+ UInt32(digit)
        }
        at += count
        return value
    }

    private mutating func wrongEscape(_ start: Int, _ help: String) -> Bool {
        // Not past a quote: `"C:\xQ"` still ends where it ends.
        at = min(start + 2, scalars.count)
        let letter = scalars[at - 1]
        faults.add("\(quoted("\\\(letter)")) does not begin a known escape", at: source.place(at: start), help: help)
        return false
    }
}

/// A name in quotes, with escapes for what cannot stand there as it is.
func inQuotes(_ name: String) -> String {
    var out = "\""
    for scalar in name.unicodeScalars {
        switch scalar {
        case "\"", "\\": out += "\\\(scalar)"
        case "\n": out += "\\n"
        case "\r": out += "\\r"
        case "\t": out += "\\t"
        case "\0"..<" ", "\u{7F}": out += (scalar.value < 16 ? "\\x0" : "\\x") + String(scalar.value, radix: 16)
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out + "\""
}
