// What a message says of one problem.

import AgentAPI
import Platform

/// One problem in a message, or one thing that happened once or several times: whatever belongs together, a message counts it once.
struct AlertItem: Equatable {
    enum Outcome: Equatable {
        /// It has begun and has not ended.
        case lasting
        /// It has begun and ended within this message.
        case recovered
        /// It had begun before this message, and has ended.
        case over
        /// It has happened, and nothing of it lasts.
        case happened
    }

    /// How many events of one problem are kept: the first one, the worst one and the last ones.
    static let mostEvents = 6

    /// `Event.problem`: the same for all of its events.
    let problem: String
    /// Oldest first; never empty.
    private(set) var events: [Event]
    /// How often it has begun or happened within this message, events that were not kept included.
    private(set) var count: Int

    init(_ event: Event) {
        problem = event.problem
        events = [event]
        count = event.effect == .ends ? 0 : 1
    }

    /// - Parameters:
    ///   - events: of one problem.
    ///   - count: how often it has begun or happened; at least what the events say.
    init?(_ events: [Event], count: Int) {
        guard let first = events.first else { return nil }
        self.init(first)
        for event in events.dropFirst() where event.problem == problem { add(event) }
        self.count = max(self.count, min(count, 1_000_000))
    }

    mutating func add(_ event: Event) {
        events.append(event)
        if event.effect != .ends { count += 1 }
        guard events.count > Self.mostEvents else { return }
        // The subject names the worst of it, so that this one stays.
        let worst = importance
        let isOnlyWorst = Self.importance(events[1]) == worst && events.count { Self.importance($0) == worst } == 1
        events.remove(at: isOnlyWorst ? 2 : 1)
    }

    var outcome: Outcome {
        switch events[events.count - 1].effect {
        case .begins: .lasting
        case .ends: events.contains { $0.effect == .begins } ? .recovered : .over
        case .none: .happened
        }
    }

    /// The event that the item is shown by: the latest of the worst, or the end of what began earlier.
    var face: Event {
        let worst = importance
        return events.last { $0.effect != .ends && Self.importance($0) == worst } ?? events[events.count - 1]
    }

    /// The worst of it; `nil` when it only ended.
    var importance: Importance? { events.compactMap(Self.importance).max() }

    /// When it began within this message, happened first, or ended.
    var firstAt: Timestamp { (events.first { $0.effect == .begins } ?? events[0]).at }
    var lastAt: Timestamp { events[events.count - 1].at }

    /// Worst first; of equals what lasts before what is over, and the oldest first.
    static func isWorse(_ one: AlertItem, _ other: AlertItem) -> Bool {
        let (importance, otherImportance) = (one.importance, other.importance)
        if importance != otherImportance {
            guard let importance, let otherImportance else { return otherImportance == nil }
            return importance > otherImportance
        }
        let (order, otherOrder) = (order(one.outcome), order(other.outcome))
        if order != otherOrder { return order < otherOrder }
        return (one.firstAt, one.problem) < (other.firstAt, other.problem)
    }

    /// Without an importance a problem counts as an error, as with the aggregator, and what merely happened as a warning. An end has none.
    private static func importance(_ event: Event) -> Importance? {
        switch event.effect {
        case .begins: event.importance ?? .error
        case .none: event.importance ?? .warning
        case .ends: nil
        }
    }

    private static func order(_ outcome: Outcome) -> Int {
        switch outcome {
        case .lasting: 0
        case .happened: 1
        case .recovered: 2
        case .over: 3
        }
    }
}
