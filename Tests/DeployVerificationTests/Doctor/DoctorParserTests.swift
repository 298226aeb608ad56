// How doctor reads configurations that it never executes.

import Platform
import TestKit
import Testing

@testable import DeployVerification

@Suite struct DoctorParserTests {
    @Test func rubyIsReadByItsLines() {
        let text = """
            # directory "/no"
            directory "/srv/#app" # the link
            workers(3)
            preload_app! if ENV["X"]
            x = 5
            on_worker_boot do
              fork_worker
            end
            bind "unix://#{shared}/s"
            =begin
            threads 1, 2
            =end
            note <<~EOT
              preload_app!
            EOT
            threads 1, 5
            __END__
            fork_worker
            """
        #expect(
            RubySettings.parse(text) == [
                Setting("directory", .text("/srv/#app"), line: 2), Setting("workers", .text("3"), line: 3),
                Setting("preload_app!", .absent, line: 4, isConditional: true), Setting("on_worker_boot", .unclear("do"), line: 6),
                Setting("fork_worker", .absent, line: 7, isConditional: true), Setting("bind", .unclear("\"unix://#{shared}/s\""), line: 9),
                Setting("threads", .text("1"), line: 16),
            ])
    }

    @Test func pythonIsReadByItsLines() {
        let text = """
            import os
            chdir = '/srv/app/current'  # the link
            preload_app = True
            bind = os.environ["B"]
            if debug:
                workers = 1
            def when_ready(server):
                chdir = '/elsewhere'
            doc = \"""
            preload_app = False
            \"""
            timeout = 30
            """
        #expect(
            PythonSettings.parse(text) == [
                Setting("chdir", .text("/srv/app/current"), line: 2), Setting("preload_app", .flag(true), line: 3),
                Setting("bind", .unclear("os.environ[\"B\"]"), line: 4), Setting("workers", .text("1"), line: 6, isConditional: true),
                Setting("doc", .unclear("\"\"\""), line: 9), Setting("timeout", .text("30"), line: 12),
            ])
    }

    @Test func nginxIsReadOutsideOfBlocks() {
        #expect(
            NginxSettings.parse("user 'www data'; # daemon on;\nevents {\n  daemon on;\n}\ndaemon\n  off;\n") == [
                Setting("user", .text("www data"), line: 1), Setting("daemon", .text("off"), line: 5),
            ])
    }

    @Test func iniFilesHaveSections() {
        #expect(
            IniSettings.parse("[a]\nx=1\n[uwsgi]\n; no\nchdir = /a b\nmaster\ny = %(chdir)/x\n", section: "uwsgi") == [
                Setting("chdir", .text("/a b"), line: 5), Setting("master", .absent, line: 6), Setting("y", .unclear("%(chdir)/x"), line: 7),
            ])
    }

    @Test func linesMayEndAsOnWindows() {
        #expect(
            RubySettings.parse("workers 2\r\npreload_app!\r\n") == [
                Setting("workers", .text("2"), line: 1), Setting("preload_app!", .absent, line: 2),
            ])
    }

    @Test(arguments: [("a\u{0}2.0.27\u{0}b", "2.0.27"), ("2.0.27", "2.0.27"), ("x2.0.27\u{0}2.0.x\u{0}2.0.", nil), ("", nil)])
    func aProgramKnowsItsVersion(_ program: String, _ version: String?) {
        #expect(ProgramVersion.find("2.0.", in: Array(program.utf8)) == version)
    }

    @Test func unitsTakeBackAndGoOn() {
        var unit = UnitFile()
        unit.read("[Service]\nExecStart=/bin/a \\\n# why\n  b\nExecReload=/bin/x\nEnvironment=A=1 \"B=2 3\"\n", file: "u")
        unit.read("[Service]\nExecReload=\nExecReload=/bin/y\n", file: "u.d/o.conf")
        #expect(unit.last("ExecStart")?.value == "/bin/a  b" && unit.last("ExecStart")?.line == 2)
        #expect(unit.all("ExecReload").map { "\($0.file):\($0.line) \($0.value)" } == ["u.d/o.conf:3 /bin/y"])
        #expect(unit.variable("B")?.value == "2 3")
    }

    @Test(arguments: [
        ("/bin/kill -USR2 $MAINPID", [ReloadStep.signal("USR2")]), ("-/bin/kill -s SIGHUP $MAINPID", [.signal("HUP")]),
        ("kill -1 $MAINPID", [.signal("HUP")]), ("kill --signal=usr1 1", [.signal("USR1")]), ("kill $MAINPID", [.signal("TERM")]),
        ("/bin/sh -c 'nginx -t && exec nginx -s reload'", [.other, .signal("HUP")]),
        ("bundle exec pumactl -F c.rb phased-restart", [.signal("USR1")]),
        ("/usr/bin/true", [.nothing("`/usr/bin/true` does nothing to the service")]), ("sh -c 'echo c > /run/f'", [.fifo("c")]),
        ("verify-token check --deploy x", [.other]), ("/opt/x --y", [.unknown("/opt/x --y")]), ("", []),
    ])
    func reloadsAreReadByTheirWords(_ line: String, _ steps: [ReloadStep]) {
        #expect(ReloadStep.steps(of: line) == steps)
    }

    @Test func theAgentsAnswerIsTakenAsFarAsItGoes() throws {
        let json = try JSON(
            parsing: """
                {"service":"web","main_pid":7,"processes":[{"pid":7,"arguments":["a",1],"cwd":"relative","pwd":"/x"},{"pid":"x"},3],"listeners":[{"addr":"a"},{}]}
                """)
        let service = try DoctorService(json)
        #expect(service.processes == [.init(pid: 7, arguments: ["a"], folder: nil, shellFolder: "/x")] && service.listeners == ["tcp a"])
        #expect(throws: (any Error).self) { try DoctorService(JSON.null) }
    }
}
