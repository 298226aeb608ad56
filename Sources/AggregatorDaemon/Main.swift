// rollcall-aggregator: decides, alerts by mail, and shows the dashboard.

import ArgumentParser
import Platform

@main
struct Main: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollcall-aggregator",
        abstract: "Collects what agents report, runs checks, alerts people, and serves the dashboard.",
        version: rollcallVersion,
        subcommands: [Run.self, CheckConfig.self, AddAgent.self],
        defaultSubcommand: Run.self)
}
