// What Upstart says about one instance of a job, as a value.

import AgentCore
import Platform

/// An instance through its goals and states, and what only their order tells: whether somebody asked, and how a run ended.
struct UpstartInstance: Equatable {
    private(set) var goal = "stop"
    private(set) var state = "waiting"
    /// Of the process `main`; 0 when there is none.
    private(set) var mainPID: Int32 = 0
    var process: ProcessIdentity?
    private(set) var automaticRestarts = 0
    private(set) var lastExit: ExitReason?
    /// Whether somebody asked for what it is doing.
    private(set) var isAsked = false
    /// Whether its last run ended badly and no other has begun.
    private(set) var hasFailed = false

    /// Whether it is between two runs without anybody having asked.
    private var isRespawning = false

    /// Takes `GoalChanged`.
    mutating func goalChanged(_ new: String) {
        // A new instance begins with it: somebody asked for the start.
        if new == "start" { isAsked = true }
        goal = new
    }

    /// Takes `StateChanged`.
    mutating func stateChanged(_ new: String) {
        switch new {
        // Only a process that lives is asked to stop; one that has died goes on to `stopping` at once.
        case "pre-stopping", "pre-stop": isAsked = true
        case "stopping":
            if state == "running" || state.hasPrefix("post-start") || state == "spawned", goal == "start", !isAsked {
                isRespawning = true
                automaticRestarts += 1
            }
        case "running":
            isAsked = false
            isRespawning = false
            hasFailed = false
        case "waiting": isRespawning = false
        default: break
        }
        state = new
    }

    /// Takes all properties, as they are at one moment.
    mutating func apply(goal: String, state: String, mainPID: Int32) {
        self.goal = goal
        self.state = state
        self.mainPID = mainPID
        if state == "running" {
            isRespawning = false
            if goal == "start" {
                isAsked = false
                hasFailed = false
            }
        }
    }

    /// Takes the event `stopping` or `stopped` of it.
    /// - Parameter facts: `RESULT=failed`, `PROCESS=main`, `EXIT_STATUS=3`, ...
    mutating func ended(_ facts: [String: String]) {
        guard facts["RESULT"] == "failed" else {
            if !isAsked, goal == "stop" { lastExit = .exited(status: 0) }
            return
        }
        hasFailed = goal == "stop"
        if facts["PROCESS"] == "respawn" {
            lastExit = .startLimit
        } else if let status = facts["EXIT_STATUS"].flatMap({ Int32($0) }) {
            lastExit = .exited(status: status)
        } else if let signal = facts["EXIT_SIGNAL"] {
            lastExit = signalNumber(signal).map(ExitReason.signaled) ?? .other("killed by \(signal)")
        } else {
            lastExit = .other(facts["PROCESS"].map { "its \($0) process failed" } ?? "failed")
        }
    }

    /// It has no instance any more.
    mutating func removed() {
        goal = "stop"
        state = "waiting"
        mainPID = 0
        process = nil
        isAsked = false
        isRespawning = false
    }

    var activity: Observation.Activity {
        switch state {
        case "running": goal == "start" ? .running : .stopping
        case "waiting": hasFailed ? .failed : .stopped
        case _ where isRespawning && goal == "start": .restarting
        case "pre-stopping", "pre-stop", "stopping", "killed", "post-stopping", "post-stop": .stopping
        // starting, security, pre-start, spawned, post-start, and whatever other releases have on the way there
        default: goal == "start" ? .starting : .stopping
        }
    }

    func observation(of unit: String, for request: String) -> Observation {
        Observation(
            request: request, unit: unit, activity: activity, detail: "\(goal)/\(state)",
            run: process.map { "\($0.pid).\($0.startTicks)" }, mainProcess: process, automaticRestarts: automaticRestarts, lastExit: lastExit,
            restartsByItself: automaticRestarts > 0, hasJob: isAsked && activity != .stopped && activity != .failed,
            obstacle: hasFailed && lastExit == .startLimit ? .startLimit : nil, canReload: true)
    }
}

/// `KILL`, `SIGKILL` or `9`.
private func signalNumber(_ text: String) -> Int32? {
    if let number = Int32(text) { return number }
    let name = text.hasPrefix("SIG") ? text : "SIG" + text
    return (1...31).first { signalName($0) == name }
}
