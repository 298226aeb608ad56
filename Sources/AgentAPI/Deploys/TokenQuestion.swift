// How the workers of a service are asked which token they carry.

public import Platform

/// A request that a worker answers with the token that it read when it booted. It is only ever sent to the service's own listeners.
public struct TokenQuestion: Equatable, Sendable {
    /// What workers speak.
    public enum Language: String, CaseIterable, Sendable {
        case http, fastcgi, uwsgi
    }

    public enum TLS: String, CaseIterable, Sendable {
        case off, on
        /// The certificate must be trusted, and be that of `host`.
        case verify
    }

    /// The header that a proxy sends before a request, to say who asks it.
    public enum ProxyHeader: String, CaseIterable, Sendable {
        case v1, v2
    }

    /// A header of the request. Only workers that are known to be the service's are sent it: it may hold a secret.
    public struct Header: Equatable, Sendable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Begins with `/`.
    public var path: String
    /// The `Host` header; `nil`: one of `otherHosts`, or else the listener's address.
    public var host: String?
    public var user: String?
    public var password: Secret?
    /// `nil`: it is found out.
    public var language: Language?
    /// `nil`: it is found out.
    public var tls: TLS?
    public var proxyHeader: ProxyHeader?
    public var headers: [Header]
    /// The file that a FastCGI worker runs for the question.
    public var script: String?
    /// What else may be the name of the application, where the first is refused.
    public var otherHosts: [String]

    public init(
        path: String, host: String? = nil, user: String? = nil, password: Secret? = nil, language: Language? = nil, tls: TLS? = nil,
        proxyHeader: ProxyHeader? = nil, headers: [Header] = [], script: String? = nil, otherHosts: [String] = []
    ) {
        self.path = path
        self.host = host
        self.user = user
        self.password = password
        self.language = language
        self.tls = tls
        self.proxyHeader = proxyHeader
        self.headers = headers
        self.script = script
        self.otherHosts = otherHosts
    }

    /// The same question as the service's own settings have it where it says nothing itself: what the workers speak, and what their requests need.
    public func completed(by own: TokenQuestion?) -> TokenQuestion {
        guard let own else { return self }
        var question = self
        question.host = host ?? own.host
        question.language = language ?? own.language
        question.tls = tls ?? own.tls
        question.proxyHeader = proxyHeader ?? own.proxyHeader
        question.script = script ?? own.script
        if headers.isEmpty { question.headers = own.headers }
        return question
    }
}

/// Asks an agent to find out how the workers of a service have to be asked.
public struct AskingOrder: Equatable, Sendable {
    public var service: String
    /// `nil`: as the service's own settings say, or where most applications answer.
    public var question: TokenQuestion?
    /// As in `DeployPreparation`.
    public var hosts: [String]

    public init(service: String, question: TokenQuestion? = nil, hosts: [String] = []) {
        self.service = service
        self.question = question
        self.hosts = hosts
    }
}
