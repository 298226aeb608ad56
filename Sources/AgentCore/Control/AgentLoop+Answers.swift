// What people and programs ask of the running agent.

public import AgentAPI
import Platform
import RuleLanguage

extension AgentLoop {
    /// Answers at once; what takes time is only begun.
    /// - Parameter asker: who asks, for the record.
    public func answer(_ request: AgentRequest, from asker: String) -> AgentAnswer {
        guard isRunning else { return .refused("the agent is not watching at present") }
        let now = time.now()
        switch request {
        case .status: return statusAnswer(at: now)
        case .show(let unit, let metric): return showAnswer(unit, metric)
        case .export: return exportAnswer(at: now)
        case .explain(let unit, let rule): return explainAnswer(unit, rule, at: now)
        case .history: return AgentAnswer(text: "", json: history.json)
        case .startDeploy(let units, let owner, let reason, let length):
            return startDeploy(units, owner: owner ?? asker, reason, length ?? plan.deployLength, at: now)
        case .finishDeploy(let units, let owner): return finishDeploy(units, owner: owner ?? asker, at: now)
        case .prepareDeploy, .checkDeploy, .cancelDeploy: return .refused("deploys are not judged by the watcher")
        case .testAlerts, .means: return .refused("the watcher does not know that")
        case .stopMonitoring(let units, let reason, let length): return stopMonitoring(units, owner: asker, reason, length, at: now)
        case .resumeMonitoring(let units): return resumeMonitoring(units, asker: asker, at: now)
        case .jobs: return jobsAnswer(at: now)
        case .jobStarted(let name): return jobStarted(name, at: now)
        case .jobDone(let name, let status): return jobDone(name, status ?? 0, at: now)
        case .act(let order, let unit): return act(order, on: unit, asker: asker)
        }
    }

    /// The unit of a name; an answer that says what there is when there is none.
    func unit(named name: String) -> Result<WatchedUnit, Refusal> {
        // What a check is called comes first: of two checks of one unit each has a name of its own.
        let found =
            units.first { !$0.isDiscovered && $0.service.name == name } ?? units.first { $0.isNamed(name) && !$0.isAlias }
            ?? units.first { $0.isNamed(name) }
        if let found { return .success(found) }
        let known = units.prefix(20).map(\.tracker.unit).joined(separator: ", ")
        return .failure(Refusal("no unit \(name) is watched" + (known.isEmpty ? "" : "; there are \(known)\(units.count > 20 ? ", ..." : "")")))
    }

    /// Why a list of units cannot be taken; `nil` when it can. A pattern may match what is not there yet.
    func problem(with names: [String]) -> String? {
        guard names.count <= 100 else { return "more than 100 units in one request" }
        for name in names {
            guard !name.isEmpty, name.utf8.count <= 256 else { return "a unit without a name, or with one of more than 256 bytes" }
            if isPattern(name) || plan.services.contains(where: { $0.name == name }) { continue }
            if case .failure(let refusal) = unit(named: name) { return refusal.problem }
        }
        return nil
    }
}

/// Why a request is not done.
struct Refusal: Error {
    var problem: String
    init(_ problem: String) { self.problem = problem }
}

extension AgentAnswer {
    static func refused(_ problem: String) -> AgentAnswer {
        AgentAnswer(isGood: false, text: "\(problem)\n", json: ["problem": .string(problem)])
    }

    static func done(_ text: String) -> AgentAnswer { AgentAnswer(text: "\(text)\n", json: ["done": .string(text)]) }
}

// MARK: Deploys and silence

extension AgentLoop {
    private func startDeploy(_ units: [String], owner: String, _ reason: String?, _ length: Duration, at now: Moment) -> AgentAnswer {
        if let problem = problem(with: units) { return .refused(problem) }
        guard (Duration.seconds(1)...Silences.longestDeploy).contains(length) else { return .refused("a deploy takes between 1 s and 7 days") }
        guard !silences.isFull else { return .refused("too many windows are open already") }
        let owner = shortened(owner, to: 100)
        let reason = reason.map { shortened($0, to: 500) }
        silences.start(units, owner: owner, reason: reason, at: now, length: length)
        saveStateSoon()
        let subject = subject(units.isEmpty ? [nil] : units)
        let until = (now.wall + length).text(fraction: false)
        let why = reason.map { ": \($0)" } ?? ""
        record(
            Event(
                kind: .deployStarted, at: now.wall, unit: subject.unit, detail: "deploy of \(subject.text) by \(owner)\(why); until \(until) at most",
                routes: []))
        return .done("deploy of \(subject.text) by \(owner) has begun; nobody is told and nothing acts until it is finished, or \(until)")
    }

    private func finishDeploy(_ units: [String], owner: String, at now: Moment) -> AgentAnswer {
        let count = silences.finish(units, owner: owner, at: now, grace: plan.cycle)
        saveStateSoon()
        guard count > 0 else {
            let open = Set(silences.windows.map(\.owner)).sorted().joined(separator: ", ")
            return .refused(
                open.isEmpty ? "no deploy is under way" : "\(owner) has no such deploy under way; there are deploys of \(open): name the owner")
        }
        let still = Set(silences.windows.map(\.owner)).sorted()
        let rest = still.isEmpty ? "" : "; still under way: deploys of \(still.joined(separator: ", "))"
        return .done("finished; what is not well in \(durationWords(plan.cycle)) is told\(rest)")
    }

    private func stopMonitoring(_ units: [String], owner: String, _ reason: String?, _ length: Duration?, at now: Moment) -> AgentAnswer {
        if let problem = problem(with: units) { return .refused(problem) }
        if let length, length <= .zero || length > Silences.longestSilence { return .refused("a silence takes between 1 s and a year") }
        guard !silences.isFull else { return .refused("too many silences already") }
        let owner = shortened(owner, to: 100)
        silences.stopMonitoring(units, owner: owner, reason: reason.map { shortened($0, to: 500) }, at: now, length: length)
        saveStateSoon()
        let subject = subject(units.isEmpty ? [nil] : units)
        let until = length.map { " until \((now.wall + $0).text(fraction: false))" } ?? " until somebody says so"
        let why = reason.map { ": \(shortened($0, to: 500))" } ?? ""
        record(
            Event(
                kind: .monitoringStopped, at: now.wall, unit: subject.unit,
                detail: "\(subject.text) is not monitored\(until), as \(owner) asked\(why)",
                routes: []))
        return .done("\(subject.text) is not monitored\(until)")
    }

    private func resumeMonitoring(_ units: [String], asker: String, at now: Moment) -> AgentAnswer {
        var ending = EndingSilences()
        for unit in self.units { ending.wrongBefore[unit.key] = wrongs(of: unit) }
        ending.hostWrongBefore = hostWrongs
        ending.unmonitored = silences.resumeMonitoring(units)
        saveStateSoon()
        guard !ending.unmonitored.isEmpty else {
            return .refused(units.isEmpty ? "everything is monitored" : "\(units.joined(separator: ", ")) is monitored already")
        }
        review(ending, at: now)
        return .done("\(subject(ending.unmonitored.map(\.unit)).text) is monitored again")
    }
}

// MARK: Jobs

extension AgentLoop {
    private func jobStarted(_ name: String, at now: Moment) -> AgentAnswer {
        if let refusal = unknownJob(name) { return refusal }
        jobs.started(name, at: now.wall)
        saveStateSoon()
        return .done("\(name) has started")
    }

    private func jobDone(_ name: String, _ status: Int32, at now: Moment) -> AgentAnswer {
        if let refusal = unknownJob(name) { return refusal }
        saveStateSoon()
        if let outcome = jobs.done(name, status: status, at: now.wall) { record(outcome, of: name, at: now) }
        return .done(status == 0 ? "\(name) is done" : "\(name) has failed with status \(status)")
    }

    private func unknownJob(_ name: String) -> AgentAnswer? {
        if jobs.records[name] != nil { return nil }
        let known = jobs.jobs.map(\.name).joined(separator: ", ")
        return .refused("there is no job \(shortened(name, to: 200))" + (known.isEmpty ? "; none is configured" : "; there are \(known)"))
    }

    private func jobsAnswer(at now: Moment) -> AgentAnswer {
        var table = TextTable(["job", "schedule", "state", "last ended", "due"])
        var list: [JSON] = []
        for job in jobs.jobs {
            guard let record = jobs.records[job.name] else { continue }
            let due = jobs.due(job)
            table.add([
                job.name, job.schedule.text, state(of: record), record.lastEnd?.text(fraction: false) ?? "never", due?.text(fraction: false) ?? "-",
            ])
            list.append([
                "name": .string(job.name), "schedule": .string(job.schedule.text), "state": .string(state(of: record)),
                "last_start": JSON(record.lastStart?.text()), "last_end": JSON(record.lastEnd?.text()),
                "last_status": record.lastStatus.map { .integer(Int64($0)) } ?? .null,
                "last_duration_ms": record.lastDuration.map { .integer($0.microseconds / 1000) } ?? .null, "due": JSON(due?.text()),
            ])
        }
        let started = timers.states
        for job in started {
            table.add([
                job.name, job.schedule, words(job.state), job.lastRun?.text(fraction: false) ?? "never", job.due?.text(fraction: false) ?? "-",
            ])
            list.append([
                "name": .string(job.name), "schedule": .string(job.schedule), "state": .string(words(job.state)),
                "last_start": JSON(job.lastRun?.text()), "due": JSON(job.due?.text()),
            ])
        }
        let hasNone = jobs.jobs.isEmpty && started.isEmpty
        return AgentAnswer(text: hasNone ? "no jobs are configured\n" : table.text, json: ["jobs": .array(list)])
    }

    /// A job's state for people.
    func words(_ state: JobState.State) -> String {
        switch state {
        case .tooLong: "runs too long"
        case .waiting, .running, .ok, .overdue, .failed: state.rawValue
        }
    }

    private func state(of record: JobRecord) -> String {
        switch record.trouble {
        case .overdue: "overdue"
        case .tooLong: "runs too long"
        case .failed(let status): "failed with \(status)"
        case nil: record.runningSince != nil ? "running" : record.lastEnd == nil ? "waiting" : "ok"
        }
    }
}

// MARK: Acting

extension AgentLoop {
    private func act(_ order: AgentRequest.UnitOrder, on name: String, asker: String) -> AgentAnswer {
        let unit: WatchedUnit
        switch self.unit(named: name) {
        case .success(let found): unit = found
        case .failure(let refusal): return .refused(refusal.problem)
        }
        let verb: UnitVerb =
            switch order {
            case .start: .start
            case .stop: .stop
            case .restart: .restart
            case .reload: .reload
            }
        actions?.run(verb, on: unit.key, askedBy: shortened(asker, to: 100))
        return .done("the \(order.rawValue) of \(unit.tracker.unit) has been asked for; an event says how it ended")
    }
}
