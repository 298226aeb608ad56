// A script's token that was just made, and what to do with it.

import Platform

/// It is shown this once; the store has its SHA-256 only.
struct NewScriptTokenPage: Page {
    var name: String
    var token: String
    var publicURL: String

    var title: String { "Token for \(name)" }
    var headline: String { "Token for \(name)" }

    func content(at now: Timestamp) -> HTML {
        h1 { "Token for \(name)" }
        p(.class("lead")) { "Copy it now: it is not shown again." }
        section(.class("card")) {
            h2 { "1. Put the token into a file that only the script can read" }
            p { "Where the script runs, as its user; or into the secrets of your pipeline:" }
            sample("Commands") { "install -m 0600 /dev/null rollcall.token\ncat > rollcall.token" }
            p { "The token:" }
            sample("Token") { token }
        }
        section(.class("card")) {
            h2 { "2. Give it to verify-token" }
            p { "It takes these two options beside its others:" }
            sample("Options") { "--aggregator \(publicURL) --aggregator-token-file rollcall.token" }
            p {
                "The deploy appears under "
                a(.href(.deploys)) { "Deploys" }
                " when it is over."
            }
        }
    }
}
