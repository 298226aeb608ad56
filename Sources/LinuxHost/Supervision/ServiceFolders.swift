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
    /// Whether this family's supervisor has the folder of a service, where that shows only outside of `supervise`.
    var hasFolder: @Sendable (_ folder: String) -> Bool
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
    private weak var observer: (any InitObserver)?

    private struct Service {
        var folder: String
        /// Since when it has had no supervisor or no status that can be read.
        var lostSince: Duration?
        /// When somebody last wrote a command.
        var commandedAt: Duration?
        /// The last process that was seen.
        var lastProcess: ProcessIdentity?
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
        for root in roots {
            // One list instead of a question for each name: there may be many, and most of them another init system's.
            if let names = entries(of: root) {
                for name in names where found[name] == nil && ledger.isWanted(name) && isFolder("\(root)/\(name)") == true {
                    found[name] = "\(root)/\(name)"
                }
            } else if errno == EACCES {
                // A name with a slash would lead elsewhere.
                for name in ledger.namedUnits where found[name] == nil && !name.contains("/") && !name.isEmpty && !name.hasPrefix(".") {
                    switch isFolder("\(root)/\(name)") {
                    case true?: found[name] = "\(root)/\(name)"
                    case false?: break
                    case nil:
                        hidden.insert(name)
                        hide(name, root)
                    }
                }
            }
        }
        for name in services.keys where found[name] == nil { services[name] = nil }
        dropEnds()
        for (name, folder) in found where services[name]?.folder != folder { services[name] = Service(folder: folder) }
        for name in ledger.namedUnits.union(ledger.knownUnits) where found[name] == nil && !hidden.contains(name) { gone(name) }
    }

    /// `nil` when the agent may not find out.
    private func isFolder(_ path: String) -> Bool? {
        var status = Glibc.stat()
        if stat(path, &status) == 0 { return status.st_mode & S_IFMT == S_IFDIR }
        return errno == EACCES ? nil : false
    }

    private func check(_ name: String) {
        guard var service = services[name] else { return }
        let now = SystemTime().now()
        let path = service.folder + "/supervise/status"
        let isSupervised = isListening(service.folder) ?? isLocked(service.folder)
        let bytes = isSupervised == false ? nil : readFile(path, limit: Self.statusLimit)
        if bytes == nil, errno == EACCES, isSupervised != false {
            return dialect.hasFolder(service.folder) ? hide(name, service.folder + "/supervise") : gone(name)
        }
        guard let status = bytes.flatMap(dialect.parse) else { return lost(name, service, at: now) }
        service.lostSince = nil
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

    /// A service without a supervisor, or without a status that can be read.
    private func lost(_ name: String, _ service: Service, at now: Moment) {
        let before = ledger.report(of: name)
        // What has no `run` was never a service.
        let isService = access(service.folder + "/run", F_OK) == 0
        if before == nil, !isService { return gone(name) }
        let lostSince = service.lostSince ?? now.uptime
        services[name]?.lostSince = lostSince
        // The end of a supervisor closes the pipe, which looks like the end of a command.
        services[name]?.commandedAt = nil
        // Another family's supervisor may have it: both answer on `control`, and one that is just starting does not have its other files yet.
        let isOthers = before == nil && isListening(service.folder, on: "control") == true
        guard now.uptime - lostSince >= (isOthers ? Self.patienceWithOthers : Self.patience), before != nil || isOthers || !isBooting(now) else {
            loop.after(.seconds(1)) { [weak self] in self?.check(name) }
            return
        }
        guard before != nil, isService else { return gone(name) }
        // It was supervised, and its folder is still there: nobody starts it again, whatever has become of its process.
        let process = service.lastProcess.flatMap { process in
            proc.stat(of: process.pid).flatMap { $0.startTicks == process.startTicks && !$0.hasEnded ? process : nil }
        }
        let rest = process.map { "; its process \($0.pid) still runs" } ?? ""
        let report = UnitReport(activity: .failed, detail: "no \(dialect.supervisor) supervises it any longer\(rest)")
        say(ledger.note(name, report, at: now.wall))
        jobs.finish(name, .failure(ActionError("no \(dialect.supervisor) supervises \(name) any longer")))
    }

    private func gone(_ name: String) {
        say(ledger.noteAbsence(of: name))
        jobs.finish(name, .failure(ActionError("\(dialect.name) does not supervise \(name) any longer")))
    }

    /// Where the pipe may not be opened: whether a supervisor holds the service's lock. `nil` when that does not show.
    private func isLocked(_ folder: String) -> Bool? {
        var status = Glibc.stat()
        guard stat(folder + "/supervise/lock", &status) == 0, let locks = readFile("/proc/locks", limit: 1 << 20) else { return nil }
        return heldLocks(parsing: locks).contains(UInt64(status.st_ino))
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
            service.lastProcess = report.process ?? service.lastProcess
            let mustBeReady = status.isReady == false && dialect.mustBeReady(service.folder)
            report.activity = mustBeReady ? .starting : .running
            if status.isWantedUp {
                // It may have ended since the file was written.
                service.wantedProcess = report.process ?? service.wantedProcess
                service.wasToldToEnd = false
            }
            // A run that is not wanted up has been told to end, or is one of those that shall run once.
            let wasWanted = report.process != nil && report.process == service.wantedProcess
            if !status.isWantedUp, !wasWanted { report.nature = .batch }
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
        // One that shall run once, and one that nobody wants up unless it is told to: `down` stands in its folder.
        if case .down = status.state, !status.isWantedUp {
            let isOnce = service.lastProcess.map { $0 != service.wantedProcess }
            if isOnce ?? (access("\(service.folder)/down", F_OK) == 0) { report.nature = .batch }
        }
        // What was wanted up is not wanted any longer: a command has said so, however fast it was followed.
        if case .down = status.state, !status.isWantedUp, service.lastProcess != nil, service.lastProcess == service.wantedProcess {
            if report.lastExit?.isSuccess ?? true { report.isAsked = true }
        }
        // s6 does not say in its file that it was asked to restart a service; that is how such a run ends.
        if report.process == nil, let exit = report.lastExit, exit.isByRequest { report.isAsked = true }
        return report
    }

    private func watchFolders() {
        let folders = services.values.flatMap { [$0.folder, $0.folder + "/supervise"] }
        watcher?.watch(Set(roots + folders))
    }

    public func refresh(_ unit: String, _ done: @escaping () -> Void) {
        check(unit)
        done()
    }

    // MARK: Telling

    private func say(_ news: [Observation]) {
        for observation in news { observer?.observed(observation, from: self) }
    }

    private func hide(_ name: String, _ path: String) {
        say(ledger.noteHidden(name, why: "the agent may not look at \(path): \(dialect.permission)"))
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

/// The inodes of files on which a process holds a lock, as /proc/locks has them: `1: FLOCK  ADVISORY  WRITE 2871 fe:00:1234 0 EOF`. Devices are
/// left out: some file systems show others there than stat(2) does.
func heldLocks(parsing text: [UInt8]) -> Set<UInt64> {
    var inodes: Set<UInt64> = []
    for line in text.split(separator: 10) {
        let words = line.split(separator: 32)
        guard words.count > 5, !words[1].elementsEqual("->".utf8), let word = words[5].split(separator: UInt8(ascii: ":")).last,
            let inode = UInt64(String(decoding: word, as: UTF8.self))
        else { continue }
        inodes.insert(inode)
    }
    return inodes
}

extension ExitReason {
    /// Ended by the signal that asks daemons to end.
    fileprivate var isByRequest: Bool { self == .signaled(SIGTERM) }
}
