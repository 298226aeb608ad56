// What the agent is told to watch.

import Platform
public import RuleLanguage

/// `check service`: a unit, and its rules.
public struct ServiceCheck: Equatable, Sendable {
    public enum InitSystemName: String, CaseIterable, Sendable {
        case systemd, pidfile
    }

    /// As the file says it: `puma`, `puma.service`.
    public var name: String
    /// `nil`: whoever knows it.
    public var initSystem: InitSystemName?
    public var pidFile: String?
    /// The route of its alerts where a rule names none; `nil` is the default route.
    public var owner: String?
    public var rules: [Rule]
    /// The file that says so.
    public var file: String

    public init(
        name: String, initSystem: InitSystemName? = nil, pidFile: String? = nil, owner: String? = nil, rules: [Rule] = [], file: String = ""
    ) {
        self.name = name
        self.initSystem = initSystem
        self.pidFile = pidFile
        self.owner = owner
        self.rules = rules
        self.file = file
    }
}

/// `check host`
public struct HostCheck: Equatable, Sendable {
    public var owner: String?
    public var rules: [Rule]
    public var file: String

    public init(owner: String? = nil, rules: [Rule] = [], file: String = "") {
        self.owner = owner
        self.rules = rules
        self.file = file
    }
}

extension ServiceCheck {
    /// Of daemons whose metrics Inspeqtor reads. Rule files written for it load, and are told that nothing comes of these.
    static let daemonParameters: Set = ["hostname", "port", "socket", "username", "password", "endpoint", "database", "path"]

    /// Parameters after `with`:
    /// - `pidfile` (absolute path): where the main process writes its pid.
    /// - `init` (`systemd` or `pidfile`): who manages it; default: whoever knows it.
    /// - `owner` (route): where its alerts go.
    static func read(_ ruleFile: RuleFile, name: String, file: String) -> (check: ServiceCheck, findings: Findings) {
        var check = ServiceCheck(name: name, rules: ruleFile.rules, file: file)
        var reader = ParameterReader(file: file)
        for parameter in ruleFile.parameters {
            switch parameter.key {
            case "pidfile":
                check.pidFile = parameter.value
                if !parameter.value.hasPrefix("/") {
                    reader.fault("`\(parameter.value)` is not an absolute path", at: parameter.place, help: "begin it with a slash")
                }
            case "init":
                check.initSystem = InitSystemName(rawValue: parameter.value)
                if check.initSystem == nil {
                    reader.fault("there is no init system `\(parameter.value)`", at: parameter.place, help: "write `init systemd` or `init pidfile`")
                }
            case "owner": check.owner = reader.owner(parameter)
            case let key where daemonParameters.contains(key):
                reader.warn("`\(key)` has no effect: nothing asks daemons for metrics yet", at: parameter.place)
            default: reader.unknown(parameter, known: ["pidfile", "init", "owner"])
            }
        }
        if let parameter = ruleFile.parameters.first(where: { $0.key == "init" }) {
            if check.initSystem == .pidfile, check.pidFile == nil {
                reader.fault("`init pidfile` without `pidfile`", at: parameter.place, help: "say which: `with init pidfile, pidfile /run/NAME.pid`")
            }
            if check.initSystem == .systemd, check.pidFile != nil {
                reader.fault("`init systemd` and a `pidfile`", at: parameter.place, help: "systemd knows the main process: leave the pidfile out")
            }
        }
        for name in ruleFile.exposes {
            reader.warn("`expose \(name)` has no effect: nothing is exposed yet", at: ruleFile.place)
        }
        return (check, reader.findings)
    }
}

extension HostCheck {
    /// Parameters after `with`:
    /// - `owner` (route): where its alerts go.
    static func read(_ ruleFile: RuleFile, file: String) -> (check: HostCheck, findings: Findings) {
        var check = HostCheck(rules: ruleFile.rules, file: file)
        var reader = ParameterReader(file: file)
        for parameter in ruleFile.parameters {
            switch parameter.key {
            case "owner": check.owner = reader.owner(parameter)
            default: reader.unknown(parameter, known: ["owner"])
            }
        }
        return (check, reader.findings)
    }
}

private struct ParameterReader {
    let file: String
    var findings = Findings()

    mutating func owner(_ parameter: Parameter) -> String? {
        if parameter.value.isEmpty { fault("an `owner` without a name", at: parameter.place, help: "name a route, or leave it out") }
        return parameter.value.isEmpty ? nil : parameter.value
    }

    mutating func unknown(_ parameter: Parameter, known: [String]) {
        let meant = nearest(to: parameter.key, among: known)
        fault(
            "there is no parameter `\(parameter.key)` here", at: parameter.place,
            help: meant.map { "did you mean `\($0)`?" } ?? "known \(known.count == 1 ? "is" : "are") " + known.joined(separator: ", "))
    }

    mutating func fault(_ message: String, at place: Place, help: String?) {
        findings.faults.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    mutating func warn(_ message: String, at place: Place) {
        findings.warnings.append(Fault(file: file, line: place.line, column: place.column, message: message))
    }
}
