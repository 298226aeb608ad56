// Whether a unit runs, and what of its life is worth an event.

public import AgentAPI
public import Platform

/// Follows one unit through what its init system says, what the kernel says of its main process, and time; answers with the events
/// of its life: one for a restart, one for being down, one for being up again.
///
/// Init systems pass through states that look like the end of a unit and are not (systemd restarts by itself through `failed`), and
/// say the same thing several times. The tracker therefore compares, and believes an end only when it has lasted: see `Patience`.
///
/// What an end means depends on the kind of unit: see `Observation.Nature` and `Observation.Activation`, and the table in docs/rules.md.
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
        /// A unit that was restarted and still does not run is down, once the init system has waited for its configured delay.
        public static let comeBack = Duration.seconds(10)
        /// A stop that was asked for and is followed by a start within this time is a restart.
        public static let requestedStop = Duration.seconds(5)
        /// How long the init system may take to notice the end of a main process that the kernel has told of.
        public static let word = Duration.seconds(2)
        /// After what time a unit that only matched a pattern and was stopped on request is no longer shown.
        public static let forget = Duration.seconds(3600)
        /// Jobs, starts and stops: as long as systemd gives them unless told otherwise.
        public static let job = Duration.seconds(90)
        /// An init system that gives up a start by itself says why; it is given the time to do so.
        public static let giveUp = Duration.seconds(1)
    }

    /// How a unit was when an earlier life of the agent last saw it.
    public enum Before: Sendable {
        /// It was said to be down.
        case down
        /// It was said to be stopped on request.
        case stopped
        /// It was made for one run, which has ended well.
        case ended
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
    /// Whether it was said to be down, or that a run of it has failed, and nothing better since.
    public var isDown: Bool { stage == .down || failedRuns > 0 }
    /// Whether it does not run, and that is as it should be or was asked for.
    public var isAtRest: Bool { stage == .idle || stage == .stopped }
    /// Whether it was stopped on request, and an event has said so.
    public var isToldStopped: Bool { stage == .stopped && stopIsTold }
    /// Whether it was made for one run, which has ended well, and its init system knows it no more.
    public var hasEndedForGood: Bool { stage == .idle && latest?.presence == .absent && lastNature == .batch && hasEnded }
    /// The run that is up, or was up last; `nil` where runs have no names.
    public var lastRun: String? { run }
    /// Whether it was stopped on request, and only its patience keeps that from being an event.
    public var isAboutToTellStop: Bool { stage == .stopped && !stopIsTold }
    /// Whether the kernel has told of the end of its main process, and the init system has not noticed.
    public var awaitsWord: Bool { stage == .ending && latest.map(isLate) ?? false }
    /// How often it was said to be down.
    public private(set) var downs = 0
    /// Runs that ended and were followed by another, as far as events told of them.
    public private(set) var restarts = 0
    /// When the run that is up began, by the time since boot.
    public private(set) var runBegan: Duration?
    /// Whether anything is known of it.
    public var wasSeen: Bool { latest != nil }
    /// Whether its init system knows it no longer, and all is said of it.
    public var isGone: Bool {
        switch stage {
        case .stopped: isForgettable
        case .down, .new, .idle: latest?.presence == .absent
        case .up, .ending, .restarting: false
        }
    }
    /// The last that was said of it.
    public var observation: Observation? { latest }
    private var wasPresent = false
    /// What kind of unit it was when its init system last knew it.
    private var lastNature = Observation.Nature.daemon

    private enum Stage {
        /// Seen for the first time in a state that does not last, or not seen at all.
        case new
        case up
        /// Its run has ended, or seems to have; nothing is said yet.
        case ending
        /// Said to be restarted, and not running yet.
        case restarting
        /// Said to be down, or that its last run has failed.
        case down
        /// Not running, or without a process, as it should be.
        case idle
        /// Stopped on request.
        case stopped
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
    /// Whether the init system holds that end for a good one.
    private var exitIsClean = false
    /// A job that was asked for was there when the unit was last seen running: whatever ends now was meant to.
    private var hadJobWhileUp = false
    private var stopIsTold = false
    private var isForgettable = false
    /// Runs of a batch unit that have failed one after the other.
    private var failedRuns = 0
    /// The last process that the kernel said has ended: an observation that still names it is late.
    private var endedProcess: ProcessIdentity?

    private let scope: Scope

    /// - Parameters:
    ///   - before: what an earlier life of the agent told last: that is said no second time, and the end of it is.
    ///   - run: the run that was over then.
    public init(name: String, scope: Scope = .life, before: Before? = nil, run: String? = nil) {
        unit = name
        self.scope = scope
        self.run = run
        switch before {
        case nil: break
        case .down: stage = .down
        case .stopped:
            stage = .stopped
            stopIsTold = true
        case .ended:
            stage = .idle
            lastNature = .batch
            runs = 1
        }
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
            lastNature = observation.nature
            wasPresent = true
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

    /// Lets more time pass before a stop on request is reported.
    public mutating func postponeStop(at now: Moment) {
        if isAboutToTellStop { stageSince = now.uptime }
    }

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
            case .idle: whileIdle(latest, now)
            case .stopped: whileStopped(latest, now)
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
        if isAlive(seen) {
            enterUp(seen, at: now)
            return []
        }
        switch seen.activity {
        case .running, .reloading:
            break
        case .restarting:
            // Nobody can say when it ended, so nobody is told of that; it is down if it does not come back.
            run = seen.run
            toldRestarts = seen.automaticRestarts + 1
            enter(.restarting, at: now)
            endedAt = now.uptime
            noteExit(seen)
            return whileRestarting(seen, now)
        case .starting:
            guard hasStartedForTooLong(seen, since: stageSince, at: now) else { return [] }
            return down(at: now, .failure, stillStarting(seen, since: stageSince, at: now))
        case .stopping:
            guard hasLasted(Patience.job, since: stageSince, at: now) else { return [] }
        case .stopped, .failed:
            if seen.hasJob {
                guard hasLasted(Patience.job, since: stageSince, at: now) else { return [] }
            } else if seen.restartsByItself {
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            }
            noteExit(seen)
            if seen.activity == .stopped, mayRest(seen) {
                rest(seen, at: now)
                return []
            }
            if seen.nature == .batch, seen.activity == .failed { return runFailed(seen, at: now) }
        }
        let reason = seen.activity == .failed ? seen.lastExit.map { ": \($0)" } ?? "" : ""
        let why = "is not running\(reason) (\(seen.detail))\(obstacle(seen))\(missingActivation(seen))"
        return down(at: now, seen.activity == .failed ? .failure : .unknown, why)
    }

    private mutating func whileOnlyFailuresCount(_ seen: Observation, _ now: Moment) -> [Event] {
        let isFailed = seen.presence == .present && seen.activity == .failed
        switch (stage, isFailed) {
        case (.down, false):
            // Another run decides: until it has ended well the last word stays true.
            let isUndecided = seen.activity != .stopped && (seen.nature == .batch || seen.activity != .running && seen.activity != .reloading)
            if seen.presence == .present, isUndecided { return [] }
            enter(.new, at: now)
            failedRuns = 0
            return [event(.unitUp, at: now, cause: nil, nil, "is no longer failed")]
        case (_, false):
            return []
        // What is restarted by itself passes through this state.
        case (.down, true):
            guard isNewRun(seen), hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
        case (_, true):
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
        }
        exit = nil
        noteExit(seen)
        if seen.nature == .batch { return runFailed(seen, at: now) }
        run = seen.run ?? run
        let reason = seen.lastExit.map { "failed: \($0)" } ?? "failed"
        return down(at: now, .failure, "\(reason) (\(seen.detail))\(obstacle(seen))")
    }

    private mutating func whileUp(_ seen: Observation, _ now: Moment) -> [Event] {
        guard isAlive(seen) else {
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
        guard seen.presence == .present else { return whileVanishing(seen, now) }
        if !isAlive(seen), seen.mainProcess == nil, processEndedAt == nil { processEndedAt = now.uptime }
        noteExit(seen)
        // Looked at before the job: an automatic restart has a job of its own, and only it counts.
        if seen.automaticRestarts > toldRestarts { return automaticRestart(seen, at: now) }
        toldRestarts = seen.automaticRestarts
        if seen.hasJob { wasAsked = true }
        if isAlive(seen) { return whileEndingAlive(seen, now) }

        switch seen.activity {
        case .running, .reloading:
            return whileEndingAlive(seen, now)
        case .restarting:
            return automaticRestart(seen, at: now)
        case .starting:
            wasStartedAgain = true
            guard hasStartedForTooLong(seen, since: latestSince, at: now) else { return [] }
            return down(at: now, .failure, stillStarting(seen, since: latestSince, at: now))
        case .stopping:
            if !wasAsked, let processEndedAt, seen.nature == .daemon {
                guard hasLasted(Patience.settle, since: processEndedAt, at: now) else { return [] }
                // What is left of the unit is being ended. Where the init system's policy is not known, a success may mean that it stays
                // ended; a failure that it is restarted.
                if seen.willRestart ?? (seen.restartsByItself && !exitIsClean) { return automaticRestart(seen, at: now) }
                if !seen.restartsByItself || seen.willRestart == false { return comeToRest(seen, at: now) }
            }
            guard hasLasted(Patience.job, since: endedAt, at: now) else { return [] }
        case .stopped, .failed:
            if seen.hasJob {
                guard hasLasted(Patience.job, since: endedAt, at: now) else { return [] }
            } else if seen.restartsByItself || wasAsked {
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            }
            return comeToRest(seen, at: now)
        }
        let cause: Event.Cause = wasAsked && !wasStartedAgain ? .request : .failure
        return down(at: now, cause, "does not run for \(Patience.job.components.seconds) s (\(seen.detail))")
    }

    /// The init system knows it no more. A unit that was only made for its run has ended with it.
    private mutating func whileVanishing(_ seen: Observation, _ now: Moment) -> [Event] {
        guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
        if wasAsked {
            enterStopped(at: now)
            return whileStopped(seen, now)
        }
        if lastNature == .batch {
            rest(seen, at: now)
            return []
        }
        return down(at: now, .unknown, "no init system here knows \(unit) any longer")
    }

    /// The init system says that it runs: again, still, or it has not noticed yet.
    private mutating func whileEndingAlive(_ seen: Observation, _ now: Moment) -> [Event] {
        if isNewRun(seen) || (isNewProcess(seen) && (run == nil || seen.run == nil)) {
            if seen.nature == .batch || seen.nature == .marker {
                // The run in between is over, however it ended; only a failure of it is news, and this one's end will be.
                enterUp(seen, at: now)
                return []
            }
            let event = restartSeenAfterwards(seen, at: now)
            restarts += 1
            enterUp(seen, at: now)
            return [event]
        }
        if isNewProcess(seen) {
            enterUp(seen, at: now)
            return [event(.unitRestarted, at: now, cause: .unknown, nil, "a new main process took over in the same run")]
        }
        guard let processEndedAt else {
            enter(.up, at: now)
            remember(seen)
            return []
        }
        if wasAsked || seen.run != nil {
            // Only the init system can say what follows: it is asked meanwhile, see `awaitsWord`.
            let patience = wasAsked ? Patience.job : isLate(seen) ? Patience.word : Patience.settle
            guard hasLasted(patience, since: processEndedAt, at: now) else { return [] }
        } else if seen.restartsByItself {
            guard hasLasted(Patience.settle, since: processEndedAt, at: now) else { return [] }
        }
        if seen.mainProcess == nil {
            // It knows that the process has ended and holds the unit for running all the same: other processes of it live on.
            enter(.up, at: now)
            remember(seen)
            return []
        }
        if seen.run != nil { return down(at: now, .unknown, "its main process ended, and \(initSystem) has not noticed (\(seen.detail))") }
        if seen.restartsByItself { return automaticRestart(seen, at: now) }
        return down(at: now, .unknown, "its main process ended")
    }

    private mutating func whileRestarting(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.presence == .present else { return whileVanishing(seen, now) }
        if isNewRun(seen), !isAlive(seen), seen.activity != .starting {
            // A whole run passed between two observations, or its start failed: this is the end of that one.
            let told = toldRestarts
            enterUp(seen, at: now)
            toldRestarts = min(told, seen.automaticRestarts)
            beginEnding(at: now)
            return whileEnding(seen, now)
        }
        var events: [Event] = []
        if seen.automaticRestarts > toldRestarts {
            // When systemd is reloaded in between, it counts the restart after one run twice.
            if seen.run != nil, seen.run == run { toldRestarts = seen.automaticRestarts } else { events = automaticRestart(seen, at: now) }
        }
        let comeBack = Patience.comeBack + seen.restartDelay
        if isAlive(seen) {
            if stage == .up || stage == .idle { return events }
            if isLate(seen) {
                guard hasLasted(comeBack, since: stageSince, at: now) else { return events }
                return events + down(at: now, .failure, doesNotRun(seen, at: now))
            }
            if isHalfTold(seen) {
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return events }
            }
            enterUp(seen, at: now)
            return events
        }
        switch seen.activity {
        case .running, .reloading:
            return events
        case .starting:
            guard hasStartedForTooLong(seen, since: latestSince, at: now) else { return events }
            return events + down(at: now, .failure, stillStarting(seen, since: latestSince, at: now))
        case .restarting, .stopping:
            noteExit(seen)
            guard hasLasted(comeBack, since: stageSince, at: now) else { return events }
        case .stopped, .failed:
            noteExit(seen)
            if seen.hasJob {
                guard hasLasted(comeBack, since: stageSince, at: now) else { return events }
                break
            }
            let patience = seen.activity == .failed ? Patience.settle : Patience.queuedStart
            guard hasLasted(patience, since: latestSince, at: now) else { return events }
            if seen.activity == .stopped {
                // Only a request ends the wait for a restart without a failure.
                enterStopped(at: now)
                return events + whileStopped(seen, now)
            }
            if seen.nature == .batch { return events + runFailed(seen, at: now) }
            return events + down(at: now, .failure, "\(exitText); \(initSystem) does not start it again (\(seen.detail))\(obstacle(seen))")
        }
        return events + down(at: now, .failure, doesNotRun(seen, at: now))
    }

    private func doesNotRun(_ seen: Observation, at now: Moment) -> String {
        "does not run \((now.uptime - stageSince).components.seconds) s after it was restarted (\(seen.detail))"
    }

    private mutating func whileDown(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.presence == .present else {
            // Known once and gone now: its package was removed, or its failure was reset.
            guard wasPresent, hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            enterStopped(at: now)
            stopIsTold = true
            failedRuns = 0
            if lastNature == .batch { rest(seen, at: now) }
            return [event(.unitUp, at: now, cause: nil, nil, "is gone: no init system here knows it any longer")]
        }
        if seen.nature == .batch { return whileLastRunFailed(seen, now) }
        // Active without a process as it was when it was said to be down: nothing has been started since.
        if seen.nature == .marker, run != nil, seen.run == run { return [] }
        if seen.activity == .stopped, !seen.hasJob, mayRest(seen) {
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            rest(seen, at: now)
            return [event(.unitUp, at: now, cause: nil, nil, "is idle: \(seen.activation?.by ?? initSystem) starts it when it is needed")]
        }
        guard isAlive(seen), !isLate(seen) else { return [] }
        if isHalfTold(seen) {
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
        }
        enterUp(seen, at: now)
        return [event(.unitUp, at: now, cause: nil, nil, upWords(seen))]
    }

    /// A batch unit whose last run has failed, or that did not run at all: its next good run ends that.
    private mutating func whileLastRunFailed(_ seen: Observation, _ now: Moment) -> [Event] {
        failedRuns = max(1, failedRuns)
        if isAlive(seen) {
            enterUp(seen, at: now)
            return []
        }
        switch seen.activity {
        case .failed:
            guard isNewRun(seen), hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            exit = nil
            noteExit(seen)
            return runFailed(seen, at: now)
        case .stopped:
            guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            noteExit(seen)
            return runEndedWell(seen, at: now)
        case .running, .starting, .stopping, .restarting, .reloading:
            return []
        }
    }

    private mutating func whileIdle(_ seen: Observation, _ now: Moment) -> [Event] {
        guard seen.presence == .present else {
            guard hasLasted(Patience.settle, since: latestSince, at: now), lastNature != .batch || !hasEnded else { return [] }
            return vanished(at: now)
        }
        if isAlive(seen) {
            guard seen.nature == .marker else {
                enterUp(seen, at: now)
                return []
            }
            if isNewRun(seen) { enterUp(seen, at: now) } else { remember(seen) }
            return []
        }
        if seen.nature == .marker {
            beginEnding(at: now)
            return whileEnding(seen, now)
        }
        switch seen.activity {
        case .running, .reloading, .restarting, .stopping:
            return []
        case .starting:
            guard hasStartedForTooLong(seen, since: latestSince, at: now) else { return [] }
            return down(at: now, .failure, stillStarting(seen, since: latestSince, at: now))
        case .failed:
            guard !seen.hasJob, hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
            exit = nil
            noteExit(seen)
            return comeToRest(seen, at: now)
        case .stopped:
            run = seen.run ?? run
            if mayRest(seen) { return [] }
            guard hasLasted(Patience.queuedStart, since: latestSince, at: now) else { return [] }
            if seen.activation?.hasFailed == true {
                return down(at: now, .failure, "is not running (\(seen.detail))\(missingActivation(seen))")
            }
            enterStopped(at: now)
            return whileStopped(seen, now)
        }
    }

    private mutating func whileStopped(_ seen: Observation, _ now: Moment) -> [Event] {
        if isAlive(seen), !isLate(seen) {
            let wasTold = stopIsTold
            enterUp(seen, at: now)
            if wasTold { return [event(.unitUp, at: now, cause: nil, nil, upWords(seen))] }
            guard seen.nature == .daemon else { return [] }
            restarts += 1
            return [event(.unitRestarted, at: now, cause: .request, nil, "restarted on request")]
        }
        if seen.presence == .present {
            switch seen.activity {
            case .starting:
                guard hasStartedForTooLong(seen, since: latestSince, at: now) else { return [] }
                return down(at: now, .failure, stillStarting(seen, since: latestSince, at: now))
            case .failed where isNewRun(seen) && !seen.hasJob:
                guard hasLasted(Patience.settle, since: latestSince, at: now) else { return [] }
                wasAsked = false
                exit = nil
                noteExit(seen)
                return comeToRest(seen, at: now)
            case .stopped where mayRest(seen) && seen.nature == .daemon && !seen.hasJob:
                rest(seen, at: now)
                return []
            default: break
            }
        }
        guard stopIsTold else {
            guard hasLasted(Patience.requestedStop, since: stageSince, at: now) else { return [] }
            stopIsTold = true
            deadline = now.uptime + Patience.forget
            return [event(.unitStopped, at: now, cause: .request, .warning, stopWords(seen))]
        }
        if hasLasted(Patience.forget, since: stageSince, at: now) { isForgettable = true }
        return []
    }

    private func stopWords(_ seen: Observation) -> String {
        guard seen.presence == .present else { return "stopped on request, and gone: no init system here knows it any longer" }
        if let activation = seen.activation, !activation.isActive {
            return "stopped on request: \(activation.by) no longer starts it (\(seen.detail))"
        }
        let how = seen.activity == .failed ? exit.map { ", \($0)" } ?? "" : ""
        return "stopped on request\(how) (\(seen.detail))\(obstacle(seen))"
    }

    /// It was at rest, and its init system knows it no more: its package was removed.
    private mutating func vanished(at now: Moment) -> [Event] {
        enterStopped(at: now)
        stopIsTold = true
        return [event(.unitStopped, at: now, cause: .request, .warning, "is gone: no init system here knows it any longer")]
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

    /// Whether the unit does what it is for, or is on its way: a oneshot is at work while it "starts".
    private func isAlive(_ seen: Observation) -> Bool {
        guard seen.presence == .present else { return false }
        switch seen.activity {
        case .running, .reloading: return true
        case .starting: return seen.nature == .batch
        case .stopping, .restarting, .stopped, .failed: return false
        }
    }

    /// Whether it may be without a run: it does one when it is time, or something starts it when it is needed.
    private func mayRest(_ seen: Observation) -> Bool { seen.nature == .batch || seen.activation?.isActive == true }

    private var hasEnded: Bool { runs > 0 }

    private func upWords(_ seen: Observation) -> String { "\(seen.nature == .marker ? "has been started" : "is running") (\(seen.detail))" }

    private func missingActivation(_ seen: Observation) -> String {
        guard let activation = seen.activation, !activation.isActive else { return "" }
        return activation.hasFailed ? "; \(activation.by), which starts it, has failed" : "; \(activation.by), which starts it, is not active"
    }

    /// Keeps how the run ended. A later success does not hide a failure: systemd's `Result` falls back to it with the next start.
    private mutating func noteExit(_ seen: Observation) {
        guard let reason = seen.lastExit else { return }
        let isOfThisEnd =
            switch seen.activity {
            case .running, .reloading, .starting: seen.automaticRestarts > toldRestarts
            case .stopping: processEndedAt != nil
            case .restarting, .stopped, .failed: true
            }
        guard isOfThisEnd, exit == nil || !(seen.endedWell ?? reason.isSuccess) else { return }
        exit = reason
        exitIsClean = seen.endedWell ?? reason.isSuccess
    }

    /// Whether its start takes too long. Where the init system has a limit of its own, it is the one to say so; a piece of work without a
    /// limit may take its time.
    private mutating func hasStartedForTooLong(_ seen: Observation, since start: Duration, at now: Moment) -> Bool {
        if let limit = seen.startTimeout { return hasLasted(limit + Patience.giveUp, since: start, at: now) }
        return seen.nature == .daemon || seen.nature == .passive ? hasLasted(Patience.job, since: start, at: now) : false
    }

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
        wasAsked = hadJobWhileUp
        hadJobWhileUp = false
        wasStartedAgain = false
        exit = nil
        exitIsClean = false
    }

    private mutating func enterStopped(at now: Moment) {
        enter(.stopped, at: now)
        stopIsTold = false
        isForgettable = false
    }

    /// Its run is over, or it had none, and that is as it should be.
    private mutating func rest(_ seen: Observation, at now: Moment) {
        run = seen.run ?? run
        failedRuns = 0
        enter(.idle, at: now)
    }

    private mutating func enterUp(_ seen: Observation, at now: Moment) {
        enter(seen.nature == .marker ? .idle : .up, at: now)
        runs += 1
        hadJobWhileUp = false
        runBegan = max(.zero, now.uptime - max(.zero, seen.since.map { now.wall - $0 } ?? .zero))
        run = nil
        process = nil
        processEndedAt = nil
        remember(seen)
    }

    private mutating func remember(_ seen: Observation) {
        run = seen.run ?? run
        hadJobWhileUp = seen.hasJob && seen.activity == .running
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
            // A run that follows on a failed one has to end well first.
            case .up: failedRuns > 0 ? .changing : .up
            case .idle: seen.presence == .present || hasEnded ? .idle : .unknown
            case .stopped: .stopped
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
        let isBack = isAlive(seen) && !isLate(seen)
        let wait = seen.restartDelay >= .seconds(1) ? " in \(seen.restartDelay.components.seconds) s" : ""
        let how = count > 1 ? "restarted it \(count) times" : isBack ? "restarted it" : "restarts it\(wait)"
        // A program that ends well and is run again, as its unit says, is nothing to hear of.
        let (cause, importance): (Event.Cause, Importance?) = exitIsClean ? (.finished, nil) : (.failure, .warning)
        let event = event(.unitRestarted, at: now, cause: cause, importance, "\(exitText); \(initSystem) \(how)")
        enter(.restarting, at: now)
        if isBack {
            enterUp(seen, at: now)
        }
        // Otherwise: what is said of the ended run from now on is not news, and time runs for it to come back.
        else {
            deadline = now.uptime + Patience.comeBack + seen.restartDelay
        }
        return [event]
    }

    /// The event for a run that is there before anybody spoke of the end of the one before.
    private func restartSeenAfterwards(_ seen: Observation, at now: Moment) -> Event {
        // An init system that neither numbers its runs nor counts its restarts leaves one sign: nobody asked.
        let restartedByItself = !wasAsked && seen.restartsByItself && seen.run == nil
        if restartedByItself || !wasAsked && !exitIsClean && exit.map({ !$0.isRequestToEnd }) ?? false {
            return event(.unitRestarted, at: now, cause: .failure, .warning, exitText)
        }
        return event(.unitRestarted, at: now, cause: .request, nil, "restarted on request")
    }

    private mutating func down(at now: Moment, _ cause: Event.Cause, _ detail: String) -> [Event] {
        enter(.down, at: now)
        downs += 1
        return [event(.unitDown, at: now, cause: cause, .error, detail)]
    }

    /// Its run has ended, and nothing is about to start it again.
    private mutating func comeToRest(_ seen: Observation, at now: Moment) -> [Event] {
        let isFailed = seen.activity == .failed || exit != nil && !exitIsClean
        if wasAsked, !wasStartedAgain {
            if seen.nature == .daemon, mayRest(seen), seen.activity != .failed {
                rest(seen, at: now)
                return []
            }
            enterStopped(at: now)
            return whileStopped(seen, now)
        }
        if seen.nature == .batch { return isFailed ? runFailed(seen, at: now) : runEndedWell(seen, at: now) }
        if !isFailed, mayRest(seen) {
            rest(seen, at: now)
            return []
        }
        if seen.activity == .stopped, exit == nil { return down(at: now, .unknown, "its main process ended (\(seen.detail))") }
        if !isFailed { return down(at: now, .finished, "ended by itself: \(exitText) (\(seen.detail))") }
        return down(at: now, .failure, "\(exit?.description ?? "failed") (\(seen.detail))\(obstacle(seen))")
    }

    /// Each failed run is an event, with its reason.
    private mutating func runFailed(_ seen: Observation, at now: Moment) -> [Event] {
        enter(.down, at: now)
        run = seen.run ?? run
        failedRuns += 1
        downs += 1
        let reason = exit?.description ?? seen.lastExit?.description ?? "failed"
        let again = failedRuns > 1 ? "; \(failedRuns) runs in a row have failed" : ""
        return [event(.unitFailed, at: now, cause: .failure, .error, "its run failed: \(reason) (\(seen.detail))\(obstacle(seen))\(again)")]
    }

    private mutating func runEndedWell(_ seen: Observation, at now: Moment) -> [Event] {
        let hadFailed = isDown
        rest(seen, at: now)
        guard hadFailed else { return [] }
        return [
            event(.unitUp, at: now, cause: nil, nil, exitIsClean ? "its last run ended well (\(exitText))" : "is no longer failed (\(seen.detail))")
        ]
    }
}

extension ExitReason {
    /// A signal that asks a daemon to end (systemd.service(5), `SuccessExitStatus=`): SIGHUP, SIGINT, SIGPIPE, SIGTERM.
    fileprivate var isRequestToEnd: Bool {
        if case .signaled(let signal) = self { [1, 2, 13, 15].contains(signal) } else { false }
    }
}
