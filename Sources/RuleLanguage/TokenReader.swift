// What the parsers of rule files and of rollcall.conf have in common.

/// Walks over tokens and gathers faults, one for each place that is wrong: what follows from a fault is not told again.
struct TokenReader {
    private(set) var tokens: [Token]
    var faults: FaultList
    private let reserved: Set<String>
    private var at = 0
    private var lastFault = -1
    /// Counts what was wrong, told or not: what was read meanwhile is whole when it has not changed.
    private(set) var troubles = 0

    init(_ source: SourceText, dialect: Dialect) {
        (tokens, faults) = Lexer.tokens(of: source, dialect: dialect)
        reserved = dialect.reserved
    }

    var current: Token { tokens[at] }
    /// The token after the current one.
    var following: Token { tokens[min(at + 1, tokens.count - 1)] }
    /// The token after that.
    var second: Token { tokens[min(at + 2, tokens.count - 1)] }
    var previous: Token? { at > 0 ? tokens[at - 1] : nil }
    var isAtEnd: Bool { current.kind == .end }

    @discardableResult
    mutating func advance() -> Token {
        if current.isFaulty { troubles += 1 }
        defer { if at < tokens.count - 1 { at += 1 } }
        return current
    }

    /// Whether the current token may stand for a name.
    var isAtName: Bool { current.kind == .string || current.kind == .word && !current.isReserved }

    /// Whether the token after the current one may.
    var isNameFollowing: Bool { following.kind == .string || following.kind == .word && !following.isReserved }

    /// `depends on`, also with a slip in the first word.
    var isAtDepends: Bool {
        current.kind == .word && following.kind == .word && following.text == "on"
            && (current.text == "depends" || nearest(to: current.text, among: ["depends"]) != nil)
    }

    /// `3 times`: a number, and the word behind it.
    var isAtTimes: Bool {
        isAtName && !current.text.isEmpty && current.text.utf8.allSatisfy { (48...57).contains($0) } && following.kind == .word
            && ["times", "time"].contains(following.text)
    }

    func isAt(_ words: String...) -> Bool { current.kind == .word && words.contains(current.text) }
    func isAt(symbol symbols: String...) -> Bool { current.kind == .symbol && symbols.contains(current.text) }

    func isAt(anyOf words: [String]) -> Bool { current.kind == .word && words.contains(current.text) }
    func isAt(_ words: Set<String>) -> Bool { current.kind == .word && words.contains(current.text) }
    func isAt(symbols: Set<String>) -> Bool { current.kind == .symbol && symbols.contains(current.text) }

    /// Whether these two words stand here one after the other.
    func isAt(_ first: String, then second: String) -> Bool { isAt(first) && following.kind == .word && following.text == second }

    mutating func take(_ word: String) -> Bool {
        guard isAt(word) else { return false }
        advance()
        return true
    }

    mutating func take(symbol: String) -> Bool {
        guard isAt(symbol: symbol) else { return false }
        advance()
        return true
    }

    /// Takes the beginning of a word, such as the sign that is glued to its amount; the rest becomes the current token.
    mutating func take(prefix: String) -> Bool {
        guard current.kind == .word, current.text.hasPrefix(prefix) else { return false }
        guard current.text != prefix else {
            advance()
            return true
        }
        let count = prefix.utf8.count
        tokens[at].text.removeFirst(prefix.count)
        tokens[at].isReserved = reserved.contains(tokens[at].text)
        tokens[at].start += count
        tokens[at].place.column += count
        return true
    }

    /// Takes a keyword, also one that is misspelt: then with a fault that says which was meant. False when it is not there at all.
    mutating func takeNearly(_ word: String, expected: String? = nil) -> Bool {
        if take(word) { return true }
        guard current.kind == .word, !current.isReserved, nearest(to: current.text, among: [word]) != nil else { return false }
        fault(expected: expected ?? "`\(word)`", help: slip(for: word))
        advance()
        return true
    }

    /// Takes a name. A keyword in its stead is a fault: of a name that needs quotes, or of a missing name when it is one of `followers`.
    mutating func name(_ what: @autoclosure () -> String, before followers: Set<String>, mayBeEmpty: Bool = false) -> Token? {
        let token = current
        if token.isReserved, !followers.contains(token.text) || isReservedUsedAsName {
            fault("\(quoted(token.text)) is a reserved word, expected \(what())", help: "to use it as a name put it in quotes: \"\(token.text)\"")
            return advance()
        }
        guard isAtName else {
            fault(expected: what())
            return nil
        }
        if token.text.isEmpty, !mayBeEmpty { fault("found an empty name, expected \(what())") }
        return advance()
    }

    /// A keyword behind which its line ends, or a comma stands, begins nothing: `with owner if`.
    private var isReservedUsedAsName: Bool {
        guard current.place.line == previous?.place.line else { return false }
        return following.kind == .end || following.kind == .symbol && following.text == ","
            || following.place.line != current.place.line && following.isReserved
    }

    /// `KEY VALUE {, KEY VALUE}`, after `with`.
    mutating func parameters(into parameters: inout [Parameter], before followers: Set<String>) {
        var lines = Dictionary(parameters.map { ($0.key, $0.place.line) }) { first, _ in first }
        repeat {
            guard let key = name("the name of a parameter", before: followers) else { return }
            let next = followers.union(reserved.contains("if") ? ["if", "check"] : [])
            guard let value = name("a value for \(quoted(key.text))", before: next, mayBeEmpty: true) else { continue }
            if let line = lines[key.text], !repeatableParameters.contains(key.text) {
                faults.add("the parameter \(quoted(key.text)) was given before, in line \(line)", at: key.place, help: "leave one of the two out")
            } else {
                lines[key.text] = key.place.line
                let isOfUnits = unitParameters.contains(key.text)
                parameters.append(Parameter(key: key.text, value: isOfUnits ? value.unitName : value.text, place: key.place))
            }
            if isAtDepends { return }
            if isAtName, isNameFollowing, !isNearFollower(followers) {
                fault(expected: "`,` before the next parameter")
                continue
            }
        } while take(symbol: ",") || lastFault == at && isAtName
    }

    /// A misspelt keyword behind the parameters is no parameter: `wiht`, or `fi cpu > 90`.
    private func isNearFollower(_ followers: Set<String>) -> Bool {
        current.kind == .word && current.place.line != previous?.place.line && nearest(to: current.text, among: followers) != nil
    }

    // MARK: Faults

    /// At the current token: what was found, and what was expected.
    mutating func fault(expected: String, help: String? = nil) {
        fault("found \(current.description), expected \(expected)", help: help ?? invisibles(in: current))
    }

    /// At the current token, unless it, or what broke the text before it, has been told already.
    mutating func fault(_ message: String, help: String? = nil) {
        troubles += 1
        defer { lastFault = at }
        guard lastFault != at, !current.isFaulty, !(previous?.isUnclosed ?? false) else { return }
        faults.add(message, at: current.place, help: help)
    }

    /// Something was wrong that no token is to blame for.
    mutating func addTrouble() { troubles += 1 }

    /// `did you mean ...?`, or the rule about small letters.
    func slip(for word: String) -> String {
        current.text.lowercased() == word ? "keywords are written in small letters: `\(word)`" : "did you mean `\(word)`?"
    }
}

/// Parameters whose values are names of units, or patterns of them.
/// Of what a request has many of.
private let repeatableParameters: Set = ["deploy_header"]

private let unitParameters: Set = ["except", "timers"]

/// A help for words that look right and are not.
private func invisibles(in token: Token) -> String? {
    guard token.kind == .word else { return nil }
    let invisible = token.text.unicodeScalars.first {
        $0.properties.generalCategory == .format || $0.properties.generalCategory == .control || $0.properties.isWhitespace
    }
    return invisible.map { "there is an invisible character (\(codePoint($0))) in it; write a plain space" }
}
