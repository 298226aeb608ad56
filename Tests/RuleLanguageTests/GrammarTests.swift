import Platform
import RuleLanguage
import Testing

/// One text of the grammar table, and what is understood of it: its canonical text, or its faults as `line:column message`.
struct Sentence: CustomTestStringConvertible {
    var text: String
    var canonical: String?
    var faults: [String]

    init(_ text: String, is canonical: String) {
        self.text = text
        self.canonical = canonical
        faults = []
    }

    init(_ text: String, faults: String...) {
        self.text = text
        self.faults = faults
    }

    var testDescription: String { text }

    func verify(sourceLocation: SourceLocation = #_sourceLocation) {
        let parsed = RuleFile.parse(text, file: "t.inq")
        #expect(parsed.faults.map { "\($0.line):\($0.column) \($0.message)" } == faults, sourceLocation: sourceLocation)
        if let canonical { #expect(parsed.file?.text == canonical, sourceLocation: sourceLocation) }
    }
}

private func puma(_ rule: String) -> String { "check service puma\n  \(rule)\n" }

@Suite struct GrammarTests {
    @Test(arguments: [
        Sentence("check service puma", is: "check service puma\n"),
        Sentence("check host", is: "check host\n"),
        Sentence("check service puma with pidfile /run/puma.pid", is: "check service puma\n  with pidfile /run/puma.pid\n"),
        Sentence(
            "check service puma with owner ops, pidfile /p expose memstats, vars if cpu:user > 5 then alert",
            is: "check service puma\n  with owner ops, pidfile /p\n  expose memstats, vars\n  if cpu:user > 5 then alert\n"),
        Sentence("check service sidekiq@1.service", is: "check service sidekiq@1.service\n"),
        Sentence("check service jobs with owner cycle", is: "check service jobs\n  with owner cycle\n"),
        Sentence("check\nservice\n\tpuma\r\nif\ncpu:user\n>5\nthen alert", is: "check service puma\n  if cpu:user > 5 then alert\n"),
    ])
    func aCheckHasASubjectParametersExposesAndRules(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        Sentence("check host if cpu>90%then alert", faults: "1:19 `90%then` is not an amount", "1:27 found `alert`, expected `for` or `then`"),
        Sentence("check host if cpu>90% then alert", is: "check host\n  if cpu > 90% then alert\n"),
        Sentence("check host if load:1>5 then alert", is: "check host\n  if load:1 > 5 then alert\n"),
        Sentence("check host if load : 1 < 5 then alert", is: "check host\n  if load:1 < 5 then alert\n"),
        Sentence("check host if disk ( /var ) > 90% then alert", is: "check host\n  if disk(/var) > 90% then alert\n"),
        Sentence("check host if disk:/var > 90% then alert", is: "check host\n  if disk(/var) > 90% then alert\n"),
        Sentence("check host if load(1) > 5 then alert", is: "check host\n  if load:1 > 5 then alert\n"),
        Sentence(puma("if cpu:user > 5 for 3 cycles then restart"), is: puma("if cpu:user > 5 for 3 cycles then restart")),
    ])
    func aRuleHasAMetricAComparisonAnAmountAndActions(sentence: Sentence) { sentence.verify() }

    // MARK: Where Inspeqtor is wrong

    @Test func actionsKeepTheirWrittenOrder() {
        Sentence(puma("if memory:rss > 5 then alert ops, reload, restart"), is: puma("if memory:rss > 5 then alert ops, reload, restart")).verify()
    }

    @Test(arguments: [
        Sentence("check service \"my app\"", is: "check service \"my app\"\n"),
        Sentence("check service \"puma\"", is: "check service puma\n"),
        Sentence("check service \"host\"", is: "check service \"host\"\n"),
        Sentence("check service p with \"owner\" \"the team\"", is: "check service p\n  with owner \"the team\"\n"),
        Sentence("check service p with password \"\"", is: "check service p\n  with password \"\"\n"),
        Sentence("check service p with password \"\", owner \"x\"", is: "check service p\n  with password \"\", owner x\n"),
        Sentence(
            puma("if \"memory\":\"rss\" > \"1m\" for \"2\" cycles then alert \"ops\""), is: puma("if memory:rss > 1m for 2 cycles then alert ops")),
        Sentence("check host if disk(\"/my disk\") > 9% then alert", is: "check host\n  if disk(\"/my disk\") > 9% then alert\n"),
        Sentence(#"check service "a\tb\"\\\x41\101\u00e4\U0001F600""#, is: "check service \"a\\tb\\\"\\\\AAä😀\"\n"),
    ])
    func quotesWorkWhereverANameStandsAndAreNoPartOfIt(sentence: Sentence) { sentence.verify() }

    /// As systemctl shows such names, and as people paste them.
    @Test(arguments: [
        Sentence(#"check service "dev-disk-by\x2dlabel.swap""#, is: #"check service "dev-disk-by\\x2dlabel.swap""# + "\n"),
        Sentence(#"check service "foo\\x2dbar.service""#, is: #"check service "foo\\x2dbar.service""# + "\n"),
        Sentence(#"check service a depends on "foo\x2dbar""#, is: "check service a\n" + #"  depends on "foo\\x2dbar""# + "\n"),
        Sentence(#"check failed units with except "a\x40* b""#, is: "check failed units\n" + #"  with except "a\\x40* b""# + "\n"),
        Sentence(#"check service "a\x2db\x41\tc""#, is: #"check service "a\\x2dbA\tc""# + "\n"),
        // Of everything else an escape means its character.
        Sentence(#"check service a with owner "x\x2dy""#, is: "check service a\n  with owner x-y\n"),
    ])
    func systemdsEscapesArePartOfAUnitsName(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        Sentence("check service “web”", faults: "1:15 `“` is no quotation mark here: names are quoted with \""),
        Sentence("check service „web“", faults: "1:15 `„` is no quotation mark here: names are quoted with \""),
        Sentence("check service ‘web’", faults: "1:15 `‘` is no quotation mark here: names are quoted with \""),
        Sentence("check service web with owner “ops”", faults: "1:30 `“` is no quotation mark here: names are quoted with \""),
        Sentence("check service l’été", is: "check service l’été\n"), Sentence("check service \"“web”\"", is: "check service \"“web”\"\n"),
    ])
    func quotesThatAreNoneAreAFault(sentence: Sentence) { sentence.verify() }

    @Test func whatCurlyQuotesShouldBeIsShown() {
        #expect(RuleFile.parse("check service “web”", file: "t.inq").faults.first?.help == "write \"web\"")
        #expect(RuleFile.parse("check service web with password “hunter2”", file: "t.inq").faults.first.map { $0.help == nil } == true)
    }

    @Test(arguments: [
        Sentence("check service puma # with a comment", is: "check service puma\n"),
        Sentence("# first\ncheck service puma\n#last", is: "check service puma\n"),
        Sentence("check service puma#glued", is: "check service puma\n"),
        Sentence("\u{FEFF}check service puma", is: "check service puma\n"),
        Sentence("check service puma\r\nif memory:rss > 5 then alert\r\n", is: puma("if memory:rss > 5 then alert")),
        Sentence(puma("if memory:rss > 5 for 1 cycle then alert"), is: puma("if memory:rss > 5 then alert")),
        Sentence("check service café", is: "check service café\n"),
        Sentence("check service \u{80}\u{FF}\u{100}日本😀", is: "check service \u{80}\u{FF}\u{100}日本😀\n"),
        Sentence("check service !$%&'*+-/=?^_`{|}~.@", is: "check service !$%&'*+-/=?^_`{|}~.@\n"),
    ])
    func whatInspeqtorRefusesForNoReasonIsFine(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        Sentence("check service \"puma\n", faults: "1:15 the string is not closed before the end of its line"),
        Sentence("check service \"puma", faults: "1:15 the string is not closed before the end of its line"),
        Sentence(
            "check service \"pu\\\nma\"", faults: "1:15 the string is not closed before the end of its line",
            "2:3 the string is not closed before the end of its line"),
        Sentence("check service \"\"", faults: "1:15 found an empty name, expected the name of the service"),
        Sentence(#"check service "\q""#, faults: #"1:16 `\q` does not begin a known escape"#),
        Sentence(#"check service "\x4""#, faults: #"1:16 `\x` does not begin a known escape"#),
        Sentence(#"check service "\uD800""#, faults: #"1:16 `\u` does not begin a known escape"#),
        Sentence(#"check service "\777""#, faults: #"1:16 `\7` does not begin a known escape"#),
        Sentence(#"check service "\xff""#, faults: "1:15 the escapes of this string make no UTF-8"),
        Sentence(#"check service "a\x00b""#, faults: "1:15 a name cannot hold the character U+0000"),
        Sentence("check service puma[1]", faults: "1:19 `[` may stand only inside quotes"),
        Sentence("check service pu\u{1}ma", faults: "1:17 the character U+0001 may stand only inside quotes"),
        Sentence("check service p;q;r", faults: "1:16 `;` may stand only inside quotes"),
    ])
    func aNameThatIsNoneIsOneFault(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        "check", "service", "host", "expose", "with", "if", "then", "for", "cycles", "restart", "reload", "alert",
    ])
    func keywordsAreReservedWithoutQuotes(word: String) {
        let rule = RuleFile.parse("check service p with owner \(word)", file: "t").faults
        #expect(rule.count == 1)
        #expect(RuleFile.parse("check service p with owner \"\(word)\"", file: "t").faults.isEmpty)
        #expect(RuleFile.parse("check service p with owner \(word.uppercased())", file: "t").faults.isEmpty)
    }

    @Test(arguments: [
        Sentence("check service p with owner a, owner b", faults: "1:31 the parameter `owner` was given before, in line 1"),
        Sentence("check service p with owner a pidfile /b", faults: "1:30 found `pidfile`, expected `,` before the next parameter"),
        Sentence("check service p with owner a,", faults: "1:30 found the end of the file, expected the name of a parameter"),
        Sentence("check service p with owner, pidfile /b", faults: "1:27 found `,`, expected a value for `owner`"),
        Sentence("check service p with", faults: "1:21 found the end of the file, expected the name of a parameter"),
        Sentence("check service p with a b with c d", faults: "1:26 a second `with`"),
        Sentence("check service p expose a with c d", faults: "1:26 `with` stands before `expose` and the rules"),
        Sentence(puma("if memory:rss > 5 then alert\nexpose a"), faults: "3:1 `expose` stands before the rules"),
        Sentence("check host expose a", faults: "1:12 `expose` belongs to a service, not to the host"),
        Sentence("check host web1", faults: "1:12 found `web1`, expected `with`, `if` or the end of the file"),
        Sentence("check service a\ncheck service b", faults: "2:1 a second `check` in one file"),
        Sentence("check process nginx with pidfile /x", faults: "1:7 found `process`, expected `service NAME`, `host`, `failed units` or `jobs`"),
        Sentence("check service", faults: "1:14 found the end of the file, expected the name of the service"),
        Sentence("check service\nif memory:rss > 5 then alert", faults: "2:1 found `if`, expected the name of the service"),
        Sentence(
            "check service a b c\nif memory:rss > 5 then alert", faults: "1:17 found `b`, expected `with`, `expose`, `if` or the end of the file"),
        Sentence("", faults: "1:1 found the end of the file, expected `check service NAME`, `check host`, `check failed units` or `check jobs`"),
        Sentence("check failed", faults: "1:13 found the end of the file, expected `units` after `check failed`"),
        Sentence("check failed unit", faults: "1:14 found `unit`, expected `units`"),
        Sentence("check failed units puma", faults: "1:20 found `puma`, expected `with`, `if` or the end of the file"),
        Sentence("check failed units expose a", faults: "1:20 `expose` belongs to a service, not to failed units"),
        Sentence("check host depends on a", faults: "1:12 `depends on` belongs to a service"),
        Sentence("check service p depends a", faults: "1:25 found `a`, expected `on` after `depends`"),
        Sentence("check service p depends on", faults: "1:27 found the end of the file, expected the name of a service"),
        Sentence("check service p depends on a, a", faults: "1:31 the service `a` was given before, in line 1"),
        Sentence("check service p depends on p", faults: "1:28 a service cannot depend on itself"),
        Sentence("check service p depends on a depends on b", faults: "1:30 a second `depends on`"),
        Sentence("check service p depends on a b", faults: "1:30 found `b`, expected `,`, `expose`, `if` or the end of the file"),
        Sentence("check service p with owner a depnds on b", faults: "1:30 found `depnds`, expected `depends`"),
        Sentence(puma("if memory:rss > 5 then alert\ndepends on a"), faults: "3:1 `depends on` stands before the rules"),
    ])
    func whatIsWrongAroundTheRulesIsSaidOnce(sentence: Sentence) { sentence.verify() }

    @Test(arguments: [
        Sentence(puma("if memory:rss above 5 then alert"), faults: "2:17 found `above`, expected a comparison such as `>`"),
        Sentence(puma("if memory:rss = 5 then alert"), faults: "2:17 found `=`, expected a comparison such as `>`"),
        Sentence(puma("if memory:rss => 5 then alert"), faults: "2:17 found `=`, expected a comparison such as `>`"),
        Sentence(puma("if memory:rss > =5 then alert"), faults: "2:19 `=5` is not an amount"),
        Sentence(puma("if memory:rss <> 5 then alert"), faults: "2:18 found `>`, expected an amount such as 500m, 90% or 100/sec"),
        Sentence(puma("if memory:rss==5 then alert"), faults: "2:20 found `then`, expected a comparison such as `>`"),
        Sentence(puma("if memory:rss 5 then alert"), faults: "2:17 found `5`, expected a comparison such as `>`"),
        Sentence(puma("if memory:rss then alert"), faults: "2:17 found `then`, expected a comparison such as `>`"),
        Sentence(puma("if > 5 then alert"), faults: "2:6 found `>`, expected the name of a metric"),
        Sentence(puma("if disk(/ > 5 then alert"), faults: "2:13 found `>`, expected `)` after `disk(/`"),
        Sentence(puma("if memory:rss > then alert"), faults: "2:19 found `then`, expected an amount such as 500m, 90% or 100/sec"),
        Sentence(puma("if memory:rss > 5 alert"), faults: "2:21 found `alert`, expected `for` or `then`"),
        Sentence(puma("if memory:rss > 5 m then alert"), faults: "2:21 found `m`, expected `for` or `then`"),
        Sentence(puma("if uptime < 5 minutes then alert"), faults: "2:17 found `minutes`, expected `for` or `then`"),
        Sentence(puma("if memory:rss > 5 && cpu:user > 3 then alert"), faults: "2:21 found `&&`, expected `and`"),
        Sentence(puma("if memory:rss > 5 || cpu:user > 3 then alert"), faults: "2:21 found `||`, expected `or`"),
        Sentence(puma("if memory:rss > 5 and then alert"), faults: "2:25 found `then`, expected the name of a metric"),
        Sentence(puma("if (memory:rss > 5 then alert"), faults: "2:22 found `then`, expected `and`, `or` or `)`"),
        Sentence(puma("if memory:rss > 5) then alert"), faults: "2:20 found `)`, expected `for` or `then`"),
        Sentence(puma("if () then alert"), faults: "2:7 found `)`, expected the name of a metric"),
        Sentence(puma("if each wroker memory:rss > 5 then alert"), faults: "2:11 found `wroker`, expected `worker`"),
        Sentence(puma("if each process memory:rss > 5 then alert"), faults: "2:11 found `process`, expected `worker` after `each`"),
        Sentence(puma("if each worker down then alert"), faults: "2:23 found `then`, expected a comparison such as `>`"),
        Sentence(puma("if dwon then alert"), faults: "2:11 found `then`, expected a comparison such as `>`"),
        Sentence(puma("if memory:rss > 5 for 0 cycles then alert"), faults: "2:25 `for 0 cycles` never comes true"),
        Sentence(puma("if memory:rss > 5 for -1 cycles then alert"), faults: "2:25 `for -1 cycles` never comes true"),
        Sentence(puma("if memory:rss > 5 for 99999999999999999999 cycles then alert"), faults: "2:25 `99999999999999999999` cycles are too many"),
        Sentence(puma("if memory:rss > 5 for two cycles then alert"), faults: "2:25 found `two`, expected a number of cycles, or a time such as 30s"),
        Sentence(puma("if memory:rss > 5 for 5 weeks then alert"), faults: "2:27 found `weeks`, expected `cycles`, or a unit of time"),
        Sentence(puma("if memory:rss > 5 for 5 then alert"), faults: "2:27 found `then`, expected `cycles`, or a unit of time"),
        Sentence(puma("if memory:rss > 5 for 0s then alert"), faults: "2:25 `0s` is no time at all"),
        Sentence(puma("if memory:rss > 5 for 0 minutes then alert"), faults: "2:25 `0 minutes` is no time at all"),
        Sentence(puma("if memory:rss > 5 for 36601d then alert"), faults: "2:25 `36601d` is longer than a hundred years"),
        Sentence(
            puma("if memory:rss > 5 for 99999999999999999999h then alert"), faults: "2:25 `99999999999999999999h` is longer than a hundred years"),
        Sentence(puma("if memory:rss > 5 for 1.5h then alert"), faults: "2:25 found `1.5h`, expected a number of cycles, or a time such as 30s"),
        Sentence(puma("if memory:rss > 5 for 3 cycles for 5s then alert"), faults: "2:34 a second `for` in one rule"),
        Sentence(puma("if memory:rss > 5 3 times within 2 cycles then alert"), faults: "2:36 3 times within 2 cycles never comes true"),
        Sentence(puma("if memory:rss > 5 3 times within 1001 cycles then alert"), faults: "2:36 1001 cycles are too many to remember"),
        Sentence(puma("if memory:rss > 5 0 times within 2 cycles then alert"), faults: "2:21 `for 0 times` never comes true"),
        Sentence(puma("if memory:rss > 5 3 times then alert"), faults: "2:29 found `then`, expected `within` and a number of cycles"),
        Sentence(puma("if memory:rss > 5 3 times within 10 minutes then alert"), faults: "2:39 found `minutes`, expected `cycles`"),
        Sentence(puma("if memory:rss > 5 clear then alert"), faults: "2:27 found `then`, expected a threshold such as `< 400m`, or `for`"),
        Sentence(puma("if memory:rss > 5 clear 4 then alert"), faults: "2:27 found `4`, expected a threshold such as `< 400m`, or `for`"),
        Sentence(puma("if memory:rss > 5 clear < 4 clear < 3 then alert"), faults: "2:31 a second `clear` in one rule"),
        Sentence(puma("if memory:rss > 5 clear for 3 times within 5 cycles then alert"), faults: "2:31 `times within` cannot clear a rule"),
        Sentence(
            puma("if memory:rss > 5 or cpu:user > 5 clear < 4 then alert"),
            faults: "2:43 `clear` has a threshold, and the condition more than one metric"),
        Sentence(
            puma("if memory:rss > 5 during mon-fri 09:00-17:00 then alert"),
            faults: "2:28 found `mon-fri`, expected a window in quotes, such as \"mon-fri 09:00-17:00\""),
        Sentence(puma("if memory:rss > 5 during \"mon-fry\" then alert"), faults: "2:28 `mon-fry` is not a day of the week"),
        Sentence(puma("if memory:rss > 5 during \"sat\" except \"sun\" then alert"), faults: "2:34 a second window in one rule"),
        Sentence(puma("if memory:rss > 5 as fatal then alert"), faults: "2:24 found `fatal`, expected `warning`, `error` or `critical`"),
        Sentence(puma("if memory:rss > 5 as error as error then alert"), faults: "2:30 a second `as` in one rule"),
        Sentence(puma("if memory:rss > 5 then"), faults: "2:25 found the end of the file, expected an action"),
        Sentence(puma("if memory:rss > 5 then alert, if cpu:user > 5 then alert"), faults: "2:33 found `if`, expected an action"),
        Sentence(puma("if memory:rss > 5 then alert restart"), faults: "2:32 found `restart`, expected `,` between two actions"),
        Sentence(puma("if memory:rss > 5 then alert ops stop"), faults: "2:36 found `stop`, expected `,` between two actions"),
        Sentence(puma("if memory:rss > 5 then restart puma"), faults: "2:34 found `puma`, expected `,`, `else`, `if` or the end of the file"),
        Sentence(puma("if memory:rss > 5 then unmonitor"), faults: "2:26 found `unmonitor`, expected an action"),
        Sentence(puma("if memory:rss > 5 then restart else"), faults: "2:38 found the end of the file, expected an action"),
        Sentence(puma("if memory:rss > 5 then alert elze alert"), faults: "2:32 found `elze`, expected `else`"),
        Sentence(
            puma("if memory:rss > 5 then alert else restart else alert"),
            faults: "2:45 found `else`, expected `if` or the end of the file"),
        Sentence(
            puma("if memory:rss > 5 then exec"),
            faults: "2:30 found the end of the file, expected a program with its arguments in quotes, such as \"/usr/local/bin/heal --fast\""),
        Sentence(puma("if memory:rss > 5 then exec \"heal\", alert"), faults: "2:31 `heal` is not an absolute path"),
        Sentence(
            puma("if memory:rss > 5 then exec /bin/heal fast, alert"), faults: "2:41 found `fast`, expected `,`, `else`, `if` or the end of the file"),
        Sentence(puma("if memory:rss > 5 then exec \"/bin/heal\" as, alert"), faults: "2:45 found `,`, expected the name of a user"),
        Sentence(puma("if memory:rss > 5 then exec \"/bin/heal\" timeout 30, alert"), faults: "2:51 `30` has no unit of time"),
        Sentence(puma("if memory:rss > 5 then exec \"/bin/heal\" timeout 3s timeout 4s"), faults: "2:54 a second `timeout` of one `exec`"),
        Sentence(
            puma("if memory:rss > 5 then signal"),
            faults: "2:32 found the end of the file, expected a signal such as QUIT, or several such as \"QUIT 30s KILL\""),
        Sentence(puma("if memory:rss > 5 then signal TREM, alert"), faults: "2:33 there is no signal `TREM`"),
        Sentence(
            puma("if memory:rss > 5 then signal QUIT 30s KILL, alert"), faults: "2:38 found `30s`, expected `,`, `else`, `if` or the end of the file"),
        Sentence(puma("if memory:rss > 5 then alert\nmemory:rss > 6 then alert"), faults: "3:1 found `memory`, expected `if`"),
        Sentence(puma("if memory:rss > 5 then alert\neach worker memory:rss > 6 then alert"), faults: "3:1 found `each`, expected `if`"),
        Sentence(puma("if memory:rss > 5 then alert\ndown then alert"), faults: "3:1 found `down`, expected `if`"),
        Sentence(puma("if memory:rss > 5 then alert\nfi cpu:user > 6 then alert"), faults: "3:1 found `fi`, expected `if`"),
        Sentence(puma("if memory:rss > 5 then restart\nIf cpu:user > 6 then alert"), faults: "3:1 found `If`, expected `if`"),
    ])
    func whatIsWrongInARuleIsSaidOnceAndTheNextRuleIsRead(sentence: Sentence) {
        sentence.verify()
        let next = RuleFile.parse(sentence.text + "\nif cpu:system > 1 then alert last", file: "t.inq").file?.rules.last
        #expect(next?.condition.comparisons.first?.metric == MetricName("cpu", "system"))
    }

    @Test(arguments: [
        ("chekc service p", "did you mean `check`?"), ("CHECK service p", "keywords are written in small letters: `check`"),
        ("check sevrice p", "did you mean `service`?"), ("check hosts", "did you mean `host`?"), ("check faild units", "did you mean `failed`?"),
        ("check service p with url http://a/b, owner c", "a value with a colon in it, such as an address, is written in quotes"),
        ("check service p wiht owner x", "did you mean `with`?"), ("check service p depend on x", "did you mean `depends`?"),
        (puma("fi memory:rss > 5 then alert"), "did you mean `if`?"), (puma("if memory:rss > 5 fro 2 cycles then alert"), "did you mean `for`?"),
        (puma("if memory:rss > 5 for 2 cylces then alert"), "did you mean `cycles`?"), (puma("if memory:rss > 5 than alert"), "did you mean `then`?"),
        (puma("if memory:rss > 5 for 2 minuts then alert"), "did you mean `minutes`?"),
        (puma("if memory:rss > 5 cler < 3 then alert"), "did you mean `clear`?"),
        (puma("if memory:rss > 5 durring \"sat\" then alert"), "did you mean `during`?"),
        (puma("if memory:rss > 5 during \"sta\" then alert"), "did you mean `sat`?"),
        (puma("if memory:rss > 5 as eror then alert"), "did you mean `error`?"),
        (puma("if memory:rss > 5 3 times wihtin 5 cycles then alert"), "did you mean `within`?"),
        (puma("if each wroker memory:rss > 5 then alert"), "did you mean `worker`?"), (puma("if dwon then alert"), "did you mean `down`?"),
        (puma("if memory:rss > 5 then restrat"), "did you mean `restart`?"), (puma("if memory:rss > 5 then alter ops"), "did you mean `alert`?"),
        (puma("if memory:rss > 5 then relaod"), "did you mean `reload`?"), (puma("if memory:rss > 5 then singal QUIT"), "did you mean `signal`?"),
        (puma("if memory:rss > 5 then signal TREM"), "did you mean `TERM`?"), (puma("if memory:rss > 5 then signal 9"), "signal 9 is called KILL"),
        (puma("if memory:rss > 5 then exec \"/x\" tiemout 3s"), "did you mean `timeout`?"),
        (puma("if memory:rss > 5 then alert elze restart"), "did you mean `else`?"),
        (puma("if memory:rss > 5 then Alert"), "keywords are written in small letters: `alert`"),
        (puma("if memory:rss > 5 then alert owner ops"), nil), (puma("if memory:rss > 5 m then alert"), "write the unit without a space: 5m"),
        (puma("if uptime < 5 minutes then alert"), "a time in an amount is written without a space: 30s, 5min, 2h or 1d"),
        (puma("if uptime < 5minutes then alert"), "write 5min; 5m is mebi"), (puma("if memory:rss > .5 then alert"), "write 0.5"),
        (puma("if memory:rss = 5 then alert"), "equality is written `==`"), (puma("if memory:rss => 5 then alert"), "write `>=`"),
        (puma("if memory:rss <> 5 then alert"), "inequality is written `!=`"), (puma("if memory:rss exceeds 5 then alert"), "write `>`"),
        (puma("if memory:rss > 5 then \"alert\""), "an action stands without quotes"),
        (puma("if memory:rss > 5 clear 4 then alert"), "write `clear < 4`"),
        (puma("if memory:rss > 5 then restart puma"), "`restart` acts on the service of the file; it takes no name"),
        (puma("if memory:rss > 5 then signal QUIT 3s KILL"), "put several signals in quotes, such as \"QUIT 30s KILL\""),
        (puma("if memory:rss > 5 then exec /bin/x y"), "put the program and its arguments in quotes"),
        (puma("if memory:rss > 5 then exec \"x\""), "begin it with a slash, such as /usr/bin/x"),
        (puma("if memory:rss > 5 then alert and restart"), "separate actions with a comma"),
        (puma("if\u{A0}memory:rss > 5 then alert"), "there is an invisible character (U+00A0) in it; write a plain space"),
        ("check jobs a happens at \"0 3 * *\"", "for example \"30 3 * * 1-5\": 03:30 from Monday to Friday"),
        ("check jobs a happens every day wihtin 3 minutes", "did you mean `within`?"),
    ])
    func aSlipOfTheKeyboardIsTheOnlyFaultAndGetsAHint(text: String, help: String?) {
        let faults = RuleFile.parse(text, file: "t").faults
        #expect(faults.count == 1)
        #expect(faults.first?.help == help)
    }

    // MARK: Jobs

    @Test(arguments: [
        Sentence(
            "check jobs a happens every minute b happens every 2 hours", is: "check jobs\n  a happens every minute\n  b happens every 2 hours\n"),
        Sentence(
            "check jobs with owner ops \"my job\" happens every 90 minutes",
            is: "check jobs\n  with owner ops\n  \"my job\" happens every 90 minutes\n"),
        Sentence("check jobs # all\njob#1 happens every 7 days", is: "check jobs\n  job#1 happens every 7 days\n"),
        Sentence("check jobs restart happens every 1 day", is: "check jobs\n  restart happens every day\n"),
        Sentence(
            "check jobs", faults: "1:11 found the end of the file, expected a job: `NAME happens every N minutes` or `NAME happens at \"CRON\"`"),
        Sentence(
            "check jobs a happens at \"30 3 * * mon-fri\" within 30 minutes for at most 2 hours b happens every day for at most 90m within 1h",
            is: "check jobs\n  a happens at \"30 3 * * mon-fri\" within 30m for at most 2h\n  b happens every day within 1h for at most 90m\n"),
        Sentence("check jobs a happens at \"@daily\"", is: "check jobs\n  a happens at \"@daily\"\n"),
        Sentence(
            "check jobs within happens every day for happens every day within 2 days at happens every day",
            is: "check jobs\n  within happens every day\n  for happens every day within 2d\n  at happens every day\n"),
        Sentence("check jobs a happens at 3", faults: "1:25 found `3`, expected a cron expression in quotes, such as \"30 3 * * *\""),
        Sentence("check jobs a happens at \"0 25 * * *\"", faults: "1:25 `25` is no hour of a cron expression"),
        Sentence("check jobs a happens every day within 5", faults: "1:39 `5` has no unit of time"),
        Sentence("check jobs a happens every day for 2 hours", faults: "1:36 found `2`, expected `for at most` and a time"),
        Sentence("check jobs a happens every day within 1h within 2h", faults: "1:42 a second `within` of one job"),
        Sentence("check jobs a happens sometimes", faults: "1:22 found `sometimes`, expected `every` or `at`"),
        Sentence("check jobs a happens every 0 days", faults: "1:28 found `0`, expected a number of minutes, hours or days"),
        Sentence("check jobs a happens every 5 weeks", faults: "1:30 found `weeks`, expected `minutes`, `hours` or `days`"),
        Sentence(
            "check jobs a happens every 9223372036854775807 days",
            faults: "1:28 `9223372036854775807 days` is too long; a job happens at least once in 100 years"),
        Sentence("check jobs a happens every day\na happens every hour", faults: "2:1 the job `a` was given before, in line 1"),
        Sentence(
            "check jobs a every day\nb happens every dya\nc happens every day",
            faults: "1:14 found `every`, expected `happens every` after the name of the job",
            "2:17 found `dya`, expected `minutes`, `hours` or `days`"),
    ])
    func jobsHappenEverySoOften(sentence: Sentence) { sentence.verify() }

    // MARK: Bytes

    @Test func bytesThatAreNoUTF8AreAFaultWithItsPlace() {
        let parsed = RuleFile.parse(
            Array("check service ä".utf8) + [0xFF, 0xFE, 0x0A] + Array("if memory:rss > 5 then alert \u{1F600}".utf8) + [0xC3], file: "t")
        #expect(parsed.faults.map(\.description) == ["t:1:16: byte 0xff is not UTF-8", "t:2:31: byte 0xc3 is not UTF-8"])
    }

    @Test func aFileInUTF16IsOneFault() {
        let faults = RuleFile.parse([0xFF, 0xFE] + "check host".utf8.flatMap { [$0, 0] }, file: "t").faults
        #expect(faults.map(\.message) == ["the file is UTF-16, expected UTF-8"])
    }

    @Test func aFileThatIsTooLargeIsOneFault() {
        let faults = RuleFile.parse([UInt8](repeating: 35, count: SourceText.limit + 1), file: "t").faults
        #expect(faults.map(\.message) == ["the file has more than 1048576 bytes"])
        #expect(RuleFile.parse(Array("check host #".utf8) + [UInt8](repeating: 35, count: SourceText.limit - 12), file: "t").faults.isEmpty)
    }

    @Test func aFileFullOfFaultsTellsTheFirstHundred() {
        let faults = RuleFile.parse("check host\n" + String(repeating: "if cpu => 5 then alert\n", count: 2000), file: "t").faults
        #expect(faults.count == 101)
        #expect(faults.last?.message == "more than 100 faults; the rest is not shown")
    }

    @Test func theCaretStandsUnderTheFaultInAWindowsFileToo() {
        let text = "check host\r\nif cpu > 5 then alret\r\n"
        let faults = RuleFile.parse(text, file: "host.inq").faults
        #expect(
            faults.first?.rendered(in: text) == """
                host.inq:2:17: found `alret`, expected an action
                    if cpu > 5 then alret
                                    ^
                    did you mean `alert`?

                """)
    }
}
