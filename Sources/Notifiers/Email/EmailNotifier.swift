// Hands messages to a mail server.

import Checks
public import Messages
import Platform
public import Transfer

extension NotifierKind {
    /// Settings:
    /// - `server` (required): `smtp://HOST:PORT`, or `smtps://HOST:PORT` for TLS from the first byte.
    /// - `from` (required): the sender's address.
    /// - `encryption` (default `required`): what happens with `smtp://`: `required` is STARTTLS or no mail; `offered` uses it where
    ///   the server has it; `none` does not.
    /// - `user`, and `password` or the file that holds it as `password_file`: how to log in; never without encryption, except on this machine.
    /// - `ca_file`: the authorities to trust instead of the system's.
    static func mail(_ transfers: Transfers) -> NotifierKind {
        NotifierKind(word: "mail") { name, settings in
            MailConfiguration.read(settings).map { EmailNotifier(name: name, configuration: $0, transfers: transfers) as any Notifier }
        }
    }
}

/// Where mails go and who they come from.
public struct MailConfiguration: Sendable {
    public var server: Endpoint
    public var encryption = MailTransfer.Encryption.required
    public var credentials: Credentials?
    /// The sender's address, in the envelope and in the message.
    public var from: String
    /// PEM file of the authorities to trust instead of the system's.
    public var authorities: String?

    public init(server: Endpoint, from: String) {
        self.server = server
        self.from = from
    }

    static func read(_ settings: [String: Setting]) -> Result<MailConfiguration, SettingErrors> {
        var reader = SettingReader(settings)
        let server = reader.mailServer("server")
        let from = reader.required("from")
        if let from, !MailMessage.isAddress(from) { reader.fault("from", "must be an address like rollcall@example.com") }
        var encryption = MailTransfer.Encryption.required
        if let word = reader.text("encryption") {
            if let known = MailTransfer.Encryption(rawValue: word) {
                encryption = known
            } else {
                reader.fault("encryption", "must be required, offered or none")
            }
        }
        let login = reader.login()
        if login != nil, let server, encryption != .required, !server.isEncrypted, !server.isLoopback {
            reader.fault("encryption", "must be required: the password would travel in the clear")
        }
        let authorities = reader.readableFile("ca_file")
        guard let server, let from else { return reader.finished(nil) }
        var configuration = MailConfiguration(server: server, from: from)
        configuration.encryption = encryption
        configuration.credentials = login.map { Credentials(user: $0.user, password: $0.password) }
        configuration.authorities = authorities
        return reader.finished(configuration)
    }
}

extension SettingReader {
    fileprivate mutating func mailServer(_ key: String) -> Endpoint? {
        guard let text = required(key) else { return nil }
        do throws(EndpointError) {
            let (endpoint, credentials) = try Endpoint.parse(text, schemes: ["smtp", "smtps"])
            if credentials != nil { fault(key, "must not hold a user or password: use user and password_file") }
            return endpoint
        } catch {
            fault(key, error.problem)
            return nil
        }
    }
}

/// Delivers messages by mail: SMTP, encrypted unless the configuration says otherwise, 30 s at most for each.
public struct EmailNotifier: Notifier {
    public let name: String
    private let configuration: MailConfiguration
    private let transfers: Transfers

    public init(name: String = "mail", configuration: MailConfiguration, transfers: Transfers) {
        self.name = name
        self.configuration = configuration
        self.transfers = transfers
    }

    public func deliver(_ message: Message) async throws(DeliveryError) {
        guard MailMessage.isAddress(message.recipient) else {
            throw DeliveryError(notifier: name, remedy: .correct, detail: "the recipient is not a mail address like ops@example.com")
        }
        let text = MailMessage(message, from: configuration.from).text
        var mail = MailTransfer(
            server: configuration.server, sender: configuration.from, recipients: [message.recipient], message: Array(text.utf8))
        mail.encryption = configuration.encryption
        mail.credentials = configuration.credentials
        mail.authorities = configuration.authorities
        do throws(TransferError) {
            try await transfers.mail(mail)
        } catch {
            throw DeliveryError(notifier: name, remedy: remedy(for: error), detail: error.detail)
        }
    }

    /// A server that says 5xx means it; whatever else went wrong may be over in a minute.
    private func remedy(for error: TransferError) -> DeliveryError.Remedy {
        switch error.kind {
        case .badRequest: .correct
        case .refused: (error.replyCode ?? 0) >= 500 ? .correct : .retry
        default: .retry
        }
    }
}
