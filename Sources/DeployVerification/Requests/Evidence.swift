// What one look at a server showed.

import Platform

/// One look at a URL that should answer the token, classified.
public enum Evidence: Equatable, Sendable {
    case rightToken
    /// A token, and not the one of this deploy.
    case otherToken(prefix: String)
    /// An answer that is no token: the URL leads elsewhere, or the release has none.
    case notAToken(bytes: Int)
    /// The token is in the answer, and more than that around it.
    case tokenWithin(bytes: Int)
    /// It is sent to another place, which is not asked.
    case redirect(status: Int, location: String?)
    /// Any other status but 200.
    case status(Int)
    /// Too many questions: it says nothing of what runs.
    case limited(retryAfter: Duration?)
    /// The answer comes from a cache, as a header says: it may be older than the deploy.
    case cached(mark: String)
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

    /// Classifies an answer. The whole body must be the token, but for what `TokenReading` takes away around it.
    public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8], expecting token: DeployToken) {
        func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
        switch status {
        case 429:
            let wait = header("retry-after").flatMap { Int($0) }.flatMap { $0 > 0 ? Duration.seconds(min($0, 3600)) : nil }
            self = .limited(retryAfter: wait)
            return
        case 301, 302, 303, 307, 308:
            self = .redirect(status: status, location: header("location").map(Self.shown))
            return
        default: break
        }
        if let mark = CacheMarks.mark(in: headers) {
            self = .cached(mark: mark)
            return
        }
        guard (200..<300).contains(status) else {
            self = .status(status)
            return
        }
        let wanted = Secret(token.text)
        switch TokenReading(body) {
        case .token(let text) where wanted.isToken(text): self = .rightToken
        case .token(let text): self = .otherToken(prefix: String(text.prefix(8)))
        case .within(let found) where found.contains(where: wanted.isToken): self = .tokenWithin(bytes: body.count)
        case .within, .none: self = .notAToken(bytes: body.count)
        }
    }

    /// Where a redirect leads, without what may be secret in it: a name and password, a query.
    private static func shown(_ location: String) -> String {
        var text = String(location.prefix { $0 != "?" && $0 != "#" }.prefix(200))
        if let scheme = text.firstRange(of: "://") {
            let authority = text[scheme.upperBound...].prefix { $0 != "/" }
            if let at = authority.lastIndex(of: "@") { text.removeSubrange(scheme.upperBound...at) }
        }
        return text
    }

    /// For a person; equal evidence has equal words.
    public var words: String {
        switch self {
        case .rightToken: "the new token"
        case .otherToken(let prefix): "another token (\(prefix)...)"
        case .notAToken(let bytes): "no token but \(bytes) other bytes"
        case .tokenWithin(let bytes): "the new token with something around it (\(bytes) bytes)"
        case .redirect(let status, let location): "a redirect (\(status))" + (location.map { " to \($0)" } ?? " to nowhere")
        case .status(let code): code == 401 || code == 403 ? "access denied (\(code))" : "status \(code)"
        case .limited: "too many requests (429)"
        case .cached(let mark): "an answer from a cache (\(mark))"
        case .refused: "connection refused"
        case .lost: "connection lost"
        case .noAnswer: "no answer in time"
        case .noConnection(let reason), .tls(let reason), .untrusted(let reason), .other(let reason): reason
        }
    }

    /// What to do where this keeps a URL from being proven; `nil` where that is plain or not known.
    var remedy: String? {
        switch self {
        case .redirect(_, let location?) where location.lowercased().hasPrefix("http"): "redirects are not followed: ask with --url \(location)"
        case .redirect: "redirects are not followed: name the URL that answers with --url"
        case .status(400), .status(421): "the server does not accept the question: ask by a name that it knows, with --url or --host-header"
        case .status(404), .status(410): "nothing is at this path: check the path of --url, and that the release has the endpoint"
        case .status(405): "it does not answer GET: check the path of --url"
        case .status(426): "it wants another protocol: ask with --url https://..."
        case .status(401), .status(403): "check --user and --password-file, or let this path pass without a login"
        case .status(500...): "look at the server's log"
        case .limited: "let this path pass the limit, or ask less often with --interval"
        case .cached: "send `Cache-Control: no-store` with the token, or leave its path out of the cache"
        case .tokenWithin: "answer the token and nothing else: no layout, no quotes, no JSON"
        case .notAToken: "check that --url leads to the endpoint, and not to a login or a page for every path"
        case .noAnswer: "look at what the server waits for, or ask more patiently with --timeout"
        case .tls, .untrusted: "check the certificate, or name its authority with --ca-file"
        default: nil
        }
    }

    /// What it says about the deploy, whatever its details.
    enum Meaning: Equatable {
        case new, old, unclear, down, unreachable
        /// Unreachable for a reason that waiting does not cure.
        case barred
    }

    /// `nil`: it says nothing, and takes nothing back.
    var meaning: Meaning? {
        switch self {
        case .rightToken: .new
        case .otherToken: .old
        case .notAToken, .tokenWithin, .redirect, .noAnswer, .tls, .other: .unclear
        case .status(let code): code == 401 || code == 403 ? .barred : .unclear
        case .limited, .cached: nil
        case .refused, .lost: .down
        case .noConnection: .unreachable
        case .untrusted: .barred
        }
    }

    /// Whether something answered, and it was not the new release.
    var isOtherAnswer: Bool {
        switch self {
        case .otherToken, .notAToken, .tokenWithin, .redirect, .status: true
        default: false
        }
    }
}
