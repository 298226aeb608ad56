// What hosts and URLs say together, and how that is told.

import AgentAPI
import DeployVerification
import Platform
import Testing

private let at = Timestamp(seconds: 1_800_000_000)

private func host(_ name: String, _ state: Verdict, new: Int = 2, old: Int = 0, reasons: [String] = [], isFinal: Bool = true) -> HostDeploy {
    HostDeploy(
        service: "web", host: name, state: state, isFinal: isFinal, since: at, hasBaseline: true, evidence: "attributed-http", expectedWorkers: 2,
        processes: (0..<new).map { .init(pid: Int32(10 + $0), role: .worker, class: .new, age: .seconds(1), exec: "new") }
            + (0..<old).map { .init(pid: Int32(20 + $0), role: .worker, class: .old, age: .seconds(99), exec: "same-as-baseline") },
        reasons: reasons)
}

private func url(_ state: Verdict) -> DeployRecord.URL {
    .init(url: "https://app.example.com/about/deploy", state: state, account: "another token 12 times")
}

@Suite struct CombinedDeployTests {
    @Test(arguments: [
        ([Verdict.verified, .verified], [Verdict.verified], Verdict.verified),
        ([.verified, .mixed], [.verified], .mixed),
        ([.verified, .mixed, .stale], [.verified], .stale),
        ([.crashLoop, .down], [], .down),
        ([.verified], [.unreachable], .unreachable),
        ([], [.verified], .verified),
        ([.limitsExceeded, .inProgress], [], .inProgress),
        ([], [], .unproven),
    ])
    func theWorstVerdictCounts(hosts: [Verdict], urls: [Verdict], verdict: Verdict) {
        let combined = CombinedDeploy(hosts: hosts.enumerated().map { host("app-\($0)", $1) }, urls: urls.map(url))
        #expect(combined.verdict == verdict)
        #expect(!combined.summary().isEmpty)
    }

    @Test func theOwnProbesLimitsCountOnlyAgainstWhatIsVerified() {
        let suffered = Availability(requests: 100, failed: 2, longestStall: .milliseconds(35))
        var combined = CombinedDeploy(hosts: [host("app-1", .verified)], availability: suffered, limits: AvailabilityLimits())
        #expect(combined.verdict == .limitsExceeded)
        #expect(combined.summary() == "the new release runs, but 2 of 100 requests failed, more than 0")
        combined.update(host("app-1", .stale))
        #expect(combined.hosts.count == 1)
        #expect(combined.verdict == .stale)
    }

    @Test func theSummaryIsASentence() {
        var combined = CombinedDeploy(
            hosts: [host("app-1", .verified), host("app-2", .verified)], urls: [url(.verified)],
            availability: Availability(requests: 812, longestStall: .milliseconds(35)))
        #expect(
            combined.summary(took: .seconds(4.2))
                == "4 workers on 2 hosts run the new release, and 1 URL answers with its token after 4.2 s; no request failed, the longest stall was 35 ms"
        )
        combined.update(host("app-2", .mixed, new: 1, old: 1, reasons: ["worker 20 has run since before the deploy"]))
        #expect(
            combined.summary(took: .seconds(60))
                == "app-2: the new release answers, and so does something else (worker 20 has run since before the deploy) after 60 s")
        #expect(
            CombinedDeploy(urls: [url(.stale)]).summary()
                == "https://app.example.com/about/deploy: the old release still answers (another token 12 times)")
    }

    @Test func missingEvidenceIsNamed() {
        #expect(CombinedDeploy(urls: [url(.verified)]).evidence.contains { $0.contains("no agent was asked") })
        #expect(CombinedDeploy(hosts: [host("app-1", .verified)]).evidence.contains { $0.contains("no URL was asked") })
        #expect(CombinedDeploy(hosts: [host("app-1", .verified)], urls: [url(.verified)]).evidence == [])
    }

    @Test func aRecordSurvivesAClockThatWasSet() throws {
        let record = CombinedDeploy(hosts: [host("app-1", .verified)])
            .record(id: "d-0", service: "web", token: "9b2f91ea9b2f91ea", began: at, ended: at - .seconds(5), person: "ann")
        #expect(record.tokenPrefix == "9b2f91ea")
        #expect(try DeployRecord(JSON(parsing: record.json.text)) == record)
    }

    @Test func progressIsALineForEachHost() {
        #expect(host("app-1", .verified).progressLine(left: .seconds(31), width: 6) == "app-1   VERIFIED  2/2 workers new")
        #expect(
            host("app-2", .mixed, new: 1, old: 5, isFinal: false).progressLine(left: .seconds(31))
                == "app-2  MIXED  1/6 workers new; 20 old; 21 old; 22 old; 2 more; 31 s left")
        #expect(host("app-3", .down, new: 0, isFinal: false).progressLine() == "app-3  DOWN  no workers")
    }
}
