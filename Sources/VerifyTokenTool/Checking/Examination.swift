// Looks at the URLs, listens to the agents, and says when it is enough.

import AgentAPI
import DeployVerification
import Platform
import Transfer

/// One check: what is known, shared by everything that looks and listens.
actor Examination {
    /// For how long a URL is looked at often after the agents have told that all workers are new.
    private static let dueFor = Duration.seconds(2)

    private let plan: Plan
    private let time: any TimeSource
    private let begin: Moment
    private var verifier: Verifier
    private var book: HostBook
    private var board: Board
    /// How many states have come through each door.
    private var heard: [Int: Int] = [:]
    /// Since when every URL has answered right, without a break; once it is proven.
    private var provenSince: Duration?
    private var hasSettled = false
    /// What the agents have told of the workers, how often that has changed, and since when all of them are new.
    private var progress = HostBook.Progress()
    private var turns = 0
    private var newSince: Duration?
    /// Pauses between looks at a URL.
    private var naps: [Int: Task<Void, any Error>] = [:]
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    init(_ plan: Plan, showsProgress: Bool, time: any TimeSource) {
        self.plan = plan
        self.time = time
        begin = time.now()
        verifier = Verifier(targets: plan.requests.map(\.shown), patience: plan.patience, start: begin.uptime)
        book = HostBook(doors: plan.doors, hosts: plan.hosts)
        board = Board(isShown: showsProgress)
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Looks until there is a verdict.
    func run(with transfers: Transfers) async -> CheckResult {
        await withTaskGroup { group in
            for (index, request) in plan.requests.enumerated() {
                group.addTask { await self.look(at: request, index, with: transfers) }
            }
            for (index, door) in plan.doors.enumerated() {
                group.addTask { await self.listen(at: door, index, with: transfers) }
            }
            group.addTask { [time, changed] in
                while !Task.isCancelled {
                    try? await time.sleep(self.untilNextTurn)
                    changed.yield()
                }
            }
            for await _ in changes {
                let isOver = isOver(at: time.now().uptime)
                show()
                if isOver { break }
            }
            let result = finish()
            group.cancelAll()
            return result
        }
    }

    // MARK: Looking and listening

    private func look(at request: HTTPRequest, _ index: Int, with transfers: Transfers) async {
        while !Task.isCancelled {
            let turnsBefore = turns
            let asked = time.now().uptime
            let evidence = await evidence(request, transfers)
            // A look that the end of the time cut short saw nothing.
            guard !Task.isCancelled else { return }
            verifier.observe(evidence, of: index, asked: asked, at: time.now().uptime)
            changed.yield()
            if turns == turnsBefore { await rest(index) }
        }
    }

    /// Until the next look at a URL, or until an agent tells of workers that have turned over.
    private func rest(_ index: Int) async {
        let now = time.now().uptime
        let isDue = newSince.map { now - $0 < Self.dueFor } ?? false
        // Not quite regular: else the looks could fall in step with others' requests, and a balancer give us always the same backend.
        let pause = verifier.pause(of: index, isDue: isDue, at: now) * Double.random(in: 0.8...1.2)
        let nap = Task { [time] in try await time.sleep(pause) }
        naps[index] = nap
        await withTaskCancellationHandler {
            _ = await nap.result
        } onCancel: {
            nap.cancel()
        }
    }

    /// Looks at the URLs at once when the agents tell what must change their answers.
    private func noteProgress(at now: Duration) {
        let latest = book.progress
        guard latest != progress else { return }
        progress = latest
        newSince = latest.isEveryHostNew ? newSince ?? now : nil
        verifier.explain(before: newSince)
        turns += 1
        for nap in naps.values { nap.cancel() }
    }

    private func evidence(_ request: HTTPRequest, _ transfers: Transfers) async -> Evidence {
        do throws(TransferError) {
            let answer = try await transfers.http(request)
            guard let token = plan.token else { return .other(reason: "no token is known") }
            return Evidence(status: answer.status, headers: answer.headers, body: answer.body, expecting: token)
        } catch {
            switch error.kind {
            case .connectionRefused: return .refused
            case .connectionLost: return .lost
            case .timedOut: return .noAnswer
            case .couldNotResolve, .couldNotConnect: return .noConnection(reason: error.detail)
            case .tls: return .tls(reason: error.detail)
            case .untrusted: return .untrusted(reason: error.detail)
            case .tooLarge, .tooManyRedirects, .protocolError, .refused, .badRequest, .cancelled: return .other(reason: error.detail)
            }
        }
    }

    /// Asks an agent until it has said its last word. One that cannot be asked is asked again, three times over five seconds at least.
    private func listen(at door: Door, _ index: Int, with transfers: Transfers) async {
        var failures = 0
        var failingSince: Duration?
        while !Task.isCancelled {
            let before = heard[index] ?? 0
            do throws(DoorError) {
                try await listenOnce(at: door, index, with: transfers)
                return
            } catch {
                guard !Task.isCancelled else { return }
                let now = time.now()
                if heard[index] ?? 0 > before {
                    failures = 0
                    failingSince = nil
                }
                failures += 1
                let since = failingSince ?? now.uptime
                failingSince = since
                if !error.isWorthAnotherTry || (failures >= 3 && now.uptime - since >= .seconds(5)) {
                    book.giveUp(on: index, named: door.name, service: plan.service ?? "", why: error.description, at: now)
                    changed.yield()
                    return
                }
                try? await time.sleep(.seconds(1))
            }
        }
    }

    /// Returns when all behind the door have said their last word.
    private func listenOnce(at door: Door, _ index: Int, with transfers: Transfers) async throws(DoorError) {
        guard var check = plan.check else { return }
        let elapsed = time.now().uptime - begin.uptime
        check.timeout = max(.milliseconds(100), check.timeout - elapsed)
        let (lines, line) = AsyncStream<HostDeploy>.makeStream(bufferingPolicy: .bufferingNewest(1000))
        let reader = Task {
            for await deploy in lines { observe(deploy, through: index, ofMany: door.isAggregator) }
        }
        var problem: DoorError?
        do throws(DoorError) {
            try await door.verify(check, within: max(.seconds(1), plan.agentsLimit - elapsed), with: transfers) { line.yield($0) }
        } catch {
            problem = error
        }
        line.finish()
        await reader.value
        if let problem { throw problem }
        if book.isDone(index) {
            book.conclude(index)
            changed.yield()
            return
        }
        guard !door.isAggregator else { throw DoorError(kind: .refused(status: 0), description: "the aggregator told nothing of it") }
        throw DoorError(kind: .unreachable, description: "the agent's answer ended before its verdict")
    }

    private func observe(_ deploy: HostDeploy, through door: Int, ofMany: Bool) {
        // What is said of another deploy proves nothing of this one.
        if let token = plan.token, let prefix = deploy.tokenPrefix, !token.text.hasPrefix(prefix) { return }
        heard[door, default: 0] += 1
        let now = time.now().uptime
        book.observe(deploy, through: door, ofMany: ofMany, at: now)
        noteProgress(at: now)
        changed.yield()
    }

    // MARK: Deciding

    /// How long to wait at most before it may be over though nothing is heard.
    private var untilNextTurn: Duration {
        let tick = Duration.milliseconds(100)
        guard let provenSince else { return tick }
        let left = provenSince + plan.settle + plan.watch - time.now().uptime
        return left > .zero ? min(left, tick) : tick
    }

    /// Whether nothing better is to be had by looking on.
    private func isOver(at now: Duration) -> Bool {
        let areURLsRight = noteURLs(at: now)
        guard !plan.doors.isEmpty else { return areURLsOver(areURLsRight, at: now) }
        switch book.standing(failsFast: plan.failsFast, at: now) {
        case .failed: return true
        case .proven: return plan.requests.isEmpty || areURLsOver(areURLsRight, at: now)
        case .open: return isBarred(at: now) || now - begin.uptime >= plan.agentsLimit
        }
    }

    private func areURLsOver(_ areRight: Bool, at now: Duration) -> Bool {
        if areRight, isSettled(at: now - plan.watch) { return true }
        // A watch begins only when everything is right, and may end after the timeout.
        let isWatching = areRight && hasSettled
        return isBarred(at: now) || (now - begin.uptime >= plan.patience.timeout && !isWatching)
    }

    /// - Returns: whether every URL is proven.
    private func noteURLs(at now: Duration) -> Bool {
        guard !plan.requests.isEmpty, verifier.verdict(at: now) == .verified else {
            provenSince = nil
            hasSettled = false
            return false
        }
        // Where the agents have looked at the workers all the time, a URL has nothing to settle that was never wrong.
        let isVouchedFor = !plan.doors.isEmpty && verifier.hasOnlyBeenRight
        let since = isVouchedFor ? begin.uptime - plan.settle : verifier.rightSince(at: now) ?? now
        provenSince = since
        if isSettled(at: now) { hasSettled = true }
        return true
    }

    /// Whether the URLs had been right for long enough by then, and were so in time.
    private func isSettled(at moment: Duration) -> Bool {
        guard let provenSince else { return false }
        let settled = provenSince + plan.settle
        return moment >= settled && settled <= begin.uptime + plan.patience.timeout
    }

    /// A URL that will not be asked with success however long it takes.
    private func isBarred(at now: Duration) -> Bool {
        guard !plan.requests.isEmpty, now - begin.uptime < plan.patience.timeout, let verdict = verifier.verdict(at: now) else { return false }
        return verdict != .verified
    }

    /// What the verdict rests on, if this were the end.
    private func sum(at now: Duration) -> CombinedDeploy {
        let hosts = book.deciding.map { host in
            var host = host
            // Its agent wanted to look on.
            if host.state == .verified, !host.isFinal { host.state = .inProgress }
            return host
        }
        // What an agent has seen explains what the URLs showed, unless it has seen nothing.
        let explains = hosts.contains { $0.state.isFailure && $0.state != .unreachable && $0.state != .unproven }
        let silent = book.entries.filter { $0.deploy == nil }.map { nothing(from: $0.name) }
        return CombinedDeploy(
            hosts: hosts + (explains ? [] : silent), urls: explains ? [] : urls(at: now), availability: plan.probe?.sum(), limits: plan.limits)
    }

    /// A host that has said nothing so far.
    private func nothing(from host: String) -> HostDeploy {
        HostDeploy(
            service: plan.service ?? "", host: host, state: .unreachable, since: begin.wall, evidence: "none", reasons: ["said nothing in time"])
    }

    private func urls(at now: Duration) -> [DeployRecord.URL] {
        let isSettled = isSettled(at: now)
        return plan.requests.enumerated().map { index, request in
            let state = verifier.verdict(of: index, at: now)
            return DeployRecord.URL(
                url: request.shown, state: state == .verified && !isSettled && plan.settle > .zero ? .inProgress : state,
                account: verifier.account(of: index, at: now), consecutive: verifier.consecutive(of: index))
        }
    }

    private func finish() -> CheckResult {
        board.clear()
        let now = time.now()
        let sum = sum(at: now.uptime)
        let silent = book.entries.filter { $0.deploy == nil }.map { nothing(from: $0.name) }
        var everything = sum
        everything.hosts = book.deploys + silent
        everything.urls = urls(at: now.uptime)
        var result = CheckResult(
            verdict: sum.verdict, sum: sum, everything: everything,
            tokenPrefix: plan.token?.prefix ?? book.deploys.compactMap(\.tokenPrefix).first.map(oneLine), deploy: plan.deploy, service: plan.service,
            person: plan.person, revision: plan.revision, began: plan.prepared ?? begin.wall, ended: now.wall,
            elapsed: now.uptime - begin.uptime)
        for index in plan.requests.indices {
            let sightings = verifier.sightings(of: index)
            result.looks.append(
                CheckResult.Looks(
                    consecutive: verifier.consecutive(of: index), reason: verifier.reason(of: index, at: now.uptime),
                    answers: sightings.map { CheckResult.Answer(what: $0.words, count: $0.count, ago: now.uptime - $0.last) }))
        }
        return result
    }

    // MARK: Showing

    private func show() {
        let elapsed = time.now().uptime - begin.uptime
        board.show(rows, left: max(.zero, plan.patience.timeout - elapsed), elapsed: elapsed)
    }

    private var rows: [Board.Row] {
        let hosts = book.entries.map { entry in
            Board.Row(name: entry.name, text: entry.deploy.map { oneLine($0.inWords) } ?? "is asked", isGood: entry.deploy?.state == .verified)
        }
        let urls = plan.requests.enumerated().map { index, request in
            let right = verifier.consecutive(of: index)
            let needed = verifier.needed(of: index)
            return Board.Row(
                name: request.shown, text: verifier.latest(of: index), detail: right > 0 ? "\(min(right, needed)) of \(needed) in a row" : "",
                isGood: right >= needed)
        }
        return hosts + urls
    }

    /// Says how far it came, and nothing that a program could take for a result.
    func interrupted() {
        board.clear()
        let now = time.now().uptime
        for entry in book.entries { Output.error("interrupted: \(entry.name): \(entry.deploy.map { oneLine($0.inWords) } ?? "had not answered")") }
        for (index, request) in plan.requests.enumerated() {
            Output.error("interrupted: \(request.shown): \(verifier.account(of: index, at: now))")
        }
    }
}
