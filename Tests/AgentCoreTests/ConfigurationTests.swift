import AgentCore
import Foundation
import Platform
import RuleLanguage
import Testing

private let aggregator = "set aggregator https://watch.example.com\nset aggregator_token_file /etc/rollcall/token\n"

@Suite struct ConfigurationTests {
    @Test func aFolderIsReadAsAWhole() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator + "set cycle_time 5\n", "host.inq": "check host with owner ops\nif load:1 > 5 then alert\n",
            "services.d/puma.inq": "check service puma with pidfile /run/puma.pid, init pidfile\nif memory:total > 1g then restart\n",
            "services.d/nginx.inq": "check service nginx with owner web", "services.d/notes.txt": "not a rule",
            "services.d/.hidden.inq": "not a rule",
        ])
        let reading = folder.read()
        #expect(folder.shown(reading.warnings) == [])
        let configuration = try reading.configuration.get()
        #expect(configuration.settings.cycleTime == .seconds(5))
        #expect(configuration.host?.owner == "ops")
        #expect(configuration.host?.rules.count == 1)
        #expect(configuration.services.map(\.name) == ["nginx", "puma"])
        #expect(configuration.services.map(\.owner) == ["web", nil])
        #expect(configuration.services.last?.initSystem == .pidfile)
        #expect(configuration.services.last?.pidFile == "/run/puma.pid")
        #expect(try AgentConfiguration(folder: folder.path, defaults: .init(hostname: "web1", stateDirectory: nil)) == configuration)
    }

    @Test func everyFaultOfEveryFileIsToldAtOnce() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": "set cycle_time 0\nset cicle_time 5\n", "host.inq": "check host\nif load:2 > 5 then alrt\n",
            "services.d/a.inq": "check service a\nif memory:swap > 50% then restrat\n", "services.d/b.inq": "check service",
        ])
        #expect(
            folder.read().faults.map { "\($0.file.dropFirst(folder.path.count + 1)):\($0.line):\($0.column)" } == [
                "rollcall.conf:1:16", "rollcall.conf:2:5", "host.inq:2:4", "host.inq:2:20", "services.d/a.inq:2:18", "services.d/a.inq:2:27",
                "services.d/b.inq:1:14",
            ])
        let faults = #expect(throws: Faults.self) { try AgentConfiguration(folder: folder.path, defaults: .init(hostname: "x", stateDirectory: nil)) }
        #expect(faults?.all.count == 7)
    }

    /// Like a unit that is masked.
    @Test(arguments: ["", "\n\n", "# check service puma\n#  if down then alert", "\u{FEFF}# nothing\r\n"])
    func aRuleFileThatSaysNothingIsSwitchedOff(text: String) throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "host.inq": text, "services.d/puma.inq": text, "services.d/web.inq": "check service web",
            "jobs.d/a.inq": text,
        ])
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/services.d/redis.inq", withDestinationPath: "/dev/null")
        let reading = folder.read()
        #expect(folder.shown(reading.faults) == [] && folder.shown(reading.warnings) == [])
        #expect(try reading.configuration.get().services.map(\.name) == ["web"])
        #expect(try reading.configuration.get().host == nil)
    }

    @Test func aLinkToNowhereIsStillAFault() throws {
        let folder = try ConfigurationFolder(["rollcall.conf": aggregator, "services.d/web.inq": "check service web"])
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/services.d/redis.inq", withDestinationPath: "/nowhere/redis.inq")
        #expect(folder.read().faults.count == 1)
    }

    @Test func ruleFilesThatAreNotReadAreNamed() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "services.d/web.inq": "check service web", "services.d/API.INQ": "check service api",
            "services.d/team/api.inq": "check service api", "services.d/team/notes.txt": "", "jobs.d/old/a.Inq": "check jobs",
            "services.d/notes.txt": "",
        ])
        let reading = folder.read()
        #expect(
            folder.shown(reading.warnings) == [
                "services.d/API.INQ: is not read: the names of rule files end in .inq",
                "services.d/team/api.inq: is not read: it is not in services.d itself",
                "jobs.d/old/a.Inq: is not read: it is not in jobs.d itself",
            ])
        #expect(try reading.configuration.get().services.map(\.name) == ["web"])
    }

    @Test func anInstanceWithItsOwnCheckIsNoneOfThePatterns() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "services.d/all.inq": "# of all\ncheck service sidekiq@* with owner jobs",
            "services.d/one.inq": "check service sidekiq@1", "services.d/web.inq": "check service web",
        ])
        let notes = folder.read().files.map { $0.notes.map { $0.replacingOccurrences(of: folder.path + "/", with: "") } }
        #expect(
            notes == [
                [], [], ["`sidekiq@*` at services.d/all.inq:2 matches it too: that check's rules and owner do not apply to it"], [],
            ])
    }

    @Test func anEscapeOfSystemdsIsPartOfAName() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "services.d/swap.inq": #"check service "dev-disk-by\x2dlabel.swap""#,
            "services.d/all.inq": #"check service "foo\x2d*""#,
        ])
        let services = try folder.read().configuration.get().services
        #expect(services.map(\.name) == [#"foo\x2d*"#, #"dev-disk-by\x2dlabel.swap"#])
        #expect(services[0].covers(#"foo\x2dbar.service"#) && !services[0].covers("foo-bar.service"))
    }

    @Test func aServiceIsCheckedInOneFileOnly() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "services.d/a.inq": "check service puma", "services.d/b.inq": "# again\ncheck service puma.service",
        ])
        let faults = folder.read().faults
        #expect(folder.shown(faults) == ["services.d/b.inq:2:15: the service `puma.service` is checked twice"])
        #expect(faults.first?.help == "\(folder.path)/services.d/a.inq checks it too; put all rules into one file")
    }

    @Test func everyKindOfCheckHasItsPlace() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "host.inq": "check service a", "services.d/b.inq": "check host",
            "services.d/c.inq": "check jobs x happens every day", "jobs.d/d.inq": "check service d",
        ])
        #expect(
            folder.shown(folder.read().faults) == [
                "host.inq:1:15: found `check service`, expected `check host` in this place",
                "services.d/b.inq:1:7: found `check host`, expected `check service` in this place",
                "services.d/c.inq:1:7: found `check jobs`, expected `check service` in this place",
                "jobs.d/d.inq:1:15: found `check service`, expected `check jobs` in this place",
            ])
        #expect(
            folder.shown(folder.read("services.d/b.inq").faults) == [
                "services.d/b.inq:1:7: found `check host`, expected `check service` in this place"
            ])
    }

    @Test func jobsAreRead() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": aggregator, "jobs.d/a.inq": "check jobs with owner ops, timers \"backup-* logrotate\"\nbackup happens every day",
            "jobs.d/b.inq": "check jobs\nbackup happens every hour",
        ])
        #expect(folder.shown(folder.read().faults) == ["jobs.d/b.inq:2:1: the job `backup` is checked twice"])
        let jobs = try folder.read("rollcall.conf", "jobs.d/a.inq").configuration.get().jobs
        #expect(jobs.map(\.owner) == ["ops"])
        #expect(jobs.map(\.timers) == [["backup-*", "logrotate"]])
        #expect(jobs.first?.jobs.map(\.name) == ["backup"])
    }

    @Test func filesCanBeNamedOneByOne() throws {
        let folder = try ConfigurationFolder(["a.inq": "check service a", "b.inq": "check host", "mine.conf": aggregator])
        let configuration = try folder.read("a.inq", "mine.conf", "b.inq", "a.inq").configuration.get()
        #expect(configuration.services.map(\.name) == ["a"])
        #expect(configuration.host != nil)
        #expect(configuration.settings.aggregator?.address.host == "watch.example.com")
    }

    @Test func aFileThatWasNamedAndIsMissingIsAFault() throws {
        let folder = try ConfigurationFolder()
        #expect(
            folder.shown(folder.read("a.inq", "b.conf").faults) == [
                "a.inq: cannot be read: No such file or directory", "b.conf: cannot be read: No such file or directory",
            ])
        #expect(folder.read().faults.map(\.message) == ["holds nothing to check"])
    }

    @Test func aFolderOfRuleFilesIsReadToo() throws {
        let folder = try ConfigurationFolder(["b.inq": "check service b", "a.inq": "check service a"])
        #expect(try folder.read().configuration.get().services.map(\.name) == ["a", "b"])
    }

    @Test func aRuleFileInTheWrongPlaceIsWarnedOf() throws {
        let folder = try ConfigurationFolder(["rollcall.conf": aggregator, "b.inq": "check service b", "services.d/a.inq": "check service a"])
        #expect(try folder.read().configuration.get().services.map(\.name) == ["a"])
        #expect(folder.shown(folder.read().warnings) == ["b.inq: is not read: it is not in services.d"])
    }

    @Test func whatIsNoFileIsNotOpened() throws {
        let folder = try ConfigurationFolder(["rollcall.conf": aggregator])
        try FileManager.default.createDirectory(atPath: folder.path + "/services.d/a.inq", withIntermediateDirectories: true)
        #expect(mkfifo(folder.path + "/services.d/b.inq", 0o600) == 0)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/services.d/c.inq", withDestinationPath: "/nowhere")
        #expect(
            folder.shown(folder.read().faults) == [
                "services.d/a.inq: is not a file", "services.d/b.inq: is not a file", "services.d/c.inq: is not a file",
            ])
    }

    @Test func aFolderWithoutSettingsIsReadAndWarnedOf() throws {
        let folder = try ConfigurationFolder(["services.d/a.inq": "check service a"])
        #expect(folder.read().faults == [])
        #expect(folder.shown(folder.read().warnings) == ["services.d/a.inq: rollcall.conf is missing: nobody hears of alerts"])
    }

    @Test func twoFilesOfSettingsAreOneTooMany() throws {
        let folder = try ConfigurationFolder(["a.conf": aggregator, "b.conf": aggregator])
        #expect(folder.shown(folder.read("a.conf", "b.conf").faults) == ["b.conf: a second file of settings"])
    }

    @Test func passwordsAreNotShownBesideAFault() throws {
        let folder = try ConfigurationFolder([
            "rollcall.conf": "send alerts via email with username me, password hunter2, to_email a@b\n",
            "services.d/a.inq": "check service a with ownr a,\tpassword \"hunter 2, hunter2\"\n  , password  hunter2",
        ])
        let reading = folder.read()
        #expect(reading.files.count == 2)
        for file in reading.files {
            let text = file.faults.map { $0.rendered(in: file.text) }.joined()
            #expect(!text.contains("hunter"))
            #expect(text.contains("***"))
        }
    }

    @Test(arguments: [
        ("check service a with pidfile run/x", "1:22: `run/x` is not an absolute path"),
        ("check service a with init pidfile", "1:22: `init pidfile` without `pidfile`"),
        ("check service a with init systemd, pidfile /x", "1:22: `init systemd` and a `pidfile`"),
        ("check service a with owner \"\"", "1:22: an `owner` without a name"),
        ("check service a with ownr x", "1:22: there is no parameter `ownr` here"),
        ("check host with pidfile /x", "1:17: there is no parameter `pidfile` here"),
        ("check host with port 1", "1:17: there is no parameter `port` here"),
    ])
    func parametersAreChecked(text: String, fault: String) throws {
        let folder = try ConfigurationFolder(["a.inq": text])
        #expect(folder.shown(folder.read("a.inq").faults) == ["a.inq:" + fault])
    }
}
