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
                puma.service  up       -      100  12.3%  1.0m    memory:total_rss > 500
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

    /// `explain` has the whole rules.
    @Test func statusSaysOfManyFailingRulesOnlyTheFirst() throws {
        let rules = [
            rule(.above, 1), rule(.above, 2), rule(.above, 3),
        ]
        let bed = try AgentBed([.init(name: "puma", rules: rules)], cycle: .seconds(15))
        bed.startWithPuma()
        bed.cycle(600)
        #expect(bed.ask(.status).text.contains("memory:total_rss > 1; memory:total_rss > 2; 1 more\n"))
        #expect(bed.ask(.status).json["services"]?["puma.service"]?["failing_rules"]?.array?.count == 3)
    }

    @Test func statusShowsJobs() throws {
        let backup = Job(name: "backup", schedule: .every(.seconds(3600)), place: Place(line: 1, column: 1))
        let bed = try AgentBed([], cycle: .seconds(15), jobs: [backup], timers: [.init(pattern: "*.timer")])
        bed.start()
        _ = bed.ask(.jobDone(name: "backup", exitStatus: 2))
        bed.agent.job(
            DiscoveredJob(
                name: "rotate.timer", unit: "rotate.service", lastStart: Timestamp("2026-11-21T02:00:00Z"),
                nextDue: Timestamp("2026-11-22T02:00:00Z"), isRunning: false, lastExit: .exited(status: 0)))
        #expect(
            bed.ask(.status).text.hasSuffix(
                """

                JOB           LAST RUN              NEXT DUE              STATE
                backup        2026-11-21T03:00:00Z  2026-11-21T04:01:00Z  failed
                rotate.timer  2026-11-21T02:00:00Z  2026-11-22T02:00:00Z  ok

                """))
        #expect(bed.ask(.status).json["jobs"]?.array?.map { $0["name"] } == ["backup", "rotate.timer"])
        #expect(bed.ask(.jobs).text.contains("rotate.timer  starts rotate.service  ok"))
    }

    @Test func explainSaysHowAUnitWithoutRulesIs() throws {
        let bed = try AgentBed([.init(name: "puma")], cycle: .seconds(15))
        bed.start()
        bed.systemd.runs("puma")
        bed.cycle()
        #expect(
            bed.ask(.explain(unit: "puma", rule: nil)).text == """
                puma.service: up, main process 100; systemd says active/running
                  no rules: you are alerted when it goes down

                """)
        bed.systemd.tells(.failed, of: "puma", exit: .exited(status: 3), restartsByItself: false)
        let answer = bed.ask(.explain(unit: "puma", rule: nil))
        #expect(answer.isGood && answer.text.hasPrefix("puma.service: down since 2026-11-21T03:00:15Z; exited with status 3 (failed)\n"))
    }

    @Test func aPatternWithoutUnitsIsSeen() throws {
        let bed = try AgentBed([.init(name: "sidekiq@*", kind: .pattern)], cycle: .seconds(15))
        bed.start()
        let words = "sidekiq@* matches no unit at present\n"
        #expect(bed.ask(.status).text.contains(words))
        #expect(bed.ask(.status).json["patterns_without_units"] == ["sidekiq@*"])
        #expect(bed.ask(.explain(unit: "sidekiq@*", rule: nil)).text == words)
        #expect(bed.ask(.explain(unit: nil, rule: nil)).text == words)
        bed.systemd.finds("sidekiq@1.service", for: "sidekiq@*")
        #expect(!bed.ask(.status).text.contains("matches no unit"))
        #expect(bed.ask(.explain(unit: "sidekiq@*", rule: nil)).text.hasPrefix("sidekiq@1.service: up"))
    }

    @Test func anInstanceWithItsOwnCheckSaysWhatDoesNotApply() throws {
        let pattern = WatchPlan.Service(name: "sidekiq@*", kind: .pattern, route: "jobs", place: "/etc/rollcall/services.d/sidekiq.inq:1")
        let bed = try AgentBed([pattern, .init(name: "sidekiq@1")], cycle: .seconds(15))
        bed.start()
        bed.systemd.runs("sidekiq@1")
        bed.systemd.finds("sidekiq@2.service", for: "sidekiq@*")
        #expect(
            bed.ask(.explain(unit: "sidekiq@1", rule: nil)).text.contains(
                "  `sidekiq@*` at /etc/rollcall/services.d/sidekiq.inq:1 matches it too: that check's rules and owner do not apply to it\n"))
        #expect(
            bed.ask(.explain(unit: "sidekiq@2", rule: nil)).text.contains(
                "  found by the check `sidekiq@*` at /etc/rollcall/services.d/sidekiq.inq:1\n"))
    }
}

/// `mysql.service` is a link to `mariadb.service`, and two teams check it, each by the name that it knows.
@Suite struct AliasTests {
    private func bed() throws -> AgentBed {
        let rules = [rule(.above, 500)]
        let bed = try AgentBed(
            [
                .init(name: "mysql", rules: rules, route: "web", place: "/etc/rollcall/services.d/mysql.inq:1"),
                .init(name: "mariadb", rules: rules, route: "dba", place: "/etc/rollcall/services.d/mariadb.inq:1"),
            ], cycle: .seconds(15))
        bed.start()
        says(bed, .running)
        bed.cycle()
        return bed
    }

    private func says(_ bed: AgentBed, _ activity: Observation.Activity, run: String = "A", pid: Int32 = 100) {
        for name in ["mysql", "mariadb"] {
            bed.systemd.says(
                Observation(
                    request: name, unit: "mariadb.service", activity: activity, detail: "\(activity)", run: run,
                    mainProcess: activity == .running ? ProcessIdentity(pid: pid, startTicks: UInt64(pid)) : nil,
                    lastExit: activity == .failed ? .exited(status: 1) : nil))
        }
    }

    @Test func everyOwnerHears() throws {
        let bed = try bed()
        for key in ["mysql", "mariadb"] { bed.sampler.units[key] = ["memory:total_rss": 600] }
        bed.cycle()
        says(bed, .failed)
        #expect(bed.told.filter { $0.hasPrefix("rule_failed") }.sorted() == ["rule_failed dba", "rule_failed web"])
        #expect(bed.told.filter { $0.hasPrefix("unit_down") }.sorted() == ["unit_down dba", "unit_down web"])
    }

    /// One restart is one event, whoever hears of it.
    @Test func aRestartIsReportedOnceToAll() throws {
        let bed = try bed()
        says(bed, .running, run: "B", pid: 200)
        #expect(bed.told == ["unit_restarted web dba"])
    }

    @Test func aSnapshotHasTheUnitOnceWithAllThatFails() throws {
        let bed = try bed()
        bed.sampler.units["mariadb"] = ["memory:total_rss": 600]
        bed.cycle()
        let states = try #require(bed.sink.snapshots.last).units
        #expect(states.map(\.name) == ["mariadb.service"])
        #expect(states[0].failingRules == ["if memory:total_rss > 500 then alert"])
        #expect(states[0].samples.contains(Sample("memory:total_rss", 600)))
    }

    @Test func exportAndStatusHaveBothChecks() throws {
        let bed = try bed()
        let services = try #require(bed.ask(.export).json["services"]?.members)
        #expect(services.map(\.name) == ["mysql", "mariadb.service"])
        #expect(services.map { $0.value["check"] } == ["mysql", "mariadb"])
        #expect(bed.ask(.status).text.contains("\nmariadb.service (mysql)  up") && bed.ask(.status).text.contains("\nmariadb.service          up"))
    }

    @Test func explainNamesTheOtherCheck() throws {
        let bed = try bed()
        #expect(
            bed.ask(.explain(unit: "mysql", rule: nil)).text.contains(
                "  `mysql` is another name of mariadb.service, which is also checked as `mariadb` at /etc/rollcall/services.d/mariadb.inq:1\n"))
        #expect(
            bed.ask(.explain(unit: "mariadb.service", rule: nil)).text.contains(
                "  also checked as `mysql` at /etc/rollcall/services.d/mysql.inq:1, which is another name of it\n"))
    }
}

/// What a rule about killed processes says.
@Suite struct KillTests {
    private let kills = rule(
        .above, 0, perSecond: true, text: "0/sec", metric: MetricName("memory", "oom_kills"), actions: [.alert(route: nil), .restart])

    private func bed() throws -> AgentBed {
        let bed = try AgentBed([.init(name: "puma", rules: [kills])], cycle: .seconds(15))
        bed.startWithPuma()
        for value in [0.0, 15] {
            bed.sampler.units["puma"] = ["memory:oom_kills": value]
            bed.cycle()
        }
        return bed
    }

    @Test func theEventSaysWhatWasKilled() throws {
        let bed = try bed()
        #expect(bed.told == [])
        #expect(bed.evidence.killsAsked == ["/system.slice/puma.service 50 s"])
        bed.evidence.answerKills?(["python3 (pid 123, 56.8m resident)"])
        #expect(
            bed.events == ["rule_failed: memory:oom_kills is 1/sec, above 0/sec; the kernel killed python3 (pid 123, 56.8m resident)"])
        bed.cycle()
        #expect(bed.told.last == "rule_recovered default")
    }

    @Test func aSilentLogIsSaidToBeSilent() throws {
        let bed = try bed()
        bed.evidence.answerKills?([])
        #expect(bed.events == ["rule_failed: memory:oom_kills is 1/sec, above 0/sec; the kernel's log does not say which process"])
    }

    /// A log that hangs loses nothing and turns nothing round.
    @Test func theFailureComesBeforeItsEnd() throws {
        let bed = try bed()
        bed.cycle()
        #expect(bed.told == ["rule_failed default", "rule_recovered default"])
        bed.evidence.answerKills?(["python3 (pid 123)"])
        #expect(bed.told.count == 2)
    }

    @Test func anAgentThatStopsReportsItAll() throws {
        let bed = try bed()
        bed.agent.stop()
        #expect(bed.told == ["rule_failed default", "agent_stopped default"])
    }
}
