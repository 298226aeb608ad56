// What lies on disk, and what a server answers, may be anything.

import Platform
import TestKit
import Testing

@testable import DeployVerification

@Suite struct DeployMutationTests {
    @Test func noBookMakesTheReaderCrash() {
        var found = 0
        Mutations.run(seeds: Mutations.seeds("deploy-book")) { bytes in
            guard let json = try? JSON(parsing: bytes) else { return }
            var book = DeployBook()
            _ = book.restore(json, resumed: "x", at: Timestamp(seconds: 1_800_000_000))
            found += book.entries.count
            for entry in book.entries { _ = entry.baseline.warnings(release: nil, isInPlace: false, asked: true) }
        }
        #expect(found > 30)
    }
}

@Suite struct AnswerMutationTests {
    @Test func everyAnswerIsEvidenceInWords() throws {
        let token = try DeployToken(parsing: "0123456789abcdef0123456789abcdef")
        Mutations.run(seeds: Mutations.seeds("deploy-answer")) { bytes in
            let evidence = Evidence(status: 200, body: bytes, expecting: token)
            if evidence.words.isEmpty || evidence.words.utf8.contains(where: { $0 < 32 }) { Issue.record("not for people: \(evidence)") }
        }
    }
}
