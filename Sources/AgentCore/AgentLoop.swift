// The watcher: Unit -> Sample -> Rule -> Event -> Action and Report, once per cycle, and at once when something changes.

import AgentAPI
public import Logging
public import Platform
public import RuleLanguage

/// What the agent is to watch: its configuration, as far as the watcher is concerned.
public struct WatchPlan: Equatable, Sendable {
    public struct Service: Equatable, Sendable {
        /// As the rule file says it: `puma`, `puma.service`. No two services of a plan share it.
        public var name: String
        /// `with pidfile PATH`: then pid files alone answer for it.
        public var pidFile: String?
        /// `with init NAME`: then this init system alone answers for it.
        public var initSystem: String?
        public var rules: [Rule]
        /// Where events about it go unless a rule says otherwise; `nil` is the default route.
        public var route: String?

        public init(name: String, pidFile: String? = nil, initSystem: String? = nil, rules: [Rule] = [], route: String? = nil) {
            self.name = name
            self.pidFile = pidFile
            self.initSystem = initSystem
            self.rules = rules
            self.route = route
        }
    }

    /// How often numbers are sampled and rules judged.
    public var cycle: Duration
    public var hostRules: [Rule]
    /// Where events about the host go unless a rule says otherwise.
    public var hostRoute: String?
    public var services: [Service]

    public init(cycle: Duration, hostRules: [Rule] = [], hostRoute: String? = nil, services: [Service]) {
        self.cycle = cycle
        self.hostRules = hostRules
        self.hostRoute = hostRoute
        self.services = services
    }
}

/// Watches units and the host on one `Loop`, and tells a sink. Everything that it owns lives on that loop; no call waits.
public final class AgentLoop {
    /// The name of the init system that answers for services with a pid file, and for no others.
    public static let pidFileInit = "pidfile"
    /// How long the first look at all units may take before the agent calls itself ready without it.
    static let firstLookPatience = Duration.seconds(5)

    /// What everybody wants to see of a host and of a service, whether a rule asks for it or not.
    static let shownOfHost = [
        MetricName("cpu"), MetricName("load", "1"), MetricName("memory", "available"), MetricName("memory", "total"), MetricName("swap"),
    ]
    static let shownOfService = [MetricName("cpu", "total"), MetricName("memory", "rss"), MetricName("memory", "total")]

    private let loop: Loop
    private let time: any TimeSource
    private let initSystems: [any InitSystem]
    private let sampler: any Sampler
    private let processes: any ProcessWatcher
    private let sink: any ReportSink
    private let serviceManager: ServiceManager
    private let version: String
    private let logger: Logger
    private var actions: ActionRunner?

    private var plan: WatchPlan
    /// In the order of the plan.
    private var units: [WatchedUnit] = []
    private var unitsByName: [String: WatchedUnit] = [:]
    private var hostRules: [RuleEvaluator] = []
    private var hostSamples: [Sample] = []
    /// Init systems that do not answer, and since when.
    private var failedSources: [String: Timestamp] = [:]

    private var isRunning = false
    private var ready: (() -> Void)?
    private var lastCycle: Duration?
    private var cycleTimer: Loop.Timer?
    private var watchdogTimer: Loop.Timer?
    private var firstLookTimer: Loop.Timer?
    private var snapshotTimer: Loop.Timer?

    /// - Parameters:
    ///   - initSystems: in the order in which they are asked for a service that names none; the first that knows it answers for it.
    ///   - version: what the agent calls itself when it starts.
    public init(
        plan: WatchPlan, on loop: Loop, time: any TimeSource, initSystems: [any InitSystem], sampler: any Sampler,
        processes: any ProcessWatcher, sink: any ReportSink, serviceManager: ServiceManager, version: String, logger: Logger
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
    }

    /// Begins to watch.
    /// - Parameter ready: called once, when every unit has been looked at and the first cycle is done, or when a source takes too long.
    public func start(ready: @escaping () -> Void) {
        isRunning = true
        self.ready = ready
        actions = ActionRunner(time: time) { [weak self] event in self?.record(event) }
        record(Event(kind: .agentStarted, at: time.now().wall, detail: version))
        units = plan.services.map { WatchedUnit($0, candidates: candidates(for: $0)) }
        unitsByName = Dictionary(units.map { ($0.service.name, $0) }, uniquingKeysWith: { first, _ in first })
        hostRules = plan.hostRules.map { RuleEvaluator(rule: $0, of: .host) }
        // A loop that is stuck does not say that it is alive, and the service manager restarts the agent.
        if let interval = serviceManager.watchdogInterval {
            serviceManager.alive()
            watchdogTimer = loop.every(interval) { [serviceManager] in serviceManager.alive() }
        }
        for initSystem in initSystems { initSystem.start(watching: requests(to: initSystem), observer: self) }
        firstLookTimer = loop.after(Self.firstLookPatience) { [weak self] in self?.endFirstLook() }
        for unit in units { noticeAbsence(of: unit) }
        endFirstLookIfComplete()
    }

    /// Watches what another plan says from now on. Services and rules that stay keep their history.
    public func reload(_ next: WatchPlan) {
        let cycleChanged = next.cycle != plan.cycle
        plan = next
        let before = unitsByName
        units = next.services.map { service in
            let candidates = candidates(for: service)
            guard let unit = before[service.name], unit.service.pidFile == service.pidFile else {
                return WatchedUnit(service, candidates: candidates)
            }
            return unit.isAnswered(by: candidates) ? unit : WatchedUnit(service, candidates: candidates, answers: unit.answers)
        }
        unitsByName = Dictionary(units.map { ($0.service.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, unit) in before where unitsByName[name] !== unit { forget(unit) }
        for (unit, service) in zip(units, next.services) {
            let route = unit.service.route
            unit.service = service
            unit.candidates = candidates(for: service)
            unit.rules = continued(unit.rules, as: service.rules, unit: unit.tracker.unit, route: route)
        }
        hostRules = continued(hostRules, as: next.hostRules, unit: nil, route: next.hostRoute)
        for initSystem in initSystems { initSystem.change(watching: requests(to: initSystem)) }
        for unit in units where !unit.tracker.wasSeen {
            noticeAbsence(of: unit)
            listen(to: unit)
        }
        if cycleChanged, cycleTimer != nil { startCycles() }
        tellSnapshotSoon()
    }

    /// Stops watching, and says so.
    public func stop() {
        guard isRunning else { return }
        isRunning = false
        for timer in [cycleTimer, watchdogTimer, firstLookTimer, snapshotTimer] + units.map(\.timer) {
            if let timer { loop.cancel(timer) }
        }
        actions?.stop()
        for initSystem in initSystems { initSystem.stop() }
        for unit in units where unit.process != nil { processes.unwatch(unit.service.name) }
        record(Event(kind: .agentStopped, at: time.now().wall, detail: version))
        tellSnapshot()
    }

    /// What the service manager shows of the agent.
    public var status: String {
        let down = units.count { $0.tracker.phase == .down || $0.tracker.phase == .unknown }
        return "watching \(units.count) services, \(down) down"
    }

    /// Samples, judges, and tells how things are.
    func cycle() {
        let now = time.now()
        if let lastCycle, now.uptime - lastCycle > plan.cycle * 2 {
            logger.warning("cycle is late", metadata: ["by": "\((now.uptime - lastCycle - plan.cycle).inSeconds) s"])
        }
        lastCycle = now.uptime
        sampler.beginCycle(at: now.uptime)
        let wanted = list(Self.shownOfHost, hostRules)
        let host = named(sampler.sampleHost(wanted), wanted)
        hostSamples = samples(host)
        judge(&hostRules, by: host, unit: nil, at: now)
        for unit in units {
            // A unit that is not up has no numbers, and no rule about them can be judged.
            guard unit.tracker.isUp else {
                unit.samples = []
                continue
            }
            let sampled = SampledUnit(key: unit.service.name, process: unit.tracker.mainProcess, cgroup: unit.tracker.cgroup)
            let wanted = list(Self.shownOfService, unit.rules)
            let values = named(sampler.sample(sampled, wanted), wanted)
            unit.samples = samples(values)
            judge(&unit.rules, by: values, unit: unit, at: now)
        }
        tellSnapshot()
    }
}

// MARK: Units

extension AgentLoop: InitObserver {
    public func observed(_ observation: Observation, from initSystem: any InitSystem) {
        guard isRunning, let unit = unitsByName[observation.request], unit.candidates.contains(initSystem.name) else { return }
        unit.answers[initSystem.name] = observation
        // While one init system answers for a unit, the others' news is not the unit's.
        if let speaker = unit.chosen, speaker != initSystem.name, unit.answers[speaker]?.presence == .present { return }
        listen(to: unit)
        endFirstLookIfComplete()
    }

    /// Hands the tracker what the init system says that answers for the unit.
    private func listen(to unit: WatchedUnit) {
        guard let (name, answer) = unit.resolve(unanswerable: failedSources) else { return }
        act(on: unit.tracker.observe(answer, from: name, at: time.now()), of: unit)
    }

    public func sourceFailed(_ initSystem: any InitSystem, why: String) {
        guard isRunning, failedSources[initSystem.name] == nil else { return }
        let now = time.now().wall
        failedSources[initSystem.name] = now
        record(Event(kind: .sourceFailed, at: now, importance: .error, detail: "\(initSystem.name): \(why)"))
        // Units that waited for its word hear the others now.
        for unit in units where !unit.tracker.wasSeen { listen(to: unit) }
        endFirstLookIfComplete()
    }

    public func sourceRecovered(_ initSystem: any InitSystem) {
        guard isRunning, failedSources.removeValue(forKey: initSystem.name) != nil else { return }
        record(Event(kind: .sourceRecovered, at: time.now().wall, detail: "\(initSystem.name) answers again"))
    }

    /// The init systems that may answer for a service, the preferred one first.
    private func candidates(for service: WatchPlan.Service) -> [String] {
        let names = initSystems.map(\.name)
        if service.pidFile != nil { return names.filter { $0 == Self.pidFileInit } }
        if let wanted = service.initSystem { return names.filter { $0 == wanted } }
        return names.filter { $0 != Self.pidFileInit }
    }

    private func requests(to initSystem: any InitSystem) -> [UnitRequest] {
        units.filter { $0.candidates.contains(initSystem.name) }.map { UnitRequest(name: $0.service.name, pidFile: $0.service.pidFile) }
    }

    /// A unit that no init system of this host can answer for will not hear from one.
    private func noticeAbsence(of unit: WatchedUnit) {
        guard unit.candidates.isEmpty, !unit.tracker.wasSeen else { return }
        let absent = Observation(request: unit.service.name, presence: .absent, unit: unit.service.name, activity: .stopped, detail: "")
        act(on: unit.tracker.observe(absent, from: "", at: time.now()), of: unit)
    }

    private func act(on decisions: [UnitTracker.Decision], of unit: WatchedUnit) {
        if let timer = unit.timer { loop.cancel(timer) }
        unit.timer = nil
        let now = time.now()
        for decision in decisions {
            switch decision {
            case .emit(var event):
                event.routes = [unit.service.route]
                record(event)
            case .lookAgain(let uptime):
                unit.timer = loop.after(uptime - now.uptime) { [weak self, weak unit] in
                    guard let self, self.isRunning, let unit else { return }
                    self.act(on: unit.tracker.look(at: self.time.now()), of: unit)
                }
            }
        }
        noticeEndOfRun(unit)
        followMainProcess(of: unit)
        tellSnapshotSoon()
    }

    private func noticeEndOfRun(_ unit: WatchedUnit) {
        let run = unit.tracker.isUp ? unit.tracker.runs : nil
        guard run != unit.run else { return }
        if unit.run != nil {
            for index in unit.rules.indices { unit.rules[index].startAnew() }
            sampler.forget(unit: unit.service.name)
            unit.samples = []
        }
        unit.run = run
    }

    private func followMainProcess(of unit: WatchedUnit) {
        let process = unit.tracker.mainProcess
        guard process != unit.process else { return }
        unit.process = process
        sink.mainProcess(of: unit.tracker.unit, is: process)
        guard let process else { return processes.unwatch(unit.service.name) }
        processes.watch(process, for: unit.service.name) { [weak self, weak unit] in
            guard let self, self.isRunning, let unit else { return }
            self.act(on: unit.tracker.mainProcessEnded(process, at: self.time.now()), of: unit)
        }
    }

    private func forget(_ unit: WatchedUnit) {
        if let timer = unit.timer { loop.cancel(timer) }
        unit.timer = nil
        processes.unwatch(unit.service.name)
        sampler.forget(unit: unit.service.name)
        if unit.process != nil { sink.mainProcess(of: unit.tracker.unit, is: nil) }
        unit.process = nil
        _ = continued(unit.rules, as: [], unit: unit.tracker.unit, route: unit.service.route)
    }
}

// MARK: Rules

extension AgentLoop {
    private func list(_ shown: [MetricName], _ rules: [RuleEvaluator]) -> MetricList {
        MetricList(shown + rules.flatMap(\.metrics))
    }

    private func named(_ values: [Double?], _ metrics: MetricList) -> [String: Double] {
        Dictionary(zip(metrics.keys, values).compactMap { key, value in value.map { (key, $0) } }) { first, _ in first }
    }

    private func judge(_ rules: inout [RuleEvaluator], by values: [String: Double], unit: WatchedUnit?, at now: Moment) {
        for index in rules.indices {
            let rule = rules[index].rule
            let detail: String
            let kind: Event.Kind
            switch rules[index].observe(Readings(values: values), at: now) {
            case .none: continue
            case .failed(let words): (kind, detail) = (.ruleFailed, words)
            case .recovered(let words): (kind, detail) = (.ruleRecovered, words)
            }
            let owner = unit == nil ? plan.hostRoute : unit?.service.route
            let routes = rule.alertRoutes.map { $0 ?? owner }
            record(ruleEvent(kind, rule, unit: unit?.tracker.unit, detail: detail, routes: routes, at: now))
            if kind == .ruleFailed, let unit, let initSystem = initSystems.first(where: { $0.name == unit.tracker.initSystem }) {
                actions?.run(rule, on: unit.tracker.unit, through: initSystem, routes: routes)
            }
        }
    }

    /// An event that calls somebody has an importance. A rule that only reloads or restarts has none: its event is in the history, and
    /// nobody is woken for it.
    private func ruleEvent(_ kind: Event.Kind, _ rule: Rule, unit: String?, detail: String, routes: [String?], at now: Moment) -> Event {
        Event(
            kind: kind, at: now.wall, unit: unit, rule: rule.text,
            importance: rule.alertRoutes.isEmpty ? nil : rule.importance ?? .error, detail: detail,
            routes: routes)
    }

    /// The evaluators of `rules`, with the history of those that were there before. An episode of a rule that is gone has ended.
    private func continued(_ evaluators: [RuleEvaluator], as rules: [Rule], unit: String?, route: String?) -> [RuleEvaluator] {
        var old = evaluators
        let next = rules.map { rule in
            guard let index = old.firstIndex(where: { $0.rule.judgesLike(rule) }) else {
                return RuleEvaluator(rule: rule, of: unit == nil ? .host : .service)
            }
            return old.remove(at: index).continued(with: rule)
        }
        let now = time.now()
        for evaluator in old where evaluator.isFailing {
            let rule = evaluator.rule
            let detail = "\(rule.condition.text) is not checked any longer"
            record(ruleEvent(.ruleRecovered, rule, unit: unit, detail: detail, routes: rule.alertRoutes.map { $0 ?? route }, at: now))
        }
        return next
    }
}

// MARK: Cycles

extension AgentLoop {
    private func endFirstLookIfComplete() {
        guard firstLookTimer != nil else { return }
        let isComplete = units.allSatisfy { unit in
            unit.tracker.wasSeen || unit.candidates.contains { failedSources[$0] != nil }
        }
        if isComplete { endFirstLook() }
    }

    private func endFirstLook() {
        guard isRunning, let timer = firstLookTimer else { return }
        loop.cancel(timer)
        firstLookTimer = nil
        cycle()
        startCycles()
        ready?()
        ready = nil
    }

    private func startCycles() {
        if let cycleTimer { loop.cancel(cycleTimer) }
        cycleTimer = loop.every(plan.cycle) { [weak self] in self?.cycle() }
    }
}

// MARK: Telling

extension AgentLoop {
    private func record(_ event: Event) {
        var event = event
        event.detail = bounded(event.detail)
        event.rule = event.rule.map(bounded)
        var facts: Logger.Metadata = ["kind": "\(event.kind.rawValue)", "detail": "\(event.detail)"]
        if let unit = event.unit { facts["unit"] = "\(unit)" }
        if let rule = event.rule { facts["rule"] = "\(rule)" }
        logger.info("event", metadata: facts)
        sink.record(event)
        tellSnapshotSoon()
    }

    /// Tells how things are at the end of this pass of the loop: one telling for all that happened in it.
    private func tellSnapshotSoon() {
        guard isRunning, snapshotTimer == nil else { return }
        snapshotTimer = loop.after(.zero) { [weak self] in self?.tellSnapshot() }
    }

    private func tellSnapshot() {
        if let timer = snapshotTimer { loop.cancel(timer) }
        snapshotTimer = nil
        sink.update(Snapshot(at: time.now().wall, units: units.map(state), samples: hostSamples))
    }

    private func state(of unit: WatchedUnit) -> UnitState {
        let tracker = unit.tracker
        // Of a source that does not answer, the last word is not the present.
        let speaker = tracker.initSystem.isEmpty ? unit.candidates.first ?? "" : tracker.initSystem
        let unknownSince = failedSources[speaker]
        return UnitState(
            name: tracker.unit, initSystem: tracker.initSystem, phase: unknownSince == nil ? tracker.phase : .unknown,
            since: unknownSince ?? tracker.since, mainPID: tracker.mainProcess?.pid, detail: bounded(tracker.detail), samples: unit.samples,
            failingRules: unit.rules.filter(\.isFailing).map { bounded($0.rule.text) })
    }

    /// By name, and no more than a report may carry.
    private func samples(_ values: [String: Double]) -> [Sample] {
        let named = values.filter { $0.value.isFinite && $0.key.utf8.count <= 200 }.sorted { $0.key < $1.key }
        return named.prefix(ReportLimits.samplesPerUnit).map { Sample($0.key, $0.value) }
    }

    /// As much of a text as a report may carry.
    private func bounded(_ text: String) -> String {
        guard text.utf8.count > ReportLimits.text else { return text }
        return String(decoding: text.utf8.prefix(ReportLimits.text - 8), as: UTF8.self) + "..."
    }
}

extension Rule {
    /// Whether the same samples have the same outcome; what is done about it may differ.
    fileprivate func judgesLike(_ other: Rule) -> Bool {
        condition.text == other.condition.text && persistence == other.persistence
    }
}
