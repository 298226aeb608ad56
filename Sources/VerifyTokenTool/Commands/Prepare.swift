// `verify-token prepare`: a fresh token for a release, and how the service is before its deploy.

import AgentAPI
import ArgumentParser
import DeployVerification
import Glibc
import Platform
import Transfer

struct Prepare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts a fresh token into a release, before the restart.",
        discussion: """
            Writes the file TOKEN and prints the token alone, for `check --token`. With --service, agents first remember which processes the \
            service has: `check` then says of each whether it is a new one that runs the new release. What `check --deploy` needs is kept \
            for a day in $XDG_STATE_HOME/verify-token, root's in /var/lib/verify-token, closed to others and without passwords.

            Exit codes:
              0   prepared
              2   wrong usage, or the release cannot be written
              7   a URL answers the token before any restart: it proves nothing
              10  an agent could not be asked, or refused
            """)

    @Option(help: ArgumentHelp("The release's folder.", valueName: "folder"))
    var release: String?

    @Option(
        help: ArgumentHelp(
            "The release's folder on the hosts of --agents or --aggregator, where something else writes the TOKEN.", valueName: "folder"))
    var remoteRelease: String?

    @Option(
        help: ArgumentHelp(
            "The token to write instead of a new one: 16 to 128 hexadecimal digits and dashes; - reads it from standard input.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("The service as its agent knows it: its workers before the deploy are remembered.", valueName: "name"))
    var service: String?

    @Flag(help: "The release is put where the running workers stand.")
    var inPlace = false

    @Flag(help: "Take over from another deploy of the service that is under way.")
    var force = false

    @Option(help: ArgumentHelp("The path at which workers answer their token (default: as the agent's configuration says).", valueName: "path"))
    var tokenPath: String?

    @OptionGroup(title: "How the application is asked") var login: LoginOptions
    @OptionGroup(title: "URLs for check") var urls: URLOptions
    @OptionGroup(title: "Availability") var probe: ProbeOptions

    @Option(help: ArgumentHelp("The path that the probe asks each host's workers for.", valueName: "path"))
    var probePath = "/"

    @OptionGroup(title: "Agents") var agents: AgentOptions

    @Option(help: ArgumentHelp("Who deploys (default: $SUDO_USER or $USER).", valueName: "name"))
    var person: String?

    @Option(help: ArgumentHelp("Which revision is deployed (default: what the release's file REVISION says).", valueName: "text"))
    var revision: String?

    @Option(
        name: .customLong("print"),
        help: ArgumentHelp("What to print: token, id, or env for `eval`: DEPLOY_TOKEN=... DEPLOY_ID=...", valueName: "what"))
    var prints: Printed = .token

    enum Printed: String, CaseIterable, ExpressibleByArgument { case token, id, env }

    func validate() throws {
        guard release != nil || service != nil else { throw ValidationError("--release is missing: where is the new release?") }
        guard release == nil || remoteRelease == nil else { throw ValidationError("--release and --remote-release exclude each other.") }
        guard remoteRelease?.hasPrefix("/") ?? true else { throw ValidationError("--remote-release must begin with /.") }
        guard service != nil || (!agents.isSaid && !probe.probe && tokenPath == nil && remoteRelease == nil) else {
            throw ValidationError("--service is missing: which service are the agents to look at?")
        }
        for (option, path) in [("--token-path", tokenPath), ("--probe-path", probePath)] {
            guard path.map({ $0.hasPrefix("/") && $0.utf8.allSatisfy { $0 > 32 && $0 < 127 } }) ?? true else {
                throw ValidationError("\(option) must begin with / and have no spaces.")
            }
        }
    }

    func run() async throws {
        let order = try PrepareOrder(self)
        if prints != .env, variable("GITHUB_ACTIONS") == "true" { Output.error(GitHub.mask(order.token)) }
        let note = try await order.carryOut(with: try Transfers())
        switch prints {
        case .token: Output.line(note.token)
        case .id: Output.line(note.id)
        case .env: Output.line("DEPLOY_TOKEN=\(note.token) DEPLOY_ID=\(note.id)")
        }
    }
}

extension DeployToken {
    /// As an option says it; `-` is the first line of standard input.
    init(option: String, _ text: String) throws {
        var text = text
        if text == "-" { text = readLine() ?? "" }
        do throws(DeployTokenError) { try self.init(parsing: text) } catch { throw ValidationError("\(option): \(error).") }
    }
}
