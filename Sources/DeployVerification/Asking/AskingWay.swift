// One way to ask a worker for its token.

public import AgentAPI

public struct AskingWay: Hashable, Sendable {
    public var language: TokenQuestion.Language
    public var isTLS: Bool
    /// The `Host` header.
    public var host: String
    /// With `X-Forwarded-Proto: https`, as a proxy says that it was asked over TLS.
    public var saysHTTPS: Bool

    public init(language: TokenQuestion.Language = .http, isTLS: Bool = false, host: String, saysHTTPS: Bool = false) {
        self.language = language
        self.isTLS = isTLS
        self.host = host
        self.saysHTTPS = saysHTTPS
    }

    static let forwardedHeader = "X-Forwarded-Proto: https"

    /// For the server, which may have a certificate for each name; `nil` for an address.
    public var serverName: String? {
        let name = hostName(host)
        return name.hasPrefix("[") || name.allSatisfy({ $0.isNumber || $0 == "." }) ? nil : name
    }

    /// `over TLS, Host app.example.com, X-Forwarded-Proto: https`
    public var words: String {
        var parts: [String] = []
        switch language {
        case .http: if isTLS { parts.append("over TLS") }
        case .fastcgi: parts.append("FastCGI")
        case .uwsgi: parts.append("the uwsgi protocol")
        }
        parts.append("Host \(host)")
        if saysHTTPS { parts.append(Self.forwardedHeader) }
        return parts.joined(separator: ", ")
    }
}

/// What asking in some way came to.
public enum AskingOutcome: Equatable, Sendable {
    case answer(WorkerAnswer.Content)
    /// Something that is no answer in this language; whether it was TLS's.
    case strange(isTLS: Bool)
    case tlsFailed(String)
    /// The connection was taken by none of the service's processes, or refused.
    case notTaken

    /// For a person.
    public var words: String {
        switch self {
        case .answer(.token): "a token"
        case .answer(.accessDenied(let status)): "access denied (\(status))"
        case .answer(.other(let answer)): answer.seen
        case .answer(.lost): "the connection ended without an answer"
        case .answer(.silence): "no answer in time"
        case .strange(isTLS: true): "it speaks TLS"
        case .strange(isTLS: false): "something that is no answer in this protocol"
        case .tlsFailed(let why): "TLS: \(why)"
        case .notTaken: "no process of the service took the connection"
        }
    }
}
