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
final class AttributedProbe {
    private static let mostAtFirst = 8
    private static let hold = Duration.milliseconds(50)
    /// The shortest time between two looks at who has taken the connections, but for the first ones: whoever is free takes them at once.
    private static let step = Duration.milliseconds(1)
    private static let quickTurns = 4
    private static let patience = Duration.seconds(5)
    private static let endOfRequest = Array("\r\n".utf8)

    private struct Attempt {
        var connection: ServiceConnection
        /// Who has the other end; `nil` while nobody has.
        var worker: ProcessMark?
        var released: Duration?
    }

    private let observer: ServiceObserver
    private let service: InspectedService
    private let question: TokenQuestion
    private let addresses: [ServiceListener.Address]
    private let look: ServiceLook
    /// Workers from which an answer is wanted before all others.
    private var wanted: Set<ProcessMark>
    /// How many connections have begun, and how many may: a worker that still boots takes none, however many there are.
    private var begun = 0
    private let most: Int
    private let loop: Loop
    private let time: any TimeSource
    private let heard: (WorkerAnswer, ServiceListener.Address) -> Void
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
    ///   - done: called once, later.
    init(
        _ question: TokenQuestion, of service: InspectedService, look: ServiceLook, workers: Int, wanted: Set<ProcessMark>,
        addresses: [ServiceListener.Address], observer: ServiceObserver, loop: Loop, time: any TimeSource,
        heard: @escaping (WorkerAnswer, ServiceListener.Address) -> Void, done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) {
        self.service = service
        self.question = question
        self.addresses = addresses
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
        if let timer { loop.cancel(timer) }
        for (attempt, _) in attempts.values { attempt.connection.cancel() }
        attempts = [:]
    }

    deinit { cancel() }

    private func connect() {
        let address = addresses[begun % addresses.count]
        begun += 1
        let connection = ServiceConnection(
            to: address, request: question.head(to: address), held: Self.endOfRequest, patience: Self.patience, folders: observer.folders,
            on: loop
        ) { [weak self] connection, outcome in self?.ended(connection, outcome) }
        attempts[ObjectIdentifier(connection)] = (Attempt(connection: connection), address)
    }

    // MARK: Who has it

    private func attribute(since start: Duration) {
        guard isHolding else { return }
        var open: [UInt64: ObjectIdentifier] = [:]
        for (id, entry) in attempts where entry.attempt.worker == nil && entry.attempt.connection.isHeld {
            if let inode = try? inode(of: entry.attempt.connection), inode != 0 { open[inode] = id }
        }
        for (inode, worker) in holders(of: Set(open.keys)) {
            guard let id = open[inode] else { continue }
            attempts[id]?.attempt.worker = worker
            wanted.remove(worker)
        }
        let passed = time.now().uptime - start
        let isAllTaken = attempts.values.allSatisfy { $0.attempt.worker != nil }
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

    private func letGo() {
        isHolding = false
        if let timer { loop.cancel(timer) }
        timer = nil
        let now = time.now().uptime
        for (id, entry) in attempts {
            if entry.attempt.worker != nil {
                attempts[id]?.attempt.released = now
                entry.attempt.connection.release()
            } else {
                // Whoever takes it from now on is not known: its answer would prove nothing.
                if entry.attempt.connection.isConnected { unaccepted += 1 }
                entry.attempt.connection.cancel()
                attempts[id] = nil
            }
        }
        finishIfOver()
    }

    private func holders(of inodes: Set<UInt64>) -> [UInt64: ProcessMark] {
        guard !inodes.isEmpty else { return [:] }
        // The masters of a look are asked last; who was born since the look is not in it.
        let seen = look.processes.map(\.mark.pid)
        var found = observer.holders(of: inodes, among: seen)
        if found.count < inodes.count {
            let others = observer.pids(of: service).filter { !seen.contains($0) }
            found.merge(observer.holders(of: inodes.subtracting(found.keys), among: others)) { known, _ in known }
        }
        return found.compactMapValues { observer.mark(of: $0) }
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
        // Whoever has executed itself anew meanwhile has answered as neither the one nor the other.
        if let worker = attempt.worker, let released = attempt.released, observer.mark(of: worker.pid) == worker, let answer = content(outcome) {
            heard(WorkerAnswer(mark: worker, content: answer.content, status: answer.status, took: now - released, at: now), address)
        }
        finishIfOver()
    }

    private func content(_ outcome: ServiceConnection.Outcome) -> (content: WorkerAnswer.Content, status: Int?)? {
        switch outcome {
        case .answer(let status, let body):
            if status == 401 || status == 403 { return (.accessDenied(status: status), status) }
            var text = body[...]
            if text.last == 10 { text.removeLast() }
            if text.last == 13, text.count < body.count { text.removeLast() }
            guard status == 200, DeployToken.isToken(text) else { return (.other(status: status, bytes: body.count), status) }
            return (.token(String(decoding: text, as: UTF8.self)), status)
        case .lost: return (.lost, nil)
        case .silence(isConnected: true): return (.silence, nil)
        case .silence(isConnected: false), .refused, .failed: return nil
        }
    }

    private func finishIfOver() {
        guard attempts.isEmpty, let done else { return }
        self.done = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        done(unaccepted, refused)
    }
}

extension TokenQuestion {
    /// The request, all but its last line end.
    func head(to address: ServiceListener.Address) -> [UInt8] {
        var lines = "GET \(path) HTTP/1.0\r\nHost: \(host ?? address.hostText)\r\nUser-Agent: rollcall-agent\r\nAccept: text/plain\r\n"
        if let user { lines += "Authorization: Basic \(base64(Array("\(user):\(password?.reveal() ?? "")".utf8)))\r\n" }
        return Array((lines + "Connection: close\r\n").utf8)
    }
}
