// Whether a form was sent from one of our own pages.

import Hummingbird
import Platform

/// Refuses forms that another site made a browser send. Every form carries a token that only our own page knows, and a browser says
/// where a request comes from.
struct FormGuard: Sendable {
    /// `https://rollcall.example.com`, as browsers write an origin.
    let publicOrigin: String

    /// Whether the headers speak for one of our own pages. What a browser does not say counts for nothing: the token decides.
    func trusts(origin: String?, fetchSite: String?, host: String?) -> Bool {
        if let fetchSite, fetchSite != "same-origin", fetchSite != "none" { return false }
        guard let origin else { return true }
        if origin == publicOrigin { return true }
        // Through a tunnel or by its address, the aggregator has another name than its public one.
        guard let host, !host.isEmpty else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    func trusts(_ request: Request) -> Bool {
        trusts(origin: request.headers[.origin], fetchSite: request.headers[.init("Sec-Fetch-Site")!], host: request.head.authority)
    }

    /// Whether the form's token is the expected one; the time it takes says nothing.
    func matches(_ token: String, expected: String?) -> Bool {
        guard let expected, !expected.isEmpty else { return false }
        return Secret(expected).matches(token.utf8)
    }
}
