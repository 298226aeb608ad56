// An answer to the token question that is no token.

import AgentAPI

/// What is known of an answer without a token alone in it, for the verdict and for a person.
public struct OtherAnswer: Equatable, Sendable {
    public var status: Int
    /// As many as were read.
    public var bytes: Int
    /// There was more than is read.
    public var isLonger: Bool
    /// Where it sends: without a query, and without a name and password.
    public var location: String?
    /// Seconds, where it says how long to wait.
    public var retryAfter: Int?
    /// It is HTML.
    public var isPage: Bool
    /// How it is compressed, where that is not understood.
    public var packing: String?
    /// Words in it that have a token's form: they are compared, and never shown.
    public var tokens: [String]
    /// It says that TLS is spoken there.
    public var wantsTLS: Bool
    /// It is no answer at all, and why: TLS failed, or another protocol is spoken. The status is 0 then.
    public var problem: String?
    /// How it was asked.
    public var way: AskingWay?

    public init(
        status: Int, bytes: Int, isLonger: Bool = false, location: String? = nil, retryAfter: Int? = nil, isPage: Bool = false,
        packing: String? = nil, tokens: [String] = [], wantsTLS: Bool = false, problem: String? = nil, way: AskingWay? = nil
    ) {
        self.status = status
        self.bytes = bytes
        self.isLonger = isLonger
        self.location = location
        self.retryAfter = retryAfter
        self.isPage = isPage
        self.packing = packing
        self.tokens = tokens
        self.wantsTLS = wantsTLS
        self.problem = problem
        self.way = way
    }

    /// It says how the application answers this question, not how it answers another one: `none`, an empty file.
    var isAnswerOfApplication: Bool {
        (200..<300).contains(status) && !isPage && !isLonger && packing == nil && tokens.isEmpty && bytes <= 256
    }

    /// It answers requests, whatever it says.
    var isServing: Bool { (1..<500).contains(status) }

    /// Nothing is there to be asked.
    var isMissing: Bool { status == 404 || status == 410 }

    var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) }

    /// It says nothing of the application: it asks for patience.
    public var isForNow: Bool { status == 429 || status >= 500 }
}

/// The parts of a URL that matter to a question.
struct LocationParts: Equatable {
    var isHTTPS: Bool
    /// `nil` in a URL that has a path alone.
    var host: String?
    var path: String

    init(_ text: String) {
        var rest = text[...]
        isHTTPS = rest.lowercased().hasPrefix("https://")
        if let scheme = rest.firstRange(of: "://"), rest[..<scheme.lowerBound].allSatisfy({ $0.isLetter }) {
            rest = rest[scheme.upperBound...]
        } else if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
        } else {
            path = String(rest.prefix { $0 != "?" && $0 != "#" })
            return
        }
        var authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        rest = rest[authority.endIndex...]
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        host = isHostText(String(authority)) ? String(authority) : nil
        path = String(rest.prefix { $0 != "?" && $0 != "#" })
    }

    /// The name without its port.
    var name: String? { host.map(hostName) }
}

/// `app.example.com` of `app.example.com:443`, `[::1]` of `[::1]:80`; as it is compared.
func hostName(_ host: String) -> String {
    let text = host.lowercased()
    if text.hasPrefix("[") { return String(text.prefix { $0 != "]" }) + "]" }
    guard let colon = text.lastIndex(of: ":"), text[text.index(after: colon)...].allSatisfy({ $0.isNumber }) else { return text }
    return String(text[..<colon])
}
