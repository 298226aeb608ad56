// Logging in, and making the first user.

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

struct SetupPage: Page {
    var formToken: String
    var problem: String?
    var name = ""

    var title: String { "Set up" }
    var headline: String { problem ?? "Set up Rollcall" }

    func content(at now: Timestamp) -> HTML {
        div(.class("narrow")) {
            h1 { "Set up Rollcall" }
            p(.class("lead")) { "Make the first user. The set-up code shows that you run this aggregator: it is in its log." }
            form(.class("card"), Attribute("method", "post"), .action(.setup)) {
                Dashboard.formToken(formToken)
                problemLine(problem)
                textField("code", "Set-up code", isInvalid: problem != nil)
                textField("name", "Your name", value: name, hint: "Without spaces.", autocomplete: "username")
                textField(
                    "password", "Password", type: "password", hint: "At least \(Accounts.shortestPassword) characters.",
                    autocomplete: "new-password")
                button(.class("button"), Attribute("type", "submit")) { "Make the user" }
            }
        }
    }
}
