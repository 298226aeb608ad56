// The agent's own ways to reach people: which there are, and what each wants to know.

import AgentAPI
import Platform
import RuleLanguage

/// A channel of `send alerts [to ROUTE] via CHANNEL with ...`:
/// - `email`: `smtp_server` and `to_email` (required), `username` with `password_file` or `password`, `from_email`, `tls_port` (default 587), `ca_file`.
/// - `gmail`: `to_email` and `username` with `password_file` or `password` (required), `from_email`.
/// - `slack`: `url_file` (path) or `url` (required), `icon_emoji`, `ca_file`.
/// - `webhook`: `url` (required), `secret_file` (path), `ca_file`.
/// - `pagerduty`: `routing_key_file` (path) or `routing_key` (required).
/// - `null`: says nothing to nobody.
///
/// A `..._file` is a file with mode 0600 and the secret in its first line; but `ca_file` holds the authorities to trust instead of the
/// system's, and whoever the runner runs as has to be able to read it.
enum AlertChannelKind {
    private struct Kind {
        var required: [String]
        var optional: [String] = []
        /// Each in a file, or in clear.
        var requiredSecrets: [String] = []
        var optionalSecrets: [String] = []
        /// Secrets that are in a file only.
        var secretFiles: [String] = []

        var keys: [String] {
            required + (requiredSecrets + optionalSecrets).flatMap { ["\($0)_file", $0] } + secretFiles + optional
        }
    }

    private static let kinds: [(name: String, kind: Kind)] = [
        (
            "email",
            Kind(required: ["smtp_server", "to_email"], optional: ["username", "from_email", "tls_port", "ca_file"], optionalSecrets: ["password"])
        ),
        ("gmail", Kind(required: ["to_email", "username"], optional: ["from_email"], requiredSecrets: ["password"])),
        ("slack", Kind(required: [], optional: ["icon_emoji", "ca_file"], requiredSecrets: ["url"])),
        ("webhook", Kind(required: ["url"], optional: ["ca_file"], secretFiles: ["secret_file"])),
        ("pagerduty", Kind(required: [], requiredSecrets: ["routing_key"])),
        ("null", Kind(required: [])),
    ]

    static func read(_ routes: [AlertRoute], file: String) -> (channels: [AlertChannel], findings: Findings) {
        var reader = ParameterReader(file: file)
        var channels: [AlertChannel] = []
        for route in routes {
            guard let kind = kinds.first(where: { $0.name == route.channel })?.kind else {
                let names = kinds.map(\.name)
                let help = ["hipchat", "campfire", "flowdock"].contains(route.channel) ? "it is no more; there are " : "there are "
                reader.fault(
                    "there is no channel `\(route.channel)`", at: route.place,
                    help: nearest(to: route.channel, among: names).map { "did you mean `\($0)`?" } ?? help + names.joined(separator: ", "))
                continue
            }
            let parameters = route.channel == "null" ? [] : route.parameters
            check(parameters, of: route, kind, &reader)
            channels.append(
                AlertChannel(
                    route: route.name, kind: route.channel, parameters: Dictionary(parameters.map { ($0.key, $0.value) }) { first, _ in first }))
        }
        return (channels, reader.findings)
    }

    private static func check(_ parameters: [Parameter], of route: AlertRoute, _ kind: Kind, _ reader: inout ParameterReader) {
        let given = Set(parameters.map(\.key))
        for key in kind.required where !given.contains(key) {
            reader.fault("`\(route.channel)` without `\(key)`", at: route.place, help: "known are " + kind.keys.joined(separator: ", "))
        }
        for key in kind.requiredSecrets where !given.contains(key) && !given.contains("\(key)_file") {
            reader.fault("`\(route.channel)` without `\(key)_file`", at: route.place, help: "the path of a file that holds it, with mode 0600")
        }
        for parameter in parameters {
            switch parameter.key {
            case let key where !kind.keys.contains(key): reader.unknown(parameter, known: kind.keys)
            case "ca_file": _ = reader.path(parameter)
            case let key where key.hasSuffix("_file"):
                _ = reader.secretFile(parameter)
                let plain = String(key.dropLast(5))
                if given.contains(plain), kind.keys.contains(plain) {
                    reader.fault("`\(key)` and `\(plain)`", at: parameter.place, help: "each of them says it: leave one out")
                }
            case let key where parameter.value.isEmpty: reader.fault("`\(key)` without a value", at: parameter.place, help: nil)
            case let key where (kind.requiredSecrets + kind.optionalSecrets).contains(key):
                reader.clearSecret(parameter)
                if key == "url" { checkAddress(parameter, isSecret: true, &reader) }
            case "url": checkAddress(parameter, isSecret: false, &reader)
            case "tls_port": reader.port(parameter)
            case "to_email", "from_email": checkMail(parameter, &reader)
            case "smtp_server":
                if (try? TargetAddress(parsing: parameter.value)) == nil, (try? TargetAddress(parsing: parameter.value + ":25")) == nil {
                    reader.fault("`\(parameter.value)` is not a host", at: parameter.place, help: "a name or an address, such as smtp.example.com")
                }
            default: break
            }
        }
        if route.channel == "email", given.contains("password") || given.contains("password_file"), !given.contains("username") {
            reader.fault("a password without `username`", at: route.place, help: "say whose it is")
        }
        if route.channel == "email", given.contains("username"), !given.contains("password"), !given.contains("password_file") {
            reader.fault("`username` without `password_file`", at: route.place, help: "the path of a file that holds the password, with mode 0600")
        }
    }

    private static func checkAddress(_ parameter: Parameter, isSecret: Bool, _ reader: inout ParameterReader) {
        // Whoever knows the address of a Slack channel may post there: it is not repeated.
        let shown = isSecret ? "`url`" : "`\(parameter.value)`"
        let text = parameter.value.lowercased()
        let scheme = ["https://", "http://"].first { text.hasPrefix($0) }
        let isPlain = parameter.value.utf8.allSatisfy { $0 > 32 && $0 < 127 }
        guard let scheme, isPlain, parameter.value.utf8.count > scheme.utf8.count else {
            return reader.fault("\(shown) is not an address that begins with https:// or http://", at: parameter.place, help: nil)
        }
        if isSecret, scheme == "http://" { reader.fault("`url` would travel in clear", at: parameter.place, help: "write https://") }
    }

    /// One or several, with commas or spaces between.
    private static func checkMail(_ parameter: Parameter, _ reader: inout ParameterReader) {
        for address in parameter.value.split(whereSeparator: { $0 == "," || $0 == " " }) {
            let parts = address.split(separator: "@", omittingEmptySubsequences: false)
            let isAddress =
                parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && address.utf8.allSatisfy { $0 > 32 && $0 != 127 && $0 != 60 && $0 != 62 }
            if !isAddress { reader.fault("`\(address)` is not a mail address", at: parameter.place, help: "such as ops@example.com") }
        }
    }
}
