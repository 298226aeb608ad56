// `.inq` text to values, with every fault of the text at once.

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
        var parser = RuleParser(source)
        let file = parser.file()
        return (file, parser.reader.faults.all)
    }
}

private let subjects = ["service", "host", "jobs"]
private let actionWords = ["alert", "reload", "restart"]
/// Words that begin a part of a check.
private let partWords = ["if", "with", "expose", "check"]
/// Where a lost parser finds its way again, whatever it was reading.
private let landmarks: Set<String> = ["if", "check"]

private struct RuleParser {
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
            reader.fault(expected: "`check service NAME`, `check host` or `check jobs`")
            if !reader.isAt("service", "host") { recover(to: Set(partWords)) }
            if reader.isAt("check") { return nil }
        }
        var file = subject()
        if isJobFile {
            jobBody(of: &file)
        } else {
            body(of: &file)
        }
        return file
    }

    private mutating func subject() -> RuleFile? {
        let expected = "`service NAME`, `host` or `jobs`"
        let word = reader.current
        guard word.kind == .word, let subject = subjects.contains(word.text) ? word.text : nearest(to: word.text, among: subjects),
            !partWords.contains(word.text)
        else {
            reader.fault(
                expected: expected, help: word.kind == .word && foreignSubjects.contains(word.text) ? "only services and the host are checked" : nil)
            recover(to: Set(partWords))
            return nil
        }
        if word.text != subject { reader.fault(expected: expected, help: reader.slip(for: subject)) }
        reader.advance()
        switch subject {
        case "service":
            guard let name = reader.name("the name of the service", before: Set(partWords)) else { return nil }
            return RuleFile(subject: .service(name.text), place: name.place)
        case "host":
            let place = word.place
            if reader.isAtName, reader.current.place.line == place.line, nearest(to: reader.current.text, among: partWords) == nil {
                reader.fault(
                    expected: "`with`, `if` or the end of the file",
                    help: "the host that is checked is the one that the agent runs on; it takes no name")
                reader.advance()
            }
            return RuleFile(subject: .host, place: place)
        default:
            return RuleFile(subject: .jobs, place: word.place)
        }
    }

    /// Everything up to the next `check`. Without a subject it is read for its faults alone.
    private mutating func body(of file: inout RuleFile?) {
        var parameters: [Parameter] = []
        var (hasWith, hasExpose, hasRules) = (false, false, false)
        while !reader.isAtEnd, !reader.isAt("check") {
            switch part() {
            case "with":
                let with = reader.previous
                if hasWith || hasExpose || hasRules, let with {
                    let help = hasWith ? "join the parameters to the first `with`, with a comma" : "move it behind the `check` line"
                    reader.faults.add(hasWith ? "a second `with`" : "`with` stands before `expose` and the rules", at: with.place, help: help)
                }
                hasWith = true
                reader.parameters(into: &parameters, before: Set(partWords))
                file?.parameters = parameters
            case "expose":
                let expose = reader.previous
                if let expose {
                    if file?.subject == .host {
                        reader.faults.add("`expose` belongs to a service, not to the host", at: expose.place)
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
                let before = hasRules ? "" : hasExpose ? "`,`, " : hasWith ? "`,`, `expose`, " : "`with`, `expose`, "
                reader.fault(expected: "\(before)`if` or the end of the file")
                reader.advance()
                recover(to: Set(partWords))
            }
        }
    }

    /// Takes the word that begins a part of the check; a misspelt one, or an `if` left out before a metric, with a fault.
    private mutating func part() -> String? {
        if let word = partWords.first(where: { reader.isAt($0) }) {
            reader.advance()
            return word
        }
        guard reader.current.kind == .word, !reader.isReserved(reader.current) else { return nil }
        if isMetricBegun {
            reader.fault(expected: "`if`")
            return "if"
        }
        guard let word = nearest(to: reader.current.text, among: ["if", "with", "expose"]) else { return nil }
        reader.fault(expected: "`\(word)`", help: reader.slip(for: word))
        reader.advance()
        return word
    }

    /// `load:5 > 90`, `disk(/)`, and `cpu 90`, whose comparison is missing too.
    private var isMetricBegun: Bool {
        let next = reader.following
        return next.kind == .symbol ? next.text != "," && next.text != ")" : (try? Amount(parsing: next.text)) != nil
    }

    private mutating func exposes(into file: inout RuleFile?) {
        repeat {
            guard let name = reader.name("the name of what to expose", before: Set(partWords)) else { continue }
            file?.exposes.append(name.text)
        } while reader.take(symbol: ",")
    }

    // MARK: if

    /// What follows `if`. Every part that is there is looked at, whatever is wrong with those before it.
    private mutating func rule(into file: inout RuleFile?) {
        let troubles = reader.troubles
        let place = reader.previous?.place ?? reader.current.place
        // Set once the parser does not know where it is: what is missing from then on is missing because of that.
        var isLost = false
        let metricPlace = reader.current.place
        let metric = metric()
        if metric == nil {
            isLost = true
            recover(to: landmarks.union(["for", "then"]), symbols: [">", "<"])
        }
        let comparison = comparison(isLost: &isLost)
        let thresholdPlace = reader.current.place
        let threshold = threshold(isLost: &isLost)
        let cycles = cycles(isLost: &isLost)
        let actions = then(isLost: &isLost) ? actions() : []
        guard let metric, let threshold else { return }
        let condition = Condition.comparison(
            Comparison(
                metric: metric, operator: comparison ?? .above, threshold: threshold, metricPlace: metricPlace, thresholdPlace: thresholdPlace))
        let rule = Rule(condition: condition, persistence: .cycles(cycles), actions: actions, place: place)
        if reader.troubles == troubles {
            file?.rules.append(rule)
        } else {
            file?.faultyRules.append(rule)
        }
    }

    private mutating func metric() -> MetricName? {
        let followers: Set = ["then", "for", "if", "check"]
        guard let family = reader.name("the name of a metric", before: followers) else { return nil }
        if reader.take(symbol: ":") {
            guard let name = reader.name("a name after \(quoted("\(family.text):"))", before: followers) else { return nil }
            return MetricName(family.text, name.text)
        }
        if reader.take(symbol: "(") {
            guard let name = reader.name("a name after \(quoted("\(family.text)("))", before: followers) else { return nil }
            if !reader.take(symbol: ")") { reader.fault(expected: "`)` after \(quoted("\(family.text)(\(name.text)"))") }
            return MetricName(family.text, name.text)
        }
        return MetricName(family.text)
    }

    private mutating func comparison(isLost: inout Bool) -> Comparison.Operator? {
        let sign = reader.current
        if reader.take(symbol: ">") || reader.take(symbol: "<") {
            let comparison = Comparison.Operator(rawValue: sign.text)
            let next = reader.current
            guard next.kind == .word, next.text.hasPrefix("="), next.start == sign.end else { return comparison }
            // `>= 90`, or `>=90` where the amount is glued to it.
            reader.faults.add("found `\(sign.text)=`, expected `>` or `<`", at: sign.place, help: comparisonHelp)
            reader.markFaulty()
            if next.text.allSatisfy({ $0 == "=" }) { reader.advance() }
            return comparison
        }
        guard !isLost else { return nil }
        let amountFollows = reader.following.kind != .symbol && (try? Amount(parsing: reader.following.text)) != nil
        reader.fault(expected: "`>` or `<`", help: sign.kind == .word && !reader.isReserved(sign) && amountFollows ? comparisonHelp : nil)
        if sign.kind == .word, (try? Amount(parsing: sign.text)) != nil { return nil }
        if reader.isAtName || sign.kind == .symbol, amountFollows {
            reader.advance()
        } else {
            isLost = true
            recover(to: landmarks.union(["for", "then"]))
        }
        return nil
    }

    private mutating func threshold(isLost: inout Bool) -> Amount? {
        let token = reader.current
        if isLost, !reader.isAtName { return nil }
        guard reader.isAtName else {
            reader.fault(expected: "an amount such as 500m, 90% or 100/sec")
            if !reader.isAt("for", "then", "if", "check") {
                isLost = true
                recover(to: landmarks.union(["for", "then"]))
            }
            return nil
        }
        do {
            let amount = try Amount(parsing: token.text)
            reader.advance()
            return amount
        } catch {
            reader.fault(error.message, help: error.help)
            reader.advance()
            return nil
        }
    }

    /// 1 when the rule does not say, or says it wrong.
    private mutating func cycles(isLost: inout Bool) -> Int {
        // `or` is one slip away from `for`, and means something else.
        guard !reader.isAt("or"), reader.takeNearly("for", expected: "`for` or `then`") else { return 1 }
        let number = reader.current
        var cycles = 1
        if reader.isAtName {
            cycles = count(of: number) ?? 1
            reader.advance()
        } else {
            reader.fault(expected: "a number of cycles")
        }
        if reader.take("cycles") || reader.take("cycle") { return cycles }
        if reader.isAtName {
            let isTime = ["s", "sec", "second", "seconds", "m", "min", "minute", "minutes", "h", "hour", "hours"].contains(reader.current.text)
            let meant = nearest(to: reader.current.text, among: ["cycles", "cycle"])
            reader.fault(expected: "`cycles`", help: isTime ? timeHelp : meant.map { reader.slip(for: $0) })
            reader.advance()
        } else {
            reader.fault(expected: "`cycles`")
        }
        return cycles
    }

    private mutating func count(of token: Token) -> Int? {
        if let count = Int(token.text) {
            if count > 0 { return count }
            reader.fault("`for \(printable(token.text)) cycles` never comes true", help: "leave it out, or write `for 1 cycle` or more")
        } else if token.text.utf8.drop(while: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }).allSatisfy({ (48...57).contains($0) }),
            token.text.contains(where: \.isNumber)
        {
            reader.fault("\(quoted(token.text)) cycles are too many")
        } else {
            let isTime = token.text.first?.isNumber ?? false
            reader.fault(expected: "a number of cycles", help: isTime ? timeHelp : nil)
        }
        return nil
    }

    private mutating func then(isLost: inout Bool) -> Bool {
        if reader.takeNearly("then", expected: "`for` or `then`") { return true }
        if !isLost {
            reader.fault(expected: "`for` or `then`", help: helpBeforeThen)
            if reader.isAt("alert", "reload", "restart") { return true }
        }
        recover(to: landmarks.union(["then"]))
        return reader.take("then")
    }

    private var helpBeforeThen: String? {
        switch reader.current.text {
        case _ where reader.current.kind != .word: nil
        case "and", "or", "&&", "||": "a rule compares one metric; write a second rule for the other"
        case "k", "m", "g", "t", "p", "K", "M", "G", "T", "P", "%", "/sec":
            "write the unit without a space: \(reader.previous?.text ?? "")\(reader.current.text)"
        case "kb", "mb", "gb", "KB", "MB", "GB": "the units are k, m, g, t and p (steps of 1024), without a space: 500m"
        default: nil
        }
    }

    // MARK: then

    private mutating func actions() -> [Action] {
        var actions: [Action] = []
        while true {
            if let action = action() { actions.append(action) }
            if reader.take(symbol: ",") { continue }
            if reader.isAtEnd || partWords.contains(where: { reader.isAt($0) }) || isLikelyRuleStart { break }
            if reader.isAt("alert", "reload", "restart") {
                reader.fault(expected: "`,` between two actions")
                continue
            }
            reader.fault(expected: "`,`, `if` or the end of the file", help: helpAfterAction)
            recover(to: Set(partWords + actionWords), symbols: [","])
            if reader.take(symbol: ",") || reader.isAt("alert", "reload", "restart") { continue }
            break
        }
        return actions
    }

    private mutating func action() -> Action? {
        let word = reader.current
        if word.kind == .word, actionWords.contains(word.text) {
            reader.advance()
            switch word.text {
            case "alert": return Action(.alert(route: route()), place: word.place)
            case "reload": return Action(.reload, place: word.place)
            default: return Action(.restart, place: word.place)
            }
        }
        let meant =
            word.kind == .word && !reader.isReserved(word) && !foreignActions.contains(word.text) ? nearest(to: word.text, among: actionWords) : nil
        let help = meant.map { reader.slip(for: $0) } ?? (foreignActions.contains(word.text) ? "there is no `\(word.text)`" : nil)
        reader.fault(expected: "an action: `alert`, `reload` or `restart`", help: help)
        guard word.kind != .symbol, reader.isAtName else { return nil }
        if isLikelyRuleStart { return nil }
        reader.advance()
        if meant == "alert" {
            _ = route()
        } else if meant == nil {
            recover(to: Set(partWords + actionWords), symbols: [","])
        }
        return nil
    }

    private mutating func route() -> String? {
        guard reader.isAtName, !isLikelyRuleStart else { return nil }
        // `alert else restart`: whoever writes that means no route called else.
        if reader.isAt("else", "and"), reader.following.kind == .word, actionWords.contains(reader.following.text) { return nil }
        return reader.name("a route", before: [])?.text
    }

    /// In a new line, and either a misspelt `if` or a metric whose `if` is missing. Never true of a route: what follows could not follow one.
    private var isLikelyRuleStart: Bool {
        guard reader.current.kind == .word, !reader.isReserved(reader.current), reader.current.place.line != reader.previous?.place.line else {
            return false
        }
        return isMetricBegun || reader.isNameFollowing && nearest(to: reader.current.text, among: ["if", "with", "expose"]) != nil
    }

    private var helpAfterAction: String? {
        if reader.isAt("else") { return "there is no `else`: recovery alerts by itself" }
        if reader.isAt("and") { return "separate actions with a comma" }
        let isSecondRoute = reader.previous?.kind == .word && reader.previous?.text != "reload" && reader.previous?.text != "restart"
        return reader.isAtName && !isSecondRoute ? "`reload` and `restart` act on the service of the file; they take no name" : nil
    }

    // MARK: jobs

    private mutating func jobBody(of file: inout RuleFile?) {
        // A job may be called almost `with`.
        if reader.following.text == "happens" ? reader.take("with") : reader.takeNearly("with") {
            var parameters: [Parameter] = []
            reader.parameters(into: &parameters, before: ["check", "happens", "every"])
            file?.parameters = parameters
        }
        var lines: [String: Int] = [:]
        if reader.isAtEnd { reader.fault(expected: "a job: `NAME happens every N minutes`") }
        while !reader.isAtEnd, !reader.isAt("check") {
            guard let job = job() else {
                skipToNextJob()
                continue
            }
            if let line = lines[job.name] {
                reader.faults.add("the job \(quoted(job.name)) was given before, in line \(line)", at: job.place, help: "leave one of the two out")
            } else {
                lines[job.name] = job.place.line
                file?.jobs.append(job)
            }
        }
    }

    private mutating func job() -> Job? {
        guard let name = reader.name("the name of a job", before: ["check", "happens", "every", "with"]) else { return nil }
        guard reader.takeNearly("happens") else {
            reader.fault(expected: "`happens every` after the name of the job")
            return nil
        }
        guard reader.takeNearly("every") else {
            reader.fault(expected: "`every`")
            return nil
        }
        let number = reader.current
        var count: Int64? = 1
        if reader.isAtName, jobUnits[number.text] == nil, nearest(to: number.text, among: jobUnitWords) == nil {
            count = Int64(number.text).flatMap { $0 > 0 ? $0 : nil }
            if count == nil { reader.fault(expected: "a number of minutes, hours or days") }
            reader.advance()
        }
        let unit = reader.current
        guard unit.kind == .word, let seconds = jobUnits[unit.text] else {
            let meant = unit.kind == .word ? nearest(to: unit.text, among: jobUnitWords) : nil
            reader.fault(expected: "`minutes`, `hours` or `days`", help: meant.map { reader.slip(for: $0) })
            // A misspelt unit is still the unit, and not the next job's name.
            if reader.isAtName, reader.following.text != "happens" { reader.advance() }
            return nil
        }
        reader.advance()
        guard let count else { return nil }
        let (interval, overflowed) = count.multipliedReportingOverflow(by: seconds)
        guard !overflowed, interval <= 100 * 366 * 86400 else {
            reader.faults.add("\(quoted("\(count) \(unit.text)")) is too long; a job happens at least once in 100 years", at: number.place)
            return nil
        }
        return Job(name: name.text, schedule: .every(.seconds(interval)), place: name.place)
    }

    // MARK: Recovery

    /// Goes on to the next of these words or symbols, but never past what looks like the beginning of a rule.
    private mutating func recover(to words: Set<String>, symbols: Set<String> = []) {
        while !reader.isAtEnd, !reader.isAt(words), !reader.isAt(symbols: symbols), !isLikelyRuleStart { reader.advance() }
    }

    private mutating func skipToNextJob() {
        while !reader.isAtEnd, !reader.isAt("check") {
            if reader.isAtName, reader.following.kind == .word, reader.following.text == "happens" { return }
            reader.advance()
        }
    }
}

/// The plural comes first: it is what a misspelt unit most likely means.
private let jobUnitWords = ["minutes", "hours", "days", "minute", "hour", "day"]
private let jobUnits: [String: Int64] = ["minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400, "days": 86400]

private let comparisonHelp = "rules know two comparisons: `>` (above) and `<` (below)"
private let timeHelp = "a rule waits for cycles, not for time: with `set cycle_time 15`, 5 minutes are `for 20 cycles`"

/// Of other supervisors' languages.
private let foreignSubjects: Set = ["process", "file", "fifo", "directory", "filesystem", "system", "program", "network"]
private let foreignActions: Set = ["start", "stop", "exec", "unmonitor", "monitor", "email"]
