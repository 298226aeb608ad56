// Tokens for agents: make one, see which there are, remove one.

import AggregatorCore
import Platform

struct AddHostPage: Page {
    var tokens: [(name: String, createdAt: Timestamp)]
    var visitor: Visitor
    /// What was wrong with what was sent.
    var problem: String?
    /// As it was typed.
    var name = ""

    init(store: any AgentTokenStoring, visitor: Visitor, problem: String? = nil, name: String = "") async throws(StoreError) {
        tokens = try await store.agentTokens().sorted { $0.name < $1.name }
        self.visitor = visitor
        self.problem = problem
        self.name = name
    }

    var title: String { "Add a host" }
    var headline: String { "Add a host" }

    func content(at now: Timestamp) -> HTML {
        h1 { "Add a host" }
        p(.class("lead")) { "An agent shows a token when it reports. Give every host one of its own, so that you can take it back alone." }
        form(.class("card"), Attribute("method", "post"), .action(.addHost)) {
            formToken(visitor.formToken)
            problemLine(problem)
            textField("name", "Name of the host", value: name, hint: "For your list below; the host reports its own name.", isInvalid: problem != nil)
            button(.class("button"), Attribute("type", "submit")) { "Make a token" }
        }
        section {
            h2 { "Tokens" }
            if tokens.isEmpty {
                p(.class("muted")) { "There is no token yet." }
            } else {
                dataTable(
                    caption: "Tokens of agents", columns: ["Name", "Made", "Remove"],
                    rows: tokens.map { token in
                        [Cell("name") { token.name }, Cell { moment(token.createdAt, now: now) }, Cell { removal(of: token.name) }]
                    })
            }
        }
    }

    /// Behind a disclosure, so that one slip does not cut a host off.
    private func removal(of name: String) -> HTML {
        details {
            summary { "Remove…" }
            form(Attribute("method", "post"), .action(.removeToken)) {
                formToken(visitor.formToken)
                input(Attribute("type", "hidden"), Attribute("name", "name"), Attribute("value", name))
                p(.class("small")) { "Its agent will be refused from then on." }
                button(.class("button danger"), Attribute("type", "submit")) { "Remove \(name)" }
            }
        }
    }
}
