// Whatever somebody writes for a URL: it is read or refused, and its password is not shown.

import TestKit
import Testing
import Transfer

@Suite struct URLMutationTests {
    @Test func brokenURLsAreRefused() {
        Mutations.run(seeds: Mutations.seeds("url")) { bytes in
            guard let (endpoint, _) = try? Endpoint.parse(String(decoding: bytes, as: UTF8.self)) else { return }
            if endpoint.host.isEmpty { Issue.record("no host: \(endpoint)") }
        }
    }
}
