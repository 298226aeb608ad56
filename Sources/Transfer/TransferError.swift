// Why a transfer brought nothing.

/// A transfer that failed: what kind of failure, and its detail in words, without credentials.
public struct TransferError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The name has no address, or nobody could be asked for it.
        case couldNotResolve
        /// Somebody is there, and nobody listens.
        case connectionRefused
        /// No way to the address, or no connection in time.
        case couldNotConnect
        /// Connected, but not finished in time.
        case timedOut
        /// The other side ended the connection before it had said all.
        case connectionLost
        /// TLS failed for another reason than trust.
        case tls
        /// The certificate is not trusted, expired, or of another host.
        case untrusted
        /// More headers than anybody needs.
        case tooLarge
        case tooManyRedirects
        /// What came is not what the protocol allows.
        case protocolError
        /// The mail server said no; `replyCode` says which no.
        case refused
        /// The transfer cannot be done as it was asked for.
        case badRequest
        /// The task was cancelled, or the transfers were shut down.
        case cancelled
    }

    public var kind: Kind
    /// For a person: `connection refused`, `no answer within 10 s`.
    public var detail: String
    /// A mail server's last reply, when it was one of failure: 450, 550, ...
    public var replyCode: Int?

    public init(_ kind: Kind, _ detail: String, replyCode: Int? = nil) {
        self.kind = kind
        self.detail = detail
        self.replyCode = replyCode
    }

    public var description: String { detail }
}
