// `.inq` text to values, with every fault of the text at once: what stands around the rules.

public import Platform

extension RuleFile {
    /// Reads one rule or job file.
    /// - Parameter file: as faults shall call it.
    /// - Returns: what was understood, also when there are faults (`nil` when not even its subject was), and all faults in the order of
    ///   their places. Whoever loads a configuration uses the value only when there are no faults.
    public static func parse(_ bytes: [UInt8], file: String) -> (file: RuleFile?, faults: [Fault]) {
        parse(SourceText(bytes: bytes, file: file))
    }

    public static func parse(_ text: String, file: String) -> (file: RuleFile?, faults: [Fault]) {
        parse(SourceText(text, file: file))
    }

    public static func parse(_ source: SourceText) -> (file: RuleFile?, faults: [Fault]) {
        // A file that is too large, or no text at all, was not read: that there is nothing in it is no further news.
        if source.text.isEmpty, !source.faults.isEmpty { return (nil, source.faults) }
        var parser = Parser(source)
        let file = parser.file()
        return (file, parser.reader.faults.all)
    }
}

/// The words behind `check`.
private let subjects = ["service", "host", "failed", "jobs"]
/// Words that begin a part of a check. Inspeqtor knows no `depends`, so that it stays free for names; `on` tells it from them.
let partWords = ["if", "with", "expose", "check"]
private let partWordSet = Set(partWords)
/// Where a lost parser finds its way again, whatever it was reading.
let landmarks: Set<String> = ["if", "check"]

/// One pass over a file's tokens. Its parts are methods of their own: rules in RuleParser.swift, actions in ActionParser.swift, jobs in
/// JobParser.swift.
struct Parser {
    var reader: TokenReader
    private let isJobFile: Bool

    init(_ source: SourceText) {
        reader = TokenReader(source, dialect: .rules)
        let subject = reader.following
        isJobFile =
            subject.kind == .word
            && (subject.text == "jobs" || !subjects.contains(subject.text) && nearest(to: subject.text, among: subjects) == "jobs")
        if isJobFile { reader = TokenReader(source, dialect: .jobs) }
    }

    mutating func file() -> RuleFile? {
        let first = check(isFirst: true)
        while reader.isAt("check") {
            reader.fault("a second `check` in one file", help: "write one file for each check")
            // Read for its faults alone.
            _ = check(isFirst: false)
        }
        return first
    }

    // MARK: check

    private mutating func check(isFirst: Bool) -> RuleFile? {
        if !reader.takeNearly("check") {
            reader.fault(expected: "`check service NAME`, `check host`, `check failed units` or `check jobs`")
            if !reader.isAt("service", "host") { recover(to: partWordSet) }
            if reader.isAt("check") { return nil }
        }
        var file = subject()
        if isJobFile {
            jobs(into: &file)
        } else {
            body(of: &file)
        }
        return file
    }

    private mutating func subject() -> RuleFile? {
        let expected = "`service NAME`, `host`, `failed units` or `jobs`"
        let word = reader.current
        guard word.kind == .word, let subject = subjects.contains(word.text) ? word.text : nearest(to: word.text, among: subjects),
            !partWords.contains(word.text)
        else {
            let isForeign = word.kind == .word && foreignSubjects.contains(word.text)
            reader.fault(expected: expected, help: isForeign ? "only services, failed units, jobs and the host are checked" : nil)
            recover(to: partWordSet)
            return nil
        }
        if word.text != subject { reader.fault(expected: expected, help: reader.slip(for: subject)) }
        reader.advance()
        switch subject {
        case "service":
            guard let name = reader.name("the name of the service", before: partWordSet) else { return nil }
            return RuleFile(subject: .service(name.unitName), place: name.place)
        case "host":
            refuseName(help: "the host that is checked is the one that the agent runs on; it takes no name")
            return RuleFile(subject: .host, place: word.place)
        case "failed":
            if reader.takeNearly("units") {
                refuseName(help: "all units that fail are meant; one unit is checked with `check service NAME`")
            } else {
                reader.fault(expected: "`units` after `check failed`")
            }
            return RuleFile(subject: .failedUnits, place: word.place)
        default:
            return RuleFile(subject: .jobs, place: word.place)
        }
    }

    private mutating func refuseName(help: String) {
        guard reader.isAtName, reader.current.place.line == reader.previous?.place.line, !reader.isAtDepends,
            nearest(to: reader.current.text, among: partWords) == nil
        else { return }
        reader.fault(expected: "`with`, `if` or the end of the file", help: help)
        reader.advance()
    }

    /// Everything up to the next `check`. Without a subject it is read for its faults alone.
    private mutating func body(of file: inout RuleFile?) {
        var parameters: [Parameter] = []
        var (hasWith, hasDepends, hasExpose, hasRules) = (false, false, false, false)
        while !reader.isAtEnd, !reader.isAt("check") {
            switch part() {
            case "with":
                let with = reader.previous
                if hasWith || hasDepends || hasExpose || hasRules, let with {
                    let help = hasWith ? "join the parameters to the first `with`, with a comma" : "move it behind the `check` line"
                    reader.faults.add(hasWith ? "a second `with`" : "`with` stands before `expose` and the rules", at: with.place, help: help)
                }
                hasWith = true
                reader.parameters(into: &parameters, before: partWordSet)
                file?.parameters = parameters
            case "depends":
                if let place = reader.previous?.place {
                    if let subject = file?.subject, !subject.isService {
                        reader.faults.add("`depends on` belongs to a service", at: place)
                    } else if hasDepends || hasRules {
                        let help = hasDepends ? "join the names to the first `depends on`, with a comma" : "move it before the first `if`"
                        reader.faults.add(hasDepends ? "a second `depends on`" : "`depends on` stands before the rules", at: place, help: help)
                    }
                }
                hasDepends = true
                if !reader.takeNearly("on") { reader.fault(expected: "`on` after `depends`") }
                dependencies(into: &file)
            case "expose":
                if let expose = reader.previous {
                    if let subject = file?.subject, !subject.isService {
                        let other = subject == .host ? "the host" : "failed units"
                        reader.faults.add("`expose` belongs to a service, not to \(other)", at: expose.place)
                    } else if hasExpose || hasRules {
                        let help = hasExpose ? "join the names to the first `expose`, with a comma" : "move it before the first `if`"
                        reader.faults.add(hasExpose ? "a second `expose`" : "`expose` stands before the rules", at: expose.place, help: help)
                    }
                }
                hasExpose = true
                exposes(into: &file)
            case "if":
                hasRules = true
                rule(into: &file)
            default:
                let before =
                    hasRules
                    ? "" : hasExpose ? "`,`, " : hasDepends ? "`,`, `expose`, " : hasWith ? "`,`, `expose`, " : "`with`, `expose`, "
                let isGlued = reader.isAt(symbol: ":") && reader.current.start == reader.previous?.end
                let help = isGlued ? "a value with a colon in it, such as an address, is written in quotes" : nil
                reader.fault(expected: "\(before)`if` or the end of the file", help: help)
                reader.advance()
                recover(to: partWordSet)
            }
        }
    }

    /// Takes the word that begins a part of the check; a misspelt one, or an `if` left out before a metric, with a fault.
    private mutating func part() -> String? {
        if let word = partWords.first(where: { reader.isAt($0) }) {
            reader.advance()
            return word
        }
        guard reader.current.kind == .word, !reader.current.isReserved else { return nil }
        if reader.take("depends") { return "depends" }
        if isConditionBegun {
            reader.fault(expected: "`if`")
            return "if"
        }
        guard let word = nearest(to: reader.current.text, among: ["if", "with", "expose", "depends"]) else { return nil }
        reader.fault(expected: "`\(word)`", help: reader.slip(for: word))
        reader.advance()
        return word
    }

    private mutating func dependencies(into file: inout RuleFile?) {
        var lines: [String: Int] = [:]
        repeat {
            guard let name = reader.name("the name of a service", before: partWordSet) else { continue }
            if let line = lines[name.unitName] {
                reader.faults.add(
                    "the service \(quoted(name.unitName)) was given before, in line \(line)", at: name.place, help: "leave one of the two out")
            } else if file?.subject == .service(name.unitName) {
                reader.faults.add("a service cannot depend on itself", at: name.place)
            } else {
                lines[name.unitName] = name.place.line
                file?.dependencies.append(Dependency(name: name.unitName, place: name.place))
            }
        } while reader.take(symbol: ",")
    }

    private mutating func exposes(into file: inout RuleFile?) {
        repeat {
            guard let name = reader.name("the name of what to expose", before: partWordSet) else { continue }
            file?.exposes.append(name.text)
        } while reader.take(symbol: ",")
    }

    // MARK: Recovery

    /// Goes on to the next of these words or symbols, but never past what looks like the beginning of a rule.
    mutating func recover(to words: Set<String>, symbols: Set<String> = []) {
        while !reader.isAtEnd, !reader.isAt(words), !reader.isAt(symbols: symbols), !isLikelyRuleStart { reader.advance() }
    }

    /// In a new line, and either a misspelt `if` or a metric whose `if` is missing. Never true of a route: what follows could not follow one.
    var isLikelyRuleStart: Bool {
        guard reader.current.kind == .word, !reader.current.isReserved, reader.current.place.line != reader.previous?.place.line else {
            return false
        }
        return isConditionBegun || reader.isAtDepends
            || reader.isNameFollowing && nearest(to: reader.current.text, among: ["if", "with", "expose"]) != nil
    }

    /// `load:5 > 90`, `disk(/)`, `each worker`, `down then`, and `cpu 90`, whose comparison is missing too.
    private var isConditionBegun: Bool {
        let next = reader.following
        if next.kind == .symbol { return next.text != "," && next.text != ")" }
        if next.kind == .word, next.text.hasPrefix("==") || next.text.hasPrefix("!=") { return true }
        if reader.isAt("each", then: "worker") || reader.isAt("down", then: "then") || reader.isAt("down", then: "for") { return true }
        return (try? Amount(parsing: next.text)) != nil
    }
}

extension RuleFile.Subject {
    fileprivate var isService: Bool { if case .service = self { true } else { false } }
}

/// Of other supervisors' languages.
private let foreignSubjects: Set = ["process", "file", "fifo", "directory", "filesystem", "system", "program", "network"]
