import AgentCore
import Platform
import RuleLanguage
import Testing

private func examine(_ text: String) -> Findings {
    let parsed = RuleFile.parse(text, file: "t")
    return parsed.file.map { examineRules(of: $0, file: "t") } ?? Findings()
}

private func shown(_ faults: [Fault]) -> [String] { faults.map { "\($0.line):\($0.column) \($0.message)" + ($0.help.map { " | \($0)" } ?? "") } }

@Suite struct ConfigurationRulesTests {
    @Test func aFurtherAlertOfARuleIsWarnedAbout() {
        let findings = examine("check service s\nif memory:rss > 5m then alert ops, restart, alert team")
        #expect(findings.faults == [])
        #expect(shown(findings.warnings) == ["2:45 only the first alert of a rule is sent: write the rule again, with this one"])
    }

    @Test func everyMetricOfTheCatalogueCanBeNamed() {
        for metric in metrics {
            let subject = metric.subject == .host ? "host" : "service s"
            let name = metric.text == "disk(MOUNT)" ? "disk(/var)" : metric.text
            #expect(examine("check \(subject)\nif \(name) > 5 then alert ops") == Findings(), "\(name)")
        }
    }

    @Test(arguments: [
        (
            "check service s\nif memory:rss > 50% then alert",
            "2:17 memory:rss is no percentage, and 50% is one | 50% of what? write an amount such as 500m"
        ),
        ("check host\nif load:1 > 90% then alert", "2:13 load:1 is no percentage, and 90% is one | write a number such as 90"),
        ("check host\nif cpu > 90%/sec then alert", "2:10 cpu is not a counter, so that it has no rate | leave /sec out of 90%/sec"),
        ("check service s\nif memory:rs > 5 then alert", "2:4 there is no metric memory:rs of a service | did you mean memory:rss?"),
        (
            "check service s\nif memory:frobnicated > 5 then alert",
            "2:4 there is no metric memory:frobnicated of a service | there are memory:rss, memory:total_rss, memory:total"
        ),
        (
            "check host\nif xyz > 5 then alert",
            "2:4 there is no metric xyz of the host | the metrics are cpu, cpu:user, cpu:system, cpu:iowait, cpu:steal, load:1, load:5, load:15, swap, memory:available, memory:total, disk(MOUNT)"
        ),
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
            "check service s\nif memory:rss > 1k then alert a\nif memory:rss > 1024 then alert a",
            "3:1 the same rule stands in line 2 | leave one of the two out"
        ),
    ])
    func aRuleThatMakesNoSenseIsAFault(text: String, fault: String) {
        #expect(shown(examine(text).faults) == [fault])
        #expect(examine(text).warnings == [])
    }

    @Test func rulesThatDifferInAnythingAreTwo() {
        let text = """
            check service s
            if memory:rss > 5 then alert
            if memory:rss < 5 then alert
            if memory:rss > 6 then alert
            if memory:rss > 5 for 2 cycles then alert
            if memory:rss > 5 then alert ops
            if memory:rss > 5 then restart
            if memory:total > 5 then alert
            """
        #expect(examine(text) == Findings())
    }

    @Test(arguments: [
        "redis:used_memory", "memcached:cmd_touch", "mysql:Whatever", "nginx:Active_connections", "postgresql:blk_hit_rate", "memstats:NumGC",
    ])
    func aDaemonsMetricIsAWarning(metric: String) {
        let findings = examine("check service s\nif \(metric) > 5%/sec then alert")
        #expect(findings.faults == [])
        #expect(shown(findings.warnings) == ["2:4 nothing measures \(metric) yet: this rule cannot fire"])
    }

    @Test func daemonsHaveAtLeastTheMetricsThatInspeqtorKnows() {
        let known = ["redis": 30, "memcached": 33, "mysql": 0, "nginx": 7, "postgresql": 6, "memstats": 5]
        for (family, count) in known { #expect(daemonFamilies.first { $0.family == family }.map { $0.names.count >= count } == true, "\(family)") }
    }
}
