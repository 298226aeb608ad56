import Platform
import TestKit
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        ("null", JSON.null), (" true ", .bool(true)), ("false", .bool(false)), ("0", .integer(0)), ("-12", .integer(-12)),
        ("9223372036854775807", .integer(.max)), ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1.5e3", .number(1500)),
        ("\"a\\u00e9\\n\\ud83d\\ude00\"", .string("aé\n😀")), ("[]", .array([])), ("[1,[2]]", .array([.integer(1), .array([.integer(2)])])),
        ("{\"a\":{\"b\":[null]}}", .object([.init("a", .object([.init("b", .array([.null]))]))])),
    ])
    func readsEveryKindOfValue(text: String, value: JSON) throws {
        #expect(try JSON(parsing: text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "01", "-", "1.", ".5", "1e", "+1", "0x1", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\t\"", "[1,]",
        "[1 2]",
        "{a:1}", "{\"a\"}", "{\"a\":1,}", "1 2", "[", "{\"a\":", "NaN", "Infinity",
    ])
    func refusesWhatIsNoJSON(text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test func refusesBytesThatAreNotUTF8() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xff, 0x22]) }
    }

    @Test func refusesDeepNestingInsteadOfOverflowing() {
        let deep = String(repeating: "[", count: 100_000)
        let error = #expect(throws: JSONError.self) { try JSON(parsing: deep) }
        #expect(error?.description == "nested deeper than 32 at byte 32")
    }

    @Test func readsBackWhatItWrites() throws {
        let value: JSON = [
            "text": "quote \" backslash \\ tab \t bell \u{7} é 😀", "numbers": [0, -1, 1.5, 1e300, 0.1], "nothing": nil, "yes": true, "empty": [:],
        ]
        #expect(try JSON(parsing: value.bytes) == value)
    }

    @Test func writesWhatCannotBeANumberAsNull() {
        #expect(JSON.array([.number(.infinity), .number(.nan), .number(3)]).text == "[null,null,3]")
    }

    @Test func theLastOfSeveralMembersWithOneNameCounts() throws {
        #expect(try JSON(parsing: "{\"a\":1,\"a\":2}")["a"] == 2)
    }

    @Test func mutatedTextsNeverCrash() {
        Mutations.run(seeds: Mutations.seeds("json")) { bytes in
            if let value = try? JSON(parsing: bytes), (try? JSON(parsing: value.bytes)) == nil { Issue.record("not read again: \(value.text)") }
        }
    }
}
