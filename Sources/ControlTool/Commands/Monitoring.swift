// `rollcall unmonitor` and `rollcall monitor`: leave units alone for a while.

import AgentAPI
import ArgumentParser

struct Unmonitor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stops watching units.", discussion: "Without --for until `rollcall monitor`. The whole host is `host`.")

    @OptionGroup var agent: AgentOptions

    @Option(name: .customLong("for"), help: "For how long, e.g. 2h.")
    var length: Length?

    @Option(help: "Why, for whoever looks.")
    var reason: String?

    @Argument(help: "The units.")
    var units: [String]

    func run() throws { try agent.ask(.stopMonitoring(units: named(units), reason: reason, length: length?.duration)) }
}

struct Monitor: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Watches units again.")

    @OptionGroup var agent: AgentOptions

    @Argument(help: "The units; `host` for all.")
    var units: [String]

    func run() throws { try agent.ask(.resumeMonitoring(units: named(units))) }
}

/// None, which means the whole host, has to be said: nobody silences everything by leaving out a word.
private func named(_ units: [String]) -> [String] { units == ["host"] ? [] : units }
