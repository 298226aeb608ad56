// supervisord, over its XML-RPC interface.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// The processes of a supervisord. It tells outsiders nothing by itself: the kernel tells of an end (pidfd), and of a line in its log
/// (inotify), which it writes whenever a process changes. Either way it is asked then; often while something is under way; and every
/// five seconds otherwise.
public final class SupervisordInit: InitSystem {
    public let name = "supervisord"

    static let configurations = ["/etc/supervisor/supervisord.conf", "/etc/supervisord.conf", "/etc/supervisord/supervisord.conf"]
    private static let calm = Duration.seconds(5)
    private static let busy = Duration.milliseconds(250)
    /// Between two looks because of the log, which may hold more than changes.
    private static let logPause = Duration.seconds(1)
    private static let patience = Duration.seconds(5)

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
    /// Something is under way, and will soon look different.
    private var isBusy = false
    private var mustAskAgain = false
    private var look: Loop.Timer?
    private var watched: [String: ProcessIdentity] = [:]
    private var exits: [String: ExitReason] = [:]
    private var log: FolderWatcher?
    private var lookedForLog: Duration?
    private var wasThere = false
    private var hasFailed = false
    private var hasSaidWhyNot = false

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
        call("supervisor.getAllProcessInfo", []) { [weak self] result in
            guard let self else { return }
            self.isAsking = false
            switch result {
            case .success(let answer): self.learned(answer)
            case .failure(let problem): self.unreachable(problem)
            }
            if self.mustAskAgain {
                self.mustAskAgain = false
                self.ask(after: .zero)
            }
        }
    }

    private func learned(_ answer: XMLRPCAnswer) {
        guard let processes = SupervisordProcess.list(answer) else {
            return unreachable(.problem("supervisord answered with something that is not a list of processes"))
        }
        wasThere = true
        hasSaidWhyNot = false
        if hasFailed {
            hasFailed = false
            logger.info("supervisord recovered as a source")
            ledger.forgetSaid()
            observer?.sourceRecovered(self)
        }
        let now = SystemTime().now().wall
        isBusy = false
        for process in processes where ledger.isWanted(process.name) { isBusy = note(process, at: now) || isBusy }
        let names = Set(processes.map(\.name))
        for unit in Set(ledger.namedUnits + ledger.knownUnits) where !names.contains(unit) { gone(unit) }
        if look == nil { ask(after: isBusy ? Self.busy : Self.calm) }
    }

    /// Answers whether it will soon look different.
    private func note(_ process: SupervisordProcess, at now: Timestamp) -> Bool {
        let unit = process.name
        let stat = process.pid > 0 ? proc.stat(of: process.pid) : nil
        if let stat, !stat.hasEnded {
            let identity = ProcessIdentity(pid: process.pid, startTicks: stat.startTicks)
            follow(identity, of: unit)
            tell(process.report(process: identity, lastExit: exits[unit]), of: unit, at: now)
        } else if process.pid > 0 {
            // Its process has ended, and supervisord has not taken note. What it makes of that is worth waiting for.
            follow(nil, of: unit)
            return true
        } else {
            follow(nil, of: unit)
            if process.state == .exited { exits[unit] = process.exit }
            tell(process.report(process: nil, lastExit: nil), of: unit, at: now)
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
            // A supervisord that nobody has started knows nothing.
            for unit in ledger.namedUnits { gone(unit) }
            return
        }
        guard !hasFailed else { return }
        // Where nobody's check depends on it, one that cannot be asked is no failure: its host may have it for something else.
        guard ledger.requests.contains(where: \.isForThisAlone) || !ledger.knownUnits.isEmpty else {
            if !hasSaidWhyNot {
                hasSaidWhyNot = true
                logger.notice("supervisord cannot be asked, and no check is known to need it", metadata: ["why": "\(problem.words)"])
            }
            for unit in ledger.namedUnits { gone(unit) }
            return
        }
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
            guard report.process != nil else { return jobs.refuse("\(unit) is not running (\(report.detail))", done) }
            let number = if case .signal(let number) = verb { number } else { SIGHUP }
            call("supervisor.signalProcess", [.string(unit), .string("\(number)")], deadline: deadline) { done(outcome($0, verb, unit)) }
        case .stop:
            if report.isAtRest { return answer(done) }
            begin(verb, unit, deadline, done) { $0.isAtRest && $0.process == nil ? .success(()) : nil }
            take(Step(), "supervisor.stopProcess", verb, unit)
        case .start:
            if report.isUp { return answer(done) }
            let start = Step()
            begin(verb, unit, deadline, done, until: Self.isStarted(unit, after: start))
            take(start, "supervisor.startProcess", verb, unit)
        case .restart:
            let start = Step()
            let isStarted = Self.isStarted(unit, after: start)
            var wasStopped = report.isAtRest
            begin(verb, unit, deadline, done) { [weak self] now in
                if wasStopped { return isStarted(now) }
                guard now.process == nil, now.isAtRest else { return nil }
                wasStopped = true
                self?.take(start, "supervisor.startProcess", verb, unit)
                return nil
            }
            if wasStopped { take(start, "supervisor.startProcess", verb, unit) } else { take(Step(), "supervisor.stopProcess", verb, unit) }
        }
    }

    /// One call of a job.
    private final class Step {
        var isAnswered = false
    }

    /// It is as it was asked to be.
    private func answer(_ done: @escaping (Result<Void, ActionError>) -> Void) { loop.after(.zero) { done(.success(())) } }

    /// - Parameter call: whose answer comes before all that the start has brought about.
    private static func isStarted(_ unit: String, after call: Step) -> (UnitReport) -> Result<Void, ActionError>? {
        { now in
            guard call.isAnswered else { return nil }
            if now.isUp { return .success(()) }
            return now.isAtRest ? .failure(ActionError("\(unit) was started and does not run (\(now.detail))")) : nil
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
        call(method, [.string(unit), .boolean(false)]) { [weak self] result in
            guard let self else { return }
            step.isAnswered = true
            if case .failure(let error) = outcome(result, verb, unit) { self.jobs.finish(unit, .failure(error)) }
            self.ask(after: .milliseconds(50))
        }
    }

    // MARK: Calls

    private func call(
        _ method: String, _ arguments: [XMLRPCValue], deadline: Duration = patience, _ done: @escaping (Result<XMLRPCAnswer, CallProblem>) -> Void
    ) {
        let (settings, problem) = settings()
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
            case .failure(.notThere): done(.failure(.notThere("supervisord does not run: nobody listens at \(settings.address.words)")))
            case .failure(.notAllowed):
                done(
                    .failure(
                        .problem(
                            "the agent may not ask supervisord at \(settings.address.words): see chmod, chown, username and password in supervisord.conf"
                        )))
            case .failure(.problem(let words)): done(.failure(.problem("supervisord at \(settings.address.words): \(words)")))
            }
        }
        key = ObjectIdentifier(call)
        calls[ObjectIdentifier(call)] = call
    }

    /// Read anew for each call: it is small, and a supervisord that was configured anew is found without a restart of the agent.
    private func settings() -> (SupervisordConfiguration?, CallProblem) {
        for path in configurations {
            guard access(path, F_OK) == 0 else { continue }
            guard let text = readFile(path, limit: 1 << 18) else {
                return (nil, .problem("\(path) cannot be read: \(String(cString: strerror(errno)))"))
            }
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            let settings = SupervisordConfiguration(parsing: text, folder: folder)
            return (settings, .problem("\(path) has no [unix_http_server] file and no loopback [inet_http_server] port"))
        }
        return (nil, .notThere("there is no supervisord.conf"))
    }
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
}
