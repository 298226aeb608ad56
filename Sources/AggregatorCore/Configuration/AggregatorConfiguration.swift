// The aggregator's configuration file, checked whole: /etc/rollcall/aggregator.yaml.

public import Checks
public import Logging
public import Platform
import Yams

/// What the aggregator was told to do.
///
/// Configuration keys:
/// - `listen` (ADDRESS:PORT, default 127.0.0.1:8427): where pages are served and agents report.
/// - `public_url` (default http://LISTEN): how people reach the pages; mails link there.
/// - `database` (path, default $STATE_DIRECTORY/rollcall.sqlite, else /var/lib/rollcall-aggregator/rollcall.sqlite).
/// - `certificate_file`, `key_file` (PEM, both or neither): to serve over TLS. Needed when `listen` is not a loopback address, unless
///   `behind_proxy: true` says that a proxy in front does it.
/// - `log_level` (trace, debug, info, notice, warning, error, critical; default notice).
/// - `mail`: how mails go out; see `MailSettings`.
/// - `routes`: names that rules use (`alert ROUTE`), each with a list of addresses.
/// - `services`: see `ConfiguredService`.
/// - `grace` (time, default three of the agent's intervals, at least 30s): how long an agent may be silent.
/// - `keep_samples` (time, default 7d), `keep_events` (time, default 90d): for how long history is kept.
public struct AggregatorConfiguration: Sendable {
    public var listen = ListenAddress(host: "127.0.0.1", port: 8427)
    public var publicURL = ""
    public var database = ""
    public var certificateFile: Placed<String>?
    public var keyFile: Placed<String>?
    public var isBehindProxy = false
    public var logLevel = Logger.Level.notice
    public var mail: MailSettings?
    public var routes: [String: [String]] = [:]
    public var services: [ConfiguredService] = []
    public var grace: Duration?
    public var keepSamples = Duration.seconds(7 * 86400)
    public var keepEvents = Duration.seconds(90 * 86400)

    /// Reads a configuration file's content.
    /// - Parameters:
    ///   - file: what faults call the file.
    ///   - kinds: the kinds of checks that there are.
    ///   - stateDirectory: the folder that the service manager made for this program's state.
    public init(parsing bytes: [UInt8], file: String, kinds: [CheckKind], stateDirectory: String? = nil) throws(Faults) {
        let reader = ConfigurationReader(file: file)
        database = "\(stateDirectory ?? "/var/lib/rollcall-aggregator")/rollcall.sqlite"
        let root: Node?
        do throws(Fault) {
            root = try ConfigurationText.tree(of: bytes, file: file)
        } catch {
            throw Faults([error])
        }
        if let root { read(root, reader, kinds) }
        if publicURL.isEmpty { publicURL = "\(certificateFile == nil ? "http" : "https")://\(listen)" }
        let faults = reader.faults.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        if !faults.isEmpty { throw Faults(faults) }
    }

    private mutating func read(_ root: Node, _ reader: ConfigurationReader, _ kinds: [CheckKind]) {
        let keys = [
            "listen", "public_url", "database", "certificate_file", "key_file", "behind_proxy", "log_level", "mail", "routes", "services", "grace",
            "keep_samples", "keep_events",
        ]
        guard let section = reader.section(root, named: "", keys: keys) else { return }
        listen = reader.value(section, "listen", expected: "ADDRESS:PORT", ListenAddress.init) ?? listen
        publicURL =
            reader.value(section, "public_url", expected: "a scheme and a host, like https://rollcall.example.com", Self.baseURL) ?? publicURL
        database = reader.text(section, "database")?.value ?? database
        readTLS(section, reader)
        logLevel =
            reader.value(section, "log_level", expected: "one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))") {
                Logger.Level(rawValue: $0)
            } ?? logLevel
        if let entry = section["mail"] { mail = MailSettings(entry.node, reader) }
        readRoutes(section, reader)
        readServices(section, reader, kinds)
        grace = reader.duration(section, "grace", in: .seconds(1)...(.seconds(30 * 86400)), expected: "90s or 5m, from 1s to 30d")
        let retention = Duration.seconds(3600)...Duration.seconds(3650 * 86400)
        keepSamples = reader.duration(section, "keep_samples", in: retention, expected: "7d, from 1h to 3650d") ?? keepSamples
        keepEvents = reader.duration(section, "keep_events", in: retention, expected: "90d, from 1h to 3650d") ?? keepEvents
    }

    private mutating func readTLS(_ section: Section, _ reader: ConfigurationReader) {
        certificateFile = reader.text(section, "certificate_file")
        keyFile = reader.text(section, "key_file")
        isBehindProxy = reader.value(section, "behind_proxy", expected: "true or false", Bool.init) ?? false
        for (present, absent) in [("certificate_file", "key_file"), ("key_file", "certificate_file")] {
            if let entry = section[present], section[absent] == nil {
                reader.note("\(present) needs \(absent) beside it", at: entry.place)
            }
        }
        if !listen.isLoopback, section["certificate_file"] == nil, section["key_file"] == nil, !isBehindProxy, let entry = section["listen"] {
            reader.note(
                "listen is open to other machines, so passwords and reports would cross the network in clear", at: Place(entry.node),
                help: "Give certificate_file and key_file, or say behind_proxy: true if a proxy in front speaks TLS.")
        }
    }

    private mutating func readRoutes(_ section: Section, _ reader: ConfigurationReader) {
        guard let entry = section["routes"], let names = reader.mapping(entry.node, named: "routes") else { return }
        for route in names.entries {
            routes[route.key] = reader.addresses(names, route.key)
        }
    }

    private mutating func readServices(_ section: Section, _ reader: ConfigurationReader, _ kinds: [CheckKind]) {
        var names: Set<String> = []
        for item in reader.list(section, "services") ?? [] {
            guard let service = ConfiguredService(item.node, named: item.name, reader, kinds) else { continue }
            if !names.insert(service.name).inserted {
                reader.note("\(item.name).name is there twice: \(service.name)", at: Place(item.node.descendant("name")))
            }
            services.append(service)
        }
        let recipients = services.contains { !$0.notify.isEmpty } || !routes.isEmpty
        if mail == nil, recipients, let entry = section["services"] ?? section["routes"], section["mail"] == nil {
            reader.note("there are addresses to notify but no mail: says how mails go out", at: entry.place)
        }
    }

    /// A URL that the paths of pages can be appended to.
    private static func baseURL(_ text: String) -> String? {
        guard let url = webURL(text, schemes: ["http", "https"]) else { return nil }
        let base = url.hasSuffix("/") ? String(url.dropLast()) : url
        return base.drop { $0 != "/" }.dropFirst(2).contains { "/?#@".contains($0) } ? nil : base
    }
}

/// Where to listen.
public struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
    /// A name or an address, without brackets.
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `ADDRESS:PORT`; an IPv6 address stands in brackets.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port) else { return nil }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") }) else { return nil }
        self.init(host: String(host), port: port)
    }

    public var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// How mails go out.
///
/// Configuration keys:
/// - `server` (required): `smtp://HOST:PORT` (TLS begins after STARTTLS; port 587 unless given) or `smtps://HOST:PORT` (TLS from the start;
///   port 465 unless given).
/// - `tls` (`required` or `never`, default `required`): `never` is for a server on this machine only.
/// - `user`, `password_file` (both or neither): the login; the file holds the password on its first line and is closed to others.
/// - `from` (required): the sender's address.
/// - `to` (required): who hears of what no service and no route claims.
/// - `ca_file` (PEM): trust these authorities instead of the system's.
public struct MailSettings: Equatable, Sendable {
    /// `smtp://HOST:PORT` or `smtps://HOST:PORT`
    public var server: String
    /// Whether mail goes out over TLS or not at all.
    public var needsTLS: Bool
    public var user: String?
    public var passwordFile: String?
    public var from: String
    public var to: [String]
    public var caFile: String?
    /// Where each key stands, for faults that show later: a password file that cannot be read.
    public var places: [String: Place]

    init?(_ node: Node, _ reader: ConfigurationReader) {
        let keys = ["server", "tls", "user", "password_file", "from", "to", "ca_file"]
        guard let section = reader.section(node, named: "mail", keys: keys) else { return nil }
        if section["server"] == nil { reader.note("mail.server is missing", at: section.place) }
        let server = reader.value(section, "server", expected: "smtp://HOST:PORT or smtps://HOST:PORT", Self.server)
        needsTLS = reader.value(section, "tls", expected: "required or never") { ["required": true, "never": false][$0] } ?? true
        user = reader.text(section, "user")?.value
        passwordFile = reader.text(section, "password_file")?.value
        caFile = reader.text(section, "ca_file")?.value
        places = Dictionary(section.entries.map { ($0.key, Place($0.node)) }) { first, _ in first }
        for (present, absent) in [("user", "password_file"), ("password_file", "user")] {
            if let entry = section[present], section[absent] == nil { reader.note("mail.\(present) needs mail.\(absent) beside it", at: entry.place) }
        }
        if !needsTLS, let server, !ListenAddress(host: server.host, port: server.port).isLoopback || server.isImplicitTLS,
            let entry = section["tls"]
        {
            reader.note(
                "mail.tls: never is for a server on this machine only", at: Place(entry.node), help: "Remove the line, or use smtp://127.0.0.1:PORT.")
        }
        let sender = reader.requiredText(section, "from")
        if let sender, !isMailAddress(sender.value) { reader.note("mail.from must be an address like rollcall@example.com", at: sender.place) }
        if section["to"] == nil { reader.note("mail.to is missing: somebody must hear of what no service and no route claims", at: section.place) }
        let recipients = reader.addresses(section, "to")
        guard let server, let sender, let recipients else { return nil }
        self.server = "\(server.isImplicitTLS ? "smtps" : "smtp")://\(ListenAddress(host: server.host, port: server.port))"
        from = sender.value
        to = recipients
    }

    private static func server(_ text: String) -> (host: String, port: Int, isImplicitTLS: Bool)? {
        let isImplicitTLS = text.hasPrefix("smtps://")
        guard isImplicitTLS || text.hasPrefix("smtp://") else { return nil }
        let rest = text.dropFirst(isImplicitTLS ? 8 : 7)
        let withPort = rest.hasSuffix("]") || !rest.contains(":") ? "\(rest):\(isImplicitTLS ? 465 : 587)" : String(rest)
        return ListenAddress(withPort).map { ($0.host, $0.port, isImplicitTLS) }
    }
}

/// A logical part of the infrastructure as the configuration describes it.
///
/// Configuration keys:
/// - `name` (required): unique; it is shown everywhere.
/// - `units`: names of units on any host (`puma.service`), or of one host (`web1/puma.service`).
/// - `importance` (warning, error, critical; default error): how much a unit that is down matters.
/// - `notify`: addresses of who hears of its alerts; without it they go to the rule's route, else to `mail.to`.
/// - `runbook`: an https URL that is shown in mails and pages.
/// - `checks`: see `ConfiguredCheck`.
public struct ConfiguredService: Sendable {
    public var name: String
    public var units: [UnitPattern]
    public var importance: Importance
    public var notify: [String]
    public var runbook: String?
    public var checks: [ConfiguredCheck]

    public init(
        name: String, units: [UnitPattern] = [], importance: Importance = .error, notify: [String] = [], runbook: String? = nil,
        checks: [ConfiguredCheck] = []
    ) {
        self.name = name
        self.units = units
        self.importance = importance
        self.notify = notify
        self.runbook = runbook
        self.checks = checks
    }

    init?(_ node: Node, named item: String, _ reader: ConfigurationReader, _ kinds: [CheckKind]) {
        let keys = ["name", "units", "importance", "notify", "runbook", "checks"]
        guard let section = reader.section(node, named: item, keys: keys) else { return nil }
        let name = reader.requiredText(section, "name")
        if let name, name.value.hasPrefix(ServicePlan.hostPrefix) || name.value.utf8.count > 200 {
            reader.note("\(item).name must have at most 200 bytes and not begin with \"\(ServicePlan.hostPrefix)\"", at: name.place)
        }
        units = []
        for unit in reader.texts(section, "units") ?? [] {
            if let pattern = UnitPattern(unit.value) {
                units.append(pattern)
            } else {
                reader.note("\(item).units must be names like puma.service or web1/puma.service, not \(unit.value)", at: unit.place)
            }
        }
        importance = reader.importance(section)
        notify = reader.addresses(section, "notify") ?? []
        runbook = reader.value(section, "runbook", expected: "an https URL") { webURL($0, schemes: ["https"]) }
        checks = []
        for check in reader.list(section, "checks") ?? [] {
            guard let name, let configured = ConfiguredCheck(check.node, named: check.name, service: name.value, reader, kinds) else { continue }
            if checks.contains(where: { $0.name == configured.name }) {
                reader.note("\(check.name).name is there twice in this service: \(configured.name)", at: Place(check.node.descendant("name")))
            }
            checks.append(configured)
        }
        guard let name else { return nil }
        self.name = name.value
    }
}

/// Which units belong to a service.
public struct UnitPattern: Equatable, Sendable {
    /// `nil` for any.
    public var host: String?
    public var unit: String

    public init(host: String? = nil, unit: String) {
        self.host = host
        self.unit = unit
    }

    /// Reads `UNIT` or `HOST/UNIT`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let unit = parts.last, !unit.isEmpty, parts.count == 1 || !parts[0].isEmpty, !text.contains(" ") else { return nil }
        self.init(host: parts.count == 2 ? String(parts[0]) : nil, unit: String(unit))
    }

    /// `puma` means `puma.service` too, as it does for systemctl.
    public func matches(unit name: String, host: String) -> Bool {
        (self.host == nil || self.host == host) && (unit == name || "\(unit).service" == name)
    }
}

/// A check of a service.
///
/// Configuration keys:
/// - `name` (required): unique in its service.
/// - one word for its kind, with the kind's settings below it: `http:`.
/// - `every` (time, default 60s, at least 1s): how often it runs.
/// - `deadline` (time, default 10s): how long one run may take.
/// - `failures` (default 1): how many runs in a row must fail before it is a problem.
/// - `importance` (warning, error, critical; default error).
public struct ConfiguredCheck: Sendable {
    public var name: String
    public var service: String
    public var importance: Importance
    /// What runs; its name has the service in front, because names are unique only in their service.
    public var check: Check

    public init(name: String, service: String, importance: Importance, check: Check) {
        self.name = name
        self.service = service
        self.importance = importance
        self.check = check
    }

    init?(_ node: Node, named item: String, service: String, _ reader: ConfigurationReader, _ kinds: [CheckKind]) {
        let keys = ["name", "every", "deadline", "failures", "importance"]
        let words = kinds.map(\.word)
        guard let section = reader.section(node, named: item, keys: keys + words) else { return nil }
        let name = reader.requiredText(section, "name")
        let every = reader.duration(section, "every", in: .seconds(1)...(.seconds(86400)), expected: "60s or 5m, from 1s to 1d") ?? .seconds(60)
        let deadline =
            reader.duration(section, "deadline", in: .milliseconds(100)...(.seconds(600)), expected: "10s, from 100ms to 10m") ?? .seconds(10)
        let failures = reader.value(section, "failures", expected: "a number from 1 to 1000") { text in
            Int(text).flatMap { (1...1000).contains($0) ? $0 : nil }
        }
        importance = reader.importance(section)
        let chosen = section.entries.filter { words.contains($0.key) }
        guard let entry = chosen.first, chosen.count == 1 else {
            reader.note(
                chosen.isEmpty ? "\(item) says no kind of check" : "\(item) says several kinds of checks", at: section.place,
                help: "Exactly one of: \(words.joined(separator: ", ")).")
            return nil
        }
        guard let probe = Self.probe(entry, item: item, reader, kinds), let name else { return nil }
        self.name = name.value
        self.service = service
        check = Check(name: "\(service)/\(name.value)", every: every, deadline: deadline, failuresBeforeFailing: failures ?? 1, probe: probe)
    }

    private static func probe(_ entry: Section.Entry, item: String, _ reader: ConfigurationReader, _ kinds: [CheckKind]) -> (any Probe)? {
        guard let kind = kinds.first(where: { $0.word == entry.key }) else { return nil }
        guard let settings = reader.mapping(entry.node, named: "\(item).\(entry.key)") else { return nil }
        var values: [String: Setting] = [:]
        for setting in settings.entries { values[setting.key] = Setting(setting.node) }
        switch kind.makeProbe(values) {
        case .success(let probe): return probe
        case .failure(let errors):
            for error in errors.all {
                let place =
                    error.key.isEmpty ? entry.place : settings[error.key].map(\.place) ?? Place(entry.node.descendant(error.key))
                reader.note(error.key.isEmpty ? "\(settings.name) \(error.problem)" : "\(settings.name).\(error.description)", at: place)
            }
            return nil
        }
    }
}

extension ConfigurationReader {
    fileprivate func importance(_ section: Section) -> Importance {
        value(section, "importance", expected: "warning, error or critical", Importance.init) ?? .error
    }

    fileprivate func addresses(_ section: Section, _ key: String) -> [String]? {
        guard let texts = texts(section, key) else { return nil }
        if texts.isEmpty, let entry = section[key] { note("\(section.full(key)) is an empty list", at: entry.place) }
        for text in texts where !isMailAddress(text.value) {
            note("\(section.full(key)) must hold addresses like ops@example.com, not \(text.value)", at: text.place)
        }
        return texts.map(\.value)
    }
}

/// `NAME@DOMAIN` in ASCII without spaces and brackets: what every mail server takes.
private func isMailAddress(_ text: String) -> Bool {
    let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    return parts.count == 2 && !parts[0].isEmpty && !parts[1].isEmpty && text.utf8.count <= 254
        && text.utf8.allSatisfy { $0 > 32 && $0 < 127 && !"<>,;:\"()[]\\".utf8.contains($0) }
}

/// The text if it is an absolute URL with a host and nothing unprintable.
private func webURL(_ text: String, schemes: [String]) -> String? {
    guard let scheme = schemes.first(where: { text.hasPrefix("\($0)://") }) else { return nil }
    let rest = text.dropFirst(scheme.count + 3)
    guard let first = rest.first, first != "/", first != "?", first != "#" else { return nil }
    guard text.utf8.allSatisfy({ $0 > 32 && $0 < 127 && !"<>\"`{}|\\^".utf8.contains($0) }) else { return nil }
    return text
}
