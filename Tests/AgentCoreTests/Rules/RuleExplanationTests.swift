import AgentCore
import Platform
import RuleLanguage
import Testing

private func moment(_ seconds: Double) -> Moment {
    Moment(wall: Timestamp("2026-11-25T12:00:00Z")! + .seconds(seconds), uptime: .seconds(seconds))
}

/// What a rule says of itself after these cycles, a second apart.
private func explanation(
    _ rule: Rule, _ cycles: [[String: Double]], workers: [Int32: [String: Double]] = [:], absence: Absence? = nil
) -> RuleExplanation {
    var evaluator = RuleEvaluator(rule: rule, of: .service)
    for (second, values) in cycles.enumerated() {
        let workers = workers.sorted { $0.key < $1.key }.map { (process: ProcessIdentity(pid: $0.key, startTicks: 7), values: $0.value) }
        _ = evaluator.observe(Readings(values: values, workers: workers), at: moment(Double(second)))
    }
    return evaluator.explanation(at: moment(Double(cycles.count))) { _ in absence }
}

private let memory = compare("memory:total", .above, "80%")

@Suite struct RuleExplanationTests {
    @Test func whatIsMissingUntilItFires() {
        let explained = explanation(rule(memory, .cycles(3)), Array(repeating: ["memory:total": 85, "memory:limit": 100], count: 2))
        #expect(
            explained.text == """
                if memory:total > 80% for 3 cycles then alert
                  memory:total > 80%: holds, it is 85.0% (85 of 100)
                  holds for 2 of 3 cycles; fires after 1 more cycle

                """)
        #expect(
            explained.json.text
                == #"{"rule":"if memory:total > 80% for 3 cycles then alert","importance":"error","state":"holding","readings":[{"comparison":"memory:total > 80%","value":85,"worker":null,"holds":true,"absence":null}],"outside_its_hours":false,"progress":"for 2 of 3 cycles","missing":"1 more cycle"}"#
        )
    }

    @Test func eachPersistenceHasItsWords() {
        let high = Array(repeating: ["memory:total": 85.0, "memory:limit": 100], count: 11)
        func sentence(_ rule: Rule, _ cycles: [[String: Double]]) -> String {
            explanation(rule, cycles).text.split(separator: "\n").last.map { $0.trimmingPrefix("  ") }.map(String.init) ?? ""
        }
        #expect(sentence(rule(memory, .time(.seconds(30))), high) == "holds for 10s of 30s; fires after 20s more")
        #expect(
            sentence(rule(memory, .times(5, withinCycles: 9)), Array(high.prefix(3)))
                == "holds 3 of 5 times within 9 cycles; fires after 2 more times")
        #expect(
            sentence(rule(memory, .times(5, withinCycles: 9)), [high[0], ["memory:total": 1, "memory:limit": 2]])
                == "held 1 of 5 times within 9 cycles; fires after 4 more times")
        #expect(sentence(rule(memory, .time(.seconds(60))), []) == "cannot be judged now")
        #expect(sentence(rule(memory), [["memory:total": 5, "memory:limit": 100]]) == "fires when it holds for 1 cycle")
        #expect(sentence(rule(memory), [high[0], high[0]]) == "failing since 2026-11-25T12:00:00Z; over when it is clear for 1 cycle")
        #expect(
            sentence(rule(memory, clear: clear(for: .cycles(3))), [high[0], ["memory:total": 5, "memory:limit": 100]])
                == "failing since 2026-11-25T12:00:00Z; clear for 1 of 3 cycles, over after 2 more cycles")
    }

    @Test func whatCannotBeMeasuredSaysWhy() {
        func why(_ rule: Rule, _ values: [String: Double], _ absence: Absence?) -> String? {
            explanation(rule, [values], absence: absence).readings.first?.absence
        }
        #expect(why(rule(memory), [:], .failed("cannot open /sys/fs/cgroup")) == "cannot open /sys/fs/cgroup")
        #expect(why(rule(memory), [:], .nothing) == "there is nothing to measure")
        #expect(why(rule(memory), [:], nil) == "it was not measured in the last cycle")
        #expect(why(rule(memory), ["memory:total": 5], .notYet) == "memory:limit, of which it is a part, is unknown: it needs a second look")
        #expect(why(rule(compare("io:read", .above, "5/sec")), ["io:read": 5], nil) == "a rate needs two looks at a value that grows")
        #expect(why(rule(compare("memory:rss", .above, "5", ofEachWorker: true)), [:], nil) == "it has no workers, or they cannot be seen")
    }

    @Test func theWorkerThatItIsAboutIsNamed() {
        let explained = explanation(
            rule(compare("memory:rss", .above, "90", ofEachWorker: true)), [[:]], workers: [3: ["memory:rss": 5], 4711: ["memory:rss": 95]])
        #expect(explained.readings.first?.worker == 4711)
        #expect(explained.text.contains("holds, it is 95 (worker 4711)"))
    }

    @Test func outsideItsHoursItSaysSo() {
        // 25 November is a Wednesday; whole days around it, so that every time zone agrees.
        let hours = TimeWindow([.init(days: [0, 6], from: 0, to: 1440)])
        let explained = explanation(rule(memory, window: .during(hours)), [["memory:total": 85, "memory:limit": 100]])
        #expect(explained.state == .outsideItsHours)
        #expect(explained.text.contains("outside its hours: not judged now"))
    }
}
