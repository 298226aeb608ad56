// What the command line may say. Read by hand: a library for it would stay in the agent's memory for as long as the agent runs.

/// As sysexits.h numbers them.
enum ExitCode: Int32 {
    case done = 0
    case usage = 64
    case system = 71
    case configuration = 78
}

/// A command line that makes no sense, in words for a person.
struct UsageError: Error, Equatable {
    var problem: String
}

struct Arguments: Equatable {
    enum Verb: Equatable {
        case run, check, testAlerts, version, help
    }

    var verb = Verb.run
    var folder = "/etc/rollcall"

    /// - Parameter words: without the program's name.
    init(_ words: some Sequence<String>) throws(UsageError) {
        var rest = Array(words)[...]
        while let word = rest.popFirst() {
            switch word {
            case "--config":
                guard let folder = rest.popFirst(), !folder.isEmpty else { throw UsageError(problem: "--config without a folder") }
                self.folder = folder
            case _ where word.hasPrefix("--config=") && word.utf8.count > 9: folder = String(word.dropFirst(9))
            case "--check": verb = .check
            case "--test-alerts": verb = .testAlerts
            // These two only answer, whatever else is said.
            case "--version":
                verb = .version
                return
            case "--help", "-h":
                verb = .help
                return
            default: throw UsageError(problem: "there is no option `\(word)`")
            }
        }
    }

    static let usage = "Usage: rollcall-agent [--config DIR] [--check | --test-alerts | --version | --help]"

    static let help = """
        \(usage)

        Watches the services of this host, and reports to an aggregator.

          --config DIR   the folder of the configuration (default /etc/rollcall):
                         rollcall.conf, host.inq, services.d/*.inq
          --check        check the configuration, say what is wrong with it, and exit
          --test-alerts  have the running agent send one message over each
                         `send alerts` of rollcall.conf, say how that went, and
                         exit; where no agent runs, send them from here
          --version      say which version this is, and exit
          --help         say this, and exit

        Signals:
          TERM, INT      stop
          HUP            read the configuration again; one with faults is not taken

        Exit codes:
          0   stopped as asked, or nothing wrong with the configuration
          64  a command line that makes no sense
          71  the system refused something that the agent cannot do without
          78  a fault in the configuration, or in a file that it names
        """
}
