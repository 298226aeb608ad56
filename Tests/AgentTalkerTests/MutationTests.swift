// Whatever stands in a file, a path or an answer that the talker reads: it is read or refused.

import AgentAPI
import AgentCore
import TestKit
import Testing

@testable import AgentTalker

@Suite struct TalkerMutationTests {
    @Test func brokenSpoolsAreMendedOnceAndForAll() {
        Mutations.run(seeds: Mutations.seeds("spool")) { bytes in
            var scan = SpoolScan(first: 1)
            guard let mended = scan.read(bytes, first: 1) else { return }
            scan.finish()
            var again = SpoolScan(first: 1)
            if again.read(mended, first: 1) != nil { Issue.record("mended, and still damaged: \(bytes)") }
            if scan.lost.contains(where: { $0.upperBound >= scan.next }) { Issue.record("lost numbers that were never given: \(scan.lost)") }
        }
    }

    @Test func brokenAnswersOfTheAggregatorAreOutcomes() {
        var status = 0
        Mutations.run(seeds: Mutations.seeds("aggregator-answer")) { bytes in
            status = (status + 1) % 4
            switch ReportOutcome(status: [200, 400, 401, 503][status], body: bytes) {
            case .refused(let words), .failed(let words), .unauthorized(_, let words?):
                if words.isEmpty || words.unicodeScalars.contains(where: { $0.value < 32 }) { Issue.record("not for a log: \(words)") }
            default: break
            }
        }
    }

    @Test func brokenAddressesOrdersAndPathsAreRefused() {
        Mutations.run(seeds: Mutations.seeds("addresses")) { bytes in
            guard let url = try? AggregatorAddress(parsing: String(decoding: bytes, as: UTF8.self)) else { return }
            if url.host.isEmpty || !(1...65535).contains(url.port) || url.path.hasSuffix("/") { Issue.record("no address: \(url)") }
        }
        Mutations.run(seeds: Mutations.seeds("permissions")) { bytes in
            guard let order = try? AllowedOrder(parsing: String(decoding: bytes, as: UTF8.self)) else { return }
            if !AgentRequest.verbs.contains(order.verb) || !fits("puma", pattern: order.pattern) && order.pattern == "*" {
                Issue.record("no order: \(order)")
            }
        }
        Mutations.run(seeds: Mutations.seeds("deploy-path")) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            for path in [text, "/about/deploy/" + text, "/services/\(text)/deploy.json", "/v1/status/" + text] {
                if case .carried(let name?, _)? = try? DeployRoute(parsing: path), name.isEmpty || name.utf8.contains(0) {
                    Issue.record("no service's name: \(name)")
                }
            }
        }
    }
}
