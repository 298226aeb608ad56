import Platform
import RuleLanguage
import Testing

private func puma(_ rule: String) -> String { "check service puma\n  \(rule)\n" }

/// A rule that is canonical as it stands.
private func itself(_ rule: String) -> Sentence { Sentence(puma(rule), is: puma(rule)) }

private func parsed(_ rule: String) throws -> Rule {
    let read = RuleFile.parse(puma(rule), file: "t")
    #expect(read.faults == [])
    return try #require(read.file?.rules.first)
}

@Suite struct RuleTests {
    @Test(arguments: [
        itself("if memory:rss >= 5 then alert"), itself("if memory:rss <= 5 then alert"), itself("if memory:rss == 5 then alert"),
        itself("if memory:rss != 5 then alert"),
        Sentence(puma("if memory:rss>=5 then alert"), is: puma("if memory:rss >= 5 then alert")),
        Sentence(puma("if memory:rss ==5 then alert"), is: puma("if memory:rss == 5 then alert")),
        Sentence(puma("if memory:rss !=5 then alert"), is: puma("if memory:rss != 5 then alert")),
        Sentence(puma("if memory:rss <=-5 then alert"), is: puma("if memory:rss <= -5 then alert")),
        Sentence(puma("if memory:rss\n>=\n5 then alert"), is: puma("if memory:rss >= 5 then alert")),
        itself("if memory:rss > 1.5g then alert"), itself("if uptime < 5min then alert"), itself("if uptime > 1d then alert"),
        itself("if agent:lateness > 500ms then alert"),
    ])
    func thereAreSixComparisons(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        itself("if cpu:user > 1 and cpu:system > 2 or threads > 3 then alert"),
        itself("if cpu:user > 1 and (cpu:system > 2 or threads > 3) then alert"),
        Sentence(
            puma("if (cpu:user > 1 and cpu:system > 2) or threads > 3 then alert"),
            is: puma("if cpu:user > 1 and cpu:system > 2 or threads > 3 then alert")),
        Sentence(puma("if ((cpu:user > 1)) then alert"), is: puma("if cpu:user > 1 then alert")),
        Sentence(puma("if(cpu:user>1)and(disk(/)>2)then alert"), is: puma("if cpu:user > 1 and disk(/) > 2 then alert")),
        itself("if each worker memory:rss > 500m then restart"),
        itself("if each worker memory:rss > 500m and tasks > 9 then restart"),
        Sentence(puma("if down then start"), is: puma("if up == 0 then start")),
        Sentence(puma("if down or memory:rss > 1g then start"), is: puma("if up == 0 or memory:rss > 1g then start")),
        Sentence(puma("if (down) for 30s then start"), is: puma("if up == 0 for 30s then start")),
        Sentence(puma("if down 3 times within 5 cycles then start"), is: puma("if up == 0 3 times within 5 cycles then start")),
        // Metrics may be called like the words.
        itself("if down > 5 then alert"), itself("if down:a == 5 then alert"), itself("if each > 5 then alert"), itself("if each == 5 then alert"),
        itself("if and > 5 and or > 5 or and > 6 then alert"),
    ])
    func conditionsAreJoinedAndGrouped(sentence: Sentence) { sentence.verify() }

    @Test func andBindsCloserThanOr() throws {
        let rule = try parsed("if cpu:a > 1 or cpu:b > 2 and cpu:c > 3 or cpu:d > 4 then alert")
        guard case .any(let parts) = rule.condition, parts.count == 3, case .all(let inner) = parts[1] else {
            Issue.record("\(rule.condition)")
            return
        }
        #expect(inner.count == 2)
        #expect(rule.condition.comparisons.map(\.metric.name) == ["a", "b", "c", "d"])
    }

    @Test func parenthesesHaveABoundedDepth() {
        func nested(_ depth: Int) -> [Fault] {
            let rule = String(repeating: "(", count: depth) + "up == 0" + String(repeating: ")", count: depth)
            return RuleFile.parse(puma("if \(rule) then alert"), file: "t").faults
        }
        #expect(nested(20) == [])
        #expect(nested(21).map(\.message) == ["more than 20 parentheses inside each other"])
        #expect(nested(20_000).count == 1)
    }

    @Test(arguments: [
        itself("if up == 0 for 30s then alert"), itself("if up == 0 for 500ms then alert"), itself("if up == 0 for 5m then alert"),
        Sentence(puma("if up == 0 for 5 minutes then alert"), is: puma("if up == 0 for 5m then alert")),
        Sentence(puma("if up == 0 for 90 seconds then alert"), is: puma("if up == 0 for 90s then alert")),
        Sentence(puma("if up == 0 for 60sec then alert"), is: puma("if up == 0 for 1m then alert")),
        Sentence(puma("if up == 0 for 48 h then alert"), is: puma("if up == 0 for 2d then alert")),
        itself("if up == 0 3 times within 10 cycles then alert"),
        Sentence(puma("if up == 0 for 3 times within 10 cycles then alert"), is: puma("if up == 0 3 times within 10 cycles then alert")),
        Sentence(puma("if up == 0 1 times within 1 cycle then alert"), is: puma("if up == 0 1 time within 1 cycle then alert")),
    ])
    func aConditionHoldsForCyclesOrForATimeOrOften(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        itself("if memory:rss > 500m clear < 400m then alert"), itself("if memory:rss > 500m clear < 400m for 2 cycles then alert"),
        itself("if memory:rss > 500m clear for 1 cycle then alert"), itself("if memory:rss > 500m clear for 1m then alert"),
        itself("if memory:rss > 500m for 3 cycles clear <= 400m for 30s then alert"),
        Sentence(
            puma("if memory:rss > 500m clear <400m for 2 cycles for 3 cycles then alert"),
            is: puma("if memory:rss > 500m for 3 cycles clear < 400m for 2 cycles then alert")),
    ])
    func anEpisodeIsOverWhenItsClearSays(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        itself("if cpu:user > 5 for 3 cycles clear < 4 during \"mon-fri 09:00-17:00\" as warning then alert ops, restart else alert, start"),
        Sentence(
            puma("if cpu:user > 5 as critical except \"Sunday\" clear < 4 for 1m 3 times within 5 cycles then alert else alert"),
            is: puma("if cpu:user > 5 3 times within 5 cycles clear < 4 for 1m except \"sun\" as critical then alert else alert")),
        itself("if cpu:user > 5 during \"* 9-16 * * 1-5\" as error then alert"),
    ])
    func theOtherPartsStandInAnyOrder(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        itself("if up == 0 then start"), itself("if up == 0 then stop, reload, alert, alert ops"),
        itself("if up == 0 then signal HUP"), itself("if up == 0 then signal \"QUIT 30s TERM 5s KILL\", alert"),
        Sentence(puma("if up == 0 then signal SIGUSR1"), is: puma("if up == 0 then signal USR1")),
        Sentence(puma("if up == 0 then signal \"sigquit 60s  kill\""), is: puma("if up == 0 then signal \"QUIT 1m KILL\"")),
        itself("if up == 0 then exec \"/bin/heal\""),
        Sentence(puma("if up == 0 then exec /bin/heal, alert"), is: puma("if up == 0 then exec \"/bin/heal\", alert")),
        itself("if up == 0 then exec \"/bin/heal --name 'the shop'\" as deploy timeout 10s else alert"),
        Sentence(
            puma("if up == 0 then exec \"/bin/heal\" timeout 2 minutes as deploy"),
            is: puma("if up == 0 then exec \"/bin/heal\" as deploy timeout 2m")),
        Sentence(puma("if up == 0 then exec \"/bin/heal\" timeout 30s"), is: puma("if up == 0 then exec \"/bin/heal\"")),
    ])
    func thereAreSevenActions(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        itself("if up == 0 then alert else alert"), itself("if up == 0 then alert ops else restart"),
        // Inspeqtor knows no `else`, so that it can be a route.
        Sentence(puma("if up == 0 then alert else"), is: puma("if up == 0 then alert \"else\"")),
        Sentence(puma("if up == 0 then alert else, restart"), is: puma("if up == 0 then alert \"else\", restart")),
        Sentence(puma("if up == 0 then alert else\nif up == 0 then alert"), is: puma("if up == 0 then alert \"else\"\n  if up == 0 then alert")),
        itself("if up == 0 then alert start, alert exec, alert down"),
        Sentence(
            "check service depends depends on on, if-up expose depends", is: "check service depends\n  depends on on, if-up\n  expose depends\n"),
        Sentence("check service clear with as during, else worker", is: "check service clear\n  with as during, else worker\n"),
        Sentence(
            "check service units with depends on, on depends depends on a",
            is: "check service units\n  with depends on, on depends\n  depends on a\n"),
    ])
    func theNewWordsStayFreeForNames(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        Sentence("check failed units", is: "check failed units\n"),
        Sentence("check failed units with owner ops if up == 0 then alert", is: "check failed units\n  with owner ops\n  if up == 0 then alert\n"),
        Sentence(
            "check service a with owner x depends on b, \"c d\" expose e if up == 0 then alert",
            is: "check service a\n  with owner x\n  depends on b, \"c d\"\n  expose e\n  if up == 0 then alert\n"),
        Sentence("check service a expose e depends on b", is: "check service a\n  depends on b\n  expose e\n"),
    ])
    func aCheckMayDependOnOthersAndMeanAllFailedUnits(sentence: Sentence) { sentence.verify() }

    // MARK: Texts inside a rule

    @Test(
        arguments: [
            ("/bin/a b  c", ["/bin/a", "b", "c"]), ("/bin/a 'b c' \"d e\"", ["/bin/a", "b c", "d e"]), ("/bin/a ''", ["/bin/a", ""]),
            ("/bin/a b'c'\"d\"e", ["/bin/a", "bcde"]), (#"/bin/a \' \  \\"#, ["/bin/a", "'", " ", #"\"#]),
            (#"/bin/a "\"\\\$\n" '\n'"#, ["/bin/a", #""\$\n"#, #"\n"#]), ("/bin/a $HOME * ~ `x` !", ["/bin/a", "$HOME", "*", "~", "`x`", "!"]),
            ("/bin/a '|' \"&&\" a|b", ["/bin/a", "|", "&&", "a|b"]), ("'/opt/my app/heal' x", ["/opt/my app/heal", "x"]),
        ] as [(String, [String])])
    func aCommandIsSplitAsAShellDoesAndNothingIsExpanded(text: String, arguments: [String]) throws {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        let rule = try parsed("if up == 0 then exec \"\(escaped)\"")
        #expect(rule.actions.map(\.kind) == [.exec(Command(arguments: arguments))])
        #expect(try parsed(rule.text).actions.map(\.kind) == rule.actions.map(\.kind))
    }

    @Test(arguments: [
        ("", "found an empty command, expected a program and its arguments"), ("  ", "found an empty command, expected a program and its arguments"),
        ("heal", "`heal` is not an absolute path"), ("./heal", "`./heal` is not an absolute path"), ("/bin/", "`/bin/` is a folder, not a program"),
        ("/bin/a 'b", "a `'` in the command is not closed"), ("/bin/a \\\"b", "a `\"` in the command is not closed"),
        ("/bin/a \\\\", "the command ends with a backslash"), ("/bin/a | mail", "`|` means nothing here: no shell reads the command"),
        ("/bin/a > /tmp/x", "`>` means nothing here: no shell reads the command"),
        ("/bin/a && b", "`&&` means nothing here: no shell reads the command"),
    ])
    func aCommandThatIsNoneIsAFault(text: String, message: String) {
        let faults = RuleFile.parse(puma("if up == 0 then exec \"\(text)\", alert"), file: "t").faults
        // An empty name is one wherever it stands.
        #expect(faults.map(\.message) == [message])
    }

    @Test(arguments: [
        ("\"\"", "found no signal"), ("\"30s\"", "found `30s`, expected the name of a signal"),
        ("\"QUIT TERM\"", "found no time between QUIT and `TERM`"), ("\"QUIT 30 TERM\"", "`30` is no time to wait"),
        ("\"QUIT 30s\"", "nothing follows the wait of 30s behind QUIT"), ("\"QUIT 1s 2s KILL\"", "found `2s`, expected the name of a signal"),
        ("\"QUIT 30x KILL\"", "`30x` is no time to wait"), ("FOO", "there is no signal `FOO`"), ("15", "there is no signal `15`"),
        ("\"\(String(repeating: "TERM 1s ", count: 10))KILL\"", "more than 10 signals"),
    ])
    func aSignalLadderThatIsNoneIsAFault(text: String, message: String) {
        #expect(RuleFile.parse(puma("if up == 0 then signal \(text), alert"), file: "t").faults.map(\.message) == [message])
    }

    @Test func everySignalIsKnownByItsName() throws {
        for number in 1...31 as ClosedRange<Int32> {
            let name = SignalStep(signal: number).name
            #expect(try parsed("if up == 0 then signal SIG\(name)").actions.map(\.kind) == [.signal([SignalStep(signal: number)])])
        }
    }

    @Test func whatIsHiddenInFaultsStaysHidden() {
        let faults = RuleFile.parse("check service p with password hunter;two", file: "t").faults
        #expect(faults.map(\.message) == ["`;` may stand only inside quotes"])
        #expect(faults.first?.help == "remove it, or put quotes around the name")
    }
}
