// What the agent itself tells people, and when: decided without any I/O.

public import AgentAPI
import Messages
public import Platform

/// Decides for each of the agent's own routes which events are told, gathers what happens within a few seconds into one message, and keeps
/// messages until they are delivered.
///
/// With an aggregator it is silent for as long as that can be reached. After `patience` without it, it takes over: first with what is
/// wrong and what the aggregator cannot know of, then with everything that happens, until the aggregator is back.
public struct AlertDesk: Sendable {
    /// How many messages a route may get in a row. Each uses up one, and one comes back in each `flood`.
    static let messagesBeforeFlood = 3
    static let flood = Duration.seconds(60)
    /// A problem that begins again without an end, and says the same, is no news for so long: the agent was restarted.
    static let repetition = Duration.seconds(86400)
    static let rememberedProblems = 2000
    /// More checks of one unit with routes of their own are none that a person wrote.
    static let mostChecks = 20
    static let rememberedHappenings = 100

    /// Whether the aggregator hears of everything; without one this is `nil`.
    enum Aggregator {
        case reachable
        /// - hasTakenOver: whether people were told.
        case unreachable(since: Moment, hasTakenOver: Bool)
    }

    /// A problem that has begun and not ended, as some routes know it: their end of it goes to the same routes.
    struct Problem: Equatable {
        /// Its routes are all that have to hear of the end.
        var beginning: Event
        /// Whether people know of it, from us or from the aggregator.
        var isTold: Bool
    }

    /// What waits to become the next message of a route.
    struct Gathering: Equatable {
        /// One for each problem, in the order in which they came.
        var items: [AlertItem] = []
        /// Problems that did not fit.
        var more = 0
        /// What the message says before them.
        var notes: [Note] = []
        var since: Duration?
        /// When all of its messages have come back; `nil`: they are all there.
        var busyUntil: Duration?

        var isEmpty: Bool { items.isEmpty && more == 0 && notes.isEmpty }
    }

    /// Something about the telling itself.
    enum Note: Equatable {
        case takingOver(since: Timestamp)
        case aggregatorIsBack(since: Timestamp)
    }

    private let host: String
    private let routes: [String?]
    private let patience: Duration
    /// How long things are gathered into one message.
    private let gathering: Duration
    var aggregator: Aggregator?
    /// By what they are (`Event.problem`). One has several entries where several checks of one unit report it to routes of their own.
    var problems: [String: [Problem]] = [:]
    /// What has happened, and does not last, since the aggregator is away.
    var unheard: [Event] = []
    var gatherings: [String?: Gathering] = [:]
    var outbox = AlertOutbox()

    /// - Parameters:
    ///   - routes: those that have a channel; `nil` among them is the default route.
    ///   - aggregatorPatience: how long the aggregator may be away before this host tells people itself; `nil` where there is none, and
    ///     this host always does.
    ///   - gathering: how long things are gathered into one message.
    public init(host: String, routes: [String?], aggregatorPatience: Duration?, gathering: Duration = .seconds(5), at now: Moment) {
        self.gathering = gathering
        self.host = host
        self.routes = routes
        patience = aggregatorPatience ?? .zero
        // Until it has been reached nobody has heard of anything.
        aggregator = aggregatorPatience == nil ? nil : .unreachable(since: now, hasTakenOver: false)
    }

    /// Takes a new configuration; what was for a route that is gone goes to the default route, where there is one.
    mutating func change(host: String, routes: [String?], aggregatorPatience: Duration?, at now: Moment) {
        var aggregator: Aggregator?
        if aggregatorPatience != nil { aggregator = self.aggregator ?? .unreachable(since: now, hasTakenOver: false) }
        var desk = AlertDesk(host: host, routes: routes, aggregatorPatience: aggregatorPatience, gathering: gathering, at: now)
        desk.aggregator = aggregator
        desk.problems = problems
        desk.unheard = unheard
        desk.outbox = outbox
        desk.outbox.keep(routes: routes)
        for (route, gathering) in gatherings {
            guard let kept = desk.known(route) else { continue }
            desk.gatherings[kept, default: Gathering()].add(gathering)
        }
        self = desk
    }

    // MARK: What comes in

    public mutating func take(_ event: Event, at now: Moment) {
        guard !routes.isEmpty, !event.routes.isEmpty, isNews(event) else { return }
        let event = event.shortened
        switch event.effect {
        case .begins: begin(event, at: now)
        case .ends: end(event, at: now)
        case .none:
            if isSpeaking {
                gather(event, for: event.routes, at: now)
            } else if case .unreachable? = aggregator, unheard.count < Self.rememberedHappenings {
                unheard.append(event)
            }
        }
    }

    private mutating func begin(_ event: Event, at now: Moment) {
        let key = event.problem
        guard let index = problems[key]?.firstIndex(where: { shareRoutes($0.beginning, event) }), let known = problems[key]?[index] else {
            makeRoom(for: key)
            let problem = Problem(beginning: event, isTold: isSpeaking || isHeard)
            problems[key, default: []].append(problem)
            if isSpeaking { gather(event, for: event.routes, at: now) }
            return
        }
        let newRoutes = event.routes.filter { !known.beginning.routes.contains($0) }
        let isRepeated = known.isTold && known.beginning.detail == event.detail && event.at - known.beginning.at < Self.repetition
        if isRepeated {
            problems[key]?[index].beginning.routes += newRoutes
            let heard = Set(known.beginning.routes.compactMap { self.known($0) })
            if isSpeaking { gather(event, for: newRoutes.filter { route in self.known(route).map { !heard.contains($0) } ?? false }, at: now) }
            return
        }
        var beginning = event
        beginning.routes = known.beginning.routes + newRoutes
        let problem = Problem(beginning: beginning, isTold: isSpeaking || isHeard)
        problems[key]?[index] = problem
        if isSpeaking { gather(event, for: event.routes, at: now) }
    }

    private mutating func end(_ event: Event, at now: Moment) {
        guard let open = problems.removeValue(forKey: event.problem) else { return }
        let ending = open.filter { shareRoutes($0.beginning, event) }
        // After a change of the configuration the end names other routes than the beginning did: then it is the end of all.
        let over = ending.isEmpty ? open : ending
        if over.count < open.count { problems[event.problem] = open.filter { !over.contains($0) } }
        // Where its beginning was told, even if the configuration has changed meanwhile.
        let heard = over.filter(\.isTold).flatMap(\.beginning.routes)
        if isSpeaking { gather(event, for: heard, at: now) }
    }

    /// Whether two events go to one of the same routes.
    private func shareRoutes(_ one: Event, _ other: Event) -> Bool {
        let routes = Set(one.routes)
        if other.routes.contains(where: routes.contains) { return true }
        let channels = Set(one.routes.compactMap { known($0) })
        return other.routes.contains { route in known(route).map { channels.contains($0) } ?? false }
    }

    /// Forgets the oldest problem when there are too many.
    private mutating func makeRoom(for key: String) {
        if problems[key].map({ $0.count >= Self.mostChecks }) ?? false { problems[key]?.removeFirst() }
        guard problems[key] == nil, problems.count >= Self.rememberedProblems else { return }
        let oldest = problems.min {
            ($0.value.first?.beginning.at ?? Timestamp(seconds: 0)) < ($1.value.first?.beginning.at ?? Timestamp(seconds: 0))
        }
        if let oldest { problems[oldest.key] = nil }
    }

    /// - Parameter isReachable: whether the aggregator takes reports now. Saying the same again changes nothing.
    public mutating func aggregatorIsReachable(_ isReachable: Bool, at now: Moment) {
        switch (aggregator, isReachable) {
        case (.reachable?, false): aggregator = .unreachable(since: now, hasTakenOver: false)
        case (.unreachable(_, let hasTakenOver)?, true):
            aggregator = .reachable
            unheard = []
            // It gets every event now, those of the meantime too, and tells people what they are to know.
            for (key, open) in problems { for index in open.indices { problems[key]?[index].isTold = true } }
            if hasTakenOver { note(.aggregatorIsBack(since: now.wall), at: now) }
        default: break
        }
    }

    // MARK: What goes out

    /// Writes the messages that are due, and answers with those to deliver now, the oldest of each route first.
    public mutating func due(at now: Moment) -> [OutgoingAlert] {
        takeOverIfDue(at: now)
        for route in routes {
            guard let gathering = gatherings[route], let due = dueTime(of: gathering), due <= now.uptime else { continue }
            write(gathering, for: route, at: now)
        }
        return outbox.due(at: now)
    }

    /// When `due` has something to do; `nil`: not before something else happens.
    public func nextTime(at now: Moment) -> Duration? {
        var times = gatherings.values.compactMap(dueTime)
        if case .unreachable(let since, false)? = aggregator, !routes.isEmpty { times.append(since.uptime + patience) }
        if let next = outbox.nextTime { times.append(next) }
        return times.min()
    }

    public mutating func delivered(_ alert: UInt64) { outbox.delivered(alert) }

    /// - Returns: whether it will be tried again.
    public mutating func undelivered(_ alert: UInt64, mayRetry: Bool, at now: Moment) -> Bool {
        outbox.undelivered(alert, mayRetry: mayRetry, at: now)
    }

    // MARK: Decisions

    /// Whether people hear of things from this host, and not from the aggregator.
    private var isSpeaking: Bool {
        switch aggregator {
        case nil, .unreachable(_, hasTakenOver: true)?: true
        case .reachable?, .unreachable?: false
        }
    }

    /// Whether the aggregator hears of it, and tells people.
    private var isHeard: Bool { if case .reachable? = aggregator { true } else { false } }

    /// Whether somebody must hear of it. What carries no importance was asked for, or is as it should be.
    private func isNews(_ event: Event) -> Bool {
        switch event.kind {
        case .unitDown, .unitUp, .unitStopped, .unitFailed, .ruleFailed, .ruleRecovered, .unitStuck, .unitUnstuck, .actionsSuspended, .actionsResumed,
            .jobOverdue, .jobFailed,
            .jobRan, .sourceFailed, .sourceRecovered, .actionFailed, .deployFailed, .eventsLost:
            true
        case .unitRestarted: event.cause != .request && event.importance != nil
        case .agentStarted, .deployFinished: event.importance != nil
        case .agentStopped, .actionSucceeded, .deployStarted, .deployVerified, .monitoringStopped, .monitoringResumed: false
        }
    }

    /// The route itself where it has a channel, else the default route where that has one.
    private func known(_ route: String?) -> String?? {
        if routes.contains(route) { return .some(route) }
        return routes.contains(nil) ? .some(nil) : .none
    }

    private mutating func gather(_ event: Event, for wanted: [String?], at now: Moment) {
        var told: Set<String?> = []
        for route in wanted {
            guard let route = known(route), told.insert(route).inserted else { continue }
            gatherings[route, default: Gathering()].add(event, at: now)
        }
    }

    private mutating func note(_ note: Note, at now: Moment) {
        for route in routes {
            gatherings[route, default: Gathering()].notes.append(note)
            if gatherings[route]?.since == nil { gatherings[route]?.since = now.uptime }
        }
    }

    private mutating func takeOverIfDue(at now: Moment) {
        guard case .unreachable(let since, false)? = aggregator, now.uptime - since.uptime >= patience, !routes.isEmpty else { return }
        aggregator = .unreachable(since: since, hasTakenOver: true)
        note(.takingOver(since: since.wall), at: now)
        var untold = unheard
        unheard = []
        for (key, open) in problems {
            for (index, problem) in open.enumerated() where !problem.isTold {
                untold.append(problem.beginning)
                problems[key]?[index].isTold = true
            }
        }
        for event in untold.sorted(by: { ($0.at, $0.problem) < ($1.at, $1.problem) }) { gather(event, for: event.routes, at: now) }
    }

    private func dueTime(of gathering: Gathering) -> Duration? {
        guard let since = gathering.since else { return nil }
        let calm = since + self.gathering
        return gathering.busyUntil.map { max(calm, $0 - Self.flood * (Self.messagesBeforeFlood - 1)) } ?? calm
    }

    private mutating func write(_ gathering: Gathering, for route: String?, at now: Moment) {
        let dropped = outbox.takeDropped(of: route)
        let text = OwnAlertText(host: host, items: gathering.items, more: gathering.more, notes: gathering.notes, dropped: dropped, at: now.wall)
        outbox.add(route: route, subject: text.subject, body: text.body, events: gathering.events, host: host, at: now)
        gatherings[route] = Gathering(busyUntil: max(now.uptime, gathering.busyUntil ?? now.uptime) + Self.flood)
    }
}

extension AlertDesk.Gathering {
    /// So many problems are kept; a message shows fewer of them.
    static let most = 500
    /// How many events go along with the text, for programs.
    static let mostEvents = 200

    mutating func add(_ event: Event, at now: Moment) {
        if since == nil { since = now.uptime }
        if let index = items.firstIndex(where: { $0.problem == event.problem }) { return items[index].add(event) }
        add(AlertItem(event))
    }

    mutating func add(_ item: AlertItem) {
        guard items.count >= Self.most else { return items.append(item) }
        more += 1
        // The subject names the worst: what is milder gives way.
        if let mildest = items.indices.max(by: { AlertItem.isWorse(items[$0], items[$1]) }), AlertItem.isWorse(item, items[mildest]) {
            items[mildest] = item
        }
    }

    /// Oldest first: of the worst problems, as many as go along.
    var events: [Event] {
        items.sorted(by: AlertItem.isWorse).flatMap(\.events).prefix(Self.mostEvents).sorted { $0.at < $1.at }
    }

    fileprivate mutating func add(_ other: AlertDesk.Gathering) {
        for item in other.items {
            guard let index = items.firstIndex(where: { $0.problem == item.problem }) else {
                add(item)
                continue
            }
            let both = (items[index].events + item.events).sorted { $0.at < $1.at }
            items[index] = AlertItem(both, count: items[index].count + item.count) ?? item
        }
        more += other.more
        notes += other.notes.filter { !notes.contains($0) }
        since = [since, other.since].compactMap { $0 }.min()
        busyUntil = [busyUntil, other.busyUntil].compactMap { $0 }.max()
    }
}

extension Event {
    /// Without its number, and with texts of a length that a message can carry.
    fileprivate var shortened: Event {
        var event = self
        event.sequence = 0
        event.detail = detail.onOneLine(limit: 500)
        event.rule = rule?.onOneLine(limit: 300)
        event.unit = unit?.onOneLine(limit: 300)
        event.routes = routes.prefix(20).map { $0?.onOneLine(limit: 300) }
        return event
    }
}
