// The process without privileges that speaks with the outside world: started where there is work for it, and again when it fails.

public import AgentAPI
public import AgentCore
import Glibc
public import Logging
public import Platform

/// Keeps one `rollcall-runner` alive for as long as there is work. It may end, hang, or write whatever it likes: it is started again,
/// after 1 s at first and 60 s at most, and the loop never waits for it.
public final class RunnerProcess: Runner {
    /// How long it is waited before another start, and for a sign of life.
    struct Patience {
        var firstPause = Duration.seconds(1)
        var longestPause = Duration.seconds(60)
        /// A process that says nothing for this long is asked, and is ended when it says nothing for as long again.
        var silence = Duration.seconds(30)
        /// One that is started after a failure works again when it has run for this long.
        var steadiness = Duration.seconds(10)
        /// Between the request to end and the end by force.
        var goodbye = Duration.seconds(2)
    }

    /// Orders that wait until it reads them; more than this, and it never will.
    static let longestQueue = 2 * RunnerLimits.order

    private let loop: Loop
    private let program: String?
    private let user: String
    private let patience: Patience
    private let logger: Logger
    private weak var observer: (any RunnerObserver)?
    private var work = RunnerWork(interval: .seconds(1))
    private var sources: Set<String> = []
    /// Handed to the process and not answered.
    private var alerts: Set<UInt64> = []
    private var child: Child?
    private var pause: Duration
    /// Runs while a start has to wait.
    private var restart: Loop.Timer?
    private var isMissingKnown = false
    /// Why it has failed; until it works again.
    private var failure: String?

    /// - Parameters:
    ///   - program: its path; `nil` when it is not installed.
    ///   - user: who it becomes when the agent is root.
    public convenience init(loop: Loop, program: String? = RunnerProcess.find(), user: String = "nobody", logger: Logger) {
        self.init(loop: loop, program: program, user: user, patience: Patience(), logger: logger)
    }

    init(loop: Loop, program: String?, user: String = "nobody", patience: Patience, logger: Logger) {
        self.loop = loop
        self.program = program
        self.user = user
        self.patience = patience
        self.logger = logger
        pause = patience.firstPause
    }

    /// Where `rollcall-runner` is: beside this program, or where it is usually installed.
    public static func find() -> String? {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        let own = length > 0 ? String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) }
        return ([folder].compactMap { $0 } + ["/usr/local/bin", "/usr/bin"]).map { "\($0)/rollcall-runner" }.first { access($0, X_OK) == 0 }
    }

    /// Of the process that runs now.
    public var pid: Int32? { child?.pid }

    // MARK: The seam

    public func start(observer: any RunnerObserver) { self.observer = observer }

    public func change(_ work: RunnerWork) {
        guard work != self.work else { return }
        self.work = work
        sources = Set(work.sources.map(\.id))
        isMissingKnown = false
        if work.isEmpty {
            cancelRestart()
            pause = patience.firstPause
            if let child { leave(child) }
            tellRecovery()
        } else if let child, !child.isLeaving {
            send(.work(work), to: child)
        } else if child == nil, restart == nil {
            launch()
        }
    }

    public func deliver(_ alert: OutgoingAlert) {
        let order = RunnerOrder.deliver(alert)
        guard !work.channels.isEmpty else { return refuse(alert.id, why: "no way to send alerts is configured", mayRetry: true) }
        guard order.line.count <= RunnerLimits.order else { return refuse(alert.id, why: "it is too long", mayRetry: false) }
        // Somebody may have installed it meanwhile.
        if child == nil, restart == nil { launch() }
        guard let child, !child.isLeaving else {
            return refuse(alert.id, why: failure ?? "rollcall-runner does not run", mayRetry: true)
        }
        alerts.insert(alert.id)
        send(order, to: child)
    }

    public func stop() {
        observer = nil
        change(RunnerWork(interval: work.interval))
    }

    // MARK: Its life

    /// One process, from its start until somebody has waited for it.
    private final class Child {
        let pid: Int32
        let socket: Int32
        var answers = LineSplitter(limit: RunnerLimits.answer)
        var queue: [UInt8] = []
        var descriptor: Int32?
        /// Looks for its end where there are no pidfds, for life while it runs, and ends it by force.
        var timers: [Loop.Timer] = []
        var startedAt: Duration
        var hasSpoken = true
        var isWaitingToWrite = false
        var isClosed = false
        /// It is to end, because there is no work or it does not do any; nothing that it says counts any more.
        var isLeaving = false
        /// Why we have ended it; `nil` when it ended by itself.
        var fault: String?
        /// Its last word.
        var lastWord: String?

        init(pid: Int32, socket: Int32, at now: Duration) {
            self.pid = pid
            self.socket = socket
            startedAt = now
        }
    }

    private func launch() {
        guard let program, access(program, X_OK) == 0 else {
            let why = program.map { "rollcall-runner cannot be run: \($0)" } ?? "rollcall-runner is not installed"
            if !isMissingKnown {
                logger.error("no daemon is asked and no alert is sent", metadata: ["problem": "\(why)"])
                tellFailure(why)
            }
            isMissingKnown = true
            return launchLater()
        }
        isMissingKnown = false
        do throws(SystemError) {
            try launch(program)
        } catch {
            logger.error("rollcall-runner cannot be started", metadata: ["problem": "\(error)"])
            tellFailure("rollcall-runner cannot be started: \(error)")
            launchLater()
        }
    }

    private func launch(_ program: String) throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { throw SystemError("making a socket") }
        let (ours, its) = (ends[0], ends[1])
        defer { close(its) }
        let pid: Int32
        do throws(SystemError) {
            // Ours alone: the other end's process may block. That process is ended by the kernel when the thread that starts it here ends:
            // the loop's own, which lives as long as the program.
            guard fcntl(ours, F_SETFL, O_NONBLOCK) == 0 else { throw SystemError("making a socket") }
            pid = try spawn(program, ["--parent", "\(getpid())", "--user", user], environment: Self.environment(), input: its, output: its)
        } catch {
            close(ours)
            throw error
        }
        let child = Child(pid: pid, socket: ours, at: SystemTime().now().uptime)
        self.child = child
        logger.debug("rollcall-runner started", metadata: ["pid": "\(pid)"])
        watchEnd(of: child)
        listen(to: child)
        child.timers.append(loop.every(patience.silence) { [weak self, weak child] in if let child { self?.checkLife(of: child) } })
        send(.work(work), to: child)
        guard failure != nil else { return }
        child.timers.append(
            loop.after(patience.steadiness) { [weak self, weak child] in if let child, !child.isLeaving { self?.send(.ping, to: child) } })
    }

    /// What tells it where its log lines go and whom to trust.
    private static func environment() -> [String] {
        ["JOURNAL_STREAM", "SSL_CERT_FILE", "SSL_CERT_DIR"].compactMap { (name: String) in getenv(name).map { "\(name)=\(String(cString: $0))" } }
    }

    private func watchEnd(of child: Child) {
        do throws(SystemError) {
            let descriptor = try openProcess(child.pid)
            child.descriptor = descriptor
            try loop.watch(descriptor, for: .readable) { [weak self] _ in self?.reap(child) }
        } catch {
            child.timers.append(loop.every(.milliseconds(200)) { [weak self] in self?.reap(child) })
        }
    }

    private func reap(_ child: Child) {
        // Its last answers may still be there: no more than a socket holds.
        for _ in 0..<64 where !child.isLeaving && !child.isClosed { child.isClosed = !read(from: child) }
        var status: Int32 = 0
        let result = waitpid(child.pid, &status, WNOHANG)
        guard result == child.pid || (result < 0 && errno == ECHILD) else { return }
        loop.unwatch(child.socket)
        close(child.socket)
        if let descriptor = child.descriptor {
            loop.unwatch(descriptor)
            close(descriptor)
        }
        for timer in child.timers { loop.cancel(timer) }
        guard self.child === child else { return }
        self.child = nil
        if child.isLeaving, child.fault == nil {
            // It was sent away; meanwhile there may be work again.
            giveUpAlerts("rollcall-runner was ended")
            if !work.isEmpty { launch() }
            return
        }
        let end = status & 0x7f == 0 ? "it ended with status \((status >> 8) & 0xff)" : "it was killed by signal \(status & 0x7f)"
        let why = child.fault ?? (child.lastWord.map { "\($0) (\(end))" } ?? end)
        logger.error("rollcall-runner failed", metadata: ["problem": "\(why)"])
        tellFailure("rollcall-runner failed: \(why)")
        giveUpAlerts("rollcall-runner failed: \(why)")
        if SystemTime().now().uptime - child.startedAt >= patience.longestPause { pause = patience.firstPause }
        launchLater()
    }

    private func launchLater() {
        guard !work.isEmpty, restart == nil else { return }
        restart = loop.after(pause) { [weak self] in
            guard let self else { return }
            restart = nil
            if child == nil, !work.isEmpty { launch() }
        }
        pause = min(patience.longestPause, pause * 2)
    }

    private func cancelRestart() {
        if let restart { loop.cancel(restart) }
        restart = nil
    }

    /// Lets it go: its input ends, and it with it.
    private func leave(_ child: Child) {
        guard !child.isLeaving else { return }
        child.isLeaving = true
        shutdown(child.socket, Int32(SHUT_RDWR))
        loop.unwatch(child.socket)
        child.timers.append(loop.after(patience.goodbye) { kill(-child.pid, SIGKILL) })
    }

    /// Ends it by force.
    private func end(_ child: Child, _ why: String) {
        guard child.fault == nil else { return }
        child.fault = why
        child.isLeaving = true
        loop.unwatch(child.socket)
        // The process has a group of its own; nobody has waited for it yet, so that the number is still its own.
        kill(-child.pid, SIGKILL)
    }

    private func checkLife(of child: Child) {
        guard !child.isLeaving else { return }
        guard child.hasSpoken else { return end(child, "it hung") }
        child.hasSpoken = false
        send(.ping, to: child)
    }

    // MARK: Its orders and answers

    private func send(_ order: RunnerOrder, to child: Child) {
        child.queue += order.line
        guard child.queue.count <= Self.longestQueue else { return end(child, "it does not read its orders") }
        flush(child)
    }

    private func flush(_ child: Child) {
        while !child.queue.isEmpty {
            let count = child.queue.withUnsafeBytes { Glibc.send(child.socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            // Where it has gone its end tells more.
            guard count > 0 else { break }
            child.queue.removeFirst(count)
        }
        guard child.isWaitingToWrite == child.queue.isEmpty, !child.isClosed else { return }
        child.isWaitingToWrite = !child.queue.isEmpty
        listen(to: child)
    }

    private func listen(to child: Child) {
        do throws(SystemError) {
            try loop.watch(child.socket, for: child.isWaitingToWrite ? [.readable, .writable] : .readable) { [weak self, weak child] ready in
                if let child { self?.talk(with: child, ready) }
            }
        } catch {
            end(child, "it cannot be heard: \(error)")
        }
    }

    private func talk(with child: Child, _ ready: Loop.Readiness) {
        if ready.contains(.writable) { flush(child) }
        if ready.contains(.readable) || !ready.isDisjoint(with: .broken) {
            guard !read(from: child) else { return }
            // Its end says more; but one that lives on without output does nothing for us.
            child.isClosed = true
            loop.unwatch(child.socket)
            child.timers.append(loop.after(patience.goodbye) { [weak self, weak child] in if let child { self?.end(child, "it closed its output") } })
        }
    }

    /// One piece; what is left makes the socket ready again, after everything else on the loop had its turn. False at the end.
    @discardableResult
    private func read(from child: Child) -> Bool {
        var piece = [UInt8](repeating: 0, count: 65536)
        let count = recv(child.socket, &piece, piece.count, 0)
        if count < 0 { return errno == EINTR || errno == EAGAIN }
        guard count > 0 else { return false }
        child.hasSpoken = true
        child.answers.add(piece[..<count])
        do {
            while let line = try child.answers.next() {
                guard self.child === child, !child.isLeaving else { return true }
                take(try RunnerAnswer(line: line), of: child)
            }
        } catch let error as RunnerMessageError {
            end(child, "it said something that is no answer: \(error)")
        } catch {
            end(child, "it said something without an end")
        }
        return true
    }

    private func take(_ answer: RunnerAnswer, of child: Child) {
        // One that answers and dies again and again has not recovered.
        if failure != nil, SystemTime().now().uptime - child.startedAt >= patience.steadiness { tellRecovery() }
        switch answer {
        case .alive: break
        case .cannotGoOn(let why): child.lastWord = why
        case .measured(let values, let source): if sources.contains(source) { observer?.measured(values, by: source) }
        case .sourceFailed(let source, let why): if sources.contains(source) { observer?.sourceFailed(source, why: why) }
        case .delivered(let alert): if alerts.remove(alert) != nil { observer?.delivered(alert) }
        case .undelivered(let alert, let why, let mayRetry):
            if alerts.remove(alert) != nil { observer?.undelivered(alert, why: why, mayRetry: mayRetry) }
        }
    }

    private func tellFailure(_ why: String) {
        if failure == nil { observer?.runnerFailed(why) }
        failure = why
        for source in work.sources { observer?.sourceFailed(source.id, why: why) }
    }

    private func tellRecovery() {
        if failure != nil { observer?.runnerRecovered() }
        failure = nil
    }

    private func giveUpAlerts(_ why: String) {
        let lost = alerts.sorted()
        alerts = []
        for alert in lost { observer?.undelivered(alert, why: why, mayRetry: true) }
    }

    /// Answers later: whoever asks is in the middle of something.
    private func refuse(_ alert: UInt64, why: String, mayRetry: Bool) {
        loop.after(.zero) { [weak self] in self?.observer?.undelivered(alert, why: why, mayRetry: mayRetry) }
    }
}
