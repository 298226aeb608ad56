// What `rollcall.conf` may set.

public import AgentAPI
public import Logging
import Platform
public import RuleLanguage

/// The agent's settings. Keys of `rollcall.conf`, each written as `set KEY VALUE`:
/// - `cycle_time` (seconds, 1 to 3600, default 15): how often metrics are sampled and rules are judged.
/// - `log_level` (`trace`, `debug`, `info`, `notice`, `warning` or `error`, default `info`): what is logged. `warn` and `verbose` are understood.
/// - `aggregator` (`https://HOST[:PORT][/PATH]`): where reports go; `http://` on this host alone. Without it, the agent's own
///   routes are all there is.
/// - `aggregator_token_file` (path, needed with `aggregator`): the file with this host's token.
/// - `aggregator_ca_file` (path): certificates to trust instead of the system's.
/// - `state_directory` (path, default `$STATE_DIRECTORY`, else `/var/lib/rollcall-agent`): where events wait for the aggregator.
/// - `aggregator_commands` (`"silence, deploy, restart puma, reload *"`, default none): what the aggregator may order besides asking.
/// - `alert_when_unreachable` (seconds, 10 to 86400, default 300): how long the aggregator may be out of reach before the agent's own routes take
///   over; for agents that have both.
/// - `hostname` (default: the host's own): what reports call this host.
/// - `deploy_length` (seconds, 1 to 86400, default 300): when a deploy window ends that does not say.
/// - `socket` (path, default `agent.sock` in `$RUNTIME_DIRECTORY`, else in `/run/rollcall-agent`): where `rollcall` asks.
/// - `socket_group` (default: the agent's own): who may ask there, besides root and the agent's user.
/// - `statsd_location` and `graphite_location` (`HOST:PORT`): where every cycle's numbers are sent.
/// - `metrics_listen` (`ADDRESS:PORT` or `off`, default `off`): where Prometheus reads `GET /metrics`; needs the certificate of `listen` where it is
///   not a loopback address.
/// - `pss_budget` (percent of one core, 0.1 to 100, or 0 for none, default 1): how much CPU time `memory:pss` may cost.
/// - `runner_user` (default `nobody`): who asks daemons and sends alerts where the agent runs as root; elsewhere it is the agent's own user.
/// - `listen` (`ADDRESS:PORT` or `off`, default `127.0.0.1:4677`): where deploys are asked about: `GET /about/deploy/UNIT` and the rest. On
///   the host itself `deploy.sock` beside `socket` answers the same.
/// - `listen_user` and `listen_password_file` (both or neither): who may ask there; without them nobody is answered.
/// - `listen_certificate_file` and `listen_key_file` (both or neither; needed where `listen` is not a loopback address): its TLS.
/// - `expose_port` (port, 0 for off): Inspeqtor's word for `listen 127.0.0.1:PORT`.
///
/// `send alerts [to ROUTE] via CHANNEL with ...` are the agent's own ways to reach people; see `AlertChannelKind`.
public struct AgentSettings: Equatable, Sendable {
    /// What holds where the file says nothing, as far as it depends on the host.
    public struct Defaults: Sendable {
        public var hostname: String
        public var stateDirectory: String
        public var runtimeDirectory: String

        /// - Parameters:
        ///   - stateDirectory: `$STATE_DIRECTORY`, as systemd sets it; `nil` where nobody did.
        ///   - runtimeDirectory: `$RUNTIME_DIRECTORY`.
        public init(hostname: String, stateDirectory: String?, runtimeDirectory: String? = nil) {
            self.hostname = hostname
            self.stateDirectory = stateDirectory ?? "/var/lib/rollcall-agent"
            self.runtimeDirectory = runtimeDirectory ?? "/run/rollcall-agent"
        }
    }

    public struct Aggregator: Equatable, Sendable {
        public var address: AggregatorAddress
        public var tokenFile: String
        public var certificateAuthorityFile: String?

        public init(address: AggregatorAddress, tokenFile: String, certificateAuthorityFile: String? = nil) {
            self.address = address
            self.tokenFile = tokenFile
            self.certificateAuthorityFile = certificateAuthorityFile
        }
    }

    /// The endpoint that answers which deploy token a unit carries.
    public struct Endpoint: Equatable, Sendable {
        public struct Certificate: Equatable, Sendable {
            public var file: String
            public var keyFile: String

            public init(file: String, keyFile: String) {
                self.file = file
                self.keyFile = keyFile
            }
        }

        public var address: ListenAddress
        public var user: String
        public var passwordFile: String
        public var certificate: Certificate?

        public init(address: ListenAddress, user: String, passwordFile: String, certificate: Certificate? = nil) {
            self.address = address
            self.user = user
            self.passwordFile = passwordFile
            self.certificate = certificate
        }
    }

    public struct MetricsEndpoint: Equatable, Sendable {
        public var address: ListenAddress
        public var certificate: Endpoint.Certificate?

        public init(address: ListenAddress, certificate: Endpoint.Certificate? = nil) {
            self.address = address
            self.certificate = certificate
        }
    }

    public var cycleTime = Duration.seconds(15)
    public var logLevel = Logger.Level.info
    /// `nil`: reports go nowhere.
    public var aggregator: Aggregator?
    /// What the aggregator may order.
    public var permissions: [AggregatorPermission] = []
    public var alertWhenUnreachable = Duration.seconds(300)
    public var stateDirectory: String
    public var hostname: String
    public var deployLength = Duration.seconds(300)
    public var socket: String
    public var socketGroup: String?
    public var statsd: TargetAddress?
    public var graphite: TargetAddress?
    /// `nil`: off.
    public var endpoint: Endpoint?
    /// For Prometheus; `nil`: off.
    public var metricsEndpoint: MetricsEndpoint?
    /// In percent of one core; `nil`: it is not measured.
    public var proportionalMemoryBudget: Double? = 1
    public var runnerUser: String?
    /// The agent's own ways to reach people, in written order. Secrets in files are still to be read.
    public var channels: [AlertChannel] = []

    public init(_ defaults: Defaults) {
        hostname = defaults.hostname
        stateDirectory = defaults.stateDirectory
        socket = "\(defaults.runtimeDirectory)/agent.sock"
    }
}

extension AgentSettings {
    /// Every key that exists, in the order in which they are documented.
    public static let keys = [
        "cycle_time", "log_level", "aggregator", "aggregator_token_file", "aggregator_ca_file", "aggregator_commands", "alert_when_unreachable",
        "state_directory", "hostname", "deploy_length", "socket", "socket_group", "statsd_location", "graphite_location", "metrics_listen",
        "pss_budget", "runner_user", "listen", "listen_user", "listen_password_file", "listen_certificate_file", "listen_key_file", "expose_port",
    ]

    /// The settings of a file, and all that is wrong with them; with faults the settings are what was understood.
    public static func read(_ settingsFile: SettingsFile, file: String, defaults: Defaults) -> (settings: AgentSettings, findings: Findings) {
        var reader = SettingsReader(file: file, settingsFile: settingsFile, settings: AgentSettings(defaults))
        reader.read()
        return (reader.settings, reader.findings)
    }
}

private struct SettingsReader {
    let file: String
    let settingsFile: SettingsFile
    var settings: AgentSettings
    var findings = Findings()

    mutating func read() {
        for setting in settingsFile.settings where !AgentSettings.keys.contains(setting.key) {
            // An application's path is nothing that a database should be asked for.
            if DeployQuestion.keys.contains(setting.key) {
                fault(
                    "`\(setting.key)` belongs to the service that is asked", at: setting.place,
                    help: "write it into that service's file: `check service NAME with deploy_path /about/deploy`")
                continue
            }
            let meant = nearest(to: setting.key, among: AgentSettings.keys)
            fault(
                "there is no setting `\(setting.key)`", at: setting.place,
                help: meant.map { "did you mean `\($0)`?" } ?? "the settings are " + AgentSettings.keys.joined(separator: ", "))
        }
        let channels = AlertChannelKind.read(settingsFile.routes, file: file)
        settings.channels = channels.channels
        findings.faults += channels.findings.faults
        findings.warnings += channels.findings.warnings
        general()
        aggregator()
        endpoint()
        metricsEndpoint()
    }

    private mutating func general() {
        if let seconds = seconds("cycle_time", 1...3600) { settings.cycleTime = seconds }
        if let seconds = seconds("deploy_length", 1...86400) { settings.deployLength = seconds }
        if let level = settingsFile.setting("log_level") {
            switch level.value {
            case "warn": settings.logLevel = .warning
            case "verbose": settings.logLevel = .trace
            case "trace", "debug", "info", "notice", "warning", "error": settings.logLevel = Logger.Level(rawValue: level.value) ?? .info
            default:
                fault(
                    "`\(level.value)` is not a log level", at: level.valuePlace, help: "the levels are trace, debug, info, notice, warning and error")
            }
        }
        if let path = path("state_directory") { settings.stateDirectory = path }
        if let name = settingsFile.setting("hostname") {
            if name.value.isEmpty || name.value.utf8.count > 253 || name.value.utf8.contains(where: { $0 <= 32 || $0 == 127 }) {
                fault("a hostname has 1 to 253 characters and no spaces", at: name.valuePlace)
            } else {
                settings.hostname = name.value
            }
        }
        if let path = path("socket") {
            // As much as a socket's address holds.
            if path.utf8.count > 107, let setting = settingsFile.setting("socket") {
                fault("the path of a socket has at most 107 bytes", at: setting.valuePlace)
            }
            settings.socket = path
        }
        settings.socketGroup = account("socket_group", "group")
        settings.runnerUser = account("runner_user", "user")
        settings.statsd = target("statsd_location")
        settings.graphite = target("graphite_location")
        if let budget = settingsFile.setting("pss_budget") {
            let text = budget.value.hasSuffix("%") ? String(budget.value.dropLast()) : budget.value
            switch Double(text) {
            case 0: settings.proportionalMemoryBudget = nil
            case let percent? where (0.1...100).contains(percent): settings.proportionalMemoryBudget = percent
            default: fault("`\(budget.value)` is not a percentage from 0.1 to 100, and not 0", at: budget.valuePlace)
            }
        }
    }

    /// A user or a group.
    private mutating func account(_ key: String, _ what: String) -> String? {
        guard let setting = settingsFile.setting(key) else { return nil }
        let isName = setting.value.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0 | 0x20) || [45, 46, 95].contains($0) }
        guard isName, !setting.value.isEmpty, setting.value.utf8.count <= 32, !setting.value.hasPrefix("-") else {
            fault("`\(setting.value)` is not the name of a \(what)", at: setting.valuePlace)
            return nil
        }
        return setting.value
    }

    private mutating func target(_ key: String) -> TargetAddress? {
        guard let setting = settingsFile.setting(key) else { return nil }
        do {
            return try TargetAddress(parsing: setting.value)
        } catch {
            fault(error.message, at: setting.valuePlace, help: error.help)
            return nil
        }
    }

    private mutating func seconds(_ key: String, _ range: ClosedRange<Int64>) -> Duration? {
        guard let setting = settingsFile.setting(key) else { return nil }
        guard let seconds = Int64(setting.value), range.contains(seconds) else {
            fault("`\(setting.value)` is not a number of seconds from \(range.lowerBound) to \(range.upperBound)", at: setting.valuePlace)
            return nil
        }
        return .seconds(seconds)
    }

    private mutating func aggregator() {
        let tokenFile = path("aggregator_token_file")
        let certificateAuthorityFile = path("aggregator_ca_file")
        permissions()
        let patience = seconds("alert_when_unreachable", 10...86400)
        if let patience { settings.alertWhenUnreachable = patience }
        guard let setting = settingsFile.setting("aggregator") else {
            let keys = ["aggregator_token_file", "aggregator_ca_file", "aggregator_commands", "alert_when_unreachable"]
            if let lonely = keys.lazy.compactMap(settingsFile.setting).first {
                fault("`\(lonely.key)` without `aggregator`", at: lonely.place, help: "say where reports go: `set aggregator https://HOST`")
            } else if settingsFile.routes.isEmpty {
                warn(
                    "there is no `aggregator`: nobody hears of alerts", at: .wholeFile,
                    help: "`set aggregator https://HOST`, or `send alerts via ...`")
            }
            return
        }
        if let lonely = settingsFile.setting("alert_when_unreachable"), settingsFile.routes.isEmpty {
            warn("without `send alerts` there is no route that could take over", at: lonely.place, help: nil)
        }
        if settingsFile.setting("aggregator_token_file") == nil {
            fault(
                "`aggregator` without `aggregator_token_file`", at: setting.place,
                help: "`set aggregator_token_file PATH`: the file with this host's token")
        }
        do {
            let address = try AggregatorAddress(parsing: setting.value)
            if let tokenFile {
                settings.aggregator = .init(address: address, tokenFile: tokenFile, certificateAuthorityFile: certificateAuthorityFile)
            }
        } catch {
            fault(error.message, at: setting.valuePlace, help: error.help)
        }
    }

    private mutating func permissions() {
        guard let setting = settingsFile.setting("aggregator_commands") else { return }
        for text in setting.value.split(separator: ",", omittingEmptySubsequences: false) {
            do {
                settings.permissions.append(try AggregatorPermission(parsing: String(text)))
            } catch {
                fault(error.message, at: setting.valuePlace, help: error.help)
            }
        }
    }

    /// The address to listen on, if it may be listened on; `nil` also for `off`.
    private mutating func listenAddress(_ setting: Setting, because: String) -> ListenAddress? {
        if setting.value == "off" { return nil }
        do {
            let address = try ListenAddress(parsing: setting.value)
            if !address.isLoopback, settingsFile.setting("listen_certificate_file") == nil, settingsFile.setting("listen_key_file") == nil {
                fault(
                    "`\(setting.value)` is not a loopback address: \(because)", at: setting.valuePlace,
                    help: "set `listen_certificate_file` and `listen_key_file`, or listen on 127.0.0.1")
            }
            return address
        } catch {
            fault(error.message, at: setting.valuePlace, help: error.help)
            return nil
        }
    }

    private var certificate: AgentSettings.Endpoint.Certificate? {
        guard let file = settingsFile.setting("listen_certificate_file"), let key = settingsFile.setting("listen_key_file") else { return nil }
        return .init(file: file.value, keyFile: key.value)
    }

    private mutating func metricsEndpoint() {
        guard let setting = settingsFile.setting("metrics_listen") else { return }
        guard let address = listenAddress(setting, because: "what is measured would travel in clear") else { return }
        if settings.endpoint?.address == address { fault("`listen` and `metrics_listen` are one address", at: setting.valuePlace) }
        settings.metricsEndpoint = .init(address: address, certificate: certificate)
    }

    private mutating func endpoint() {
        let user = settingsFile.setting("listen_user")
        let passwordFile = path("listen_password_file")
        _ = path("listen_certificate_file")
        _ = path("listen_key_file")
        together("listen_user", "listen_password_file")
        together("listen_certificate_file", "listen_key_file")
        if let user, user.value.isEmpty || user.value.contains(":") {
            fault("a user has a name, and no colon in it", at: user.valuePlace, help: "HTTP puts a colon between user and password")
        }

        guard let address = endpointAddress() else { return }
        if let asked = settingsFile.setting("listen") ?? settingsFile.setting("expose_port"), user == nil,
            settingsFile.setting("listen_password_file") == nil
        {
            warn("nobody is answered there without `listen_user` and `listen_password_file`", at: asked.place, help: nil)
        }
        guard let user, let passwordFile else { return }
        settings.endpoint = .init(address: address, user: user.value, passwordFile: passwordFile, certificate: certificate)
    }

    /// `nil`: off, or not understood.
    private mutating func endpointAddress() -> ListenAddress? {
        if let setting = settingsFile.setting("expose_port") {
            if settingsFile.setting("listen") != nil {
                fault("`listen` and `expose_port`", at: setting.place, help: "leave `expose_port` out")
            } else if setting.value == "0" {
                return nil
            } else if let port = portNumber(setting.value) {
                warn(
                    "`expose_port` is Inspeqtor's: the agent listens on 127.0.0.1:\(port)", at: setting.place, help: "`set listen 127.0.0.1:\(port)`")
                return ListenAddress(address: "127.0.0.1", port: port)
            } else {
                fault("`\(setting.value)` is not a port", at: setting.valuePlace, help: "a port is a number from 1 to 65535; 0 is off")
            }
            return nil
        }
        guard let listen = settingsFile.setting("listen") else { return ListenAddress(address: "127.0.0.1", port: 4677) }
        return listenAddress(listen, because: "the password would travel in clear")
    }

    /// Both keys or neither.
    private mutating func together(_ a: String, _ b: String) {
        switch (settingsFile.setting(a), settingsFile.setting(b)) {
        case (let setting?, nil): fault("`\(a)` without `\(b)`", at: setting.place, help: "set both or neither")
        case (nil, let setting?): fault("`\(b)` without `\(a)`", at: setting.place, help: "set both or neither")
        default: break
        }
    }

    private mutating func path(_ key: String) -> String? {
        guard let setting = settingsFile.setting(key) else { return nil }
        guard setting.value.hasPrefix("/") else {
            fault("`\(key)` is not an absolute path", at: setting.valuePlace, help: "begin it with a slash")
            return nil
        }
        return setting.value
    }

    private mutating func fault(_ message: String, at place: Place, help: String? = nil) {
        findings.faults.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    private mutating func warn(_ message: String, at place: Place, help: String?) {
        findings.warnings.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }
}
