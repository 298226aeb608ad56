// How daemons are asked for their numbers, as far as a rule file says it.

import RuleLanguage

/// Which parameters after `with` each family of daemons takes:
/// - `hostname` and `port`, or `socket` (path): where it listens; the defaults are the daemon's usual ones, on this host.
/// - `url`, or `endpoint` (also called `path`) at `hostname` and `port`: what is fetched from those that speak HTTP.
/// - `username` and `password_file` (path of a file with mode 0600): who asks. `password` is understood too.
/// - `database`: which one of PostgreSQL.
/// - `ca_file` (path): certificates to trust instead of the system's.
enum DaemonParameters {
    static let all = daemonFamilies.reduce(into: Set<String>()) { $0.formUnion($1.parameters) }

    static func known(of family: String) -> [String] { daemonFamilies.first { $0.family == family }?.parameters ?? [] }

    /// - Parameter families: those that the file's rules are about.
    static func read(_ parameters: [Parameter], of families: [String], _ reader: inout ParameterReader) -> [String: String] {
        var values: [String: String] = [:]
        for parameter in parameters {
            let takers = families.filter { known(of: $0).contains(parameter.key) }
            guard !families.isEmpty else {
                reader.warn("`\(parameter.key)` has no effect: no rule here asks a daemon for numbers", at: parameter.place)
                continue
            }
            guard !takers.isEmpty else {
                let understood = families.reduce(into: Set<String>()) { $0.formUnion(known(of: $1)) }
                reader.fault(
                    "\(families.joined(separator: " and ")) \(families.count == 1 ? "takes" : "take") no `\(parameter.key)`", at: parameter.place,
                    help: "known are " + understood.sorted().joined(separator: ", "))
                continue
            }
            switch parameter.key {
            case "port": reader.port(parameter)
            case "socket", "ca_file": _ = reader.path(parameter)
            case "password_file": _ = reader.secretFile(parameter)
            case "password": reader.clearSecret(parameter)
            case "url":
                if !["http://", "https://"].contains(where: { parameter.value.lowercased().hasPrefix($0) }) {
                    reader.fault("`\(parameter.key)` does not begin with http:// or https://", at: parameter.place, help: nil)
                }
            case "endpoint", "path":
                if !parameter.value.hasPrefix("/") { reader.fault("`\(parameter.key)` does not begin with a slash", at: parameter.place, help: nil) }
            default:
                if parameter.value.isEmpty { reader.fault("`\(parameter.key)` without a value", at: parameter.place, help: nil) }
            }
            values[parameter.key] = parameter.value
        }
        exclusive("socket", ["hostname", "port"], parameters, &reader)
        exclusive("url", ["hostname", "port", "endpoint", "path"], parameters, &reader)
        exclusive("password_file", ["password"], parameters, &reader)
        if families.contains(where: { ["prometheus", "json"].contains($0) }), !parameters.contains(where: { $0.key == "url" || $0.key == "port" }) {
            reader.fault(
                "\(families.filter { ["prometheus", "json"].contains($0) }.joined(separator: " and ")): nothing says where to ask",
                at: parameters.first?.place ?? Place(line: 1, column: 1), help: "`with url http://localhost:PORT/PATH`")
        }
        return values
    }

    private static func exclusive(_ key: String, _ others: [String], _ parameters: [Parameter], _ reader: inout ParameterReader) {
        guard parameters.contains(where: { $0.key == key }) else { return }
        for other in parameters where others.contains(other.key) {
            reader.fault("`\(key)` and `\(other.key)`", at: other.place, help: "each of them says it: leave one out")
        }
    }
}
