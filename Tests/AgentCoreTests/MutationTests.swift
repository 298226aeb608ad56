@testable import AgentCore
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

    @Test func noRecordingMakesAReplayCrash() {
        let configuration = AgentConfiguration(
            settings: AgentSettings(.init(hostname: "h", stateDirectory: nil)), host: HostCheck(rules: [rule(compare("load:1", .above, "1"))]),
            services: [ServiceCheck(name: "p*", rules: [rule(memory), rule(compare("io:read", .above, "10/sec"), .time(.seconds(1)))])])
        Mutations.run(seeds: Mutations.seeds("recording")) { bytes in
            guard let json = try? JSON(parsing: bytes), let recording = try? Recording(json) else { return }
            let replay = Replay(configuration, by: recording)
            if replay.text.isEmpty { Issue.record("nothing said of a recording") }
            guard let history = try? History(json) else {
                Issue.record("a recording that is no history")
                return
            }
            for unit in history.unitNames { for metric in history.metrics(of: unit) { _ = history.sparkline(of: metric, unit: unit) } }
        }
    }

    @Test func noSettingsMakeTheirReaderCrash() {
        Mutations.run(seeds: Mutations.seeds("agent-settings")) { bytes in
            let parsed = SettingsFile.parse(bytes, file: "c").file
            let read = AgentSettings.read(parsed, file: "c", defaults: .init(hostname: "h", stateDirectory: nil))
            for fault in read.findings.faults + read.findings.warnings where !isSomewhere(fault) || fault.message.isEmpty {
                Issue.record("a fault nowhere: \(fault)")
            }
        }
    }

    @Test func noRulesMakeTheirExaminationCrash() {
        Mutations.run(seeds: Mutations.seeds("service-check")) { bytes in
            guard let file = RuleFile.parse(bytes, file: "c").file else { return }
            let findings = examineRules(of: file, file: "c")
            for fault in findings.faults + findings.warnings where fault.message.isEmpty { Issue.record("a fault without words") }
            for rule in file.rules {
                var evaluator = RuleEvaluator(rule: rule, of: file.subject == .host ? .host : .service)
                for second in [1.0, 2] { _ = evaluator.observe(Readings(values: ["memory:total": 1e300, "cpu:all": 99]), at: moment(second)) }
                _ = evaluator.explanation(at: moment(3)).text
            }
        }
    }

    @Test func brokenAddressesAndPermissionsAreRefused() {
        Mutations.run(seeds: Mutations.seeds("addresses")) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            if let address = try? ListenAddress(parsing: text), !(1...65535).contains(address.port) { Issue.record("no address: \(address)") }
            if let address = try? TargetAddress(parsing: text), address.host.isEmpty { Issue.record("no address: \(address)") }
            if let address = try? AggregatorAddress(parsing: text), address.path.hasSuffix("/") { Issue.record("no address: \(address)") }
        }
        Mutations.run(seeds: Mutations.seeds("permissions")) { _ = try? AggregatorPermission(parsing: String(decoding: $0, as: UTF8.self)) }
    }
}

/// Only what is missing has no place.
private func isSomewhere(_ fault: Fault) -> Bool { fault.line > 0 && fault.column > 0 || fault.message.hasPrefix("there is no `aggregator`") }
