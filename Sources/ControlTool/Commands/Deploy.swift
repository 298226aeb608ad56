// `rollcall deploy`: quiet while a deploy changes things, and the truth at its end.

import AgentAPI
import ArgumentParser
import Glibc
import Platform

struct Deploy: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Opens and closes deploy windows, or runs a deploy within one.",
        discussion: """
            While a window is open nobody is alerted about its units and no rule acts on them. When it closes, what is down or in breach is \
            alerted. Around a whole deploy script: rollcall deploy -- cap production deploy
            """,
        subcommands: [Start.self, Finish.self, Run.self], defaultSubcommand: Run.self)

    struct Start: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Opens a deploy window.")

        @OptionGroup var agent: AgentOptions
        @OptionGroup var window: WindowOptions

        @Argument(help: "The units that it is for (default: the whole host).")
        var units: [String] = []

        func run() throws { try agent.ask(window.start(units)) }
    }

    struct Finish: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Closes a deploy window, and says what is not well.")

        @OptionGroup var agent: AgentOptions

        @Option(help: "Whose window (default: $SUDO_USER or $USER).")
        var owner: String?

        @Argument(help: "The units that it was for (default: the whole host).")
        var units: [String] = []

        func run() throws { try agent.ask(.finishDeploy(units: units, owner: owner ?? userName())) }
    }

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs a command within a deploy window (the default).",
            discussion: """
                The window closes when the command ends, also when it fails. The exit status is the command's; 69 when the agent could not be \
                asked, 1 when it refused, and then the command was not run.
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var window: WindowOptions

        @Option(name: .customLong("unit"), help: "A unit that the window is for; may be said again (default: the whole host).")
        var units: [String] = []

        @Flag(help: "Run the command even when no agent can be told.")
        var withoutAgent = false

        @Argument(parsing: .postTerminator, help: "What to run, after `--`.")
        var command: [String] = []

        func validate() throws {
            guard !command.isEmpty else {
                throw ValidationError("Say start, finish, or a command after `--`: rollcall deploy -- cap production deploy")
            }
        }

        func run() throws {
            var wrapped = WrappedCommand()
            var isOpen = true
            do {
                let answer = try agent.connection.ask(window.start(units))
                report(answer)
                if !answer.isGood, !withoutAgent { throw ExitCode(1) }
                isOpen = answer.isGood
            } catch let error as ConnectionError {
                Output.complaint.say("rollcall: \(error)\n")
                guard withoutAgent else { throw ExitCode(EX_UNAVAILABLE) }
                isOpen = false
            }
            let status = wrapped.run(command)
            if isOpen {
                do {
                    report(try agent.connection.ask(.finishDeploy(units: units, owner: window.asOwner)))
                } catch {
                    Output.complaint.say("rollcall: the deploy window could not be closed: \(error)\n")
                }
            }
            throw ExitCode(status)
        }

        /// Beside what the command prints.
        private func report(_ answer: AgentAnswer) {
            Output.complaint.say(agent.json ? answer.json.text + "\n" : "rollcall: \(answer.text)")
        }
    }
}

struct WindowOptions: ParsableArguments {
    @Option(help: "Whose window (default: $SUDO_USER or $USER).")
    var owner: String?

    @Option(help: "Why, for whoever looks.")
    var reason: String?

    @Option(help: "When it ends by itself, e.g. 90s, 30m, 1h30m (default: as the agent's configuration says).")
    var length: Length?

    var asOwner: String { owner ?? userName() }

    func start(_ units: [String]) -> AgentRequest {
        .startDeploy(units: units, owner: asOwner, reason: reason, length: length?.duration)
    }
}
