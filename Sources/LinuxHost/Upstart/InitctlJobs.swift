// Upstart through its own tool, for hosts where neither of its sockets answers the agent.

import AgentCore
import Glibc
import Platform

/// Asks `initctl list` again and again: often while something is under way, at once when a main process ends (which the kernel tells),
/// every two seconds otherwise. What nobody can read from that list is not said: how a run ended, and whether a job failed or was stopped.
final class InitctlJobs {
    /// Where Upstart installs it.
    static let places = ["/sbin/initctl", "/usr/sbin/initctl"]

    private static let calm = Duration.seconds(2)
    private static let busy = Duration.milliseconds(250)
    /// How long a question may take; what changes something has the deadline of who asked for it.
    private static let patience = Duration.seconds(5)
    private static let mostOutput = 1 << 20

    private let tool: String
    private let loop: Loop
    private let answered: (Result<Void, ActionError>) -> Void
    private let proc = ProcFileSystem(root: "/")
    private let watcher: PidfdWatcher
    private let jobs: UnitJobs
    private var ledger = UnitLedger()
    private var watched: [String: ProcessIdentity] = [:]
    private var listing: ProgramRun?
    private var mustListAgain = false
    private var look: Loop.Timer?
    /// Of each unit that is being changed: what is run for it now.
    private var runs: [String: ProgramRun] = [:]
    private unowned let initSystem: any InitSystem
    private weak var observer: (any InitObserver)?

    /// - Parameter answered: hears after each question whether it was answered, before what it brought is said.
    init(tool: String, of initSystem: any InitSystem, loop: Loop, answered: @escaping (Result<Void, ActionError>) -> Void) {
        self.tool = tool
        self.initSystem = initSystem
        self.loop = loop
        self.answered = answered
        watcher = PidfdWatcher(loop: loop)
        jobs = UnitJobs(loop: loop)
    }

    func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        change(watching: requests)
    }

    func change(watching requests: [UnitRequest]) {
        ledger.change(to: requests)
        for unit in watched.keys where !ledger.isWanted(unit) { follow(nil, of: unit) }
        list(after: .zero)
    }

    /// - Parameter why: for those who wait for a job.
    func stop(_ why: String) {
        observer = nil
        if let look { loop.cancel(look) }
        look = nil
        listing?.forget()
        listing = nil
        for unit in watched.keys { watcher.unwatch(unit) }
        watched = [:]
        for run in runs.values { run.forget() }
        runs = [:]
        jobs.finishAll(why)
    }

    /// Says everything anew with the next answer.
    func forgetSaid() { ledger.forgetSaid() }

    // MARK: Asking

    private func list(after delay: Duration) {
        guard observer != nil else { return }
        if let look { loop.cancel(look) }
        look = loop.after(delay) { [weak self] in
            self?.look = nil
            self?.listNow()
        }
    }

    private func listNow() {
        guard observer != nil else { return }
        guard listing == nil else {
            mustListAgain = true
            return
        }
        let order = ProgramRun.Order(arguments: [tool, "list"], deadline: Self.patience, mostOutput: Self.mostOutput)
        listing = ProgramRun(order, on: loop) { [weak self] result in
            guard let self else { return }
            self.listing = nil
            let isBusy = self.learned(result)
            if self.mustListAgain {
                self.mustListAgain = false
                self.list(after: .zero)
            } else if self.look == nil {
                self.list(after: isBusy ? Self.busy : Self.calm)
            }
        }
    }

    /// Answers whether it will soon look different.
    private func learned(_ result: Result<ProgramRun.End, ActionError>) -> Bool {
        let statuses: [InitctlStatus]
        switch result {
        case .failure(let error):
            answered(.failure(error))
            return false
        case .success(let end):
            statuses = end.reason.isSuccess && !end.isCut ? initctlStatuses(parsing: end.output) : []
            if let problem = problem(with: end, statuses) {
                answered(.failure(ActionError("\(tool) list \(problem)")))
                return false
            }
        }
        answered(.success(()))
        var isBusy = false
        let now = SystemTime().now().wall
        let named = ledger.namedUnits
        for status in statuses where ledger.isWanted(status.unit) {
            // A job that was never started is nobody's concern, unless somebody names it.
            guard status.state != "waiting" || named.contains(status.unit) || ledger.report(of: status.unit) != nil else { continue }
            isBusy = note(status, others: statuses, at: now) || isBusy
        }
        let units = Set(statuses.map(\.unit))
        let known = Set(statuses.map(\.job))
        for unit in named.union(ledger.knownUnits) where !units.contains(unit) {
            let (job, _) = upstartJob(of: unit)
            if known.contains(job) { note(stopped(unit, others: statuses), of: unit, at: now) } else { gone(unit) }
        }
        return isBusy
    }

    private func problem(with end: ProgramRun.End, _ statuses: [InitctlStatus]) -> String? {
        if end.wasLate { return "was not done within \(secondsText(Self.patience))" }
        if !end.reason.isSuccess { return "\(end.reason) (\(inOneLine(end.output)))" }
        if end.isCut { return "printed more than \(Self.mostOutput) bytes" }
        return statuses.isEmpty ? "printed nothing about any job" : nil
    }

    private func note(_ status: InitctlStatus, others: [InitctlStatus], at now: Timestamp) -> Bool {
        let unit = status.unit
        guard status.state != "waiting" else {
            note(stopped(unit, others: others), of: unit, at: now)
            return jobs.isRunning(for: unit)
        }
        var process: ProcessIdentity?
        if let pid = status.mainPID {
            guard let stat = proc.stat(of: pid), !stat.hasEnded else {
                // Its process has ended, and Upstart has not taken note. What it makes of that is worth waiting for.
                follow(nil, of: unit)
                return true
            }
            process = ProcessIdentity(pid: pid, startTicks: stat.startTicks)
        }
        let report = status.report(process: process)
        note(report, of: unit, at: now)
        return !report.isUp || jobs.isRunning(for: unit)
    }

    /// An instance that has ended is not in the list any more; its job is.
    private func stopped(_ unit: String, others: [InitctlStatus]) -> UnitReport {
        let (job, instance) = upstartJob(of: unit)
        let instances = others.filter { $0.job == job && !$0.instance.isEmpty }.map(\.instance).sorted()
        var report = UnitReport(activity: .stopped, detail: "stop/waiting", canReload: true)
        if instance.isEmpty { report.detail += instancesHint(of: job, instances) }
        return report
    }

    private func note(_ report: UnitReport, of unit: String, at now: Timestamp) {
        follow(report.process, of: unit)
        for observation in ledger.note(unit, report, at: now) { observer?.observed(observation, from: initSystem) }
    }

    private func gone(_ unit: String) {
        follow(nil, of: unit)
        for observation in ledger.noteAbsence(of: unit) { observer?.observed(observation, from: initSystem) }
    }

    private func follow(_ process: ProcessIdentity?, of unit: String) {
        guard watched[unit] != process else { return }
        watched[unit] = process
        guard let process else { return watcher.unwatch(unit) }
        watcher.watch(process, for: unit) { [weak self] in self?.list(after: .zero) }
    }

    // MARK: Actions

    func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        guard let report = ledger.report(of: unit) else { return jobs.refuse("Upstart knows no job \(unit)", done) }
        if jobs.isRunning(for: unit) { return jobs.refuse("another job is under way for \(unit); a \(verb) would get in its way", done) }
        if verb != .start, report.isAtRest { return jobs.refuse("\(unit) is not running", done) }
        if case .signal(let number) = verb {
            guard let process = report.process else { return jobs.refuse("\(unit) has no main process", done) }
            let outcome = signal(number, to: process)
            loop.after(.zero) { done(outcome) }
            return
        }
        if verb != .reload { ledger.setChanging(unit, true) }
        // initctl has its own deadline; this one is for an initctl that cannot even be ended.
        jobs.begin(
            on: unit, deadline: deadline + .seconds(5), late: "the \(verb) of \(unit) cannot be ended",
            ended: { [weak self] in
                self?.runs[unit] = nil
                self?.ledger.setChanging(unit, false)
                self?.list(after: .zero)
            }, isDone: { _ in nil }, done)
        for observation in ledger.repeatKnown(at: SystemTime().now().wall) { observer?.observed(observation, from: initSystem) }
        let (job, instance) = upstartJob(of: unit)
        if instance.isEmpty {
            carryOut(verb, on: unit, [job], deadline)
        } else {
            findVariable(of: job, instance, verb, unit, deadline)
        }
        list(after: Self.busy)
    }

    /// An instance is named by a variable of its job. Asked for the status without one, initctl says which.
    private func findVariable(of job: String, _ instance: String, _ verb: UnitVerb, _ unit: String, _ deadline: Duration) {
        run(["status", job], for: unit, deadline) { [weak self] end in
            guard let self else { return }
            guard case .needsParameter(let variable) = InitctlRefusal(parsing: end.output) else {
                return self.finish(unit, "initctl does not say which variable names the instances of \(job)")
            }
            let words = [job, "\(variable)=\(instance)"]
            self.run(["status"] + words, for: unit, deadline) { end in
                // A name may be made of several variables; then this would be another instance, or none.
                let isIt = initctlStatuses(parsing: end.output).first.map { $0.unit == unit } ?? false
                guard isIt || InitctlRefusal(parsing: end.output) == .unknownInstance else {
                    return self.finish(unit, "\(variable)=\(instance) alone does not name the instance \(instance) of \(job)")
                }
                self.carryOut(verb, on: unit, words, deadline)
            }
        }
    }

    private func carryOut(_ verb: UnitVerb, on unit: String, _ words: [String], _ deadline: Duration) {
        run([verb.description] + words, for: unit, deadline) { [weak self] end in
            guard let self else { return }
            if end.wasLate {
                return self.finish(unit, "the \(verb) of \(unit) was not done within \(secondsText(deadline)); Upstart goes on with it")
            }
            if end.reason.isSuccess { return self.jobs.finish(unit, .success(())) }
            self.finish(unit, InitctlRefusal(parsing: end.output).words(verb, on: unit))
        }
    }

    private func run(_ words: [String], for unit: String, _ deadline: Duration, _ done: @escaping (ProgramRun.End) -> Void) {
        runs[unit] = ProgramRun(ProgramRun.Order(arguments: [tool] + words, deadline: deadline), on: loop) { [weak self] result in
            switch result {
            case .success(let end): done(end)
            case .failure(let error): self?.finish(unit, error.problem)
            }
        }
    }

    private func finish(_ unit: String, _ problem: String) { jobs.finish(unit, .failure(ActionError(problem))) }
}

extension InitctlStatus {
    /// - Parameter process: its main process, when that lives.
    fileprivate func report(process: ProcessIdentity?) -> UnitReport {
        var report = UnitReport(activity: .starting, detail: "\(goal)/\(state)", process: process, canReload: true)
        switch state {
        case "running": report.activity = goal == "start" ? .running : .stopping
        // Only a process that lives is asked to stop.
        case "pre-stopping", "pre-stop":
            report.activity = .stopping
            report.isAsked = true
        // On the way to the next start, or to rest.
        case "stopping", "killed", "post-stopping", "post-stop": report.activity = goal == "start" ? .restarting : .stopping
        // starting, security, pre-start, spawned, post-start, and whatever other releases have on the way there
        default: report.activity = goal == "start" ? .starting : .stopping
        }
        return report
    }
}

extension InitctlRefusal {
    fileprivate func words(_ verb: UnitVerb, on unit: String) -> String {
        switch self {
        case .unknownJob: "Upstart knows no job \(unit)"
        case .unknownInstance: "\(unit) is not running"
        case .needsParameter(let variable): "\(unit) has instances, named by \(variable): Upstart can \(verb) only one of them"
        case .isRunning: "\(unit) is running already"
        case .failedToStart: "\(unit) failed to start"
        case .notAllowed: upstartDenial(of: verb, on: unit)
        case .other(let words): "Upstart refused the \(verb) of \(unit): \(words)"
        }
    }
}
