// The operator's command.

import ArgumentParser

@main
struct Rollcall: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollcall", abstract: "Looks after the Rollcall agent on this host.",
        subcommands: [
            CheckConfig.self
        ])
}
