// A unit's life as its init system and the kernel tell it, and the events that come of it.

import AgentAPI
import AgentCore
import Platform

/// Plays observations against a tracker at given milliseconds, keeps its timers, and writes down its events.
final class UnitStory {
    private(set) var tracker: UnitTracker
    /// `152 unit_restarted failure warning: killed by SIGKILL; systemd restarts it`
    private(set) var events: [String] = []
    private(set) var happened: [Event] = []
    private let initSystem: String
    private let restartsByItself: Bool
    private let nature: Observation.Nature
    /// What starts it when it is needed, from the next observation on.
    var activation: Observation.Activation?
    var restartDelay = Duration.zero
    private var deadline: Duration?
    private var now = Moment(wall: Timestamp(seconds: 1_800_000_000), uptime: .seconds(5000))
    private let start = Duration.seconds(5000)

    init(_ name: String = "puma", by initSystem: String = "systemd", restartsByItself: Bool = true, nature: Observation.Nature = .daemon) {
        tracker = UnitTracker(name: name)
        self.initSystem = initSystem
        self.restartsByItself = restartsByItself
        self.nature = nature
    }

    /// The init system says something; `state` is in systemd's words.
    func says(
        at milliseconds: Int, _ state: String, run: String? = nil, pid: Int32? = nil, restarts: Int = 0, exit: ExitReason? = nil, job: Bool = false,
        endedWell: Bool? = nil, willRestart: Bool? = nil
    ) {
        pass(until: milliseconds)
        let observation = Observation(
            request: "puma", unit: "puma.service", activity: activity(state), detail: state, run: run, mainProcess: pid.map(process),
            automaticRestarts: restarts, lastExit: exit, endedWell: endedWell, restartsByItself: restartsByItself, willRestart: willRestart,
            restartDelay: restartDelay, nature: nature, activation: activation, hasJob: job)
        take(tracker.observe(observation, from: initSystem, at: now))
    }

    /// As systemd does: the same thing twice.
    func repeats(
        at milliseconds: Int, _ state: String, run: String? = nil, pid: Int32? = nil, restarts: Int = 0, exit: ExitReason? = nil, job: Bool = false
    ) {
        for _ in 0..<2 { says(at: milliseconds, state, run: run, pid: pid, restarts: restarts, exit: exit, job: job) }
    }

    func isUnknown(at milliseconds: Int) {
        pass(until: milliseconds)
        let observation = Observation(request: "puma", presence: .absent, unit: "puma", activity: .stopped, detail: "")
        take(tracker.observe(observation, from: initSystem, at: now))
    }

    /// The kernel says that a process has ended.
    func ends(at milliseconds: Int, pid: Int32) {
        pass(until: milliseconds)
        take(tracker.mainProcessEnded(process(pid), at: now))
    }

    func pass(until milliseconds: Int) {
        let next = start + .milliseconds(milliseconds)
        while let due = deadline, due <= next {
            move(to: due)
            deadline = nil
            take(tracker.look(at: now))
        }
        move(to: next)
    }

    private func move(to uptime: Duration) {
        now.wall = now.wall + (uptime - now.uptime)
        now.uptime = uptime
    }

    private func take(_ decisions: [UnitTracker.Decision]) {
        deadline = nil
        for decision in decisions {
            switch decision {
            case .lookAgain(let uptime): deadline = uptime
            case .emit(let event):
                happened.append(event)
                let at = (now.uptime - start).microseconds / 1000
                let words = [event.kind.rawValue, event.cause?.rawValue, event.importance?.rawValue].compactMap { $0 }
                events.append("\(at) \(words.joined(separator: " ")): \(event.detail)")
            }
        }
    }

    private func process(_ pid: Int32) -> ProcessIdentity { ProcessIdentity(pid: pid, startTicks: UInt64(pid) * 10) }

    private func activity(_ state: String) -> Observation.Activity {
        if state == "activating/auto-restart" { return .restarting }
        return switch state.prefix(while: { $0 != "/" }) {
        case "active" where state.hasSuffix("ended"): .stopped
        case "active": .running
        case "reloading": .reloading
        case "activating": .starting
        case "deactivating": .stopping
        case "failed": .failed
        default: .stopped
        }
    }
}
