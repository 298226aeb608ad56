// Processes that nothing manages and that write their pid into a file.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// Watches the units of requests with a pid file. It sees them come and go, and can send their processes signals, nothing else.
public final class PidFileInit: InitSystem {
    public let name = "pidfile"

    private let loop: Loop
    private let logger: Logger
    private let proc = ProcFileSystem(root: "/")
    private let watcher: PidfdWatcher
    private let clockTicks = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    private weak var observer: (any InitObserver)?
    private var notifier: Int32 = -1
    private var files: [String: File] = [:]
    /// Services by the paths of their pid files.
    private var namesByPath: [String: Set<String>] = [:]
    /// Services that have just been asked for.
    private var unseen: Set<String> = []
    /// Watched folders by the kernel's number.
    private var folders: [Int32: String] = [:]
    private var look: Loop.Timer?
    private var patience = PidFilePatience()
    private let questions = FolderQuestions()
    private var isSilent = false
    private var host: HostPaths
    /// Services whose pid file cannot be reached, and why.
    private var hidden: [String: String] = [:]

    private struct File {
        var path: String
        var folder: String
        var lastSaid: Observation?
        var since: Timestamp?
        var process: ProcessIdentity?
        /// The file as it was when it named that process.
        var mark: FileVersion?
    }

    public convenience init(loop: Loop, logger: Logger) {
        self.init(loop: loop, logger: logger, host: HostPaths(ProcFileSystem(root: "/")))
    }

    /// - Parameter host: how the pid files are reached.
    init(loop: Loop, logger: Logger, host: HostPaths) {
        self.loop = loop
        self.host = host
        self.logger = logger
        watcher = PidfdWatcher(loop: loop)
    }

    public func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        openNotifier()
        change(watching: requests)
        scheduleLook()
    }

    public func change(watching wanted: [UnitRequest]) {
        var paths: [String: String] = [:]
        hidden = [:]
        if wanted.contains(where: { $0.pidFile != nil }) { host.look() }
        for request in wanted {
            guard let told = request.pidFile, paths[request.name] == nil else { continue }
            switch host.place(of: told) {
            case .at(let path): paths[request.name] = path
            case .hidden(let why): (paths[request.name], hidden[request.name]) = (told, why)
            }
        }
        for (name, file) in files where paths[name] != file.path {
            watcher.unwatch(name)
            files[name] = nil
            patience.forget(name)
        }
        if unseen.isEmpty { loop.after(.zero) { [weak self] in self?.checkUnseen() } }
        for (name, path) in paths where files[name] == nil {
            files[name] = File(path: path, folder: folder(of: path))
            unseen.insert(name)
        }
        namesByPath = files.reduce(into: [:]) { $0[$1.value.path, default: []].insert($1.key) }
        watchFolders()
    }

    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        guard case .signal(let number) = verb else {
            loop.after(.zero) { done(.failure(ActionError("nothing knows how to \(verb) a process that only has a pid file"))) }
            return
        }
        let outcome: Result<Void, ActionError> =
            switch files[unit] {
            case .none: .failure(ActionError("no pid file of \(unit) is watched"))
            case .some(let file):
                if let process = file.process {
                    signal(number, to: process)
                } else {
                    .failure(ActionError("\(unit) is not running (\(file.lastSaid?.detail ?? file.path))"))
                }
            }
        loop.after(.zero) { done(outcome) }
    }

    public func refresh(_ unit: String, _ done: @escaping () -> Void) {
        check([unit])
        done()
    }

    public func stop() {
        if let look { loop.cancel(look) }
        look = nil
        for name in files.keys { watcher.unwatch(name) }
        files = [:]
        namesByPath = [:]
        unseen = []
        folders = [:]
        observer = nil
        guard notifier >= 0 else { return }
        loop.unwatch(notifier)
        close(notifier)
        notifier = -1
    }

    /// All at once: each look at the files takes a round of questions.
    private func checkUnseen() {
        let names = unseen
        unseen = []
        if !names.isEmpty { check(names) }
    }

    private func check(_ names: some Sequence<String>) {
        let now = SystemTime().now()
        for name in names { if let why = hidden[name] { conclude(name, .outOfReach(why), at: now) } }
        let known = names.compactMap { name in hidden[name] == nil ? files[name].map { (name, $0) } : nil }
        let states = questions.ask(
            known.map { _, file in
                (
                    file.folder,
                    { [proc, clockTicks] () -> (state: PidFile, mark: FileVersion?)? in
                        // The end of the process is heard of by itself.
                        let mark = FileVersion(of: file.path)
                        if file.process != nil, mark != nil, mark == file.mark { return nil }
                        return (PidFile(at: file.path, proc: proc, now: now, clockTicks: clockTicks), mark)
                    }
                )
            })
        for ((name, file), answer) in zip(known, states) {
            if let answer {
                guard let (state, mark) = answer else { continue }
                files[name]?.mark = mark
                conclude(name, state, at: now)
            } else if !isAlive(file.process) {
                // That the process has ended which it named is known; where none is known, nothing is.
                let isHidden = file.lastSaid.map { $0.presence == .hidden } ?? true
                conclude(name, isHidden ? .forbidden(ETIMEDOUT) : .unreadable("is on a file system that does not answer"), at: now)
            }
        }
        // Nothing tells of the end of a process that cannot be seen.
        isSilent = states.contains { answer in
            guard let answer else { return true }
            return if case .hidden? = answer?.state { true } else { false }
        }
        if isSilent { scheduleLook() }
    }

    private func isAlive(_ process: ProcessIdentity?) -> Bool {
        guard let process, let stat = proc.stat(of: process.pid) else { return false }
        return stat.startTicks == process.startTicks && !stat.hasEnded
    }

    /// Says how things are, if that is news.
    private func conclude(_ name: String, _ state: PidFile, at now: Moment) {
        guard var file = files[name] else { return }
        // The process that it named runs on, whatever hides the file.
        if case .forbidden = state, isAlive(file.process) { return }
        let process: ProcessIdentity? = if case .runs(let process) = state { process } else { nil }
        if let wait = patience.wait(for: name, file.process, isNamed: process != nil, proc: proc, at: now.uptime) {
            loop.after(wait) { [weak self] in self?.check([name]) }
            return
        }
        if process != file.process {
            file.process = process
            if let process {
                watcher.watch(process, for: name) { [weak self] in
                    self?.files[name]?.mark = nil
                    self?.check([name])
                }
            } else {
                watcher.unwatch(name)
            }
        }
        var observation = state.observation(of: name, at: file.path)
        if observation.activity != file.lastSaid?.activity || observation.run != file.lastSaid?.run {
            // Of a process that ran before we looked, its own start is known; of everything else, that it was seen just now.
            let start = process.map { now.wall - (now.uptime - .seconds(Double($0.startTicks) / Double(clockTicks))) }
            file.since = start ?? (file.lastSaid == nil ? nil : now.wall)
        }
        observation.since = file.since
        let isNews = observation != file.lastSaid
        file.lastSaid = observation
        files[name] = file
        if isNews { observer?.observed(observation, from: self) }
    }

    // MARK: When to look

    private func openNotifier() {
        notifier = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard notifier >= 0 else { return logger.info("files are looked at by a timer only: the kernel gives no inotify descriptor") }
        do {
            try loop.watch(notifier, for: .readable) { [weak self] _ in self?.foldersChanged() }
        } catch {
            close(notifier)
            notifier = -1
        }
    }

    /// The folder is watched, not the file, which may be replaced or not be there yet.
    private func watchFolders() {
        let wanted = Set(files.values.map(\.folder))
        guard notifier >= 0 else { return }
        for (number, folder) in folders where !wanted.contains(folder) {
            inotify_rm_watch(notifier, number)
            folders[number] = nil
        }
        // Not its creation: the pid is in it when it is closed or moved here.
        let events = UInt32(IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
        let unwatched = wanted.subtracting(folders.values).sorted()
        let numbers = questions.ask(unwatched.map { folder in (folder, { [notifier] in inotify_add_watch(notifier, folder, events) }) })
        for (folder, number) in zip(unwatched, numbers) {
            if let number, number >= 0 { folders[number] = folder }
        }
    }

    private func foldersChanged() {
        var buffer = [UInt8](repeating: 0, count: 16384)
        var changed: Set<String> = []
        var overflown = false
        while true {
            let count = read(notifier, &buffer, buffer.count)
            guard count > 0 else { break }
            var offset = 0
            while offset + MemoryLayout<inotify_event>.size <= count {
                let event = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: inotify_event.self) }
                let name = buffer[(offset + MemoryLayout<inotify_event>.size)...].prefix(Int(event.len)).prefix { $0 != 0 }
                offset += MemoryLayout<inotify_event>.size + Int(event.len)
                if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { overflown = true }
                // The folder itself went away; the timer finds the next one of that name.
                if event.mask & UInt32(IN_IGNORED | IN_MOVE_SELF) != 0, let folder = folders.removeValue(forKey: event.wd) {
                    changed.formUnion(files.filter { $0.value.folder == folder }.keys)
                    inotify_rm_watch(notifier, event.wd)
                }
                guard let folder = folders[event.wd] else { continue }
                let path = (folder == "/" ? "" : folder) + "/" + String(decoding: name, as: UTF8.self)
                if let names = namesByPath[path] { changed.formUnion(names) }
            }
        }
        if changed.isEmpty && !overflown { return }
        check(overflown ? Set(files.keys) : changed)
        scheduleLook()
    }

    /// Once a second while a folder is not watched or does not answer; else now and then, for what the kernel does not tell (network file systems).
    private func scheduleLook() {
        if let look { loop.cancel(look) }
        let allWatched = Set(files.values.map(\.folder)).isSubset(of: folders.values)
        look = loop.after(allWatched && !isSilent ? .seconds(10) : .seconds(1)) { [weak self] in
            guard let self else { return }
            self.watchFolders()
            self.check(self.files.keys)
            self.scheduleLook()
        }
    }
}

extension PidFile {
    fileprivate func observation(of name: String, at path: String) -> Observation {
        switch self {
        case .runs(let process):
            Observation(
                request: name, unit: name, activity: .running, detail: "process \(process.pid)", run: "\(process.pid).\(process.startTicks)",
                mainProcess: process)
        case .hidden(let pid):
            Observation(
                request: name, unit: name, activity: .running, detail: hiddenProcess(pid), run: "\(pid)")
        case .died(let pid): Observation(request: name, unit: name, activity: .failed, detail: "process \(pid) has ended and left its pid file")
        case .otherProcess(let pid):
            Observation(request: name, unit: name, activity: .failed, detail: "process \(pid) is younger than the pid file that names it")
        case .missing: Observation(request: name, unit: name, activity: .stopped, detail: "no pid file")
        case .unreadable(let why): Observation(request: name, unit: name, activity: .failed, detail: "the pid file \(why)")
        case .forbidden(ETIMEDOUT):
            Observation(
                request: name, presence: .hidden, unit: name, activity: .stopped,
                detail: "the pid file \(path) is on a file system that does not answer")
        case .strange(let pid, let what):
            Observation(request: name, presence: .hidden, unit: name, activity: .stopped, detail: Self.whyStrange(path, pid, what))
        case .outOfReach(let why):
            Observation(
                request: name, presence: .hidden, unit: name, activity: .stopped, detail: "the pid file \(path) cannot be reached: \(why)")
        case .forbidden(let code):
            Observation(request: name, presence: .hidden, unit: name, activity: .stopped, detail: Self.whyForbidden(path, code))
        }
    }
}

func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
