// What docs/deploys.md promises is what the program does.

import AgentAPI
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import VerifyTokenTool

@Suite struct DocumentationTests {
    private let page: String

    init() throws { page = try String(contentsOfFile: bed("../../docs/deploys.md"), encoding: .utf8) }

    @Test func everyVerdictStandsThereWithItsExitCode() async throws {
        let help = try await ChildProcess.run(built("verify-token"), ["check", "--help"])
        for verdict in Verdict.allCases {
            #expect(page.contains("| \(verdict.exitCode) | `\(verdict.rawValue)` |"), "\(verdict)")
            #expect(
                help.output.split(separator: "\n").contains { line in
                    line.split(separator: " ").prefix(2) == ["\(verdict.exitCode)", Substring(verdict.rawValue)]
                }, "\(verdict)")
        }
        // The worst first, as several hosts are summed up.
        #expect(page.replacing("\n", with: " ").contains(Verdict.allCases.map(\.rawValue).joined(separator: ", ")))
    }

    @Test func everyFindingOfDoctorStandsThere() {
        for code in DoctorFinding.Code.allCases { #expect(page.contains("`\(code.rawValue)`"), "\(code.rawValue)") }
    }

    @Test func everyKeyOfTheResultStandsThere() {
        let now = Timestamp(seconds: 1_790_000_000)
        let availability = Availability(
            requests: 9, failed: 1, late: 1, longestStall: .seconds(1), median: .seconds(1), percentile99: .seconds(1), failures: ["refused"])
        var host = HostDeploy(
            service: "web", host: "app-1", state: .mixed, since: now, deploy: "d-1", tokenPrefix: "00112233", hasBaseline: true,
            evidence: "attributed-http", expectedWorkers: 2,
            processes: [
                .init(
                    pid: 7, role: .worker, class: .old, tokenPrefix: "00112233", answerMilliseconds: 1, age: .seconds(1), exec: "new", folder: "/srv",
                    isInRelease: true, connections: 1, busy: .seconds(1), reason: "preload")
            ], availability: availability, reasons: ["because"])
        host.listeners = [.init(kind: "tcp", address: "127.0.0.1:80", queue: 1, backlog: 9)]
        host.incidents = [.init(after: .seconds(1), what: "exit", pid: 7, class: .old, how: "code 1")]
        let all = CombinedDeploy(
            hosts: [host], urls: [.init(url: "https://a/", state: .mixed, account: "x")], availability: availability, limits: nil)
        let result = CheckResult(
            verdict: .mixed, sum: all, everything: all, tokenPrefix: "00112233", deploy: "d-1", service: "web", person: "anna", revision: "1",
            began: now, ended: now, elapsed: .seconds(1),
            looks: [.init(consecutive: 1, reason: "because", answers: [.init(what: "the new token", count: 1, ago: .seconds(1))])])
        let keys = Self.keys(of: result.json)
        #expect(keys.count > 50)
        for key in keys { #expect(page.contains("`\(key)`"), "\(key)") }
    }

    private static func keys(of json: JSON) -> Set<String> {
        switch json {
        case .object(let members): members.reduce(into: []) { $0.formUnion(keys(of: $1.value).union([$1.name])) }
        case .array(let items): items.reduce(into: []) { $0.formUnion(keys(of: $1)) }
        default: []
        }
    }
}
