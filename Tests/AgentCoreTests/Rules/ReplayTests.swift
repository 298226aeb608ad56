import AgentCore
import Platform
import RuleLanguage
import Testing

private func recording(_ units: [String: [String: [Double?]]], host: [String: [Double?]] = [:], every step: Int = 15) throws -> Recording {
    let count = (units.values.flatMap(\.values) + host.values).map(\.count).max() ?? 0
    let start = Timestamp("2026-11-21T03:00:00Z")!.microseconds
    func series(_ series: [String: [Double?]]) -> JSON {
        .object(series.sorted { $0.key < $1.key }.map { .init($0.key, .array($0.value.map { $0.map(JSON.number) ?? .null })) })
    }
    return try Recording(
        .object([
            .init("version", 1), .init("times", .array((0..<count).map { .integer(start + Int64($0 * step) * 1_000_000) })),
            .init("uptimes", .array((0..<count).map { .integer(Int64($0 * step) * 1_000_000) })), .init("host", series(host)),
            .init("units", .object(units.sorted { $0.key < $1.key }.map { .init($0.key, series($0.value)) })),
        ]))
}

private func configuration(host: [Rule] = [], _ services: [String: [Rule]]) -> AgentConfiguration {
    AgentConfiguration(
        settings: AgentSettings(.init(hostname: "h", stateDirectory: nil)), host: HostCheck(rules: host, file: "host.inq"),
        services: services.sorted { $0.key < $1.key }.map { ServiceCheck(name: $0.key, rules: $0.value, file: "\($0.key).inq") })
}

@Suite struct ReplayTests {
    @Test func itSaysWhatWouldHaveFailedAndRecovered() throws {
        let recording = try recording(
            ["puma.service": ["memory:rss": [5, 600, 600, 5, nil, 600, 600], "up": [1, 1, 1, 1, 1, 1, 1]]], host: ["load:1": [1, 2, 3, 4, 5, 6, 7]])
        let configuration = configuration(
            host: [rule(compare("load:1", .above, "9"))],
            [
                "puma": [rule(compare("memory:rss", .above, "500"), .cycles(2)), rule(compare("fds", .above, "1"))],
                "nginx": [rule(compare("memory:rss", .above, "1"))],
            ])
        let replay = Replay(configuration, by: recording)
        #expect(
            replay.text == """
                7 cycles, 2026-11-21T03:00:00Z to 2026-11-21T03:01:30Z
                host: if load:1 > 9 then alert
                  would not have failed
                puma.service: if memory:rss > 500 for 2 cycles then alert
                  failed    2026-11-21T03:00:30Z: memory:rss is 600, above 500 for 2 cycles
                  recovered 2026-11-21T03:00:45Z: memory:rss is 5 again, below 500
                  failed    2026-11-21T03:01:30Z: memory:rss is 600, above 500 for 2 cycles
                  still failing at the end
                puma.service: if fds > 1 then alert
                  cannot be judged: fds was not recorded
                nginx: nothing was recorded of it
                1 rule would have failed, 2 times in all; 1 would not; 1 cannot be judged

                """)
        #expect(replay.json["rules"]?.array?.map { $0["failed"]?.integer } == [0, 2, 0])
        #expect(replay.json["unrecorded"]?.array == ["nginx"])
        #expect(replay.json["rules"]?.array?[1]["episodes"]?.array?.last?["recovered"] == .null)
    }

    @Test func whatWasCountedOfOneRunIsNotOfTheNext() throws {
        let recording = try recording(["a": ["memory:rss": [600, 600, 600, 600], "uptime": [15, 30, 2, 17]]])
        let replay = Replay(configuration(["a": [rule(compare("memory:rss", .above, "500"), .cycles(3))]]), by: recording)
        #expect(replay.judgements.map(\.episodes.count) == [0])
    }

    @Test func aGapInTheRecordingIsNoTimeOfHolding() throws {
        var recording = try recording(["a": ["memory:rss": [600, 600, 600, 600]]])
        for index in 2..<4 { recording.times[index].uptime += .seconds(3600) }
        let replay = Replay(configuration(["a": [rule(compare("memory:rss", .above, "500"), .time(.seconds(60)))]]), by: recording)
        #expect(replay.judgements.map(\.episodes.count) == [0])
    }

    @Test func aPatternIsJudgedForEachUnitAndWorkersNotAtAll() throws {
        let recording = try recording(["s@1.service": ["memory:rss": [9]], "s@2.service": ["memory:rss": [1]]])
        let rules = [rule(compare("memory:rss", .above, "5")), rule(compare("memory:rss", .above, "5", ofEachWorker: true))]
        let replay = Replay(configuration(["s@*": rules]), by: recording)
        #expect(replay.judgements.map(\.unit) == ["s@1.service", "s@1.service", "s@2.service", "s@2.service"])
        #expect(replay.judgements.map(\.episodes.count) == [1, 0, 0, 0])
        #expect(replay.judgements.map(\.obstacle) == [nil, "workers are not recorded", nil, "workers are not recorded"])
    }

    @Test func nothingRecordedIsSaidSo() throws {
        #expect(Replay(configuration([:]), by: try recording([:])).text == "nothing was recorded\n")
    }
}
