import AgentCore
import Logging
import Platform
import RuleLanguage
import Testing

private func read(_ text: String, stateDirectory: String? = nil) -> (settings: AgentSettings, faults: [String], warnings: [String]) {
    let parsed = SettingsFile.parse(text, file: "c")
    let read = AgentSettings.read(parsed.file, file: "c", defaults: AgentSettings.Defaults(hostname: "web1", stateDirectory: stateDirectory))
    let shown = { (faults: [Fault]) in faults.map { "\($0.line):\($0.column) \($0.message)" } }
    return (read.settings, shown(parsed.faults + read.findings.faults), shown(read.findings.warnings))
}

private let user = "set listen_user deploy\nset listen_password_file /p\n"

@Suite struct ConfigurationSettingsTests {
    @Test func everyKeyIsUnderstood() {
        let (settings, faults, warnings) = read(
            """
            set cycle_time 30
            set log_level debug
            set aggregator https://watch.example.com:8443/rollcall/
            set aggregator_token_file /etc/rollcall/token
            set aggregator_ca_file /etc/rollcall/ca.pem
            set state_directory /var/lib/x
            set hostname db1.example.com
            set listen "[2001:db8::1]:4677"
            set listen_user deploy
            set listen_password_file /etc/rollcall/password
            set listen_certificate_file /etc/rollcall/cert.pem
            set listen_key_file /etc/rollcall/key.pem
            """)
        #expect(faults == [])
        #expect(warnings == [])
        #expect(settings.cycleTime == .seconds(30))
        #expect(settings.logLevel == .debug)
        #expect(settings.aggregator?.address.isEncrypted == true)
        #expect(settings.aggregator?.address.host == "watch.example.com")
        #expect(settings.aggregator?.address.port == 8443)
        #expect(settings.aggregator?.address.path == "/rollcall")
        #expect(settings.aggregator?.tokenFile == "/etc/rollcall/token")
        #expect(settings.aggregator?.certificateAuthorityFile == "/etc/rollcall/ca.pem")
        #expect(settings.stateDirectory == "/var/lib/x")
        #expect(settings.hostname == "db1.example.com")
        #expect(
            settings.endpoint
                == .init(
                    address: ListenAddress(address: "2001:db8::1", port: 4677), user: "deploy", passwordFile: "/etc/rollcall/password",
                    certificate: .init(file: "/etc/rollcall/cert.pem", keyFile: "/etc/rollcall/key.pem")))
    }

    @Test func withoutASettingItsDefaultHolds() {
        let (settings, faults, warnings) = read("")
        #expect(faults == [])
        #expect(warnings == ["1:1 there is no `aggregator`: nobody hears of alerts"])
        #expect(settings.cycleTime == .seconds(15))
        #expect(settings.logLevel == .info)
        #expect(settings.aggregator == nil)
        #expect(settings.stateDirectory == "/var/lib/rollcall-agent")
        #expect(settings.hostname == "web1")
        #expect(settings.endpoint == nil)
        #expect(read("", stateDirectory: "/run/x").settings.stateDirectory == "/run/x")
    }

    @Test func theEndpointNeedsAUserAndAPassword() {
        #expect(read(user).settings.endpoint?.address == ListenAddress(address: "127.0.0.1", port: 4677))
        #expect(read(user + "set listen off").settings.endpoint == nil)
        #expect(read("set listen 127.0.0.1:80").settings.endpoint == nil)
        #expect(read("set listen 127.0.0.1:80").warnings.contains("1:5 nobody is answered there without `listen_user` and `listen_password_file`"))
    }

    @Test(arguments: [
        ("warn", Logger.Level.warning), ("verbose", .trace), ("trace", .trace), ("debug", .debug), ("info", .info), ("notice", .notice),
        ("warning", .warning), ("error", .error),
    ])
    func logLevelsHaveInspeqtorsNamesToo(word: String, level: Logger.Level) {
        #expect(read("set log_level \(word)").settings.logLevel == level)
        #expect(read("set log_level \(word)").faults == [])
    }

    @Test(arguments: ["127.0.0.1:1", "127.3.2.1:65535", "localhost:4677", "\"[::1]:4677\"", "\"[0:0::1]:4677\""])
    func loopbackNeedsNoCertificate(listen: String) {
        #expect(read(user + "set listen \(listen)").faults == [])
        #expect(read(user + "set listen \(listen)").settings.endpoint?.address.isLoopback == true)
    }

    @Test(arguments: ["http://localhost:8080", "http://127.0.0.1", "\"http://[::1]:8080/x\"", "https://a", "https://10.0.0.1:1/", "HTTPS://watch"])
    func theseAreAggregators(address: String) {
        #expect(read("set aggregator \(address)\nset aggregator_token_file /t").faults == [])
    }

    @Test(arguments: [
        "http://watch.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://x", "watch.example.com", "https://", "https://:80",
        "https://x:0", "https://x:70000", "https://x:", "https://user:word@x", "https://x/a?b", "\"https://x/a b\"", "\"https://[::g]\"",
        "\"https://x\\ny\"", "https://-x", "https://x:+5",
    ])
    func theseAreNone(address: String) {
        let faults = read("set aggregator \(address)\nset aggregator_token_file /t").faults
        #expect(faults.count == 1)
        #expect(faults.first?.hasPrefix("1:16 ") == true)
        #expect(faults.first?.contains("user:word") == false)
    }

    @Test(arguments: [
        ("set cycle_time 3601", "1:16 `3601` is not a number of seconds from 1 to 3600"),
        ("set cycle_time 1.5", "1:16 `1.5` is not a number of seconds from 1 to 3600"),
        ("set cycle_time 99999999999999999999", "1:16 `99999999999999999999` is not a number of seconds from 1 to 3600"),
        ("set log_level loud", "1:15 `loud` is not a log level"), ("set expose_port 1", "1:5 there is no setting `expose_port`"),
        ("set state_directory var", "1:21 `state_directory` is not an absolute path"),
        ("set hostname \"a b\"", "1:14 a hostname has 1 to 253 characters and no spaces"),
        ("set aggregator https://x", "1:5 `aggregator` without `aggregator_token_file`"),
        ("set aggregator_token_file /x", "1:5 `aggregator_token_file` without `aggregator`"),
        ("set listen_user x", "1:5 `listen_user` without `listen_password_file`"),
        ("set listen_key_file /x", "1:5 `listen_key_file` without `listen_certificate_file`"),
        ("set listen_user a:b\nset listen_password_file /p", "1:17 a user has a name, and no colon in it"),
        ("set listen 0.0.0.0:4677", "1:12 `0.0.0.0:4677` is not a loopback address: the password would travel in clear"),
        ("set listen 4677", "1:12 `4677` is not an address with a port"), ("set listen :4677", "1:12 `:4677` is not an address with a port"),
        ("set listen 127.0.0.1:99999", "1:12 `127.0.0.1:99999` is not an address with a port"),
        ("set listen ::1:4677", "1:12 `::1:4677` is not an address with a port"),
        ("set listen example.com:4677", "1:12 `example.com` is not an IP address"),
        ("send alerts via email with to_email a@b", "1:1 the agent does not send alerts itself"),
    ])
    func aWrongSettingIsOneFault(text: String, fault: String) {
        #expect(read(text).faults == [fault])
    }

    @Test func anUnknownKeyIsAnsweredWithTheKnownOnes() {
        let parsed = SettingsFile.parse("set deploy_length 300", file: "c").file
        let findings = AgentSettings.read(parsed, file: "c", defaults: .init(hostname: "h", stateDirectory: nil)).findings
        #expect(findings.faults.first?.help == "the settings are " + AgentSettings.keys.joined(separator: ", "))
    }
}
