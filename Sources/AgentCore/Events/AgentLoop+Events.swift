// What happened, and who is told.

import AgentAPI
import Logging
import Platform
import RuleLanguage

/// What an event means for what is wrong with its subject.
enum EventEffect {
    case begins(WatchedUnit.Concern)
    case ends(WatchedUnit.Concern)
    /// It is over as soon as it is said.
    case passes
}

extension AgentLoop {
    /// Records what happened to a unit, or to the host. In a silence nobody is told; what was told to be wrong is told to be right, silence
    /// or not, so that nothing stays open for ever.
    func record(_ event: Event, of unit: WatchedUnit?, _ effect: EventEffect) {
        var event = event
        if let unit, event.routes == [nil], event.kind != .ruleFailed, event.kind != .ruleRecovered { event.routes = [unit.service.route] }
        let silence = unit.map(fullSilence) ?? silences.ofHost.map(UnitSilence.planned)
        switch effect {
        case .begins(let concern):
            setUntold(concern, of: unit, silence != nil || hostIsStopping)
            if let silence { mute(&event, silence) }
            if hostIsStopping { muteForTheStop(&event) }
        case .ends(let concern):
            if let unit, case .rule(let rule) = concern { recordWaitingFailures { $0.unit === unit && $0.rule == rule } }
            if isUntold(concern, of: unit) { event.routes = [] }
            setUntold(concern, of: unit, false)
        case .passes:
            if let silence { mute(&event, silence) }
            if [.unitRestarted, .unitStopped].contains(event.kind), let unit, !addRoutesOfOtherChecks(&event, of: unit) { return }
            if hostIsStopping { muteForTheStop(&event) }
        }
        record(event)
    }

    /// A restart or a stop has no end by which two reports of it could be told apart: where several checks watch one unit, the first one reports it to the
    /// owners of all.
    /// - Returns: whether this check is the first.
    private func addRoutesOfOtherChecks(_ event: inout Event, of unit: WatchedUnit) -> Bool {
        let checks = checks(ofUnit: unit.tracker.unit)
        guard !unit.isDiscovered, checks.count > 1 else { return true }
        guard checks.first === unit else { return false }
        for other in checks.dropFirst() where fullSilence(of: other) == nil && !event.routes.contains(other.service.route) {
            event.routes.append(other.service.route)
        }
        return true
    }

    /// What an action came to.
    func recordAction(_ event: Event) {
        guard let name = event.unit, let unit = units.first(where: { $0.tracker.unit == name }) else { return record(event) }
        record(event, of: unit, .passes)
    }

    func record(_ event: Event) {
        var event = event
        event.detail = bounded(event.detail)
        event.rule = event.rule.map(bounded)
        var facts: Logger.Metadata = ["kind": "\(event.kind.rawValue)", "detail": "\(event.detail)"]
        if let unit = event.unit { facts["unit"] = "\(unit)" }
        if let rule = event.rule { facts["rule"] = "\(rule)" }
        logger.debug("event", metadata: facts)
        sink.record(event)
        tellSnapshotSoon()
        saveStateSoon()
    }

    private func mute(_ event: inout Event, _ silence: UnitSilence) {
        if case .dependency(let name) = silence { event.detail += " (nobody is told, because \(name) is down)" }
        event.routes = []
    }

    private func muteForTheStop(_ event: inout Event) {
        event.detail += " (the host is being stopped)"
        event.routes = []
    }

    private func isUntold(_ concern: WatchedUnit.Concern, of unit: WatchedUnit?) -> Bool {
        unit?.untold.contains(concern) ?? host.untold.contains(concern)
    }

    private func setUntold(_ concern: WatchedUnit.Concern, of unit: WatchedUnit?, _ isUntold: Bool) {
        switch (unit, isUntold) {
        case (let unit?, true): unit.untold.insert(concern)
        case (let unit?, false): unit.untold.remove(concern)
        case (nil, true): host.untold.insert(concern)
        case (nil, false): host.untold.remove(concern)
        }
    }
}

// MARK: Several checks of one unit

extension AgentLoop {
    /// The checks that name a unit, in the order of the plan; several where they know it by different names: `mysql` and `mariadb`.
    func checks(ofUnit name: String) -> [WatchedUnit] { units.filter { $0.tracker.unit == name && !$0.isDiscovered } }
}

// MARK: How things are

extension AgentLoop {
    /// Tells how things are at the end of this pass of the loop: one telling for all that happened in it.
    func tellSnapshotSoon() {
        // Before the first look is over it would say of most units that nothing is known of them.
        guard isRunning, hasLooked, snapshotTimer == nil else { return }
        snapshotTimer = loop.after(.zero) { [weak self] in self?.tellSnapshot() }
    }

    /// At the end of a cycle in which something has happened, or whose numbers are wanted.
    func tellSnapshot(ofCycleAt now: Moment) {
        if snapshotTimer != nil || !hasToldSnapshot || sink.wantsNumbers(at: now.uptime) { tellSnapshot() }
        sink.cycleEnded(at: now.wall)
    }

    func tellSnapshot() {
        hasToldSnapshot = true
        if let timer = snapshotTimer { loop.cancel(timer) }
        snapshotTimer = nil
        let now = time.now()
        let snapshot = Snapshot(
            at: now.wall, units: unitStates, samples: host.samples, silences: reportedSilences(at: now), jobs: jobs.states + timers.states,
            isRunnerUp: plan.runnerWork.isEmpty ? nil : runnerFailure == nil)
        sink.update(snapshot)
    }

    /// One for each unit: what several checks of one unit know of it is said together.
    private var unitStates: [UnitState] {
        let states = units.map(state)
        guard units.contains(where: \.isAlias) else { return states }
        var places: [String: Int] = [:]
        var merged: [UnitState] = []
        for state in states {
            guard let place = places[state.name] else {
                places[state.name] = merged.count
                merged.append(state)
                continue
            }
            merged[place].failingRules += state.failingRules.filter { !merged[place].failingRules.contains($0) }
            let known = Set(merged[place].samples.map(\.metric))
            merged[place].samples += state.samples.filter { !known.contains($0.metric) }
        }
        return merged
    }

    func state(of unit: WatchedUnit) -> UnitState {
        let tracker = unit.tracker
        // Of a source that does not answer, the last word is not the present.
        let doubt = doubt(about: unit)
        let isStuck = unit.stall.isStuck || tracker.observation?.isFrozen ?? false
        let phase = tracker.phase == .up && isStuck ? .stuck : tracker.phase
        return UnitState(
            name: tracker.unit, initSystem: tracker.initSystem, phase: doubt == nil ? phase : .unknown,
            since: doubt?.since ?? tracker.since, mainPID: tracker.mainProcess?.pid, detail: bounded(doubt?.why ?? tracker.detail),
            samples: unit.samples,
            failingRules: unit.rules.filter(\.isFailing).map { bounded($0.rule.text) })
    }

    /// As much of a text as a report may carry.
    private func bounded(_ text: String) -> String {
        guard text.utf8.count > ReportLimits.text else { return text }
        return String(decoding: text.utf8.prefix(ReportLimits.text - 8), as: UTF8.self) + "..."
    }
}
