// A page that says one thing: not found, not possible, refused.

import Platform

struct MessagePage: Page {
    var title: String
    var text: String

    var headline: String { title }

    func content(at now: Timestamp) -> HTML {
        div(.class("narrow")) {
            h1 { title }
            p(.class("lead")) { text }
            p {
                a(.href(.services)) { "Go to the services" }
            }
        }
    }

    static let notFound = MessagePage(title: "Not found", text: "There is nothing at this address. What it named may have been removed or renamed.")
    static let storeFailed = MessagePage(
        title: "The database does not answer", text: "What you asked for could not be read or written. The aggregator's log says why; try again soon."
    )
    static let refused = MessagePage(
        title: "Not accepted", text: "The form was too old, or did not come from this site. Go back, load the page again and send it once more.")
    static let tooLarge = MessagePage(title: "Too large", text: "The form holds more than the aggregator accepts.")
    static let wrongMethod = MessagePage(title: "Not possible", text: "This address cannot be used in that way.")
}
