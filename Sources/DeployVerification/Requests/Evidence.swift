// What one look at a server showed.

/// One look at a URL that should answer the token, classified.
public enum Evidence: Equatable, Sendable {
    case rightToken
    /// A token, and not the one of this deploy.
    case otherToken(prefix: String)
    /// An answer that is no token: the URL leads elsewhere, or the release has none.
    case notAToken(bytes: Int)
    /// Any status but 200.
    case status(Int)
    case refused
    /// The connection ended before the answer did.
    case lost
    /// Connected, and no answer in time.
    case noAnswer
    /// Not even connected: no address for the name, no way there, no connection in time.
    case noConnection(reason: String)
    case tls(reason: String)
    /// The certificate is not to be trusted: waiting does not help.
    case untrusted(reason: String)
    case other(reason: String)

    /// Classifies an answer. The whole body must be the token; one line end after it is allowed.
    public init(status: Int, body: [UInt8], expecting token: DeployToken) {
        guard status == 200 else {
            self = .status(status)
            return
        }
        var text = body[...]
        if text.last == 10 { text.removeLast() }
        if text.last == 13, text.count < body.count { text.removeLast() }
        if token.matches(text) {
            self = .rightToken
        } else if DeployToken.isToken(text) {
            self = .otherToken(prefix: String(decoding: text.prefix(8), as: UTF8.self))
        } else {
            self = .notAToken(bytes: body.count)
        }
    }

    /// For a person; equal evidence has equal words.
    public var words: String {
        switch self {
        case .rightToken: "the new token"
        case .otherToken(let prefix): "another token (\(prefix)...)"
        case .notAToken(let bytes): "no token but \(bytes) other bytes"
        case .status(let code): code == 401 || code == 403 ? "access denied (\(code))" : "status \(code)"
        case .refused: "connection refused"
        case .lost: "connection lost"
        case .noAnswer: "no answer in time"
        case .noConnection(let reason), .tls(let reason), .untrusted(let reason), .other(let reason): reason
        }
    }

    /// What it says about the deploy, whatever its details.
    enum Meaning: Equatable {
        case new, old, unclear, down, unreachable
        /// Unreachable for a reason that waiting does not cure.
        case barred
    }

    var meaning: Meaning {
        switch self {
        case .rightToken: .new
        case .otherToken: .old
        case .notAToken, .noAnswer, .tls, .other: .unclear
        case .status(let code): code == 401 || code == 403 ? .barred : .unclear
        case .refused, .lost: .down
        case .noConnection: .unreachable
        case .untrusted: .barred
        }
    }

    /// Whether something answered, and it was not the new release.
    var isOtherAnswer: Bool {
        switch self {
        case .otherToken, .notAToken, .status: true
        default: false
        }
    }
}
