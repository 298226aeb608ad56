// What outlives the agent: how rules stand, silences, jobs, limits of actions, restarts.

import Platform

extension AgentLoop {
    /// How long changes are gathered before they are written down.
    private static let gathering = Duration.milliseconds(250)

    func restoreState(at now: Moment) {
        guard let state = stateFile?.read(at: now) else { return }
        RuleEvaluator.restore(state.host, to: &host.rules, boot: boot)
        host.untold = state.hostUntold.intersection(hostWrongs)
        remembered = state.units
        remembered.keep(Set(plan.services.map(\.name)))
        silences = state.silences
        jobs.restore(state.jobs, at: now.wall)
        timers = state.timers
        lacksMeans = state.lacksMeans
        keepPlannedTimers()
        actions?.restore(state.limits)
    }

    /// Writes down soon what somebody was told, or asked for: the agent may end at any time without a word.
    func saveStateSoon() {
        guard isRunning, stateFile != nil, stateTimer == nil else { return }
        stateTimer = loop.after(Self.gathering) { [weak self] in
            guard let self else { return }
            self.saveState(at: self.time.now())
        }
    }

    func saveStateIfDue(at now: Moment) {
        guard let stateFile, stateFile.isDue(at: now.uptime) else { return }
        saveState(at: now)
    }

    func saveState(at now: Moment) {
        if let stateTimer { loop.cancel(stateTimer) }
        stateTimer = nil
        guard let stateFile else { return }
        let limits = (actions?.limits ?? [:]).sorted { $0.key < $1.key }
        let seen = units.compactMap { unit in unit.memory(boot: boot).map { JSON.Member(unit.key, $0) } }
        stateFile.write(
            [
                "version": 1,
                "host": RuleEvaluator.states(of: host.rules, boot: boot),
                "host_untold": untoldJSON(host.untold),
                "units": .object(seen + remembered.members(limit: Self.mostUnits - seen.count)),
                "silences": silences.json(at: now),
                "jobs": jobs.json,
                "timers": timers.json,
                "lacks_means": .bool(lacksMeans),
                "limits": .object(limits.map { .init($0.key, $0.value.json(at: now)) }),
            ], at: now.uptime)
    }
}
