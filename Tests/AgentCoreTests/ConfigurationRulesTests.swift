@testable import AgentCore
import Platform
import RuleLanguage
import TestKit
import Testing

private func examine(_ text: String) -> Findings {
    let parsed = RuleFile.parse(text, file: "t")
    return parsed.file.map { examineRules(of: $0, file: "t") } ?? Findings()
}

/// Rules by hand, one a line.
private func examine(_ rules: [Rule], of subject: RuleFile.Subject = .service("s")) -> (faults: [String], warnings: [String]) {
    let placed = rules.enumerated().map { index, rule in
        var rule = rule
        rule.place = Place(line: index + 1, column: 1)
        return rule
    }
    let findings = examineRules(of: RuleFile(subject: subject, rules: placed), file: "t")
    return (findings.faults.map(\.message), findings.warnings.map(\.message))
}

private func shown(_ faults: [Fault]) -> [String] { faults.map { "\($0.line):\($0.column) \($0.message)" + ($0.help.map { " | \($0)" } ?? "") } }

private func doing(_ kinds: Action.Kind..., when condition: Condition = compare("load:1", .above, "5")) -> Rule {
    var rule = rule(condition)
    rule.actions = kinds.map { Action($0, place: rule.place) }
    return rule
}

@Suite struct ConfigurationRulesTests {
    @Test func everyMetricOfTheCatalogueCanBeNamed() {
        for metric in metrics {
            let names: [String: String] = ["MOUNT": "/var", "INTERFACE": "eth0"]
            var name = metric.text
            for (what, example) in names { name = name.replacing(what, with: example) }
            let amount = metric.family == "up" || metric.family == "readonly" ? "0" : "5"
            #expect(
                examine("check \(metric.subject == .host ? "host" : "service s")\nif \(name) > \(amount) then alert ops") == Findings(), "\(name)")
        }
    }

    @Test(arguments: [
        (
            "check service s\nif memory:swap > 50% then alert",
            "2:18 memory:swap is no percentage and has no limit, and 50% is one | 50% of what? write an amount such as 500m"
        ),
        (
            "check host\nif load:1 > 90% then alert",
            "2:13 load:1 is no percentage and has no limit, and 90% is one | write a number such as 90"
        ),
        ("check host\nif cpu > 90%/sec then alert", "2:10 cpu is not a counter, so that it has no rate | leave /sec out of 90%/sec"),
        ("check service s\nif memory:rs > 5 then alert", "2:4 there is no metric memory:rs of a service | did you mean memory:rss?"),
        ("check host\nif disk > 5 then alert", "2:4 disk names no mount point | write it as disk(/) or disk(/var)"),
        ("check host\nif disk:var > 5 then alert", "2:4 disk:var names no mount point | write it as disk(/) or disk(/var)"),
        ("check service s\nif swap > 5 then alert", "2:4 swap is a metric of the host, not of a service | it belongs into host.inq"),
        (
            "check service s\nif cpu > 5 then alert",
            "2:4 cpu is a metric of the host, not of a service | it belongs into host.inq; of a service there is cpu:total"
        ),
        (
            "check host\nif memory:rss > 5 then alert",
            "2:4 memory:rss is a metric of services, not of the host | it belongs into a file that begins with `check service`"
        ),
        (
            "check host\nif redis:used_memory > 5 then alert",
            "2:4 redis:used_memory is a metric of services, not of the host | it belongs into the file of the service"
        ),
        ("check service s\nif redis:used_memroy > 5 then alert", "2:4 there is no metric redis:used_memroy | did you mean redis:used_memory?"),
        (
            "check service s\nif redis:used_memory > 80% then alert",
            "2:24 redis:used_memory is no percentage, and 80% is one | write an amount without %"
        ),
        ("check service s\nif mysql > 5 then alert", "2:4 mysql names no metric of mysql | write mysql:NAME"),
        (
            "check service s\nif memory:rss > 1k then alert a\nif memory:rss > 1k then alert a",
            "3:1 the same rule stands in line 2 | leave one of the two out"
        ),
        ("check host\nif disk(/) > 100% then alert", "2:14 never true: disk(/) is above 100% | it lies between 0 and 100"),
        ("check service s\nif memory:total > 100% then alert", "2:19 never true: memory:total is above 100% | it lies between 0 and 100"),
        ("check service s\nif memory:rss < 0 then alert", "2:17 never true: memory:rss is below 0 | it is never below 0"),
        ("check service s\nif memory:rss > -1 then alert", "2:17 always true: memory:rss is above -1 | it is never below 0"),
        ("check service s\nif up > 1 then alert", "2:9 never true: up is above 1 | it lies between 0 and 1"),
        (
            "check host\nif load:1 > 5 then restart",
            "2:20 the host cannot be asked to restart | of the host an alert can be sent, and a program run with exec; services are checked in files of their own"
        ),
    ])
    func aRuleThatMakesNoSenseIsAFault(text: String, fault: String) {
        #expect(shown(examine(text).faults) == [fault])
        #expect(examine(text).warnings == [])
    }

    @Test func anUnknownMetricIsAnsweredWithTheKnownOnes() {
        let host = examine("check host\nif xyz > 5 then alert").faults
        #expect(host.first?.message == "there is no metric xyz of the host")
        #expect(host.first?.help?.hasPrefix("the metrics are cpu, cpu:all, ") == true)
        let memory = examine("check service s\nif memory:frobnicated > 5 then alert").faults
        #expect(memory.first?.help?.hasPrefix("there are memory:rss, memory:total_rss, ") == true)
    }

    @Test(arguments: [
        "redis:used_memory > 500m", "memcached:cmd_touch > 5/sec", "mysql:Whatever > 5/sec", "nginx:Active_connections > 5",
        "postgresql:blk_hit_rate < 90%", "memstats:NumGC > 5/sec",
    ])
    func aDaemonsMetricIsMeasured(condition: String) {
        #expect(examine("check service s\nif \(condition) then alert") == Findings())
    }

    @Test func aRateOfADaemonsGaugeIsAWarning() {
        let findings = examine("check service s\nif redis:used_memory > 5/sec then alert")
        #expect(findings.faults == [])
        #expect(
            shown(findings.warnings) == ["2:24 redis:used_memory is not a counter: it may shrink, and its rate be below 0 | leave /sec out of 5/sec"])
    }

    @Test func daemonsHaveAtLeastTheMetricsThatInspeqtorKnows() {
        let known = ["redis": 30, "memcached": 33, "mysql": 0, "nginx": 7, "postgresql": 6, "memstats": 5]
        for (family, count) in known { #expect(daemonFamilies.first { $0.family == family }.map { $0.names.count >= count } == true, "\(family)") }
    }

    @Test func rulesThatDifferInAnythingAreTwo() {
        let text = """
            check service s
            if memory:rss > 5 then alert
            if memory:rss < 5 then alert
            if memory:rss > 5 then alert ops
            if memory:rss > 6 then restart
            if memory:total > 5 then alert
            """
        #expect(examine(text) == Findings())
    }

    @Test func aRuleThatAnotherCoversIsAWarning() {
        let more = "the rule in line 1 does the same, and never later"
        let high = rule(compare("memory:rss", .above, "500m"))
        #expect(examine([high, rule(compare("memory:rss", .above, "600m"))]).warnings == [more])
        #expect(examine([high, rule(compare("memory:rss", .above, "500m"), .cycles(3))]).warnings == [more])
        #expect(examine([high, rule(compare("memory:rss", .equal, "600m"), .time(.seconds(9)))]).warnings == [more])
        #expect(examine([high, rule(.all([compare("memory:rss", .atLeast, "600m"), compare("cpu:total", .above, "5")]))]).warnings == [more])
        // Which comes first does not matter.
        #expect(examine([rule(compare("memory:rss", .above, "600m")), high]).warnings == ["the rule in line 2 does the same, and never later"])
        var worse = rule(compare("memory:rss", .above, "600m"))
        worse.importance = .critical
        for other in [
            worse, rule(compare("memory:rss", .atLeast, "500m")), rule(compare("memory:total", .above, "600m")),
            rule(compare("memory:rss", .above, "50%")), rule(compare("memory:rss", .above, "600m", ofEachWorker: true)),
            rule(.any([compare("memory:rss", .above, "600m"), compare("cpu:total", .above, "5")])),
            rule(compare("memory:rss", .above, "600m"), clear: clear(.below, "400m")),
        ] {
            #expect(
                examine([rule(compare("memory:rss", .above, "500m")), other]).warnings.allSatisfy { !$0.contains("line 1") }, "\(other.condition)")
        }
    }

    @Test func whatContradictsItselfNeverHolds() {
        func faults(_ parts: Condition...) -> [String] { examine([rule(.all(parts))]).faults }
        #expect(
            faults(compare("cpu:total", .above, "90"), compare("cpu:total", .below, "80"))
                == ["never true: cpu:total is above 90 and below 80"])
        #expect(faults(compare("cpu:total", .above, "90"), compare("cpu:total", .below, "95")) == [])
        #expect(faults(compare("cpu:total", .above, "90"), compare("cpu:total", .atMost, "90")).count == 1)
        #expect(faults(compare("cpu:total", .atLeast, "90"), compare("cpu:total", .atMost, "90")) == [])
        #expect(faults(compare("tasks", .equal, "5"), compare("tasks", .unequal, "5")).count == 1)
        #expect(faults(compare("memory:rss", .above, "90m"), compare("memory:rss", .below, "80%")) == [])
        #expect(faults(compare("cpu:total", .above, "90", ofEachWorker: true), compare("cpu:total", .below, "80")) == [])
        #expect(faults(compare("cpu:total", .above, "90"), .all([compare("fds", .above, "1"), compare("cpu:total", .below, "80")])).count == 1)
        #expect(
            examine([rule(.any([compare("cpu:total", .above, "90"), .all([compare("fds", .above, "9"), compare("fds", .below, "5")])]))]).faults
                == ["never true: fds is above 9 and below 5"])
    }

    @Test func onlyWhatIsMeasuredOfWorkersCanBeAskedOfEach() {
        #expect(
            examine([rule(compare("memory:total", .above, "5", ofEachWorker: true))]).faults == ["memory:total is not measured of each worker"])
        #expect(examine([rule(compare("redis:used_memory", .above, "5", ofEachWorker: true))]).faults.count == 1)
        #expect(examine([rule(compare("load:1", .above, "5", ofEachWorker: true))], of: .host).faults.count == 1)
        #expect(examine([rule(compare("memory:rss", .above, "5", ofEachWorker: true))]).faults == [])
    }

    @Test(arguments: [
        (Persistence.cycles(100_001), "100001 cycles are too many: this would not fire for weeks"), (.cycles(0), "0 cycles never come"),
        (.time(.seconds(31 * 86400)), "31d is too long: a rule waits for 30 days at most"), (.time(.zero), "a time of 0s is none"),
        (.times(4, withinCycles: 3), "4 times within 3 cycles never comes true"), (.times(0, withinCycles: 3), "0 times never come"),
        (.times(4, withinCycles: 10_001), "10001 cycles are too many: 10000 are remembered"),
    ])
    func nobodyWaitsForThese(persistence: Persistence, fault: String) {
        #expect(examine([rule(compare("fds", .above, "5"), persistence)]).faults == [fault])
    }

    @Test func aLevelToClearAtLiesOnTheOtherSide() {
        func faults(_ comparison: Comparison.Operator, _ amount: String, of condition: Condition = compare("memory:rss", .above, "500m")) -> [String]
        {
            examine([rule(condition, clear: clear(comparison, amount))]).faults
        }
        #expect(faults(.below, "400m") == [])
        #expect(faults(.atMost, "500m") == [])
        #expect(faults(.below, "600m") == ["`clear < 600m` is true while the rule holds: it would fail and recover by the same value"])
        #expect(faults(.above, "400m").count == 1)
        #expect(faults(.below, "0") == ["`clear < 0` never comes true: an episode would never end"])
        #expect(faults(.below, "40%") == ["`clear < 40%` is of another kind than 500m"])
        #expect(faults(.above, "400m", of: compare("memory:rss", .below, "300m")) == [])
        #expect(
            faults(.below, "1", of: .all([compare("fds", .above, "5"), compare("tasks", .above, "5")])) == [
                "a level to clear at is for a rule with one comparison"
            ])
        #expect(examine([rule(compare("fds", .above, "5"), clear: clear(for: .times(2, withinCycles: 3)))]).faults.count == 1)
    }

    @Test func theHostIsNotRestartedByARule() {
        for kind in [Action.Kind.restart, .reload, .start, .stop, .signal([.init(signal: 15)])] {
            #expect(examine([doing(kind)], of: .host).faults.count == 1)
            var recovering = doing(.alert(route: nil))
            recovering.recoveryActions = [Action(kind, place: recovering.place)]
            #expect(examine([recovering], of: .host).faults.count == 1)
        }
        #expect(examine([doing(.alert(route: "ops"), .exec(Command(arguments: ["/bin/true"])))], of: .host) == ([], []))
    }

    @Test func aProgramThatIsNotThereIsAWarning() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("echo", to: "plain")
        let busy = compare("fds", .above, "5")
        #expect(examine([doing(.exec(Command(arguments: ["/bin/true", "x"])), when: busy)]) == ([], []))
        #expect(examine([doing(.exec(Command(arguments: ["/nowhere/heal"])), when: busy)]) == ([], ["/nowhere/heal does not exist"]))
        #expect(examine([doing(.exec(Command(arguments: [file])), when: busy)]) == ([], ["\(file) is no program"]))
        #expect(examine([doing(.exec(Command(arguments: ["/tmp"])), when: busy)]) == ([], ["/tmp is no program"]))
        #expect(examine([doing(.exec(Command(arguments: ["heal"])), when: busy)]).faults == ["`exec` needs the absolute path of a program"])
    }

    @Test func whatIsDoneTwiceIsAWarning() {
        let busy = compare("fds", .above, "5")
        #expect(examine([doing(.restart, .alert(route: nil), .restart, when: busy)]).warnings == ["`restart` stands here twice"])
        #expect(examine([doing(.alert(route: "a"), .alert(route: "b"), when: busy)]).warnings == [])
        #expect(examine([doing(.alert(route: "a"), .alert(route: "a"), when: busy)]).warnings == ["`alert a` stands here twice"])
        #expect(examine([doing(.stop, .restart, when: busy)]).warnings == ["`stop` beside `restart`"])
    }

    @Test func severalThingsAreToldAtOnce() {
        let text = "check service s\nif memory:rs > 5 then alert\nif up > 1 then alert\nif memory:swap > 5% then alert"
        #expect(examine(text).faults.map(\.line) == [2, 3, 4])
    }

    @Test func manyRulesTakeNoTime() {
        let rules = (0..<3000).map { rule(compare("memory:rss", .above, "\(3000 - $0)m")) }
        #expect(examine(rules).warnings.count > 0)
    }
}
