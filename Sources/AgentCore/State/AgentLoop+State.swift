// What outlives the agent: how rules stand, silences, jobs, limits of actions, restarts.

import Platform

extension AgentLoop {
    func restoreState(at now: Moment) {
        guard let state = stateFile?.read(at: now) else { return }
        RuleEvaluator.restore(state.host, to: &host.rules, boot: boot)
        remembered = state.units
        silences = state.silences
        jobs.restore(state.jobs, at: now.wall)
        actions?.restore(state.limits)
    }

    func saveStateIfDue(at now: Moment) {
        guard let stateFile, stateFile.isDue(at: now.uptime) else { return }
        saveState(at: now)
    }

    func saveState(at now: Moment) {
        guard let stateFile else { return }
        let limits = (actions?.limits ?? [:]).sorted { $0.key < $1.key }
        stateFile.write(
            [
                "version": 1,
                "host": RuleEvaluator.states(of: host.rules, boot: boot),
                "units": .object(units.compactMap { unit in unit.memory(boot: boot).map { .init(unit.key, $0) } }),
                "silences": silences.json(at: now),
                "jobs": jobs.json,
                "limits": .object(limits.map { .init($0.key, $0.value.json(at: now)) }),
            ], at: now.uptime)
    }
}
