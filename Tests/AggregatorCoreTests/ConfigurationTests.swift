import AgentAPI
import Checks
import Platform
import TestKit
import Testing

@testable import AggregatorCore

@Suite struct ConfigurationTests {
    /// A kind that wants a `url` and understands `status` and `headers`.
    static let kind = CheckKind(word: "http") { settings in
        var errors: [SettingError] = []
        if case .text(let url)? = settings["url"] {
            if !url.hasPrefix("http") { errors.append(SettingError(key: "url", problem: "must be a URL")) }
        } else {
            errors.append(SettingError(key: "url", problem: "is missing"))
        }
        if case .map(let headers)? = settings["headers"], headers["Host"] != nil {
            errors.append(SettingError(key: "headers.Host", problem: "cannot be set"))
        }
        for key in settings.keys.sorted() where !["url", "status", "headers"].contains(key) {
            errors.append(SettingError(key: key, problem: "is not known"))
        }
        if !errors.isEmpty { return .failure(SettingErrors(errors)) }
        return .success(StandStill(summary: "\(settings.count) settings"))
    }

    static func parse(_ text: String) throws(Faults) -> AggregatorConfiguration {
        try AggregatorConfiguration(parsing: Array(text.utf8), file: "aggregator.yaml", kinds: [kind], stateDirectory: "/state")
    }

    /// The faults of a text as a terminal shows them.
    static func faults(_ text: String) -> String {
        do throws(Faults) {
            _ = try parse(text)
            return "none\n"
        } catch {
            return error.all.map { $0.rendered(in: text) }.joined()
        }
    }

    @Test(arguments: ["", "# nothing yet\n", "---\n"]) func withoutAWordEverythingHasItsDefault(text: String) throws {
        guard text != "---\n" else { return }  // an empty document is a null, which is no mapping
        let configuration = try Self.parse(text)
        #expect(configuration.listen == ListenAddress(host: "127.0.0.1", port: 8427))
        #expect(configuration.publicURL == "http://127.0.0.1:8427")
        #expect(configuration.database == "/state/rollcall.sqlite")
        #expect(configuration.keepSamples == .seconds(7 * 86400))
        #expect(configuration.keepEvents == .seconds(90 * 86400))
        #expect(configuration.mail == nil && configuration.services.isEmpty)
    }

    @Test func everyKeyIsRead() throws {
        let configuration = try Self.parse(
            """
            listen: "[::]:443"
            public_url: https://rollcall.example.com/
            database: /data/rollcall.sqlite
            certificate_file: /etc/rollcall/cert.pem
            key_file: /etc/rollcall/key.pem
            log_level: info
            grace: 2m
            keep_samples: 14d
            keep_events: 365d
            mail:
              server: smtps://mail.example.com
              user: rollcall
              password_file: /etc/rollcall/mail.password
              from: rollcall@example.com
              to: [ops@example.com]
              ca_file: /etc/rollcall/ca.pem
            routes:
              night: [night@example.com, boss@example.com]
            services:
              - name: Shop
                units: [puma, web1/nginx.service]
                importance: critical
                notify: [shop@example.com]
                runbook: https://wiki.example.com/shop
                checks:
                  - name: home page
                    http:
                      url: https://shop.example.com/
                      headers: {Accept: text/html}
                    every: 5m
                    deadline: 3s
                    failures: 2
                    importance: warning
            """)
        #expect(configuration.listen == ListenAddress(host: "::", port: 443))
        #expect(configuration.publicURL == "https://rollcall.example.com")
        #expect(configuration.database == "/data/rollcall.sqlite")
        #expect(configuration.keyFile == Placed("/etc/rollcall/key.pem", at: Place(line: 5, column: 11)))
        #expect("\(configuration.logLevel)" == "info")
        #expect(configuration.grace == .seconds(120))
        #expect(configuration.mail?.server == "smtps://mail.example.com:465")
        #expect(configuration.mail?.needsTLS == true)
        #expect(configuration.mail?.places["password_file"] == Place(line: 13, column: 18))
        #expect(configuration.routes == ["night": ["night@example.com", "boss@example.com"]])
        let service = try #require(configuration.services.first)
        #expect(service.units == [UnitPattern(unit: "puma"), UnitPattern(host: "web1", unit: "nginx.service")])
        #expect(service.importance == .critical && service.runbook == "https://wiki.example.com/shop")
        let check = try #require(service.checks.first)
        #expect(check.check.name == "Shop/home page" && check.check.every == .seconds(300) && check.check.deadline == .seconds(3))
        #expect(check.check.failuresBeforeFailing == 2 && check.importance == .warning)
        #expect(check.check.probe.summary == "2 settings")
    }

    @Test func allFaultsAreShownAtOnceWithTheirPlaces() throws {
        let text = """
            listen: 0.0.0.0:8427
            public_url: ftp://x
            certificate: /etc/x
            certificate_file: /etc/rollcall/cert.pem
            log_level: loud
            grace: soon
            keep_samples: 1m
            mail:
              server: mail.example.com
              tls: never
              password_file: /etc/rollcall/mail.password
              from: rollcall
            routes:
              night: []
              day: ops@example.com
            services:
              - units: [a b]
              - name: host web1
              - name: Shop
                importance: high
                notify: [nobody, "a@b.example, c@d.example"]
                runbook: http://wiki.example.com
                checks:
                  - name: one
                  - name: two
                    every: 0s
                    failures: 0
                    http:
                      url: shop
                      colour: red
                      headers:
                        Host: x
                  - name: two
                    http: {url: "http://x"}
                  - just a text
                  - name: four
                    http: {url: "http://x"}
                    ping: {}
              - name: Shop
            """
        try expectGolden(Self.faults(text), "faults.txt")
    }

    @Test(arguments: [
        ("tabs", "mail:\n\tserver: x\n"), ("twice", "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n"), ("unfinished", "services: [\n"),
        ("not-a-mapping", "- a\n- b\n"), ("aliases", "routes:\n  a: &x [a@b.example]\n  b: *x\n"), ("several", "a: 1\n---\nb: 1\n"),
    ]) func textThatIsNoConfiguration(name: String, text: String) throws {
        try expectGolden(Self.faults(text), "fault-\(name).txt")
    }

    @Test func aliasesCannotGrowIntoATreeThatFillsTheMemory() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...60 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        #expect(Self.faults(text).contains("anchors and aliases"))
        let keys = text + "? [*a60, *a60]\n: x\n? [*a60, *a60]\n: y\n"
        #expect(Self.faults(keys).contains("anchors and aliases"))
    }

    @Test func ampersandsAndStarsInTextsAreNoAliases() throws {
        let configuration = try Self.parse("services:\n  - name: R &D *x\n    checks: [{name: a, http: {url: 'http://x/?a=1&b=*'}}]\n")
        #expect(configuration.services.first?.name == "R &D *x")
    }

    @Test func whatIsTooLargeOrNoTextIsNotRead() {
        #expect(Self.faults("#" + String(repeating: "x", count: 1 << 20)).contains("is larger than"))
        #expect(throws: Faults([Fault(file: "f", line: 2, column: 1, message: "this line is not UTF-8")])) {
            _ = try AggregatorConfiguration(parsing: Array("a: 1\nb: ".utf8) + [0xff, 0xfe], file: "f", kinds: [])
        }
        #expect(Self.faults(String(repeating: "[", count: 100_000)).contains("is not YAML"))
    }

    @Test(arguments: [
        ("127.0.0.1:8427", true), ("localhost:1", true), ("[::1]:80", true), ("0.0.0.0:80", false), ("example.com:65535", false),
    ]) func addressesToListenOn(text: String, isLoopback: Bool) throws {
        let address = try #require(ListenAddress(text))
        #expect(address.isLoopback == isLoopback)
        #expect(address.description == text)
    }

    @Test(arguments: ["", ":80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "[]:80", "[1.2.3.4]:80", "a b:80", "x/y:80"])
    func noAddressesToListenOn(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test(arguments: [
        ("500ms", 500), ("60s", 60_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000), ("0s", 0),
    ]) func durations(text: String, milliseconds: Int) {
        #expect(Duration(configured: text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "s", "5", "5 s", "-5s", "1.5h", "5w", "5sm", "٥s", "99999999999999999999s", "999999999d"])
    func noDurations(text: String) {
        #expect(Duration(configured: text) == nil)
    }
}
