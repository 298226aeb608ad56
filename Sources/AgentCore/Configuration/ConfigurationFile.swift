// One file of the configuration: what it says and what is wrong with it.

public import Platform
public import RuleLanguage

/// A file that was read, or could not be.
public struct ConfigurationFile: Sendable {
    public enum Content: Sendable {
        /// A `.inq` file; `nil` when nothing of it was understood.
        case rules(RuleFile?)
        /// A `.conf` file; `nil` when it could not be read.
        case settings(SettingsFile?)
    }

    /// As faults call it.
    public var path: String
    /// What `Fault.rendered(in:)` wants, with passwords hidden. Made when it is asked for: a file without faults is never shown.
    public var text: String { withoutSecrets(source.reveal()) }
    var source: Secret
    public var content: Content
    /// In the order of their places.
    public var faults: [Fault]
    public var warnings: [Fault]
    /// What follows for its check from others; neither right nor wrong.
    public internal(set) var notes: [String] = []

    /// Reads and parses a file, by its name: `.conf` are settings, all others rules.
    init(reading path: String) {
        do {
            self.init(path: path, source: SourceText(bytes: try AtomicFile.read(path, limit: SourceText.limit), file: path))
        } catch {
            self.init(path: path, problem: error.problem)
        }
    }

    private init(path: String, source: SourceText) {
        self.path = path
        self.source = Secret(source.text)
        warnings = []
        if path.hasSuffix(".conf") {
            let parsed = SettingsFile.parse(source)
            (content, faults) = (.settings(parsed.file), parsed.faults)
        } else if source.saysNothing {
            // A check that is switched off, like a unit that is masked.
            (content, faults) = (.rules(nil), [])
        } else {
            let parsed = RuleFile.parse(source)
            (content, faults) = (.rules(parsed.file), parsed.faults)
        }
    }

    /// A file or folder that cannot be read.
    init(path: String, problem: String, help: String? = nil) {
        self.path = path
        source = Secret("")
        content = path.hasSuffix(".conf") ? .settings(nil) : .rules(nil)
        faults = [Fault(file: path, message: problem, help: help)]
        warnings = []
    }

    /// A link to `/dev/null`: a check that is switched off.
    init(masked path: String) {
        self.path = path
        source = Secret("")
        content = path.hasSuffix(".conf") ? .settings(nil) : .rules(nil)
        (faults, warnings) = ([], [])
    }

    /// A file that counts for nothing where it is.
    init(unread path: String, why: String) {
        self.path = path
        source = Secret("")
        content = .rules(nil)
        faults = []
        warnings = [Fault(file: path, message: why)]
    }

    public var ruleFile: RuleFile? { if case .rules(let file) = content { file } else { nil } }

    /// Some of its faults with their lines, for people.
    public func rendered(_ faults: [Fault]) -> [String] {
        guard !faults.isEmpty else { return [] }
        let text = text
        return faults.map { $0.rendered(in: text) }
    }

    mutating func add(_ findings: Findings) {
        faults = inOrder(faults + findings.faults)
        warnings = inOrder(warnings + findings.warnings)
    }

    mutating func fault(_ message: String, at place: Place, help: String?) {
        var findings = Findings()
        findings.faults.append(Fault(file: path, line: place.line, column: place.column, message: message, help: help))
        add(findings)
    }
}

/// By place, and no more of them than a person reads.
private func inOrder(_ faults: [Fault]) -> [Fault] {
    let most = 100
    let sorted = faults.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
    guard sorted.count > most + 1 else { return sorted }
    var last = sorted[most]
    last.message = "more than \(most) faults; the rest is not shown"
    last.help = nil
    return sorted[..<most] + [last]
}

/// The text with stars for what stands behind `password`, `token` and their like, and behind `url`, whose path may be one: lines are shown in logs when something is wrong in them.
private func withoutSecrets(_ text: String) -> String {
    var out = ""
    var word = ""
    var (isSecret, isInQuotes) = (false, false)
    for character in text {
        let isSpace = character == " " || character == "\t"
        let isBreak = character.isNewline || character == "," && !isInQuotes
        if isBreak || isSpace && !isInQuotes {
            // The secret is over, or the word before it is.
            if isBreak || !word.isEmpty { isSecret = !isSecret && !isBreak && (isSecretKey(word) || word == "url") }
            if isBreak { isInQuotes = false }
            word = ""
            out.append(character)
            continue
        }
        if character == "\"", word.last != "\\" { isInQuotes.toggle() }
        word.append(character)
        out.append(isSecret ? "*" : character)
    }
    return out
}
