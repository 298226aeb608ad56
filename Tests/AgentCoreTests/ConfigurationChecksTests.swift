import AgentAPI
import AgentCore
import Platform
import RuleLanguage
import Testing

private let aggregator = "set aggregator https://watch.example.com\nset aggregator_token_file /etc/rollcall/token\n"
private let mail = "via email with smtp_server mx, to_email a@b\n"

/// What is wrong with these files, by their names.
private func faults(_ files: [String: String]) throws -> [String] {
    let folder = try ConfigurationFolder(files)
    return folder.shown(folder.read().faults)
}

private func warnings(_ files: [String: String]) throws -> [String] {
    let folder = try ConfigurationFolder(files)
    return folder.shown(folder.read().warnings)
}

private let example = Place(line: 1, column: 1)

@Suite struct ConfigurationChecksTests {
    @Test func aPatternIsForAllThatMatch() {
        let check = ServiceCheck(name: "sidekiq@*")
        #expect(check.isPattern)
        #expect(check.covers("sidekiq@1.service") && check.covers("sidekiq@critical") && !check.covers("puma"))
        let puma = ServiceCheck(name: "puma.service")
        #expect(!puma.isPattern && puma.covers("puma") && puma.covers("puma.service") && !puma.covers("puma2"))
        let failed = FailedUnitsCheck(exceptions: ["a", "b*"])
        #expect(failed.covers("c.service") && !failed.covers("a.service") && !failed.covers("backup.timer"))
    }

    @Test func everyInitSystemCanBeNamed() throws {
        for name in ["systemd", "upstart", "runit", "s6", "supervisord", "openrc", "sysv"] {
            #expect(try faults(["a.inq": "check service a with init \(name)"]) == [])
        }
        #expect(try faults(["a.inq": "check service a with init sysv, pidfile /run/a.pid"]) == [])
        #expect(try faults(["a.inq": "check service a with init runitt"]) == ["a.inq:1:22: there is no init system `runitt`"])
        #expect(try faults(["a.inq": "check service a with init runit, pidfile /x"]) == ["a.inq:1:22: `init runit` and a `pidfile`"])
        #expect(
            try faults(["a.inq": "check service \"a@*\" with pidfile /x"]) == ["a.inq:1:26: a `pidfile` is of one service, and `a@*` of many"])
    }

    @Test func whoIsAskedForItsTokenSaysSoItself() throws {
        let folder = try ConfigurationFolder([
            "services.d/a.inq": "check service a",
            "services.d/b.inq":
                "check service b with deploy_path /about/deploy, deploy_user about, deploy_password_file /nowhere/p, deploy_host app.example.com",
        ])
        let services = try folder.read().configuration.get().services
        #expect(
            services.map(\.deployQuestion) == [
                nil, DeployQuestion(path: "/about/deploy", host: "app.example.com", user: "about", passwordFile: "/nowhere/p"),
            ])
    }

    @Test func howAQuestionTravelsIsKept() throws {
        let folder = try ConfigurationFolder([
            "services.d/a.inq":
                "check service a with deploy_path /d, deploy_header \"X-Forwarded-Proto: https\", deploy_header \"X-Door:  open\", deploy_tls on, deploy_proxy_header v2",
            "services.d/b.inq": "check service b with deploy_path /d, deploy_protocol fastcgi, deploy_script /srv/about.php",
        ])
        let services = try folder.read().configuration.get().services
        #expect(
            services.map(\.deployQuestion) == [
                DeployQuestion(
                    path: "/d", headers: [.init(name: "X-Forwarded-Proto", value: "https"), .init(name: "X-Door", value: "open")], tls: .on,
                    proxyHeader: .v2),
                DeployQuestion(path: "/d", language: .fastcgi, script: "/srv/about.php"),
            ])
    }

    @Test(arguments: [
        ("deploy_path /x, deploy_tls maybe", "`maybe` is no `deploy_tls`"), ("deploy_path /x, deploy_protocol ajp", "`ajp` is no `deploy_protocol`"),
        ("deploy_path /x, deploy_proxy_header v3", "`v3` is no `deploy_proxy_header`"),
        ("deploy_path /x, deploy_tls verify", "`deploy_tls verify` without `deploy_host`"),
        ("deploy_path /x, deploy_tls on, deploy_protocol uwsgi", "`deploy_tls` and `deploy_protocol uwsgi`"),
        ("deploy_path /x, deploy_script /y, deploy_protocol http", "`deploy_script` and `deploy_protocol http`"),
        ("deploy_path /x, deploy_script y", "`y` is not an absolute path"), ("deploy_path /x, deploy_header Door", "`Door` is not a header"),
        ("deploy_path /x, deploy_header \"a b: c\"", "`a b: c` is not a header"),
        ("deploy_path /x, deploy_header \"Host: c\"", "`deploy_header` for the Host"),
        ("deploy_path /x, deploy_header \"Content-Length: 5\"", "the header Content-Length is the agent's own"),
        ("deploy_tls on", "`deploy_tls` without `deploy_path`"),
    ])
    func howAQuestionTravelsHasToMakeSense(parameters: String, fault: String) throws {
        #expect(
            try faults(["a.inq": "check service a with \(parameters)"]).map { $0.split(separator: ": ", maxSplits: 1).last.map(String.init) } == [
                fault
            ])
    }

    @Test(arguments: [
        ("deploy_host x", "`deploy_host` without `deploy_path`"), ("deploy_user x, deploy_path /x", "`deploy_user` without `deploy_password_file`"),
        ("deploy_password_file /nowhere/x, deploy_path /x", "`deploy_password_file` without `deploy_user`"),
        ("deploy_path about", "`about` is not a path that begins with a slash, in ASCII without spaces"),
        ("deploy_path \"/a\\r\\nX: y\"", "`/a\r\nX: y` is not a path that begins with a slash, in ASCII without spaces"),
        ("deploy_host \"a b\", deploy_path /x", "`a b` is not a host"),
        ("deploy_user \"a:b\", deploy_path /x, deploy_password_file /nowhere/p", "a user has a name, and no colon in it"),
    ])
    func howWorkersAreAskedHasToMakeSense(parameters: String, fault: String) throws {
        #expect(try faults(["a.inq": "check service a with \(parameters)"]) == ["a.inq:1:22: \(fault)"])
    }

    @Test func whatADaemonIsAskedWithIsKept() throws {
        let folder = try ConfigurationFolder([
            "a.inq":
                "check service r with port 6380, password_file /etc/p expose memstats\nif redis:used_memory > 5 then alert\nif redis:evicted_keys > 5 then alert"
        ])
        let check = try folder.read().configuration.get().services[0]
        #expect(check.daemonParameters == ["port": "6380", "password_file": "/etc/p"])
        #expect(check.daemonMetrics.map(\.family) == ["redis", "memstats"])
        #expect(check.daemonMetrics.map(\.names) == [["used_memory", "evicted_keys"], []])
    }

    @Test(arguments: [
        ("port x", "`x` is not a port"), ("socket s", "`s` is not an absolute path"), ("database d", "redis takes no `database`"),
        ("socket /s, port 1", "`socket` and `port`"), ("password_file /etc/hostname, password x", "`password_file` and `password`"),
        ("hostname \"\"", "`hostname` without a value"), ("prt 1", "there is no parameter `prt` here"),
    ])
    func daemonsTakeWhatTheyKnow(parameters: String, fault: String) throws {
        let folder = try ConfigurationFolder(["a.inq": "check service r with \(parameters)\nif redis:used_memory > 5 then alert"])
        #expect(folder.read().faults.map(\.message) == [fault])
    }

    @Test func aPasswordInTheFileIsWarnedAbout() throws {
        #expect(
            try warnings(["a.inq": "check service r with password hunter2\nif redis:used_memory > 5 then alert"]) == [
                "a.inq:1:22: whoever can read this file knows the password"
            ])
        #expect(
            try warnings(["a.inq": "check service r with port 5"]) == ["a.inq:1:22: `port` has no effect: no rule here asks a daemon for numbers"])
        #expect(
            try warnings(["a.inq": "check service r with password_file /etc/hostname\nif redis:used_memory > 5 then alert"]) == [
                "a.inq:1:22: /etc/hostname holds a secret but others can open it"
            ])
    }

    // MARK: Routes

    @Test func withoutAnAggregatorOnlyOwnRoutesExist() throws {
        let files = [
            "rollcall.conf": "send alerts to ops \(mail)send alerts \(mail)",
            "services.d/a.inq": "check service a with owner opps\nif fds > 5 then alert ops\nif fds > 6 then alert web",
        ]
        #expect(
            try faults(files) == ["services.d/a.inq:1:22: there is no route `opps`", "services.d/a.inq:3:17: there is no route `web`"])
        var withAggregator = files
        withAggregator["rollcall.conf", default: ""] += aggregator
        #expect(try faults(withAggregator) == [])
        #expect(try faults(["services.d/a.inq": "check service a with owner opps"]) == [])
    }

    @Test func whereThereIsNoDefaultRouteEveryCheckHasAnOwner() throws {
        let conf = "send alerts to ops \(mail)"
        #expect(
            try faults([
                "rollcall.conf": conf, "services.d/a.inq": "check service a", "host.inq": "check host with owner ops\nif load:1 > 5 then alert",
            ]) == [
                "services.d/a.inq:1:15: there is no default route, and no `owner` here"
            ])
    }
}

@Suite struct AlertChannelTests {
    private func read(_ text: String) -> (channels: [AlertChannel], faults: [String], warnings: [String]) {
        let parsed = SettingsFile.parse(text, file: "c")
        let read = AgentSettings.read(parsed.file, file: "c", defaults: AgentSettings.Defaults(hostname: "web1", stateDirectory: nil))
        return (read.settings.channels, (parsed.faults + read.findings.faults).map(\.message), read.findings.warnings.map(\.message))
    }

    @Test func everyChannelIsUnderstood() {
        let (channels, faults, warnings) = read(
            """
            send alerts via email with smtp_server mx.example.com, to_email "a@b, c@d", username u, password_file /p, from_email x@y, tls_port 465
            send alerts to a via gmail with to_email a@b, username u@gmail.com, password_file /p
            send alerts to b via slack with url_file /u, icon_emoji ghost
            send alerts to c via webhook with url http://localhost:8080/x, secret_file /s
            send alerts to d via pagerduty with routing_key_file /k
            send alerts to e via null with x y
            """)
        #expect(faults == [])
        #expect(warnings == ["/p does not exist", "/p does not exist", "/u does not exist", "/s does not exist", "/k does not exist"])
        #expect(channels.map(\.route) == [nil, "a", "b", "c", "d", "e"])
        #expect(channels.map(\.kind) == ["email", "gmail", "slack", "webhook", "pagerduty", "null"])
        #expect(channels[2].parameters == ["url_file": "/u", "icon_emoji": "ghost"])
        #expect(channels[5].parameters == [:])
    }

    @Test(arguments: [
        ("email with to_email a@b", "`email` without `smtp_server`"), ("email with smtp_server mx", "`email` without `to_email`"),
        ("email with smtp_server mx, to_email ab", "`ab` is not a mail address"),
        ("email with smtp_server \"m x\", to_email a@b", "`m x` is not a host"),
        ("email with smtp_server mx, to_email a@b, tls_port 0", "`0` is not a port"),
        ("email with smtp_server mx, to_email a@b, username u", "`username` without `password_file`"),
        ("email with smtp_server mx, to_email a@b, password p", "a password without `username`"),
        ("email with smtp_server mx, to_email a@b, color red", "there is no parameter `color` here"),
        ("gmail with to_email a@b, username u", "`gmail` without `password_file`"), ("slack with icon_emoji x", "`slack` without `url_file`"),
        ("slack with url ftp://x", "`url` is not an address that begins with https:// or http://"),
        ("slack with url http://x/secret", "`url` would travel in clear"), ("slack with url_file u", "`u` is not an absolute path"),
        ("slack with url_file /u, url https://x", "`url_file` and `url`"), ("webhook with secret_file /s", "`webhook` without `url`"),
        ("webhook with url x", "`x` is not an address that begins with https:// or http://"),
        ("pagerduty with url x", "`pagerduty` without `routing_key_file`"), ("emial with to_email a@b", "there is no channel `emial`"),
        ("hipchat with token x", "there is no channel `hipchat`"),
    ])
    func whatIsMissingOrUnknownIsTold(route: String, fault: String) {
        #expect(read("send alerts via \(route)").faults.first == fault)
    }

    @Test func secretsInClearAreWarnedAbout() {
        #expect(
            read("send alerts via pagerduty with routing_key abc").warnings == ["whoever can read this file knows the routing_key"])
        #expect(read("send alerts via slack with url https://hooks/x").warnings == ["whoever can read this file knows the url"])
    }
}
