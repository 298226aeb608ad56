// The whole configuration of an agent, checked in full before anything starts.

import Glibc
public import Platform
import RuleLanguage

/// What an agent is told: its settings, and what it watches.
public struct AgentConfiguration: Equatable, Sendable {
    public var settings: AgentSettings
    public var host: HostCheck?
    /// In the order of their files.
    public var services: [ServiceCheck]
    public var failedUnits: FailedUnitsCheck?
    /// In the order of their files.
    public var jobs: [JobCheck]

    /// Reads a folder such as `/etc/rollcall`.
    /// - Throws: every fault of every file. `ConfigurationReading` has the texts too, to show the faults in.
    public init(folder: String, defaults: AgentSettings.Defaults) throws(Faults) {
        self = try ConfigurationReading([folder], defaults: defaults).configuration.get()
    }

    public init(
        settings: AgentSettings, host: HostCheck? = nil, services: [ServiceCheck] = [], failedUnits: FailedUnitsCheck? = nil, jobs: [JobCheck] = []
    ) {
        self.settings = settings
        self.host = host
        self.services = services
        self.failedUnits = failedUnits
        self.jobs = jobs
    }
}

/// Files and folders that were read as one configuration: what each of them says, and what is wrong with each and with all of them together.
public struct ConfigurationReading: Sendable {
    public private(set) var files: [ConfigurationFile] = []
    private var understood: AgentConfiguration

    /// - Parameter paths: files, or folders. Of a folder these are read: `rollcall.conf`, `host.inq`, `services.d/*.inq` and `jobs.d/*.inq`; of a
    ///   folder that has none of them, its `*.inq`.
    public init(_ paths: [String], defaults: AgentSettings.Defaults) {
        understood = AgentConfiguration(settings: AgentSettings(defaults))
        var seen: Set<String> = []
        for path in paths {
            let isFolder = kind(of: path) == S_IFDIR
            for file in isFolder ? filesOfFolder(path) : [ConfigurationFile(reading: path)] where seen.insert(file.path).inserted {
                files.append(file)
            }
            let hasSettings = files.contains { $0.path == inFolder(path, "rollcall.conf") }
            if isFolder, !hasSettings, !files.isEmpty,
                kind(of: inFolder(path, "services.d")) == S_IFDIR || kind(of: inFolder(path, "host.inq")) == S_IFREG
            {
                warn(inFile: files.count - 1, "\(inFolder(path, "rollcall.conf")) is missing: nobody hears of alerts", at: .wholeFile)
            }
        }
        understand(defaults)
    }

    /// Rules that were read before, by the paths of their files.
    init(_ files: [(path: String, rules: RuleFile)], defaults: AgentSettings.Defaults) {
        understood = AgentConfiguration(settings: AgentSettings(defaults))
        self.files = files.map { ConfigurationFile(path: $0.path, rules: $0.rules) }
        understand(defaults)
    }

    private mutating func understand(_ defaults: AgentSettings.Defaults) {
        for index in files.indices { understand(index, defaults) }
        examineDependencies()
        examineRoutes()
        notePatterns()
    }

    /// The configuration when there is no fault, else all faults.
    public var configuration: Result<AgentConfiguration, Faults> {
        let faults = files.flatMap(\.faults)
        return faults.isEmpty ? .success(understood) : .failure(Faults(faults))
    }

    public var warnings: [Fault] { files.flatMap(\.warnings) }

    /// The checks of services that were understood, whatever is wrong elsewhere.
    public var services: [ServiceCheck] { understood.services }

    /// Adds warnings of whoever knows more than the files say, each to its file.
    public mutating func add(warnings: [Fault]) {
        for index in files.indices {
            var findings = Findings()
            findings.warnings = warnings.filter { $0.file == files[index].path }
            files[index].add(findings)
        }
    }

    // MARK: What a file says

    private mutating func understand(_ index: Int, _ defaults: AgentSettings.Defaults) {
        let path = files[index].path
        switch files[index].content {
        case .settings(let settingsFile):
            if let first = files[..<index].first(where: { if case .settings = $0.content { true } else { false } }) {
                files[index].fault("a second file of settings", at: .wholeFile, help: "\(first.path) is one too")
            }
            guard let settingsFile else { return }
            let read = AgentSettings.read(settingsFile, file: path, defaults: defaults)
            understood.settings = read.settings
            files[index].add(read.findings)
        case .rules(let ruleFile):
            guard let ruleFile else { return }
            checkFolder(of: index, ruleFile)
            switch ruleFile.subject {
            case .service(let name): understandService(index, name, ruleFile)
            case .host:
                let read = HostCheck.read(ruleFile, file: path)
                files[index].add(read.findings)
                files[index].add(examineRules(of: ruleFile, file: path))
                if let first = understood.host {
                    files[index].fault("the host is checked twice", at: ruleFile.place, help: "\(first.file) checks it too")
                } else {
                    understood.host = read.check
                }
            case .failedUnits:
                let read = FailedUnitsCheck.read(ruleFile, file: path)
                files[index].add(read.findings)
                if let first = understood.failedUnits {
                    files[index].fault("failed units are checked twice", at: ruleFile.place, help: "\(first.file) checks them too")
                } else {
                    understood.failedUnits = read.check
                }
            case .jobs: understandJobs(index, ruleFile)
            }
        }
    }

    private mutating func understandService(_ index: Int, _ name: String, _ ruleFile: RuleFile) {
        let path = files[index].path
        let read = ServiceCheck.read(ruleFile, name: name, file: path)
        files[index].add(read.findings)
        files[index].add(examineRules(of: ruleFile, file: path))
        if let first = understood.services.first(where: { unitName($0.name) == unitName(name) }) {
            files[index].fault(
                "the service `\(name)` is checked twice", at: ruleFile.place, help: "\(first.file) checks it too; put all rules into one file")
        } else {
            understood.services.append(read.check)
        }
    }

    private mutating func understandJobs(_ index: Int, _ ruleFile: RuleFile) {
        let read = JobCheck.read(ruleFile, file: files[index].path)
        files[index].add(read.findings)
        for job in read.check.jobs {
            if let first = understood.jobs.first(where: { $0.jobs.contains { $0.name == job.name } }) {
                files[index].fault("the job `\(job.name)` is checked twice", at: job.place, help: "\(first.file) checks it too")
            }
            if let grace = job.grace, case .every(let interval) = job.schedule, grace > interval {
                warn(inFile: index, "`\(job.name)` may be later than it happens often: a run that is left out is not noticed", at: job.place)
            }
        }
        understood.jobs.append(read.check)
    }

    // MARK: What all files say together

    /// Every `depends on` names a service that is checked, and none needs itself.
    private mutating func examineDependencies() {
        let services = understood.services
        // Which check an index of `services` depends on, for each of its dependencies that there is.
        var edges: [[(to: Int, place: Place)]] = Array(repeating: [], count: services.count)
        for (index, service) in services.enumerated() {
            guard let file = files.firstIndex(where: { $0.path == service.file }) else { continue }
            for dependency in files[file].ruleFile?.dependencies ?? [] {
                if let to = services.firstIndex(where: { $0.covers(dependency.name) }) {
                    edges[index].append((to, dependency.place))
                } else {
                    let names = services.map(\.name)
                    files[file].fault(
                        "no service `\(dependency.name)` is checked", at: dependency.place,
                        help: nearest(to: dependency.name, among: names).map { "did you mean `\($0)`?" }
                            ?? "only what is checked is known to be up or down: write a check for it too")
                }
            }
        }
        // Each service is looked at once; whoever is reached again on the way needs itself.
        var isDone = Array(repeating: false, count: services.count)
        for start in services.indices where !isDone[start] {
            var path: [(node: Int, next: Int)] = [(start, 0)]
            var isOnPath = Set([start])
            while let (node, next) = path.last {
                guard next < edges[node].count else {
                    isDone[node] = true
                    isOnPath.remove(node)
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let (to, place) = edges[node][next]
                if isOnPath.contains(to) {
                    let circle = path.drop { $0.node != to }.map { services[$0.node].name } + [services[to].name]
                    if let file = files.firstIndex(where: { $0.path == services[node].file }) {
                        files[file].fault(
                            "`\(services[to].name)` depends on itself", at: place, help: "the circle is " + circle.joined(separator: ", "))
                    }
                } else if !isDone[to] {
                    path.append((to, 0))
                    isOnPath.insert(to)
                }
            }
        }
    }

    /// A unit that has a check of its own is none of a pattern's.
    private mutating func notePatterns() {
        let patterns = understood.services.filter(\.isPattern)
        guard !patterns.isEmpty else { return }
        for service in understood.services where !service.isPattern {
            guard let file = files.firstIndex(where: { $0.path == service.file }) else { continue }
            for pattern in patterns where pattern.covers(service.name) {
                files[file].notes.append("`\(pattern.name)` at \(pattern.place) matches it too: that check's rules and owner do not apply to it")
            }
        }
    }

    /// Without an aggregator, which may know more of them, only the routes of `send alerts` exist.
    private mutating func examineRoutes() {
        guard understood.settings.aggregator == nil, !hasFaultyAggregator, let settings = settingsFile, !settings.routes.isEmpty else { return }
        let names = settings.routes.compactMap(\.name)
        let hasDefault = settings.routes.contains { $0.name == nil }
        for index in files.indices {
            guard let ruleFile = files[index].ruleFile else { continue }
            let owner = ruleFile.parameters.first { $0.key == "owner" }
            var asked: [(route: String?, place: Place)] = owner.map { [($0.value, $0.place)] } ?? [(nil, ruleFile.place)]
            for action in ruleFile.rules.flatMap({ $0.actions + $0.recoveryActions }) {
                if case .alert(let route?) = action.kind { asked.append((route, action.place)) }
            }
            for (route, place) in asked {
                if let route, !route.isEmpty, !names.contains(route) {
                    files[index].fault(
                        "there is no route `\(route)`", at: place,
                        help: nearest(to: route, among: names).map { "did you mean `\($0)`?" } ?? "`send alerts to \(route) via ...` makes one")
                }
                if route == nil, !hasDefault {
                    files[index].fault(
                        "there is no default route, and no `owner` here", at: place,
                        help: "add `with owner ROUTE`, or `send alerts via ...` without `to`")
                }
            }
        }
    }

    private var settingsFile: SettingsFile? {
        files.lazy.compactMap { if case .settings(let file?) = $0.content { file } else { nil } }.first
    }

    /// An aggregator was meant, but not understood.
    private var hasFaultyAggregator: Bool { settingsFile?.setting("aggregator") != nil }

    /// Each folder holds one kind of check, so that nobody looks for the host's rules among the services.
    private mutating func checkFolder(of index: Int, _ ruleFile: RuleFile) {
        let parts = files[index].path.split(separator: "/")
        let expected: String
        switch (parts.dropLast().last, parts.last) {
        case ("services.d", _): expected = "check service"
        case ("jobs.d", _): expected = "check jobs"
        case (_, "host.inq"): expected = "check host"
        default: return
        }
        let (word, home) =
            switch ruleFile.subject {
            case .service: ("check service", "services.d")
            case .failedUnits: ("check failed units", "services.d")
            case .host: ("check host", "host.inq")
            case .jobs: ("check jobs", "jobs.d")
            }
        guard word != expected, !(ruleFile.subject == .failedUnits && expected == "check service") else { return }
        files[index].fault("found `\(word)`, expected `\(expected)` in this place", at: ruleFile.place, help: "move it to \(home)")
    }

    private mutating func warn(inFile index: Int, _ message: String, at place: Place) {
        var findings = Findings()
        findings.warnings.append(Fault(file: files[index].path, line: place.line, column: place.column, message: message))
        files[index].add(findings)
    }
}

extension ConfigurationFile {
    /// A file that was read before and has no fault of its own.
    fileprivate init(path: String, rules: RuleFile) {
        self.init(path: path, problem: "")
        (content, source, faults) = (.rules(rules), Secret(rules.text), [])
    }
}

// MARK: Folders

/// More files than this are no configuration.
private let mostFiles = 10_000

private func filesOfFolder(_ folder: String) -> [ConfigurationFile] {
    var files: [ConfigurationFile] = []
    for name in ["rollcall.conf", "host.inq"] where kind(of: inFolder(folder, name)) != nil {
        files.append(read(inFolder(folder, name)))
    }
    var skipped: [ConfigurationFile] = []
    for name in ["services.d", "jobs.d"] where kind(of: inFolder(folder, name)) != nil {
        files += ruleFiles(in: inFolder(folder, name))
        skipped += skippedFiles(in: inFolder(folder, name))
    }
    let others = ruleFiles(in: folder).filter { other in !files.contains { $0.path == other.path } }
    if files.isEmpty {
        files = others
    } else {
        files += others.map { ConfigurationFile(unread: $0.path, why: "is not read: it is not in \(inFolder(folder, "services.d"))") }
    }
    files += skipped
    if files.isEmpty {
        files = [
            ConfigurationFile(
                path: folder, problem: "holds nothing to check", help: "expected rollcall.conf, host.inq, services.d/*.inq or other *.inq")
        ]
    }
    return files
}

/// The `*.inq` of a folder, sorted by name.
private func ruleFiles(in folder: String) -> [ConfigurationFile] {
    guard let names = names(in: folder) else {
        return [ConfigurationFile(path: folder, problem: "cannot be read: \(String(cString: strerror(errno)))")]
    }
    let wanted = names.filter { $0.hasSuffix(".inq") }
    guard wanted.count <= mostFiles else { return [ConfigurationFile(path: folder, problem: "holds more than \(mostFiles) rule files")] }
    return wanted.map { read(inFolder(folder, $0)) }
}

/// What looks like a rule file in a folder and is none: by its suffix, or because it is in another folder there.
private func skippedFiles(in folder: String) -> [ConfigurationFile] {
    var skipped: [ConfigurationFile] = []
    for name in names(in: folder) ?? [] {
        let path = inFolder(folder, name)
        if name.lowercased().hasSuffix(".inq") {
            if !name.hasSuffix(".inq") { skipped.append(ConfigurationFile(unread: path, why: "is not read: the names of rule files end in .inq")) }
        } else if kind(of: path) == S_IFDIR {
            for inner in (names(in: path) ?? []).prefix(mostFiles) where inner.lowercased().hasSuffix(".inq") {
                skipped.append(ConfigurationFile(unread: inFolder(path, inner), why: "is not read: it is not in \(folder) itself"))
            }
        }
    }
    return skipped
}

/// What is in a folder, without what is hidden, sorted; `nil`, and errno, for one that cannot be read.
private func names(in folder: String) -> [String]? {
    guard let listing = opendir(folder) else { return nil }
    defer { closedir(listing) }
    var names: [String] = []
    while names.count <= 2 * mostFiles, let entry = readdir(listing) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

/// A file that was found in a folder. What is no file is not opened: a pipe there would make the reader wait for ever.
private func read(_ path: String) -> ConfigurationFile {
    switch kind(of: path) {
    case S_IFREG: ConfigurationFile(reading: path)
    case nil: ConfigurationFile(path: path, problem: "cannot be read: \(String(cString: strerror(errno)))")
    case S_IFCHR where isNullDevice(path): ConfigurationFile(masked: path)
    default: ConfigurationFile(path: path, problem: "is not a file")
    }
}

/// `S_IFREG`, `S_IFDIR`, ...; of a link, what it leads to, and of a link to nowhere that it is one. `nil` where there is nothing.
private func kind(of path: String) -> mode_t? {
    var status = stat()
    guard stat(path, &status) == 0 || lstat(path, &status) == 0 else { return nil }
    return status.st_mode & S_IFMT
}

private func isNullDevice(_ path: String) -> Bool {
    var (status, null) = (stat(), stat())
    return stat(path, &status) == 0 && stat("/dev/null", &null) == 0 && status.st_rdev == null.st_rdev
}

private func inFolder(_ folder: String, _ name: String) -> String {
    folder == "." || folder == "./" ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}
