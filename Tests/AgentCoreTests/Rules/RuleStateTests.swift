import AgentCore
import Platform
import RuleLanguage
import Testing

private func moment(_ seconds: Double) -> Moment {
    Moment(wall: Timestamp("2026-11-21T03:00:00Z")! + .seconds(seconds), uptime: .seconds(seconds))
}

extension RuleEvaluator {
    fileprivate mutating func see(_ metric: String, _ value: Double, _ seconds: Double) -> Outcome {
        observe(Readings(values: [metric: value]), at: moment(seconds))
    }

    /// As a later start of the agent goes on.
    fileprivate func restarted(boot: String = "A", as rule: Rule? = nil) -> RuleEvaluator {
        var later = RuleEvaluator(rule: rule ?? self.rule, of: .service)
        if let state = state(boot: "A"), let read = try? JSON(parsing: state.bytes) { later.restore(read, boot: boot) }
        return later
    }
}

private let memory = compare("memory:rss", .above, "90")

@Suite struct RuleStateTests {
    @Test func whatWasCountedBeforeARestartCountsAfterIt() {
        var evaluator = RuleEvaluator(rule: rule(memory, .cycles(3)), of: .service)
        for second in [1.0, 2] { #expect(evaluator.see("memory:rss", 95, second) == .none) }
        evaluator = evaluator.restarted(boot: "B")
        #expect(evaluator.see("memory:rss", 95, 3) != .none)
    }

    @Test func theTimeInWhichNobodyLookedIsNoTimeOfHolding() {
        var evaluator = RuleEvaluator(rule: rule(memory, .time(.seconds(30))), of: .service)
        for second in [0.0, 20] { #expect(evaluator.see("memory:rss", 95, second) == .none) }
        evaluator = evaluator.restarted()
        for second in [100.0, 109] { #expect(evaluator.see("memory:rss", 95, second) == .none) }
        #expect(evaluator.see("memory:rss", 95, 110) != .none)
    }

    @Test func timesWithinCyclesAreRememberedInTheirOrder() {
        var evaluator = RuleEvaluator(rule: rule(memory, .times(3, withinCycles: 4)), of: .service)
        for (second, value) in [1.0, 95, 1, 1, 1, 95, 95].enumerated() { #expect(evaluator.see("memory:rss", value, Double(second)) == .none) }
        evaluator = evaluator.restarted()
        #expect(evaluator.see("memory:rss", 5, 10) == .none)
        #expect(evaluator.see("memory:rss", 95, 11) != .none)
    }

    @Test func anEpisodeIsNotToldTwice() {
        var evaluator = RuleEvaluator(rule: rule(memory, clear: clear(for: .cycles(2))), of: .service)
        #expect(evaluator.see("memory:rss", 95, 1) != .none)
        #expect(evaluator.see("memory:rss", 5, 2) == .none)
        evaluator = evaluator.restarted(boot: "B")
        #expect(evaluator.isFailing)
        #expect(evaluator.explanation(at: moment(3)).state == .failing(since: moment(1).wall))
        #expect(evaluator.see("memory:rss", 5, 3) == .recovered("memory:rss is 5 again, below 90 for 2 cycles"))
    }

    @Test func growthIsOfOneBoot() {
        for (boot, isSameBoot) in [("A", true), ("B", false)] {
            var evaluator = RuleEvaluator(rule: rule(compare("io:read", .above, "10/sec")), of: .service)
            #expect(evaluator.see("io:read", 1_234_567_890_123, 100) == .none)
            evaluator = evaluator.restarted(boot: boot)
            #expect((evaluator.see("io:read", 1_234_567_890_223, 101) != .none) == isSameBoot)
        }
    }

    @Test func anotherRuleRemembersNothingOfIt() {
        var evaluator = RuleEvaluator(rule: rule(memory), of: .service)
        #expect(evaluator.see("memory:rss", 95, 1) != .none)
        #expect(!evaluator.restarted(as: rule(compare("memory:rss", .above, "91"))).isFailing)
        var quiet = rule(memory)
        quiet.actions = []
        quiet.importance = .critical
        #expect(evaluator.restarted(as: quiet).isFailing)
        let continued = evaluator.continued(with: quiet)
        #expect(continued.isFailing && continued.importance == .critical)
    }

    @Test func rulesFindWhatIsTheirsWhereverTheyStand() {
        var rules = [rule(memory), rule(compare("cpu:total", .above, "5"))].map { RuleEvaluator(rule: $0, of: .service) }
        #expect(rules[1].see("cpu:total", 9, 1) != .none)
        let states = RuleEvaluator.states(of: rules, boot: "A")
        #expect(states.array?.count == 1)
        rules = rules.reversed().map { RuleEvaluator(rule: $0.rule, of: .service) }
        RuleEvaluator.restore(states, to: &rules, boot: "A")
        #expect(rules.map(\.isFailing) == [true, false])
    }

    @Test func aRuleThatHasSeenNothingHasNothingToRemember() {
        #expect(RuleEvaluator(rule: rule(memory), of: .service).state(boot: "A") == nil)
    }
}
