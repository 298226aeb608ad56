import Testing

@testable import RunnerDaemon

@Suite struct ArgumentsTests {
    @Test func theParentIsNeeded() throws {
        #expect(try Arguments(["--parent", "17"]).verb == .run(parent: 17))
        #expect(try Arguments(["--parent", "17", "--user", "daemon"]).user == "daemon")
        #expect(try Arguments(["--help"]).verb == .help)
        #expect(try Arguments(["--version", "nonsense"]).verb == .version)
    }

    @Test(arguments: [[], ["--parent"], ["--parent", "x"], ["--parent", "0"], ["--user"], ["--parent", "1", "--password"]])
    func whatMakesNoSenseIsRefused(words: [String]) {
        #expect(throws: UsageError.self) { try Arguments(words) }
    }
}
