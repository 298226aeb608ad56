// `rollcall export`: how everything is, for programs.

import AgentAPI
import ArgumentParser

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints how everything is, in JSON.")

    @OptionGroup var agent: AgentOptions

    func run() throws {
        var agent = agent
        agent.json = true
        try agent.ask(.export)
    }
}
