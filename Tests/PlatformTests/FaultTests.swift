import Platform
import Testing

@Suite struct FaultTests {
    @Test func showsTheLineWithACaretAndTheHelp() {
        let fault = Fault(file: "puma.inq", line: 2, column: 4, message: "unknown action 'restat'", help: "Did you mean restart?")
        #expect(
            fault.rendered(in: "check service puma\n\tifrestat\n") == """
                puma.inq:2:4: unknown action 'restat'
                    \tifrestat
                    \t  ^
                    Did you mean restart?

                """)
    }

    @Test func controlCharactersOfTheTextDoNotReachTheTerminal() {
        let fault = Fault(file: "f", line: 1, column: 1, message: "odd")
        #expect(!fault.rendered(in: "\u{1b}[2J").contains("\u{1b}"))
    }

    @Test func aPlaceBehindTheEndStillRenders() {
        #expect(Fault(file: "f", line: 9, column: 9, message: "too short").rendered(in: "one") == "f:9:9: too short\n")
    }
}
