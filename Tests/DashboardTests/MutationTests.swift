// Whatever a browser or a database says: it is read or refused.

import TestKit
import Testing

@testable import Dashboard

@Suite struct DashboardMutationTests {
    @Test func brokenFormsAreRead() {
        Mutations.run(seeds: Mutations.seeds("form")) { _ = FormFields(parsing: $0)["name"] }
    }

    @Test func brokenPathsLeadNowhereOrBack() {
        Mutations.run(seeds: Mutations.seeds("web-path")) { bytes in
            guard let route = Route(path: String(decoding: bytes, as: UTF8.self)) else { return }
            if Route(path: route.path) != route { Issue.record("\(route) is not read back") }
        }
    }

    @Test func brokenHashesAreNone() {
        Mutations.run(seeds: Mutations.seeds("password-hash")) { bytes in
            guard let hash = PasswordHash(String(decoding: bytes, as: UTF8.self)) else { return }
            if PasswordHash(hash.text) != hash { Issue.record("\(hash) is not read back") }
        }
    }
}
