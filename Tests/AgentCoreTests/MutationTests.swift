import AgentCore
import Platform
import RuleLanguage
import TestKit
import Testing

private func moment(_ seconds: Double) -> Moment {
    Moment(wall: Timestamp("2026-11-21T03:00:00Z")! + .seconds(seconds), uptime: .seconds(seconds))
}

private let memory = compare("memory:rss", .above, "90")

@Suite struct MutationTests {
    @Test func noStateMakesARuleCrash() throws {
        let seeds = Mutations.seeds("rule-state")
        let rules = [
            rule(memory, .cycles(3)), rule(memory, .times(3, withinCycles: 4)), rule(memory, .time(.seconds(60)), clear: clear(for: .cycles(2))),
            rule(compare("io:read", .above, "10/sec"), .time(.seconds(60))),
        ]
        let fresh = rules.map { RuleEvaluator(rule: $0, of: .service) }
        let readings = Readings(values: ["memory:rss": 95, "io:read": 500])
        Mutations.run(seeds: seeds) { bytes in
            guard let state = try? JSON(parsing: bytes) else { return }
            var rules = fresh
            RuleEvaluator.restore(state, to: &rules, boot: "A")
            for index in rules.indices {
                _ = rules[index].observe(readings, at: moment(5))
                _ = rules[index].explanation(at: moment(6)).text
            }
        }
    }
}
