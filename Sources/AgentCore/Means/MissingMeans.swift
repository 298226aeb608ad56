// What a configuration needs and the agent may not do.

import Glibc
public import Platform
import RuleLanguage

extension ConfigurationReading {
    /// What this configuration asks for that a process with these means cannot do: each at its line, with what would allow it. Only what is
    /// certain is among it; what an `exec` does, for one, only the program knows.
    public func missingMeans(_ means: OwnMeans) -> [Fault] { missingMeans(means, on: .this) }

    func missingMeans(_ means: OwnMeans, on host: HostFacts) -> [Fault] {
        guard !means.isRoot else { return [] }
        var examination = MeansExamination(means: means, host: host)
        for file in files {
            examination.file = file.path
            switch file.content {
            case .settings(let settings): if let settings { examination.examine(settings) }
            case .rules(let rules): if let rules { examination.examine(rules) }
            }
        }
        return examination.missing
    }
}

extension ConfigurationReading {
    /// Within which bounds the programs of `exec` run, said once for each file: whether they need more, only their writer knows.
    public func bounds(of means: OwnMeans) -> [Fault] {
        guard !means.isRoot, !means.mayWrite(below: "/srv") else { return [] }
        return files.compactMap { file in
            let actions = file.ruleFile?.rules.flatMap { $0.actions + $0.recoveryActions } ?? []
            guard let action = actions.first(where: { if case .exec = $0.kind { true } else { false } }) else { return nil }
            return Fault(
                file: file.path, line: action.place.line, column: action.place.column,
                message:
                    "`exec` runs in the agent's sandbox: as \(means.userName), and may write only to \(means.writablePlaces.joined(separator: ", "))",
                help: dropIn("ReadWritePaths=/THE/FOLDER") + ", where it has to write elsewhere")
        }
    }
}

/// What has to be asked of the host itself.
struct HostFacts {
    var group: (String) -> UInt32?
    /// `nil` for a file that is not there, or cannot be looked at.
    var file: (String) -> FileAccess?
    /// `nil`: not known.
    var polkit: PolkitAllowances?
    /// The name that systemd has for a unit that is called otherwise here.
    var primaryName: (String) -> String

    static var this: HostFacts {
        HostFacts(group: groupID, file: access(to:), polkit: PolkitAllowances.ofHost(), primaryName: LinuxUnitFiles.primaryName)
    }
}

private struct MeansExamination {
    let means: OwnMeans
    let host: HostFacts
    var file = ""
    private(set) var missing: [Fault] = []

    init(means: OwnMeans, host: HostFacts) {
        self.means = means
        self.host = host
    }

    private mutating func add(_ message: String, _ help: String, at place: Place) {
        missing.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    private func capability(_ needed: OwnMeans.Capability...) -> String {
        let names = needed.map(\.name).joined(separator: " ")
        return dropIn(
            [means.hasOwnUserNamespace ? "PrivateUsers=no" : nil, "AmbientCapabilities=\(names)", "CapabilityBoundingSet=\(names)"].compactMap { $0 })
    }

    // MARK: Settings

    mutating func examine(_ settings: SettingsFile) {
        if let group = settings.setting("socket_group") { examine(group: group) }
        for key in ["listen", "metrics_listen"] {
            guard let setting = settings.setting(key), let address = try? ListenAddress(parsing: setting.value), address.port < means.lowestPort,
                !means.has(.netBindService)
            else { continue }
            add(
                "the agent may not listen on port \(address.port)",
                dropIn("AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE")
                    + "; or take a port from \(means.lowestPort) on", at: setting.valuePlace)
        }
    }

    private mutating func examine(group: Setting) {
        guard let id = host.group(group.value), !means.groups.contains(id), !means.has(.chown) else { return }
        add(
            "the agent runs as \(means.userName), which is not in the group \(group.value), and may not give its socket to it",
            dropIn("SupplementaryGroups=\(group.value)"), at: group.valuePlace)
    }

    // MARK: Rules

    mutating func examine(_ rules: RuleFile) {
        examineDaemons(rules)
        if let path = rules.parameters.first(where: { $0.key == "deploy_path" }), !means.has(.sysPtrace) {
            add("which release a worker runs cannot be seen without CAP_SYS_PTRACE", capability(.sysPtrace, .dacReadSearch), at: path.place)
        }
        for rule in rules.rules {
            if case .host = rules.subject {} else { examine(rule.condition) }
            for action in rule.actions + rule.recoveryActions { examine(action, of: rules) }
        }
    }

    private mutating func examine(_ condition: Condition) {
        for comparison in condition.comparisons {
            let needed: [OwnMeans.Capability] =
                switch comparison.metric.family {
                case "io": [.sysPtrace, .dacReadSearch]
                case "memory" where comparison.metric.name == "pss": [.sysPtrace]
                default: []
                }
            let lacking = needed.filter { !means.has($0) }
            guard !lacking.isEmpty else { continue }
            add(
                "`\(comparison.metric.text)` of other users' processes cannot be read without \(lacking.map(\.name).joined(separator: " and "))",
                capability(.sysPtrace, .dacReadSearch), at: comparison.metricPlace)
        }
    }

    private mutating func examineDaemons(_ rules: RuleFile) {
        guard let socket = rules.parameters.first(where: { $0.key == "socket" }), let access = host.file(socket.value), !means.mayWrite(to: access)
        else { return }
        let group = access.mode & 0o020 != 0 ? groupName(access.group) : nil
        add(
            "\(means.userName), which asks the daemon, may not open \(socket.value)",
            group.map { dropIn("SupplementaryGroups=\($0)") } ?? "have the daemon give its socket to a group that may write to it", at: socket.place)
    }

    private mutating func examine(_ action: Action, of rules: RuleFile) {
        switch action.kind {
        case .alert: break
        case .exec(let command): examine(command, at: action.place)
        case .restart: examine("restart", of: rules, at: action.place)
        case .reload: examine("reload", of: rules, at: action.place)
        case .start: examine("start", of: rules, at: action.place)
        case .stop: examine("stop", of: rules, at: action.place)
        case .signal: examine("kill", of: rules, at: action.place)
        }
    }

    private mutating func examine(_ verb: String, of rules: RuleFile, at place: Place) {
        guard let polkit = host.polkit, case .service(let check) = rules.subject, rules.parameter("pidfile") == nil,
            [nil, "systemd"].contains(rules.parameter("init"))
        else { return }
        let name = isUnitPattern(check) ? check : host.primaryName(check.contains(".") ? check : check + ".service")
        guard !polkit.allow(verb, on: name) else { return }
        let line =
            isUnitPattern(check)
            ? "a line for each unit that `\(check)` means, by its full name: `\"NAME.service\": [\"\(verb)\"],`" : "`\"\(name)\": [\"\(verb)\"],`"
        add(
            "polkit does not let the agent \(verb == "kill" ? "send signals to" : verb) \(name)",
            "\(PolkitAllowances.folder)/\(PolkitAllowances.file) wants \(line)", at: place)
    }

    // MARK: Programs

    /// What changes who runs it.
    private static let changers: Set<String> = ["sudo", "su", "doas", "pkexec", "runuser", "setpriv", "chpst", "s6-setuidgid"]

    private mutating func examine(_ command: Command, at place: Place) {
        if let user = command.user, user != means.userName {
            add("only an agent that runs as root can run a program as \(user); this one runs as \(means.userName)", Self.asRoot, at: place)
            return
        }
        guard let program = command.arguments.first else { return }
        let name = String(program.split(separator: "/").last ?? "")
        if means.hasNoNewPrivileges, Self.changers.contains(name) {
            add(
                "`\(name)` gives no rights in the agent's sandbox, which allows no new privileges",
                "let a unit of its own do it, `exec \"/bin/systemctl start UNIT\"`, and allow that in \(PolkitAllowances.folder)/\(PolkitAllowances.file)",
                at: place)
            return
        }
        // A path among the arguments is mostly what the program works on.
        for argument in command.arguments.dropFirst() where argument.hasPrefix("/") && Self.writers.contains(name) {
            guard !means.mayWrite(below: argument) else { continue }
            let folder = argument.split(separator: "/").dropLast().map { "/" + $0 }.joined()
            add(
                "the agent's sandbox lets `\(name)` write only to \(means.writablePlaces.joined(separator: ", "))",
                dropIn("ReadWritePaths=\(folder.isEmpty ? "/" : folder)"), at: place)
            return
        }
    }

    /// Programs of which it is known that they write to what they are given.
    private static let writers: Set<String> = ["touch", "rm", "rmdir", "mkdir", "truncate", "tee", "chmod", "chown", "unlink", "install", "ln"]

    private static let asRoot =
        dropIn("User=root", "CapabilityBoundingSet=CAP_SETUID CAP_SETGID", "SystemCallFilter=@setuid capset")
        + "; or let a unit of its own with `User=` do it, and `exec \"/bin/systemctl start UNIT\"`"
}

/// The words for a drop-in of the agent's unit.
private func dropIn(_ lines: String...) -> String { dropIn(lines) }

private func dropIn(_ lines: [String]) -> String {
    "`systemctl edit rollcall-agent`: [Service] " + lines.joined(separator: ", ") + "; then restart it"
}

// MARK: Asking the host

private func groupID(_ name: String) -> UInt32? {
    var entry = group()
    var found: UnsafeMutablePointer<group>?
    var room = [CChar](repeating: 0, count: 64 << 10)
    guard getgrnam_r(name, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
    return entry.gr_gid
}

private func groupName(_ id: UInt32) -> String? {
    var entry = group()
    var found: UnsafeMutablePointer<group>?
    var room = [CChar](repeating: 0, count: 64 << 10)
    guard getgrgid_r(id, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.gr_name else { return nil }
    return String(cString: name)
}

private func access(to path: String) -> FileAccess? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return FileAccess(user: status.st_uid, group: status.st_gid, mode: status.st_mode)
}

/// The files of systemd's units.
private enum LinuxUnitFiles {
    private static let folders = [
        "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
    ]

    /// An alias is a link to the file of the unit that it means.
    static func primaryName(_ unit: String) -> String {
        for folder in folders {
            var target = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
            let length = readlink("\(folder)/\(unit)", &target, target.count - 1)
            guard length > 0 else { continue }
            let path = String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard path != "/dev/null" else { return unit }
            return String(path.split(separator: "/").last ?? Substring(unit))
        }
        return unit
    }
}
