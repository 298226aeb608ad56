// Who of a service's workers answers what: asked from outside, over the service's own listeners.

import AgentAPI
import DeployVerification
import Glibc
import Platform

/// Asks as many workers as there are, at once, and learns of each answer which worker gave it.
///
/// Each connection is sent a request without its last line end. A worker that has accepted it waits for the rest, so that it cannot take
/// the next one; meanwhile the kernel says which socket the server's end is, and /proc which process has it open. Then the request is
/// completed. No worker is held for longer than 50 ms.
///
/// A worker with threads can take several, and leave another one without any: then more connections follow while those are held.
///
/// Who accepts a connection may pass it on at once: of a process that has children, the taker is known when the connection has stayed with it for
/// a moment. Where no process of the service has it, all others of the machine are looked through: a stranger is asked too, without the password.
final class AttributedProbe {
    private static let mostAtFirst = 8
    private static let hold = Duration.milliseconds(50)
    /// The shortest time between two looks at who has taken the connections, but for the first ones: whoever is free takes them at once.
    private static let step = Duration.milliseconds(1)
    private static let quickTurns = 4
    /// For so long a connection must have stayed with a process that has children.
    private static let staysFor = Duration.milliseconds(15)
    /// After so many turns without a holder in the service, one is looked for elsewhere.
    private static let turnsWithoutHolder = 3
    /// When it is looked whether those who were asked pass the request on, after it was sent.
    private static let looksForFronts = [Duration.zero, .microseconds(300), .microseconds(800), .milliseconds(2)]

    private struct Attempt {
        var connection: ServiceConnection
        /// Who has the other end; `nil` while nobody has.
        var worker: ProcessMark?
        /// Since when, as far as that was seen.
        var since = Duration.zero
        /// It is not of the service.
        var isStranger = false
        /// The kernel's number of the other end, once it is accepted.
        var inode: UInt64?
        var turnsWithoutHolder = 0
        var released: Duration?
    }

    /// Those asked who may pass requests on to others of the service, and to which listeners.
    private var fronts: [ProcessMark: [ServiceListener]] = [:]
    /// Which connections had come to these before the questions were sent.
    private var arrived: [UInt64: Set<UInt16>] = [:]
    private var answersOfFronts: [ProcessMark: Int] = [:]
    private let observer: ServiceObserver
    private let service: InspectedService
    private let question: TokenQuestion
    private let addresses: [ServiceListener.Address]
    /// How the workers behind an address are asked.
    private let patience: Duration
    private let way: (ServiceListener.Address) -> AskingWay
    /// Whether the answer of a process is worth its request; `nil`: of each.
    private let isWorthAsking: ((ProcessMark) -> Bool)?
    private let look: ServiceLook
    /// Workers from which an answer is wanted before all others.
    private var wanted: Set<ProcessMark>
    /// How many connections have begun, and how many may: a worker that still boots takes none, however many there are.
    private var begun = 0
    private let most: Int
    private let loop: Loop
    private let time: any TimeSource
    private let heard: (WorkerAnswer, ServiceListener.Address) -> Void
    private let concluded: (AskingOutcome, ServiceListener.Address, ProcessMark?) -> Void
    private var done: ((_ unaccepted: Int, _ refused: Int) -> Void)?
    private var attempts: [ObjectIdentifier: (attempt: Attempt, address: ServiceListener.Address)] = [:]
    private var isHolding = true
    private var unaccepted = 0
    private var refused = 0
    private var turns = 0
    private var timer: Loop.Timer?

    /// - Parameters:
    ///   - workers: how many there are.
    ///   - wanted: those of them that have not answered yet.
    ///   - addresses: where to ask, in turn.
    ///   - patience: how long an answer may take.
    ///   - way: how to ask there.
    ///   - isWorthAsking: which processes are asked, of those that have taken a connection; `nil`: all.
    ///   - concluded: hears what came of each connection, and who had it, as far as that is known.
    ///   - done: called once, later.
    init(
        _ question: TokenQuestion, of service: InspectedService, look: ServiceLook, workers: Int, wanted: Set<ProcessMark>,
        addresses: [ServiceListener.Address], patience: Duration, way: @escaping (ServiceListener.Address) -> AskingWay,
        isWorthAsking: ((ProcessMark) -> Bool)? = nil, observer: ServiceObserver, loop: Loop, time: any TimeSource,
        heard: @escaping (WorkerAnswer, ServiceListener.Address) -> Void,
        concluded: @escaping (AskingOutcome, ServiceListener.Address, ProcessMark?) -> Void = { _, _, _ in },
        done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) {
        self.service = service
        self.question = question
        self.addresses = addresses
        self.patience = patience
        self.way = way
        self.isWorthAsking = isWorthAsking
        self.concluded = concluded
        self.look = look
        self.wanted = wanted
        let first = min(Self.mostAtFirst, max(1, workers))
        most = first + 2 * min(first, wanted.count)
        self.observer = observer
        self.loop = loop
        self.time = time
        self.heard = heard
        self.done = done
        guard !addresses.isEmpty else {
            timer = loop.after(.zero) { [weak self] in self?.finishIfOver() }
            return
        }
        for _ in 0..<first { connect() }
        let start = time.now().uptime
        timer = loop.after(.zero) { [weak self] in self?.attribute(since: start) }
    }

    func cancel() {
        done = nil
        isHolding = false
        if let timer { loop.cancel(timer) }
        for (attempt, _) in attempts.values { attempt.connection.cancel() }
        attempts = [:]
    }

    deinit { cancel() }

    private func connect() {
        let address = addresses[begun % addresses.count]
        begun += 1
        let connection = ServiceConnection(
            to: address, ServiceConnection.Speech(question, way: way(address), isHeld: true), patience: patience, folders: observer.folders,
            on: loop
        ) { [weak self] connection, outcome in self?.ended(connection, outcome) }
        attempts[ObjectIdentifier(connection)] = (Attempt(connection: connection), address)
    }

    // MARK: Who has it

    private func attribute(since start: Duration) {
        guard isHolding else { return }
        let now = time.now().uptime
        var open: [UInt64: ObjectIdentifier] = [:]
        for (id, entry) in attempts where entry.attempt.connection.isHeld && !isSettled(entry.attempt, at: now) {
            if let inode = try? inode(of: entry.attempt.connection), inode != 0 {
                open[inode] = id
                attempts[id]?.attempt.inode = inode
            }
        }
        let found = holders(of: Set(open.keys))
        for (inode, id) in open {
            if let worker = found[inode] { take(id, worker, at: now) } else { lookOutside(for: id, inode, at: now) }
        }
        let passed = now - start
        let isAllTaken = attempts.values.allSatisfy { isSettled($0.attempt, at: now) }
        guard passed < Self.hold, !isAllTaken || (!wanted.isEmpty && begun < most && !attempts.isEmpty) else { return letGo() }
        if isAllTaken {
            for _ in 0..<min(wanted.count, most - begun) { connect() }
            turns = 0
        }
        turns += 1
        // Whoever is not free may take a while.
        let wait = turns <= Self.quickTurns ? .zero : max(Self.step, passed / 4)
        timer = loop.after(wait) { [weak self] in self?.attribute(since: start) }
    }

    private func take(_ id: ObjectIdentifier, _ worker: ProcessMark, at now: Duration) {
        guard let before = attempts[id]?.attempt.worker else {
            attempts[id]?.attempt.worker = worker
            attempts[id]?.attempt.since = now
            wanted.remove(worker)
            return
        }
        guard before != worker else { return }
        // Who was there before the connection did not come with it: it was handed over.
        if look.processes.contains(where: { $0.mark == worker }) { observer.note(before, passesTo: []) }
        attempts[id]?.attempt.worker = worker
        attempts[id]?.attempt.since = now
        wanted.remove(worker)
    }

    /// Whether it is known who answers, as far as that can be known before.
    private func isSettled(_ attempt: Attempt, at now: Duration) -> Bool {
        guard let worker = attempt.worker else { return false }
        return attempt.isStranger || !mayPassOn(worker) || now - attempt.since >= Self.staysFor
    }

    private func mayPassOn(_ mark: ProcessMark) -> Bool {
        look.processes.contains { $0.parent == mark.pid && !$0.isGone || $0.mark == mark && $0.passesTo != nil }
    }

    /// None of the service's processes has it.
    private func lookOutside(for id: ObjectIdentifier, _ inode: UInt64, at now: Duration) {
        guard let attempt = attempts[id]?.attempt, attempt.worker == nil else { return }
        attempts[id]?.attempt.turnsWithoutHolder += 1
        var found = observer.holders(of: [inode], among: look.processes.filter(\.isForeign).map(\.mark.pid))[inode]
        if found == nil, attempt.turnsWithoutHolder >= Self.turnsWithoutHolder {
            found = observer.outsider(with: inode, except: Set(look.processes.map(\.mark.pid)), now: now)
        }
        guard let found, let mark = observer.mark(of: found) else { return }
        attempts[id]?.attempt.worker = mark
        attempts[id]?.attempt.since = now
        attempts[id]?.attempt.isStranger = observer.note(outsider: found, tookFrom: service.name, look: look, now: now)
    }

    private func letGo() {
        isHolding = false
        if let timer { loop.cancel(timer) }
        timer = nil
        findFronts()
        let now = time.now().uptime
        for (id, entry) in attempts {
            if let worker = entry.attempt.worker {
                guard isWorthAsking?(worker) ?? true else {
                    entry.attempt.connection.cancel()
                    attempts[id] = nil
                    continue
                }
                attempts[id]?.attempt.released = now
                entry.attempt.connection.release(isTrusted: !entry.attempt.isStranger)
            } else {
                // Whoever takes it from now on is not known: its answer would prove nothing.
                if entry.attempt.connection.isConnected { unaccepted += 1 }
                entry.attempt.connection.cancel()
                attempts[id] = nil
            }
        }
        lookForFronts(0)
        finishIfOver()
    }

    private func findFronts() {
        guard look.listeners.count > 1 else { return }
        for mark in Set(attempts.values.compactMap({ $0.attempt.isStranger ? nil : $0.attempt.worker })) {
            guard let inner = observer.innerListeners(of: mark, look) else { continue }
            fronts[mark] = inner
            for listener in inner where arrived[listener.inode] == nil { arrived[listener.inode] = observer.arrivals(at: listener) }
        }
    }

    /// Looks, while those who have been asked prepare their answers, whether they ask others of the service.
    private func lookForFronts(_ turn: Int) {
        guard turn < Self.looksForFronts.count, !fronts.isEmpty, done != nil else { return }
        let wait = Self.looksForFronts[turn] - (turn > 0 ? Self.looksForFronts[turn - 1] : .zero)
        timer = loop.after(wait) { [weak self] in
            guard let self else { return }
            let asked = Set(attempts.values.compactMap(\.attempt.worker))
            for (mark, inner) in fronts where asked.contains(mark) {
                let reached = observer.connected(mark.pid, to: inner)
                if !reached.isEmpty { observer.note(mark, passesTo: reached) }
            }
            lookForFronts(turn + 1)
        }
    }

    /// What is passed on may be over before it is seen: as many connections have come to the others as answers from those in front.
    private func countArrivals() {
        for (inode, before) in arrived {
            let marks = fronts.filter { $0.value.contains { $0.inode == inode } }.keys
            let answers = marks.reduce(0) { $0 + (answersOfFronts[$1] ?? 0) }
            guard answers > 0, let listener = look.listeners.first(where: { $0.inode == inode }) else { continue }
            let isEnough = observer.arrivals(at: listener).subtracting(before).count >= answers
            for mark in marks where answersOfFronts[mark] != nil { observer.note(mark, reached: inode, isEnough) }
        }
    }

    private func holders(of inodes: Set<UInt64>) -> [UInt64: ProcessMark] {
        guard !inodes.isEmpty else { return [:] }
        // The masters of a look are asked last; who was born since the look is not in it.
        let seen = look.processes.filter { !$0.isForeign }.map(\.mark.pid)
        var found = observer.holders(of: inodes, among: seen)
        if found.count < inodes.count {
            let others = observer.pids(of: service).filter { !seen.contains($0) }
            found.merge(observer.holders(of: inodes.subtracting(found.keys), among: others)) { known, _ in known }
        }
        return found.compactMapValues { pid in observer.mark(of: pid).map { observer.codeBehind($0, look) } }
    }

    private func inode(of connection: ServiceConnection) throws(SystemError) -> UInt64? {
        if let ends = connection.ends {
            return try observer.table().inode(local: ends.remote, ends.remotePort, remote: ends.local, ends.localPort)
        }
        guard let own = connection.inode else { return nil }
        return try observer.table().peer(of: own)
    }

    // MARK: What it answers

    private func ended(_ connection: ServiceConnection, _ outcome: ServiceConnection.Outcome) {
        guard let (attempt, address) = attempts.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        if case .refused = outcome { refused += 1 }
        if case .silence(isConnected: false) = outcome { unaccepted += 1 }
        let now = time.now().uptime
        let way = self.way(address)
        let result = AskingOutcome(outcome, way: way)
        // Whoever has executed itself anew meanwhile has answered as neither the one nor the other.
        if var worker = attempt.worker, let released = attempt.released, let content = result?.content(way) {
            if mayPassOn(worker), let inode = attempt.inode, let last = holders(of: [inode])[inode], last != worker {
                observer.note(worker, passesTo: [])
                worker = last
            }
            if fronts[worker] != nil, case .answer = outcome { answersOfFronts[worker, default: 0] += 1 }
            if observer.mark(of: worker.pid) == worker {
                heard(
                    WorkerAnswer(mark: worker, content: content, status: content.status, took: now - released, at: now, address: address), address)
            }
        }
        if let result { concluded(result, address, attempt.worker) }
        finishIfOver()
    }

    private func finishIfOver() {
        guard attempts.isEmpty, let done else { return }
        self.done = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        countArrivals()
        done(unaccepted, refused)
    }
}
