// Services of which it cannot be seen who takes their requests.

import AgentAPI
import Platform
import Testing

@testable import DeployVerification

private let token = "9b2f91ea9b2f91ea9b2f91ea9b2f91ea"
private let why = "the pid file /run/web.pid names process 1, which starts all others: check the container's unit instead"

@Suite struct BlindnessTests {
    private func moment(_ seconds: Int) -> Moment {
        Moment(wall: Timestamp(seconds: 1_800_000_000 + Int64(seconds)), uptime: .seconds(1000 + seconds))
    }

    private func verifier(baseline: Baseline?) -> HostVerifier {
        var verifier = HostVerifier(service: "web", host: "app-1", deploy: "d-0", token: token, baseline: baseline, start: moment(0))
        verifier.begin(DeployCheck(deploy: "d-0", timeout: .seconds(10)), at: moment(0))
        return verifier
    }

    @Test func whatCannotBeSeenIsUnprovenAndNotDown() {
        let before = ServiceLook(at: .seconds(999), lacks: [why], blindness: why)
        var verifier = verifier(baseline: Baseline(before, answers: [], token: token, boot: "b"))
        for second in 1...11 {
            verifier.observe(ServiceLook(at: .seconds(1000 + second), lacks: [why], blindness: why), mainProcess: nil)
            // Nobody may be asked who is not known to be of the service.
            #expect(verifier.next(at: .seconds(1000 + second)).ask == [])
            #expect(verifier.conclude(at: moment(second)) == (second < 10 ? nil : .unproven))
        }
        let account = verifier.account(at: moment(11))
        #expect(account.reasons.first == why)
        #expect(!account.reasons.contains { $0.contains("holds a listener") })
    }

    /// They are there, and where they listen is not seen: that they are old processes says nothing of who serves.
    @Test func processesThatCannotBeSeenWhole() {
        let mark = ProcessMark(pid: 7, startTicks: 1, generation: .code(1))
        let process = ServiceProcess(mark: mark, parent: 1, command: "gunicorn", state: UInt8(ascii: "S"), listeners: [])
        let before = ServiceLook(at: .seconds(999), processes: [process], lacks: [why], blindness: why)
        var verifier = verifier(baseline: Baseline(before, answers: [], token: token, boot: "b"))
        for second in 1...11 {
            verifier.observe(ServiceLook(at: .seconds(1000 + second), processes: [process], lacks: [why], blindness: why), mainProcess: 7)
            verifier.conclude(at: moment(second))
        }
        #expect(verifier.verdict == .unproven)
        #expect(verifier.account(at: moment(11)).reasons == [why])
    }

    @Test func aStatusSaysWhyNothingIsKnown() {
        var verifier = HostVerifier(service: "web", host: "app-1", start: moment(0))
        verifier.observe(ServiceLook(at: .seconds(1001), lacks: [why], blindness: why), mainProcess: nil)
        #expect(verifier.carried(birth: nil) == .unproven)
        #expect(verifier.account(at: moment(1)).reasons == [why])
    }

    @Test func doctorSaysThatNoDeployCanBeProven() {
        var service = DoctorService(name: "web")
        service.blindness = why
        let findings = Doctor.findings(DoctorFacts(service))
        #expect(findings.first?.code == .unseen && findings.first?.severity == .fault)
        #expect(findings.first?.why == why)
        #expect(!findings.contains { $0.code == .down })
    }
}
