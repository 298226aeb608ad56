// What a deploy that was told changes, and who hears of it.

import AgentAPI
import Checks
import Platform
import Testing

@testable import AggregatorCore

@Suite struct DeployFilingTests {
    private var site = Site()

    private struct Site {
        var plan = ServicePlan(defaultRecipients: ["ops@example.com"])
        var situation = Situation()
        var newest: [String: Timestamp] = [:]
        var kept: [String: String] = [:]
        var outbox: [OutgoingMessage] = []
        var alerts: [Alert] = []
        var filed: [FiledDeploy] = []
        var now = World.start

        var subjects: [String] { outbox.map(\.subject) }

        mutating func tell(_ record: DeployRecord) -> DeployAnswer {
            situation.knownDeploy = kept[record.id]
            situation.newestDeploy = newest[record.service]
            let decision = DeployFiling.decide(record, on: situation, plan: plan, at: now)
            situation = decision.situation
            outbox += decision.outbox
            alerts += decision.alerts
            if let deploy = decision.deploy {
                filed.append(deploy)
                kept[record.id] = deploy.text
                newest[record.service] = max(newest[record.service] ?? deploy.at, deploy.at)
            }
            return DeployFiling.answer(decision, to: record)
        }
    }

    private func deploy(_ id: String, _ verdict: Verdict, of service: String = "puma", after seconds: Int64 = 0, hosts: [String] = []) -> DeployRecord
    {
        let began = World.start + .seconds(seconds)
        return DeployRecord(
            id: id, service: service, verdict: verdict, began: began, ended: began + .seconds(10), tokenPrefix: "9f31c2aa", summary: "in short",
            hosts: hosts.map { HostDeploy(service: service, host: $0, state: verdict, since: began, evidence: "process") })
    }

    @Test mutating func aVerifiedDeployWakesNobody() {
        #expect(site.tell(deploy("d-1", .verified)) == .filed)
        #expect(site.outbox.isEmpty && site.alerts.isEmpty)
        #expect(site.filed.map(\.services) == [["puma"]])
    }

    @Test(arguments: Verdict.allCases.filter { $0 != .verified })
    func anyOtherVerdictIsToldOnceAndEndsWithTheNextVerifiedDeploy(verdict: Verdict) {
        var site = site
        site.now = World.start + .seconds(100)
        #expect(site.tell(deploy("d-1", verdict)) == .filed)
        #expect(site.subjects == ["[error] puma: deploy of puma: \(verdict.rawValue): in short"])
        #expect(site.situation.services["puma"]?.status == .error)
        #expect(site.outbox.first?.body.contains("Deploy:   puma") == true)
        #expect(site.tell(deploy("d-2", verdict, after: 20)) == .filed)
        #expect(site.outbox.count == 1)
        #expect(site.tell(deploy("d-3", .verified, after: 40)) == .filed)
        #expect(site.subjects.last == "[ok] puma is passing again after 40 s" && site.outbox.count == 2)
        #expect(site.situation.services["puma"]?.status == .passing)
    }

    @Test mutating func whatIsToldTwiceIsFiledOnce() {
        site.now = World.start + .seconds(100)
        #expect(site.tell(deploy("d-1", .stale)) == .filed)
        #expect(site.tell(deploy("d-1", .stale)) == .known)
        #expect(site.tell(deploy("d-1", .verified)) == .taken)
        #expect(site.filed.count == 1 && site.outbox.count == 1)
        #expect(site.situation.services["puma"]?.status == .error)
    }

    @Test mutating func aDeployThatIsToldLateChangesNothing() {
        site.now = World.start + .seconds(100)
        #expect(site.tell(deploy("d-2", .verified, after: 50)) == .filed)
        #expect(site.tell(deploy("d-1", .down)) == .filed)
        #expect(site.filed.count == 2 && site.outbox.isEmpty)
    }

    @Test mutating func aClockThatIsAheadDoesNotStopTheNextDeploys() {
        site.now = World.start + .seconds(100)
        #expect(site.tell(deploy("d-1", .down, after: 1_000_000)) == .filed)
        site.now = World.start + .seconds(200)
        #expect(site.tell(deploy("d-2", .verified, after: 150)) == .filed)
        #expect(site.situation.services["puma"]?.status == .passing)
    }

    @Test mutating func theServicesOfTheUnitAreTheOnesConcerned() {
        site.plan.services = [
            ConfiguredService(name: "shop", units: [UnitPattern(unit: "puma")], notify: ["shop@example.com"]), ConfiguredService(name: "mail"),
        ]
        for name in ["shop", "mail"] { site.situation.services[name] = ServiceState(name: name, since: World.start, isConfigured: true) }
        #expect(site.tell(deploy("d-1", .mixed, hosts: ["web1"])) == .filed)
        #expect(site.outbox.map(\.recipient) == ["shop@example.com"])
        #expect(site.subjects == ["[error] shop: deploy of puma: MIXED: in short"])
        #expect(site.filed.map(\.services) == [["shop", "puma"]])
        #expect(site.situation.services["mail"]?.status == .passing && site.situation.services["puma"] == nil)
    }

    @Test mutating func aUnitsOwnServiceIsFoundWithoutItsSuffix() {
        site.situation.services["puma.service"] = ServiceState(name: "puma.service", since: World.start)
        #expect(site.tell(deploy("d-1", .down, hosts: ["web1"])) == .filed)
        #expect(site.situation.services["puma.service"]?.status == .error && site.situation.services["puma"] == nil)
    }

    @Test func theKeyOfAProblemIsReadBack() { #expect(ProblemKey.Item("deploy") == .deploy && ProblemKey.Item.deploy.text == "deploy") }

    @Test func largeNumbersOfRequestsDoNotOverflow() {
        var record = deploy("d-1", .verified, hosts: ["web1"])
        record.availability = Availability(requests: .max, failed: 3, longestStall: .seconds(1))
        record.hosts[0].availability = Availability(requests: 7, failed: 1, longestStall: .seconds(2))
        #expect(DeployLine(record).availability == DeployAvailability(requests: .max, failed: 4, longestStall: .seconds(2)))
        #expect(DeployLine(deploy("d-1", .verified)).availability == nil)
    }
}
