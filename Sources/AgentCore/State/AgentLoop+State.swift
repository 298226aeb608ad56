// What outlives the agent: how rules stand, silences, jobs, limits of actions, restarts.

import Platform

extension AgentLoop {
    func restoreState(at now: Moment) {
        guard let json = stateFile?.read() else { return }
        RuleEvaluator.restore(json["host"] ?? .null, to: &host.rules, boot: boot)
        remembered = RememberedUnits(json["units"] ?? .null)
        silences = Silences(json["silences"] ?? .null, at: now)
        jobs.restore(json["jobs"] ?? .null, at: now.wall)
        var limits: [String: StormLimit] = [:]
        for member in (json["limits"]?.members ?? []).prefix(Self.mostUnits) { limits[member.name] = StormLimit(member.value, at: now) }
        actions?.restore(limits)
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
