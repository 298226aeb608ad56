// Which agents are asked, and how they are reached.

import AgentAPI
import ArgumentParser
import Glibc
import Platform
import Transfer

/// Agents that are asked without anybody between.
struct DirectAgentOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Ask the agent of this host over this socket (default: \(Door.defaultSocket)).", valueName: "path"))
    var agentSocket: String?

    @Option(
        help: ArgumentHelp(
            "Ask the agents of these hosts: HOST:PORT with commas between them, over https; over http on this machine alone. All addresses behind a name are asked.",
            valueName: "hosts"))
    var agents: String?

    @Option(help: ArgumentHelp("The user for --agents.", valueName: "name"))
    var agentsUser: String?

    @Option(
        help: ArgumentHelp(
            "A file with the password for --agents on its first line, closed to others (chmod 600). $VERIFY_TOKEN_AGENTS_USER and "
                + "$VERIFY_TOKEN_AGENTS_PASS are taken too.", valueName: "file"))
    var agentsPasswordFile: String?

    @Option(help: ArgumentHelp("The authorities to trust for --agents instead of the system's (PEM).", valueName: "file"))
    var agentsCa: String?

    func validate() throws {
        guard agentSocket == nil || agents == nil else { throw ValidationError("--agent-socket and --agents exclude each other.") }
        guard agentsPasswordFile == nil || agentsUser != nil else { throw ValidationError("--agents-password-file needs --agents-user.") }
        guard agentsUser == nil || agents != nil else { throw ValidationError("--agents-user needs --agents.") }
    }

    /// As it is kept for `check`: without passwords.
    var way: AgentWay {
        var way = AgentWay()
        way.socket = agentSocket.map(absolute)
        way.agents = agents
        way.agentsUser = agentsUser
        way.agentsPasswordFile = agentsPasswordFile.map(absolute)
        way.agentsAuthorities = agentsCa.map(absolute)
        return way
    }
}

/// Agents that are asked, themselves or through the aggregator.
struct AgentOptions: ParsableArguments {
    @OptionGroup var direct: DirectAgentOptions

    @Option(
        help: ArgumentHelp(
            "The aggregator. It is told how the deploy ended, and asks the agents of all hosts that have the service, unless --agents or "
                + "--agent-socket says which.", valueName: "url"))
    var aggregator: String?

    @Option(
        help: ArgumentHelp(
            "A file with a token for the aggregator that may see to deploys, from its page for tokens; closed to others.", valueName: "file"))
    var aggregatorTokenFile: String?

    @Option(help: ArgumentHelp("The authorities to trust for --aggregator instead of the system's (PEM).", valueName: "file"))
    var aggregatorCa: String?

    func validate() throws {
        guard aggregator == nil || aggregatorTokenFile != nil else { throw ValidationError("--aggregator needs --aggregator-token-file.") }
        guard aggregatorTokenFile == nil || aggregator != nil else { throw ValidationError("--aggregator-token-file needs --aggregator.") }
    }

    /// Whether anything says which agents are meant.
    var isSaid: Bool { direct.agentSocket != nil || direct.agents != nil || aggregator != nil }

    /// As it is kept for `check`: without passwords.
    var way: AgentWay {
        var way = direct.way
        way.aggregator = aggregator
        way.aggregatorTokenFile = aggregatorTokenFile.map(absolute)
        way.aggregatorAuthorities = aggregatorCa.map(absolute)
        return way
    }
}

/// How agents are reached, as text: from options, or from what an earlier process has kept.
struct AgentWay: Equatable, Sendable {
    var socket: String?
    var agents: String?
    var agentsUser: String?
    var agentsPasswordFile: String?
    var agentsAuthorities: String?
    var aggregator: String?
    var aggregatorTokenFile: String?
    var aggregatorAuthorities: String?

    /// The doors to knock at: one for each agent, or the aggregator's. A name that stands for several hosts is as many doors.
    func doors() async throws -> [Door] {
        if let agents { return await Door.spread(try hosts(agents)) }
        if socket == nil, let aggregator = try aggregatorDoor() { return [aggregator] }
        return [Door(.socket(socket ?? Door.defaultSocket))]
    }

    /// Whether the agent of this machine is asked.
    var isLocal: Bool { agents == nil && (socket != nil || aggregator == nil) }

    func aggregatorDoor() throws -> Door? {
        guard let aggregator, let aggregatorTokenFile else { return nil }
        let (endpoint, inURL) = try parse(aggregator, "--aggregator")
        guard inURL == nil else { throw ValidationError("--aggregator: its token belongs into --aggregator-token-file, not into the URL.") }
        guard endpoint.isEncrypted || endpoint.isLoopback else {
            throw ValidationError("--aggregator \(endpoint): the token would travel in the clear; use https.")
        }
        do throws(FileError) {
            return Door(.aggregator(endpoint, token: try Secret(file: aggregatorTokenFile)), authorities: aggregatorAuthorities)
        } catch {
            throw ValidationError("--aggregator-token-file: \(error).")
        }
    }

    private func hosts(_ agents: String) throws -> [Door] {
        let login = try login()
        let names = agents.split(separator: ",").map { String($0.filter { $0 != " " }) }.filter { !$0.isEmpty }
        guard !names.isEmpty, names.count <= DeployLimits.hosts else { throw ValidationError("--agents: from 1 to \(DeployLimits.hosts) hosts.") }
        return try names.map { name in
            let hasScheme = name.contains("://")
            var (endpoint, inURL) = try parse(hasScheme ? name : "https://\(withPort(name))", "--agents")
            // An agent that only its own machine can reach has no certificate.
            if !hasScheme, endpoint.isLoopback { (endpoint, inURL) = try parse("http://\(withPort(name))", "--agents") }
            guard endpoint.isEncrypted || endpoint.isLoopback else {
                throw ValidationError("--agents \(endpoint): http is for this machine alone; use https.")
            }
            return Door(.agent(endpoint, inURL ?? login), authorities: agentsAuthorities)
        }
    }

    private func withPort(_ name: String) -> String {
        let hasPort = name.hasPrefix("[") ? name.contains("]:") : name.contains(":")
        return hasPort ? name : "\(name):\(Door.defaultPort)"
    }

    private func login() throws -> Credentials? {
        if let agentsUser, let agentsPasswordFile {
            do throws(FileError) {
                return Credentials(user: agentsUser, password: try Secret(file: agentsPasswordFile))
            } catch {
                throw ValidationError("--agents-password-file: \(error).")
            }
        }
        guard let user = agentsUser ?? variable("VERIFY_TOKEN_AGENTS_USER"), let password = variable("VERIFY_TOKEN_AGENTS_PASS") else { return nil }
        return Credentials(user: user, password: Secret(password))
    }

    /// The text itself is not repeated: it may hold a password.
    private func parse(_ text: String, _ option: String) throws -> (Endpoint, Credentials?) {
        do throws(EndpointError) { return try Endpoint.parse(text) } catch { throw ValidationError("\(option) \(error).") }
    }
}

/// An environment variable that is set and not empty.
func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
}

/// A path that means the same from another folder.
func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    guard let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return "\(String(cString: folder))/\(path)"
}

/// Who runs this program; with sudo, who asked for it.
func userName() -> String? { variable("SUDO_USER") ?? variable("USER") ?? variable("LOGNAME") }
