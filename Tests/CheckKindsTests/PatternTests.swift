import Testing

@testable import CheckKinds

@Suite struct PatternTests {
    @Test(arguments: [
        (#"status:\s*ok"#, "all\nstatus:  ok\n", Pattern.Answer.found),
        (#"status:\s*ok"#, "status: bad", .notFound),
        ("^b", "abc", .notFound),
        ("(?m)^b", "a\nbc", .found),
        ("(?i)OK$", "ok", .found),
        ("", "", .found),
        ("x", "", .notFound),
        ("(?<=a)b", "ab", .found),
    ])
    func aPatternSearchesBytes(pattern: String, text: String, expected: Pattern.Answer) throws {
        #expect(try Pattern(pattern).search(Array(text.utf8)) == expected)
    }

    @Test func bytesNeedNotBeText() throws {
        #expect(try Pattern(#"\xff\x00ok"#).search([0xc3, 0xff, 0, 0x6f, 0x6b]) == .found)
    }

    @Test func aHitFarInsideIsFound() throws {
        let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20) + Array("needle".utf8)
        #expect(try Pattern("needle$").search(bytes) == .found)
        #expect(try Pattern("needle.").search(bytes) == .notFound)
    }

    @Test func aBadPatternSaysWhereItIsBad() {
        #expect(throws: PatternError(problem: "missing closing parenthesis", offset: 5)) { try Pattern("ab(cd") }
        #expect(throws: PatternError.self) { try Pattern(String(repeating: "a", count: 5000)) }
    }

    @Test(arguments: [
        ("(a+)+$", String(repeating: "a", count: 1 << 20) + "b"),
        ("(a|aa)+$", String(repeating: "a", count: 5000) + "b"),
        ("[0-9]*[xy]", String(repeating: "7", count: 1 << 20)),
        (#"(.*)(.*)(.*)(.*)(.*)[^a]z"#, String(repeating: "a", count: 20000)),
        (#"^(?:(a)|b)*\1$"#, String(repeating: "ab", count: 100_000)),
    ])
    func anExplosivePatternIsGivenUp(pattern: String, text: String) throws {
        let compiled = try Pattern(pattern)
        let bytes = Array(text.utf8)
        let start = ContinuousClock.now
        #expect(compiled.search(bytes) != .found)
        #expect(ContinuousClock.now - start < .seconds(2))
    }
}
