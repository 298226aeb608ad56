@testable import AgentDaemon
import Testing
import TestKit

@Suite struct ArgumentsTests {
    @Test(arguments: [
        ([], Arguments.Verb.run, "/etc/rollcall"),
        (["--config", "/srv/conf"], .run, "/srv/conf"),
        (["--config=/srv/conf", "--check"], .check, "/srv/conf"),
        (["--check", "--config", "conf"], .check, "conf"),
        (["--version"], .version, "/etc/rollcall"),
        (["-h"], .help, "/etc/rollcall"),
        (["--help", "--nonsense"], .help, "/etc/rollcall"),
    ])
    func areRead(words: [String], verb: Arguments.Verb, folder: String) throws {
        let arguments = try Arguments(words)
        #expect(arguments.verb == verb)
        #expect(arguments.folder == folder)
    }

    @Test(arguments: [
        (["--nonsense"], "there is no option `--nonsense`"),
        (["/etc/rollcall"], "there is no option `/etc/rollcall`"),
        (["--config"], "--config without a folder"),
        (["--config="], "there is no option `--config=`"),
    ])
    func thatMakeNoSenseAreRefused(words: [String], problem: String) {
        #expect(throws: UsageError(problem: problem)) { try Arguments(words) }
    }

    @Test func helpSaysWhatThereIs() throws {
        try expectGolden(Arguments.help + "\n", "help.txt")
    }
}
