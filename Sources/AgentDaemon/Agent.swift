// The running agent: what is made, in which order, and what signals do to it.

import AgentAPI
import AgentCore
import AgentTalker
import DeployVerification
import Glibc
import LinuxHost
import Logging
import Platform
import RuleLanguage

/// Says what is wrong with a configuration, on standard error.
func checkConfiguration(folder: String) -> ExitCode {
    let written = WrittenConfiguration(folder: folder)
    do {
        let configuration = try loadConfiguration(written, means: meansOfTheAgent(written))
        for warning in configuration.warnings { complain("warning: \(warning)") }
        for fault in configuration.missingMeans { complain("warning: \(written.rendered(fault))") }
        print("\(folder): no faults")
        return .done
    } catch {
        for warning in error.warnings { complain("warning: \(warning)") }
        for problem in error.texts { complain(problem) }
        return .configuration
    }
}

/// What the agent may do that is to run by a configuration: this process where its service manager has started it (ExecReload, pre-start),
/// else the one that runs, else what the installed unit gives it.
private func meansOfTheAgent(_ written: WrittenConfiguration) -> OwnMeans? {
    if getenv("STATE_DIRECTORY") != nil { return .ofThisProcess() }
    guard let socket = try? written.configuration.get().settings.socket,
        let line = try? exchangeLine(AgentRequest.means.json.bytes + [10], with: socket, limit: 1 << 20, patience: .seconds(5)),
        let message = try? JSON(parsing: line), let answer = try? AgentAnswer(message: message)
    else { return .ofInstalledUnit() }
    return OwnMeans(answer.json)
}

/// Runs until a signal asks for the end.
func runAgent(folder: String) -> ExitCode {
    SpareMemory.useOneHeap()
    umask(0o077)
    signal(SIGPIPE, SIG_IGN)
    keepCapabilitiesFromChildren()
    raiseDescriptorLimit()
    let readAt = SystemTime().now().wall
    let configuration: LoadedConfiguration
    do {
        configuration = try loadConfiguration(folder: folder)
    } catch {
        for problem in error.texts { complain(problem) }
        return .configuration
    }
    Logs.bootstrap(level: configuration.settings.logLevel)
    let logger = Logger(label: "rollcall-agent")
    for warning in configuration.warnings { logger.warning("odd configuration", metadata: ["warning": "\(warning)"]) }
    do {
        let loop = try Loop()
        let agent = Agent(configuration, readAt: readAt, folder: folder, loop: loop, logger: logger)
        // Before the talker's thread, which inherits that these signals are blocked.
        let signals = try SignalSource([SIGTERM, SIGINT, SIGHUP], on: loop) { agent.take($0) }
        defer { withExtendedLifetime(signals) {} }
        try agent.run()
        return .done
    } catch let error as TalkerError {
        complain("rollcall-agent: \(error)\n")
        return .configuration
    } catch {
        complain("rollcall-agent: \(error)\n")
        return .system
    }
}

/// The watcher on this thread, the talker on its own.
private final class Agent {
    private let folder: String
    private let loop: Loop
    private let logger: Logger
    private let serviceManager = ServiceManager()
    private let time = SystemTime()
    private var watcher: AgentLoop?
    private var talker: Talker?
    private var deploys: DeployThread?
    private var alerts: OwnAlerts?
    private var alertTests: RunningAlertTests?
    private var configuration: LoadedConfiguration
    /// When it was read.
    private var readAt: Timestamp
    private var runner: RunnerProcess?
    /// A new configuration is being read.
    private var isReading = false
    /// Another reload was asked for meanwhile.
    private var isReadAgain = false

    init(_ configuration: LoadedConfiguration, readAt: Timestamp, folder: String, loop: Loop, logger: Logger) {
        self.configuration = configuration
        self.readAt = readAt
        self.folder = folder
        self.loop = loop
        self.logger = logger
    }

    /// Returns when a signal has ended it.
    func run() throws {
        let settings = configuration.settings
        let deploys = try deployThread(configuration)
        self.deploys = deploys
        let talker = try Talker(
            configuration: configuration.talker, logger: logger, deploys: deploys, answering: requestHandler(), onStanding: standingHandler())
        self.talker = talker
        defer {
            talker.stop()
            deploys.finish()
        }
        let runner = RunnerProcess(loop: loop, user: settings.runnerUser ?? "nobody", logger: logger)
        self.runner = runner
        let alerts = OwnAlerts(
            loop: loop, time: time, runner: runner, file: settings.stateDirectory + "/alerts.json", host: settings.hostname,
            channels: configuration.plan.channels, aggregatorPatience: settings.aggregatorPatience, logger: logger)
        self.alerts = alerts
        let watcher = AgentLoop(
            plan: configuration.plan, on: loop, time: time, initSystems: InitSystems.detect(loop: loop, logger: logger),
            sampler: LinuxSampler(memoryBudget: settings.proportionalMemoryBudget ?? 0, logger: logger), processes: PidfdWatcher(loop: loop),
            sink: Listeners(talker: talker, alerts: alerts, deploys: deploys, time: time), serviceManager: serviceManager, version: rollcallVersion,
            logger: logger,
            runner: runner, jobSource: InitSystems.jobSource(loop: loop, logger: logger), commands: LinuxCommandRunner(loop: loop),
            evidence: LinuxEvidence(loop: loop), stateFolder: settings.stateDirectory,
            hostname: settings.hostname, boot: bootID(), packagesAreChanging: PackageManagers.areAtWork,
            nextCron: { $0.next(after: $1) })
        let alertTests = RunningAlertTests(loop: loop, runner: runner, others: alerts)
        self.alertTests = alertTests
        watcher.deliveries = alertTests
        self.watcher = watcher
        guard deploys.start() else { throw SystemError("making a thread for deploys") }
        talker.start()
        watcher.start { [logger, serviceManager, unowned watcher, count = configuration.plan.services.count] in
            logger.notice("watching", metadata: ["services": "\(count)"])
            serviceManager.ready(status: watcher.status)
        }
        noteMissingMeans()
        giveBackMemoryLater()
        loop.run()
    }

    private func noteMissingMeans() {
        for fault in configuration.missingMeans {
            logger.warning(
                "the agent may not do what the configuration needs", metadata: ["what": "\(fault)", "help": "\(fault.help ?? "")"])
        }
        watcher?.note(missingMeans: configuration.missingMeans)
    }

    /// When the first cycles and reports are over, what only the start needed is not kept: see the decision *What the agent keeps in memory*.
    private func giveBackMemoryLater() { loop.after(.seconds(10)) { SpareMemory.giveBack() } }

    /// Requests come on the talker's thread and are answered on the watcher's.
    private func requestHandler() -> RequestHandler {
        let agent = OnLoop(value: self)
        return { [loop, deploys] request, by, answer in
            if let deploys, deploys.answer(request, answer) { return }
            if case .means = request {
                let means = OwnMeans.ofThisProcess()
                return answer(AgentAnswer(text: means.text, json: means.json))
            }
            if case .testAlerts = request { return loop.post { agent.value.testAlerts(answer) } }
            loop.post { answer(agent.value.watcher?.answer(request, from: by) ?? .refused("the agent is only starting; try again")) }
        }
    }

    private func testAlerts(_ answer: @escaping (AgentAnswer) -> Void) {
        guard let alertTests else { return answer(.refused("the agent is only starting; try again")) }
        alertTests.test(
            configuration.plan.channels, host: configuration.settings.hostname, configuration: (folder, readAt), at: time.now().wall, answer)
    }

    /// It asks the watcher which services there are, and tells it how deploys ended.
    private func deployThread(_ configuration: LoadedConfiguration) throws(SystemError) -> DeployThread {
        let (loop, time, logger, agent) = (loop, time, logger, OnLoop(value: self))
        let settings = configuration.settings
        let surroundings = DeployThread.Surroundings(
            host: settings.hostname, boot: bootID(), file: settings.stateDirectory + "/deploys.json",
            find: { name, found in loop.post { found(agent.value.watcher?.service(named: name).map(WatchedService.init)) } },
            list: { found in loop.post { found(agent.value.watcher?.serviceNames ?? []) } },
            windows: DeployWindows(
                open: { deploy, opened in loop.post { opened(agent.value.openWindow(of: deploy)) } },
                close: { deploy in loop.post { agent.value.closeWindow(of: deploy) } }),
            judged: { deploy in loop.post { agent.value.watcher?.record(judged: deploy, at: time.now().wall) } },
            tell: { logger.warning("deploys", metadata: ["what": "\($0)"]) })
        return try DeployThread(surroundings, question: configuration.questions.of) { LinuxServiceInspector(loop: $0) }
    }

    /// - Returns: why there is none.
    private func openWindow(of deploy: DeployPreparation) -> String? {
        let request = AgentRequest.startDeploy(units: [deploy.service], owner: deploy.windowOwner, reason: deploy.revision, length: nil)
        guard let answer = watcher?.answer(request, from: deploy.windowOwner) else { return "the agent is only starting; try again" }
        return answer.isGood ? nil : String(answer.text.prefix { $0 != "\n" })
    }

    /// One that is closed already stays so.
    private func closeWindow(of deploy: DeployPreparation) {
        _ = watcher?.answer(.finishDeploy(units: [deploy.service], owner: deploy.windowOwner), from: deploy.windowOwner)
    }

    /// How the aggregator stands decides whether the agent's own routes are needed.
    private func standingHandler() -> @Sendable (Bool) -> Void {
        let agent = OnLoop(value: self)
        return { [loop, time] isReachable in
            loop.post { agent.value.alerts?.aggregatorIsReachable(isReachable, at: time.now()) }
        }
    }

    func take(_ signal: Int32) {
        switch signal {
        case SIGHUP: reload()
        default: stop(signal)
        }
    }

    private func stop(_ signal: Int32) {
        logger.notice("stopping", metadata: ["signal": "\(signal)"])
        serviceManager.stopping()
        watcher?.stop()
        alerts?.stop()
        runner?.stop()
        loop.stop()
    }

    /// Takes a new configuration as a whole, or keeps the old one. It is read on another thread: thousands of rules take longer to read
    /// than a cycle may wait.
    private func reload() {
        guard !isReading else {
            isReadAgain = true
            return
        }
        serviceManager.reloading()
        let now = time.now().wall
        let agent = OnLoop(value: self)
        isReading = detachThread(stackSize: mainStackSize) { [loop, folder] in
            let read = OnLoop(value: readConfiguration(folder: folder))
            loop.post { agent.value.take(read.value, readAt: now) }
        }
        if !isReading { take(readConfiguration(folder: folder), readAt: now) }
    }

    private func take(_ read: Result<LoadedConfiguration, ConfigurationProblems>, readAt: Timestamp) {
        isReading = false
        do {
            let configuration = try read.get()
            for warning in configuration.warnings { logger.warning("odd configuration", metadata: ["warning": "\(warning)"]) }
            try talker?.reconfigure(configuration.talker)
            deploys?.ask(configuration.questions.of)
            let settings = configuration.settings
            alerts?.change(host: settings.hostname, channels: configuration.plan.channels, aggregatorPatience: settings.aggregatorPatience)
            watcher?.reload(configuration.plan)
            (self.configuration, self.readAt) = (configuration, readAt)
            noteMissingMeans()
            giveBackMemoryLater()
            logger.notice("configuration reloaded", metadata: ["services": "\(configuration.plan.services.count)"])
            if configuration.settings.logLevel != logger.logLevel { logger.notice("log_level changes with the next start of the agent") }
        } catch let problems as ConfigurationProblems {
            refuse(problems.texts)
        } catch {
            refuse(["\(error)"])
        }
        // What was changed while it was read may be in it or not.
        if isReadAgain {
            isReadAgain = false
            return reload()
        }
        if let watcher { serviceManager.ready(status: watcher.status) }
    }

    private func refuse(_ problems: [String]) {
        for problem in problems { logger.error("configuration not taken", metadata: ["fault": "\(problem)"]) }
    }
}

/// All that hear the watcher: the talker, the agent's own alerts, and whoever judges deploys.
private final class Listeners: ReportSink {
    private let talker: Talker
    private let alerts: OwnAlerts
    private let deploys: DeployThread
    private let time: any TimeSource
    private var processes: [String: Int32] = [:]
    /// Units whose exec marks are sampled.
    private var marked: Set<String> = []
    /// When the last two cycles ended: the last one's samples are younger than the end of the one before.
    private var lastCycles: (before: Timestamp?, last: Timestamp?)

    init(talker: Talker, alerts: OwnAlerts, deploys: DeployThread, time: any TimeSource) {
        self.talker = talker
        self.alerts = alerts
        self.deploys = deploys
        self.time = time
    }

    func record(_ event: Event) {
        talker.record(event)
        alerts.take(event, at: time.now())
    }

    func update(_ snapshot: Snapshot) { talker.update(snapshot) }

    func wantsNumbers(at uptime: Duration) -> Bool { talker.wantsNumbers(at: uptime) }

    func cycleEnded(at now: Timestamp) { lastCycles = (lastCycles.last, now) }

    func mainProcess(of unit: String, is process: ProcessIdentity?) {
        processes[unit] = process?.pid
        marked.remove(unit)
        if let process { deploys.notice(process.pid, before: nil) }
    }

    func mainProcess(of unit: String, hasMark mark: ExecMark?) {
        let wasMarked = mark == nil ? marked.remove(unit) != nil : !marked.insert(unit).inserted
        // Another mark than in the last cycle: until then the process ran another program.
        guard wasMarked, mark != nil, let process = processes[unit] else { return }
        deploys.notice(process, before: lastCycles.before)
    }
}

private func readConfiguration(folder: String) -> Result<LoadedConfiguration, ConfigurationProblems> {
    Result { () throws(ConfigurationProblems) in try loadConfiguration(folder: folder) }
}

extension AgentSettings {
    /// `nil` without an aggregator: then the agent's own routes are all there is.
    fileprivate var aggregatorPatience: Duration? { aggregator == nil ? nil : alertWhenUnreachable }
}

/// Something that only the loop's thread uses, on its way there.
private struct OnLoop<Value>: @unchecked Sendable {
    let value: Value
}

/// The kernel's name for this boot: what counts from boot is of one boot only.
private func bootID() -> String {
    guard let bytes = try? AtomicFile.read("/proc/sys/kernel/random/boot_id", limit: 256) else { return "" }
    return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
}

/// The agent holds some descriptors for each watched process: it takes as many as it may have.
private func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// Writes a text to standard error, with one newline at its end.
func complain(_ text: String) {
    var bytes = Array(text.utf8)
    if bytes.last != 10 { bytes.append(10) }
    _ = write(2, bytes, bytes.count)
}
