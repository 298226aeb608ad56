import Platform
import RuleLanguage
import TestKit
import Testing

/// The same numbers in every run.
typealias Numbers = SplitMix

extension SplitMix { init(seed: UInt64) { self.init(state: seed) } }

@Suite struct MutationTests {
    @Test func noRuleFileMakesTheParserCrashOrLoseItsWay() {
        Mutations.run(seeds: Mutations.seeds("rules")) { bytes in
            let parsed = RuleFile.parse(bytes, file: "f")
            for fault in parsed.faults where fault.line < 1 || fault.column < 1 || fault.message.isEmpty { Issue.record("a fault nowhere: \(fault)") }
            guard parsed.faults.isEmpty else { return }
            guard let file = parsed.file else {
                Issue.record("neither value nor fault: \(bytes)")
                return
            }
            // What was read without fault can be written and read again.
            let again = RuleFile.parse(file.text, file: "f")
            if !again.faults.isEmpty || again.file?.text != file.text { Issue.record("written but not read: \(file.text)") }
        }
    }

    @Test func noSettingsMakeTheParserCrashOrLoseItsWay() {
        Mutations.run(seeds: Mutations.seeds("settings")) { bytes in
            for fault in SettingsFile.parse(bytes, file: "f").faults where fault.line < 1 || fault.column < 1 || fault.message.isEmpty {
                Issue.record("a fault nowhere: \(fault)")
            }
        }
    }

    @Test func noCronExpressionOrWindowMakesItsParserCrash() {
        let noon = CalendarTime(year: 2026, month: 2, day: 28, hour: 12)
        var found = 0
        Mutations.run(seeds: Mutations.seeds("cron")) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            guard let window = try? TimeWindow(parsing: text) else { return }
            found += 1
            if (try? TimeWindow(parsing: window.text)) != window { Issue.record("written but not read: \(text)") }
            guard let cron = window.cron, found % 8 == 0 else { return }
            if let next = cron.next(after: noon), !cron.matches(next) || next <= noon { Issue.record("\(next) is not next of \(text)") }
        }
        #expect(found > 30)
    }

    /// Made so that whoever looks back at all that was before does it ten thousand times.
    @Test(arguments: [
        "a ", "if ", "\"\n", "set a b ", "[ ", "if a > 1 then alert\n", "\n", "(", "check ", ", a b", "and a > 1 ", "or ", "clear ", "for 3 cycles ",
        "alert else ", "3 times ", "depends on ",
    ])
    func aLargeFileIsReadInOneGo(piece: String) {
        for head in ["check service a with a b ", "check service a if ((a > 1 or a > 2) then alert "] {
            let text = head + String(repeating: piece, count: 25_000 / piece.utf8.count)
            #expect(RuleFile.parse(text, file: "f").faults.count <= 101)
            #expect(SettingsFile.parse(text, file: "f").faults.count <= 101)
        }
    }
}
