// The thread on which deploys are prepared, watched and judged.

public import AgentAPI
public import DeployVerification
import Glibc
public import Platform
import Synchronization

/// A service as the watcher knows it.
public struct WatchedService: Sendable {
    public var inspected: InspectedService
    /// Which init system answers for it.
    public var initSystem: String?

    public init(_ inspected: InspectedService, initSystem: String?) {
        self.inspected = inspected
        self.initSystem = initSystem
    }
}

/// The deploy desk with a loop and a thread of its own: whatever a release's file system or a worker does, only this thread waits for
/// it. Calls come from any thread and never wait; answers come on this one. While no deploy goes on it wakes once a minute.
public final class DeployThread: @unchecked Sendable {
    /// What it needs from the program that it is in. The closures are called on the desk's thread.
    public struct Surroundings {
        public var host: String
        public var boot: String
        /// Where deploys are kept.
        public var file: String
        /// Answers, soon and on any thread, how a service is; `nil` when nobody watches such a one.
        public var find: @Sendable (_ name: String, _ found: @escaping @Sendable (WatchedService?) -> Void) -> Void
        /// Answers, soon and on any thread, which services are watched.
        public var list: @Sendable (_ found: @escaping @Sendable ([String]) -> Void) -> Void
        public var windows: DeployWindows
        /// Hears of each deploy whose verdict is final.
        public var judged: @Sendable (HostDeploy) -> Void
        /// For the log.
        public var tell: @Sendable (String) -> Void

        public init(
            host: String, boot: String, file: String,
            find: @escaping @Sendable (String, @escaping @Sendable (WatchedService?) -> Void) -> Void,
            list: @escaping @Sendable (@escaping @Sendable ([String]) -> Void) -> Void,
            windows: DeployWindows, judged: @escaping @Sendable (HostDeploy) -> Void, tell: @escaping @Sendable (String) -> Void
        ) {
            self.host = host
            self.boot = boot
            self.file = file
            self.find = find
            self.list = list
            self.windows = windows
            self.judged = judged
            self.tell = tell
        }
    }

    /// How the workers of the service of this name are asked, by the agent's own configuration; `nil`: not at all.
    public typealias Question = @Sendable (_ service: String) -> TokenQuestion?

    /// What is heard of a check.
    public enum News: Sendable {
        case state(HostDeploy)
        case refused(DeployRefusal)
    }

    /// A check under way.
    public struct Check: Hashable, Sendable {
        fileprivate let number: Int
    }

    /// How long the end of the agent waits for what is being written.
    private static let patience = Duration.seconds(2)
    private static let mostAtOnce = 100

    private let loop: Loop
    private let surroundings: Surroundings
    private let questions: Questions
    private let lastCheck = Atomic(0)
    private let isOver = Atomic(false)
    // For the desk's thread alone.
    private let desk: DeployDesk
    private let inspector: any ServiceExaminer
    private var checks: [Check: DeployDesk.CheckNumber] = [:]
    /// The service that was meant last by nobody's name.
    private var theOne: String?

    /// - Parameters:
    ///   - question: how a service's workers are asked, where a deploy does not say; `nil`: not at all.
    ///   - inspector: makes the eyes, which live on the loop.
    public init(
        _ surroundings: Surroundings, question: @escaping Question, time: any TimeSource = SystemTime(), inspector: (Loop) -> any ServiceExaminer
    ) throws(SystemError) {
        let loop = try Loop()
        let eyes = inspector(loop)
        let questions = Questions(question)
        self.loop = loop
        self.inspector = eyes
        self.surroundings = surroundings
        self.questions = questions
        desk = DeployDesk(
            loop: loop, inspector: eyes, time: time,
            surroundings: DeployDesk.Surroundings(
                host: surroundings.host, boot: surroundings.boot, file: surroundings.file, question: { questions.of($0) },
                find: { name, found in surroundings.find(name) { found($0?.inspected) } }, windows: surroundings.windows, tell: surroundings.tell))
    }

    /// Begins, with what an earlier life of the agent has kept.
    /// - Returns: false when there can be no thread.
    public func start() -> Bool {
        loop.post { self.desk.begin() }
        return detachThread(stackSize: 1 << 20) { [self] in
            loop.run()
            isOver.store(true, ordering: .releasing)
        }
    }

    /// Another configuration counts from now on, also for deploys under way that have brought no question of their own.
    public func ask(_ new: @escaping Question) { questions.take(new) }

    /// Ends the thread and writes what is still to be written. The one call that waits, for two seconds at most; not for the desk's thread.
    public func finish() {
        loop.post { [self] in
            desk.finish()
            loop.stop()
        }
        var left = Self.patience
        while !isOver.load(ordering: .acquiring), left > .zero {
            usleep(1000)
            left -= .milliseconds(1)
        }
    }

    // MARK: Questions

    public func prepare(_ preparation: DeployPreparation, _ done: @escaping @Sendable (Result<DeployPrepared, DeployRefusal>) -> Void) {
        loop.post { [self] in desk.prepare(preparation, done) }
    }

    /// - Parameter heard: called whenever something changes and about once a second, until a refusal or a final state.
    public func check(_ check: DeployCheck, _ heard: @escaping @Sendable (News) -> Void) -> Check {
        let own = Check(number: lastCheck.wrappingAdd(1, ordering: .relaxed).newValue)
        loop.post { [self] in
            var isOver = false
            let number = desk.check(check) { [weak self] account in
                if account.isFinal {
                    isOver = true
                    self?.checks[own] = nil
                    // What nobody has prepared is a question, not a deploy.
                    if account.deploy != nil, account.hasBaseline { self?.surroundings.judged(account) }
                }
                heard(.state(account))
            } refused: { [weak self] refusal in
                isOver = true
                self?.checks[own] = nil
                heard(.refused(refusal))
            }
            if let number, !isOver { checks[own] = number }
        }
        return own
    }

    /// Nobody wants to hear of it any more.
    public func cancel(_ check: Check) {
        loop.post { [self] in
            if let number = checks.removeValue(forKey: check) { desk.cancel(number) }
        }
    }

    /// Ends a deploy: see `DeployDesk.end`. - Parameter done: hears why not, or `nil`.
    public func end(_ deploy: String, _ done: @escaping @Sendable (DeployRefusal?) -> Void) {
        loop.post { [self] in done(desk.end(deploy)) }
    }

    /// The service that a deploy was prepared for on this host; `nil` when nobody knows it.
    func service(ofDeploy id: String?, _ done: @escaping @Sendable (String?) -> Void) {
        loop.post { [self] in done(id.flatMap { desk.service(ofDeploy: $0) }) }
    }

    /// A question that came through the aggregator has no login: the one that the service's own file gives is for its workers.
    func withOwnLogin(_ asked: TokenQuestion, of service: String) -> TokenQuestion {
        guard asked.user == nil, asked.password == nil, let own = questions.of(service) else { return asked }
        var asked = asked
        (asked.user, asked.password) = (own.user, own.password)
        asked.host = asked.host ?? own.host
        return asked
    }

    /// See `DeployDesk.ask`.
    func ask(_ order: AskingOrder, _ done: @escaping @Sendable (Result<AskingReport, DeployRefusal>) -> Void) {
        loop.post { [self] in desk.ask(order, done) }
    }

    public func status(of service: String, _ done: @escaping @Sendable (Result<ServiceStatus, DeployRefusal>) -> Void) {
        loop.post { [self] in desk.status(of: service, done) }
    }

    /// Of all that is watched.
    public func statuses(_ done: @escaping @Sendable ([ServiceStatus]) -> Void) {
        surroundings.list { [self] names in
            loop.post { [self] in statuses(of: names) { done($0.map(\.status)) } }
        }
    }

    private func statuses(of names: [String], _ done: @escaping ([(name: String, status: ServiceStatus)]) -> Void) {
        let names = names.prefix(Self.mostAtOnce)
        var found: [(name: String, status: ServiceStatus)] = []
        var left = names.count
        guard left > 0 else { return done([]) }
        for name in names {
            desk.status(of: name) { result in
                if case .success(let status) = result { found.append((name, status)) }
                left -= 1
                if left == 0 { done(found.sorted { $0.name < $1.name }) }
            }
        }
    }

    /// Of the one service that can answer: the only one that is watched, or else the only one whose workers carry tokens.
    public func statusOfTheOne(_ done: @escaping @Sendable (Result<ServiceStatus, DeployRefusal>) -> Void) {
        surroundings.list { [self] names in
            loop.post { [self] in
                if names.count == 1, let only = names.first { return desk.status(of: only, done) }
                statuses(of: names) { [weak self] all in
                    guard let self else { return }
                    let able = all.filter { $0.status.carries || $0.status.host.deploy != nil }
                    if able.count == 1 { theOne = able.first?.name }
                    // In the middle of its restart it still is the one.
                    if able.count <= 1, let known = all.first(where: { $0.name == self.theOne }) { return done(.success(known.status)) }
                    done(
                        .failure(
                            DeployRefusal(
                                kind: .unknownService,
                                description:
                                    "\(able.isEmpty ? "none" : "more than one") of the \(names.count) services here carries a token; ask for /about/deploy/SERVICE"
                            )))
                }
            }
        }
    }

    public func examine(_ name: String, _ done: @escaping @Sendable (Result<ServiceFacts, DeployRefusal>) -> Void) {
        surroundings.find(name) { [self] service in
            loop.post { [self] in
                guard let service else {
                    return done(.failure(DeployRefusal(kind: .unknownService, description: "nobody watches a service \(name) on this host")))
                }
                var facts = inspector.examine(service.inspected)
                facts.service = name
                facts.unit = service.inspected.name
                facts.initSystem = service.initSystem
                done(.success(facts))
            }
        }
    }

    /// See `ServiceExaminer`.
    public func notice(_ process: Int32, before: Timestamp?) {
        loop.post { [self] in inspector.notice(process, before: before) }
    }
}

extension ServiceStatus {
    fileprivate var carries: Bool {
        switch carried {
        case .token, .mixed: true
        case .none, .down, .unproven: false
        }
    }
}

/// How workers are asked, by the agent's own configuration, which may change.
private final class Questions: Sendable {
    private let held: Mutex<DeployThread.Question>

    init(_ question: @escaping DeployThread.Question) { held = Mutex(question) }

    func take(_ new: @escaping DeployThread.Question) { held.withLock { $0 = new } }

    func of(_ service: String) -> TokenQuestion? { held.withLock { $0 }(service) }
}
