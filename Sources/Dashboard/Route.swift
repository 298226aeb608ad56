// Which address is which page.

import AgentAPI

/// What a path asks for.
enum Route: Hashable, Sendable {
    case services
    case service(String)
    case hosts
    case host(agent: String)
    case addHost
    case removeToken
    case deploys
    case deploy(String)
    /// Of scripts.
    case tokens
    case revokeToken
    case login, logout, setup
    /// For machines, without a login.
    case status
    case health
    case live
    case asset(String)
    case reports
    case deploysAPI
    case deployAPI(String)
    /// A deploy of a service on all its hosts.
    case relay(RelayVerb, service: String)
    /// Where agents listen for orders, and where they answer.
    case orders, orderAnswers

    enum RelayVerb: String, CaseIterable, Sendable {
        case prepare, verify, cancel
    }

    /// Reads the path of a URL, without its query; a slash at the end makes no difference. `nil` when there is nothing there.
    init?(path: String) {
        guard path.hasPrefix("/") else { return nil }
        var segments: [String] = []
        for segment in path.split(separator: "/") {
            guard let decoded = percentDecoded(segment.utf8) else { return nil }
            segments.append(decoded)
        }
        switch segments.count {
        case 0: self = .services
        case 1:
            switch segments[0] {
            case "services": self = .services
            case "hosts": self = .hosts
            case "deploys": self = .deploys
            case "tokens": self = .tokens
            case "login": self = .login
            case "logout": self = .logout
            case "setup": self = .setup
            case "status": self = .status
            case "live": self = .live
            default: return nil
            }
        case 2:
            switch (segments[0], segments[1]) {
            case ("services", let name): self = .service(name)
            case ("hosts", "add"): self = .addHost
            case ("hosts", "remove-token"): self = .removeToken
            case ("hosts", let agent): self = .host(agent: agent)
            case ("deploys", let id): self = .deploy(id)
            case ("tokens", "revoke"): self = .revokeToken
            case ("status", "details"): self = .health
            case ("assets", let name): self = .asset(name)
            case ("v1", "reports"): self = .reports
            case ("v1", "orders"): self = .orders
            default: return nil
            }
        case 3 where segments[...] == ["v1", "orders", "answers"]: self = .orderAnswers
        case 3 where segments[...] == ["api", "v1", "deploys"]: self = .deploysAPI
        case 4 where segments[..<3] == ["api", "v1", "deploys"]: self = .deployAPI(segments[3])
        case 6 where segments[..<3] == ["api", "v1", "services"] && segments[4] == "deploys":
            guard let verb = RelayVerb(rawValue: segments[5]) else { return nil }
            self = .relay(verb, service: segments[3])
        default: return nil
        }
    }

    var path: String {
        switch self {
        case .services: "/services"
        case .service(let name): "/services/\(percentEncoded(name))"
        case .hosts: "/hosts"
        case .host(let agent): "/hosts/\(percentEncoded(agent))"
        case .addHost: "/hosts/add"
        case .removeToken: "/hosts/remove-token"
        case .deploys: "/deploys"
        case .deploy(let id): "/deploys/\(percentEncoded(id))"
        case .tokens: "/tokens"
        case .revokeToken: "/tokens/revoke"
        case .login: "/login"
        case .logout: "/logout"
        case .setup: "/setup"
        case .status: "/status/"
        case .health: "/status/details"
        case .live: "/live"
        case .asset(let name): "/assets/\(percentEncoded(name))"
        case .reports: "/v1/reports"
        case .deploysAPI: "/api/v1/deploys"
        case .deployAPI(let id): "/api/v1/deploys/\(percentEncoded(id))"
        case .relay(let verb, let service): "/api/v1/services/\(percentEncoded(service))/deploys/\(verb.rawValue)"
        case .orders: OrderLine.callPath
        case .orderAnswers: OrderLine.answersPath
        }
    }

    /// Whether the page shows what changes by itself, so that it is sent again when it does. Pages with forms stand still.
    var isLive: Bool {
        switch self {
        case .services, .service, .hosts, .host, .deploys, .deploy, .health: true
        default: false
        }
    }

    /// Whether programs ask there, and want answers that they can read.
    var isForPrograms: Bool {
        switch self {
        case .deploysAPI, .deployAPI, .relay, .orders, .orderAnswers: true
        default: false
        }
    }
}
