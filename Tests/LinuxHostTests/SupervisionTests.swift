// What the small init systems' files and answers mean, and what is said of them. No process is started here.

import AgentCore
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

@Suite struct ServiceStatusTests {
    func seed(_ folder: String, _ name: String) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return Array(try Data(contentsOf: tests.appendingPathComponent("Fuzz/Seeds/\(folder)/\(name)")))
    }

    @Test func runitTellsWhatAServiceDoes() throws {
        let running = try #require(ServiceStatus(runit: seed("runit-status", "running")))
        #expect(running.state == .running(pid: 2871) && running.isWantedUp && !running.gotTerm && !running.isPaused)
        #expect(running.since?.seconds == 1_795_227_354)
        let down = try #require(ServiceStatus(runit: seed("runit-status", "down")))
        #expect(down.state == .down && !down.isWantedUp)
        let finish = try #require(ServiceStatus(runit: seed("runit-status", "finish-paused-term")))
        #expect(finish.state == .finishing && finish.isPaused && finish.gotTerm)
    }

    @Test func s6TellsHowTheLastRunEnded() throws {
        let running = try #require(ServiceStatus(s6: seed("s6-status", "running")))
        #expect(running.state == .running(pid: 18) && running.isWantedUp && running.isReady == false)
        let down = try #require(ServiceStatus(s6: seed("s6-status", "down-exit-7")))
        #expect(down.state == .down && down.isWantedUp && down.lastExit == .exited(status: 7))
        let finishing = try #require(ServiceStatus(s6: seed("s6-status", "finishing-killed")))
        #expect(finishing.state == .finishing && finishing.lastExit == .signaled(9))
        let newer = try #require(ServiceStatus(s6: seed("s6-status", "running-2.13")))
        #expect(newer.state == .running(pid: 18) && newer.isWantedUp && newer.isReady == true)
    }

    @Test(arguments: [0, 1, 18, 19, 21, 34, 36, 42, 44, 1000])
    func aFileOfAnotherLengthIsNobodys(length: Int) {
        let bytes = [UInt8](repeating: 64, count: length)
        #expect(ServiceStatus(runit: bytes) == nil)
        #expect(ServiceStatus(s6: bytes) == nil)
    }
}

@Suite struct LockTests {
    @Test func heldLocksAreKnownByTheirFiles() {
        let text = """
            1: FLOCK  ADVISORY  WRITE 2871 fe:00:1234 0 EOF
            2: POSIX  ADVISORY  WRITE 18 00:1f:99 0 0
            2: -> POSIX  ADVISORY  WRITE 19 00:1f:77 0 0
            3: LEASE
            """
        #expect(heldLocks(parsing: Array(text.utf8)) == [1234, 99])
        #expect(heldLocks(parsing: []) == [])
    }
}

@Suite struct SupervisordAnswerTests {
    @Test func aGroupIsAsGoodAsItsWorstProcess() {
        func member(_ name: String, _ activity: Observation.Activity, _ detail: String, exit: ExitReason? = nil) -> (name: String, report: UnitReport)
        {
            (name, UnitReport(activity: activity, detail: detail, lastExit: exit, since: Timestamp(seconds: 1_800_000_000)))
        }
        let up = member("firehose:firehose_00", .running, "RUNNING pid 7")
        #expect(supervisordGroup([up, up, up]).activity == .running)
        let failed = member("firehose:firehose_01", .failed, "FATAL: Exited too quickly", exit: .startLimit)
        let stopped = member("firehose:firehose_02", .stopped, "STOPPED")
        let report = supervisordGroup([up, stopped, failed])
        #expect(report.activity == .failed && report.isPartlyUp)
        #expect(report.detail == "1 of 3 run: firehose:firehose_02 STOPPED, firehose:firehose_01 FATAL: Exited too quickly")
        #expect(report.lastExit == .other("firehose:firehose_01 started too often, start limit reached"))
        #expect(!supervisordGroup([stopped]).isPartlyUp && supervisordGroup([stopped]).activity == .stopped)
    }

    @Test func aListOfProcessesIsRead() throws {
        let seeds = Mutations.seeds("xml-rpc")
        let answers = seeds.map { XMLRPCAnswer(parsing: $0) }
        #expect(!answers.contains(nil) && answers.count == 4)
        let list = try #require(answers.compactMap { $0.flatMap(SupervisordProcess.list) }.first { !$0.isEmpty })
        #expect(list.map(\.name) == ["sleep:sleep_00"])
        #expect(list.first?.state == .running && list.first?.pid == 6106)
        #expect(answers.contains(.fault(code: 10, words: "BAD_NAME: nosuch")))
        #expect(answers.contains(.value(.boolean(true))))
        let exited = try #require(
            answers.compactMap { answer in if case .value(let value) = answer { SupervisordProcess(value) } else { nil } }.first)
        #expect(exited.problem == "Bad exit code 3 <&>" && exited.name == "exits")
        let report = exited.report(process: nil, lastExit: nil)
        #expect(report.activity == .failed && report.lastExit == .exited(status: 3))
    }

    struct Meaning: Sendable {
        var state: Int64
        var problem = ""
        var exitStatus: Int64 = 0
        var activity: Observation.Activity
        var exit: ExitReason?
    }

    @Test(arguments: [
        Meaning(state: 0, activity: .stopped), Meaning(state: 10, activity: .starting), Meaning(state: 20, activity: .running),
        Meaning(state: 30, problem: "Exited too quickly", activity: .restarting, exit: .other("Exited too quickly")),
        Meaning(state: 40, activity: .stopping), Meaning(state: 100, activity: .stopped, exit: .exited(status: 0)),
        Meaning(state: 100, problem: "Bad exit code 2", exitStatus: 2, activity: .failed, exit: .exited(status: 2)),
        Meaning(state: 100, problem: "Bad exit code -1", exitStatus: -1, activity: .failed, exit: .other("killed by a signal")),
        Meaning(state: 200, problem: "Exited too quickly (process log may have details)", activity: .failed, exit: .startLimit),
        Meaning(state: 200, problem: "can't find command '/x'", activity: .failed, exit: .other("can't find command '/x'")),
        Meaning(state: 1000, activity: .failed), Meaning(state: 77, activity: .failed),
    ])
    func everyStateHasItsMeaning(_ meaning: Meaning) throws {
        let value = XMLRPCValue.structure([
            "name": .string("a"), "group": .string("a"), "state": .integer(meaning.state), "pid": .integer(0), "spawnerr": .string(meaning.problem),
            "exitstatus": .integer(meaning.exitStatus), "now": .integer(1000), "stop": .integer(500), "statename": .string("WORD"),
        ])
        let report = try #require(SupervisordProcess(value)).report(process: nil, lastExit: nil)
        #expect(report.activity == meaning.activity && report.lastExit == meaning.exit)
        #expect(report.detail.hasPrefix("WORD"))
    }

    @Test func anEndThatSupervisordMayMendIsNotAFailureYet() throws {
        let value = XMLRPCValue.structure([
            "name": .string("a"), "group": .string("a"), "state": .integer(100), "pid": .integer(0), "now": .integer(1000), "stop": .integer(1000),
            "exitstatus": .integer(1), "spawnerr": .string("Bad exit code 1"),
        ])
        #expect(try #require(SupervisordProcess(value)).report(process: nil, lastExit: nil).activity == .starting)
    }

    @Test func theConfigurationSaysWhereItListens() throws {
        let read = { (text: String) in SupervisordConfiguration(parsing: Array(text.utf8), folder: "/etc/here") }
        let debian = try #require(read("[unix_http_server]\nfile=/run/s.sock ; comment\n[supervisord]\nlogfile=/var/log/s.log\n"))
        #expect(debian.address == .socket(path: "/run/s.sock") && debian.username == nil && debian.logFile == "/var/log/s.log")
        let here = try #require(read("[unix_http_server]\nfile=%(here)s/s\nusername: u\npassword = p;q\n"))
        #expect(here.address == .socket(path: "/etc/here/s") && here.username == "u" && here.password?.reveal() == "p;q")
        #expect(read("[inet_http_server]\nport=*:9001\n")?.address == .loopback(port: 9001))
        #expect(read("[inet_http_server]\nport=10.1.2.3:9001\n") == nil, "the agent talks to no other machine")
        #expect(read(";[unix_http_server]\n;file=/x\n") == nil)
    }

    @Test func anAnswerThatIsCutOffIsNone() {
        let whole = "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody"
        #expect(HTTPAnswer(parsing: Array(whole.utf8))?.body.elementsEqual("body".utf8) == true)
        #expect(HTTPAnswer(parsing: Array(whole.dropLast().utf8)) == nil)
        #expect(HTTPAnswer(parsing: Array("HTTP/1.0 401 No\r\n\r\n".utf8))?.status == 401)
        #expect(HTTPAnswer(parsing: Array("SSH-2.0\r\n\r\n".utf8)) == nil)
    }
}

@Suite struct InitScriptTests {
    struct Script: Sendable {
        var text: String
        var pidFile: String?
        var reload: String?
    }

    @Test(arguments: [
        Script(text: "NAME=app\nPIDFILE=/run/${NAME}/$NAME.pid\ncase x in\nreload|force-reload)\n", pidFile: "/run/app/app.pid", reload: "reload"),
        Script(text: "# pidfile: /var/run/app.pid\n  restart|force-reload)\n", pidFile: "/var/run/app.pid", reload: "force-reload"),
        Script(text: "export PIDFILE=\"/run/my app.pid\" # there\n", pidFile: "/run/my app.pid"),
        Script(text: "PIDFILE='/run/$NAME.pid'\n", pidFile: "/run/$NAME.pid"),
        Script(text: "PIDFILE=$(find_it)\nPIDFILE=/run/$UNKNOWN.pid\nPIDFILE=${A:-/run/a}\nPIDFILE=`x`\n"),
        Script(text: "PIDFILE=relative.pid\n"), Script(text: ""),
    ])
    func itSaysWhereThePidIs(_ script: Script) {
        let read = SysVScript(parsing: Array(script.text.utf8))
        #expect(read.pidFile == script.pidFile && read.reloadVerb == script.reload)
    }

    @Test func openRCScriptsDeclareReload() {
        #expect(offersReload(parsing: Array("extra_started_commands=\"check reload\"\n".utf8)))
        #expect(!offersReload(parsing: Array("extra_started_commands=\"reloadall\"\nreload() { :; }\n".utf8)))
    }

    @Test func whatAScriptPrintsFitsInOneLine() {
        #expect(inOneLine(Array("\u{1b}[31;01m*\u{1b}[0m  app failed\n\t to start\n".utf8)) == "* app failed to start")
        #expect(inOneLine([27]) == "" && inOneLine([27, 91]) == "" && inOneLine([]) == "")
        #expect(inOneLine([UInt8](repeating: 65, count: 1000)).utf8.count == 300)
    }
}

@Suite struct UnitLedgerTests {
    let one = ProcessIdentity(pid: 10, startTicks: 1)
    let two = ProcessIdentity(pid: 20, startTicks: 2)
    let now = Timestamp(seconds: 1_800_000_000)

    func ledger(_ requests: UnitRequest...) -> UnitLedger {
        var ledger = UnitLedger()
        ledger.change(to: requests)
        return ledger
    }
    func running(_ process: ProcessIdentity, isAsked: Bool = false) -> UnitReport {
        UnitReport(activity: .running, detail: "run", process: process, isAsked: isAsked)
    }
    let restarting = UnitReport(activity: .restarting, detail: "down, want up")
    let stopped = UnitReport(activity: .stopped, detail: "down")

    @Test func aNewProcessThatNobodyAskedForIsAnAutomaticRestart() {
        var ledger = ledger(UnitRequest(name: "a"))
        #expect(ledger.note("a", running(one), at: now).map(\.automaticRestarts) == [0])
        #expect(ledger.note("a", restarting, at: now).map(\.activity) == [.restarting])
        #expect(ledger.note("a", running(two), at: now).map(\.automaticRestarts) == [1])
        #expect(ledger.note("a", running(two), at: now).isEmpty, "nothing is new")
        #expect(ledger.note("a", running(one), at: now).map(\.automaticRestarts) == [2], "also when nobody saw it end")
    }

    @Test func aStartAfterAStopIsNone() {
        var ledger = ledger(UnitRequest(name: "a"))
        _ = ledger.note("a", running(one), at: now)
        _ = ledger.note("a", stopped, at: now)
        #expect(ledger.note("a", running(two), at: now).map(\.automaticRestarts) == [0])
    }

    @Test func theFailureOfAPartIsSaidOfTheWholeAlone() {
        var ledger = ledger(UnitRequest(name: "pair"), UnitRequest(name: "failed units", kind: .failed))
        ledger.parts = ["pair:a"]
        let failed = UnitReport(activity: .failed, detail: "FATAL")
        #expect(ledger.note("pair:a", failed, at: now).isEmpty)
        #expect(ledger.note("pair", failed, at: now).map(\.request).sorted() == ["failed units", "pair"])
        #expect(ledger.note("other", failed, at: now).map(\.request) == ["failed units"])
    }

    @Test func whatWasAskedForShowsInAStepOfItsOwn() {
        var ledger = ledger(UnitRequest(name: "a"))
        _ = ledger.note("a", running(one), at: now)
        var asked = stopped
        asked.isAsked = true
        let steps = ledger.note("a", asked, at: now)
        #expect(steps.map(\.hasJob) == [true, false] && steps.map(\.activity) == [.running, .stopped])
        #expect(ledger.note("a", running(two), at: now).map(\.automaticRestarts) == [0])
    }

    @Test func aRestartThatWasAskedForIsAStart() {
        var ledger = ledger(UnitRequest(name: "a"))
        _ = ledger.note("a", running(one), at: now)
        #expect(ledger.note("a", running(one, isAsked: true), at: now).map(\.hasJob) == [true])
        let between = ledger.note("a", restarting, at: now)
        #expect(between.map(\.activity) == [.starting] && between.map(\.hasJob) == [true])
        let after = ledger.note("a", running(two), at: now)
        #expect(after.map(\.automaticRestarts) == [0] && after.map(\.hasJob) == [false])
    }

    @Test func ourOwnJobShowsFromItsBeginningToItsEnd() {
        var ledger = ledger(UnitRequest(name: "a"))
        _ = ledger.note("a", running(one), at: now)
        ledger.setChanging("a", true)
        #expect(ledger.note("a", running(one), at: now).map(\.hasJob) == [true])
        #expect(ledger.note("a", running(two), at: now).map(\.automaticRestarts) == [0])
        ledger.setChanging("a", false)
        #expect(ledger.note("a", running(two), at: now).map(\.hasJob) == [false])
    }

    @Test func everyRequestHearsOfItsUnits() {
        var ledger = ledger(UnitRequest(name: "web@*", kind: .pattern), UnitRequest(name: "web@1"), UnitRequest(name: "broken", kind: .failed))
        #expect(ledger.note("web@1", running(one), at: now).map(\.request) == ["web@*", "web@1"])
        #expect(ledger.note("web@2", running(two), at: now).map(\.unit) == ["web@2"])
        #expect(ledger.note("other", stopped, at: now).isEmpty)
        let failed = UnitReport(activity: .failed, detail: "down")
        #expect(ledger.note("other", failed, at: now).map(\.request) == ["broken"])
        let mended = ledger.note("other", running(one), at: now)
        #expect(mended.map(\.presence) == [.absent] && mended.map(\.unit) == ["other"])
        let gone = ledger.noteAbsence(of: "web@1")
        #expect(gone.map(\.request) == ["web@*", "web@1"] && gone.allSatisfy { $0.presence == .absent })
        #expect(ledger.noteAbsence(of: "web@1").isEmpty)
        #expect(ledger.noteAbsence(of: "nobody").isEmpty)
        let hidden = ledger.noteHidden("web@1", why: "closed")
        #expect(hidden.map(\.request) == ["web@*", "web@1"] && hidden.allSatisfy { $0.presence == .hidden && $0.detail == "closed" })
        #expect(ledger.noteHidden("web@1", why: "closed").isEmpty)
        #expect(ledger.note("web@1", running(one), at: now).count == 2)
    }
}

@Suite struct SupervisionMutationTests {
    @Test(arguments: ["runit-status", "s6-status"])
    func brokenStatusFilesAreNoService(seeds: String) {
        Mutations.run(seeds: Mutations.seeds(seeds)) { bytes in
            for status in [ServiceStatus(runit: bytes), ServiceStatus(s6: bytes)] {
                if case .running(let pid) = status?.state { #expect(pid > 0) }
            }
        }
    }

    @Test func brokenAnswersAreNone() {
        Mutations.run(seeds: Mutations.seeds("xml-rpc")) { bytes in
            guard let answer = XMLRPCAnswer(parsing: bytes) else { return }
            for process in SupervisordProcess.list(answer) ?? [] { _ = process.report(process: nil, lastExit: nil) }
        }
    }

    @Test func brokenHTTPIsNone() {
        Mutations.run(seeds: Mutations.seeds("http-answer")) { _ = HTTPAnswer(parsing: $0) }
    }

    @Test func brokenConfigurationsAreRead() {
        Mutations.run(seeds: Mutations.seeds("supervisord-conf")) { _ = SupervisordConfiguration(parsing: $0, folder: "/") }
    }

    @Test func brokenScriptsAreRead() {
        Mutations.run(seeds: Mutations.seeds("init-script")) { bytes in
            _ = SysVScript(parsing: bytes)
            _ = offersReload(parsing: bytes)
        }
    }

    @Test func brokenPidFilesNameNobody() {
        Mutations.run(seeds: Mutations.seeds("pid-file")) { bytes in
            if let pid = pidNumber(parsing: bytes), pid < 1 { Issue.record("no process has the pid \(pid)") }
        }
    }
}
