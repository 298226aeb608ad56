// Messages between the decision and the delivery: rows that survive a crash.

public import Messages
public import Platform

/// A message to one person that the store is to keep until it has been delivered.
public struct OutgoingMessage: Equatable, Sendable {
    public var service: String
    public var recipient: String
    public var subject: String
    public var body: String
    public var createdAt: Timestamp
    /// Not before this.
    public var dueAt: Timestamp
    /// A message that waits with the same word and recipient is replaced by this one.
    public var gather: String?

    public init(
        service: String, recipient: String, subject: String, body: String, createdAt: Timestamp, dueAt: Timestamp, gather: String? = nil
    ) {
        self.service = service
        self.recipient = recipient
        self.subject = subject
        self.body = body
        self.createdAt = createdAt
        self.dueAt = dueAt
        self.gather = gather
    }
}

/// A message that whoever claimed it delivers now; nobody else touches it until its lease is over.
public struct ClaimedMessage: Equatable, Sendable {
    public var id: Int64
    public var service: String
    public var notifier: String
    public var message: Message
    /// This one included.
    public var attempts: Int

    public init(id: Int64, service: String, notifier: String, message: Message, attempts: Int) {
        self.id = id
        self.service = service
        self.notifier = notifier
        self.message = message
        self.attempts = attempts
    }
}

/// What is left to deliver, and what went wrong with it.
public struct OutboxBacklog: Equatable, Sendable {
    /// Messages that are not delivered yet, without those that still gather.
    public var waiting: Int
    /// When the oldest of those whose delivery has failed at least once was made.
    public var oldestFailing: Timestamp?
    /// Messages of the last day that were refused for good, as far as their recipient has got nothing since.
    public var refused: Int

    public init(waiting: Int, oldestFailing: Timestamp?, refused: Int) {
        self.waiting = waiting
        self.oldestFailing = oldestFailing
        self.refused = refused
    }
}
