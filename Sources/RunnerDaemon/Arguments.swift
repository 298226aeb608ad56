// What the command line may say; no secret is ever on it.

/// A command line that makes no sense, in words for a person.
struct UsageError: Error, Equatable {
    var problem: String
}

struct Arguments: Equatable {
    enum Verb: Equatable {
        case run(parent: Int32)
        case version, help
    }

    var verb: Verb
    var user = "nobody"

    /// - Parameter words: without the program's name.
    init(_ words: some Sequence<String>) throws(UsageError) {
        var parent: Int32?
        var rest = Array(words)[...]
        while let word = rest.popFirst() {
            switch word {
            case "--user":
                guard let user = rest.popFirst(), !user.isEmpty else { throw UsageError(problem: "--user without a name") }
                self.user = user
            case "--parent":
                guard let pid = rest.popFirst().flatMap({ Int32($0) }), pid > 0 else { throw UsageError(problem: "--parent without a process id") }
                parent = pid
            case "--version":
                verb = .version
                return
            case "--help", "-h":
                verb = .help
                return
            default: throw UsageError(problem: "there is no option `\(word)`")
            }
        }
        guard let parent else { throw UsageError(problem: "rollcall-agent starts this program; it is of no use alone") }
        verb = .run(parent: parent)
    }

    static let usage = "Usage: rollcall-runner --parent PID [--user NAME] | --version | --help"

    static let help = """
        \(usage)

        Asks daemons for their numbers and delivers alerts for rollcall-agent, which starts it: orders come as JSON lines on standard
        input, answers go to standard output. It ends when its input does.

          --parent PID   the process that started it, without which it is not to run
          --user NAME    who to become when it is started by root (default nobody)
          --version      say which version this is, and exit
          --help         say this, and exit
        """
}
