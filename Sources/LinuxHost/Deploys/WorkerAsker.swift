// Asks workers for their token, in the way that they want to be asked.

import AgentAPI
import DeployVerification
import Glibc
import Platform

/// Rounds of questions, and what has been found out about how to ask. A round begins in the way that was right last; where the answers say
/// that the question was the wrong one, others are tried over one connection each, and the round is repeated in the one that yields a token.
final class WorkerAsker {
    /// Where a service has more listeners than this, the others are not worth a search.
    private static let mostSearches = 16
    private static let betweenSearches = Duration.seconds(1)
    private static let afterVain = Duration.seconds(5)
    /// How long an answer may take; the first one where TLS may be what is spoken, which some servers wait for in silence; and one of a search.
    private static let patience = (usual: Duration.seconds(5), first: Duration.seconds(1), search: Duration.seconds(3))
    /// After a refusal that asks for patience.
    private static let pause = (least: Duration.milliseconds(500), most: Duration.seconds(2))

    private struct Place: Hashable {
        var service: String
        var address: ServiceListener.Address
    }

    private struct Known {
        var question: TokenQuestion
        var search: WaySearch
        /// Processes whose answers are in the search: others may want to be asked otherwise.
        var asked: Set<ProcessMark> = []
        var opened: Duration
    }

    private let observer: ServiceObserver
    private let loop: Loop
    private let time: any TimeSource
    private var known: [Place: Known] = [:]
    /// Services whose limit of requests was met: until when they are left alone.
    private var limited: [String: Duration] = [:]
    private var rounds: [Int: AttributedProbe] = [:]
    private var timers: [Int: Loop.Timer] = [:]
    private var lastNumber = 0

    init(observer: ServiceObserver, loop: Loop, time: any TimeSource) {
        self.observer = observer
        self.loop = loop
        self.time = time
    }

    deinit { for timer in timers.values { loop.cancel(timer) } }

    /// One order to ask, with all that its rounds share.
    private final class Order {
        var question: TokenQuestion
        var service: InspectedService
        var look: ServiceLook
        var workers: Int
        var wanted: Set<ProcessMark>
        var addresses: [ServiceListener.Address]
        var heard: (WorkerAnswer, ServiceListener.Address) -> Void
        var done: (_ unaccepted: Int, _ refused: Int) -> Void
        /// Addresses whose way has changed since the round.
        var changed: Set<ServiceListener.Address> = []
        var hasFound = false
        /// Who has answered where.
        var answered: [ServiceListener.Address: Set<ProcessMark>] = [:]

        init(
            _ question: TokenQuestion, _ service: InspectedService, _ look: ServiceLook, workers: Int, wanted: Set<ProcessMark>,
            _ addresses: [ServiceListener.Address], heard: @escaping (WorkerAnswer, ServiceListener.Address) -> Void,
            done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
        ) {
            self.question = question
            self.service = service
            self.look = look
            self.workers = workers
            self.wanted = wanted
            self.addresses = addresses
            self.heard = heard
            self.done = done
        }

        func place(_ address: ServiceListener.Address) -> Place { Place(service: service.name, address: address) }
    }

    /// See `AttributedProbe`. `done` is called once, later.
    func ask(
        _ question: TokenQuestion, of service: InspectedService, look: ServiceLook, workers: Int, wanted: Set<ProcessMark>,
        addresses: [ServiceListener.Address], heard: @escaping (WorkerAnswer, ServiceListener.Address) -> Void,
        done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) {
        tidy(service, addresses)
        let order = Order(question, service, look, workers: workers, wanted: wanted, addresses, heard: heard, done: done)
        for address in addresses { learn(of: address, order) }
        let left = (limited[service.name] ?? .zero) - time.now().uptime
        guard left > .zero else { return round(order) }
        lastNumber += 1
        let number = lastNumber
        timers[number] = loop.after(left) { [weak self] in
            self?.timers[number] = nil
            self?.round(order)
        }
    }

    /// How the workers behind an address are asked at present.
    func way(_ service: String, _ address: ServiceListener.Address) -> AskingWay {
        known[Place(service: service, address: address)]?.search.way ?? AskingWay(host: address.hostText)
    }

    func question(_ service: String, _ address: ServiceListener.Address) -> TokenQuestion? {
        known[Place(service: service, address: address)]?.question
    }

    /// What has been tried, the addresses in their order.
    func searches(_ service: String) -> [ListenerSearch] {
        known.filter { $0.key.service == service }.map { ListenerSearch(address: $0.key.address, search: $0.value.search) }
            .sorted { "\($0.address)" < "\($1.address)" }
    }

    /// Tries all ways anew.
    func forget(_ service: String) { known = known.filter { $0.key.service != service } }

    // MARK: Rounds

    private func learn(of address: ServiceListener.Address, _ order: Order) {
        let place = order.place(address)
        if let one = known[place], one.question == order.question { return }
        let inodes = Set(order.look.listeners.filter { $0.address == address }.map(\.inode))
        let holders = order.look.processes.filter { !($0.listeners ?? []).isDisjoint(with: inodes) }
        let search = WaySearch(order.question, address: address.hostText, names: Self.hostNames, commands: holders.map(\.command))
        known[place] = Known(question: order.question, search: search, opened: .zero)
    }

    private func round(_ order: Order) {
        let isLimited = limited[order.service.name] != nil
        let wanted = order.wanted
        var outcomes: [ServiceListener.Address: [(outcome: AskingOutcome, mark: ProcessMark?)]] = [:]
        let isFirst = order.question.tls == nil && order.addresses.allSatisfy { known[order.place($0)]?.search.tries.isEmpty ?? true }
        begin(
            order, workers: order.workers, wanted: wanted, order.addresses, patience: isFirst ? Self.patience.first : Self.patience.usual,
            way: { [weak self] in self?.way(order.service.name, $0) },
            // Who has said enough does not use up what others may be asked.
            isWorthAsking: isLimited && !wanted.isEmpty ? { wanted.contains($0) } : nil,
            heard: {
                order.wanted.remove($0.mark); order.heard($0, $1)
            }, concluded: { outcomes[$1, default: []].append(($0, $2)) },
            done: { [weak self] unaccepted, refused in
                guard let self else { return }
                var open: [ServiceListener.Address] = []
                for address in order.addresses where take(outcomes[address] ?? [], of: address, order) { open.append(address) }
                noteLimit(outcomes.values.flatMap { $0.map(\.outcome) }, order.service.name)
                search(open, order, unaccepted, refused)
            })
    }

    /// - Returns: whether something else is worth a try there.
    private func take(
        _ outcomes: [(outcome: AskingOutcome, mark: ProcessMark?)], of address: ServiceListener.Address, _ order: Order
    ) -> Bool {
        let place = order.place(address)
        guard var one = known[place], !outcomes.isEmpty else { return false }
        defer { known[place] = one }
        let way = one.search.way
        if let token = outcomes.first(where: { $0.outcome.isToken }) {
            one.search.take(token.outcome, for: way)
            order.hasFound = true
            return false
        }
        // A lost connection may be that of a process which has just ended.
        guard let plain = outcomes.first(where: { $0.outcome != .answer(.lost) }) ?? outcomes.first else { return false }
        let marks = Set(outcomes.compactMap(\.mark))
        let now = time.now().uptime
        if !one.search.tries.isEmpty || one.search.hasFound {
            let isVain = one.search.isAllInVain && now - one.opened >= Self.afterVain
            let isNews = isVain ? true : marks.isEmpty ? !one.search.hasFound : !marks.isSubset(of: one.asked)
            if isNews, now - one.opened >= Self.betweenSearches { one.search.reopen() }
        }
        if one.search.tries.isEmpty { one.opened = now }
        one.asked = one.asked.count > 1000 ? marks : one.asked.union(marks)
        return one.search.take(plain.outcome, for: way)
    }

    /// A service that says it has had enough is left alone for a moment, and then only asked for what is missing.
    private func noteLimit(_ outcomes: [AskingOutcome], _ service: String) {
        let waits = outcomes.compactMap { outcome -> Duration? in
            guard case .answer(.other(let answer)) = outcome, answer.status == 429 else { return nil }
            return answer.retryAfter.map { .seconds(max(0, min($0, 60))) } ?? Self.pause.least
        }
        guard let wait = waits.max() else { return }
        limited[service] = time.now().uptime + min(max(wait, Self.pause.least), Self.pause.most)
    }

    // MARK: Searching

    /// One question after the other, until one address has yielded a token or there is nothing left to try.
    private func search(_ open: [ServiceListener.Address], _ order: Order, _ unaccepted: Int, _ refused: Int) {
        var open = open
        while let address = open.first {
            guard isWorthSearching(address, order), let way = known[order.place(address)]?.search.next() else {
                open.removeFirst()
                continue
            }
            attempt(way, at: address, order) { [weak self] goesOn in
                guard let self else { return }
                search(goesOn ? open : Array(open.dropFirst()), order, unaccepted, refused)
            }
            return
        }
        let changed = order.addresses.filter {
            order.changed.contains($0) && (!order.hasFound || known[order.place($0)]?.search.hasFound == true)
        }
        noteFronts(order)
        guard !changed.isEmpty else { return order.done(unaccepted, refused) }
        order.changed = []
        // Those who have only said how they want to be asked are asked once more.
        begin(
            order, workers: order.workers, wanted: order.wanted, changed, patience: Self.patience.usual,
            way: { [weak self] in self?.way(order.service.name, $0) },
            isWorthAsking: nil, heard: order.heard, concluded: { _, _, _ in }, done: order.done)
    }

    /// uWSGI's router speaks HTTP for workers that wait at a socket of their own, in a language that only routers speak: who answers for it and does
    /// not wait there itself passes on. (Its connections to the workers are too short to be seen for certain.)
    private func noteFronts(_ order: Order) {
        let inner = order.addresses.filter { known[order.place($0)].map { $0.search.hasFound && $0.search.way.language == .uwsgi } ?? false }
        guard !inner.isEmpty, inner.count < order.addresses.count else { return }
        let inodes = Set(order.look.listeners.filter { inner.contains($0.address) }.map(\.inode))
        let workers = inner.reduce(into: Set<ProcessMark>()) { $0.formUnion(order.answered[$1] ?? []) }
        for (address, marks) in order.answered where !inner.contains(address) {
            for mark in marks.subtracting(workers) where observer.awaited(by: mark).isDisjoint(with: inodes) {
                observer.note(mark, passesTo: inodes)
            }
        }
    }

    /// Where one listener has yielded a token, another is a page of numbers, or the like; but for one whose holders speak another language: they
    /// may run the code that the first one only passes requests on to.
    private func isWorthSearching(_ address: ServiceListener.Address, _ order: Order) -> Bool {
        !order.hasFound || known[order.place(address)]?.search.speaksOtherwise == true
    }

    private func attempt(_ way: AskingWay, at address: ServiceListener.Address, _ order: Order, _ then: @escaping (_ goesOn: Bool) -> Void) {
        var outcomes: [(outcome: AskingOutcome, mark: ProcessMark?)] = []
        var answer: WorkerAnswer?
        begin(
            order, workers: 1, wanted: [], [address], patience: Self.patience.search, way: { _ in way }, isWorthAsking: nil,
            heard: { one, _ in answer = one },
            concluded: { outcome, _, mark in outcomes.append((outcome, mark)) },
            done: { [weak self] _, _ in
                guard let self, var one = known[order.place(address)] else { return then(false) }
                let before = one.search.way
                let goesOn = one.search.take(outcomes.first?.outcome ?? .notTaken, for: way)
                one.asked.formUnion(outcomes.compactMap(\.mark))
                known[order.place(address)] = one
                noteLimit(outcomes.map(\.outcome), order.service.name)
                if one.search.way != before { order.changed.insert(address) }
                if one.search.hasFound {
                    order.hasFound = true
                    if let answer { order.heard(answer, address) }
                }
                then(goesOn)
            })
    }

    private func begin(
        _ order: Order, workers: Int, wanted: Set<ProcessMark>, _ addresses: [ServiceListener.Address], patience: Duration,
        way: @escaping (ServiceListener.Address) -> AskingWay?, isWorthAsking: ((ProcessMark) -> Bool)?,
        heard: @escaping (WorkerAnswer, ServiceListener.Address) -> Void,
        concluded: @escaping (AskingOutcome, ServiceListener.Address, ProcessMark?) -> Void,
        done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) {
        lastNumber += 1
        let number = lastNumber
        rounds[number] = AttributedProbe(
            order.question, of: order.service, look: order.look, workers: workers, wanted: wanted, addresses: addresses,
            patience: patience, way: { way($0) ?? AskingWay(host: $0.hostText) }, isWorthAsking: isWorthAsking, observer: observer, loop: loop,
            time: time,
            heard: { answer, address in
                order.answered[address, default: []].insert(answer.mark)
                heard(answer, address)
            },
            concluded: concluded,
            done: { [weak self] unaccepted, refused in
                // It is still in its own method.
                self?.loop.after(.zero) { [weak self] in self?.rounds[number] = nil }
                done(unaccepted, refused)
            })
    }

    private func tidy(_ service: InspectedService, _ addresses: [ServiceListener.Address]) {
        let now = time.now().uptime
        if let until = limited[service.name], now - until > .seconds(10) { limited[service.name] = nil }
        guard known.count > 64 * Self.mostSearches else { return }
        known = [:]
    }

    /// What this host is called.
    private static let hostNames: [String] = {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return [] }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return isHostText(name) ? [name] : []
    }()
}

extension AskingOutcome {
    fileprivate var isToken: Bool { if case .answer(.token) = self { true } else { false } }
}
