// The operator's command.

import ArgumentParser
import Platform

@main
struct Rollcall: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollcall", abstract: "Looks after the Rollcall agent on this host.", version: rollcallVersion,
        subcommands: [
            CheckConfig.self
        ])
}
