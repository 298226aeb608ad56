// From the configuration's files to what each part of the agent wants to be told.

import AgentCore
import AgentTalker
import Glibc
import Logging
import Platform

/// A configuration without faults, with the secrets that it names.
struct LoadedConfiguration {
    var settings: AgentSettings
    var plan: WatchPlan
    var talker: TalkerConfiguration
    /// What is odd about it but no fault, each with its place.
    var warnings: [String]
}

/// Everything that is wrong with a configuration: one text a fault, with its place as far as it has one.
struct ConfigurationProblems: Error {
    var texts: [String]
    var warnings: [String] = []
}

/// Reads a folder, and the secrets that its settings name.
func loadConfiguration(folder: String) throws(ConfigurationProblems) -> LoadedConfiguration {
    let reading = ConfigurationReading([folder], defaults: AgentSettings.Defaults(hostname: hostName(), stateDirectory: stateFolder()))
    let warnings = reading.files.flatMap { file in file.warnings.map { $0.rendered(in: file.text) } }
    let configuration: AgentConfiguration
    do {
        configuration = try reading.configuration.get()
    } catch {
        throw ConfigurationProblems(texts: reading.files.flatMap { file in file.faults.map { $0.rendered(in: file.text) } }, warnings: warnings)
    }
    let settings = configuration.settings
    var reader = SecretReader()
    let talker = TalkerConfiguration(settings, secrets: &reader)
    guard reader.problems.isEmpty else { throw ConfigurationProblems(texts: reader.problems, warnings: warnings) }
    return LoadedConfiguration(settings: settings, plan: WatchPlan(configuration), talker: talker, warnings: warnings)
}

extension WatchPlan {
    init(_ configuration: AgentConfiguration) {
        self.init(
            cycle: configuration.settings.cycleTime, hostRules: configuration.host?.rules ?? [], hostRoute: configuration.host?.owner,
            services: configuration.services.map { service in
                Service(
                    name: service.name, pidFile: service.pidFile, initSystem: service.initSystem?.rawValue, rules: service.rules,
                    route: service.owner)
            })
    }
}

extension TalkerConfiguration {
    /// What could not be read is among the reader's problems, and not in the configuration.
    fileprivate init(_ settings: AgentSettings, secrets: inout SecretReader) {
        self.init(host: settings.hostname, version: rollcallVersion, interval: settings.cycleTime, stateFolder: settings.stateDirectory)
        if let told = settings.aggregator, let token = secrets.read(told.tokenFile) {
            do {
                aggregator = Aggregator(url: try AggregatorURL(told.address.text), token: token, caFile: told.certificateAuthorityFile)
            } catch {
                secrets.problems.append("\(error)\n")
            }
        }
        if let told = settings.endpoint, let password = secrets.read(told.passwordFile) {
            endpoint = Endpoint(
                address: told.address.address, port: told.address.port, user: told.user, password: password,
                certificateFile: told.certificate?.file, keyFile: told.certificate?.keyFile)
        }
    }
}

/// Reads secrets and gathers what is wrong with them.
private struct SecretReader {
    var problems: [String] = []

    mutating func read(_ path: String) -> Secret? {
        do {
            return try Secret(file: path)
        } catch {
            problems.append("\(error)\n")
            return nil
        }
    }
}

private func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// systemd lists several folders with colons between; the first is the agent's.
private func stateFolder() -> String? {
    guard let list = getenv("STATE_DIRECTORY") else { return nil }
    return String(cString: list).split(separator: ":").first.map(String.init)
}
