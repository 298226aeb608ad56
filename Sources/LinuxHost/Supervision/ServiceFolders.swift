// Services that are folders, as runit and s6 have them.

public import AgentCore
import Glibc
import Logging
import Platform

/// How one of the programs of that family differs from the others.
struct ServiceFolderDialect: Sendable {
    /// The init system's name.
    var name: String
    /// The program that supervises one service: `runsv`.
    var supervisor: String
    /// Folders of services, the usual ones.
    var roots: [String]
    var parse: @Sendable ([UInt8]) -> ServiceStatus?
    /// The fifo below `supervise` that somebody reads as long as the service is supervised.
    var listener: String
    /// Whether a service has to say that it is ready.
    var mustBeReady: @Sendable (_ folder: String) -> Bool
    /// Command letters; `restart` ends the run, and what is wanted up is started anew.
    var restart: String
    var signals: [Int32: String]
    /// Who may write to the control fifo, and how to change that.
    var permission: String
}

/// Watches and controls the services of some scan folders. Everything is told by inotify: a supervisor renames its status file into
/// place, or writes it anew, whenever something happens. A timer looks after what nobody tells (a supervisor that died).
public class ServiceFolders: InitSystem {
    /// A supervisor that died is started again within 5 s by the one that watches it, and one of a new service, or at boot, a second after that
    /// one saw the folder; until then the service is not gone.
    private static let patience = Duration.seconds(6)
    private static let patienceWithOthers = Duration.seconds(1)
    private static let statusLimit = 256
    /// What ends so soon after a command was told to.
    private static let commandEcho = Duration.seconds(2)

    public var name: String { dialect.name }
    private let dialect: ServiceFolderDialect
    private let roots: [String]
    private let loop: Loop
    private let logger: Logger
    private let proc = ProcFileSystem(root: "/")
    private let jobs: UnitJobs
    private var ledger = UnitLedger()
    private var watcher: FolderWatcher?
    /// Of services that somebody wants: where they are.
    private var services: [String: Service] = [:]
    /// Of a service's folder: its pipes that somebody reads, by name, and the end to write into.
    private var ends: [String: [String: (descriptor: Int32, inode: ino_t)]] = [:]
    private var timer: Loop.Timer?
    /// Services that the agent may not read. While there are any, the source counts as failed.
    private var denied: Set<String> = []
    private weak var observer: (any InitObserver)?

    private struct Service {
        var folder: String
        /// Since when it has had no supervisor or no status that can be read.
        var lostSince: Duration?
        /// When somebody last wrote a command.
        var commandedAt: Duration?
        /// The last process that was seen to be wanted up.
        var wantedProcess: ProcessIdentity?
        /// That process was not wanted up any longer while it still ran.
        var wasToldToEnd = false
    }

    init(_ dialect: ServiceFolderDialect, roots: [String]?, loop: Loop, logger: Logger) {
        self.dialect = dialect
        self.roots = roots ?? dialect.roots
        self.loop = loop
        self.logger = logger
        jobs = UnitJobs(loop: loop)
    }

    /// Whether this host has a folder for such services. They may come later, and the agent may start first.
    static func isHere(_ dialect: ServiceFolderDialect) -> Bool {
        dialect.roots.contains { root in
            var status = Glibc.stat()
            return stat(root, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        }
    }

    public func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        watcher = FolderWatcher(loop: loop, pipes: ["control"]) { [weak self] in
            self?.changed(in: $0)
        }
        change(watching: requests)
        timer = loop.every(.seconds(5)) { [weak self] in self?.look() }
    }

    public func change(watching requests: [UnitRequest]) {
        ledger.change(to: requests.filter { $0.pidFile == nil })
        services = services.filter { ledger.isWanted($0.key) }
        for name in denied where !ledger.isWanted(name) { allowed(name) }
        loop.after(.zero) { [weak self] in
            guard let self, self.observer != nil else { return }
            self.say(self.ledger.repeatKnown(at: SystemTime().now().wall))
            self.look()
        }
    }

    public func stop() {
        if let timer { loop.cancel(timer) }
        timer = nil
        watcher?.stop()
        watcher = nil
        observer = nil
        services = [:]
        dropEnds()
        jobs.finishAll("the agent stopped before \(dialect.name) was done")
    }

    // MARK: Looking

    private func look() {
        guard observer != nil else { return }
        findServices()
        for name in services.keys.sorted() { check(name) }
        watchFolders()
    }

    private func changed(in folders: Set<String>) {
        guard observer != nil else { return }
        if !folders.isDisjoint(with: roots) || services.values.contains(where: { folders.contains($0.folder) }) { return look() }
        for (name, service) in services where folders.contains(service.folder + "/supervise") {
            if folders.contains(service.folder + "/supervise/control") { services[name]?.commandedAt = SystemTime().now().uptime }
            check(name)
        }
        watchFolders()
    }

    /// The folder of a name in the first root that has one.
    private func findServices() {
        var found: [String: String] = [:]
        var hidden: Set<String> = []
        if ledger.wantsAll {
            for root in roots {
                for name in entries(of: root) ?? [] where found[name] == nil && ledger.isWanted(name) { found[name] = "\(root)/\(name)" }
            }
        }
        // A name with a slash would lead elsewhere.
        for name in ledger.namedUnits where found[name] == nil && !name.contains("/") && !name.isEmpty && !name.hasPrefix(".") {
            for root in roots where found[name] == nil {
                let folder = "\(root)/\(name)"
                var status = Glibc.stat()
                if stat(folder, &status) == 0 {
                    if status.st_mode & S_IFMT == S_IFDIR { found[name] = folder }
                } else if errno == EACCES {
                    hidden.insert(name)
                    deny(name, folder)
                }
            }
        }
        for name in services.keys where found[name] == nil { services[name] = nil }
        dropEnds()
        for (name, folder) in found where services[name]?.folder != folder { services[name] = Service(folder: folder) }
        for name in Set(ledger.namedUnits + ledger.knownUnits) where found[name] == nil && !hidden.contains(name) { gone(name) }
    }

    private func check(_ name: String) {
        guard var service = services[name] else { return }
        let now = SystemTime().now()
        let path = service.folder + "/supervise/status"
        let isSupervised = isListening(service.folder)
        let bytes = isSupervised == false ? nil : readFile(path, limit: Self.statusLimit)
        if bytes == nil, errno == EACCES, isSupervised != false {
            return deny(name, path)
        }
        guard let status = bytes.flatMap(dialect.parse) else {
            // What has no `run` was never a service.
            if ledger.report(of: name) == nil, access(service.folder + "/run", F_OK) != 0 { return gone(name) }
            let lostSince = service.lostSince ?? now.uptime
            service.lostSince = lostSince
            services[name] = service
            // Another family's supervisor may have it: both answer on `control`, and one that is just starting does not have its other files yet.
            let isOthers = ledger.report(of: name) == nil && isListening(service.folder, on: "control") == true
            if now.uptime - lostSince >= (isOthers ? Self.patienceWithOthers : Self.patience) {
                gone(name)
            } else {
                loop.after(.seconds(1)) { [weak self] in self?.check(name) }
            }
            return
        }
        service.lostSince = nil
        allowed(name)
        var report = report(status, of: &service)
        services[name] = service
        // A command may be followed sooner than anybody looks, and leave no trace in the file. One that says how a run ended knows better.
        if report.lastExit == nil, let at = service.commandedAt, now.uptime - at < Self.commandEcho, let before = ledger.report(of: name)?.process,
            report.process != before
        {
            report.isAsked = true
            loop.after(.milliseconds(100)) { [weak self] in self?.check(name) }
        }
        say(ledger.note(name, report, at: now.wall))
        jobs.note(report, of: name)
    }

    private func gone(_ name: String) {
        allowed(name)
        say(ledger.noteAbsence(of: name))
        jobs.finish(name, .failure(ActionError("\(dialect.name) does not supervise \(name) any longer")))
    }

    /// `nil` when the agent may not find out. The end that is opened for that is kept: to close it would look like a command to everybody who
    /// watches the folder, this agent included.
    private func isListening(_ folder: String, on name: String? = nil) -> Bool? {
        let name = name ?? dialect.listener
        let path = "\(folder)/supervise/\(name)"
        var there = Glibc.stat()
        let isThere = stat(path, &there) == 0
        if let end = ends[folder]?[name] {
            var entry = pollfd(fd: end.descriptor, events: 0, revents: 0)
            // Who read it has ended when the pipe is broken.
            if isThere, end.inode == there.st_ino, poll(&entry, 1, 0) == 0 { return true }
            close(end.descriptor)
            ends[folder]?[name] = nil
        }
        let fifo = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard fifo < 0 else {
            ends[folder, default: [:]][name] = (fifo, there.st_ino)
            return true
        }
        return errno == EACCES || errno == EPERM ? nil : false
    }

    /// Keeps no pipe of a service that is not watched any longer.
    private func dropEnds() {
        let folders = Set(services.values.map(\.folder))
        for (folder, pipes) in ends where !folders.contains(folder) {
            for pipe in pipes.values { close(pipe.descriptor) }
            ends[folder] = nil
        }
    }

    private func report(_ status: ServiceStatus, of service: inout Service) -> UnitReport {
        var report = UnitReport(activity: .stopped, detail: "down", restartsByItself: status.isWantedUp, since: status.since)
        switch status.state {
        case .running(let pid):
            report.process = proc.stat(of: pid).flatMap { $0.hasEnded ? nil : ProcessIdentity(pid: pid, startTicks: $0.startTicks) }
            report.detail = "run: process \(pid)"
            let mustBeReady = status.isReady == false && dialect.mustBeReady(service.folder)
            report.activity = mustBeReady ? .starting : .running
            if status.isWantedUp {
                service.wantedProcess = report.process
                service.wasToldToEnd = false
            }
            // A run that is not wanted up has been told to end, or is one of those that shall run once.
            let wasWanted = report.process != nil && report.process == service.wantedProcess
            if !status.isWantedUp, status.gotTerm || wasWanted { service.wasToldToEnd = true }
            report.isAsked = status.gotTerm || service.wasToldToEnd
            if !status.isWantedUp, status.gotTerm { report.activity = .stopping }
            if mustBeReady { report.detail += ", not ready" }
            if status.gotTerm { report.detail += ", got TERM" }
            if status.isPaused { report.detail += ", paused" }
            if !status.isWantedUp { report.detail += ", want down" }
        case .finishing:
            report.activity = status.isWantedUp ? .restarting : .stopping
            report.detail = "finish"
            report.lastExit = status.lastExit
            report.isAsked = status.gotTerm
        case .down:
            report.lastExit = status.lastExit
            if status.isWantedUp {
                report.activity = .restarting
                report.detail = "down, want up"
            } else if let exit = status.lastExit, !exit.isSuccess, !exit.isByRequest, !service.wasToldToEnd {
                report.activity = .failed
                report.detail = "down, \(exit)"
            }
        }
        // s6 does not say in its file that it was asked to restart a service; that is how such a run ends.
        if report.process == nil, let exit = report.lastExit, exit.isByRequest { report.isAsked = true }
        return report
    }

    private func watchFolders() {
        let folders = services.values.flatMap { [$0.folder, $0.folder + "/supervise"] }
        watcher?.watch(Set(roots + folders))
    }

    // MARK: Telling

    private func say(_ news: [Observation]) {
        for observation in news { observer?.observed(observation, from: self) }
    }

    private func deny(_ name: String, _ path: String) {
        let isFirst = denied.isEmpty
        guard denied.insert(name).inserted, isFirst else { return }
        let why = "\(path) cannot be read: \(String(cString: strerror(EACCES))); \(dialect.permission)"
        logger.info("init system failed as a source", metadata: ["init": "\(dialect.name)", "why": "\(why)"])
        observer?.sourceFailed(self, why: why)
    }

    private func allowed(_ name: String) {
        guard denied.remove(name) != nil, denied.isEmpty else { return }
        ledger.forgetSaid()
        observer?.sourceRecovered(self)
        say(ledger.repeatKnown(at: SystemTime().now().wall))
    }

    // MARK: Actions

    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        guard let service = services[unit], let report = ledger.report(of: unit) else {
            return jobs.refuse("\(dialect.name) supervises no service \(unit)", done)
        }
        if jobs.isRunning(for: unit) { return jobs.refuse("another job is under way for \(unit); a \(verb) would get in its way", done) }
        let before = report.process
        switch verb {
        case .reload, .signal:
            guard let before else { return jobs.refuse("\(unit) is not running (\(report.detail))", done) }
            let number = if case .signal(let number) = verb { number } else { SIGHUP }
            guard let letter = dialect.signals[number] else {
                let outcome = signal(number, to: before)
                loop.after(.zero) { done(outcome) }
                return
            }
            let outcome = command(letter, service.folder, verb, unit)
            loop.after(.zero) { done(outcome) }
        case .start:
            begin(verb, unit, service.folder, letters: "u", deadline, done) { now in
                if now.isUp, now.process != nil { return .success(()) }
                guard now.process == nil, now.since != report.since, now.activity != .starting else { return nil }
                return .failure(ActionError("\(unit) was started and \(now.lastExit.map { "\($0)" } ?? "ended") at once (\(now.detail))"))
            }
        case .stop:
            begin(verb, unit, service.folder, letters: "d", deadline, done) { $0.isAtRest && $0.process == nil ? .success(()) : nil }
        case .restart:
            // A service that is down is only started.
            let letters = before == nil ? "u" : "u" + dialect.restart
            begin(verb, unit, service.folder, letters: letters, deadline, done) { now in
                if now.isUp, now.process != nil, now.process != before { return .success(()) }
                guard now.isAtRest, now.since != report.since else { return nil }
                return .failure(ActionError("\(unit) was ended and does not run again (\(now.detail))"))
            }
        }
    }

    private func begin(
        _ verb: UnitVerb, _ unit: String, _ folder: String, letters: String, _ deadline: Duration,
        _ done: @escaping (Result<Void, ActionError>) -> Void, until isDone: @escaping (UnitReport) -> Result<Void, ActionError>?
    ) {
        ledger.setChanging(unit, true)
        jobs.begin(
            on: unit, deadline: deadline,
            late: "the \(verb) of \(unit) was not done within \(secondsText(deadline)); \(dialect.name) goes on with it",
            ended: { [weak self] in
                guard let self else { return }
                self.ledger.setChanging(unit, false)
                self.loop.after(.zero) { self.check(unit) }
            }, isDone: isDone, done)
        loop.after(.zero) { [weak self] in
            guard let self else { return }
            // What it looks like before it is changed: that somebody asked is told first.
            self.check(unit)
            if case .failure(let error) = self.command(letters, folder, verb, unit) { return self.jobs.finish(unit, .failure(error)) }
            self.check(unit)
        }
    }

    /// Writes letters into the control fifo, which a living supervisor reads.
    private func command(_ letters: String, _ folder: String, _ verb: UnitVerb, _ unit: String) -> Result<Void, ActionError> {
        let fifo = open(folder + "/supervise/control", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard fifo >= 0 else {
            let problem =
                switch errno {
                case EACCES, EPERM: "the agent may not \(verb) \(unit): \(dialect.permission)"
                case ENXIO, ENOENT: "no \(dialect.supervisor) runs for \(unit)"
                default: "\(folder)/supervise/control cannot be opened: \(String(cString: strerror(errno)))"
                }
            return .failure(ActionError(problem))
        }
        defer { close(fifo) }
        let bytes = Array(letters.utf8)
        guard write(fifo, bytes, bytes.count) == bytes.count else {
            return .failure(ActionError("\(dialect.supervisor) of \(unit) takes no commands: \(String(cString: strerror(errno)))"))
        }
        return .success(())
    }
}

extension ExitReason {
    /// Ended by the signal that asks daemons to end.
    fileprivate var isByRequest: Bool { self == .signaled(SIGTERM) }
}
