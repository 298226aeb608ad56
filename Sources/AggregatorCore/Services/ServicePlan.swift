// Which services there are, what belongs to them, and who hears of them.

public import Platform

/// The configured services, and the rule by which everything else gets a service of its own: a unit that no configured service names
/// has the service of its name, and every host has the service `host NAME`.
public struct ServicePlan: Sendable {
    /// How the services of hosts begin.
    public static let hostPrefix = "host "

    public var services: [ConfiguredService]
    public var routes: [String: [String]]
    /// Who hears of what nobody else claims; empty when no mail is configured.
    public var defaultRecipients: [String]
    public var publicURL: String
    public var grace: Duration?

    public init(
        services: [ConfiguredService] = [], routes: [String: [String]] = [:], defaultRecipients: [String] = [],
        publicURL: String = "http://127.0.0.1:8427", grace: Duration? = nil
    ) {
        self.services = services
        self.routes = routes
        self.defaultRecipients = defaultRecipients
        self.publicURL = publicURL
        self.grace = grace
    }

    public init(_ configuration: AggregatorConfiguration) {
        self.init(
            services: configuration.services, routes: configuration.routes, defaultRecipients: configuration.mail?.to ?? [],
            publicURL: configuration.publicURL, grace: configuration.grace)
    }

    /// The services that a unit belongs to; the host itself when `unit` is empty.
    public func services(ofUnit unit: String, onHost host: String) -> Set<String> {
        if unit.isEmpty { return [Self.hostPrefix + host] }
        let named = services.filter { $0.units.contains { $0.matches(unit: unit, host: host) } }.map(\.name)
        return named.isEmpty ? [unit] : Set(named)
    }

    public func service(_ name: String) -> ConfiguredService? { services.first { $0.name == name } }

    public func isConfigured(_ name: String) -> Bool { service(name) != nil }

    /// How bad it is for the service when one of its units is down.
    public func importanceOfDown(in service: String) -> Importance { self.service(service)?.importance ?? .error }

    /// Who hears of a service: the people whom it names, else the rule's routes, else the default. A route that is not configured is
    /// better heard of by the default than by nobody; what has no route at all is for nobody.
    public func recipients(of service: String, routes wanted: [String?]) -> [String] {
        if wanted.isEmpty { return [] }
        if let notify = self.service(service)?.notify, !notify.isEmpty { return unique(notify) }
        return unique(wanted.flatMap { route in route.flatMap { routes[$0] }.flatMap { $0.isEmpty ? nil : $0 } ?? defaultRecipients })
    }

    public func check(_ key: CheckKey) -> ConfiguredCheck? { service(key.service)?.checks.first { $0.name == key.name } }

    public var checks: [ConfiguredCheck] { services.flatMap(\.checks) }

    /// How long an agent that reports every `interval` may be silent.
    public func grace(forInterval interval: Duration) -> Duration { grace ?? max(interval * 3, .seconds(30)) }

    /// The page of a service.
    public func link(toService name: String) -> String { "\(publicURL)/services/\(percentEncoded(name))" }
}

/// The first of equal addresses, in their order.
private func unique(_ addresses: [String]) -> [String] {
    var seen: Set<String> = []
    return addresses.filter { seen.insert($0).inserted }
}

/// RFC 3986: everything but the unreserved characters.
private func percentEncoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
        switch byte {
        case 48...57, 65...90, 97...122, 45, 46, 95, 126: encoded.unicodeScalars.append(Unicode.Scalar(byte))
        default: encoded += "%" + hex([byte]).uppercased()
        }
    }
    return encoded
}
