// The part of the parser that reads actions: what follows `then` and `else`.

let actionWords = ["alert", "reload", "restart", "start", "stop", "signal", "exec"]
private let actionsHelp = "the actions are `alert`, `reload`, `restart`, `start`, `stop`, `signal` and `exec`"
/// Of other supervisors' languages.
private let foreignActions: Set = ["unmonitor", "monitor", "email", "notify", "kill", "run"]

extension Parser {
    /// One or more, with commas between them.
    mutating func actions() -> [Action] {
        var actions: [Action] = []
        while true {
            let first = reader.current
            if let action = action() { actions.append(action) }
            if reader.take(symbol: ",") { continue }
            if reader.isAtEnd || partWords.contains(where: { reader.isAt($0) }) || isAtElse || isLikelyRuleStart { break }
            if reader.isAt(Set(actionWords)) {
                reader.fault(expected: "`,` between two actions")
                continue
            }
            reader.fault(expected: "`,`, `else`, `if` or the end of the file", help: help(after: first))
            recover(to: Set(partWords + actionWords + ["else"]), symbols: [","])
            if reader.take(symbol: ",") || reader.isAt(Set(actionWords)) { continue }
            break
        }
        return actions
    }

    private mutating func action() -> Action? {
        let word = reader.current
        if word.kind == .word, actionWords.contains(word.text) {
            reader.advance()
            return kind(of: word.text).map { Action($0, place: word.place) }
        }
        let isForeign = word.kind == .word && foreignActions.contains(word.text)
        let meant = word.kind == .word && !word.isReserved && !isForeign ? nearest(to: word.text, among: actionWords) : nil
        let isQuoted = word.kind == .string && actionWords.contains(word.text)
        let help =
            isQuoted
            ? "an action stands without quotes"
            : meant.map { reader.slip(for: $0) } ?? (isForeign ? "there is no `\(word.text)`; \(actionsHelp)" : actionsHelp)
        reader.fault(expected: "an action", help: help)
        guard word.kind != .symbol, reader.isAtName else { return nil }
        if isLikelyRuleStart { return nil }
        reader.advance()
        if let meant {
            // What belongs to it is read for its faults.
            _ = kind(of: meant)
        } else {
            recover(to: Set(partWords + actionWords + ["else"]), symbols: [","])
        }
        return nil
    }

    /// What follows the word.
    private mutating func kind(of word: String) -> Action.Kind? {
        switch word {
        case "alert": .alert(route: route())
        case "reload": .reload
        case "restart": .restart
        case "start": .start
        case "stop": .stop
        case "signal": signal()
        default: exec()
        }
    }

    private mutating func route() -> String? {
        guard reader.isAtName, !isLikelyRuleStart, !isAtElse else { return nil }
        // `alert and restart`: whoever writes that means no route called and.
        if reader.isAt("and"), reader.following.kind == .word, actionWords.contains(reader.following.text) { return nil }
        return reader.name("a route", before: [])?.text
    }

    /// `else`, also misspelt, with an action behind it. Without one, behind `alert`, it is a route of Inspeqtor's that is called so.
    private var isAtElse: Bool {
        guard reader.current.kind == .word, reader.current.text == "else" || nearest(to: reader.current.text, among: ["else"]) != nil else {
            return false
        }
        let next = reader.following
        if reader.current.text == "else", reader.previous?.text != "alert" || reader.previous?.kind != .word { return true }
        return next.kind == .word && !["if", "check"].contains(next.text)
            && (actionWords.contains(next.text) || nearest(to: next.text, among: actionWords) != nil)
    }

    private mutating func signal() -> Action.Kind? {
        let token = reader.current
        guard reader.isAtName else {
            reader.fault(expected: "a signal such as QUIT, or several such as \"QUIT 30s KILL\"")
            return nil
        }
        do {
            let steps = try SignalStep.ladder(parsing: token.text)
            reader.advance()
            return .signal(steps)
        } catch {
            reader.fault(error.message, help: error.help)
            reader.advance()
            return nil
        }
    }

    private mutating func exec() -> Action.Kind? {
        let token = reader.current
        guard reader.isAtName else {
            reader.fault(expected: "a program with its arguments in quotes, such as \"/usr/local/bin/heal --fast\"")
            return nil
        }
        var command: Command?
        do {
            command = Command(arguments: try Command.words(parsing: token.text))
        } catch {
            reader.fault(error.message, help: error.help)
        }
        reader.advance()
        var (hasUser, hasTimeout) = (false, false)
        while true {
            let place = reader.current.place
            if reader.take("as") {
                if hasUser { reader.faults.add("a second `as` of one `exec`", at: place, help: "leave one of the two out") }
                hasUser = true
                guard let user = reader.name("the name of a user", before: Set(partWords + actionWords)) else { return nil }
                command?.user = user.text
            } else if reader.take("timeout") {
                if hasTimeout { reader.faults.add("a second `timeout` of one `exec`", at: place, help: "leave one of the two out") }
                hasTimeout = true
                guard let timeout = duration("a time such as 30s") else { return nil }
                command?.timeout = timeout
            } else {
                return command.map(Action.Kind.exec)
            }
        }
    }

    private func help(after action: Token) -> String? {
        if reader.isAt("and") { return "separate actions with a comma" }
        guard reader.isAtName, action.kind == .word else { return nil }
        switch action.text {
        case "reload", "restart", "start", "stop": return "`\(action.text)` acts on the service of the file; it takes no name"
        case "signal": return "put several signals in quotes, such as \"QUIT 30s KILL\""
        case "exec":
            return nearest(to: reader.current.text, among: ["as", "timeout"]).map { reader.slip(for: $0) }
                ?? "put the program and its arguments in quotes"
        default: return nil
        }
    }
}
