// Which units there are, and what becomes of them.

import AgentAPI
import Logging
import Platform
import RuleLanguage

extension AgentLoop: InitObserver {
    public func observed(_ observation: Observation, from initSystem: any InitSystem) {
        guard isRunning, let service = service(ofRequest: observation.request) else { return }
        note(whetherHidden: observation, of: service, from: initSystem)
        guard let unit = service.kind == .unit ? unitsByKey[service.name] : discovered(observation, by: service, from: initSystem),
            unit.candidates.contains(initSystem.name)
        else { return tellSilentSources() }
        let speaker = unit.chosen
        unit.answers[initSystem.name] = observation
        // While one init system answers for a unit, the others' news is not the unit's.
        if speaker == nil || speaker == initSystem.name || unit.resolve(silent: silentSources.names)?.0 != speaker { listen(to: unit) }
        tellSilentSources()
        endFirstLookIfComplete()
    }

    /// Hands the tracker what the init system says that answers for the unit.
    func listen(to unit: WatchedUnit) {
        guard let (name, answer) = unit.resolve(silent: silentSources.names) else { return }
        let wasSeen = unit.tracker.wasSeen
        act(on: unit.tracker.observe(answer, from: name, at: time.now()), of: unit)
        if !unit.isDiscovered, !wasSeen || unit.tracker.unit != unit.service.name { yieldToExplicit(unit) }
    }

    public func hostIsStopping(_ isStopping: Bool, as initSystem: any InitSystem) {
        guard isRunning, isStopping != hostIsStopping else { return }
        hostIsStopping = isStopping
        logger.info(isStopping ? "the host is being stopped" : "the host is not being stopped after all")
    }

    private func service(ofRequest name: String) -> WatchPlan.Service? {
        if let unit = unitsByKey[name], !unit.isDiscovered { return unit.service }
        return plan.services.first { $0.name == name }
    }

    /// The init systems that may answer for a service, the preferred one first.
    func candidates(for service: WatchPlan.Service) -> [String] {
        let names = initSystems.map(\.name)
        if service.pidFile != nil { return names.filter { $0 == Self.pidFileInit } }
        if let wanted = service.initSystem { return names.filter { $0 == wanted } }
        return names.filter { $0 != Self.pidFileInit }
    }

    func requests(to initSystem: any InitSystem) -> [UnitRequest] {
        plan.services.filter { candidates(for: $0).contains(initSystem.name) }.map {
            UnitRequest(name: $0.name, kind: $0.kind, pidFile: $0.pidFile)
        }
    }

    /// A unit that no init system of this host can answer for will not hear from one.
    func noticeAbsence(of unit: WatchedUnit) {
        guard unit.candidates.isEmpty, !unit.tracker.wasSeen else { return }
        let absent = Observation(request: unit.service.name, presence: .absent, unit: unit.service.name, activity: .stopped, detail: "")
        act(on: unit.tracker.observe(absent, from: "", at: time.now()), of: unit)
    }
}

// MARK: Init systems that cannot be asked

extension AgentLoop {
    public func sourceFailed(_ initSystem: any InitSystem, why: String) {
        guard isRunning, silentSources.fail(initSystem.name, why: why, at: time.now().wall) else { return }
        // What it said before is not the present, and not what it says when it is back.
        for unit in units { unit.answers[initSystem.name] = nil }
        // Units that waited for its word hear the others now.
        for unit in units where unit.candidates.contains(initSystem.name) { listen(to: unit) }
        tellSilentSources()
        tellSnapshotSoon()
        endFirstLookIfComplete()
    }

    public func sourceRecovered(_ initSystem: any InitSystem) {
        guard isRunning, let failure = silentSources.recover(initSystem.name) else { return }
        tellRecovery(of: initSystem.name, from: failure)
    }

    /// Keeps account of units about which an init system cannot be asked.
    private func note(whetherHidden observation: Observation, of service: WatchPlan.Service, from initSystem: any InitSystem) {
        guard observation.presence == .hidden || !silentSources.isEmpty else { return }
        let request = service.name
        // A unit that is hidden cannot say what its own name is.
        let unit = service.kind == .unit ? request : observation.unit
        if observation.presence == .hidden {
            silentSources.hide(unit, of: request, in: initSystem.name, why: observation.detail, at: time.now().wall)
            tellSnapshotSoon()
        } else if let failure = silentSources.show(unit, of: request, in: initSystem.name) {
            tellRecovery(of: initSystem.name, from: failure)
        }
    }

    func tellRecovery(of name: String, from failure: SilentSources.Failure) {
        tellSnapshotSoon()
        guard failure.isTold else { return }
        record(Event(kind: .sourceRecovered, at: time.now().wall, detail: "\(name) answers again"))
    }

    /// Says which init systems cannot be asked, as soon as something that is watched depends on them.
    func tellSilentSources() {
        guard silentSources.hasUntold else { return }
        let silent = silentSources.names
        for (name, isWhole, failure) in silentSources.untold {
            let isNeeded = units.contains { unit in
                (isWhole || unit.answers[name]?.presence == .hidden) && unit.depends(on: name, silent: silent)
            }
            guard isNeeded || plan.services.contains(where: { isForTellingOnly($0, name, isWhole) }) else { continue }
            silentSources.markTold(name, isWhole: isWhole)
            record(Event(kind: .sourceFailed, at: time.now().wall, importance: .error, detail: "\(name): \(failure.why)"))
        }
    }

    /// Whether a service of which no unit has been found yet waits for what an init system would tell.
    private func isForTellingOnly(_ service: WatchPlan.Service, _ name: String, _ isWhole: Bool) -> Bool {
        guard service.kind != .unit, candidates(for: service).contains(name) else { return false }
        if !isWhole { return silentSources.refuses(service.name, in: name) }
        // Failures of any kind are first of all those of the host's own init system.
        if service.kind == .failed { return candidates(for: service).first == name }
        return hasLooked && !units.contains { $0.isDiscovered && $0.service.name == service.name }
    }

    /// Why nothing is known of a unit at present; `nil` when something is.
    func doubt(about unit: WatchedUnit) -> SilentSources.Failure? {
        if silentSources.isEmpty { return nil }
        func failure(of name: String) -> SilentSources.Failure? {
            silentSources.failure(of: name, isHidden: unit.answers[name]?.presence == .hidden)
        }
        if let chosen = unit.chosen, unit.candidates.contains(chosen) {
            if let failure = failure(of: chosen) { return failure }
            if unit.answers[chosen]?.presence != .absent { return nil }
        }
        return unit.candidates.lazy.compactMap(failure).first
    }
}

// MARK: What the plan says

extension AgentLoop {
    /// Lists what is measured of each service, once, and one list for all of which the same is measured.
    func prepareServices() {
        serviceMetrics = [:]
        var lists: [SubjectMetrics.Need: SubjectMetrics] = [:]
        for service in plan.services {
            let rules = service.rules.map { RuleEvaluator(rule: $0, of: .service, cycle: plan.cycle) }
            let need = SubjectMetrics.Need(rules, families: service.sources.map(\.family))
            let metrics = lists[need] ?? SubjectMetrics(.service, always: Self.shownOfService, need)
            lists[need] = metrics
            serviceMetrics[service.name] = metrics
        }
    }

    /// A unit to watch, with what an earlier life of the agent knew of it.
    func watched(
        _ service: WatchPlan.Service, key: String? = nil, candidates given: [String]? = nil, answers: [String: Observation] = [:]
    ) -> WatchedUnit {
        let memory = remembered.take(key ?? service.name)
        let metrics = serviceMetrics[service.name] ?? SubjectMetrics(.service, always: Self.shownOfService, .init([]))
        let unit = WatchedUnit(
            service, key: key, metrics: metrics, candidates: given ?? candidates(for: service), answers: answers, cycle: plan.cycle,
            before: memory?.before(in: boot), run: memory?.run)
        if let memory { unit.recall(memory, boot: boot) }
        return unit
    }

    func reloadUnits(from old: WatchPlan) {
        let before = unitsByKey
        let found = units.filter(\.isDiscovered)
        prepareServices()
        units = plan.services.filter { $0.kind == .unit }.map { service in
            let candidates = candidates(for: service)
            guard let unit = before[service.name], !unit.isDiscovered, unit.service.pidFile == service.pidFile else { return watched(service) }
            return unit.isAnswered(by: candidates) ? unit : watched(service, candidates: candidates, answers: unit.answers)
        }
        for unit in found {
            guard let service = plan.services.first(where: { $0.name == unit.service.name && $0.kind == unit.service.kind }),
                !service.exceptions.contains(where: { matches(unit.tracker.unit, pattern: $0) })
            else { continue }
            units.append(unit)
        }
        unitsByKey = Dictionary(units.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        for (key, unit) in before where unitsByKey[key] !== unit { forget(unit) }
        for unit in units {
            guard let service = plan.services.first(where: { $0.name == unit.service.name }) else { continue }
            let route = unit.service.route
            unit.service = service
            if !unit.isDiscovered { unit.candidates = candidates(for: service) }
            unit.rules = continued(unit.rules, as: service.rules, of: unit, route: route)
            if let metrics = serviceMetrics[service.name] { unit.metrics = metrics }
            unit.sources.keep(unit.metrics.all.keys)
        }
        for unit in units where !unit.isDiscovered { yieldToExplicit(unit) }
    }
}

// MARK: Units that are found

extension AgentLoop {
    /// The unit that an observation for a pattern, or for failed units, is about. `nil` when it is none of this service's.
    private func discovered(_ observation: Observation, by service: WatchPlan.Service, from initSystem: any InitSystem) -> WatchedUnit? {
        let key = "\(service.name) \(observation.unit)"
        if let unit = unitsByKey[key] { return unit }
        guard observation.presence == .present, isWorthWatching(observation, by: service),
            !service.exceptions.contains(where: { matches(observation.unit, pattern: $0) })
        else { return nil }
        // An explicit check of a unit wins over a pattern, a pattern over `failed units`, and the first of equals over the others.
        if let other = units.first(where: { $0.isNamed(observation.unit) }) {
            guard rank(service) < rank(other.service), other.isDiscovered else { return nil }
            drop(other)
        }
        guard units.count < Self.mostUnits else {
            logger.warning("too many units, one is not watched", metadata: ["unit": "\(observation.unit)"])
            return nil
        }
        let unit = watched(service, key: key, candidates: [initSystem.name])
        units.append(unit)
        unitsByKey[key] = unit
        return unit
    }

    /// Nobody said that a unit should run which merely matches a pattern and has not run since.
    private func isWorthWatching(_ observation: Observation, by service: WatchPlan.Service) -> Bool {
        service.kind == .failed ? observation.activity == .failed : observation.activity != .stopped
    }

    private func rank(_ service: WatchPlan.Service) -> Int {
        let index = plan.services.firstIndex { $0.name == service.name } ?? 0
        return switch service.kind {
        case .unit: index
        case .pattern: index + 1_000_000
        case .failed: index + 2_000_000
        }
    }

    /// Leaves a unit to the check that names it.
    private func yieldToExplicit(_ explicit: WatchedUnit) {
        for unit in units where unit.isDiscovered && explicit.isNamed(unit.tracker.unit) { drop(unit) }
    }

    /// Stops watching a unit that was found.
    func drop(_ unit: WatchedUnit) {
        units.removeAll { $0 === unit }
        unitsByKey[unit.key] = nil
        forget(unit)
        history.forget(unit: unit.tracker.unit)
        tellSnapshotSoon()
    }
}

// MARK: A unit's life

extension AgentLoop {
    private func act(on decisions: [UnitTracker.Decision], of unit: WatchedUnit) {
        if let timer = unit.timer { loop.cancel(timer) }
        unit.timer = nil
        let now = time.now()
        for decision in decisions {
            switch decision {
            case .emit(let event):
                tell(event, of: unit, at: now)
            case .lookAgain(let uptime):
                // Cancelled when the unit is forgotten. Not weak: every cycle takes hold of every unit, which costs more where weak references are.
                unit.timer = loop.after(uptime - now.uptime) { [weak self] in
                    guard let self, self.isRunning else { return }
                    let now = self.time.now()
                    // Packages stop their services while they are upgraded, and start them again.
                    if unit.tracker.isAboutToTellStop, self.isChangingPackages(at: now) { unit.tracker.postponeStop(at: now) }
                    self.act(on: unit.tracker.look(at: now), of: unit)
                }
            }
        }
        noticeEndOfRun(unit, at: now)
        followMainProcess(of: unit)
        tellSnapshotSoon()
        actions?.look(at: unit.key)
        let isNoFailureAnyLonger = unit.service.kind == .failed && !unit.tracker.isDown && unit.tracker.observation?.activity != .failed
        if unit.isDiscovered, unit.timer == nil, unit.tracker.isGone || isNoFailureAnyLonger { drop(unit) }
    }

    private func tell(_ event: Event, of unit: WatchedUnit, at now: Moment) {
        // What only matched a pattern and is not there was never a unit to miss.
        if unit.isDiscovered, event.kind == .unitDown, unit.tracker.runs == 0, unit.tracker.isGone { return }
        switch event.kind {
        case .unitDown, .unitFailed:
            unit.lastDown = event.detail
            record(event, of: unit, .begins(.down))
        case .unitUp:
            record(event, of: unit, .ends(.down))
        default:
            record(event, of: unit, .passes)
        }
    }

    private func noticeEndOfRun(_ unit: WatchedUnit, at now: Moment) {
        let run = unit.tracker.isUp ? unit.tracker.runs : nil
        guard run != unit.run else { return }
        if unit.run != nil {
            for index in unit.rules.indices { unit.rules[index].startAnew() }
            sampler.forget(unit: unit.key)
            unit.values = []
            if unit.stall.isStuck {
                record(Event(kind: .unitUnstuck, at: now.wall, unit: unit.tracker.unit, detail: "its run has ended"), of: unit, .ends(.stuck))
            }
            unit.stall = Stall()
        }
        unit.run = run
    }

    private func followMainProcess(of unit: WatchedUnit) {
        let process = unit.tracker.mainProcess
        guard process != unit.process else { return }
        unit.process = process
        unit.execMark = nil
        sink.mainProcess(of: unit.tracker.unit, is: process)
        guard let process else { return processes.unwatch(unit.key) }
        processes.watch(process, for: unit.key) { [weak self] in
            guard let self, self.isRunning else { return }
            self.act(on: unit.tracker.mainProcessEnded(process, at: self.time.now()), of: unit)
            self.askWhatFollows(of: unit, after: Self.ownWordPatience)
        }
    }

    /// A main process has ended. An init system says by itself what that means for the unit, as a rule at once; but a process that has handed
    /// over to another is no change in its eyes, so that it has to be asked.
    private func askWhatFollows(of unit: WatchedUnit, after pause: Duration) {
        guard unit.tracker.awaitsWord else { return }
        loop.after(pause) { [weak self] in
            guard let self, self.isRunning, unit.tracker.awaitsWord,
                let initSystem = self.initSystems.first(where: { $0.name == unit.tracker.initSystem })
            else { return }
            initSystem.refresh(unit.tracker.unit) { [weak self] in self?.askWhatFollows(of: unit, after: Self.askAgainAfter) }
        }
    }

    private func forget(_ unit: WatchedUnit) {
        if let timer = unit.timer { loop.cancel(timer) }
        unit.timer = nil
        processes.unwatch(unit.key)
        sampler.forget(unit: unit.key)
        actions?.forget(unit.key, named: unit.tracker.unit, route: unit.service.route)
        if unit.process != nil { sink.mainProcess(of: unit.tracker.unit, is: nil) }
        unit.process = nil
        _ = continued(unit.rules, as: [], of: unit, route: unit.service.route)
    }
}

// MARK: For actions

extension AgentLoop: ActionGround {
    func standing(of unit: String) -> UnitStanding? {
        if unit == hostKey { return UnitStanding(unit: "host", isUp: true, runs: 0, downs: 0, route: plan.hostRoute) }
        guard let unit = unitsByKey[unit] else { return nil }
        let tracker = unit.tracker
        return UnitStanding(
            unit: tracker.unit, initSystem: initSystems.first { $0.name == tracker.initSystem }, observation: tracker.observation,
            isUp: tracker.isUp, runs: tracker.runs, downs: tracker.downs, mainProcess: tracker.mainProcess, cgroup: tracker.cgroup,
            route: unit.service.route)
    }

    func isFailing(_ rule: String, of unit: String) -> Bool {
        let rules = unit == hostKey ? host.rules : unitsByKey[unit]?.rules ?? []
        return rules.contains { $0.isFailing && $0.rule.text == rule }
    }

    func isTrueNow(_ rule: String, of unit: String) -> Bool {
        guard isFailing(rule, of: unit), let watched = unitsByKey[unit], watched.tracker.isUp || watched.tracker.isAtRest else {
            return isFailing(rule, of: unit)
        }
        return watched.rules.contains { $0.isFailing && $0.rule.text == rule && !$0.wasJudgedDown }
    }

    func silence(of unit: String) -> String? {
        let kind = unit == hostKey ? silences.ofHost : unitsByKey[unit].flatMap { planned(silenceOf: $0) }
        return switch kind {
        case nil: nil
        case .deploy(let owner): "a deploy of \(owner) is under way"
        case .unmonitored(let owner): "it is not monitored, as \(owner) asked"
        }
    }
}
