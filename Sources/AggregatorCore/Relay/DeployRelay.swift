// Deploys of a service on all its hosts: what verify-token asks, agents answer through the aggregator.

public import AgentAPI
import Logging
public import Platform
import Synchronization

/// Why a deploy is not relayed at all.
public enum RelayRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nobody configured or reports anything of that name.
    case unknownService(String)
    /// There is such a service, and no host reports a unit of it.
    case noHost(service: String)
    case tooManyHosts(Int)
    case busy
    /// Passwords do not pass through the aggregator.
    case hasLogin

    public var description: String {
        switch self {
        case .unknownService(let name): "there is no service \(name): no host reports a unit of that name, and none is configured"
        case .noHost(let service): "no host reports a unit of the service \(service): do its agents run, and do they watch it?"
        case .tooManyHosts(let count): "the service is on \(count) hosts, and at most \(DeployLimits.hosts) are asked at once"
        case .busy: "\(DeployRelay.most) deploys are relayed at once already: try again in a moment"
        case .hasLogin: "a login does not pass through the aggregator: each agent uses the service's own `deploy_user` and `deploy_password_file`"
        }
    }
}

/// What one host said to a preparation.
public struct RelayedPreparation: Equatable, Sendable {
    public var host: String
    public var prepared: DeployPrepared?
    /// Why it is not prepared there.
    public var problem: String?

    public init(host: String, prepared: DeployPrepared? = nil, problem: String? = nil) {
        self.host = host
        self.prepared = prepared
        self.problem = problem
    }

    public var json: JSON { ["host": .string(host), "prepared": prepared?.json ?? .null, "problem": JSON(problem)] }
}

/// Asks the agents of all hosts of a service at once; each answers for itself, and whoever does not is named. It proves nothing: a host is
/// verified when its own agent has said so, and in no other case.
public struct DeployRelay: Sendable {
    /// Relays at once.
    static let most = 16
    /// How long a preparation may take.
    static let preparing = Duration.seconds(30)
    static let cancelling = Duration.seconds(10)
    /// How long an agent may need to come for its order: after a restart of the aggregator it tries again within seconds.
    static let coming = Duration.seconds(10)
    /// How long an agent may say nothing of an order that it has; it says something every few seconds.
    static let silence = OrderLine.signOfLife * 3
    /// How much longer than its check an agent may take: less than whoever asked waits.
    static let slack = Duration.seconds(4)
    /// Something is said at least so often.
    static let signOfLife = Duration.seconds(4)
    private static let look = Duration.milliseconds(250)

    private let store: any StoreReading
    private let board: OrderBoard
    private let time: any TimeSource
    private let running = Running()
    private let logger = Logger(label: "deploys")

    public init(store: any StoreReading, board: OrderBoard, time: any TimeSource) {
        self.store = store
        self.board = board
        self.time = time
    }

    // MARK: What is asked

    /// Returns when every host has answered, or cannot.
    /// - Parameter service: as whoever deploys calls it; each host's own unit takes its place.
    public func prepare(
        _ preparation: DeployPreparation, of service: String
    ) async throws(StoreError) -> Result<[RelayedPreparation], RelayRefusal> {
        guard preparation.question?.user == nil, preparation.question?.password == nil else { return .failure(.hasLogin) }
        return try await relay("deploy_prepare", preparation.id, service) { targets in
            await each(of: targets) { target in
                var preparation = preparation
                let answer = await ask(target, within: Self.preparing) { unit in
                    preparation.service = unit
                    return .prepareDeploy(preparation)
                }
                switch answer {
                case .failure(let problem): return RelayedPreparation(host: target.host, problem: problem.description)
                case .success(let answer) where !answer.isGood: return RelayedPreparation(host: target.host, problem: answer.problem)
                case .success(let answer):
                    guard var prepared = try? DeployPrepared(answer.json) else {
                        return RelayedPreparation(host: target.host, problem: Lost.strange.description)
                    }
                    prepared.host = target.host
                    return RelayedPreparation(host: target.host, prepared: prepared)
                }
            }
        }
    }

    /// Ends a deploy without a verdict wherever it was prepared.
    /// - Returns: why not, of the hosts where it goes on.
    public func cancel(_ deploy: String, of service: String) async throws(StoreError) -> Result<[RelayedPreparation], RelayRefusal> {
        try await relay("deploy_cancel", deploy, service) { targets in
            await each(of: targets) { target in
                switch await ask(target, within: Self.cancelling, { _ in .cancelDeploy(id: deploy) }) {
                case .failure(let problem): RelayedPreparation(host: target.host, problem: problem.description)
                case .success(let answer): RelayedPreparation(host: target.host, problem: answer.isGood ? nil : answer.problem)
                }
            }
        }
    }

    /// A check that has found its hosts.
    public struct Checking: Sendable {
        fileprivate let targets: [RelayTarget]
        fileprivate let check: DeployCheck
        fileprivate let place: Running.Place
    }

    public func begin(_ check: DeployCheck, of service: String) async throws(StoreError) -> Result<Checking, RelayRefusal> {
        guard check.question?.user == nil, check.question?.password == nil else { return .failure(.hasLogin) }
        guard let place = running.take() else { return .failure(.busy) }
        return try await targets(of: service).map { targets in
            logger.notice(
                "a deploy is relayed",
                metadata: ["order": "deploy_check", "service": "\(service)", "deploy": "\(check.deploy ?? "")", "hosts": "\(targets.count)"])
            return Checking(targets: targets, check: check, place: place)
        }
    }

    /// Tells a host's state whenever that changes, and something every few seconds; returns when all are final.
    public func run(_ checking: Checking, _ tell: (HostDeploy) async throws -> Void) async throws {
        defer { withExtendedLifetime(checking.place) {} }
        let states = LatestStates(checking.targets.count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, target) in checking.targets.enumerated() {
                states.set(index, waiting(for: target, checking.check))
                group.addTask { await judge(target, checking.check) { states.set(index, $0) } }
            }
            group.addTask { [time] in
                while !Task.isCancelled {
                    try? await time.sleep(Self.signOfLife)
                    states.repeatOne()
                }
            }
            for await _ in states.changes {
                for state in states.take() { try await tell(state) }
                if states.areFinal { break }
            }
            group.cancelAll()
            // Whoever asked must not take half an answer for a whole one.
            try Task.checkCancellation()
        }
    }

    // MARK: One host

    private func judge(_ target: RelayTarget, _ check: DeployCheck, _ heard: @escaping @Sendable (HostDeploy) -> Void) async {
        var limit = check.timeout + check.watch + Self.slack
        if case .wait(let time) = check.draining { limit += time }
        let answer = await ask(target, within: limit) { unit in
            var check = check
            check.service = unit
            return .checkDeploy(check)
        } heard: { answer in
            guard answer.isGood, var state = try? HostDeploy(answer.json), !state.isFinal else { return }
            state.host = target.host
            heard(state)
        }
        switch answer {
        case .failure(let lost): heard(unreachable(target, check, lost.description))
        case .success(let answer) where !answer.isGood: heard(unreachable(target, check, answer.problem))
        case .success(let answer):
            // What is final is so by the agent's own word, and not by that of the line alone.
            guard var state = try? HostDeploy(answer.json), state.isFinal else {
                return heard(unreachable(target, check, Lost.strange.description))
            }
            state.host = target.host
            heard(state)
        }
    }

    private func waiting(for target: RelayTarget, _ check: DeployCheck) -> HostDeploy {
        var state = unreachable(target, check, "its agent has not answered yet")
        state.isFinal = false
        return state
    }

    private func unreachable(_ target: RelayTarget, _ check: DeployCheck, _ why: String) -> HostDeploy {
        HostDeploy(
            service: (try? target.unit.get()) ?? check.service ?? "", host: target.host, state: .unreachable, isFinal: true, since: time.now().wall,
            deploy: check.deploy, evidence: "none", reasons: [why])
    }

    /// Why an agent gave no answer.
    private enum Lost: Error, CustomStringConvertible {
        case ambiguous(String)
        case silent(since: Timestamp)
        case notComing
        case quiet
        case slow(Duration)
        case strange

        var description: String {
            switch self {
            case .ambiguous(let problem): problem
            case .silent(let since): "its agent has not reported since \(since.text(fraction: false))"
            case .notComing: "its agent does not ask for orders: does it run, is it as new as the aggregator, does it reach \(OrderLine.callPath)?"
            case .quiet: "its agent has said nothing for \(DeployRelay.silence.inSeconds.rounded().formatted) s"
            case .slow(let limit): "its agent gave no answer within \(limit.inSeconds.rounded().formatted) s"
            case .strange: "its agent does not answer like a Rollcall agent of this version"
            }
        }
    }

    /// Gives an order and waits for its final answer.
    private func ask(
        _ target: RelayTarget, within limit: Duration, _ request: (_ unit: String) -> AgentRequest,
        heard: @escaping @Sendable (AgentAnswer) -> Void = { _ in }
    ) async -> Result<AgentAnswer, Lost> {
        let unit: String
        switch target.unit {
        case .success(let name): unit = name
        case .failure(let ambiguity): return .failure(.ambiguous(ambiguity.problem))
        }
        // A host that has just come back may not have reported yet.
        guard !target.isSilent || board.isListening(target.agent) else { return .failure(.silent(since: target.lastReport)) }
        let given = board.give(request(unit), to: target.agent)
        defer { board.end(given) }
        return await withTaskGroup(of: Result<AgentAnswer, Lost>?.self) { group in
            group.addTask {
                for await answer in given.answers {
                    if answer.isFinal { return .success(answer.answer) }
                    heard(answer.answer)
                }
                return nil
            }
            group.addTask { await self.lost(given, within: limit) }
            // Who is cancelled has nobody to tell.
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failure(.quiet)
        }
    }

    private func lost(_ given: OrderBoard.Given, within limit: Duration) async -> Result<AgentAnswer, Lost>? {
        let began = time.now().uptime
        while !Task.isCancelled {
            try? await time.sleep(Self.look)
            let now = time.now().uptime
            switch board.standing(of: given) {
            case nil: try? await time.sleep(Self.coming)  // its answer is on its way, and ends this
            case .waiting(let since) where now - since >= Self.coming: return .failure(.notComing)
            case .handedOut(let heard) where now - heard >= Self.silence: return .failure(.quiet)
            default: if now - began >= limit { return .failure(.slow(limit)) }
            }
        }
        return nil
    }

    // MARK: All hosts

    private func relay(
        _ verb: String, _ deploy: String, _ service: String, _ work: ([RelayTarget]) async -> [RelayedPreparation]
    ) async throws(StoreError) -> Result<[RelayedPreparation], RelayRefusal> {
        guard let place = running.take() else { return .failure(.busy) }
        defer { withExtendedLifetime(place) {} }
        switch try await targets(of: service) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let targets):
            logger.notice(
                "a deploy is relayed",
                metadata: ["order": "\(verb)", "service": "\(service)", "deploy": "\(deploy)", "hosts": "\(targets.count)"])
            return .success(await work(targets))
        }
    }

    private func each(
        of targets: [RelayTarget], _ work: @escaping @Sendable (RelayTarget) async -> RelayedPreparation
    ) async -> [RelayedPreparation] {
        await withTaskGroup(of: RelayedPreparation.self) { group in
            for target in targets { group.addTask { await work(target) } }
            var all: [RelayedPreparation] = []
            for await one in group { all.append(one) }
            return all.sorted { $0.host < $1.host }
        }
    }

    /// The hosts of a configured service, else of the unit of that name.
    private func targets(of service: String) async throws(StoreError) -> Result<[RelayTarget], RelayRefusal> {
        var units = try await store.units(ofService: service)
        if units.isEmpty {
            units = try await store.units(ofService: nil).filter { $0.state.name == service || $0.state.name == "\(service).service" }
        }
        let targets = RelayTarget.all(of: service, units: units, hosts: try await store.hosts())
        guard !targets.isEmpty else {
            let isKnown = try await store.service(service) != nil
            return .failure(isKnown ? .noHost(service: service) : .unknownService(service))
        }
        return targets.count > DeployLimits.hosts ? .failure(.tooManyHosts(targets.count)) : .success(targets)
    }
}

extension AgentAnswer {
    /// What an agent refused, in one line.
    fileprivate var problem: String {
        let words = json["error"]?.string ?? text
        return words.split(separator: "\n").first.map(String.init) ?? "its agent refused without saying why"
    }
}

extension Double {
    fileprivate var formatted: String { "\(Int64(self))" }
}

/// How many relays go on. A place is given back when nobody holds it any more.
private final class Running: Sendable {
    final class Place: Sendable {
        private let running: Running
        fileprivate init(_ running: Running) { self.running = running }
        deinit { running.count.withLock { $0 -= 1 } }
    }

    private let count = Mutex(0)

    func take() -> Place? {
        let isFree = count.withLock { count in
            guard count < DeployRelay.most else { return false }
            count += 1
            return true
        }
        return isFree ? Place(self) : nil
    }
}

/// The newest state of each host, for a reader who may be slow: what it has not read is replaced by what is newer.
private final class LatestStates: Sendable {
    private struct State {
        var states: [HostDeploy?]
        var unread: Set<Int> = []
    }

    let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation
    private let state: Mutex<State>

    init(_ count: Int) {
        state = Mutex(State(states: Array(repeating: nil, count: count)))
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func set(_ index: Int, _ new: HostDeploy) {
        state.withLock { state in
            guard state.states[index]?.isFinal != true else { return }
            state.states[index] = new
            state.unread.insert(index)
        }
        changed.yield()
    }

    /// A sign of life.
    func repeatOne() {
        state.withLock { state in
            if let open = state.states.firstIndex(where: { $0?.isFinal == false }) { state.unread.insert(open) }
        }
        changed.yield()
    }

    func take() -> [HostDeploy] {
        state.withLock { state in
            defer { state.unread = [] }
            return state.unread.sorted().compactMap { state.states[$0] }
        }
    }

    /// All are, and all of it was read.
    var areFinal: Bool { state.withLock { state in state.unread.isEmpty && state.states.allSatisfy { $0?.isFinal == true } } }
}
