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
    private(set) var startTimeout: Duration?

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
        for (name, value) in changes { apply(name, value) }
        if changes["Job"] != nil { judgeJob(wasWaiting: wasWaiting || isWaitingToRestart) }
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
        case "TimeoutStartUSec": startTimeout = value.unsigned.flatMap { $0 == .max ? nil : .microseconds(Int64(clamping: $0)) }
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
            toldExit = mainExited
        } else if result != "success" {
            guard lastExit != .startLimit || toldExit != mainExited else { return }
            lastExit = ExitReason(result: result, code: mainCode, status: mainStatus)
            toldExit = mainExited
        } else if mainCode != 0, mainExited != toldExit {
            // `Result` falls back to success when the next run begins; an exit that was told already keeps its reason.
            lastExit = ExitReason(result: result, code: mainCode, status: mainStatus)
            toldExit = mainExited
        }
    }

    var isPresent: Bool { loadState != "not-found" || activeState != "inactive" }
    var isMasked: Bool { loadState == "masked" }
    private var obstacle: Observation.Obstacle? {
        if isMasked { return .masked }
        guard activity == .stopped || activity == .failed else { return nil }
        if lastExit == .startLimit { return .startLimit }
        return !conditionResult && conditionChecked != 0 ? .conditionFailed : nil
    }
    private var isWaitingToRestart: Bool { subState.hasPrefix("auto-restart") }
    var restartsByItself: Bool { restart != "no" && !restart.isEmpty }
    var hasRequestedJob: Bool { job != 0 && job != restartJob }
    private var isRestarting: Bool { job != 0 && job == restartJob }

    /// On the way to an automatic restart systemd says `failed` or `inactive` for a fraction of a millisecond.
    var mayBePassing: Bool { (activeState == "failed" || activeState == "inactive") && restartsByItself && job == 0 }

    /// Whether there can be a control group, whose name no signal tells.
    var mayHaveCgroup: Bool { activeState != "inactive" && activeState != "failed" || mainPID != 0 }

    var activity: Observation.Activity {
        switch activeState {
        case "active", "refreshing": .running
        case "reloading": .reloading
        case "activating": isWaitingToRestart ? .restarting : .starting
        case "deactivating": .stopping
        // Between two runs the state may still be that of the first.
        case _ where isRestarting && lastExit != .startLimit: mainPID == 0 ? .restarting : .starting
        case "failed": .failed
        default: mainPID == 0 ? .stopped : .starting
        }
    }

    func observation(for request: String, mainProcess: ProcessIdentity?) -> Observation {
        var detail = "\(activeState)/\(subState)"
        if loadState != "loaded" { detail += ", \(loadState)" }
        return Observation(
            request: request, unit: id, activity: activity, detail: detail, run: run, mainProcess: mainProcess,
            cgroup: mayHaveCgroup ? cgroup : nil, automaticRestarts: automaticRestarts, lastExit: lastExit, restartsByItself: restartsByItself,
            hasJob: hasRequestedJob, since: since, obstacle: obstacle, canReload: canReload, startTimeout: startTimeout)
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
