// What a mail transfer is to do.

/// One message for a mail server, with everything that bounds its transfer.
public struct MailTransfer: Sendable {
    /// What happens between the connection and the first command that matters, with an `smtp://` endpoint. `smtps://` is encrypted
    /// from its first byte.
    public enum Encryption: String, CaseIterable, Sendable {
        /// STARTTLS, or no mail.
        case required
        /// STARTTLS where the server offers it.
        case offered
        case none
    }

    /// `smtp://` or `smtps://`.
    public var server: Endpoint
    public var encryption = Encryption.required
    public var credentials: Credentials?
    /// The envelope's addresses, without angle brackets.
    public var sender: String
    public var recipients: [String]
    /// The whole message, lines ended by CR LF.
    public var message: [UInt8]
    public var deadline = Duration.seconds(30)
    public var connectTimeout = Duration.seconds(10)
    public var verifiesCertificate = true
    /// PEM file of the authorities to trust instead of the system's.
    public var authorities: String?

    public init(server: Endpoint, sender: String, recipients: [String], message: [UInt8]) {
        self.server = server
        self.sender = sender
        self.recipients = recipients
        self.message = message
    }
}
