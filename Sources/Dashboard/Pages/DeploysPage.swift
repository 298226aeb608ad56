// The timeline: every deploy, newest first.

import AgentAPI
import AggregatorCore
import Platform

struct DeploysPage: Page {
    static let mostLines = 100

    var deploys: [DeployLine]

    init(store: any DeployStoring) async throws(StoreError) { deploys = try await store.deploys(.all, limit: Self.mostLines) }

    var title: String { "Deploys" }

    var headline: String {
        guard let newest = deploys.first else { return "No deploys yet" }
        return "The newest deploy is that of \(newest.service): \(Badge(newest.verdict).word)"
    }

    func content(at now: Timestamp) -> HTML {
        div(.class("heading")) {
            h1 { "Deploys" }
            a(.class("quiet heading-end"), .href(.tokens)) { "Tokens" }
        }
        if deploys.isEmpty {
            p(.class("lead")) { "No deploys yet" }
            section(.class("card steps")) {
                h2 { "Have deploys told here" }
                p { "Rollcall says of a deploy whether the new code really runs, on every worker, and who was turned away meanwhile." }
                ol {
                    li {
                        "Make a "
                        a(.href(.tokens)) { "token" }
                        " for the script that deploys."
                    }
                    li {
                        "Have the script run its restart through "
                        code { "verify-token run" }
                        ", with this aggregator's address and that token."
                    }
                }
            }
        } else {
            p(.class("lead")) {
                deploys.count < Self.mostLines ? "Newest first, kept for a year" : "The newest \(Self.mostLines); programs can read the others"
            }
            deployTable(deploys, caption: "Deploys, newest first", showsService: true, at: now)
        }
    }
}
