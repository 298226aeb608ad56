// supervisord, over its XML-RPC interface.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// The processes of a supervisord. It tells outsiders nothing by itself: the kernel tells of an end (pidfd), and of a line in its log
/// (inotify), which it writes whenever a process changes. Either way it is asked then; often while something is under way; and every
/// five seconds otherwise.
///
/// A program with several processes, and a `[group:...]`, can be watched by its name as one unit (see `SupervisordGroup`).
public final class SupervisordInit: InitSystem {
    public let name = "supervisord"

    static let configurations = ["/etc/supervisor/supervisord.conf", "/etc/supervisord.conf", "/etc/supervisord/supervisord.conf"]
    private static let calm = Duration.seconds(5)
    private static let busy = Duration.milliseconds(250)
    /// Between two looks because of the log, which may hold more than changes.
    private static let logPause = Duration.seconds(1)
    private static let patience = Duration.seconds(5)
    /// How often it is asked how its programs are configured.
    private static let betweenConfigurations = Duration.seconds(300)

    private let loop: Loop
    private let configurations: [String]
    private let logger: Logger
    private let proc = ProcFileSystem(root: "/")
    private let watcher: PidfdWatcher
    private let jobs: UnitJobs
    private var ledger = UnitLedger()
    private weak var observer: (any InitObserver)?
    private var calls: [ObjectIdentifier: HTTPCall] = [:]
    private var isAsking = false
    /// How many lists have been asked for, and the number of the one that is being read.
    private var (lists, listed) = (0, 0)
    /// Something is under way, and will soon look different.
    private var isBusy = false
    private var mustAskAgain = false
    private var look: Loop.Timer?
    private var watched: [String: ProcessIdentity] = [:]
    private var exits: [String: ExitReason] = [:]
    private var log: FolderWatcher?
    private var lookedForLog: Duration?
    /// Groups that are watched as one unit, with the names of their processes.
    private var groups: [String: [String]] = [:]
    /// How often each of these processes has been restarted, and which of a group was restarted last.
    private var restarts: [String: Int] = [:]
    private var lastRestarted: [String: String] = [:]
    /// The processes that are configured, those of them that are not started by themselves, and when that was asked.
    private var configured: (all: Set<String>, manual: Set<String>, at: Duration)?
    /// Called when the next answer has come, or none.
    private var refreshes: [() -> Void] = []
    private var wasThere = false
    private var hasFailed = false

    /// - Parameter configuration: the path of supervisord.conf; `nil` for the usual ones.
    public init(loop: Loop, configuration: String? = nil, logger: Logger) {
        self.loop = loop
        configurations = configuration.map { [$0] } ?? Self.configurations
        self.logger = logger
        watcher = PidfdWatcher(loop: loop)
        jobs = UnitJobs(loop: loop)
    }

    static var isHere: Bool { configurations.contains { access($0, F_OK) == 0 } }

    // MARK: InitSystem

    public func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        log = FolderWatcher(loop: loop, for: FolderWatcher.writes) { [weak self] _ in self?.logGrew() }
        change(watching: requests)
    }

    public func change(watching requests: [UnitRequest]) {
        ledger.change(to: requests.filter { $0.pidFile == nil })
        for unit in watched.keys where !ledger.isWanted(unit) { follow(nil, of: unit) }
        exits = exits.filter { ledger.isWanted($0.key) }
        ask(after: .zero)
    }

    public func stop() {
        observer = nil
        if let look { loop.cancel(look) }
        look = nil
        log?.stop()
        log = nil
        for call in calls.values { call.cancel() }
        calls = [:]
        isAsking = false
        for unit in watched.keys { watcher.unwatch(unit) }
        watched = [:]
        endRefreshes()
        jobs.finishAll("the agent stopped before supervisord was done")
    }

    // MARK: Asking

    private func ask(after delay: Duration) {
        guard observer != nil else { return }
        if let look { loop.cancel(look) }
        look = loop.after(delay) { [weak self] in
            self?.look = nil
            self?.askNow()
        }
    }

    private func logGrew() {
        let now = SystemTime().now().uptime
        guard let last = lookedForLog, now - last < Self.logPause else {
            lookedForLog = now
            // The line is written before the change is complete.
            return ask(after: .milliseconds(20))
        }
        if look == nil || !isBusy { ask(after: last + Self.logPause - now) }
    }

    private func askNow() {
        guard observer != nil, !isAsking else {
            mustAskAgain = true
            return
        }
        isAsking = true
        let now = SystemTime().now().uptime
        guard configured.map({ now - $0.at >= Self.betweenConfigurations }) ?? true else { return list(mayConfigure: true) }
        configure { [weak self] in self?.list(mayConfigure: false) }
    }

    /// Learns how the programs are configured. A supervisord that does not tell has none that is to be treated otherwise.
    private func configure(_ done: @escaping () -> Void) {
        call("supervisor.getAllConfigInfo", []) { [weak self] result in
            if let self, case .success(let answer) = result {
                let known = SupervisordProcess.configured(answer) ?? (all: [], manual: [])
                self.configured = (known.all, known.manual, SystemTime().now().uptime)
            }
            done()
        }
    }

    private func list(mayConfigure: Bool) {
        lists += 1
        let number = lists
        call("supervisor.getAllProcessInfo", []) { [weak self] result in
            guard let self else { return }
            self.listed = number
            if case .success(let answer) = result, let names = SupervisordProcess.list(answer).map({ Set($0.map(\.name)) }) {
                // One that has been added since may be meant to be started by hand.
                if mayConfigure, !names.isSubset(of: self.configured?.all ?? []) {
                    return self.configure { [weak self] in self?.list(mayConfigure: false) }
                }
                self.configured?.all.formUnion(names)
            }
            self.isAsking = false
            switch result {
            case .success(let answer): self.learned(answer)
            case .failure(let problem): self.unreachable(problem)
            }
            self.endRefreshes()
            if self.mustAskAgain {
                self.mustAskAgain = false
                self.ask(after: .zero)
            }
        }
    }

    public func refresh(_ unit: String, _ done: @escaping () -> Void) {
        refreshes.append(done)
        ask(after: .zero)
    }

    private func endRefreshes() {
        let ended = refreshes
        refreshes = []
        for done in ended { done() }
    }

    private func learned(_ answer: XMLRPCAnswer) {
        guard let processes = SupervisordProcess.list(answer) else {
            return unreachable(.problem("supervisord answered with something that is not a list of processes"))
        }
        wasThere = true
        recovered()
        let now = SystemTime().now().wall
        let names = Set(processes.map(\.name))
        groups = Dictionary(grouping: processes.filter { ledger.namedUnits.contains($0.group) && !names.contains($0.group) }, by: \.group)
            .mapValues { $0.map(\.name) }
        ledger.parts = Set(groups.values.joined())
        lastRestarted = lastRestarted.filter { groups[$0.key] != nil }
        restarts = restarts.filter { names.contains($0.key) }
        isBusy = false
        for process in processes where groups[process.group] != nil || ledger.isWanted(process.name) { isBusy = note(process, at: now) || isBusy }
        for (group, members) in groups { note(members, of: group, at: now) }
        for unit in ledger.namedUnits.union(ledger.knownUnits) where !names.contains(unit) && groups[unit] == nil { gone(unit) }
        if look == nil { ask(after: isBusy ? Self.busy : Self.calm) }
    }

    private func recovered() {
        guard hasFailed else { return }
        hasFailed = false
        logger.info("supervisord recovered as a source")
        ledger.forgetSaid()
        observer?.sourceRecovered(self)
    }

    /// A group as one unit, as soon as each of its processes has been seen.
    private func note(_ members: [String], of group: String, at now: Timestamp) {
        let reports = members.compactMap { name in ledger.report(of: name).map { (name, $0) } }
        guard reports.count == members.count else { return }
        for name in members {
            let count = ledger.restarts(of: name)
            if count > restarts[name] ?? 0 { lastRestarted[group] = name }
            restarts[name] = count
        }
        var report = supervisordGroup(reports, restarted: lastRestarted[group])
        report.restarts = members.reduce(0) { $0 + ledger.restarts(of: $1) }
        tell(report, of: group, at: now)
    }

    /// Answers whether it will soon look different.
    private func note(_ process: SupervisordProcess, at now: Timestamp) -> Bool {
        let unit = process.name
        let isManual = configured?.manual.contains(unit) ?? false
        let stat = process.pid > 0 ? proc.stat(of: process.pid) : nil
        if let stat, !stat.hasEnded {
            let identity = ProcessIdentity(pid: process.pid, startTicks: stat.startTicks)
            follow(identity, of: unit)
            tell(process.report(process: identity, lastExit: exits[unit], isManual: isManual), of: unit, at: now)
        } else if process.pid > 0 {
            // Its process has ended, and supervisord has not taken note. What it makes of that is worth waiting for.
            follow(nil, of: unit)
            return true
        } else {
            follow(nil, of: unit)
            if process.state == .exited { exits[unit] = process.exit }
            tell(process.report(process: nil, lastExit: nil, isManual: isManual), of: unit, at: now)
        }
        return [.starting, .stopping, .backoff].contains(process.state) || process.mayBeStartedAgain || jobs.isRunning(for: unit)
    }

    private func tell(_ report: UnitReport, of unit: String, at now: Timestamp) {
        for observation in ledger.note(unit, report, at: now) { observer?.observed(observation, from: self) }
        jobs.note(report, of: unit)
    }

    private func gone(_ unit: String) {
        follow(nil, of: unit)
        for observation in ledger.noteAbsence(of: unit) { observer?.observed(observation, from: self) }
        jobs.finish(unit, .failure(ActionError("supervisord does not know \(unit) any longer")))
    }

    private func follow(_ process: ProcessIdentity?, of unit: String) {
        guard watched[unit] != process else { return }
        watched[unit] = process
        guard let process else { return watcher.unwatch(unit) }
        watcher.watch(process, for: unit) { [weak self] in self?.ask(after: .zero) }
    }

    private func unreachable(_ problem: CallProblem) {
        defer { if look == nil { ask(after: Self.calm) } }
        if case .notThere = problem, !wasThere {
            // At boot it may start later than the agent.
            guard !isBooting(SystemTime().now()) else { return }
            // A supervisord that nobody has started knows nothing.
            recovered()
            for unit in ledger.namedUnits { gone(unit) }
            return
        }
        configured = nil
        guard !hasFailed else { return }
        hasFailed = true
        jobs.finishAll("supervisord cannot be asked any longer; whether the job was done is unknown")
        logger.info("supervisord failed as a source", metadata: ["why": "\(problem.words)"])
        observer?.sourceFailed(self, why: problem.words)
    }

    // MARK: Actions

    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        guard !hasFailed else { return jobs.refuse("supervisord cannot be reached at present", done) }
        guard let report = ledger.report(of: unit) else { return jobs.refuse("supervisord knows no process \(unit)", done) }
        if jobs.isRunning(for: unit) { return jobs.refuse("another job is under way for \(unit); a \(verb) would get in its way", done) }
        switch verb {
        case .reload, .signal:
            guard report.process != nil || report.isUp else { return jobs.refuse("\(unit) is not running (\(report.detail))", done) }
            let number = if case .signal(let number) = verb { number } else { SIGHUP }
            call("supervisor.signalProcess", [.string(target(unit)), .string("\(number)")], deadline: deadline) { done(outcome($0, verb, unit)) }
        case .stop:
            if report.isStopped { return answer(done) }
            begin(verb, unit, deadline, done) { $0.isStopped ? .success(()) : nil }
            take(Step(), "supervisor.stopProcess", verb, unit)
        case .start:
            if report.isUp { return answer(done) }
            let start = Step()
            begin(verb, unit, deadline, done, until: isStarted(unit, after: start))
            take(start, "supervisor.startProcess", verb, unit)
        case .restart:
            let start = Step()
            let isStarted = isStarted(unit, after: start)
            var wasStopped = report.isStopped
            begin(verb, unit, deadline, done) { [weak self] now in
                if wasStopped { return isStarted(now) }
                guard now.isStopped else { return nil }
                wasStopped = true
                self?.take(start, "supervisor.startProcess", verb, unit)
                return nil
            }
            if wasStopped { take(start, "supervisor.startProcess", verb, unit) } else { take(Step(), "supervisor.stopProcess", verb, unit) }
        }
    }

    /// What supervisord calls a unit: all processes of a group are `NAME:*`.
    private func target(_ unit: String) -> String { groups[unit] == nil ? unit : "\(unit):*" }

    /// One call of a job.
    private final class Step {
        /// Lists asked for after this one show what has come of it. An earlier one may arrive later than the call's answer.
        var answeredAfter: Int?
    }

    /// It is as it was asked to be.
    private func answer(_ done: @escaping (Result<Void, ActionError>) -> Void) { loop.after(.zero) { done(.success(())) } }

    /// - Parameter call: whose answer comes before all that the start has brought about.
    private func isStarted(_ unit: String, after call: Step) -> (UnitReport) -> Result<Void, ActionError>? {
        { [weak self] now in
            guard let self, let number = call.answeredAfter, listed > number else { return nil }
            if now.isUp { return .success(()) }
            return now.isAtRest && !now.isPartlyUp ? .failure(ActionError("\(unit) was started and does not run (\(now.detail))")) : nil
        }
    }

    private func begin(
        _ verb: UnitVerb, _ unit: String, _ deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void,
        until isDone: @escaping (UnitReport) -> Result<Void, ActionError>?
    ) {
        ledger.setChanging(unit, true)
        for observation in ledger.repeatKnown(at: SystemTime().now().wall) { observer?.observed(observation, from: self) }
        jobs.begin(
            on: unit, deadline: deadline, late: "the \(verb) of \(unit) was not done within \(secondsText(deadline)); supervisord goes on with it",
            ended: { [weak self] in
                self?.ledger.setChanging(unit, false)
                self?.ask(after: .zero)
            }, isDone: isDone, done)
    }

    /// Makes a call that does not wait for the process; the looks that follow do.
    private func take(_ step: Step, _ method: String, _ verb: UnitVerb, _ unit: String) {
        call(method, [.string(target(unit)), .boolean(false)]) { [weak self] result in
            guard let self else { return }
            step.answeredAfter = self.lists
            if case .failure(let error) = outcome(result, verb, unit) { self.jobs.finish(unit, .failure(error)) }
            self.ask(after: .milliseconds(50))
        }
    }

    // MARK: Calls

    private func call(
        _ method: String, _ arguments: [XMLRPCValue], deadline: Duration = patience, _ done: @escaping (Result<XMLRPCAnswer, CallProblem>) -> Void
    ) {
        let (path, settings, problem) = settings()
        log?.watch(Set([settings?.logFile].compactMap { $0 }))
        guard let settings else {
            loop.after(.zero) { done(.failure(problem)) }
            return
        }
        let body = xmlRPCCall(method, arguments)
        var head = "POST /RPC2 HTTP/1.0\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: \(body.count)\r\n"
        if let username = settings.username, let password = settings.password {
            head += "Authorization: Basic \(base64("\(username):\(password.reveal())".utf8))\r\n"
        }
        var key: ObjectIdentifier?
        let call = HTTPCall(settings.address, request: Array("\(head)\r\n".utf8) + body, deadline: min(deadline, Self.patience), on: loop) {
            [weak self] result in
            if let key { self?.calls[key] = nil }
            switch result {
            case .success(let body):
                done(XMLRPCAnswer(parsing: body).map { .success($0) } ?? .failure(.problem("supervisord answered with broken XML")))
            case .failure(.notThere): done(.failure(.notThere("supervisord does not run: nothing listens at \(settings.address.words)")))
            case .failure(.notAllowed): done(.failure(.problem(settings.address.refusal(in: path))))
            case .failure(.wrongPassword):
                done(
                    .failure(
                        .problem(
                            "the agent may not ask supervisord: it refuses the username and password of \(path), which have to be those that it was started with"
                        )))
            case .failure(.problem(let words)): done(.failure(.problem("supervisord at \(settings.address.words): \(words)")))
            }
        }
        key = ObjectIdentifier(call)
        calls[ObjectIdentifier(call)] = call
    }

    /// Read anew for each call: it is small, and a supervisord that was configured anew is found without a restart of the agent.
    private func settings() -> (path: String, SupervisordConfiguration?, CallProblem) {
        for path in configurations {
            guard access(path, F_OK) == 0 else { continue }
            guard let text = readFile(path, limit: 1 << 18) else {
                let help = errno == EACCES ? "; let the group \(ownGroup) read it" : ""
                return (path, nil, .problem("the agent cannot read \(path): \(String(cString: strerror(errno)))\(help)"))
            }
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            let settings = SupervisordConfiguration(parsing: text, folder: folder)
            return (path, settings, .problem("\(path) has no [unix_http_server] file and no loopback [inet_http_server] port"))
        }
        return ("", nil, .notThere("there is no supervisord.conf"))
    }
}

extension UnitReport {
    fileprivate var isStopped: Bool { isAtRest && process == nil && !isPartlyUp }
}

/// Why a call has no answer, in words for a person.
private enum CallProblem: Error {
    case notThere(String)
    case problem(String)

    var words: String {
        switch self {
        case .notThere(let words), .problem(let words): words
        }
    }
}

/// What an answer means for the one who asked for a change.
private func outcome(_ result: Result<XMLRPCAnswer, CallProblem>, _ verb: UnitVerb, _ unit: String) -> Result<Void, ActionError> {
    switch result {
    case .success(.value): return .success(())
    case .success(.fault(let code, let words)):
        switch code {
        // Already as it was asked to be.
        case 60 where verb != .reload, 70 where verb == .stop || verb == .restart: return .success(())
        case 10: return .failure(ActionError("supervisord knows no process \(unit)"))
        case 70: return .failure(ActionError("\(unit) is not running"))
        case 11: return .failure(ActionError("supervisord knows no such signal"))
        default: return .failure(ActionError("supervisord refused to \(verb) \(unit): \(String(decoding: words.utf8.prefix(300), as: UTF8.self))"))
        }
    case .failure(let problem): return .failure(ActionError(problem.words))
    }
}

extension SupervisordConfiguration.Address {
    fileprivate var words: String {
        switch self {
        case .socket(let path): path
        case .loopback(let port): "127.0.0.1:\(port)"
        }
    }

    /// That the kernel lets the agent not connect, why, and what to change.
    fileprivate func refusal(in configuration: String) -> String {
        guard case .socket(let path) = self else { return "the agent may not connect to supervisord at \(words)" }
        var status = Glibc.stat()
        guard stat(path, &status) == 0 else {
            return "the agent may not ask supervisord: it may not enter the folder of \(path); let the group \(ownGroup) enter it"
        }
        let isOfGroup = status.st_mode & S_IWGRP != 0
        let owner = "\(userName(status.st_uid))'s" + (isOfGroup ? " and the group \(groupName(status.st_gid))'s" : "") + " alone"
        return
            "the agent may not ask supervisord: \(path) is \(owner); set chmod=0770 and chown=\(userName(status.st_uid)):\(ownGroup) under [unix_http_server] in \(configuration)"
    }
}
