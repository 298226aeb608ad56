// `rollcall show`: the last values of a metric.

import AgentAPI
import ArgumentParser

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the last values of a metric as a line of bars.",
        discussion: "Examples: rollcall show load:1, rollcall show host cpu, rollcall show puma memory:total_rss")

    @OptionGroup var agent: AgentOptions

    @Argument(help: ArgumentHelp("Whose metric (default: the host's), and its name.", valueName: "[UNIT|host] METRIC"))
    var words: [String]

    func validate() throws {
        guard (1...2).contains(words.count) else {
            throw ValidationError("Say a metric, or a unit and a metric: rollcall show puma memory:total_rss")
        }
    }

    func run() throws {
        let unit = words.count == 2 && words[0] != "host" ? words[0] : nil
        try agent.ask(.show(unit: unit, metric: words[words.count - 1]))
    }
}
