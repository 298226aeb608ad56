// `rollcall history`: what the agent has recorded.

import AgentAPI
import ArgumentParser

struct History: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints the samples that the agent has recorded, to judge them by other rules.")

    @OptionGroup var agent: AgentOptions

    func run() throws {
        var agent = agent
        agent.json = true
        try agent.ask(.history)
    }
}
