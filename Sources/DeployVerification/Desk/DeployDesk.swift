// Where deploys are prepared, watched and judged inside an agent.

public import AgentAPI
import Glibc
public import Platform

/// Joins looks, questions, verifiers and the book of deploys. It lives on one loop, on whose thread everything here is called, and calls back
/// there too.
///
/// What it writes: one file with the deploys of the last 24 hours, so that a check finds its baseline after a restart of the agent.
public final class DeployDesk {
    /// What the desk needs from the program that it is in.
    public struct Surroundings {
        public var host: String
        /// Of the running kernel, from `/proc/sys/kernel/random/boot_id`: what was before is compared with nothing.
        public var boot: String
        /// Where deploys are kept; `nil`: nowhere.
        public var file: String?
        /// How a service's workers are asked, by the agent's own settings.
        public var question: (_ service: String) -> TokenQuestion?
        /// Answers, soon and on any thread, how a service is; `nil` when nobody watches such a one. A name may lack `.service`.
        public var find: (_ service: String, _ found: @escaping @Sendable (InspectedService?) -> Void) -> Void
        public var windows: DeployWindows
        /// For the log: what an operator should know.
        public var tell: @Sendable (String) -> Void

        public init(
            host: String, boot: String, file: String?, question: @escaping (String) -> TokenQuestion?,
            find: @escaping (String, @escaping @Sendable (InspectedService?) -> Void) -> Void, windows: DeployWindows,
            tell: @escaping @Sendable (String) -> Void
        ) {
            self.host = host
            self.boot = boot
            self.file = file
            self.question = question
            self.find = find
            self.windows = windows
            self.tell = tell
        }
    }

    /// A check under way, for `cancel`.
    public struct CheckNumber: Hashable, Sendable {
        let number: Int
    }

    private static let mostChecks = 64
    private static let roundsOfBaseline = 6
    /// What a process waits for that takes nothing shows only over some time.
    private static let betweenRounds = Duration.milliseconds(25)
    private static let patienceForBaseline = Duration.seconds(3)
    private static let patienceForAsking = Duration.seconds(8)
    private static let statusPatience = Duration.milliseconds(1500)
    /// A service is looked at for so long after somebody last asked how it is: those who ask often get their answers at once.
    private static let statusKeptFor = Duration.seconds(10)
    private static let fileLimit = 32 << 20

    private let loop: Loop
    private let inspector: any ServiceInspector
    private let time: any TimeSource
    private let surroundings: Surroundings
    private let file: BackgroundFile?
    private var book = DeployBook()
    private var watches: [String: ServiceWatch] = [:]
    private var lastNumber = 0
    /// The verifier of each open deploy that observes without a check.
    private var observers: [String: Int] = [:]
    private var checks: [Int: (service: String, deploy: String?)] = [:]
    private var statuses: [String: (number: Int, asked: Duration)] = [:]
    private var preparing: Set<String> = []

    public init(loop: Loop, inspector: any ServiceInspector, time: any TimeSource, surroundings: Surroundings) {
        self.loop = loop
        self.inspector = inspector
        self.time = time
        self.surroundings = surroundings
        let tell = surroundings.tell
        file = surroundings.file.map { path in BackgroundFile(path) { tell("deploys are not kept: \($0)") } }
    }

    /// Reads what was kept, and observes again what was under way. Called once, on the loop's thread.
    public func begin() {
        loop.every(.seconds(60)) { [weak self] in self?.tidy() }
        guard let path = surroundings.file else { return }
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try AtomicFile.read(path, limit: Self.fileLimit)
        } catch {
            // There is none before the first deploy.
            if access(path, F_OK) == 0 { surroundings.tell("earlier deploys are not known: \(error)") }
            return
        }
        guard let json = try? JSON(parsing: bytes) else { return surroundings.tell("\(path) is damaged: earlier deploys are not known") }
        let now = time.now()
        let missed = "the agent was started again at \(now.wall.text(fraction: false)): what happened shortly before is not known"
        for problem in book.restore(json, resumed: missed, at: now.wall) { surroundings.tell("\(path): \(problem)") }
        for entry in book.entries where entry.isOpen && !book.isForgotten(entry, at: now.wall) && entry.baseline.boot == surroundings.boot {
            find(entry.preparation.service) { [weak self] service in
                guard let self, let service, book.entry(entry.preparation.id)?.isOpen == true else { return }
                observe(entry, service)
            }
        }
    }

    /// Writes what is still to be written; for the end of the program.
    public func finish() { file?.finish() }

    // MARK: Preparing

    /// Takes the baseline of a service, and observes it from now on.
    public func prepare(_ preparation: DeployPreparation, _ done: @escaping (Result<DeployPrepared, DeployRefusal>) -> Void) {
        find(preparation.service) { [weak self] service in
            guard let self else { return }
            guard let service else { return done(.failure(unknown(preparation.service))) }
            var preparation = preparation
            preparation.service = service.name
            prepare(preparation, service, done)
        }
    }

    private func prepare(
        _ preparation: DeployPreparation, _ service: InspectedService, _ done: @escaping (Result<DeployPrepared, DeployRefusal>) -> Void
    ) {
        if let refusal = book.refusal(of: preparation, at: time.now().wall, isSameRelease) { return done(.failure(refusal)) }
        if let entry = book.entry(preparation.id) {
            // Asked again, as after a lost connection: the first baseline counts.
            return done(.success(prepared(entry)))
        }
        guard preparing.insert(service.name).inserted else {
            return done(.failure(DeployRefusal(kind: .underWay, description: "a deploy of \(service.name) is just being prepared")))
        }
        takeBaseline(preparation, service) { [weak self] baseline in
            guard let self else { return }
            preparing.remove(service.name)
            let now = time.now().wall
            // Another service's deploy may have come first meanwhile.
            if let refusal = book.refusal(of: preparation, at: now, isSameRelease) { return done(.failure(refusal)) }
            for entry in book.replaced(by: preparation, at: now, isSameRelease) { closeWindow(of: entry) }
            for id in book.add(preparation, baseline, at: now, isSameRelease) { stopObserving(id) }
            guard let entry = book.entry(preparation.id) else { return }
            watches[service.name]?.learn(of: (preparation.id, Secret(preparation.token)))
            observe(entry, service)
            save()
            openWindow(of: entry) { [weak self] problem in
                guard let self else { return }
                guard let problem else { return done(.success(prepared(entry))) }
                _ = end(preparation.id)
                done(.failure(DeployRefusal(kind: .noWindow, description: "no deploy window: \(problem)")))
            }
        }
    }

    private func isSameRelease(_ one: String, _ other: String) -> Bool {
        if one == other { return true }
        guard let first = inspector.release(one).folder, let second = inspector.release(other).folder else { return false }
        return first.mark == second.mark
    }

    private func openWindow(of entry: DeployBook.Entry, _ opened: @escaping (_ problem: String?) -> Void) {
        guard entry.preparation.opensWindow else { return opened(nil) }
        let answer = LoopBound(opened)
        surroundings.windows.open(entry.preparation) { [loop] problem in loop.post { answer.value(problem) } }
    }

    private func closeWindow(of entry: DeployBook.Entry) {
        if entry.preparation.opensWindow { surroundings.windows.close(entry.preparation) }
    }

    private func prepared(_ entry: DeployBook.Entry) -> DeployPrepared {
        let preparation = entry.preparation
        let release = preparation.release.map { inspector.release($0) }
        return DeployPrepared(
            id: preparation.id, service: preparation.service, host: surroundings.host, workers: entry.baseline.workers,
            warnings: Array(
                entry.baseline.warnings(
                    release: release, isInPlace: preparation.isInPlace, asked: question(of: preparation) != nil
                ).prefix(DeployLimits.texts)), isAsked: entry.baseline.isAsked)
    }

    private func question(of preparation: DeployPreparation) -> TokenQuestion? {
        question(preparation.question, hosts: preparation.hosts, of: preparation.service)
    }

    /// What was asked for, with what the service's own settings have beside it.
    private func question(_ asked: TokenQuestion?, hosts: [String], of service: String) -> TokenQuestion? {
        let own = surroundings.question(service)
        var question = asked?.completed(by: own) ?? own
        question?.otherHosts += hosts
        return question
    }

    /// Looks, and asks until every worker has answered, or a few rounds or seconds have passed.
    private func takeBaseline(_ preparation: DeployPreparation, _ service: InspectedService, _ done: @escaping (Baseline) -> Void) {
        var heard: [WorkerAnswer] = []
        var isDone = false
        func look() -> (ServiceLook, Baseline) {
            let look = inspector.look(at: service, known: [])
            var baseline = Baseline(look, answers: heard, token: preparation.token, boot: surroundings.boot)
            if let question = question(of: preparation) { baseline.noteQuestion(heard, question, inspector.searches(service.name)) }
            return (look, baseline)
        }
        func finish(_ baseline: Baseline) {
            guard !isDone else { return }
            isDone = true
            done(baseline)
        }
        func round(_ left: Int) {
            guard !isDone else { return }
            let (look, baseline) = look()
            let workers = baseline.processes.filter { $0.role == .worker }
            guard left > 0, !look.listeners.isEmpty, let question = question(of: preparation), workers.contains(where: { $0.answer == nil }) else {
                return finish(baseline)
            }
            inspector.ask(question, of: service, at: look, workers: workers.map(\.mark)) { answer in
                heard.append(answer)
            } done: { [loop] _, _ in
                // Those who answer have done so by then.
                if left > Self.roundsOfBaseline - 2 { round(left - 1) } else { loop.after(Self.betweenRounds) { round(left - 1) } }
            }
        }
        // A worker that takes connections and says nothing must not hold up the deploy.
        loop.after(Self.patienceForBaseline) { if !isDone { finish(look().1) } }
        round(Self.roundsOfBaseline)
    }

    private func observe(_ entry: DeployBook.Entry, _ service: InspectedService) {
        let preparation = entry.preparation
        let question = question(of: preparation)
        let watch = watch(service)
        lastNumber += 1
        observers[preparation.id] = lastNumber
        watch.add(lastNumber, .init(verifier: verifier(entry, question, start: time.now()), question: question))
        if let order = preparation.availability {
            inspector.probe(order, of: service, listeners: inspector.look(at: service, known: []).listeners)
        }
    }

    private func verifier(_ entry: DeployBook.Entry, _ question: TokenQuestion?, start: Moment) -> HostVerifier {
        let preparation = entry.preparation
        let isOfThisBoot = entry.baseline.boot == surroundings.boot
        var verifier = HostVerifier(
            service: preparation.service, host: surroundings.host, deploy: preparation.id, token: preparation.token,
            baseline: isOfThisBoot ? entry.baseline : nil, release: preparation.release.map { inspector.release($0) }, start: start)
        verifier.asks = question != nil
        verifier.questionPath = question?.path
        verifier.lacks = entry.missed
        if !isOfThisBoot { verifier.lacks.append("the host was started again since the deploy was prepared: its baseline counts for nothing") }
        return verifier
    }

    private func stopObserving(_ id: String) {
        guard let number = observers.removeValue(forKey: id) else { return }
        for (name, watch) in watches where watch.verifier(number) != nil {
            watch.remove(number)
            inspector.stopProbe(of: watch.service.name)
            endIfIdle(name)
        }
    }

    // MARK: Checking

    /// Judges a deploy. `changed` hears of its state whenever that changes, and about once a second; the last one is final.
    /// - Returns: for `cancel`; `nil` when it is refused, which `refused` hears of.
    @discardableResult
    public func check(
        _ check: DeployCheck, _ changed: @escaping (HostDeploy) -> Void, refused: @escaping (DeployRefusal) -> Void
    ) -> CheckNumber? {
        let now = time.now()
        guard checks.count < Self.mostChecks else {
            refused(DeployRefusal(kind: .tooMany, description: "\(Self.mostChecks) checks run already"))
            return nil
        }
        let known = check.deploy.flatMap { book.entry($0) }
        guard let name = known?.preparation.service ?? check.service else {
            refused(unknownDeploy(check))
            return nil
        }
        lastNumber += 1
        let number = lastNumber
        checks[number] = (name, nil)
        find(name) { [weak self] service in
            guard let self, checks[number] != nil else { return }
            guard let service else {
                checks[number] = nil
                return refused(unknown(name))
            }
            let entry = entry(for: check, service.name)
            if entry == nil {
                guard let token = check.token, DeployToken.isToken(token.utf8) else {
                    checks[number] = nil
                    return refused(
                        check.token == nil ? unknownDeploy(check) : DeployRefusal(kind: .wrong, description: DeployTokenError().description))
                }
            }
            checks[number] = (service.name, entry?.preparation.id)
            if let id = entry?.preparation.id {
                book.change(id) {
                    $0.checks += 1
                    $0.touched = now.wall
                }
            }
            begin(check, number, entry, service, changed)
        }
        return CheckNumber(number: number)
    }

    /// By its id, or else the one of this service with this token.
    private func entry(for check: DeployCheck, _ service: String) -> DeployBook.Entry? {
        if let id = check.deploy, let entry = book.entry(id) { return entry }
        guard let token = check.token else { return nil }
        return book.entries.last { $0.preparation.service == service && Secret($0.preparation.token) == Secret(token) }
    }

    private func unknownDeploy(_ check: DeployCheck) -> DeployRefusal {
        DeployRefusal(kind: .unknownDeploy, description: "deploy \(check.deploy ?? "") was not prepared on this host, or longer than a day ago")
    }

    private func begin(
        _ check: DeployCheck, _ number: Int, _ entry: DeployBook.Entry?, _ service: InspectedService, _ changed: @escaping (HostDeploy) -> Void
    ) {
        let now = time.now()
        let watch = watch(service)
        var check = check
        var question = entry.flatMap { self.question(of: $0.preparation) } ?? self.question(check.question, hosts: check.hosts, of: service.name)
        // The password was not kept over a restart of the agent: whoever asks again may have it, or the agent's own settings.
        if entry?.hasLostPassword == true, let known = [check.question, surroundings.question(service.name)].first(where: { $0?.password != nil }) {
            question = self.question(known, hosts: check.hosts, of: service.name)
        }
        var verifier: HostVerifier
        if let entry {
            if let observer = observers[entry.preparation.id].flatMap({ watch.verifier($0) }) {
                verifier = observer
                if let path = entry.preparation.release { verifier.see(inspector.release(path)) }
            } else {
                verifier = self.verifier(entry, question, start: now)
                if entry.outcome != nil { verifier.lacks.append("the deploy was judged before, and what happened since then was not seen") }
                if let availability = entry.availability { verifier.observe(availability) }
            }
            verifier.laterDeploys = book.deploys(after: entry)
        } else {
            verifier = HostVerifier(service: service.name, host: surroundings.host, deploy: check.deploy, token: check.token, start: now)
        }
        if check.evidence == .http, question == nil {
            check.evidence = .process
            verifier.lacks.append("there is no token question for this service: it is judged by its processes alone")
        }
        // Any answer will do to show that a worker serves.
        if check.evidence == .process {
            question = check.question?.completed(by: surroundings.question(service.name)) ?? question ?? TokenQuestion(path: "/")
        }
        verifier.asks = question != nil
        verifier.questionPath = question?.path
        verifier.begin(check, at: now)
        var last: (outline: HostVerifier.Outline, at: Duration)?
        watch.add(
            number,
            .init(verifier: verifier, question: question) { [weak self] verifier in
                guard let self, checks[number] != nil else { return }
                let now = time.now()
                let outline = verifier.outline
                guard verifier.verdict != nil || last.map({ $0.outline != outline || now.uptime - $0.at >= .seconds(1) }) ?? true else { return }
                last = (outline, now.uptime)
                let account = verifier.account(at: now)
                if account.isFinal { end(number, account) }
                changed(account)
            })
    }

    private func end(_ number: Int, _ account: HostDeploy) {
        let deploy = checks[number]?.deploy
        forget(number)
        guard let deploy else { return }
        book.change(deploy) {
            $0.outcome = account
            $0.availability = account.availability ?? $0.availability
        }
        // Another check of it goes on with what it has.
        if book.entry(deploy)?.checks == 0 { stopObserving(deploy) }
        save()
    }

    /// Ends a deploy: its window is closed, and without a verdict it is forgotten, so that another may be prepared. Checks of it that run go
    /// on with what they have.
    /// - Returns: `nil` when there was such a deploy.
    public func end(_ deploy: String) -> DeployRefusal? {
        guard let entry = book.entry(deploy) else { return unknownDeploy(DeployCheck(deploy: deploy)) }
        closeWindow(of: entry)
        guard entry.isOpen else { return nil }
        book.remove(deploy)
        stopObserving(deploy)
        save()
        return nil
    }

    /// The service that a deploy was prepared for; `nil` when there is no such deploy.
    public func service(ofDeploy id: String) -> String? { book.entry(id)?.preparation.service }

    /// Nothing more is heard of this check.
    public func cancel(_ check: CheckNumber) { forget(check.number) }

    private func forget(_ number: Int) {
        guard let (service, deploy) = checks.removeValue(forKey: number) else { return }
        if let deploy {
            let now = time.now().wall
            book.change(deploy) {
                $0.checks -= 1
                $0.touched = now
            }
            if let entry = book.entry(deploy), !entry.isOpen, entry.checks == 0 { stopObserving(deploy) }
        }
        watches[service]?.remove(number)
        endIfIdle(service)
    }

    // MARK: Looking without a deploy

    /// How a service is, and what its workers carry. It answers within a second or two, at once when it was asked not long ago.
    public func status(of name: String, _ done: @escaping (Result<ServiceStatus, DeployRefusal>) -> Void) {
        find(name) { [weak self] service in
            guard let self else { return }
            guard let service else { return done(.failure(unknown(name))) }
            let now = time.now()
            let name = service.name
            let watch = watch(service)
            let open = book.open(of: name, at: now.wall)
            let question = open.flatMap { self.question(of: $0.preparation) } ?? surroundings.question(name)
            if let known = statuses[name], watch.verifier(known.number) != nil {
                statuses[name] = (known.number, now.uptime)
            } else {
                lastNumber += 1
                statuses[name] = (lastNumber, now.uptime)
                var verifier = HostVerifier(service: service.name, host: surroundings.host, start: now)
                verifier.asks = question != nil
                verifier.questionPath = question?.path
                watch.add(lastNumber, .init(verifier: verifier, question: question))
                forgetStatus(of: name, lastNumber, after: Self.statusKeptFor)
            }
            guard let number = statuses[name]?.number else { return }
            watch.hurry()
            answer(name, number, asks: question != nil, since: now.uptime, done)
        }
    }

    private func answer(
        _ name: String, _ number: Int, asks: Bool, since: Duration, _ done: @escaping (Result<ServiceStatus, DeployRefusal>) -> Void
    ) {
        guard let watch = watches[name], let verifier = watch.verifier(number) else { return done(.failure(unknown(name))) }
        let now = time.now()
        let isKnown = verifier.look.map { $0.at >= since } ?? false && (!asks || verifier.isAnswered)
        let carried = verifier.carried(birth: asks ? nil : { [inspector] in inspector.releaseToken(of: $0) })
        // What is not settled yet may be so in a moment.
        if !isKnown || carried == .unproven, now.uptime < since + Self.statusPatience {
            loop.after(.milliseconds(20)) { [weak self] in self?.answer(name, number, asks: asks, since: since, done) }
            return
        }
        var account = verifier.account(at: now)
        account.state = Self.state(of: carried)
        let open = book.open(of: name, at: now.wall)
        guard let open, let observer = observers[open.preparation.id].flatMap({ watch.verifier($0) }) else {
            return done(.success(ServiceStatus(host: account, carried: carried)))
        }
        var status = ServiceStatus(host: observer.account(at: now), carried: carried)
        if case .token(let token) = carried, Secret(token) == Secret(open.preparation.token) {
            if observer.isProven {
                status.host.state = .verified
            } else {
                // All answer with it, and the baseline knows better.
                status.carried = observer.count(.dynamic) > 0 ? .unproven : .mixed
            }
        }
        done(.success(status))
    }

    /// While no deploy is prepared. One token in all workers proves nothing then: it may be that of any deploy.
    private static func state(of carried: CarriedToken) -> Verdict {
        switch carried {
        case .mixed: .mixed
        case .token, .none, .unproven: .unproven
        case .down: .down
        }
    }

    // MARK: How workers are asked

    /// Tries how the workers of a service have to be asked, before any deploy.
    public func ask(_ order: AskingOrder, _ done: @escaping (Result<AskingReport, DeployRefusal>) -> Void) {
        find(order.service) { [weak self] service in
            guard let self else { return }
            guard let service else { return done(.failure(unknown(order.service))) }
            let question = question(order.question, hosts: order.hosts, of: service.name) ?? usualQuestion(order.hosts)
            let look = inspector.look(at: service, known: [])
            let workers = Roles(look, before: nil, memory: RoleMemory()).workers.map(\.mark)
            var isDone = false
            let tell = { [weak self] in
                guard let self, !isDone else { return }
                isDone = true
                let searches = inspector.searches(service.name)
                done(
                    .success(
                        AskingReport(
                            service: order.service, host: surroundings.host, question: question, searches: searches, workers: workers.count)))
            }
            inspector.searchAnew(service.name)
            // Workers that say nothing must not keep it for ever.
            loop.after(Self.patienceForAsking, tell)
            inspector.ask(question, of: service, at: look, workers: workers, { _ in }, done: { _, _ in tell() })
        }
    }

    /// Where most applications answer it.
    private func usualQuestion(_ hosts: [String]) -> TokenQuestion { TokenQuestion(path: "/about/deploy", otherHosts: hosts) }

    // MARK: Housekeeping

    private func watch(_ service: InspectedService) -> ServiceWatch {
        if let known = watches[service.name] { return known }
        let watch = ServiceWatch(service, loop: loop, inspector: inspector, time: time) { [weak self] found in self?.find(service.name, found) }
        watches[service.name] = watch
        return watch
    }

    private func endIfIdle(_ name: String) {
        guard let watch = watches[name], watch.isIdle else { return }
        watch.end()
        watches[name] = nil
    }

    /// Ends the look at a service that nobody asks about any more.
    private func forgetStatus(of name: String, _ number: Int, after wait: Duration) {
        loop.after(wait) { [weak self] in
            guard let self, let status = statuses[name], status.number == number else { return }
            let left = Self.statusKeptFor - (time.now().uptime - status.asked)
            guard left <= .zero else { return forgetStatus(of: name, number, after: left) }
            statuses[name] = nil
            watches[name]?.remove(number)
            endIfIdle(name)
        }
    }

    private func tidy() {
        let now = time.now()
        for entry in book.entries where entry.isOpen && book.isForgotten(entry, at: now.wall) { stopObserving(entry.preparation.id) }
        let over = book.expire(at: now.wall)
        for id in over { stopObserving(id) }
        if !over.isEmpty { save() }
    }

    private func save() { file?.write(book.json.bytes) }

    private func unknown(_ service: String) -> DeployRefusal {
        DeployRefusal(kind: .unknownService, description: "nobody watches a service \(service) on this host")
    }

    /// Asks the watcher, and comes back to the loop.
    private func find(_ name: String, _ found: @escaping (InspectedService?) -> Void) {
        let answer = LoopBound(found)
        surroundings.find(name) { [loop] service in loop.post { answer.value(service) } }
    }
}

/// A closure of the loop's thread on its way through another one, which does not call it.
private struct LoopBound<Argument>: @unchecked Sendable {
    let value: (Argument) -> Void
    init(_ value: @escaping (Argument) -> Void) { self.value = value }
}
