// `rollcall jobs` and `rollcall job`: recurring jobs tell that they happen.

import AgentAPI
import ArgumentParser
import Glibc

struct Jobs: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists the recurring jobs: when each ran, how it ended, when it is due.")

    @OptionGroup var agent: AgentOptions

    func run() throws { try agent.ask(.jobs, colouring: true) }
}

struct Job: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells the agent that a recurring job begins or has ended.",
        discussion: "In a crontab: 0 3 * * * rollcall job run backup -- /usr/local/bin/backup",
        subcommands: [Start.self, Done.self, Run.self])

    struct Start: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "A job begins.")
        @OptionGroup var agent: AgentOptions
        @Argument(help: "The job.") var name: String
        func run() throws { try agent.ask(.jobStarted(name: name)) }
    }

    struct Done: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "A job has ended.")
        @OptionGroup var agent: AgentOptions

        @Option(help: "Its exit status; anything but 0 means that it failed (default: 0).")
        var status: UInt8?

        @Argument(help: "The job.") var name: String
        func run() throws { try agent.ask(.jobDone(name: name, exitStatus: status.map(Int32.init))) }
    }

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs a job and tells how it went.",
            discussion: "The job runs whether or not the agent can be told; the exit status is the job's.")

        @OptionGroup var agent: AgentOptions
        @Argument(help: "The job.") var name: String
        @Argument(parsing: .postTerminator, help: "What to run, after `--`.") var command: [String] = []

        func validate() throws {
            guard !command.isEmpty else { throw ValidationError("Say what to run, after `--`: rollcall job run backup -- /usr/local/bin/backup") }
        }

        func run() throws {
            var wrapped = WrappedCommand()
            tell(.jobStarted(name: name))
            let status = wrapped.run(command)
            tell(.jobDone(name: name, exitStatus: status))
            throw ExitCode(status)
        }

        /// Quiet when all is well: cron mails what a job prints.
        private func tell(_ request: AgentRequest) {
            do {
                let answer = try agent.connection.ask(request, patience: .seconds(10))
                if !answer.isGood { Output.complaint.say("rollcall: \(answer.text)") }
            } catch {
                Output.complaint.say("rollcall: \(error)\n")
            }
        }
    }
}
