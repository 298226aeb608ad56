// What systemd's properties say about one unit, as a value.

import AgentCore
import Platform

/// The properties of one unit, and what only their history tells: how the last run ended, and whose job it is.
struct SystemdUnit: Equatable, Sendable {
    /// The properties that are read; systemd has some three hundred more.
    static let properties: Set<String> = [
        "Id", "LoadState", "ActiveState", "SubState", "StateChangeTimestamp", "InvocationID", "Job", "Transient",
        "MainPID", "ControlGroup", "Result", "NRestarts", "Restart", "CanReload", "ConditionResult", "ConditionTimestampMonotonic",
        "TimeoutStartUSec",
        "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic", "ExecMainCode", "ExecMainStatus",
        "Type", "RemainAfterExit", "PIDFile", "BusName", "SourcePath", "TriggeredBy", "ConsistsOf", "FreezerState", "RestartUSec",
        "RestartPreventExitStatus", "RestartForceExitStatus",
    ]

    private(set) var id = ""
    private(set) var loadState = ""
    private(set) var activeState = ""
    private(set) var subState = ""
    private(set) var since: Timestamp?
    private(set) var run: String?
    private(set) var job: UInt64 = 0
    private(set) var isTransient = false
    private(set) var mainPID: Int32 = 0
    private(set) var mainStarted: UInt64 = 0
    private(set) var lastExit: ExitReason?
    private(set) var automaticRestarts = 0
    var cgroup: String?

    private(set) var canReload: Bool?
    /// Sockets, paths and timers that start it.
    private(set) var triggers: [String] = []
    /// Units that are stopped and restarted with it (`PartOf=` this one).
    private(set) var parts: [String] = []
    private var timeoutStart: Duration?
    private var type = ""
    private var remainsAfterExit = false
    private var pidFile = ""
    private var busName = ""
    private var sourcePath = ""
    private var isFrozen = false
    private var restartDelay = Duration.zero
    private var restartPrevent = SystemdExitSet()
    private var restartForce = SystemdExitSet()
    /// Whether systemd holds the exit that `lastExit` tells of for a good one.
    private var endedWell = true
    /// The run in which a process was seen.
    private var runWithProcess: String?
    /// The job that began the present run of a oneshot, which lasts as long as the run; and a job that only reloads.
    private var runJob: UInt64 = 0
    private var runOfJob: String?
    private var reloadJob: UInt64 = 0

    private var conditionResult = true
    private var conditionChecked: UInt64 = 0
    private var result = "success"
    private var restart = "no"
    private var mainExited: UInt64 = 0
    private var mainCode: Int64 = 0
    private var mainStatus: Int64 = 0
    /// The exit that `lastExit` tells of.
    private var toldExit: UInt64 = 0
    /// The job with which systemd itself restarts the unit after its run has ended, and the run before it.
    private var restartJob: UInt64 = 0
    private var runBeforeRestart: String?
    private var restartsWhenJobChanged = 0
    private var countsRestarts = false

    /// Takes over properties, be it all of them or the changed ones of one signal, which hold together.
    mutating func apply(_ changes: [String: BusValue]) {
        let wasWaiting = isWaitingToRestart
        let jobBefore = job
        let wasReloading = activeState == "reloading"
        for (name, value) in changes { apply(name, value) }
        if changes["Job"] != nil { judgeJob(wasWaiting: wasWaiting || isWaitingToRestart) }
        if run != runOfJob {
            runOfJob = run
            runJob = job != 0 ? job : jobBefore
        }
        if activeState == "reloading", !wasReloading || reloadJob == 0 { reloadJob = job }
        if mainPID != 0 || subState == "running" { runWithProcess = run }
        judgeExit()
    }

    private mutating func apply(_ name: String, _ value: BusValue) {
        switch name {
        case "Id": id = value.string ?? id
        case "LoadState": loadState = value.string ?? loadState
        case "ActiveState": activeState = value.string ?? activeState
        case "SubState": subState = value.string ?? subState
        case "StateChangeTimestamp": since = value.unsigned.flatMap { $0 == 0 ? nil : Timestamp(microseconds: Int64(clamping: $0)) }
        case "InvocationID": run = value.bytes.flatMap { bytes in bytes.contains { $0 != 0 } ? hex(bytes) : nil }
        case "Job": job = value.list?.first?.unsigned ?? 0
        case "Transient": isTransient = value.bool ?? false
        case "MainPID": mainPID = Int32(clamping: value.unsigned ?? 0)
        case "ControlGroup": cgroup = value.string.flatMap { $0.isEmpty ? nil : $0 }
        case "Result": result = value.string ?? "success"
        case "NRestarts":
            automaticRestarts = Int(clamping: value.unsigned ?? 0)
            countsRestarts = true
        case "CanReload": canReload = value.bool
        case "ConditionResult": conditionResult = value.bool ?? true
        case "ConditionTimestampMonotonic": conditionChecked = value.unsigned ?? 0
        case "TimeoutStartUSec": timeoutStart = value.unsigned.flatMap { $0 == .max ? nil : .microseconds(Int64(clamping: $0)) }
        case "Type": type = value.string ?? ""
        case "RemainAfterExit": remainsAfterExit = value.bool ?? false
        case "PIDFile": pidFile = value.string ?? ""
        case "BusName": busName = value.string ?? ""
        case "SourcePath": sourcePath = value.string ?? ""
        case "TriggeredBy":
            // systemd forgets a socket that is stopped, and with it what it would start.
            let known = (value.list ?? []).compactMap(\.string).sorted()
            if !known.isEmpty { triggers = known }
        case "ConsistsOf": parts = (value.list ?? []).compactMap(\.string).sorted()
        case "FreezerState": isFrozen = value.string == "frozen"
        case "RestartUSec": restartDelay = value.unsigned.map { $0 == .max ? .zero : .microseconds(Int64(clamping: $0)) } ?? .zero
        case "RestartPreventExitStatus": restartPrevent = SystemdExitSet(value)
        case "RestartForceExitStatus": restartForce = SystemdExitSet(value)
        case "Restart": restart = value.string ?? "no"
        case "ExecMainStartTimestampMonotonic": mainStarted = value.unsigned ?? 0
        case "ExecMainExitTimestampMonotonic": mainExited = value.unsigned ?? 0
        case "ExecMainCode": mainCode = value.signed ?? 0
        case "ExecMainStatus": mainStatus = value.signed ?? 0
        default: break
        }
    }

    /// systemd counts an automatic restart at the moment in which it queues its job for it, so that the two arrive together; a job
    /// that appears without that was asked for by somebody. Before version 235 it does not count, and the state must do.
    private mutating func judgeJob(wasWaiting: Bool) {
        if job != restartJob {
            let counted = !countsRestarts || automaticRestarts > restartsWhenJobChanged
            restartJob = job != 0 && wasWaiting && counted ? job : 0
            runBeforeRestart = run
        }
        restartsWhenJobChanged = automaticRestarts
    }

    private mutating func judgeExit() {
        if restartJob != 0, activeState == "failed", run == runBeforeRestart {
            // Its restart failed before a new run began, and `Result` still tells of the run before: the start limit was hit.
            lastExit = .startLimit
        } else if result != "success" {
            guard lastExit != .startLimit || toldExit != mainExited else { return }
            lastExit = ExitReason(result: result, code: mainCode, status: mainStatus)
        } else if mainCode != 0, mainExited != toldExit {
            // `Result` falls back to success when the next run begins; an exit that was told already keeps its reason.
            lastExit = ExitReason(result: result, code: mainCode, status: mainStatus)
        } else {
            return
        }
        endedWell = result == "success" && lastExit != .startLimit
        toldExit = mainExited
    }

    /// Whether systemd restarts the unit after the end of this run, as systemd.service(5) has it at `Restart=`; `nil` while it has not ended.
    private var willRestart: Bool? {
        switch activeState {
        case "deactivating", "failed", "inactive": break
        case "activating" where isWaitingToRestart: return true
        default: return nil
        }
        guard !hasRequestedJob else { return false }
        if lastExit == .startLimit || restartPrevent.holds(code: mainCode, status: mainStatus) { return false }
        if restartForce.holds(code: mainCode, status: mainStatus) { return true }
        return switch restart {
        case "always": true
        case "on-success": result == "success"
        case "on-failure": result != "success" && result != "exec-condition"
        case "on-abnormal": !["success", "exit-code", "exec-condition"].contains(result)
        case "on-watchdog": result == "watchdog"
        case "on-abort": result == "signal" || result == "core-dump"
        default: false
        }
    }

    // MARK: Its kind

    private var isService: Bool { id.hasSuffix(".service") }

    /// See `Observation.Nature`. A script of SysV's that starts no daemon looks like one that does until a process was seen.
    private var nature: Observation.Nature {
        guard isService else { return id.hasSuffix(".scope") ? .batch : .passive }
        if type == "oneshot" { return remainsAfterExit ? .marker : .batch }
        if isTransient || triggers.contains(where: { $0.hasSuffix(".timer") }) { return .batch }
        return isExited && !hadProcess ? .marker : .daemon
    }

    /// Active without any process, because of RemainAfterExit=.
    private var isExited: Bool { activeState == "active" && subState == "exited" }

    /// Whether this run had a process that should still be there, as far as anything tells.
    private var hadProcess: Bool { run != nil && runWithProcess == run || !pidFile.isEmpty }

    /// Its processes have ended, and systemd holds it for active all the same.
    private var hasLostItsProcesses: Bool { isService && isExited && type != "oneshot" && hadProcess }

    /// - Parameter states: of the units that start it, by their names; of one that is missing nothing is known yet.
    private func activation(by states: [String: String]) -> Observation.Activation? {
        if let active = triggers.first(where: { states[$0] == "active" }) { return Observation.Activation(by: active, isActive: true) }
        if let first = triggers.first {
            return Observation.Activation(by: first, isActive: states[first] == nil, hasFailed: states[first] == "failed")
        }
        // The bus starts it when its name is asked for, which is what Type=dbus is for.
        return type == "dbus" && !busName.isEmpty ? Observation.Activation(by: "its bus name \(busName)", isActive: true) : nil
    }

    /// Where systemd sets no limit for the start of a daemon, a person should look after so long a time.
    private static let longStart = Duration.seconds(900)

    private var startTimeout: Duration? {
        if let timeoutStart { return timeoutStart }
        return nature == .daemon ? Self.longStart : nil
    }

    /// Takes what a job does, by systemd's word for it: one that reloads ends no run.
    mutating func learn(type: String, of number: UInt64) {
        if ["reload", "verify-active", "nop"].contains(type) { reloadJob = number }
    }

    /// A job whose type is worth asking for.
    var unknownJob: UInt64? { hasRequestedJob ? job : nil }

    var isPresent: Bool { loadState != "not-found" || activeState != "inactive" }
    var isMasked: Bool { loadState == "masked" }
    private var obstacle: Observation.Obstacle? {
        if isMasked { return .masked }
        guard activity == .stopped || activity == .failed else { return nil }
        if lastExit == .startLimit { return .startLimit }
        return !conditionResult && conditionChecked != 0 ? .conditionFailed : nil
    }
    private var isWaitingToRestart: Bool { subState.hasPrefix("auto-restart") }
    var restartsByItself: Bool { restart != "no" && !restart.isEmpty || !restartForce.isEmpty }
    /// A requested job that ends or replaces the present run.
    var hasRequestedJob: Bool {
        guard job != 0, job != restartJob, job != reloadJob else { return false }
        // The job that starts a oneshot lasts for all of its run.
        return !(type == "oneshot" && job == runJob)
    }
    private var isRestarting: Bool { job != 0 && job == restartJob }

    /// Between two states that last.
    var isOnItsWay: Bool { activity == .starting || activity == .restarting || activity == .stopping }

    /// On the way to an automatic restart systemd says `failed` or `inactive` for a fraction of a millisecond.
    var mayBePassing: Bool { (activeState == "failed" || activeState == "inactive") && willRestart == true && job == 0 }

    /// Whether there can be a control group, whose name no signal tells.
    var mayHaveCgroup: Bool { activeState != "inactive" && activeState != "failed" || mainPID != 0 }

    var activity: Observation.Activity {
        switch activeState {
        case "active" where hasLostItsProcesses: .stopped
        case "active", "refreshing": .running
        case "reloading": .reloading
        case "activating": isWaitingToRestart ? .restarting : .starting
        case "deactivating": .stopping
        // Between two runs the state may still be that of the first.
        case _ where isRestarting && lastExit != .startLimit: mainPID == 0 ? .restarting : .starting
        case "failed": mainPID == 0 ? .failed : .starting
        default: mainPID == 0 ? .stopped : .starting
        }
    }

    /// - Parameter states: the ActiveState of the units in `triggers`, by their names.
    func observation(for request: String, mainProcess: ProcessIdentity?, triggers states: [String: String] = [:]) -> Observation {
        var detail = "\(activeState)/\(subState)"
        if loadState != "loaded", activeState != "active" { detail += ", \(loadState)" }
        if isFrozen { detail += ", frozen" }
        if hasLostItsProcesses { detail += ", its processes have ended" }
        return Observation(
            request: request, unit: id, activity: activity, detail: detail, run: run, mainProcess: mainProcess,
            cgroup: mayHaveCgroup ? cgroup : nil, automaticRestarts: automaticRestarts, lastExit: lastExit, endedWell: endedWell,
            restartsByItself: restartsByItself, willRestart: willRestart, restartDelay: restartDelay, nature: nature, parts: parts,
            activation: activation(by: states), isFrozen: isFrozen, hasJob: hasRequestedJob, since: since, obstacle: obstacle, canReload: canReload,
            startTimeout: startTimeout)
    }
}

extension ExitReason {
    /// - Parameters:
    ///   - result: systemd's `Result`.
    ///   - code: `ExecMainCode`, one of waitid(2)'s CLD_ numbers; 0 when no main process has ended.
    ///   - status: `ExecMainStatus`, an exit status or a signal.
    init(result: String, code: Int64, status: Int64) {
        let status = Int32(clamping: status)
        switch (result, code) {
        case ("success", 1), ("exit-code", 1): self = .exited(status: status)
        case ("success", 2), ("signal", 2): self = .signaled(status)
        case ("success", 3), ("core-dump", 3): self = .dumpedCore(signal: status)
        case ("oom-kill", _): self = .outOfMemory
        case ("watchdog", _): self = .watchdog
        case ("timeout", _): self = .timeout
        case ("start-limit-hit", _): self = .startLimit
        default: self = .other(result)
        }
    }
}

/// `RestartPreventExitStatus=` and the like: exit statuses and signals, as the bus has them.
private struct SystemdExitSet: Equatable, Sendable {
    private var statuses: Set<Int64> = []
    private var signals: Set<Int64> = []

    init() {}

    var isEmpty: Bool { statuses.isEmpty && signals.isEmpty }

    init(_ value: BusValue) {
        let lists = (value.list ?? []).map { Set(($0.list ?? []).compactMap(\.signed)) }
        guard lists.count == 2 else { return }
        (statuses, signals) = (lists[0], lists[1])
    }

    /// - Parameter code: one of waitid(2)'s CLD_ numbers.
    func holds(code: Int64, status: Int64) -> Bool {
        switch code {
        case 1: statuses.contains(status)
        case 2, 3: signals.contains(status)
        default: false
        }
    }
}

private func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// The full name of a unit as people write it: `puma` is `puma.service`.
func systemdUnitName(_ name: String) -> String {
    let types = ["service", "socket", "timer", "target", "mount", "automount", "path", "slice", "scope", "swap", "device"]
    guard let dot = name.lastIndex(of: "."), types.contains(String(name[name.index(after: dot)...])) || name.hasSuffix(".*") else {
        return name + ".service"
    }
    return name
}
