import AgentAPI
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
            set aggregator_commands "silence, deploy, restart puma, reload *"
            set alert_when_unreachable 60
            send alerts to ops via null with x y
            set deploy_length 600
            set socket /run/rollcall.sock
            set socket_group adm
            set statsd_location localhost:8125
            set graphite_location "[::1]:2003"
            set metrics_listen 0.0.0.0:9100
            set pss_budget 2.5%
            set runner_user nobody
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

    @Test func theRestIsUnderstoodToo() {
        let (settings, faults, _) = read(
            """
            set aggregator https://watch
            set aggregator_token_file /t
            set aggregator_commands "silence, deploy, restart puma, reload *"
            set alert_when_unreachable 60
            set deploy_length 600
            set socket /run/rollcall.sock
            set socket_group adm
            set statsd_location localhost:8125
            set graphite_location "[::1]:2003"
            set metrics_listen 127.0.0.1:9100
            set pss_budget 2.5%
            set runner_user nobody
            """)
        #expect(faults == [])
        #expect(settings.permissions == [.silence, .deploy, .order(.restart, units: "puma"), .order(.reload, units: "*")])
        #expect(settings.alertWhenUnreachable == .seconds(60))
        #expect(settings.deployLength == .seconds(600))
        #expect(settings.socket == "/run/rollcall.sock")
        #expect(settings.socketGroup == "adm")
        #expect(settings.statsd == TargetAddress(host: "localhost", port: 8125))
        #expect(settings.graphite == TargetAddress(host: "::1", port: 2003))
        #expect(settings.metricsEndpoint?.address == ListenAddress(address: "127.0.0.1", port: 9100))
        #expect(settings.proportionalMemoryBudget == 2.5)
        #expect(settings.runnerUser == "nobody")
    }

    @Test func whatTheAggregatorMayOrder() {
        let (settings, _, _) = read(
            "set aggregator https://watch\nset aggregator_token_file /t\nset aggregator_commands \"deploy, restart puma, reload side*\"")
        let allowed: [AgentRequest] = [
            .status, .explain(unit: nil, rule: nil), .startDeploy(units: [], owner: nil, reason: nil, length: nil),
            .act(.restart, unit: "puma.service"),
            .act(.reload, unit: "sidekiq@1"),
        ]
        let refused: [AgentRequest] = [
            .stopMonitoring(units: [], reason: nil, length: nil), .act(.restart, unit: "sidekiq@1"), .act(.stop, unit: "puma"),
            .jobDone(name: "x", exitStatus: nil),
        ]
        #expect(allowed.allSatisfy(settings.permits))
        #expect(!refused.contains(where: settings.permits))
        #expect(
            read("set aggregator https://w\nset aggregator_token_file /t\nset aggregator_commands \"restart, dance\"").faults == [
                "3:25 `restart` is nothing that the aggregator could be allowed", "3:25 ` dance` is nothing that the aggregator could be allowed",
            ])
    }

    @Test func inspeqtorsPortIsUnderstood() {
        let (settings, faults, warnings) = read(user + "set expose_port 4677")
        #expect(faults == [])
        #expect(warnings.contains("3:5 `expose_port` is Inspeqtor's: the agent listens on 127.0.0.1:4677"))
        #expect(settings.endpoint?.address == ListenAddress(address: "127.0.0.1", port: 4677))
        #expect(read(user + "set expose_port 0").settings.endpoint == nil)
    }

    @Test func withoutASettingItsDefaultHolds() {
        let (settings, faults, warnings) = read("")
        #expect(faults == [])
        #expect(warnings == ["0:0 there is no `aggregator`: nobody hears of alerts"])
        #expect(settings.cycleTime == .seconds(15))
        #expect(settings.logLevel == .info)
        #expect(settings.aggregator == nil)
        #expect(settings.stateDirectory == "/var/lib/rollcall-agent")
        #expect(settings.hostname == "web1")
        #expect(settings.endpoint == nil)
        #expect(settings.deployLength == .seconds(300) && settings.alertWhenUnreachable == .seconds(300))
        #expect(settings.socket == "/run/rollcall-agent/agent.sock")
        #expect(settings.metricsEndpoint == nil && settings.statsd == nil && settings.graphite == nil && settings.permissions == [])
        #expect(settings.proportionalMemoryBudget == 1)
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
        ("https://watch.example.com/", "https://watch.example.com", "watch.example.com"),
        ("https://watch.example.com/watch/", "https://watch.example.com/watch", "watch.example.com"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("http://localhost:80", "http://localhost", "localhost"),
        ("HTTPS://watch:443/a/", "https://watch/a", "watch"), ("http://[::1]:8080/x", "http://[::1]:8080/x", "[::1]:8080"),
    ])
    func anAddressHasOneForm(text: String, address: String, hostField: String) throws {
        let read = try AggregatorAddress(parsing: text)
        #expect(read.description == address)
        #expect(read.hostField == hostField)
    }

    @Test(arguments: [
        "http://watch.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "ftp://x", "watch.example.com", "https://", "https://:80",
        "https://x:0", "https://x:70000", "https://x:", "https://user:word@x", "https://x/a?b", "\"https://x/a b\"", "\"https://[::g]\"",
        "\"https://x\\ny\"", "https://-x", "https://x:+5", "https:watch", "https://wa$tch", "\"https://[::1\"", "\"https://[a]\"", "https://x:65536",
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
        ("set log_level loud", "1:15 `loud` is not a log level"), ("set expose_port x", "1:17 `x` is not a port"),
        ("set state_directory var", "1:21 `state_directory` is not an absolute path"),
        ("set hostname \"a b\"", "1:14 a hostname has 1 to 253 characters and no spaces"),
        ("set aggregator https://x", "1:5 `aggregator` without `aggregator_token_file`"),
        ("set aggregator_token_file /x", "1:5 `aggregator_token_file` without `aggregator`"),
        ("set deploy_path /about/deploy", "1:5 `deploy_path` belongs to the service that is asked"),
        ("set deploy_host x", "1:5 `deploy_host` belongs to the service that is asked"),
        ("set listen_user x", "1:5 `listen_user` without `listen_password_file`"),
        ("set listen_key_file /x", "1:5 `listen_key_file` without `listen_certificate_file`"),
        ("set listen_user a:b\nset listen_password_file /p", "1:17 a user has a name, and no colon in it"),
        ("set listen 0.0.0.0:4677", "1:12 `0.0.0.0:4677` is not a loopback address: the password would travel in clear"),
        ("set listen 4677", "1:12 `4677` is not an address with a port"), ("set listen :4677", "1:12 `:4677` is not an address with a port"),
        ("set listen 127.0.0.1:99999", "1:12 `127.0.0.1:99999` is not an address with a port"),
        ("set listen ::1:4677", "1:12 `::1:4677` is not an address with a port"),
        ("set listen example.com:4677", "1:12 `example.com` is not an IP address"),
        ("set deploy_length 0", "1:19 `0` is not a number of seconds from 1 to 86400"),
        ("set socket run/x", "1:12 `socket` is not an absolute path"), ("set socket_group \"a b\"", "1:18 `a b` is not the name of a group"),
        ("set runner_user -x", "1:17 `-x` is not the name of a user"), ("set statsd_location x", "1:21 `x` is not a host with a port"),
        ("set graphite_location x:0", "1:23 `x:0` is not a host with a port"),
        ("set metrics_listen 0.0.0.0:9", "1:20 `0.0.0.0:9` is not a loopback address: what is measured would travel in clear"),
        ("set pss_budget 101", "1:16 `101` is not a percentage from 0.1 to 100, and not 0"),
        ("set pss_budget nan", "1:16 `nan` is not a percentage from 0.1 to 100, and not 0"),
        ("set aggregator_commands silence", "1:5 `aggregator_commands` without `aggregator`"),
        ("set listen 127.0.0.1:1\nset expose_port 1", "2:5 `listen` and `expose_port`"),
    ])
    func aWrongSettingIsOneFault(text: String, fault: String) {
        #expect(read(text).faults == [fault])
    }

    @Test func anUnknownKeyIsAnsweredWithTheKnownOnes() {
        let parsed = SettingsFile.parse("set colour red", file: "c").file
        let findings = AgentSettings.read(parsed, file: "c", defaults: .init(hostname: "h", stateDirectory: nil)).findings
        #expect(findings.faults.first?.help == "the settings are " + AgentSettings.keys.joined(separator: ", "))
    }
}
