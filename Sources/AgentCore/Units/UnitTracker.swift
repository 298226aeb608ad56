// Whether a unit runs, and what of its life is worth an event.

public import AgentAPI
public import Platform

/// Follows one unit through what its init system says, what the kernel says of its main process, and time; answers with the events
/// of its life: one for a restart, one for being down, one for being up again.
///
/// Init systems pass through states that look like the end of a unit and are not (systemd restarts by itself through `failed`), and
/// say the same thing several times. The tracker therefore compares, and believes an end only when it has lasted: see `Patience`.
public struct UnitTracker: Sendable {
    public enum Decision: Equatable, Sendable {
        case emit(Event)
        /// Nothing is certain yet: call `look(at:)` when the machine has been up for this long. It replaces what was asked for before;
        /// an answer without it takes it back.
        case lookAgain(at: Duration)
    }

    /// How long something must last before it is believed.
    public enum Patience {
        /// An end that the init system may be about to mend, or has not told of yet. A death and its restart are known well within 100 ms.
        public static let settle = Duration.milliseconds(50)
        /// `stopped` on the way from one run to the next: the start is queued, and on a busy machine that takes a moment.
        public static let queuedStart = Duration.seconds(1)
        /// A unit that was restarted and still does not run is down.
        public static let comeBack = Duration.seconds(10)
        /// Jobs, starts and stops: as long as systemd gives them unless told otherwise.
        public static let job = Duration.seconds(90)
        /// An init system that gives up a start by itself says why; it is given the time to do so.
        public static let giveUp = Duration.seconds(1)
    }

    /// What of a unit's life is news.
    public enum Scope: Sendable {
        /// All of it.
        case life
        /// That it has failed and stays so, and that it is not failed any longer.
        case failures
    }

    /// The unit's own name; the name that was asked for until somebody knows it.
    public private(set) var unit: String
    /// The init system that speaks for it; empty until one does.
    public private(set) var initSystem = ""
    public private(set) var phase = UnitState.Phase.unknown
    /// When it entered its phase; `nil` when nobody can say.
    public private(set) var since: Timestamp?
    /// The same by the time since boot, which nobody sets.
    private var sinceUptime: Duration?
    /// The init system's words for its state.
    public var detail: String { latest?.presence == .present ? latest?.detail ?? "" : "" }
    /// Its main process, unless that has ended.
    public private(set) var mainProcess: ProcessIdentity?
    public var cgroup: String? { latest?.cgroup }
    /// Grows with every run: whatever counts within a run starts anew with it.
    public private(set) var runs = 0
    public var isUp: Bool { stage == .up }
    /// Whether it was said to be down and has not been up since.
    public var isDown: Bool { stage == .down }
    /// How often it was said to be down.
    public private(set) var downs = 0
    /// Runs that ended and were followed by another, as far as events told of them.
    public private(set) var restarts = 0
    /// When the run that is up began, by the time since boot.
    public private(set) var runBegan: Duration?
    /// Whether anything is known of it.
    public var wasSeen: Bool { latest != nil }
    /// Whether its init system knows it no longer, and all is said of it.
    public var isGone: Bool { latest?.presence == .absent && (stage == .down || stage == .new) }
    /// The last that was said of it.
    public var observation: Observation? { latest }

    private enum Stage {
        /// Seen for the first time in a state that does not last, or not seen at all.
        case new
        case up
        /// Its run has ended, or seems to have; nothing is said yet.
        case ending
        /// Said to be restarted, and not running yet.
        case restarting
        /// Said to be down.
        case down
    }

    private var stage = Stage.new
    private var stageSince = Duration.zero
    private var deadline: Duration?
    private var latest: Observation?
    /// Since when the init system has said the same of activity, job and process.
    private var latestSince = Duration.zero

    // The run that is up, or was up last.
    private var run: String?
    private var process: ProcessIdentity?
    private var processEndedAt: Duration?
    /// How many automatic restarts have had their events.
    private var toldRestarts = 0

    // How it ends.
    private var endedAt = Duration.zero
    private var wasAsked = false
    private var wasStartedAgain = false
    private var exit: ExitReason?
    /// The last process that the kernel said has ended: an observation that still names it is late.
    private var endedProcess: ProcessIdentity?

    private let scope: Scope

    /// - Parameters:
    ///   - wasDown: an earlier life of the agent told that it is down: that is said no second time, and that it is up is.
    public init(name: String, scope: Scope = .life, wasDown: Bool = false) {
        unit = name
        self.scope = scope
        if wasDown { stage = .down }
    }

    /// Takes what an init system says of the unit.
    public mutating func observe(_ observation: Observation, from initSystem: String, at now: Moment) -> [Decision] {
        let isSame =
            latest.map {
                $0.presence == observation.presence && $0.activity == observation.activity && $0.hasJob == observation.hasJob
                    && $0.mainProcess == observation.mainProcess
            } ?? false
        if !isSame { latestSince = now.uptime }
        if latest == nil { stageSince = now.uptime }
        latest = observation
        if observation.presence == .present {
            unit = observation.unit
            self.initSystem = initSystem
        }
        mainProcess = observation.presence == .present && observation.mainProcess != endedProcess ? observation.mainProcess : nil
        return decide(at: now)
    }

    /// Takes the kernel's word that a process which was the main one has ended; why is not known yet.
    public mutating func mainProcessEnded(_ ended: ProcessIdentity, at now: Moment) -> [Decision] {
        endedProcess = ended
        if mainProcess == ended { mainProcess = nil }
        if process == ended, processEndedAt == nil {
            processEndedAt = now.uptime
            if stage == .up { beginEnding(at: now) }
        }
        return decide(at: now)
    }

    /// Decides what only time decides; call it when `lookAgain` asked for it. Calling it too early does no harm.
    public mutating func look(at now: Moment) -> [Decision] { decide(at: now) }

    private mutating func decide(at now: Moment) -> [Decision] {
        guard let latest else { return [] }
        deadline = nil
        if scope == .failures {
            let events = whileOnlyFailuresCount(latest, now)
            notePhase(latest, at: now)
            return events.map(Decision.emit) + (deadline.map { [.lookAgain(at: $0)] } ?? [])
        }
        let events: [Event] =
            switch stage {
            case .new: whileNew(latest, now)
            case .up: whileUp(latest, now)
            case .ending: whileEnding(latest, now)
            case .restarting: whileRestarting(latest, now)
            case .down: whileDown(latest, now)
            }
        notePhase(latest, at: now)
        return events.map(Decision.emit) + (deadline.map { [.lookAgain(at: $0)] } ?? [])
    }

    /// Whether what began at `start` has lasted long enough; if not, asks to be called when it has.
    private mutating func hasLasted(_ patience: Duration, since start: Duration, at now: Moment) -> Bool {
        if now.uptime >= start + patience { return true }
        deadline = start + patience
        return false
    }
}

// MARK: The stages

extension UnitTracker {
    private mutating func whileNew(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.presence == .present else {
            return down(at: now, .unknown, "no init system here knows \(unit)")
        }
        switch seen.activity {
        case .running, .reloading:
            enterUp(seen, at: now)
            return []
        case .restarting:
            // Nobody can say when it ended, so nobody is told of that; it is down if it does not come back.
            run = seen.run
            toldRestarts = seen.automaticRestarts + 1
            enter(.restarting, at: now)
            endedAt = now.uptime
            noteExit(seen)
            return whileRestarting(seen, now)
        case .starting:
            guard hasLasted(startPatience(seen), since: stageSince, at: now) else { return [] }
            return down(at: now, .failure, stillStarting(seen, since: stageSince, at: now))
        case .stopping:
            guard hasLasted(Patience.job, since: stageSince, at: now) else { return [] }
        case .stopped, .failed:
            if seen.hasJob {
                guard hasLasted(Patience.job, since: stageSince, at: now) else { return [] }
            } else if seen.restartsByItself {
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            }
        }
        let reason = seen.activity == .failed ? seen.lastExit.map { ": \($0)" } ?? "" : ""
        return down(at: now, seen.activity == .failed ? .failure : .unknown, "is not running\(reason) (\(seen.detail))\(obstacle(seen))")
    }

    private mutating func whileOnlyFailuresCount(_ seen: Observation, _ now: Moment) -> [Event] {
        let isFailed = seen.presence == .present && seen.activity == .failed
        switch (stage, isFailed) {
        case (.down, false):
            enter(.new, at: now)
            return [event(.unitUp, at: now, cause: nil, nil, "is not failed any longer")]
        case (.down, true), (_, false):
            return []
        // What is restarted by itself passes through this state.
        case (_, true):
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            let reason = seen.lastExit.map { "failed: \($0)" } ?? "failed"
            return down(at: now, .failure, "\(reason) (\(seen.detail))\(obstacle(seen))")
        }
    }

    private mutating func whileUp(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.isAlive else {
            beginEnding(at: now)
            return whileEnding(seen, now)
        }
        if seen.automaticRestarts > toldRestarts || isNewRun(seen) || isNewProcess(seen) {
            beginEnding(at: now)
            return whileEnding(seen, now)
        }
        remember(seen)
        return []
    }

    private mutating func whileEnding(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.presence == .present else {
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            return down(at: now, wasAsked ? .request : .unknown, "no init system here knows \(unit) any longer")
        }
        if !seen.isAlive, seen.mainProcess == nil, processEndedAt == nil { processEndedAt = now.uptime }
        noteExit(seen)
        // Looked at before the job: an automatic restart has a job of its own, and only it counts.
        if seen.automaticRestarts > toldRestarts { return automaticRestart(seen, at: now) }
        toldRestarts = seen.automaticRestarts
        if seen.hasJob { wasAsked = true }

        switch seen.activity {
        case .running, .reloading:
            return whileEndingAlive(seen, now)
        case .restarting:
            return automaticRestart(seen, at: now)
        case .starting:
            wasStartedAgain = true
            guard hasLasted(startPatience(seen), since: latestSince, at: now) else { return [] }
            return down(at: now, .failure, stillStarting(seen, since: latestSince, at: now))
        case .stopping:
            if !wasAsked, let processEndedAt {
                guard hasLasted(Patience.settle, since: processEndedAt, at: now) else { return [] }
                // What is left of the unit is being ended. A success may mean that it stays ended; a failure that it is restarted.
                if seen.restartsByItself, exit?.isSuccess != true { return automaticRestart(seen, at: now) }
                if !seen.restartsByItself { return down(at: now, seen) }
            }
            guard hasLasted(Patience.job, since: endedAt, at: now) else { return [] }
        case .stopped, .failed:
            if seen.hasJob {
                guard hasLasted(Patience.job, since: endedAt, at: now) else { return [] }
            } else if seen.restartsByItself || wasAsked {
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            }
            return down(at: now, seen)
        }
        let cause: Event.Cause = wasAsked && !wasStartedAgain ? .request : .failure
        return down(at: now, cause, "does not run for \(Patience.job.components.seconds) s (\(seen.detail))")
    }

    /// The init system says that it runs: again, still, or it has not noticed yet.
    private mutating func whileEndingAlive(_ seen: Observation, _ now: Moment) -> [Event] {
        if isNewRun(seen) || (isNewProcess(seen) && (run == nil || seen.run == nil)) {
            let event = restartSeenAfterwards(seen, at: now)
            restarts += 1
            enterUp(seen, at: now)
            return [event]
        }
        if isNewProcess(seen) {
            restarts += 1
            enterUp(seen, at: now)
            return [event(.unitRestarted, at: now, cause: .unknown, nil, "a new main process took over in the same run")]
        }
        guard let processEndedAt else {
            enter(.up, at: now)
            remember(seen)
            return []
        }
        let knowsMore = wasAsked || seen.restartsByItself || seen.run != nil
        if knowsMore {
            guard hasLasted(wasAsked ? Patience.job : Patience.settle, since: processEndedAt, at: now) else { return [] }
        }
        if seen.mainProcess == nil {
            // It knows that the process has ended and holds the unit for running all the same: a finished oneshot.
            enter(.up, at: now)
            remember(seen)
            return []
        }
        if seen.restartsByItself { return automaticRestart(seen, at: now) }
        return down(at: now, .unknown, "its main process ended")
    }

    private mutating func whileRestarting(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.presence == .present else {
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            return down(at: now, .unknown, "no init system here knows \(unit) any longer")
        }
        if isNewRun(seen), !seen.isAlive, seen.activity != .starting {
            // A whole run passed between two observations, or its start failed: this is the end of that one.
            let told = toldRestarts
            enterUp(seen, at: now)
            toldRestarts = min(told, seen.automaticRestarts)
            beginEnding(at: now)
            return whileEnding(seen, now)
        }
        var events: [Event] = []
        if seen.automaticRestarts > toldRestarts {
            events = automaticRestart(seen, at: now)
        }
        switch seen.activity {
        case .running, .reloading:
            if stage == .up { return events }
            if isLate(seen) {
                guard hasLasted(Patience.comeBack, since: stageSince, at: now) else { return events }
                break
            }
            if isHalfTold(seen) {
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return events }
            }
            enterUp(seen, at: now)
            return events
        case .starting:
            guard hasLasted(startPatience(seen), since: latestSince, at: now) else { return events }
            return events + down(at: now, .failure, stillStarting(seen, since: latestSince, at: now))
        case .restarting, .stopping:
            noteExit(seen)
            guard hasLasted(Patience.comeBack, since: stageSince, at: now) else { return events }
        case .stopped, .failed:
            noteExit(seen)
            if seen.hasJob {
                guard hasLasted(Patience.comeBack, since: stageSince, at: now) else { return events }
                break
            }
            let patience = seen.activity == .failed ? Patience.settle : Patience.queuedStart
            guard hasLasted(patience, since: latestSince, at: now) else { return events }
            if seen.activity == .stopped { return events + down(at: now, .request, "stopped while it was being restarted (\(seen.detail))") }
            return events + down(at: now, .failure, "\(exitText); \(initSystem) does not start it again (\(seen.detail))\(obstacle(seen))")
        }
        let seconds = (now.uptime - stageSince).components.seconds
        return events + down(at: now, .failure, "does not run \(seconds) s after it was restarted (\(seen.detail))")
    }

    private mutating func whileDown(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.isAlive, !isLate(seen) else { return [] }
        if isHalfTold(seen) {
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
        }
        enterUp(seen, at: now)
        return [event(.unitUp, at: now, cause: nil, nil, "is running (\(seen.detail))")]
    }
}

// MARK: What an observation means

extension UnitTracker {
    private func isNewRun(_ seen: Observation) -> Bool { run != nil && seen.run != nil && run != seen.run }

    private func isNewProcess(_ seen: Observation) -> Bool {
        process != nil && seen.mainProcess != nil && process != seen.mainProcess && seen.mainProcess != endedProcess
    }

    /// It still names a process that the kernel says has ended.
    private func isLate(_ seen: Observation) -> Bool { seen.mainProcess != nil && seen.mainProcess == endedProcess }

    /// The run that has ended, without its process: the first half of a message about its end, or a unit that needs no process.
    private func isHalfTold(_ seen: Observation) -> Bool { seen.run != nil && seen.run == run && seen.mainProcess == nil }

    /// Keeps how the run ended. A later success does not hide a failure: systemd's `Result` falls back to it with the next start.
    private mutating func noteExit(_ seen: Observation) {
        guard let reason = seen.lastExit else { return }
        let isOfThisEnd =
            switch seen.activity {
            case .running, .reloading, .starting: seen.automaticRestarts > toldRestarts
            case .stopping: processEndedAt != nil
            case .restarting, .stopped, .failed: true
            }
        if isOfThisEnd, exit == nil || !reason.isSuccess { exit = reason }
    }

    /// How long its start may take. Where the init system has a limit of its own, it is the one to say that it was too long.
    private func startPatience(_ seen: Observation) -> Duration { seen.startTimeout.map { $0 + Patience.giveUp } ?? Patience.job }

    private func stillStarting(_ seen: Observation, since start: Duration, at now: Moment) -> String {
        "is still starting after \((now.uptime - start).components.seconds) s (\(seen.detail))\(obstacle(seen))"
    }

    /// Why it will not start, as the end of a sentence.
    private func obstacle(_ seen: Observation) -> String {
        switch seen.obstacle {
        case nil: ""
        case .masked: "; it is masked"
        case .conditionFailed: "; a condition of its start was not met"
        case .startLimit: seen.lastExit == .startLimit ? "" : "; it was started too often, start limit reached"
        }
    }

    private var exitText: String { exit?.description ?? "its main process ended" }
}

// MARK: Transitions

extension UnitTracker {
    private mutating func enter(_ next: Stage, at now: Moment) {
        stage = next
        stageSince = now.uptime
    }

    private mutating func beginEnding(at now: Moment) {
        enter(.ending, at: now)
        endedAt = now.uptime
        wasAsked = false
        wasStartedAgain = false
        exit = nil
    }

    private mutating func enterUp(_ seen: Observation, at now: Moment) {
        enter(.up, at: now)
        runs += 1
        runBegan = max(.zero, now.uptime - max(.zero, seen.since.map { now.wall - $0 } ?? .zero))
        run = nil
        process = nil
        processEndedAt = nil
        remember(seen)
    }

    private mutating func remember(_ seen: Observation) {
        run = seen.run ?? run
        toldRestarts = seen.automaticRestarts
        if let main = seen.mainProcess, main != endedProcess {
            process = main
            processEndedAt = nil
        }
    }

    /// Keeps what the snapshot says of the present.
    private mutating func notePhase(_ seen: Observation, at now: Moment) {
        let next: UnitState.Phase =
            switch stage {
            case .new, .ending, .restarting: .changing
            case .up: .up
            case .down: seen.presence == .present ? .down : .unknown
            }
        let isNewRunOfSamePhase = next == .up && stageSince == now.uptime
        guard next != phase || isNewRunOfSamePhase else { return }
        let isFirst = phase == .unknown && since == nil
        phase = next
        since = next == .changing || next == .unknown ? now.wall : seen.since ?? (isFirst ? nil : now.wall)
        sinceUptime = since.map { now.uptime - max(.zero, now.wall - $0) }
    }

    /// For how long it has been in its phase, whatever has become of the wall clock meanwhile.
    func age(at now: Moment) -> Duration? { sinceUptime.map { max(.zero, now.uptime - $0) } }
}

// MARK: Events

extension UnitTracker {
    private func event(_ kind: Event.Kind, at now: Moment, cause: Event.Cause?, _ importance: Importance?, _ detail: String) -> Event {
        Event(kind: kind, at: now.wall, unit: unit, importance: importance, cause: cause, detail: detail)
    }

    /// The one event for a run that ended and that the init system follows with another.
    private mutating func automaticRestart(_ seen: Observation, at now: Moment) -> [Event] {
        let count = max(1, seen.automaticRestarts - toldRestarts)
        toldRestarts = max(toldRestarts + 1, seen.automaticRestarts)
        restarts += count
        let how = count > 1 ? "restarted it \(count) times" : seen.isAlive && !isLate(seen) ? "restarted it" : "restarts it"
        let cause: Event.Cause = exit?.isSuccess == true ? .finished : .failure
        let event = event(.unitRestarted, at: now, cause: cause, .warning, "\(exitText); \(initSystem) \(how)")
        enter(.restarting, at: now)
        if seen.isAlive, !isLate(seen) {
            enterUp(seen, at: now)
        }
        // Otherwise: what is said of the ended run from now on is not news, and time runs for it to come back.
        else {
            deadline = now.uptime + Patience.comeBack
        }
        return [event]
    }

    /// The event for a run that is there before anybody spoke of the end of the one before.
    private func restartSeenAfterwards(_ seen: Observation, at now: Moment) -> Event {
        // An init system that neither numbers its runs nor counts its restarts leaves one sign: nobody asked.
        let restartedByItself = !wasAsked && seen.restartsByItself && seen.run == nil
        if restartedByItself || !wasAsked && exit.map({ !$0.isSuccess && !$0.isRequestToEnd }) ?? false {
            return event(.unitRestarted, at: now, cause: .failure, .warning, exitText)
        }
        return event(.unitRestarted, at: now, cause: .request, nil, "restarted on request")
    }

    private mutating func down(at now: Moment, _ cause: Event.Cause, _ detail: String) -> [Event] {
        enter(.down, at: now)
        downs += 1
        return [event(.unitDown, at: now, cause: cause, .error, detail)]
    }

    /// Down as the init system tells it.
    private mutating func down(at now: Moment, _ seen: Observation) -> [Event] {
        if wasAsked, !wasStartedAgain { return down(at: now, .request, "stopped on request (\(seen.detail))") }
        if seen.activity == .stopped, exit == nil { return down(at: now, .unknown, "its main process ended (\(seen.detail))") }
        if exit?.isSuccess == true, seen.activity != .failed {
            return down(at: now, .finished, "ended by itself: \(exitText) (\(seen.detail))")
        }
        return down(at: now, .failure, "\(exit?.description ?? "failed") (\(seen.detail))\(obstacle(seen))")
    }
}

extension Observation {
    fileprivate var isAlive: Bool { presence == .present && (activity == .running || activity == .reloading) }
}

extension ExitReason {
    /// A signal that asks a daemon to end (systemd.service(5), `SuccessExitStatus=`): SIGHUP, SIGINT, SIGPIPE, SIGTERM.
    fileprivate var isRequestToEnd: Bool {
        if case .signaled(let signal) = self { [1, 2, 13, 15].contains(signal) } else { false }
    }
}
