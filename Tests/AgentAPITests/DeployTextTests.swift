// Deploys as JSON: what goes in comes out, and what makes no sense is refused in words.

import AgentAPI
import Platform
import TestKit
import Testing

@Suite struct DeployTextTests {
    @Test func aPreparationComesBackAsItWas() throws {
        let preparation = DeployPreparation(
            id: "d-0123abcd", service: "web", token: "9b2f91ea9b2f91ea", release: "/srv/app/releases/2", isInPlace: true,
            question: TokenQuestion(path: "/about/deploy", host: "app.example.com", user: "about", password: Secret("battery staple")),
            hosts: ["app.example.com", "[::1]:8080"], availability: AvailabilityOrder(path: "/up", rate: 10), takesOver: true, person: "ann",
            revision: "v42")
        #expect(try DeployPreparation(JSON(parsing: preparation.json.text)) == preparation)
        #expect(!preparation.json(withSecrets: false).text.contains("battery"))
    }

    @Test(arguments: [
        (#"{"deploy_id":"x","service":"web","token":"t"}"#, "deploy_id is not"),
        (#"{"deploy_id":"d-0","token":"t"}"#, "service is missing"),
        (#"{"deploy_id":"d-0","service":"web","token":"t","release":"relative"}"#, "not an absolute path"),
        (#"{"deploy_id":"d-0","service":"web","token":"t","question":{"path":"/a b"}}"#, "path is not a path"),
        (#"{"deploy_id":"d-0","service":"web","token":"t","question":{"path":"/","user":"a\r\nb"}}"#, "control characters"),
        (#"{"deploy_id":"d-0","service":"web","token":"t","hosts":["a b"]}"#, "not a host"),
        (#"{"deploy_id":"d-0","service":"web","token":"t","hosts":["u@a"]}"#, "not a host"),
        (#"{"deploy_id":"d-0","service":"web","token":"t","probe":{"path":"/","rate":1000}}"#, "between 1 and 50"),
    ])
    func aPreparationThatMakesNoSenseIsRefused(text: String, problem: String) throws {
        let json = try JSON(parsing: text)
        let error = #expect(throws: RequestError.self) { try DeployPreparation(json) }
        #expect(error?.problem.contains(problem) ?? false, "\(String(describing: error))")
    }

    @Test func aCheckComesBackAsItWas() throws {
        let check = DeployCheck(
            deploy: "d-0", hosts: ["app.example.com"], evidence: .process, hasNoPreload: true, expectedWorkers: 4, timeout: .seconds(20),
            settle: .milliseconds(300),
            watch: .seconds(10), draining: .wait(.seconds(30)), failsFast: false, limits: AvailabilityLimits(failed: .share(0.25), stall: .seconds(1))
        )
        #expect(try DeployCheck(JSON(parsing: check.json.text)) == check)
        #expect(throws: RequestError.self) { try DeployCheck(JSON(parsing: "{}")) }
    }

    @Test func aRecordComesBackAsItWas() throws {
        let at = try #require(Timestamp("2026-11-21T02:10:04.120Z"))
        let host = HostDeploy(
            service: "web", host: "app-1", state: .mixed, isFinal: true, since: at, deploy: "d-0", tokenPrefix: "9b2f91ea", hasBaseline: true,
            evidence: "attributed-http", expectedWorkers: 2,
            processes: [
                .init(
                    pid: 6203, role: .worker, class: .new, tokenPrefix: "9b2f91ea", answerMilliseconds: 0.7, age: .seconds(1.5), exec: "new",
                    folder: "/srv/app/releases/2", isInRelease: true, connections: 2),
                .init(
                    pid: 6131, role: .worker, class: .old, age: .seconds(90), exec: "same-as-baseline", busy: .seconds(7.4), reason: "preload"),
            ], listeners: [.init(kind: "tcp", address: "127.0.0.1:8080", queue: 0, backlog: 1024)],
            incidents: [.init(after: .milliseconds(31), what: "exit", pid: 6130, class: .old, how: "exit status 0")],
            availability: Availability(
                requests: 1024, failed: 1, late: 2, longestStall: .milliseconds(35), median: .milliseconds(1), percentile99: .milliseconds(9),
                failures: ["connection refused once"]), reasons: ["6131 is old"], lacks: ["no exec evidence"])
        let record = DeployRecord(
            id: "d-0", service: "web", verdict: .mixed, began: at, ended: at + .seconds(3), tokenPrefix: "9b2f91ea", person: "ann", revision: "v42",
            summary: "app-1: one worker is old", hosts: [host],
            urls: [.init(url: "https://app.example.com/about/deploy", state: .verified, account: "the new token 5 times")])
        #expect(try DeployRecord(JSON(parsing: record.json.text)) == record)
        #expect(host.json["workers"]?["old"]?.integer == 1)
    }

    @Test func noMessageMakesAReaderCrashAndWhatIsReadCanBeWritten() {
        var found = 0
        func comesBack<Message: Equatable>(_ read: (JSON) throws(RequestError) -> Message, _ json: JSON, _ write: (Message) -> JSON) {
            guard let message = try? read(json) else { return }
            found += 1
            guard found.isMultiple(of: 8) else { return }
            // Times are cut to milliseconds when they are written first; after that nothing changes any more.
            guard let once = try? read(write(message)), let twice = try? read(write(once)), once == twice else {
                Issue.record("written but not read: \(json.text.prefix(500))")
                return
            }
        }
        Mutations.run(seeds: Mutations.seeds("deploy-messages")) { bytes in
            guard let json = try? JSON(parsing: bytes) else { return }
            comesBack(DeployPreparation.init, json) { $0.json }
            comesBack(DeployPrepared.init, json) { $0.json }
            comesBack(DeployCheck.init, json) { $0.json }
            if json["state"] != nil { comesBack(HostDeploy.init, json) { $0.json } }
            if json["verdict"] != nil { comesBack(DeployRecord.init, json) { $0.json } }
        }
        #expect(found > 30)
    }
}
