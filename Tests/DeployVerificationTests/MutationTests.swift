// Whatever a server answers: it is evidence.

import TestKit
import Testing

@testable import DeployVerification

@Suite struct AnswerMutationTests {
    @Test func everyAnswerIsEvidenceInWords() throws {
        let token = try DeployToken(parsing: "0123456789abcdef0123456789abcdef")
        Mutations.run(seeds: Mutations.seeds("deploy-answer")) { bytes in
            let evidence = Evidence(status: 200, body: bytes, expecting: token)
            if evidence.words.isEmpty || evidence.words.utf8.contains(where: { $0 < 32 }) { Issue.record("not for people: \(evidence)") }
        }
    }
}
