@testable import AgentCore
import Platform
import RuleLanguage
import Testing

/// What is wrong with services that depend on each other: `"a": ["b"]` is `check service a` that `depends on b`.
private func faults(_ services: [(name: String, on: [String])]) -> [String] {
    let files = services.map { service in
        var file = RuleFile(subject: .service(service.name))
        file.dependencies = service.on.enumerated().map { Dependency(name: $1, place: Place(line: 2, column: 10 * ($0 + 1))) }
        return (path: "\(service.name).inq", rules: file)
    }
    let reading = ConfigurationReading(files, defaults: .init(hostname: "h", stateDirectory: nil))
    return reading.files.flatMap(\.faults).map { "\($0.description)\($0.help.map { " | \($0)" } ?? "")" }
}

@Suite struct ConfigurationDependenciesTests {
    @Test func whatIsCheckedCanBeDependedOn() {
        #expect(
            faults([("puma", ["postgresql", "redis.service", "sidekiq@1"]), ("postgresql.service", []), ("redis", []), ("sidekiq@*", ["redis"])])
                == [])
    }

    @Test func whatIsNotCheckedCannot() {
        #expect(faults([("puma", ["postgres"]), ("postgrs", [])]) == ["puma.inq:2:10: no service `postgres` is checked | did you mean `postgrs`?"])
        #expect(
            faults([("puma", ["mysql"])]) == [
                "puma.inq:2:10: no service `mysql` is checked | only what is checked is known to be up or down: write a check for it too"
            ])
    }

    @Test func nobodyDependsOnHimself() {
        #expect(faults([("a", ["a"])]) == ["a.inq:2:10: `a` depends on itself | the circle is a, a"])
        #expect(
            faults([("d", ["a"]), ("a", ["x", "b"]), ("b", ["c"]), ("c", ["a"]), ("x", ["c"])]).sorted() == [
                "c.inq:2:10: `a` depends on itself | the circle is a, x, c, a"
            ])
        #expect(faults([("a", ["b", "c"]), ("b", ["d"]), ("c", ["d"]), ("d", [])]) == [])
    }

    @Test func aLongChainIsNoTrouble() {
        let count = 5000
        #expect(faults((0..<count).map { ("s\($0)", $0 + 1 < count ? ["s\($0 + 1)"] : []) }) == [])
    }
}
