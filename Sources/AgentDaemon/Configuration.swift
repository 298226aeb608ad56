// From the configuration's files to what each part of the agent wants to be told.

import AgentAPI
import AgentCore
import AgentTalker
import Glibc
import LinuxHost
import Logging
import Platform
import RuleLanguage

/// A configuration without faults, with the secrets that it names.
struct LoadedConfiguration {
    var settings: AgentSettings
    var plan: WatchPlan
    var talker: TalkerConfiguration
    /// How workers are asked which deploy token they carry.
    var questions: WorkerQuestions
    /// What is odd about it but no fault, each with its place.
    var warnings: [String]
    /// What it needs and the agent may not do, each with its place.
    var missingMeans: [Fault] = []
}

/// Everything that is wrong with a configuration: one text a fault, with its place as far as it has one.
struct ConfigurationProblems: Error {
    var texts: [String]
    var warnings: [String] = []
}

/// A folder's configuration as it is written, without its secrets.
struct WrittenConfiguration {
    var configuration: Result<AgentConfiguration, ConfigurationProblems>
    var warnings: [String]
    private let reading: ConfigurationReading

    init(folder: String) {
        let reading = ConfigurationReading(
            [folder],
            defaults: AgentSettings.Defaults(
                hostname: hostName(), stateDirectory: firstFolder(of: "STATE_DIRECTORY"), runtimeDirectory: firstFolder(of: "RUNTIME_DIRECTORY")))
        self.reading = reading
        let warnings = reading.files.flatMap { $0.rendered($0.warnings) }
        self.warnings = warnings
        configuration = reading.configuration.mapError { _ in
            ConfigurationProblems(texts: reading.files.flatMap { $0.rendered($0.faults) }, warnings: warnings)
        }
    }

    /// What it needs that a process with these means may not do.
    func missingMeans(_ means: OwnMeans) -> [Fault] { reading.missingMeans(means) }

    /// Such a fault with its line.
    func rendered(_ fault: Fault) -> String { fault.rendered(in: reading.files.first { $0.path == fault.file }?.text ?? "") }
}

/// Reads a folder, and the secrets that its settings name, for an agent that is this process.
func loadConfiguration(folder: String) throws(ConfigurationProblems) -> LoadedConfiguration {
    try loadConfiguration(WrittenConfiguration(folder: folder), means: .ofThisProcess())
}

/// - Parameter means: of the agent that is to run by it; `nil`: they are not looked at.
func loadConfiguration(_ written: WrittenConfiguration, means: OwnMeans?) throws(ConfigurationProblems) -> LoadedConfiguration {
    let configuration = try written.configuration.get()
    let warnings = written.warnings
    let settings = configuration.settings
    // Root may check a configuration whose secrets belong to the agent's user.
    var reader = SecretReader(user: geteuid() == 0 ? means?.user : nil)
    let talker = TalkerConfiguration(settings, secrets: &reader)
    let plan = WatchPlan(configuration, secrets: &reader)
    let questions = WorkerQuestions(configuration.services) { reader.read($0) }
    guard reader.problems.isEmpty else { throw ConfigurationProblems(texts: reader.problems, warnings: warnings) }
    return LoadedConfiguration(
        settings: settings, plan: plan, talker: talker, questions: questions, warnings: warnings,
        missingMeans: means.map(written.missingMeans) ?? [])
}

extension WatchPlan {
    /// What could not be read is among the reader's problems.
    fileprivate init(_ configuration: AgentConfiguration, secrets: inout SecretReader) {
        let settings = configuration.settings
        var services = configuration.services.map { check in
            Service(
                name: check.name, kind: check.isPattern ? .pattern : .unit, pidFile: check.pidFile, initSystem: check.initSystem?.rawValue,
                rules: check.rules, route: check.owner, dependencies: check.dependencies, sources: sources(of: check, secrets: &secrets),
                place: check.place)
        }
        if let failed = configuration.failedUnits {
            services.append(Service(name: "failed units", kind: .failed, exceptions: failed.exceptions, route: failed.owner))
        }
        let jobs = configuration.jobs.flatMap { check in check.jobs.map { (job: $0, owner: check.owner) } }
        self.init(
            cycle: settings.cycleTime, hostRules: configuration.host?.rules ?? [], hostRoute: configuration.host?.owner, services: services,
            jobs: jobs.map(\.job), jobRoutes: Dictionary(jobs.compactMap { job, owner in owner.map { (job.name, $0) } }) { first, _ in first },
            timers: configuration.jobs.flatMap { check in check.timers.map { Timers(pattern: $0, route: check.owner) } },
            channels: settings.channels.map { $0.revealed { secrets.read($0) } }, deployLength: settings.deployLength)
    }
}

private func sources(of check: ServiceCheck, secrets: inout SecretReader) -> [DaemonSource] {
    check.daemonMetrics.map { family, names in
        var parameters = check.daemonParameters(of: family)
        // The runner cannot read the agent's files.
        if let file = parameters.removeValue(forKey: "password_file") { parameters["password"] = secrets.read(file)?.reveal() }
        return DaemonSource(id: "\(check.name) \(family)", family: family, parameters: parameters, metrics: names)
    }
}

extension TalkerConfiguration {
    /// What could not be read is among the reader's problems, and not in the configuration.
    fileprivate init(_ settings: AgentSettings, secrets: inout SecretReader) {
        self.init(host: settings.hostname, version: rollcallVersion, interval: settings.cycleTime, stateFolder: settings.stateDirectory)
        socket = Socket(path: settings.socket, group: settings.socketGroup)
        let folder = settings.socket.prefix(upTo: settings.socket.lastIndex(of: "/") ?? settings.socket.startIndex)
        deploySocket = Socket(path: "\(folder)/deploy.sock", group: settings.socketGroup)
        allowedOrders =
            settings.permissions.flatMap(\.orders)
            + ["status", "show", "export", "explain", "history", "jobs"].map { AllowedOrder(verb: $0, pattern: "*") }
        statsd = settings.statsd.map { Push(host: $0.host, port: $0.port) }
        graphite = settings.graphite.map { Push(host: $0.host, port: $0.port) }
        metrics = settings.metricsEndpoint.map { told in
            Metrics(
                address: told.address.address, port: told.address.port, certificateFile: told.certificate?.file, keyFile: told.certificate?.keyFile)
        }
        if let told = settings.aggregator, let token = secrets.read(told.tokenFile) {
            aggregator = Aggregator(address: told.address, token: token, caFile: told.certificateAuthorityFile)
        }
        if let told = settings.endpoint, let password = secrets.read(told.passwordFile) {
            endpoint = Endpoint(
                address: told.address.address, port: told.address.port, user: told.user, password: password,
                certificateFile: told.certificate?.file, keyFile: told.certificate?.keyFile)
        }
    }
}

extension AggregatorPermission {
    /// As the talker knows them.
    fileprivate var orders: [AllowedOrder] {
        switch self {
        case .silence: ["unmonitor", "monitor"].map { AllowedOrder(verb: $0, pattern: "*") }
        case .deploy:
            ["deploy_start", "deploy_finish", "deploy_prepare", "deploy_check", "deploy_cancel"].map { AllowedOrder(verb: $0, pattern: "*") }
        case .order(let order, let units): [AllowedOrder(verb: order.rawValue, pattern: units)]
        }
    }
}

/// Reads secrets and gathers what is wrong with them.
private struct SecretReader {
    /// To whom they may belong instead of this process's user.
    let user: UInt32?
    var problems: [String] = []

    mutating func read(_ path: String) -> Secret? {
        do {
            return try Secret(file: path, reader: user)
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
private func firstFolder(of variable: String) -> String? {
    guard let list = getenv(variable) else { return nil }
    return String(cString: list).split(separator: ":").first.map(String.init)
}
