// Services that are started and stopped by running something, as SysV and OpenRC have them.

public import AgentCore
import Glibc
import Platform

/// How one init system of that family names, reads and commands its services.
protocol ScriptedServiceKind {
    var name: String { get }
    /// All services that there are.
    func names() -> [String]
    /// - Parameter pidFile: where the rule file says that the pid is.
    func read(_ name: String, pidFile: String?, at now: Moment) -> ScriptedService
    /// The folders in which a change of the service shows.
    func folders(of name: String, pidFile: String?) -> Set<String>
    /// What to run.
    func command(_ verb: UnitVerb, on name: String) -> Result<[String], ActionError>
}

/// What the files of a service tell.
enum ScriptedService {
    case absent
    /// There may be such a service, and the agent cannot find out how it is; why, for a person.
    case hidden(String)
    case known(UnitReport)
}

/// Watches services through their files, by inotify and pidfds, and a timer for what neither tells; runs one program at a time for
/// each of them.
public class ScriptedServices: InitSystem {
    public var name: String { kind.name }
    private let kind: any ScriptedServiceKind
    private let loop: Loop
    private let watcher: PidfdWatcher
    private let jobs: UnitJobs
    private var ledger = UnitLedger()
    private var pidFiles: [String: String] = [:]
    private var notifier: FolderWatcher?
    private var watched: [String: ProcessIdentity] = [:]
    private var runs: [String: ProgramRun] = [:]
    /// Processes that a stop of ours has ended; a pid file that still names one is no sign of a failure.
    private var ended: [String: ProcessIdentity] = [:]
    private let proc = ProcFileSystem(root: "/")
    private var patience = PidFilePatience()
    private var timer: Loop.Timer?
    private weak var observer: (any InitObserver)?

    init(_ kind: any ScriptedServiceKind, loop: Loop) {
        self.kind = kind
        self.loop = loop
        watcher = PidfdWatcher(loop: loop)
        jobs = UnitJobs(loop: loop)
    }

    public func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        notifier = FolderWatcher(loop: loop) { [weak self] _ in self?.look() }
        change(watching: requests)
        timer = loop.every(.seconds(10)) { [weak self] in self?.look() }
    }

    public func change(watching requests: [UnitRequest]) {
        ledger.change(to: requests)
        pidFiles = Dictionary(requests.compactMap { request in request.pidFile.map { (request.name, $0) } }) { first, _ in first }
        for name in watched.keys where !ledger.isWanted(name) { follow(nil, of: name) }
        loop.after(.zero) { [weak self] in self?.look() }
    }

    public func stop() {
        observer = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        notifier?.stop()
        notifier = nil
        for name in watched.keys { watcher.unwatch(name) }
        watched = [:]
        for run in runs.values { run.forget() }
        runs = [:]
        jobs.finishAll("the agent stopped before \(kind.name) was done")
    }

    private func look() {
        guard observer != nil else { return }
        let candidates = ledger.wantsAll ? kind.names().filter(ledger.isWanted) : []
        let names = ledger.namedUnits.union(candidates + ledger.knownUnits)
        for name in names.sorted() { check(name) }
        notifier?.watch(names.reduce(into: []) { $0.formUnion(kind.folders(of: $1, pidFile: pidFiles[$1])) })
    }

    private func check(_ name: String) {
        guard observer != nil else { return }
        let now = SystemTime().now()
        // A name with a slash would lead elsewhere.
        let isName = !name.isEmpty && !name.contains("/") && !name.hasPrefix(".")
        var report: UnitReport
        switch isName ? kind.read(name, pidFile: pidFiles[name], at: now) : .absent {
        case .known(let found): report = found
        // What is known of its process stays known as long as that runs.
        case .hidden where isAlive(watched[name]): return
        case .hidden(let why): return tell(ledger.noteHidden(name, why: why))
        case .absent:
            follow(nil, of: name)
            patience.forget(name)
            return tell(ledger.noteAbsence(of: name))
        }
        if let wait = patience.wait(for: name, watched[name], isNamed: report.process != nil, proc: proc, at: now.uptime) {
            loop.after(wait) { [weak self] in self?.check(name) }
            return
        }
        follow(report.process, of: name)
        if report.process != nil { ended[name] = nil }
        if report.activity == .failed, ended[name] != nil {
            report.activity = .stopped
            report.detail = "stopped"
        }
        tell(ledger.note(name, report, at: now.wall))
        jobs.note(report, of: name)
    }

    private func isAlive(_ process: ProcessIdentity?) -> Bool {
        guard let process, let stat = proc.stat(of: process.pid) else { return false }
        return stat.startTicks == process.startTicks && !stat.hasEnded
    }

    private func follow(_ process: ProcessIdentity?, of name: String) {
        guard watched[name] != process else { return }
        watched[name] = process
        guard let process else { return watcher.unwatch(name) }
        watcher.watch(process, for: name) { [weak self] in self?.check(name) }
    }

    public func refresh(_ unit: String, _ done: @escaping () -> Void) {
        if ledger.isWanted(unit) { check(unit) }
        done()
    }

    private func tell(_ news: [Observation]) {
        for observation in news { observer?.observed(observation, from: self) }
    }

    // MARK: Actions

    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        guard let report = ledger.report(of: unit) else { return jobs.refuse("\(kind.name) knows no service \(unit)", done) }
        if jobs.isRunning(for: unit) { return jobs.refuse("another job is under way for \(unit); a \(verb) would get in its way", done) }
        if case .signal(let number) = verb {
            guard let process = report.process else { return jobs.refuse("\(unit) is not running (\(report.detail))", done) }
            let outcome = signal(number, to: process)
            loop.after(.zero) { done(outcome) }
            return
        }
        if verb == .reload, !report.isUp { return jobs.refuse("\(unit) is not running (\(report.detail))", done) }
        if verb == .reload, report.canReload == false { return jobs.refuse("\(unit) cannot be reloaded: its script has no such verb", done) }
        switch kind.command(verb, on: unit) {
        case .failure(let error): jobs.refuse(error.problem, done)
        case .success(let arguments): run(arguments, verb, unit, deadline, before: report.process, done)
        }
    }

    private func run(
        _ arguments: [String], _ verb: UnitVerb, _ unit: String, _ deadline: Duration, before: ProcessIdentity?,
        _ done: @escaping (Result<Void, ActionError>) -> Void
    ) {
        if verb != .reload { ledger.setChanging(unit, true) }
        // The program has its own deadline; this one is for a program that cannot even be ended.
        jobs.begin(
            on: unit, deadline: deadline + .seconds(5), late: "the \(verb) of \(unit) cannot be ended",
            ended: { [weak self] in
                guard let self else { return }
                self.runs[unit] = nil
                self.ledger.setChanging(unit, false)
                self.loop.after(.zero) { self.look() }
            }, isDone: { _ in nil }, done)
        check(unit)
        runs[unit] = ProgramRun(ProgramRun.Order(arguments: arguments, deadline: deadline), on: loop) { [weak self] result in
            guard let self else { return }
            if verb == .stop, case .success(let end) = result, end.reason.isSuccess, !end.wasLate { self.ended[unit] = before }
            self.look()
            self.jobs.finish(unit, self.outcome(result, verb, unit, deadline))
        }
    }

    private func outcome(
        _ result: Result<ProgramRun.End, ActionError>, _ verb: UnitVerb, _ unit: String, _ deadline: Duration
    ) -> Result<Void, ActionError> {
        switch result {
        case .success(let end) where end.wasLate:
            return .failure(ActionError("the \(verb) of \(unit) was not done within \(secondsText(deadline)) and was ended"))
        case .success(let end) where end.reason.isSuccess: return .success(())
        case .success(let end):
            // The numbers that the Linux Standard Base gives to init scripts.
            let meaning =
                switch end.reason {
                case .exited(status: 3): ": it does not know that verb"
                case .exited(status: 4): ": the agent's user may not do that"
                case .exited(status: 5): ": its program is not installed"
                case .exited(status: 6): ": it is not configured"
                case .exited(status: 7): ": it is not running"
                default: ""
                }
            let words = inOneLine(end.output)
            return .failure(ActionError("the \(verb) of \(unit) failed: its script \(end.reason)\(meaning)" + (words.isEmpty ? "" : " (\(words))")))
        case .failure(let error): return .failure(ActionError("the \(verb) of \(unit) \(error.problem)"))
        }
    }
}
