// What the agent is told to watch.

import Glibc
import Platform
public import RuleLanguage

/// `check service`: a unit, or all units that match a pattern, and their rules.
public struct ServiceCheck: Equatable, Sendable {
    public enum InitSystemName: String, CaseIterable, Sendable {
        case systemd, upstart, runit, s6, supervisord, openrc, sysv, pidfile
    }

    /// As the file says it: `puma`, `puma.service`, `sidekiq@*`.
    public var name: String
    /// `nil`: whoever knows it.
    public var initSystem: InitSystemName?
    public var pidFile: String?
    /// The route of its alerts where a rule names none; `nil` is the default route.
    public var owner: String?
    /// Names of checked services without which it cannot work: while one of them is down, nobody is told of this one.
    public var dependencies: [String]
    /// How the daemon behind it is asked for its numbers: `port`, `password_file`, ...
    public var daemonParameters: [String: String]
    /// How its workers are asked which deploy token they carry; `nil`: they are not asked.
    public var deployQuestion: DeployQuestion?
    /// What follows `expose`.
    public var exposes: [String]
    public var rules: [Rule]
    /// The file that says so, and the line of its name.
    public var file: String
    public var line: Int

    public init(
        name: String, initSystem: InitSystemName? = nil, pidFile: String? = nil, owner: String? = nil, dependencies: [String] = [],
        daemonParameters: [String: String] = [:], deployQuestion: DeployQuestion? = nil, exposes: [String] = [], rules: [Rule] = [],
        file: String = "",
        line: Int = 0
    ) {
        self.name = name
        self.initSystem = initSystem
        self.pidFile = pidFile
        self.owner = owner
        self.dependencies = dependencies
        self.daemonParameters = daemonParameters
        self.deployQuestion = deployQuestion
        self.exposes = exposes
        self.rules = rules
        self.file = file
        self.line = line
    }

    /// For people: `/etc/rollcall/services.d/puma.inq:1`.
    public var place: String { line > 0 ? "\(file):\(line)" : file }

    /// Whether it is for all units that match its name.
    public var isPattern: Bool { isUnitPattern(name) }

    /// Whether a unit is meant by it. systemd's `puma` and `puma.service` are one unit.
    public func covers(_ unit: String) -> Bool { unitMatches(unit, pattern: name) }

    /// What a daemon of this family is asked with.
    public func daemonParameters(of family: String) -> [String: String] {
        let known = DaemonParameters.known(of: family)
        return daemonParameters.filter { known.contains($0.key) }
    }

    /// The metrics of daemons that its rules and `expose` want, by family, in the order of their first occurrence.
    public var daemonMetrics: [(family: String, names: [String])] {
        var families: [(family: String, names: [String])] = []
        let wanted =
            rules.flatMap(\.condition.comparisons).map { ($0.metric.family, $0.metric.name) } + exposes.map { ($0, nil) }
        for (family, name) in wanted where daemonFamilies.contains(where: { $0.family == family }) {
            let index = families.firstIndex { $0.family == family } ?? families.count
            if index == families.count { families.append((family, [])) }
            if let name, !families[index].names.contains(name) { families[index].names.append(name) }
        }
        return families
    }
}

/// `check failed units`: every unit of the host that fails, whatever it is.
public struct FailedUnitsCheck: Equatable, Sendable {
    public var owner: String?
    /// Patterns of units that may fail.
    public var exceptions: [String]
    public var file: String

    public init(owner: String? = nil, exceptions: [String] = [], file: String = "") {
        self.owner = owner
        self.exceptions = exceptions
        self.file = file
    }

    /// Whether somebody wants to hear when this unit fails.
    public func covers(_ unit: String) -> Bool { !exceptions.contains { unitMatches(unit, pattern: $0) } }
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

/// `check jobs`: what recurs, and must not stop doing so.
public struct JobCheck: Equatable, Sendable {
    public var owner: String?
    public var jobs: [Job]
    /// Patterns of systemd timers that are jobs too.
    public var timers: [String]
    public var file: String

    public init(owner: String? = nil, jobs: [Job] = [], timers: [String] = [], file: String = "") {
        self.owner = owner
        self.jobs = jobs
        self.timers = timers
        self.file = file
    }
}

// MARK: Names

func isUnitPattern(_ name: String) -> Bool { name.contains { "*?[".contains($0) } }

/// systemd's `puma` and `puma.service` are one unit.
func unitName(_ name: String) -> String { name.hasSuffix(".service") ? String(name.dropLast(8)) : name }

func unitMatches(_ unit: String, pattern: String) -> Bool {
    if unit == pattern || unitName(unit) == unitName(pattern) { return true }
    return isUnitPattern(pattern) && (fnmatch(pattern, unit, FNM_NOESCAPE) == 0 || fnmatch(unitName(pattern), unitName(unit), FNM_NOESCAPE) == 0)
}

// MARK: Reading

extension ServiceCheck {
    /// Parameters after `with`:
    /// - `pidfile` (absolute path): where the main process writes its pid.
    /// - `init` (`systemd`, `upstart`, `runit`, `s6`, `supervisord`, `openrc`, `sysv` or `pidfile`): who manages it; default: whoever knows it.
    /// - `owner` (route): where its alerts go.
    /// - `deploy_path`, ...: how its workers are asked which deploy token they carry; see `DeployQuestion`.
    /// - `hostname`, `port`, `socket`, ...: how the daemon behind it is asked; see `DaemonParameters`.
    static func read(_ ruleFile: RuleFile, name: String, file: String) -> (check: ServiceCheck, findings: Findings) {
        var check = ServiceCheck(
            name: name, dependencies: ruleFile.dependencies.map(\.name), exposes: ruleFile.exposes, rules: ruleFile.rules, file: file,
            line: ruleFile.place.line)
        var reader = ParameterReader(file: file)
        var daemonParameters: [Parameter] = []
        for parameter in ruleFile.parameters {
            switch parameter.key {
            case "pidfile": check.pidFile = reader.path(parameter)
            case "init":
                check.initSystem = InitSystemName(rawValue: parameter.value)
                if check.initSystem == nil {
                    let names = InitSystemName.allCases.map(\.rawValue)
                    reader.fault(
                        "there is no init system `\(parameter.value)`", at: parameter.place,
                        help: nearest(to: parameter.value, among: names).map { "did you mean `\($0)`?" } ?? "there are "
                            + names.joined(separator: ", "))
                }
            case "owner": check.owner = reader.owner(parameter)
            case let key where DeployQuestion.keys.contains(key): break
            case let key where DaemonParameters.all.contains(key): daemonParameters.append(parameter)
            default: reader.unknown(parameter, known: ["pidfile", "init", "owner"] + DeployQuestion.keys + DaemonParameters.all.sorted())
            }
        }
        if let parameter = ruleFile.parameters.first(where: { $0.key == "init" }) {
            if check.initSystem == .pidfile, check.pidFile == nil {
                reader.fault("`init pidfile` without `pidfile`", at: parameter.place, help: "say which: `with init pidfile, pidfile /run/NAME.pid`")
            }
            // A script of System V says of itself nothing but its pid file.
            if let initSystem = check.initSystem, ![.pidfile, .sysv].contains(initSystem), check.pidFile != nil {
                reader.fault(
                    "`init \(initSystem.rawValue)` and a `pidfile`", at: parameter.place,
                    help: "\(initSystem.rawValue) knows the main process: leave the pidfile out")
            }
        }
        if check.isPattern, let parameter = ruleFile.parameters.first(where: { $0.key == "pidfile" }) {
            reader.fault("a `pidfile` is of one service, and `\(name)` of many", at: parameter.place, help: "write one check for each pidfile")
        }
        for name in ruleFile.exposes where !daemonFamilies.contains(where: { $0.family == name }) {
            reader.fault(
                "there is nothing to expose by the name `\(name)`", at: ruleFile.place,
                help: "there are " + daemonFamilies.map(\.family).joined(separator: ", "))
        }
        let families = check.daemonMetrics.map(\.family)
        check.deployQuestion = DeployQuestion.read(ruleFile.parameters, &reader)
        check.daemonParameters = DaemonParameters.read(daemonParameters, of: families, &reader)
        return (check, reader.findings)
    }
}

extension FailedUnitsCheck {
    /// Parameters after `with`:
    /// - `owner` (route): where its alerts go.
    /// - `except` (patterns with spaces between): units that may fail.
    static func read(_ ruleFile: RuleFile, file: String) -> (check: FailedUnitsCheck, findings: Findings) {
        var check = FailedUnitsCheck(file: file)
        var reader = ParameterReader(file: file)
        for parameter in ruleFile.parameters {
            switch parameter.key {
            case "owner": check.owner = reader.owner(parameter)
            case "except": check.exceptions += reader.patterns(parameter)
            default: reader.unknown(parameter, known: ["owner", "except"])
            }
        }
        if let rule = ruleFile.rules.first {
            reader.fault(
                "rules are for units that are checked by name", at: rule.place,
                help: "of failed units it is told that they failed; write `check service NAME` or `check service \"*\"` for rules")
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

extension JobCheck {
    /// Parameters after `with`:
    /// - `owner` (route): where its alerts go.
    /// - `timers` (patterns with spaces between): systemd timers that are jobs too.
    static func read(_ ruleFile: RuleFile, file: String) -> (check: JobCheck, findings: Findings) {
        var check = JobCheck(jobs: ruleFile.jobs, file: file)
        var reader = ParameterReader(file: file)
        for parameter in ruleFile.parameters {
            switch parameter.key {
            case "owner": check.owner = reader.owner(parameter)
            case "timers": check.timers += reader.patterns(parameter)
            default: reader.unknown(parameter, known: ["owner", "timers"])
            }
        }
        return (check, reader.findings)
    }
}
