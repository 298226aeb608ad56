import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import Testing
import TestKit

@Suite struct ControlTests {
    private func bed() throws -> AgentBed {
        let puma = WatchPlan.Service(name: "puma", rules: [rule(.above, 500, actions: [.alert(route: nil)])], route: "web")
        let bed = try AgentBed([puma, .init(name: "redis")], host: [rule(.above, 8, metric: MetricName("load", "1"))], cycle: .seconds(15))
        bed.start()
        bed.systemd.runs("puma")
        bed.systemd.knowsNothing(of: "redis")
        bed.upstart.knowsNothing(of: "redis")
        bed.sampler.host = ["load:1": 0.5]
        bed.sampler.units["puma"] = ["memory:total_rss": 600, "cpu:total": 12.34, "memory:total": 1_048_576]
        bed.cycle()
        return bed
    }

    @Test func statusIsACalmTable() throws {
        let answer = try bed().ask(.status)
        #expect(
            answer.text == """
                rollcall-agent 1.0, watching 2 services, 1 down
                host: agent:lateness 0.0 s, load:1 0.50

                UNIT          STATE    SINCE  PID  CPU    MEMORY  FAILING
                puma.service  up       -      100  12.3%  1.0m    if memory:total_rss > 500 then alert
                redis         unknown  -      -    -      -       -

                """)
    }

    @Test func exportHasInspeqtorsShape() throws {
        let json = try bed().ask(.export).json
        #expect(json["host"]?["name"] == "web1" && json["host"]?["metrics"]?["load:1"] == 0.5)
        let puma = json["services"]?["puma.service"]
        #expect(puma?["name"] == "puma.service" && puma?["pid"] == 100 && puma?["metrics"]?["cpu:total"] == 12.34)
        #expect(json["exported_at"] == "2026-11-21T03:00:15Z")
    }

    @Test func showAnswersWithWhatWasRecorded() throws {
        let bed = try bed()
        #expect(bed.ask(.show(unit: "puma", metric: "cpu:total")).text.hasPrefix("puma.service cpu:total min 12.3% max 12.3%"))
        #expect(bed.ask(.show(unit: nil, metric: "load:1")).isGood)
        #expect(bed.ask(.show(unit: "host", metric: "load:1")).isGood)
        #expect(bed.ask(.show(unit: "puma", metric: "nonsense")).text.hasPrefix("nonsense of puma.service is not recorded; there are "))
        #expect(bed.ask(.history).json["units"]?["puma.service"] != nil)
    }

    @Test func explainSaysHowRulesStand() throws {
        let bed = try bed()
        let all = bed.ask(.explain(unit: nil, rule: nil))
        #expect(all.text.contains("host: if load:1 > 8 then alert\n") && all.text.contains("puma.service: if memory:total_rss > 500 then alert\n"))
        #expect(bed.ask(.explain(unit: "puma", rule: "total_rss")).json["rules"]?.array?.count == 1)
        #expect(!bed.ask(.explain(unit: "puma", rule: "swap")).isGood)
    }

    @Test func anOrderIsCarriedOutAndRecordedWithWhoGaveIt() throws {
        let bed = try bed()
        #expect(bed.ask(.act(.restart, unit: "puma"), from: "alice").isGood)
        bed.systemd.finish()
        bed.systemd.runs("puma", run: "B", pid: 200)
        #expect(bed.events.last == "action_succeeded: restarted, because alice asked")
        #expect(!bed.ask(.act(.stop, unit: "nothing")).isGood)
    }

    @Test func jobsAreReportedAndListed() throws {
        let place = Place(line: 1, column: 1)
        let backup = Job(name: "backup", schedule: .every(.seconds(3600)), longestRun: .seconds(600), place: place)
        let bed = try AgentBed([], cycle: .seconds(15), jobs: [backup])
        bed.start()
        #expect(bed.ask(.jobs).text.hasPrefix("JOB     SCHEDULE"))
        #expect(bed.ask(.jobStarted(name: "backup")).isGood)
        #expect(bed.ask(.jobDone(name: "backup", exitStatus: 2)).isGood)
        #expect(bed.events == ["job_failed: backup ended with status 2 after 0 s"])
        _ = bed.ask(.jobDone(name: "backup", exitStatus: nil))
        bed.cycle(after: .seconds(3661))
        #expect(bed.told == ["job_failed night", "job_ran night", "job_overdue night"])
        #expect(bed.ask(.jobDone(name: "bakcup", exitStatus: nil)).text == "there is no job bakcup; there are backup\n")
    }
}
