import Platform
import RuleLanguage
import Testing

/// The same numbers in every run.
struct Numbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

private let seeds = [
    "check service puma with pidfile /run/puma.pid, owner ops expose a, b\nif memory:rss > 500m for 2 cycles then alert ops, restart # x\n",
    "check host\r\nif disk(/var) > 90% then alert \"my team\"\r\nif load:1 < 5/sec then reload",
    "check jobs with owner ops\nbackup happens every 2 hours\n\"a\\x41\\u00e4\" happens every day\n",
    "set cycle_time 15\nset listen \"[::1]:4677\"\nsend alerts to ops via email with to_email a@b, tls_port 587\n",
]

private let pieces = [
    "if", "check", "then", "for", "cycles", "with", "set", "send", "alerts", "jobs", "happens", "every", ",", ":", "(", ")", ">", "<", ">=", "\"",
    "\\", "\\x", "\\u",
    "#", "\n", "\r\n", "\0", "\u{FEFF}", "\u{301}", "9223372036854775808", "-", "%", "p", "/sec", " ", "[", "é", "",
]

@Suite struct MutationTests {
    @Test(arguments: seeds)
    func noTextMakesAParserCrashOrLoseItsWay(seed: String) {
        var random = Numbers(seed: UInt64(seed.utf8.count))
        for _ in 0..<3_000 {
            var bytes = Array(seed.utf8)
            for _ in 0...Int.random(in: 0...4, using: &random) { mutate(&bytes, &random) }
            let source = SourceText(bytes: bytes, file: "f")
            let rules = RuleFile.parse(source)
            let settings = SettingsFile.parse(source)
            for fault in rules.faults + settings.faults where fault.line < 1 || fault.column < 1 || fault.message.isEmpty {
                Issue.record("a fault nowhere: \(fault)")
            }
            // What was read without fault can be written and read again.
            if rules.faults.isEmpty, let file = rules.file, !RuleFile.parse(file.text, file: "f").faults.isEmpty {
                Issue.record("written but not read: \(file.text)")
            }
            if rules.faults.isEmpty, rules.file == nil { Issue.record("neither value nor fault: \(bytes)") }
        }
    }

    /// Made so that whoever looks back at all that was before does it ten thousand times.
    @Test(arguments: ["a ", "if ", "\"\n", "set a b ", "[ ", "if a > 1 then alert\n", "\n", "(", "check ", ", a b"])
    func aLargeFileIsReadInOneGo(piece: String) {
        let text = "check service a with a b" + String(repeating: piece, count: 50_000 / piece.utf8.count)
        #expect(RuleFile.parse(text, file: "f").faults.count <= 101)
        #expect(SettingsFile.parse(text, file: "f").faults.count <= 101)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout Numbers) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 1: if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &random) }
        case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 0...12, using: &random)))
        case 3: bytes.insert(contentsOf: (pieces.randomElement(using: &random) ?? "").utf8, at: at)
        default:
            // A word goes somewhere else.
            let words = bytes.split(separator: 32)
            if let word = words.randomElement(using: &random) { bytes.insert(contentsOf: [32] + word + [32], at: at) }
        }
    }
}
