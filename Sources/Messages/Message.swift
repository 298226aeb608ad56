// What a person or a program hears of.

public import Platform

/// One message to one recipient.
public struct Message: Equatable, Sendable {
    /// The same for every attempt to deliver it, so that a provider or a mail reader can tell a repetition.
    public var id: String
    /// An address, where the way to reach people has one for each of them.
    public var recipient: String
    public var subject: String
    /// Plain text, lines of any length.
    public var body: String
    public var createdAt: Timestamp
    /// What it is about, oldest first, for programs; empty where only the text is known.
    public var occurrences: [Occurrence]

    public init(id: String, recipient: String, subject: String, body: String, createdAt: Timestamp, occurrences: [Occurrence] = []) {
        self.id = id
        self.recipient = recipient
        self.subject = subject
        self.body = body
        self.createdAt = createdAt
        self.occurrences = occurrences
    }
}

/// Something that happened, as a message tells programs of it.
public struct Occurrence: Equatable, Sendable {
    /// What it does to a problem that lasts.
    public enum Effect: String, CaseIterable, Sendable {
        case begins
        case ends
        /// It has happened, and nothing of it lasts.
        case none
    }

    /// One word of a fixed set: `unit_down`, `rule_recovered`, ...
    public var kind: String
    public var at: Timestamp
    public var host: String
    public var unit: String?
    /// The rule as its file says it.
    public var rule: String?
    public var importance: Importance?
    /// For a person: `killed by SIGKILL`.
    public var detail: String
    public var effect: Effect
    /// The same for the beginning and the end of one problem, and for no other problem.
    public var problem: String

    public init(
        kind: String, at: Timestamp, host: String, unit: String? = nil, rule: String? = nil, importance: Importance? = nil, detail: String,
        effect: Effect, problem: String
    ) {
        self.kind = kind
        self.at = at
        self.host = host
        self.unit = unit
        self.rule = rule
        self.importance = importance
        self.detail = detail
        self.effect = effect
        self.problem = problem
    }
}
