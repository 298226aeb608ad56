// The seam between a message and the ways in which somebody hears of it.

/// A way to reach people: mail, chat, phone.
public protocol Notifier: Sendable {
    /// As the configuration calls it: `mail`.
    var name: String { get }
    /// Hands one message to the provider. Returning means that the provider has taken it.
    func deliver(_ message: Message) async throws(DeliveryError)
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
    /// How long the provider wants to be left alone, where it says so.
    public var wait: Duration?

    public init(notifier: String, remedy: Remedy, detail: String, wait: Duration? = nil) {
        self.notifier = notifier
        self.remedy = remedy
        self.detail = detail
        self.wait = wait
    }

    public var description: String { "\(notifier): \(detail)" }
}
