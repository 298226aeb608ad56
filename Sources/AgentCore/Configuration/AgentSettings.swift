// What `rollcall.conf` may set.

public import Logging
import Platform
public import RuleLanguage

/// The agent's settings. Keys of `rollcall.conf`, each written as `set KEY VALUE`:
/// - `cycle_time` (seconds, 1 to 3600, default 15): how often metrics are sampled and rules are judged.
/// - `log_level` (`trace`, `debug`, `info`, `notice`, `warning` or `error`, default `info`): what is logged. `warn` and `verbose` are understood.
/// - `aggregator` (`https://HOST[:PORT][/PATH]`): where reports go; `http://` on this host alone. Without it nobody hears of alerts.
/// - `aggregator_token_file` (path, needed with `aggregator`): the file with this host's token.
/// - `aggregator_ca_file` (path): certificates to trust instead of the system's.
/// - `state_directory` (path, default `$STATE_DIRECTORY`, else `/var/lib/rollcall-agent`): where events wait for the aggregator.
/// - `hostname` (default: the host's own): what reports call this host.
/// - `listen` (`ADDRESS:PORT` or `off`, default `127.0.0.1:4677`): where `GET /about/deploy/UNIT` answers.
/// - `listen_user` and `listen_password_file` (both or neither): who may ask there; without them nobody is answered.
/// - `listen_certificate_file` and `listen_key_file` (both or neither; needed where `listen` is not a loopback address): its TLS.
public struct AgentSettings: Equatable, Sendable {
    /// What holds where the file says nothing, as far as it depends on the host.
    public struct Defaults: Sendable {
        public var hostname: String
        public var stateDirectory: String

        /// - Parameter stateDirectory: `$STATE_DIRECTORY`, as systemd sets it; `nil` where nobody did.
        public init(hostname: String, stateDirectory: String?) {
            self.hostname = hostname
            self.stateDirectory = stateDirectory ?? "/var/lib/rollcall-agent"
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

    public var cycleTime = Duration.seconds(15)
    public var logLevel = Logger.Level.info
    /// `nil`: reports go nowhere.
    public var aggregator: Aggregator?
    public var stateDirectory: String
    public var hostname: String
    /// `nil`: off.
    public var endpoint: Endpoint?

    public init(_ defaults: Defaults) {
        hostname = defaults.hostname
        stateDirectory = defaults.stateDirectory
    }
}

extension AgentSettings {
    /// Every key that exists, in the order in which they are documented.
    public static let keys = [
        "cycle_time", "log_level", "aggregator", "aggregator_token_file", "aggregator_ca_file", "state_directory", "hostname", "listen",
        "listen_user", "listen_password_file", "listen_certificate_file", "listen_key_file",
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
            let meant = nearest(to: setting.key, among: AgentSettings.keys)
            fault(
                "there is no setting `\(setting.key)`", at: setting.place,
                help: meant.map { "did you mean `\($0)`?" } ?? "the settings are " + AgentSettings.keys.joined(separator: ", "))
        }
        for route in settingsFile.routes {
            fault(
                "the agent does not send alerts itself", at: route.place,
                help: "alerts go through the aggregator: `set aggregator https://HOST`, and leave this out")
        }
        general()
        aggregator()
        endpoint()
    }

    private mutating func general() {
        if let cycleTime = settingsFile.setting("cycle_time") {
            if let seconds = Int64(cycleTime.value), (1...3600).contains(seconds) {
                settings.cycleTime = .seconds(seconds)
            } else {
                fault("`\(cycleTime.value)` is not a number of seconds from 1 to 3600", at: cycleTime.valuePlace)
            }
        }
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
    }

    private mutating func aggregator() {
        let tokenFile = path("aggregator_token_file")
        let certificateAuthorityFile = path("aggregator_ca_file")
        guard let setting = settingsFile.setting("aggregator") else {
            if let lonely = settingsFile.setting("aggregator_token_file") ?? settingsFile.setting("aggregator_ca_file") {
                fault("`\(lonely.key)` without `aggregator`", at: lonely.place, help: "say where reports go: `set aggregator https://HOST`")
            } else {
                warn("there is no `aggregator`: nobody hears of alerts", at: Place(line: 1, column: 1), help: "`set aggregator https://HOST`")
            }
            return
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

    private mutating func endpoint() {
        let user = settingsFile.setting("listen_user")
        let passwordFile = path("listen_password_file")
        let certificateFile = path("listen_certificate_file")
        let keyFile = path("listen_key_file")
        together("listen_user", "listen_password_file")
        together("listen_certificate_file", "listen_key_file")
        if let user, user.value.isEmpty || user.value.contains(":") {
            fault("a user has a name, and no colon in it", at: user.valuePlace, help: "HTTP puts a colon between user and password")
        }

        let listen = settingsFile.setting("listen")
        if listen?.value == "off" { return }
        var address = ListenAddress(address: "127.0.0.1", port: 4677)
        if let listen {
            do {
                address = try ListenAddress(parsing: listen.value)
            } catch {
                return fault(error.message, at: listen.valuePlace, help: error.help)
            }
            if !address.isLoopback, settingsFile.setting("listen_certificate_file") == nil, settingsFile.setting("listen_key_file") == nil {
                fault(
                    "`\(listen.value)` is not a loopback address: the password would travel in clear", at: listen.valuePlace,
                    help: "set `listen_certificate_file` and `listen_key_file`, or listen on 127.0.0.1")
            }
            if user == nil, settingsFile.setting("listen_password_file") == nil {
                warn("nobody is answered there without `listen_user` and `listen_password_file`", at: listen.place, help: nil)
            }
        }
        guard let user, let passwordFile else { return }
        let certificate = certificateFile.flatMap { file in keyFile.map { AgentSettings.Endpoint.Certificate(file: file, keyFile: $0) } }
        settings.endpoint = .init(address: address, user: user.value, passwordFile: passwordFile, certificate: certificate)
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
