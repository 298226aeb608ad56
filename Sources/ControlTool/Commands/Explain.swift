// `rollcall explain`: what the rules read now, and when they would fire.

import AgentAPI
import ArgumentParser

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what each rule reads now and when it would fire.",
        discussion: "Of a unit, of the host (`host`), or of all.")

    @OptionGroup var agent: AgentOptions

    @Option(help: ArgumentHelp("Only rules that hold this text.", valueName: "text"))
    var rule: String?

    @Argument(help: "Whose rules.")
    var unit: String?

    func run() throws { try agent.ask(.explain(unit: unit, rule: rule)) }
}
