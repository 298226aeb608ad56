// The watcher: Unit -> Sample -> Rule -> Event -> Action and Report, once per cycle, and at once when something changes.
//
// Units: AgentLoop+Units. Samples and rules: AgentLoop+Rules. Daemons that are asked: AgentLoop+Daemons. Events: Events/AgentLoop+Events.
// Actions: Actions. Deploys: DeployWindows. Jobs: Jobs. What people ask: Control. What outlives the agent: State.

import AgentAPI
public import Logging
public import Platform
public import RuleLanguage

/// Watches units and the host on one `Loop`, and tells a sink. Everything that it owns lives on that loop; no call waits.
public final class AgentLoop {
    /// The name of the init system that answers for services with a pid file, and for no others.
    public static let pidFileInit = "pidfile"
    /// How long the first look at all units may take before the agent calls itself ready without it.
    static let firstLookPatience = Duration.seconds(5)
    /// More units than these are not watched, whatever a pattern matches.
    static let mostUnits = ReportLimits.units

    /// What everybody wants to see of a host and of a service, whether a rule asks for it or not.
    static let shownOfHost = [
        MetricName("cpu"), MetricName("load", "1"), MetricName("memory", "available"), MetricName("memory", "total"), MetricName("swap"),
        MetricName("agent", "lateness"),
    ]
    static let shownOfService = [
        MetricName("cpu", "total"), MetricName("memory", "rss"), MetricName("memory", "total"), MetricName("uptime"), MetricName("restarts"),
    ]

    /// How long an init system has to say by itself what follows on the end of a main process, before it is asked.
    static let ownWordPatience = Duration.milliseconds(30)
    static let askAgainAfter = Duration.milliseconds(100)
    /// For so long at most a package manager that is at work keeps back that units were stopped.
    static let packagesPatience = Duration.seconds(900)

    let loop: Loop
    let time: any TimeSource
    let initSystems: [any InitSystem]
    let sampler: any Sampler
    let processes: any ProcessWatcher
    let sink: any ReportSink
    let runner: (any Runner)?
    let jobSource: (any JobSource)?
    let serviceManager: ServiceManager
    let version: String
    let hostname: String
    let boot: String
    let logger: Logger
    let stateFile: WatchStateFile?
    private let commands: (any CommandRunner)?
    let evidence: (any EvidenceReader)?
    private let actionLog: ActionLog?
    var actions: ActionRunner?

    /// Hears how the agent's own alerts fared.
    public weak var deliveries: (any DeliveryObserver)?

    var plan: WatchPlan
    /// In the order of the plan; then those that were found, in the order in which they appeared.
    var units: [WatchedUnit] = []
    var unitsByKey: [String: WatchedUnit] = [:]
    /// One for each service of the plan, which all of its units share.
    var serviceMetrics: [String: SubjectMetrics] = [:]
    var host: WatchedHost
    var history = History()
    var silentSources = SilentSources()
    /// What the configuration needs and the agent may not do.
    var missingMeans: [Fault] = []
    /// Whether people were told that there is something, also by an earlier life of the agent.
    var lacksMeans = false
    /// While the process without privileges does not work.
    var runnerFailure: RunnerFailure?
    /// By the source's id.
    var daemons: [String: DaemonValues] = [:]
    var silences = Silences()
    /// Failures of rules that wait for what the kernel's log says of them.
    var waitingFailures: [WaitingFailure] = []
    var jobs: JobBook
    var timers = TimerBook()
    /// What an earlier life of the agent knew of units that have not been seen yet.
    var remembered = RememberedUnits()

    var isRunning = false
    /// The whole host is going down: what ends now is meant to.
    var hostIsStopping = false
    private let packagesAreChanging: () -> Bool
    private var packagesChangeSince: Duration?
    private var ready: (() -> Void)?
    private var lastCycle: Duration?
    /// By how much the last cycle began too late.
    private(set) var lateness = Duration.zero
    private var cycleTimer: Loop.Timer?
    private var watchdogTimer: Loop.Timer?
    private var firstLookTimer: Loop.Timer?
    /// So many of the units, the first ones, have been looked at.
    private var looked = 0
    /// Whether each unit has been looked at, or the patience for that is over.
    private(set) var hasLooked = false
    var snapshotTimer: Loop.Timer?
    var hasToldSnapshot = false
    var stateTimer: Loop.Timer?

    /// - Parameters:
    ///   - initSystems: in the order in which they are asked for a service that names none; the first that runs it answers for it, else the
    ///     first that knows it.
    ///   - version: what the agent calls itself when it starts.
    ///   - runner: speaks with daemons; without one nothing does.
    ///   - jobSource: knows of jobs that nobody announces.
    ///   - commands: runs the programs of rules; without one nothing does.
    ///   - stateFolder: where the action log is and what outlives the agent; `nil`: nowhere.
    ///   - boot: the machine's boot id.
    ///   - packagesAreChanging: whether a package manager is at work on this host.
    ///   - nextCron: when a cron expression next matches after an instant, in the host's local time.
    public init(
        plan: WatchPlan, on loop: Loop, time: any TimeSource, initSystems: [any InitSystem], sampler: any Sampler,
        processes: any ProcessWatcher, sink: any ReportSink, serviceManager: ServiceManager, version: String, logger: Logger,
        runner: (any Runner)? = nil, jobSource: (any JobSource)? = nil, commands: (any CommandRunner)? = nil, evidence: (any EvidenceReader)? = nil,
        stateFolder: String? = nil,
        hostname: String = "", boot: String = "", packagesAreChanging: @escaping () -> Bool = { false },
        nextCron: @escaping (CronExpression, Timestamp) -> Timestamp? = { _, _ in nil }
    ) {
        self.plan = plan
        self.loop = loop
        self.time = time
        self.initSystems = initSystems
        self.sampler = sampler
        self.processes = processes
        self.sink = sink
        self.serviceManager = serviceManager
        self.version = version
        self.logger = logger
        self.runner = runner
        self.jobSource = jobSource
        self.commands = commands
        self.evidence = evidence
        self.hostname = hostname
        self.boot = boot
        self.packagesAreChanging = packagesAreChanging
        actionLog = stateFolder.map { ActionLog(folder: $0, logger: logger) }
        stateFile = stateFolder.map { WatchStateFile(folder: $0, logger: logger) }
        jobs = JobBook(nextCron: nextCron)
        host = WatchedHost(plan.hostRules, cycle: plan.cycle)
    }

    /// Begins to watch.
    /// - Parameter ready: called once, when every unit has been looked at and the first cycle is done, or when a source takes too long.
    public func start(ready: @escaping () -> Void) {
        isRunning = true
        self.ready = ready
        let now = time.now()
        let actions = ActionRunner(
            time: time, ground: self, commands: commands, evidence: evidence, log: actionLog,
            wake: { [weak self] delay in self?.loop.after(delay) { [weak self] in self?.actions?.look() } },
            record: { [weak self] event in self?.recordAction(event) })
        self.actions = actions
        record(Event(kind: .agentStarted, at: now.wall, detail: version))
        restoreState(at: now)
        jobs.change(plan.jobs, at: now.wall)
        prepareServices()
        units = plan.services.filter { $0.kind == .unit }.map { watched($0) }
        unitsByKey = Dictionary(units.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        // Fed by the cycles: when they stop, the service manager restarts the agent.
        if let interval = serviceManager.watchdogInterval {
            let started = now.uptime
            serviceManager.alive()
            watchdogTimer = loop.every(interval) { [weak self] in self?.feedWatchdog(interval, since: started) }
        }
        runner?.start(observer: self)
        runner?.change(plan.runnerWork)
        jobSource?.start(watching: plan.timers.map(\.pattern), observer: self)
        for initSystem in initSystems { initSystem.start(watching: requests(to: initSystem), observer: self) }
        firstLookTimer = loop.after(Self.firstLookPatience) { [weak self] in self?.endFirstLook() }
        for unit in units { noticeAbsence(of: unit) }
        endFirstLookIfComplete()
    }

    /// Watches what another plan says from now on. Services and rules that stay keep their history.
    public func reload(_ next: WatchPlan) {
        let now = time.now()
        let cycleChanged = next.cycle != plan.cycle
        let before = plan
        plan = next
        jobs.change(next.jobs, at: now.wall)
        keepPlannedTimers()
        remembered.keep(Set(next.services.map(\.name)))
        jobSource?.change(watching: next.timers.map(\.pattern))
        reloadUnits(from: before)
        looked = 0
        host.rules = continued(host.rules, as: next.hostRules, of: nil, route: before.hostRoute)
        host.prepare()
        reloadDaemons()
        for initSystem in initSystems { initSystem.change(watching: requests(to: initSystem)) }
        for (name, failure) in silentSources.keep(Set(next.services.map(\.name))) { tellRecovery(of: name, from: failure) }
        for unit in units where !unit.tracker.wasSeen {
            noticeAbsence(of: unit)
            listen(to: unit)
        }
        tellSilentSources()
        if cycleChanged, cycleTimer != nil { startCycles() }
        tellSnapshotSoon()
        saveState(at: now)
    }

    /// Stops watching, and says so.
    public func stop() {
        guard isRunning else { return }
        recordWaitingFailures { _ in true }
        saveState(at: time.now())
        isRunning = false
        for timer in [cycleTimer, watchdogTimer, firstLookTimer, snapshotTimer] + units.map(\.timer) {
            if let timer { loop.cancel(timer) }
        }
        actions?.stop()
        runner?.stop()
        for initSystem in initSystems { initSystem.stop() }
        jobSource?.stop()
        for unit in units where unit.process != nil { processes.unwatch(unit.key) }
        record(Event(kind: .agentStopped, at: time.now().wall, detail: version))
        tellSnapshot()
        stateFile?.finish()
    }

    /// What the service manager shows of the agent.
    public var status: String {
        let down = units.count { [.down, .unknown].contains($0.tracker.phase) }
        return "watching \(units.count) service\(units.count == 1 ? "" : "s"), \(down) down"
    }

    /// Whether units may have been stopped for the sake of their packages.
    func isChangingPackages(at now: Moment) -> Bool {
        guard packagesAreChanging() else {
            packagesChangeSince = nil
            return false
        }
        let since = packagesChangeSince ?? now.uptime
        packagesChangeSince = since
        return now.uptime - since < Self.packagesPatience
    }

    /// Samples, judges, acts, and tells how things are.
    func cycle() {
        let now = time.now()
        noteLateness(now)
        if serviceManager.watchdogInterval != nil { serviceManager.alive() }
        let ending = endSilences(at: now)
        sampler.beginCycle(at: now.uptime)
        history.beginCycle(at: now)
        sampleHost(at: now)
        for unit in units { sample(unit, at: now) }
        review(ending, at: now)
        judgeJobs(at: now)
        actions?.endCycle()
        saveStateIfDue(at: now)
        tellSnapshot(ofCycleAt: now)
    }
}

// MARK: Cycles

extension AgentLoop {
    func endFirstLookIfComplete() {
        guard firstLookTimer != nil else { return }
        while looked < units.count, hasLooked(at: units[looked]) { looked += 1 }
        if looked >= units.count { endFirstLook() }
    }

    private func hasLooked(at unit: WatchedUnit) -> Bool {
        unit.tracker.wasSeen || unit.candidates.allSatisfy { unit.answers[$0] != nil || silentSources.failures[$0] != nil }
    }

    private func endFirstLook() {
        guard isRunning, let timer = firstLookTimer else { return }
        loop.cancel(timer)
        firstLookTimer = nil
        hasLooked = true
        tellSilentSources()
        cycle()
        startCycles()
        ready?()
        ready = nil
    }

    private func startCycles() {
        if let cycleTimer { loop.cancel(cycleTimer) }
        cycleTimer = loop.every(plan.cycle) { [weak self] in self?.cycle() }
    }

    private func noteLateness(_ now: Moment) {
        if let lastCycle {
            lateness = max(.zero, now.uptime - lastCycle - plan.cycle)
            if lateness > plan.cycle { logger.warning("cycle is late", metadata: ["by": "\(lateness.inSeconds) s"]) }
        }
        lastCycle = now.uptime
    }

    /// Where cycles are further apart than the watchdog's patience, it is fed between them, but only while they come.
    private func feedWatchdog(_ interval: Duration, since started: Duration) {
        let last = max(lastCycle ?? started, started)
        guard time.now().uptime - last <= max(plan.cycle, Self.firstLookPatience) * 2 + interval else { return }
        serviceManager.alive()
    }
}
