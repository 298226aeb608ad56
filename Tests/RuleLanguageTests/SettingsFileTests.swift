import Platform
import RuleLanguage
import Testing

private func faults(_ text: String) -> [String] { SettingsFile.parse(text, file: "c").faults.map { "\($0.line):\($0.column) \($0.message)" } }

@Suite struct SettingsFileTests {
    @Test func settingsAndRoutesKeepTheirOrderAndPlace() {
        let parsed = SettingsFile.parse(
            """
            # the agent
            set cycle_time 10   set aggregator https://watch.example.com:8443/a
            set hostname "my host"
            send alerts via email with to_email ops@example.com, from_email <a@b>;c
            send alerts to "the team" via slack with url https://x/y
            """, file: "c")
        #expect(parsed.faults == [])
        #expect(parsed.file.settings.map(\.key) == ["cycle_time", "aggregator", "hostname"])
        #expect(parsed.file.settings.map(\.value) == ["10", "https://watch.example.com:8443/a", "my host"])
        #expect(parsed.file.setting("aggregator")?.place == Place(line: 2, column: 25))
        #expect(parsed.file.setting("aggregator")?.valuePlace == Place(line: 2, column: 36))
        #expect(parsed.file.routes.map(\.name) == [nil, "the team"])
        #expect(parsed.file.routes[0].parameters.map(\.value) == ["ops@example.com", "<a@b>;c"])
        #expect(parsed.file.routes[1].place == Place(line: 5, column: 1))
    }

    @Test(arguments: ["", "# nothing", "\u{FEFF}set a b", "set a b\r\nset c d\r\n", "set a b # end", "set a \"\"", "set a\nnet\nset b\nsed"])
    func theseAreFine(text: String) { #expect(faults(text) == []) }

    @Test(
        arguments: [
            ("set a", ["1:6 found the end of the file, expected a value for `a`"]),
            ("set", ["1:4 found the end of the file, expected the name of a setting"]),
            ("set a\nset b c", ["2:1 found `set`, expected a value for `a`"]),
            ("set a b c\nset d e", ["1:9 found `c`, expected `set KEY VALUE`, `send alerts ...` or the end of the file"]),
            ("set a b\nset a c\nset a d", ["2:5 `a` was set before, in line 1", "3:5 `a` was set before, in line 1"]),
            ("ste a b\nset c d", ["1:1 found `ste`, expected `set`"]),
            ("cycle_time 15", ["1:1 found `cycle_time`, expected `set KEY VALUE`, `send alerts ...` or the end of the file"]),
            ("set a = 5\nset b c", ["1:9 found `5`, expected `set KEY VALUE`, `send alerts ...` or the end of the file"]),
            ("set listen [::1]:4677", ["1:12 `[` may stand only inside quotes"]),
            ("set a \"b\nset c d", ["1:7 the string is not closed before the end of its line"]),
            ("set set b", ["1:5 found `set`, expected the name of a setting", "1:10 found the end of the file, expected a value for `b`"]),
            ("send alert via email with a b", ["1:6 found `alert`, expected `alerts`"]),
            ("send alerts email", ["1:13 found `email`, expected `to ROUTE` or `via CHANNEL`"]),
            ("send alerts to via email with a b", ["1:16 found `via`, expected the name of a route"]),
            ("send alerts via email\nset a b", ["2:1 found `set`, expected `with` and the channel's parameters"]),
            ("send alerts via email with a b c d", ["1:32 found `c`, expected `,` before the next parameter"]),
            ("send alerts via email with a b, a c", ["1:33 the parameter `a` was given before, in line 1"]),
            ("send alerts via e with a b\nsend alerts via f with a b", ["2:1 the default route was given before, in line 1"]),
            ("send alerts to x via e with a b\nsend alerts to x via f with a b", ["2:1 the route `x` was given before, in line 1"]),
        ] as [(String, [String])])
    func whatIsWrongIsSaidOnce(text: String, expected: [String]) {
        #expect(faults(text) == expected)
    }
}
