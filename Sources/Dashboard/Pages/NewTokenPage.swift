// A token that was just made, and what to do with it.

import Platform

/// A new token with what to do with it. It is shown this once; the store has its SHA-256 only.
struct NewTokenPage: Page {
    var name: String
    var token: String
    var publicURL: String

    var title: String { "Token for \(name)" }
    var headline: String { "Token for \(name)" }

    func content(at now: Timestamp) -> HTML {
        h1 { "Token for \(name)" }
        p(.class("lead")) { "Copy it now: it is not shown again." }
        section(.class("card")) {
            h2 { "1. Put the token into a file that only the agent can read" }
            p { "On the host, as root; paste the token, then press Enter and Ctrl-D:" }
            sample("Commands") { AgentInstructions.tokenCommands }
            p { "The token:" }
            sample("Token") { token }
        }
        section(.class("card")) {
            h2 { "2. Tell the agent where to report" }
            p {
                "In "
                code { AgentInstructions.configurationFile }
                ":"
            }
            sample("Lines of the configuration") { AgentInstructions.configuration(publicURL: publicURL) }
        }
        section(.class("card")) {
            h2 { "3. Say what to watch" }
            p {
                "A file for each service, for example "
                code { AgentInstructions.ruleFile }
                ":"
            }
            sample("Lines of a rule file") { AgentInstructions.rule }
        }
        section(.class("card")) {
            h2 { "4. Start it" }
            sample("Command") { AgentInstructions.restart }
            p {
                "The host appears under "
                a(.href(.hosts)) { "Hosts" }
                " with its first report."
            }
        }
    }
}
