// The seam between an alert and the ways in which a person hears of it.

public import Platform

/// A way to reach people: mail, chat, phone.
public protocol Notifier: Sendable {
    /// As the configuration calls it: `mail`.
    var name: String { get }
    /// Hands one message to the provider. Returning means that the provider has taken it.
    func deliver(_ message: Message) async throws(DeliveryError)
}

/// One message to one recipient.
public struct Message: Equatable, Sendable {
    /// The same for every attempt to deliver it, so that a provider or a mail reader can tell a repetition.
    public var id: String
    public var recipient: String
    public var subject: String
    /// Plain text, lines of any length.
    public var body: String
    public var createdAt: Timestamp

    public init(id: String, recipient: String, subject: String, body: String, createdAt: Timestamp) {
        self.id = id
        self.recipient = recipient
        self.subject = subject
        self.body = body
        self.createdAt = createdAt
    }
}

/// A message that was not delivered: by what, why, and whether trying again makes sense.
public struct DeliveryError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Remedy: String, Sendable {
        /// The provider was not there or had no time.
        case retry
        /// The provider will refuse it every time: the address or the configuration has to change.
        case correct
    }

    public var notifier: String
    public var remedy: Remedy
    public var detail: String

    public init(notifier: String, remedy: Remedy, detail: String) {
        self.notifier = notifier
        self.remedy = remedy
        self.detail = detail
    }

    public var description: String { "\(notifier): \(detail)" }
}
