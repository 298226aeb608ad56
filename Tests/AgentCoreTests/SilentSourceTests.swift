// Init systems that cannot be asked, and services that several of them know.

import AgentAPI
@testable import AgentCore
import Platform
import Testing

private let refusal = "the agent may not ask upstart: its socket is root's alone"

@Suite struct SilentSourceTests {
    @Test func whatOnlyASourceThatRefusesMayKnowIsUnknownNotDown() throws {
        let bed = try AgentBed([.init(name: "web"), .init(name: "batch")])
        bed.start()
        bed.agent.sourceFailed(bed.upstart, why: refusal)
        #expect(bed.events == [], "systemd may still know them")
        for name in ["web", "batch"] { bed.systemd.knowsNothing(of: name) }
        bed.turn()
        #expect(bed.isReady)
        #expect(bed.events == ["source_failed: upstart: \(refusal)"], "one event, and nothing is said to be down")
        #expect(bed.phases == ["web": .unknown, "batch": .unknown])
        #expect(bed.sink.snapshots.last?.units.map(\.detail) == [refusal, refusal])
        let status = bed.ask(.status).text
        #expect(status.contains("upstart has not answered since") && status.contains(refusal), "\(status)")
        let explanation = bed.ask(.explain(unit: "web", rule: nil))
        #expect(explanation.text.contains("web: unknown") && explanation.text.contains(refusal), "\(explanation.text)")
        // The socket opens.
        bed.agent.sourceRecovered(bed.upstart)
        bed.upstart.runs("web")
        bed.upstart.tells(.failed, of: "batch", exit: .exited(status: 2), restartsByItself: false)
        bed.turn(for: .milliseconds(100))
        #expect(bed.phases["web.service"] == .up)
        #expect(bed.events.dropFirst().first == "source_recovered: upstart answers again")
        #expect(bed.events.count == 3 && bed.events.last?.hasPrefix("unit_down: ") == true, "\(bed.events)")
        #expect(!bed.ask(.status).text.contains("has not answered"))
    }

    @Test func aSourceThatRefusesIsNoMatterWhereAnotherAnswers() throws {
        let bed = try AgentBed([.init(name: "puma"), .init(name: "redis")])
        bed.start()
        bed.agent.sourceFailed(bed.upstart, why: refusal)
        bed.systemd.runs("puma")
        bed.systemd.tells(.stopped, of: "redis", restartsByItself: false)
        bed.turn()
        #expect(bed.phases == ["puma.service": .up, "redis.service": .down], "an idle unit that is known is not doubted")
        #expect(!bed.events.contains { $0.hasPrefix("source_failed") }, "\(bed.events)")
        #expect(bed.ask(.status).text.contains(refusal), "who asks is told")
        #expect(bed.ask(.explain(unit: "redis", rule: nil)).text.contains("upstart cannot be asked: \(refusal)"))
        bed.agent.sourceRecovered(bed.upstart)
        #expect(!bed.events.contains { $0.hasPrefix("source_") })
    }

    @Test func aSourceIsMissedAsSoonAsAUnitNeedsIt() throws {
        let bed = try AgentBed([.init(name: "puma")])
        bed.start()
        bed.systemd.runs("puma")
        bed.upstart.knowsNothing(of: "puma")
        bed.agent.sourceFailed(bed.upstart, why: refusal)
        #expect(bed.events == [])
        bed.systemd.knowsNothing(of: "puma")
        bed.turn(for: .milliseconds(100))
        #expect(bed.events.first == "source_failed: upstart: \(refusal)")
    }

    @Test func aCheckThatNamesItsInitSystemNeedsIt() throws {
        let bed = try AgentBed([.init(name: "puma", initSystem: "upstart")])
        bed.start()
        bed.agent.sourceFailed(bed.upstart, why: refusal)
        bed.turn()
        #expect(bed.events == ["source_failed: upstart: \(refusal)"])
        #expect(bed.phases == ["puma": .unknown] && bed.isReady)
    }

    @Test func aPatternWithoutAUnitWaitsForEachSource() throws {
        let bed = try AgentBed([.init(name: "web@*", kind: .pattern), .init(name: "worker@*", kind: .pattern)])
        bed.start()
        bed.systemd.finds("web@1", for: "web@*")
        bed.systemd.finds("worker@1", for: "worker@*", pid: 101)
        bed.agent.sourceFailed(bed.upstart, why: refusal)
        #expect(bed.events == [], "both have found units")
        let other = try AgentBed([.init(name: "worker@*", kind: .pattern)])
        other.start()
        other.agent.sourceFailed(other.upstart, why: refusal)
        #expect(other.events == ["source_failed: upstart: \(refusal)"])
    }

    @Test func whatWasSaidBeforeAFailureIsNotBelievedAfterIt() throws {
        let bed = try AgentBed([.init(name: "puma")])
        bed.start()
        bed.upstart.runs("puma", pid: 5)
        bed.systemd.knowsNothing(of: "puma")
        bed.turn()
        #expect(bed.sink.snapshots.last?.units.first?.initSystem == "upstart")
        bed.agent.sourceFailed(bed.upstart, why: "the bus is gone")
        bed.turn()
        #expect(bed.phases == ["puma.service": .unknown])
        bed.agent.sourceRecovered(bed.upstart)
        bed.systemd.knowsNothing(of: "puma")
        bed.upstart.runs("puma", pid: 5)
        bed.turn()
        #expect(bed.phases == ["puma.service": .up])
        #expect(bed.events == ["source_failed: upstart: the bus is gone", "source_recovered: upstart answers again"])
    }

    @Test func oneUnitThatMayNotBeLookedAtHidesNoOther() throws {
        let why = "the agent may not look at /etc/service/db/supervise: runit's supervise folders are root's"
        let bed = try AgentBed(["web", "db", "mail"].map { .init(name: $0, initSystem: "upstart") })
        bed.start()
        bed.upstart.runs("web")
        func hide(_ name: String) { bed.upstart.says(Observation(request: name, presence: .hidden, unit: name, activity: .stopped, detail: why)) }
        hide("db")
        hide("mail")
        bed.turn()
        #expect(bed.isReady)
        #expect(bed.phases == ["web.service": .up, "db": .unknown, "mail": .unknown])
        #expect(bed.events == ["source_failed: upstart: \(why)"], "one event for all of them")
        #expect(bed.ask(.status).text.contains(why))
        bed.upstart.runs("db", pid: 200)
        bed.turn()
        #expect(bed.phases["db.service"] == .up && bed.events.count == 1)
        bed.upstart.runs("mail", pid: 300)
        bed.turn()
        #expect(bed.phases["mail.service"] == .up)
        #expect(bed.events.dropFirst() == ["source_recovered: upstart answers again"])
    }
}

@Suite struct SeveralInitSystemsStories {
    @Test func whoRunsAServiceAnswersForIt() throws {
        let bed = try AgentBed([.init(name: "kiosk")])
        bed.start()
        bed.systemd.tells(.stopped, of: "kiosk", run: nil, restartsByItself: false)
        #expect(!bed.isReady && bed.events == [], "upstart has not spoken yet")
        bed.upstart.runs("kiosk", pid: 7)
        bed.turn()
        #expect(bed.isReady && bed.events == [])
        #expect(bed.sink.snapshots.last?.units.map(\.initSystem) == ["upstart"])
        let words = bed.ask(.explain(unit: "kiosk", rule: nil)).text
        #expect(words.contains("upstart runs it (active/running); systemd also knows kiosk.service (stopped)"), "\(words)")
    }

    @Test func itAnswersAsLongAsTheServiceRunsAndAfterwards() throws {
        let bed = try AgentBed([.init(name: "kiosk")])
        bed.start()
        bed.systemd.tells(.stopped, of: "kiosk", run: nil, restartsByItself: false)
        bed.upstart.runs("kiosk", pid: 7, restartsByItself: false)
        bed.systemd.tells(.failed, of: "kiosk", run: nil, restartsByItself: false)
        bed.turn()
        #expect(bed.events == [], "what systemd says of the idle unit is not the service's news")
        bed.upstart.tells(.failed, of: "kiosk", exit: .signaled(9), restartsByItself: false)
        bed.turn(for: .milliseconds(100))
        #expect(bed.events.count == 1 && bed.events.first?.hasPrefix("unit_down: killed by SIGKILL") == true, "\(bed.events)")
        #expect(bed.sink.snapshots.last?.units.map(\.initSystem) == ["upstart"])
        // It moves to systemd.
        bed.systemd.runs("kiosk", run: "B", pid: 8)
        bed.turn(for: .milliseconds(100))
        #expect(bed.events.last == "unit_up: is running (active/running)")
        #expect(bed.sink.snapshots.last?.units.map(\.initSystem) == ["systemd"])
    }

    @Test func aUnitThatIsIdleEverywhereIsTheFirstOnes() throws {
        let bed = try AgentBed([.init(name: "kiosk")])
        bed.start()
        bed.upstart.tells(.stopped, of: "kiosk", run: nil, restartsByItself: false)
        bed.systemd.tells(.stopped, of: "kiosk", run: nil, restartsByItself: false)
        bed.turn()
        #expect(bed.phases == ["kiosk.service": .down])
        #expect(bed.sink.snapshots.last?.units.map(\.initSystem) == ["systemd"])
    }
}
