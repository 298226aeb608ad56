// Making the first user.

import Platform

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
