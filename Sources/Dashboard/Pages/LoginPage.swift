// Logging in.

import Platform

struct LoginPage: Page {
    var formToken: String
    /// The page to show afterwards.
    var next: Route
    var problem: String?
    var name = ""

    var title: String { "Log in" }
    var headline: String { problem ?? "Log in" }

    func content(at now: Timestamp) -> HTML {
        div(.class("narrow")) {
            h1 { "Log in" }
            form(.class("card"), Attribute("method", "post"), .action(.login)) {
                Dashboard.formToken(formToken)
                input(Attribute("type", "hidden"), Attribute("name", "next"), Attribute("value", next.path))
                problemLine(problem)
                textField("name", "Name", value: name, autocomplete: "username", isInvalid: problem != nil)
                textField("password", "Password", type: "password", autocomplete: "current-password", isInvalid: problem != nil)
                button(.class("button"), Attribute("type", "submit")) { "Log in" }
            }
        }
    }
}
