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

    /// Reads a folder such as `/etc/rollcall`.
    /// - Throws: every fault of every file. `ConfigurationReading` has the texts too, to show the faults in.
    public init(folder: String, defaults: AgentSettings.Defaults) throws(Faults) {
        self = try ConfigurationReading([folder], defaults: defaults).configuration.get()
    }

    public init(settings: AgentSettings, host: HostCheck? = nil, services: [ServiceCheck] = []) {
        self.settings = settings
        self.host = host
        self.services = services
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
                warn(inFile: files.count - 1, "\(inFolder(path, "rollcall.conf")) is missing: nobody hears of alerts", at: Place(line: 1, column: 1))
            }
        }
        for index in files.indices { understand(index, defaults) }
    }

    /// The configuration when there is no fault, else all faults.
    public var configuration: Result<AgentConfiguration, Faults> {
        let faults = files.flatMap(\.faults)
        return faults.isEmpty ? .success(understood) : .failure(Faults(faults))
    }

    public var warnings: [Fault] { files.flatMap(\.warnings) }

    // MARK: What a file says

    private mutating func understand(_ index: Int, _ defaults: AgentSettings.Defaults) {
        let path = files[index].path
        switch files[index].content {
        case .settings(let settingsFile):
            if let first = files[..<index].first(where: { if case .settings = $0.content { true } else { false } }) {
                files[index].fault("a second file of settings", at: Place(line: 1, column: 1), help: "\(first.path) is one too")
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
            case .jobs, .failedUnits:
                warn(inFile: index, "this is not watched yet", at: ruleFile.place)
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
            case .service, .failedUnits: ("check service", "services.d")
            case .host: ("check host", "host.inq")
            case .jobs: ("check jobs", "jobs.d")
            }
        guard word != expected else { return }
        files[index].fault("found `\(word)`, expected `\(expected)` in this place", at: ruleFile.place, help: "move it to \(home)")
    }

    private mutating func warn(inFile index: Int, _ message: String, at place: Place) {
        var findings = Findings()
        findings.warnings.append(Fault(file: files[index].path, line: place.line, column: place.column, message: message))
        files[index].add(findings)
    }
}

/// systemd's `puma` and `puma.service` are one unit.
private func unitName(_ name: String) -> Substring { name.hasSuffix(".service") ? name.dropLast(8) : name[...] }

// MARK: Folders

/// More files than this are no configuration.
private let mostFiles = 10_000

private func filesOfFolder(_ folder: String) -> [ConfigurationFile] {
    var files: [ConfigurationFile] = []
    for name in ["rollcall.conf", "host.inq"] where kind(of: inFolder(folder, name)) != nil {
        files.append(read(inFolder(folder, name)))
    }
    for name in ["services.d", "jobs.d"] where kind(of: inFolder(folder, name)) != nil { files += ruleFiles(in: inFolder(folder, name)) }
    if files.isEmpty { files = ruleFiles(in: folder) }
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
    guard let listing = opendir(folder) else {
        return [ConfigurationFile(path: folder, problem: "cannot be read: \(String(cString: strerror(errno)))")]
    }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { String(cString: $0) }
        }
        guard name.hasSuffix(".inq"), !name.hasPrefix(".") else { continue }
        names.append(name)
        guard names.count <= mostFiles else { return [ConfigurationFile(path: folder, problem: "holds more than \(mostFiles) rule files")] }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { read(inFolder(folder, $0)) }
}

/// A file that was found in a folder. What is no file is not opened: a pipe there would make the reader wait for ever.
private func read(_ path: String) -> ConfigurationFile {
    switch kind(of: path) {
    case S_IFREG: ConfigurationFile(reading: path)
    case nil: ConfigurationFile(path: path, problem: "cannot be read: \(String(cString: strerror(errno)))")
    default: ConfigurationFile(path: path, problem: "is not a file")
    }
}

/// `S_IFREG`, `S_IFDIR`, ...; of a link, what it leads to, and of a link to nowhere that it is one. `nil` where there is nothing.
private func kind(of path: String) -> mode_t? {
    var status = stat()
    guard stat(path, &status) == 0 || lstat(path, &status) == 0 else { return nil }
    return status.st_mode & S_IFMT
}

private func inFolder(_ folder: String, _ name: String) -> String {
    folder == "." || folder == "./" ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}
