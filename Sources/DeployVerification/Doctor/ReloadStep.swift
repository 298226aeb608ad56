// What a line of ExecReload does, as far as it can be told from its words.

enum ReloadStep: Equatable, Sendable {
    case signal(String)
    /// uWSGI's fifo: `c` for a chain reload, `w` for its workers, `r` for all.
    case fifo(String)
    case nothing(String)
    /// It has its use, and is no reload by itself: a test of the configuration, verify-token.
    case other
    case unknown(String)

    static func steps(of line: String) -> [ReloadStep] {
        CommandWords.commands(line).map(step)
    }

    private static func step(_ words: [String]) -> ReloadStep {
        guard let program = words.first else { return .other }
        let arguments = Array(words.dropFirst())
        switch CommandWords.name(program) {
        case "kill", "pkill", "killall": return .signal(signal(arguments))
        case "true", ":", "sleep", "test", "[": return .nothing("`\(shown(words.joined(separator: " ")))` does nothing to the service")
        case "echo", "printf":
            guard arguments.contains(where: { $0.hasPrefix(">") }) else {
                return .nothing("`\(shown(words.joined(separator: " ")))` does nothing to the service")
            }
            return .fifo(arguments.first ?? "")
        case "nginx", "openresty":
            switch arguments.firstIndex(of: "-s").flatMap({ arguments.indices.contains($0 + 1) ? arguments[$0 + 1] : nil }) {
            case "reload"?: return .signal("HUP")
            case "reopen"?: return .signal("USR1")
            case "quit"?, "stop"?: return .signal("QUIT")
            default: return .other
            }
        case "pumactl":
            if arguments.contains("phased-restart") { return .signal("USR1") }
            if arguments.contains("restart") { return .signal("USR2") }
            return .nothing("`\(shown(words.joined(separator: " ")))` restarts nothing")
        case "uwsgi":
            return arguments.contains("--reload") ? .signal("HUP") : .unknown(shown(words.joined(separator: " ")))
        case "verify-token", "rollcall", "systemd-notify", "mkdir", "rm", "ln", "chown", "chmod": return .other
        default: return .unknown(shown(words.joined(separator: " ")))
        }
    }

    private static func signal(_ arguments: [String]) -> String {
        var isNext = false
        for word in arguments {
            if isNext { return named(word) }
            if word == "-s" || word == "--signal" {
                isNext = true
            } else if word.hasPrefix("--signal=") {
                return named(String(word.dropFirst(9)))
            } else if word.hasPrefix("-s"), word.count > 2 {
                return named(String(word.dropFirst(2)))
            } else if word.hasPrefix("-"), word.count > 1, !word.hasPrefix("--") {
                return named(String(word.dropFirst()))
            }
        }
        return "TERM"
    }

    private static func named(_ word: String) -> String {
        let upper = word.uppercased()
        let numbers = [
            "1": "HUP", "2": "INT", "3": "QUIT", "9": "KILL", "10": "USR1", "12": "USR2", "15": "TERM", "18": "CONT", "20": "TSTP", "21": "TTIN",
            "22": "TTOU", "28": "WINCH",
        ]
        return numbers[upper] ?? (upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper)
    }
}
