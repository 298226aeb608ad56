// Tokens for scripts: make one, see which there are, revoke one.

import AggregatorCore
import Platform

struct TokensPage: Page {
    var tokens: [ScriptToken]
    var visitor: Visitor
    /// What was wrong with what was sent.
    var problem: String?
    /// As it was typed.
    var name = ""

    init(store: any ScriptTokenStoring, visitor: Visitor, problem: String? = nil, name: String = "") async throws(StoreError) {
        tokens = try await store.scriptTokens().sorted { $0.name < $1.name }
        self.visitor = visitor
        self.problem = problem
        self.name = name
    }

    var title: String { "Tokens for scripts" }
    var headline: String { "Tokens for scripts" }

    func content(at now: Timestamp) -> HTML {
        h1 { "Tokens for scripts" }
        p(.class("lead")) {
            "A script that deploys shows a token when it tells of a deploy. Give every script one of its own, so that you can take it back alone."
        }
        form(.class("card"), Attribute("method", "post"), .action(.tokens)) {
            formToken(visitor.formToken)
            problemLine(problem)
            textField(
                "name", "Name of the script", value: name, hint: "For your list below, for example: shop's pipeline.", isInvalid: problem != nil)
            button(.class("button"), Attribute("type", "submit")) { "Make a token" }
        }
        section {
            h2 { "Tokens" }
            if tokens.isEmpty {
                p(.class("muted")) { "There is no token yet." }
            } else {
                dataTable(
                    caption: "Tokens of scripts", columns: ["Name", "Opens", "Made", "Revoke"],
                    rows: tokens.map { token in
                        [
                            Cell("name") { token.name }, Cell { token.scope.rawValue }, Cell { moment(token.createdAt, now: now) },
                            Cell { removal(of: token.name) },
                        ]
                    })
            }
        }
    }

    /// Behind a disclosure, so that one slip does not cut a pipeline off.
    private func removal(of name: String) -> HTML {
        details {
            summary { "Revoke…" }
            form(Attribute("method", "post"), .action(.revokeToken)) {
                formToken(visitor.formToken)
                input(Attribute("type", "hidden"), Attribute("name", "name"), Attribute("value", name))
                p(.class("small")) { "Its script will be refused from then on." }
                button(.class("button danger"), Attribute("type", "submit")) { "Revoke \(name)" }
            }
        }
    }
}
