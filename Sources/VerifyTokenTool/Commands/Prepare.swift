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

    @OptionGroup(title: "What is deployed") var release: ReleaseOptions
    @OptionGroup(title: "How the application is asked") var login: LoginOptions
    @OptionGroup(title: "URLs for check") var urls: URLOptions
    @OptionGroup(title: "Availability") var probe: ProbeOptions

    @OptionGroup(title: "Agents") var agents: AgentOptions

    @Option(
        name: .customLong("print"),
        help: ArgumentHelp("What to print: token, id, or env for `eval`: DEPLOY_TOKEN=... DEPLOY_ID=...", valueName: "what"))
    var prints: Printed = .token

    enum Printed: String, CaseIterable, ExpressibleByArgument { case token, id, env }

    func validate() throws {
        let needsService = agents.isSaid || probe.probe || release.tokenPath != nil || release.remoteRelease != nil
        guard release.service != nil || !needsService else {
            throw ValidationError("--service is missing: which service are the agents to look at?")
        }
    }

    func run() async throws {
        let order = try await PrepareOrder(release, urls, login, probe, agents, keepsNote: prints != .token)
        if prints != .env, variable("GITHUB_ACTIONS") == "true" { Output.error(GitHub.mask(order.token)) }
        let note = try await order.carryOut(with: try Transfers())
        if prints != .env, variable("GITHUB_ACTIONS") == "true", note.token != order.token.text { Output.error("::add-mask::\(note.token)") }
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
