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

    /// Of a letter beyond ASCII each byte is allowed.
    func allowsInName(_ byte: UInt8) -> Bool { byte >= 128 || nameCharacters[Int(byte)] }

    func isSymbol(_ byte: UInt8) -> Bool { byte < 128 && symbols[Int(byte)] }

    /// Whether a bare name is over before this character. What neither belongs to a name nor ends it is a fault.
    func endsName(_ byte: UInt8) -> Bool {
        switch byte {
        case .space, .tab, .carriageReturn, .lineFeed, .quote, .hash: true
        default: isSymbol(byte)
        }
    }

    /// Whether `name` means itself when it is written without quotes.
    func isBare(_ name: String) -> Bool {
        !name.isEmpty && !reserved.contains(name) && name.unicodeScalars.first != "#" && name.unicodeScalars.first != "\u{FEFF}"
            && name.utf8.allSatisfy(allowsInName) && typographicQuote(in: name) == nil
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
    /// What it means as the name of a unit, where that is something else: systemd's names hold escapes such as `\x2d` themselves, and people
    /// paste them as systemctl shows them.
    var unitText: String?
    /// A word that its dialect takes for itself.
    var isReserved = false
    /// Offsets in the source, in bytes.
    var start: Int
    var end: Int
    var place: Place
    /// A fault has been told already, so that the parser keeps silent about this token.
    var isFaulty = false
    /// A string without its closing quote: what stands behind it is in it.
    var isUnclosed = false

    /// What it means as the name of a unit.
    var unitName: String { unitText ?? text }

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
    private let bytes: [UInt8]
    private let dialect: Dialect
    private var at = 0
    /// From 1.
    private var line = 1
    private var lineStart = 0
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
        bytes = source.bytes
        self.dialect = dialect
        self.faults = faults
    }

    private mutating func run() {
        // Right behind the last token, which is where something is missing, and not in the empty line that most files end with.
        var endPlace = Place(line: 1, column: 1)
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case .space, .tab, .carriageReturn:
                at += 1
                continue
            case .lineFeed:
                at += 1
                (line, lineStart) = (line + 1, at)
                continue
            case .hash:
                while at < bytes.count, bytes[at] != .lineFeed { at += 1 }
                continue
            case .quote: string()
            case _ where dialect.isSymbol(byte):
                at += 1
                append(.symbol, String(Unicode.Scalar(byte)), from: at - 1)
            default: word()
            }
            endPlace = place(at: at)
        }
        let end = tokens.last?.end ?? 0
        tokens.append(Token(kind: .end, text: "", start: end, end: end, place: endPlace))
    }

    /// The place of an offset in the current line.
    private func place(at offset: Int) -> Place { Place(line: line, column: source.column(at: offset, lineStart: lineStart)) }

    /// Adds the token that ends here.
    private mutating func append(
        _ kind: Token.Kind, _ text: String, unitText: String? = nil, from start: Int, isFaulty: Bool = false, isUnclosed: Bool = false
    ) {
        tokens.append(
            Token(
                kind: kind, text: text, unitText: unitText, isReserved: kind == .word && dialect.reserved.contains(text), start: start, end: at,
                place: place(at: start),
                isFaulty: isFaulty, isUnclosed: isUnclosed))
    }

    /// Takes characters that have no business in a bare name along, so that `puma[1]` is one fault and not four.
    private mutating func word() {
        let start = at
        var wrong: Int?
        while at < bytes.count {
            let byte = bytes[at]
            if !dialect.allowsInName(byte) {
                if dialect.endsName(byte) { break }
                wrong = wrong ?? at
            }
            at += 1
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        let typographic = wrong == nil ? typographicQuote(in: text) : nil
        append(.word, text, from: start, isFaulty: wrong != nil || typographic != nil)
        guard wrong != nil || typographic != nil else { return }
        // A password is nobody's business.
        let isSecret = tokens.count > 1 && isSecretKey(tokens[tokens.count - 2].text)
        if let typographic {
            let name = text.filter { !typographicQuotes.contains($0) }
            return faults.add(
                "\(quoted(String(typographic))) is no quotation mark here: names are quoted with \"", at: place(at: start),
                help: name.isEmpty || isSecret ? nil : "write \(inQuotes(printable(name)))")
        }
        guard let wrong else { return }
        let scalar = Unicode.Scalar(bytes[wrong])
        let isVisible = scalar.properties.generalCategory != .control
        faults.add(
            "\(isVisible ? quoted(String(scalar)) : "the character \(codePoint(scalar))") may stand only inside quotes", at: place(at: wrong),
            help: isVisible && wrong < at - 1 && !isSecret
                ? "put quotes around the name: \(inQuotes(printable(text)))" : "remove it, or put quotes around the name")
    }

    // MARK: Quotes

    private mutating func string() {
        let start = at
        var (text, unitText): ([UInt8], [UInt8]) = ([], [])
        var isFaulty = false
        at += 1
        while at < bytes.count {
            switch bytes[at] {
            case .quote:
                at += 1
                guard let whole = String(validating: text, as: UTF8.self) else {
                    faults.add("the escapes of this string make no UTF-8", at: place(at: start))
                    return append(.string, String(decoding: text, as: UTF8.self), from: start, isFaulty: true)
                }
                if text.contains(0), !isFaulty {
                    faults.add("a name cannot hold the character U+0000", at: place(at: start))
                    isFaulty = true
                }
                let unitName = unitText == text ? nil : String(decoding: unitText, as: UTF8.self)
                return append(.string, whole, unitText: unitName, from: start, isFaulty: isFaulty)
            case .lineFeed:
                return unclosed(from: start, text)
            case .backslash where at + 1 < bytes.count && bytes[at + 1] != .lineFeed:
                let (escapeStart, length) = (at, text.count)
                if !escape(into: &text) { isFaulty = true }
                let isOfUnitName = bytes[escapeStart + 1] == UInt8(ascii: "x") && text.count == length + 1 && isEscapedInUnitNames(text[length])
                unitText += isOfUnitName ? bytes[escapeStart..<at] : text[length...]
            case let byte:
                text.append(byte)
                unitText.append(byte)
                at += 1
            }
        }
        unclosed(from: start, text)
    }

    private mutating func unclosed(from start: Int, _ text: [UInt8]) {
        faults.add(
            "the string is not closed before the end of its line", at: place(at: start),
            help: "close it with \"; a line break in it is written \\n")
        append(.string, String(decoding: text, as: UTF8.self), from: start, isFaulty: true, isUnclosed: true)
    }

    /// Takes `\n`, `\x41`, `\101`, `\u00e4`, ...: false, and a fault, for what is none.
    private mutating func escape(into text: inout [UInt8]) -> Bool {
        let start = at
        let letter = bytes[at + 1]
        at += 2
        switch Unicode.Scalar(letter) {
        case "\"", "\\": text.append(letter)
        case "a": text.append(7)
        case "b": text.append(8)
        case "t": text.append(9)
        case "n": text.append(10)
        case "v": text.append(11)
        case "f": text.append(12)
        case "r": text.append(13)
        case "x":
            guard let value = digits(2, radix: 16) else { return wrongEscape(start, "\\x takes two hexadecimal digits") }
            text.append(UInt8(value))
        case "0"..."7":
            at -= 1
            guard let value = digits(3, radix: 8), value < 256 else { return wrongEscape(start, "an octal escape has three digits, at most \\377") }
            text.append(UInt8(value))
        case "u", "U":
            guard let value = digits(letter == UInt8(ascii: "u") ? 4 : 8, radix: 16), let scalar = Unicode.Scalar(value) else {
                return wrongEscape(start, "\\u takes four and \\U eight hexadecimal digits of a character")
            }
            text += String(scalar).utf8
        default:
            return wrongEscape(start, "a backslash in a string is written \\\\")
        }
        return true
    }

    private mutating func digits(_ count: Int, radix: UInt32) -> UInt32? {
        var value: UInt32 = 0
        for offset in 0..<count {
            guard at + offset < bytes.count, let digit = hexadecimalDigit(bytes[at + offset]), digit < radix else { return nil }
            value = value &* radix &+ digit
        }
        at += count
        return value
    }

    private mutating func wrongEscape(_ start: Int, _ help: String) -> Bool {
        let letter = String(decoding: bytes[(start + 1)..<min(start + 5, bytes.count)], as: UTF8.self).unicodeScalars.first ?? "\u{FFFD}"
        // Not past a quote: `"C:\xQ"` still ends where it ends.
        at = start + 1 + UTF8.width(letter)
        faults.add("\(quoted("\\\(letter)")) does not begin a known escape", at: place(at: start), help: help)
        return false
    }
}

/// Whether systemd-escape(1) writes it as `\xHH`.
private func isEscapedInUnitNames(_ byte: UInt8) -> Bool {
    switch Unicode.Scalar(byte) {
    case "a"..."z", "A"..."Z", "0"..."9", ":", "_", ".", "\0": false
    default: true
    }
}

/// What word processors and chats make of straight quotation marks. The single ones may be part of a name, but not its first or last sign.
private let typographicQuotes: Set<Character> = ["“", "”", "„", "‟", "«", "»", "‘", "’", "‚"]

private func typographicQuote(in word: String) -> Character? {
    if word.utf8.allSatisfy({ $0 < 128 }) { return nil }
    return [word.first, word.last].compactMap(\.self).first(where: typographicQuotes.contains)
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt32? {
    switch Unicode.Scalar(byte) {
    case "0"..."9": UInt32(byte) - 48
    case "a"..."f": UInt32(byte) - 87
    case "A"..."F": UInt32(byte) - 55
    default: nil
    }
}

extension UInt8 {
    fileprivate static var tab: UInt8 { .init(ascii: "\t") }
    fileprivate static var lineFeed: UInt8 { .init(ascii: "\n") }
    fileprivate static var carriageReturn: UInt8 { .init(ascii: "\r") }
    fileprivate static var space: UInt8 { .init(ascii: " ") }
    fileprivate static var quote: UInt8 { .init(ascii: "\"") }
    fileprivate static var hash: UInt8 { .init(ascii: "#") }
    fileprivate static var backslash: UInt8 { .init(ascii: "\\") }
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
        // Not as `\xHH`, which the names of units hold themselves.
        case "\0"..<" ", "\u{7F}": out += (scalar.value < 16 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out + "\""
}
