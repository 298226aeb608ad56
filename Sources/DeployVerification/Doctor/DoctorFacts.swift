// All that doctor knows of a service before it judges, and what is still worth reading.

/// Gathered in steps by the tool: the agent's answer, the unit, then the files that `wantedFiles` names, then the paths of `wantedPaths`.
public struct DoctorFacts: Equatable, Sendable {
    public enum File: Equatable, Sendable {
        case text(String)
        case missing
        /// Why not, in words.
        case unreadable(String)
    }

    /// The file TOKEN where the service stands.
    public enum TokenFile: Equatable, Sendable {
        case missing
        case unreadable(String)
        /// Its first 8 digits, and how long ago it was written.
        case found(prefix: String, age: Duration)
    }

    /// A worker that was asked for its token.
    public struct Worker: Equatable, Sendable {
        public var pid: Int32
        public var age: Duration
        /// The first digits of what it answered; `nil` when that was no token.
        public var tokenPrefix: String?

        public init(pid: Int32, age: Duration, tokenPrefix: String?) {
            self.pid = pid
            self.age = age
            self.tokenPrefix = tokenPrefix
        }
    }

    public var service: DoctorService
    /// `nil` when it was not found, or the agent is on another machine.
    public var unit: UnitFile?
    public var files: [String: File] = [:]
    /// Where a path leads, all links followed; `nil` when nowhere.
    public var realPaths: [String: String?] = [:]
    public var token: TokenFile?
    /// `nil` when workers were not asked.
    public var workers: [Worker]?
    /// Of uWSGI, as its program has it.
    public var programVersion: String?

    public init(_ service: DoctorService, unit: UnitFile? = nil) {
        self.service = service
        self.unit = unit
    }

    // MARK: What the service is

    /// The command line that starts it: the unit's, or that of its main process.
    var startCommands: [[String]] {
        if let entry = unit?.last("ExecStart") { return CommandWords.commands(entry.value) }
        guard let main = service.main else { return [] }
        return [main.arguments.count == 1 ? CommandWords.split(main.arguments[0]) : main.arguments]
    }

    public var kind: ServerKind? {
        for process in [service.main].compactMap({ $0 }) + service.processes.prefix(50) {
            if let kind = ServerKind(words: process.arguments) { return kind }
        }
        return startCommands.lazy.compactMap { ServerKind(words: $0) }.first
    }

    /// The server's own arguments, and where they are written.
    var arguments: (words: [String], place: String)? {
        if let entry = unit?.last("ExecStart") {
            for words in CommandWords.commands(entry.value) where ServerKind(words: words) != nil {
                return (words, "\(entry.file):\(entry.line)")
            }
        }
        guard let main = service.main else { return nil }
        return (main.arguments.count == 1 ? CommandWords.split(main.arguments[0]) : main.arguments, "process \(main.pid)")
    }

    /// Where relative paths begin.
    var base: String? {
        unit?.last("WorkingDirectory").map { $0.value.hasPrefix("-") ? String($0.value.dropFirst()) : $0.value } ?? service.main?.folder
    }

    // MARK: What is worth reading

    /// The configuration files that the command line names, or that the server reads by itself.
    public var wantedFiles: [String] { configurationFiles.map(\.path) }

    /// - Returns: each with whether the command line names it.
    var configurationFiles: [(path: String, isNamed: Bool)] {
        guard let kind, let words = arguments?.words else { return [] }
        var named: [String] = []
        switch kind {
        case .puma: named = values(["-C", "--config"], words).filter { $0 != "-" }
        case .unicorn: named = values(["-c", "--config-file"], words)
        case .gunicorn:
            named = values(["-c", "--config"], gunicornWords(words)).filter { !$0.hasPrefix("python:") }.map {
                $0.hasPrefix("file:") ? String($0.dropFirst(5)) : $0
            }
        case .uwsgi: named = values(["--ini", "-c"], words) + words.dropFirst().filter { $0.hasSuffix(".ini") && !$0.hasPrefix("-") }
        case .nginx: named = values(["-c"], words)
        case .sidekiq: return []
        }
        var files = named.compactMap(absolute).map { ($0, true) }
        if named.isEmpty {
            let usual: [String] =
                switch kind {
                case .puma: ["config/puma/\(environment).rb", "config/puma.rb"]
                case .gunicorn: ["gunicorn.conf.py"]
                case .nginx: ["/etc/nginx/nginx.conf"]
                case .sidekiq, .unicorn, .uwsgi: []
                }
            files = usual.compactMap(absolute).map { ($0, false) }
        }
        var seen: Set<String> = []
        return Array(files.filter { seen.insert($0.0).inserted }.prefix(DoctorLimits.files))
    }

    private var environment: String {
        let name = unit?.variable("RACK_ENV")?.value ?? unit?.variable("RAILS_ENV")?.value ?? "production"
        return name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) ? name : "production"
    }

    /// gunicorn takes options from a variable too.
    func gunicornWords(_ words: [String]) -> [String] {
        words + (unit?.variable("GUNICORN_CMD_ARGS").map { CommandWords.split($0.value) } ?? [])
    }

    private func absolute(_ path: String) -> String? {
        guard !path.contains("$"), !path.contains("%") else { return nil }
        if path.hasPrefix("/") { return path }
        return base.map { $0.hasSuffix("/") ? $0 + path : "\($0)/\(path)" }
    }

    /// The values of an option: `-c FILE`, `--config FILE`, `--config=FILE`, `-cFILE`.
    func values(_ options: [String], _ words: [String]) -> [String] {
        var values: [String] = []
        for (index, word) in words.enumerated() {
            for option in options {
                if word == option, words.indices.contains(index + 1) {
                    values.append(words[index + 1])
                } else if option.hasPrefix("--"), word.hasPrefix(option + "=") {
                    values.append(String(word.dropFirst(option.count + 1)))
                } else if !option.hasPrefix("--"), word.hasPrefix(option), word.count > option.count, !word.hasPrefix("--") {
                    values.append(String(word.dropFirst(option.count)))
                }
            }
        }
        return values
    }

    /// The paths of which it is worth knowing where they lead, once the files are there.
    public var wantedPaths: [String] {
        var paths = [service.main?.folder, service.main?.shellFolder, base].compactMap { $0 }
        paths += settings.filter { $0.setting.name == kind?.folderSetting }.compactMap(\.setting.text)
        paths += Array(Set(paths.compactMap(Self.currentLink))).sorted()
        var seen: Set<String> = []
        return Array(paths.filter { $0.hasPrefix("/") && seen.insert($0).inserted }.prefix(DoctorLimits.files))
    }

    /// The folder whose TOKEN counts: where the main process stands.
    public var releaseFolder: String? { service.main?.folder }

    // MARK: What they say

    /// Each setting with its place, those of the command line last: they count more.
    var settings: [(setting: Setting, place: String)] {
        guard let kind else { return [] }
        var all: [(Setting, String)] = []
        for file in configurationFiles {
            guard case .text(let text)? = files[file.path] else { continue }
            all += parse(text, of: kind).map { ($0, "\(file.path):\($0.line)") }
            // Of the usual files, Puma takes the first that is there.
            if !file.isNamed { break }
        }
        guard let (words, place) = arguments else { return all }
        func add(_ name: String, _ options: [String], _ words: [String]) {
            all += values(options, words).map { (Setting(name, .text($0), line: 0), place) }
        }
        switch kind {
        case .gunicorn:
            let words = gunicornWords(words)
            add("chdir", ["--chdir"], words)
            if words.contains("--preload") { all.append((Setting("preload_app", .flag(true), line: 0), place)) }
        case .puma:
            add("directory", ["--dir"], words)
            if words.contains("--preload") { all.append((Setting("preload_app!", .absent, line: 0), place)) }
            if words.contains("--fork-worker") { all.append((Setting("fork_worker", .absent, line: 0), place)) }
        case .uwsgi:
            for name in ["chdir", "touch-chain-reload", "touch-workers-reload"] { add(name, ["--" + name], words) }
            if words.contains("--lazy-apps") { all.append((Setting("lazy-apps", .flag(true), line: 0), place)) }
        case .nginx:
            for text in values(["-g"], words) {
                // A title has lost its quotes: the rest of it belongs to the directive.
                let rest = words.firstIndex(of: text).map { words[$0...].joined(separator: " ") } ?? text
                all += NginxSettings.parse(rest).map { ($0, place) }
            }
        case .sidekiq, .unicorn: break
        }
        return all
    }

    private func parse(_ text: String, of kind: ServerKind) -> [Setting] {
        switch kind {
        case .puma, .unicorn: RubySettings.parse(text)
        case .gunicorn: PythonSettings.parse(text)
        case .uwsgi: IniSettings.parse(text, section: "uwsgi")
        case .nginx: NginxSettings.parse(text)
        case .sidekiq: []
        }
    }

    // MARK: Releases

    /// Whether a path is one release itself, and not a link to the current one.
    func isRelease(_ path: String) -> Bool {
        if let real = realPaths[path] ?? nil, real != path { return false }
        let parts = path.split(separator: "/")
        if parts.count >= 2, parts[parts.count - 2] == "releases" { return true }
        return Self.currentLink(path).map { (realPaths[$0] ?? nil) == path && $0 != path } ?? false
    }

    /// Where deploy tools have the link beside the folder of releases.
    static func currentLink(_ path: String) -> String? {
        let parts = path.split(separator: "/")
        guard parts.count >= 3 else { return nil }
        return "/" + parts.dropLast(2).joined(separator: "/") + "/current"
    }
}
