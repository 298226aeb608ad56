// Which application server a service is, and what its signals do.

/// The servers whose ways to restart are known.
public enum ServerKind: String, CaseIterable, Sendable {
    case gunicorn, nginx, puma, sidekiq, unicorn, uwsgi

    /// By its command line, or by the title that it gave itself.
    init?(words: [String]) {
        // A title is one word with spaces in it.
        let words = words.count == 1 ? CommandWords.split(words[0]) : words
        for word in words.prefix(4) {
            let name = CommandWords.name(word).prefix { $0 != ":" }
            switch name {
            case "puma": self = .puma
            case "unicorn", "unicorn_rails": self = .unicorn
            case "gunicorn", "gunicorn3": self = .gunicorn
            case "nginx": self = .nginx
            case "sidekiq": self = .sidekiq
            case "uwsgi", "uwsgi-core", "uwsgi_python3": self = .uwsgi
            // What may stand before it.
            case "python", "ruby", "-m", "start-stop-daemon": continue
            default:
                if name.hasPrefix("python3") || name.hasPrefix("ruby") { continue }
                return nil
            }
            return
        }
        return nil
    }

    var name: String {
        switch self {
        case .gunicorn: "gunicorn"
        case .nginx: "nginx"
        case .puma: "Puma"
        case .sidekiq: "Sidekiq"
        case .unicorn: "Unicorn"
        case .uwsgi: "uWSGI"
        }
    }

    enum Effect: Equatable, Sendable {
        /// The whole server is executed anew, or a new master beside the old one.
        case executes
        /// Puma's: worker after worker boots anew.
        case phased
        /// The master stays, and forks new workers.
        case forks
        /// nginx's: new workers with the configuration read anew.
        case configures
        /// uWSGI's: worker after worker is forked from the master.
        case chain
        case ends
        case nothing(String)
    }

    /// What a signal does to its main process; `nil` when that is not known.
    func effect(of signal: String) -> Effect? {
        if signal == "0" { return .nothing("signal 0 only asks whether the process is there") }
        switch (self, signal) {
        case (.puma, "USR1"): return .phased
        case (.puma, "USR2"): return .executes
        case (.puma, "HUP"): return .nothing("Puma opens its log files anew at HUP, and ends when it has none")
        case (.unicorn, "HUP"), (.gunicorn, "HUP"): return .forks
        case (.unicorn, "USR2"), (.gunicorn, "USR2"), (.nginx, "USR2"), (.uwsgi, "HUP"): return .executes
        case (.unicorn, "USR1"), (.gunicorn, "USR1"), (.nginx, "USR1"): return .nothing("\(name) opens its log files anew at USR1, and nothing else")
        case (.nginx, "HUP"): return .configures
        case (.sidekiq, "TSTP"), (.sidekiq, "USR1"):
            return .nothing("Sidekiq takes no new jobs after \(signal), and never again: the old code stays, idle")
        case (.sidekiq, "HUP"): return .ends
        case (.uwsgi, "USR1"): return .nothing("uWSGI only logs its statistics at USR1")
        case (_, "TSTP"): return .nothing("\(name) does not act on TSTP")
        case (_, "TTIN"), (_, "TTOU"), (_, "WINCH"), (_, "CONT"): return .nothing("\(signal) starts no new code in \(name)")
        case (_, "TERM"), (_, "INT"), (_, "QUIT"), (_, "KILL"): return .ends
        default: return nil
        }
    }

    /// What a setting brings in: a file, or a module of Python by its name.
    func inclusion(_ setting: Setting) -> (value: String, isModule: Bool)? {
        guard inclusions.contains(setting.name), let value = setting.text else { return nil }
        return (value, self == .gunicorn)
    }

    /// The settings that bring in other files.
    var inclusions: Set<String> {
        switch self {
        case .gunicorn: ["from import *"]
        case .nginx: ["include"]
        case .puma: ["load"]
        case .uwsgi: ["include", "inherit", "ini"]
        case .sidekiq, .unicorn: []
        }
    }

    /// Settings that bring in what doctor cannot follow.
    var evaluations: Set<String> {
        switch self {
        case .gunicorn: ["exec", "execfile"]
        case .puma, .unicorn: ["eval", "instance_eval"]
        case .nginx, .sidekiq, .uwsgi: []
        }
    }

    /// The setting that says where it stands after a restart.
    var folderSetting: String? {
        switch self {
        case .gunicorn, .uwsgi: "chdir"
        case .puma: "directory"
        case .unicorn: "working_directory"
        case .nginx, .sidekiq: nil
        }
    }

    /// The folder setting as its configuration file has it.
    func folderLine(_ path: String) -> String {
        switch self {
        case .gunicorn: "chdir = \"\(path)\""
        case .puma: "directory \"\(path)\""
        case .unicorn: "working_directory \"\(path)\""
        default: "chdir = \(path)"
        }
    }
}
