// `rollcall status`: how everything is.

import AgentAPI
import ArgumentParser

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Says how the host and its units are, what fails, and what is silenced.")

    @OptionGroup var agent: AgentOptions

    func run() throws { try agent.ask(.status, colouring: true) }
}
