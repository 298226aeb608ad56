// `rollcall restart` and its like: act on a unit through its init system, in the agent's sight.

import AgentAPI
import ArgumentParser

struct Restart: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Restarts a unit, which is no fault in the agent's eyes.")
    @OptionGroup var agent: AgentOptions
    @Argument(help: "The unit.") var unit: String
    func run() throws { try agent.ask(.act(.restart, unit: unit)) }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Makes a unit read its configuration again.")
    @OptionGroup var agent: AgentOptions
    @Argument(help: "The unit.") var unit: String
    func run() throws { try agent.ask(.act(.reload, unit: unit)) }
}

struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Starts a unit.")
    @OptionGroup var agent: AgentOptions
    @Argument(help: "The unit.") var unit: String
    func run() throws { try agent.ask(.act(.start, unit: unit)) }
}

struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stops a unit, which is no fault in the agent's eyes.")
    @OptionGroup var agent: AgentOptions
    @Argument(help: "The unit.") var unit: String
    func run() throws { try agent.ask(.act(.stop, unit: unit)) }
}
