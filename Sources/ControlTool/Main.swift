// The operator's command.

import ArgumentParser
import Platform

@main
struct Rollcall: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollcall", abstract: "Asks the Rollcall agent on this host, and tells it what is about to happen.",
        discussion: """
            The exit status is 0 when it was done, 1 when the agent could not or would not, 64 for a command line that makes no sense, and 69 when \
            no agent could be asked.
            """, version: rollcallVersion,
        subcommands: [
            Status.self,
            Show.self,
            Explain.self,
            Deploy.self,
            Unmonitor.self,
            Monitor.self,
            Restart.self,
            Reload.self,
            Start.self,
            Stop.self,
            Jobs.self,
            Job.self,
            Export.self,
            History.self,
            CheckConfig.self,
        ])
}
