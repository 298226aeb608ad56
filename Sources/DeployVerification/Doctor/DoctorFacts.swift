// All that doctor knows of a service before it judges, and what is still worth reading.

/// Gathered in steps by the tool: the agent's answer, the unit, then the files that `wantedFiles` and `wantedPatterns` name, until they name no
/// new ones, then the paths of `wantedPaths`.
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
    /// Which files each of `wantedPatterns` names, in the order in which the server reads them.
    public var matches: [String: [String]] = [:]
    /// Where a path leads, all links followed; `nil` when nowhere.
    public var realPaths: [String: String?] = [:]
    public var token: TokenFile?
    /// `nil` when workers were not asked.
    public var workers: [Worker]?
    /// Which question they answer; `nil` when they were not asked.
    public var asking: AskingReport?
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

    /// The configuration files that the command line names, that the server reads by itself, and that these bring in; and the unit's variables.
    public var wantedFiles: [String] { environmentFiles + configurationFiles.map(\.path) }

    /// What files bring in with wild cards, as `glob` reads them.
    public var wantedPatterns: [String] { readConfiguration.patterns }

    /// A configuration file, and how the server comes to it.
    struct ConfigurationFile: Equatable, Sendable {
        enum Way: Equatable, Sendable {
            /// Where it looks by itself.
            case usual
            /// Named at this place.
            case named(String)
            /// As a module of Python of this name, at this place.
            case module(String, String)
        }

        var path: String
        var way: Way
    }

    var configurationFiles: [ConfigurationFile] { readConfiguration.files }

    /// The files, the patterns in them, and what they say with the places where they say it.
    var readConfiguration: (files: [ConfigurationFile], patterns: [String], settings: [(setting: Setting, place: String)]) {
        guard let kind else { return ([], [], []) }
        var files: [ConfigurationFile] = []
        var patterns: [String] = []
        var said: [(setting: Setting, place: String)] = []
        var seen: Set<String> = []
        func add(_ file: ConfigurationFile) {
            if files.count < DoctorLimits.files, seen.insert(file.path).inserted { files.append(file) }
        }
        for file in firstFiles(kind) {
            add(file)
            // Of the usual files, the first that is there counts.
            if file.way == .usual, case .text? = self.files[file.path] { break }
        }
        let main = files.first?.path
        var index = 0
        while index < files.count {
            defer { index += 1 }
            let path = files[index].path
            guard case .text(let text)? = self.files[path] else { continue }
            for setting in parse(text, of: kind) {
                said.append((setting, "\(path):\(setting.line)"))
                guard let (value, isModule) = kind.inclusion(setting) else { continue }
                let place = "\(path):\(setting.line)"
                if isModule {
                    if let file = modulePath(value) { add(ConfigurationFile(path: file, way: .module(value, place))) }
                } else if let file = absolute(value, from: kind == .nginx ? main.map(Self.folder) : base) {
                    guard kind == .nginx, file.contains(where: { "*?[".contains($0) }) else {
                        add(ConfigurationFile(path: file, way: .named(place)))
                        continue
                    }
                    if patterns.count < DoctorLimits.files, !patterns.contains(file) { patterns.append(file) }
                    for match in matches[file] ?? [] { add(ConfigurationFile(path: match, way: .named(place))) }
                }
            }
        }
        return (files, patterns, said)
    }

    /// What the command line names, else what the server looks for.
    private func firstFiles(_ kind: ServerKind) -> [ConfigurationFile] {
        guard let (words, place) = arguments else { return [] }
        var named: [String] = []
        var usual: [String] = []
        switch kind {
        case .puma:
            named = values(["-C", "--config"], words).filter { $0 != "-" }
            usual = ["config/puma/\(environment).rb", "config/puma.rb"]
        case .unicorn: named = values(["-c", "--config-file"], words)
        case .gunicorn:
            named = values(["-c", "--config"], gunicornWords(words))
            usual = ["gunicorn.conf.py"]
        case .uwsgi: named = values(["--ini", "-c"], words) + words.dropFirst().filter { $0.hasSuffix(".ini") && !$0.hasPrefix("-") }
        case .nginx:
            named = values(["-c"], words)
            usual = ["/etc/nginx/nginx.conf"]
        case .sidekiq: break
        }
        guard !named.isEmpty else { return usual.compactMap { absolute($0, from: base) }.map { ConfigurationFile(path: $0, way: .usual) } }
        return named.compactMap { name in
            if kind == .gunicorn, name.hasPrefix("python:") {
                let module = String(name.dropFirst(7))
                return modulePath(module).map { ConfigurationFile(path: $0, way: .module(module, place)) }
            }
            let path = kind == .gunicorn && name.hasPrefix("file:") ? String(name.dropFirst(5)) : name
            return absolute(path, from: base).map { ConfigurationFile(path: $0, way: .named(place)) }
        }
    }

    /// Where Python looks for a module first: below the folder that gunicorn changes to.
    private func modulePath(_ module: String) -> String? {
        let parts = module.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" } }) else { return nil }
        let folder = arguments.flatMap { values(["--chdir"], gunicornWords($0.words)).last }.flatMap { absolute($0, from: base) }
        return absolute(parts.joined(separator: "/") + ".py", from: folder ?? base)
    }

    private static func folder(of path: String) -> String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }

    // MARK: The environment

    /// The files of the unit that hold variables.
    private var environmentFiles: [String] {
        (unit?.all("EnvironmentFile") ?? []).map { $0.value.hasPrefix("-") ? String($0.value.dropFirst()) : $0.value }
            .filter { $0.hasPrefix("/") && !$0.contains("%") && !$0.contains("*") }
    }

    /// A variable that the unit or one of its files sets; what files say counts more.
    private func variable(_ name: String) -> String? {
        for path in environmentFiles.reversed() {
            guard case .text(let text)? = files[path] else { continue }
            for (_, line) in numberedLines(text).reversed() where line.trimmed.hasPrefix(name + "=") {
                let value = String(line.trimmed.dropFirst(name.count + 1).trimmed)
                let words = CommandWords.split(value)
                return value.hasPrefix("\"") || value.hasPrefix("'") ? words.first ?? "" : value
            }
        }
        return unit?.variable(name)?.value
    }

    private var environment: String {
        let name = variable("RACK_ENV") ?? variable("RAILS_ENV") ?? "production"
        return name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) ? name : "production"
    }

    /// gunicorn takes options from a variable too.
    func gunicornWords(_ words: [String]) -> [String] {
        words + (variable("GUNICORN_CMD_ARGS").map { CommandWords.split($0) } ?? [])
    }

    private func absolute(_ path: String, from folder: String?) -> String? {
        guard !path.isEmpty, path.utf8.count <= 4096, !path.contains("$"), !path.contains("%"), !path.contains("\0") else { return nil }
        if path.hasPrefix("/") { return path }
        return folder.map { $0.hasSuffix("/") ? $0 + path : "\($0)/\(path)" }
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

    /// The folder whose TOKEN counts: where all workers stand, or else the main process. The root folder is nobody's release.
    public var releaseFolder: String? {
        let folders = Set(service.processes.filter(\.isWorker).map(\.folder))
        let folder = folders.count == 1 ? folders.first ?? nil : service.main?.folder
        return folder == "/" ? nil : folder
    }

    /// Whether the command line is what the server wrote over it, without its options: which configuration it reads is then not known.
    var isCommandLineHidden: Bool {
        guard unit?.last("ExecStart") == nil, let main = service.main, main.arguments.count == 1, let kind else { return false }
        switch kind {
        case .puma, .gunicorn: return true
        // Their titles have the options.
        case .nginx, .unicorn, .sidekiq, .uwsgi: return false
        }
    }

    // MARK: What they say

    /// Each setting with its place, those of the command line last: they count more.
    var settings: [(setting: Setting, place: String)] { settings(of: readConfiguration.settings) }

    /// - Parameter said: what the files say.
    func settings(of said: [(setting: Setting, place: String)]) -> [(setting: Setting, place: String)] {
        guard let kind else { return [] }
        var all = said
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
