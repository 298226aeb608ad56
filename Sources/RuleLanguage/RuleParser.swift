// The part of the parser that reads a rule: `if CONDITION ... then ACTIONS else ACTIONS`.

import Platform

/// More parentheses inside each other are no condition that a person wrote.
private let depthLimit = 20

/// What stands between the condition and `then`, as far as it was read.
private struct RuleOptions {
    var persistence: Persistence?
    var clear: Clear?
    var window: Window?
    var importance: Importance?
    /// Which parts there were, by their words.
    var given: Set<String> = []
}

extension Parser {
    /// What follows `if`. Every part that is there is looked at, whatever is wrong with those before it.
    mutating func rule(into file: inout RuleFile?) {
        let troubles = reader.troubles
        let place = reader.previous?.place ?? reader.current.place
        // Set once the parser does not know where it is: what is missing from then on is missing because of that.
        var isLost = false
        var comparisons: [Comparison] = []
        let condition = condition(into: &comparisons, depth: 0, isLost: &isLost)
        let options = options(isLost: &isLost, comparisons: comparisons.count)
        let actions = then(options, isLost: &isLost) ? actions() : []
        let recoveryActions = !isLost && takeElse() ? self.actions() : []

        let whole =
            condition
            ?? (comparisons.count == 1 ? .comparison(comparisons[0]) : comparisons.isEmpty ? nil : .all(comparisons.map(Condition.comparison)))
        guard let whole else { return }
        let rule = Rule(
            condition: whole, persistence: options.persistence ?? .once, clear: options.clear, window: options.window,
            importance: options.importance, actions: actions, recoveryActions: recoveryActions, place: place)
        if reader.troubles == troubles {
            file?.rules.append(rule)
        } else {
            file?.faultyRules.append(rule)
        }
    }

    // MARK: Condition

    /// - Parameter comparisons: gets all that were understood, also when the whole was not.
    private mutating func condition(into comparisons: inout [Comparison], depth: Int, isLost: inout Bool) -> Condition? {
        guard let parts = parts(of: ["or", "||"], isLost: &isLost, { $0.conjunction(into: &comparisons, depth: depth, isLost: &$1) }) else {
            return nil
        }
        return parts.count == 1 ? parts[0] : .any(parts)
    }

    private mutating func conjunction(into comparisons: inout [Comparison], depth: Int, isLost: inout Bool) -> Condition? {
        guard let parts = parts(of: ["and", "&&"], isLost: &isLost, { $0.primary(into: &comparisons, depth: depth, isLost: &$1) }) else { return nil }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    /// One part, and all that the word joins to it; `nil` when one of them was not understood.
    private mutating func parts(of words: [String], isLost: inout Bool, _ part: (inout Parser, inout Bool) -> Condition?) -> [Condition]? {
        var parts: [Condition] = []
        var isWhole = true
        while true {
            if let part = part(&self, &isLost) { parts.append(part) } else { isWhole = false }
            guard !isLost, reader.isAt(anyOf: words) else { break }
            if !reader.isAt(words[0]) { reader.fault(expected: "`\(words[0])`") }
            reader.advance()
        }
        return isWhole ? parts : nil
    }

    /// A comparison, `down`, or a condition in parentheses.
    private mutating func primary(into comparisons: inout [Comparison], depth: Int, isLost: inout Bool) -> Condition? {
        if reader.isAt(symbol: "(") {
            guard depth < depthLimit else {
                reader.fault("more than \(depthLimit) parentheses inside each other")
                isLost = true
                recover(to: landmarks.union(["then"]))
                return nil
            }
            reader.advance()
            let inner = condition(into: &comparisons, depth: depth + 1, isLost: &isLost)
            if !reader.take(symbol: ")"), !isLost {
                reader.fault(expected: "`and`, `or` or `)`")
                return nil
            }
            return inner
        }
        if isAtDown {
            let place = reader.advance().place
            let comparison = Comparison(
                metric: MetricName("up"), operator: .equal, threshold: Amount(value: 0, text: "0"), metricPlace: place, thresholdPlace: place)
            comparisons.append(comparison)
            return .comparison(comparison)
        }
        let troubles = reader.troubles
        guard let comparison = comparison(isLost: &isLost) else { return nil }
        comparisons.append(comparison)
        return reader.troubles == troubles ? .comparison(comparison) : nil
    }

    /// `down`, and not a metric that is called so.
    private var isAtDown: Bool {
        let next = reader.following
        return reader.isAt("down") && !(next.kind == .symbol && next.text != ")")
            && !(next.kind == .word
                && (next.text.hasPrefix("==") || next.text.hasPrefix("!=") || (try? Amount(parsing: next.text)) != nil && !isAtTimesBehind))
    }

    /// `down 3 times`
    private var isAtTimesBehind: Bool { nearest(to: reader.second.text, among: ["times", "time"]) != nil }

    private mutating func comparison(isLost: inout Bool) -> Comparison? {
        let isOfEachWorker = eachWorker()
        let metricPlace = reader.current.place
        let metric = metric()
        if metric == nil {
            isLost = true
            recover(to: landmarks.union(["for", "then"]), symbols: [">", "<"])
        }
        let comparison = comparisonOperator(isLost: &isLost)
        let thresholdPlace = reader.current.place
        let threshold = threshold(isLost: &isLost)
        guard let metric, let threshold else { return nil }
        return Comparison(
            metric: metric, operator: comparison ?? .above, threshold: threshold, isOfEachWorker: isOfEachWorker, metricPlace: metricPlace,
            thresholdPlace: thresholdPlace)
    }

    private mutating func eachWorker() -> Bool {
        let next = reader.following
        guard reader.isAt("each"), next.kind == .word, !next.isReserved, !next.text.hasPrefix("=="), !next.text.hasPrefix("!=") else {
            return false
        }
        reader.advance()
        if !reader.takeNearly("worker") {
            reader.fault(expected: "`worker` after `each`")
            // `each process memory:rss > 5`: the metric comes after it.
            if reader.isNameFollowing { reader.advance() }
        }
        return true
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

    private mutating func comparisonOperator(isLost: inout Bool) -> Comparison.Operator? {
        if let found = takeOperator() { return found }
        guard !isLost else { return nil }
        let sign = reader.current
        let isWord = sign.kind == .word && !sign.isReserved
        let amountFollows = reader.following.kind != .symbol && (try? Amount(parsing: reader.following.text)) != nil
        reader.fault(expected: "a comparison such as `>`", help: comparisonHelp(amountFollows: isWord && amountFollows))
        if sign.kind == .word, (try? Amount(parsing: sign.text)) != nil { return nil }
        if isWord, reader.following.kind == .symbol, [">", "<"].contains(reader.following.text), sign.text == "=" {
            reader.advance()
            reader.advance()
        } else if reader.isAtName || sign.kind == .symbol, amountFollows {
            reader.advance()
        } else {
            isLost = true
            recover(to: landmarks.union(["for", "then"]))
        }
        return nil
    }

    /// `>`, `>=`, `==`, ..., also when the amount is glued to it.
    private mutating func takeOperator() -> Comparison.Operator? {
        let sign = reader.current
        if reader.take(symbol: ">") || reader.take(symbol: "<") {
            let isGlued = reader.current.start == sign.end && reader.current.kind == .word
            return Comparison.Operator(rawValue: sign.text + (isGlued && reader.take(prefix: "=") ? "=" : ""))
        }
        return reader.take(prefix: "==") ? .equal : reader.take(prefix: "!=") ? .unequal : nil
    }

    private func comparisonHelp(amountFollows: Bool) -> String? {
        let name = reader.previous?.text ?? ""
        if name.contains("==") || name.contains("!=") { return "put a space before the sign, and quotes around a name that holds it" }
        if reader.isAt("=") {
            let next = reader.following
            return next.kind == .symbol && next.text != ":" ? "write `\(next.text)=`" : "equality is written `==`"
        }
        if reader.previous?.kind == .word, nearest(to: name, among: ["down"]) != nil { return "did you mean `down`?" }
        let words: [(Set<String>, String)] = [
            (["above", "over", "exceeds", "greater", "gt", "more"], ">"), (["below", "under", "less", "lt"], "<"),
            (["is", "equals", "equal", "eq"], "=="),
            (["isnt", "not", "unequal", "ne"], "!="), (["ge"], ">="), (["le"], "<="),
        ]
        if let sign = words.first(where: { $0.0.contains(reader.current.text) })?.1 { return "write `\(sign)`" }
        return amountFollows ? "the comparisons are `>`, `<`, `>=`, `<=`, `==` and `!=`" : nil
    }

    private mutating func threshold(isLost: inout Bool) -> Amount? {
        let token = reader.current
        if isLost, !reader.isAtName { return nil }
        guard reader.isAtName else {
            let help = reader.isAt(symbol: ">") && reader.previous?.text == "<" ? "inequality is written `!=`" : nil
            reader.fault(expected: "an amount such as 500m, 90% or 100/sec", help: help)
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

    // MARK: Between the condition and `then`

    private mutating func options(isLost: inout Bool, comparisons: Int) -> RuleOptions {
        var options = RuleOptions()
        while !reader.isAtEnd {
            let place = reader.current.place
            switch optionWord(isLost: isLost) {
            case "for":
                once("for", "`for`", at: place, &options)
                options.persistence = holding(mayBeTimes: true)
            case "times":
                once("for", "`times within`", at: place, &options)
                options.persistence = times(count(of: reader.advance()))
            case "clear":
                once("clear", "`clear`", at: place, &options)
                options.clear = clear(at: place, comparisons: comparisons)
            case "during":
                once("window", "window", at: place, &options)
                options.window = window().map(Window.during)
            case "except":
                once("window", "window", at: place, &options)
                options.window = window().map(Window.except)
            case "as":
                once("as", "`as`", at: place, &options)
                options.importance = importance()
            default:
                return options
            }
        }
        return options
    }

    private mutating func once(_ word: String, _ what: String, at place: Place, _ options: inout RuleOptions) {
        guard !options.given.insert(word).inserted else { return }
        reader.faults.add("a second \(what) in one rule", at: place, help: "leave one of the two out")
        reader.addTrouble()
    }

    /// Takes the word that begins a part of a rule; a misspelt one with a fault. `times` is only looked at: its number comes first.
    private mutating func optionWord(isLost: Bool) -> String? {
        guard reader.current.kind == .word else { return reader.isAtTimes ? "times" : nil }
        for word in ["for", "clear", "during", "except", "as"] where reader.take(word) { return word }
        if reader.isAtTimes { return "times" }
        guard !reader.current.isReserved, !reader.isAt("or", "and"), !isLikelyRuleStart,
            let word = nearest(to: reader.current.text, among: ["for", "clear", "during", "except", "then"]), word != "then"
        else { return nil }
        reader.fault(expected: "`for` or `then`", help: reader.slip(for: word))
        reader.advance()
        return word
    }

    /// What follows `for`: `3 cycles`, `30s`, `30 seconds`, `3 times within 10 cycles`.
    private mutating func holding(mayBeTimes: Bool) -> Persistence? {
        guard reader.isAtName else {
            reader.fault(expected: "a number of cycles, or a time such as 30s")
            return nil
        }
        if reader.isAtTimes {
            if !mayBeTimes { reader.fault("`times within` cannot clear a rule", help: "write `for 3 cycles` or `for 30s`") }
            return times(count(of: reader.advance()))
        }
        let number = reader.current
        guard isNumber(number.text) else {
            let time = duration("a number of cycles, or a time such as 30s").map(Persistence.time)
            // `for two cycles`
            if time == nil, !reader.take("cycles") { _ = reader.take("cycle") }
            return time
        }
        // `for 30 seconds`
        if reader.following.kind == .word, !reader.following.isReserved, TimeUnit(reader.following.text) != nil {
            return duration("a time").map(Persistence.time)
        }
        let cycles = count(of: number)
        reader.advance()
        takeCycles(orTime: true)
        return cycles.map(Persistence.cycles)
    }

    /// What follows the number of `3 times within 10 cycles`.
    private mutating func times(_ times: Int?) -> Persistence? {
        if !reader.take("time") { _ = reader.takeNearly("times") }
        guard reader.takeNearly("within") else {
            reader.fault(expected: "`within` and a number of cycles")
            return nil
        }
        let number = reader.current
        guard reader.isAtName else {
            reader.fault(expected: "a number of cycles")
            return nil
        }
        let cycles = count(of: number)
        reader.advance()
        takeCycles(orTime: false)
        guard let times, let cycles else { return nil }
        if times > cycles || cycles > cyclesLimit {
            let message =
                times > cycles
                ? "\(Persistence.times(times, withinCycles: cycles).text) never comes true" : "\(cycles) cycles are too many to remember"
            reader.faults.add(message, at: number.place, help: times > cycles ? nil : "at most \(cyclesLimit)")
            reader.addTrouble()
            return nil
        }
        return .times(times, withinCycles: cycles)
    }

    private mutating func takeCycles(orTime: Bool) {
        if reader.take("cycles") || reader.take("cycle") { return }
        let expected = orTime ? "`cycles`, or a unit of time" : "`cycles`"
        guard reader.isAtName else { return reader.fault(expected: expected) }
        let units = orTime ? ["seconds", "minutes", "hours", "days", "times"] : []
        let meant = nearest(to: reader.current.text, among: ["cycles", "cycle"] + units)
        let isTime = TimeUnit(reader.current.text) != nil
        reader.fault(
            expected: expected, help: meant.map { reader.slip(for: $0) } ?? (isTime ? "how often is counted in cycles, not in time" : nil))
        // What begins the next part of the rule is not a misspelt `cycles`.
        if meant != nil || isTime || !reader.isAt("clear", "during", "except", "as") { reader.advance() }
    }

    private mutating func count(of token: Token) -> Int? {
        if let count = Int(token.text) {
            if count > 0 { return count }
            let unit = reader.isAtTimes || reader.isAt("times", "time") ? "times" : "cycles"
            let help = unit == "times" ? nil : "leave it out, or write `for 1 cycle` or more"
            reader.faults.add("`for \(printable(token.text)) \(unit)` never comes true", at: token.place, help: help)
        } else if isNumber(token.text) {
            reader.faults.add("\(quoted(token.text)) cycles are too many", at: token.place)
        } else if !token.isFaulty {
            reader.faults.add("found \(token.description), expected a number of cycles", at: token.place)
        }
        reader.addTrouble()
        return nil
    }

    /// `[+-]DIGITS`
    private func isNumber(_ text: String) -> Bool {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
        return !digits.isEmpty && digits.allSatisfy { (48...57).contains($0) }
    }

    /// `30s`, `30 seconds`
    mutating func duration(_ what: String) -> Duration? {
        let number = reader.current
        guard reader.isAtName else {
            reader.fault(expected: what)
            return nil
        }
        let next = reader.following
        if isNumber(number.text), next.kind == .word, let unit = TimeUnit(next.text) {
            reader.advance()
            reader.advance()
            if let duration = Int64(number.text).flatMap(unit.duration) { return duration }
            reader.faults.add(durationProblem("\(number.text) \(next.text)"), at: number.place)
            reader.addTrouble()
            return nil
        }
        if let duration = Duration(ruleText: number.text) {
            reader.advance()
            return duration
        }
        let digits = number.text.prefix { $0.isASCII && $0.isNumber }
        let unit = String(number.text.dropFirst(digits.count))
        if !digits.isEmpty, TimeUnit(unit) != nil {
            reader.fault(durationProblem(number.text))
        } else if isNumber(number.text) {
            let meant = nearest(to: next.text, among: ["seconds", "minutes", "hours", "days"])
            if let meant, next.kind == .word {
                reader.advance()
                reader.fault(expected: "a unit of time", help: reader.slip(for: meant))
            } else {
                reader.fault(
                    "\(quoted(number.text)) has no unit of time", help: "for example \(printable(number.text))s or \(printable(number.text))m")
            }
        } else {
            let help = digits.isEmpty ? nil : "times are written as 500ms, 30s, 5m, 2h or 1d"
            reader.fault(expected: what, help: help)
        }
        reader.advance()
        return nil
    }

    private func durationProblem(_ text: String) -> String {
        let isNothing = text.allSatisfy { !$0.isNumber || $0 == "0" } || text.hasPrefix("-")
        return isNothing ? "\(quoted(text)) is no time at all" : "\(quoted(text)) is longer than a hundred years"
    }

    private mutating func clear(at place: Place, comparisons: Int) -> Clear? {
        var level: Clear.Level?
        let start = reader.current
        let hasOperator = reader.isAt(symbol: ">", "<") || start.kind == .word && (start.text.hasPrefix("==") || start.text.hasPrefix("!="))
        if hasOperator {
            var isLost = false
            let comparison = takeOperator()
            let threshold = threshold(isLost: &isLost)
            if comparisons > 1 {
                reader.faults.add(
                    "`clear` has a threshold, and the condition more than one metric", at: start.place,
                    help: "leave the threshold out: `clear for 3 cycles`, or write one rule for each metric")
                reader.addTrouble()
            }
            if let comparison, let threshold { level = Clear.Level(comparison, threshold) } else { return nil }
        }
        guard reader.take("for") else {
            guard hasOperator else {
                let isAmount = reader.isAtName && (try? Amount(parsing: start.text)) != nil
                reader.fault(expected: "a threshold such as `< 400m`, or `for`", help: isAmount ? "write `clear < \(printable(start.text))`" : nil)
                if isAmount { reader.advance() }
                return nil
            }
            return Clear(level: level, place: place)
        }
        guard let persistence = holding(mayBeTimes: false) else { return nil }
        return Clear(level: level, persistence: persistence, place: place)
    }

    private mutating func window() -> TimeWindow? {
        let token = reader.current
        guard token.kind == .string else {
            reader.fault(expected: "a window in quotes, such as \"mon-fri 09:00-17:00\"")
            // All that may belong to a window without quotes.
            while reader.current.place.line == token.place.line, reader.isAtName || reader.isAt(symbol: ":", ","), !reader.isAt("clear", "as") {
                reader.advance()
            }
            return nil
        }
        do {
            let window = try TimeWindow(parsing: token.text)
            reader.advance()
            return window
        } catch {
            reader.fault(error.message, help: error.help)
            reader.advance()
            return nil
        }
    }

    private mutating func importance() -> Importance? {
        let words = Importance.allCases.map(\.rawValue)
        if reader.isAtName, let importance = Importance(rawValue: reader.current.text) {
            reader.advance()
            return importance
        }
        let meant = reader.current.kind == .word ? nearest(to: reader.current.text, among: words) : nil
        reader.fault(expected: "`warning`, `error` or `critical`", help: meant.map { reader.slip(for: $0) })
        if reader.isAtName { reader.advance() }
        return nil
    }

    // MARK: then

    private mutating func then(_ options: RuleOptions, isLost: inout Bool) -> Bool {
        let expected = options.given.contains("for") ? "`then`" : "`for` or `then`"
        if reader.takeNearly("then", expected: expected) { return true }
        if !isLost {
            reader.fault(expected: expected, help: helpBeforeThen)
            if reader.isAt("alert", "reload", "restart") { return true }
            isLost = true
        }
        recover(to: landmarks.union(["then"]))
        guard reader.take("then") else { return false }
        isLost = false
        return true
    }

    private var helpBeforeThen: String? {
        switch reader.current.text {
        case _ where reader.current.kind != .word: nil
        case "k", "m", "g", "t", "p", "K", "M", "G", "T", "P", "%", "/sec":
            "write the unit without a space: \(reader.previous?.text ?? "")\(reader.current.text)"
        case "kb", "mb", "gb", "KB", "MB", "GB": "the units are k, m, g, t and p (steps of 1024), without a space: 500m"
        case "s", "sec", "seconds", "minutes", "min", "hours", "h", "d", "days":
            "a time in an amount is written without a space: 30s, 5min, 2h or 1d"
        case "within": "write `3 times within 10 cycles`"
        case "&", "|": "conditions are joined with `and` and `or`"
        default: nil
        }
    }

    private mutating func takeElse() -> Bool {
        if reader.take("else") { return true }
        guard reader.following.kind == .word, actionWords.contains(reader.following.text), !isLikelyRuleStart else { return false }
        return reader.takeNearly("else")
    }
}

/// What an evaluator remembers of a rule at most.
private let cyclesLimit = 1000
