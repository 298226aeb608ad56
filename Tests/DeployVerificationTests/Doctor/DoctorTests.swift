// What doctor says of each server, as it is told by command lines, units and configuration files.

import Glibc
import Platform
import TestKit
import Testing

@testable import DeployVerification

@Suite struct DoctorTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var processes: [DoctorService.Process]
        var unit: String?
        var files: [String: String] = [:]
        var found: [String]
        var upstart = false
        var listeners = ["tcp 127.0.0.1:8080"]

        init(
            _ name: String, _ arguments: [String], cwd: String? = release, pwd: String? = current, unit: String? = nil, files: [String: String] = [:],
            upstart: Bool = false, listeners: [String] = ["tcp 127.0.0.1:8080"], finds found: [String]
        ) {
            testDescription = name
            processes = [.init(pid: 100, parent: 1, arguments: arguments, folder: cwd, shellFolder: pwd)]
            self.unit = unit
            self.files = files
            self.upstart = upstart
            self.listeners = listeners
            self.found = found
        }
    }

    static let release = "/srv/app/releases/20260101000001"
    static let current = "/srv/app/current"
    static let puma = ["puma 5.6.5 (tcp://127.0.0.1:8080) [20260101000001]"]
    static let unicorn = ["unicorn master -c /etc/unicorn.rb -E production"]
    static let gunicorn = ["/usr/bin/python3", "/usr/bin/gunicorn", "-c", "/etc/gunicorn.conf.py", "app:app"]
    static let uwsgi = ["/usr/bin/uwsgi", "--ini", "/etc/uwsgi.ini"]
    static let nginx = ["nginx: master process /usr/sbin/nginx -c /etc/nginx/nginx.conf"]

    static func unit(_ start: String, reload: String?, _ more: String = "") -> String {
        "[Service]\nWorkingDirectory=/srv/app/current\nExecStart=\(start)\n\(more)" + (reload.map { "ExecReload=\($0)\n" } ?? "")
    }
    static let pumaUnit = unit("/usr/bin/bundle exec puma -C config/puma.rb", reload: "/bin/kill -USR1 $MAINPID")
    static let pumaFile = "/srv/app/current/config/puma.rb"
    static let gunicornUnit = unit("/usr/bin/gunicorn -c /etc/gunicorn.conf.py app:app", reload: "/bin/kill -s HUP $MAINPID")
    static let unicornUnit = unit("/usr/bin/unicorn -c /etc/unicorn.rb", reload: "/bin/kill -HUP $MAINPID")
    static let uwsgiUnit = unit("/usr/bin/uwsgi --ini /etc/uwsgi.ini", reload: "/bin/kill -HUP $MAINPID")

    static let cases: [Case] = [
        Case(
            "Puma as it should be", puma, unit: pumaUnit, files: [pumaFile: "directory '/srv/app/current'\nworkers 3\npreload_app! false\n"],
            finds: []),
        Case("Puma that PWD leads through the link", puma, unit: pumaUnit, files: [pumaFile: "workers 3\n"], finds: []),
        Case(
            "Puma that follows nothing", puma, pwd: nil, unit: pumaUnit, files: [pumaFile: "workers 3\n"],
            finds: ["fault no-directory @process 100, without PWD"]),
        Case(
            "Puma whose PWD is the release", puma, pwd: release, unit: pumaUnit, files: [pumaFile: "workers 3\n"],
            finds: ["fault no-directory @process 100, PWD=\(release)"]),
        Case(
            "Puma that is only restarted, by a unit with the link", puma, pwd: nil, unit: unit("/usr/bin/puma", reload: nil),
            finds: ["caution no-reload @/etc/web.service:3", "caution no-directory @process 100, without PWD"]),
        Case("Puma in place", puma, cwd: "/srv/shop", pwd: nil, unit: pumaUnit, files: [pumaFile: "workers 3\n"], finds: []),
        Case(
            "Puma with one release in its configuration", puma, unit: pumaUnit, files: [pumaFile: "# x\ndirectory \"\(release)\"\n"],
            finds: ["fault release-named @\(pumaFile):2"]),
        Case(
            "Puma with a computed directory", puma, unit: pumaUnit, files: [pumaFile: "directory File.expand_path('..')\n"],
            finds: ["unknown not-understood @\(pumaFile):1"]),
        Case(
            "Puma, phased with preload", puma, unit: pumaUnit, files: [pumaFile: "preload_app!\n"], finds: ["caution phased-preload @\(pumaFile):1"]),
        Case(
            "Puma, hot with preload", puma, unit: unit("/usr/bin/puma -C config/puma.rb", reload: "/bin/kill -USR2 $MAINPID"),
            files: [pumaFile: "preload_app!\n"], finds: []),
        Case(
            "Puma, preload with a condition", puma, unit: pumaUnit, files: [pumaFile: "if ENV['X']\n  preload_app!\nend\n"],
            finds: ["unknown not-understood @\(pumaFile):2"]),
        Case("Puma with fork_worker", puma, unit: pumaUnit, files: [pumaFile: "fork_worker\n"], finds: ["caution fork-worker @\(pumaFile):1"]),
        Case(
            "Puma stopped at the terminal", puma, unit: unit("/usr/bin/puma -C config/puma.rb", reload: "/bin/kill -TSTP $MAINPID"),
            files: [pumaFile: ""], finds: ["fault reload-does-nothing @/etc/web.service:4"]),
        Case(
            "Puma with a reload of nothing", puma, unit: unit("/usr/bin/puma -C config/puma.rb", reload: "/bin/true"), files: [pumaFile: ""],
            finds: ["fault reload-does-nothing @/etc/web.service:4"]),
        Case(
            "Puma with an unknown reload", puma, unit: unit("/usr/bin/puma -C config/puma.rb", reload: "/opt/reload-it"), files: [pumaFile: ""],
            finds: ["unknown not-understood @/etc/web.service:4"]),
        Case(
            "Puma whose configuration is not there", puma, unit: pumaUnit, finds: ["caution not-read @/etc/web.service:3"]),
        Case(
            "Puma under Upstart", puma, unit: "chdir \(current)\nreload signal USR1\nexec bundle exec puma -C config/puma.rb\n",
            files: [pumaFile: ""], upstart: true, finds: []),
        Case(
            "Puma under Upstart with its default signal", puma, unit: "chdir \(current)\nexec puma -C config/puma.rb\n", files: [pumaFile: ""],
            upstart: true,
            finds: ["fault reload-does-nothing @/etc/web.service:1"]),
        Case(
            "Unicorn, preloaded, HUP", unicorn, unit: unicornUnit, files: ["/etc/unicorn.rb": "working_directory '\(current)'\npreload_app true\n"],
            finds: ["fault preload @/etc/unicorn.rb:2"]),
        Case(
            "Unicorn, HUP, not preloaded", unicorn, unit: unicornUnit,
            files: ["/etc/unicorn.rb": "working_directory '\(current)'\npreload_app false\n"],
            finds: []),
        Case(
            "Unicorn, preloaded, USR2", unicorn,
            unit: unit("/usr/bin/unicorn -c /etc/unicorn.rb", reload: "/bin/kill -USR2 $MAINPID", "PIDFile=/run/unicorn.pid\n"),
            files: ["/etc/unicorn.rb": "working_directory '\(current)'\npreload_app true\n"], finds: []),
        Case(
            "Unicorn, USR2 without PIDFile", unicorn, unit: unit("/usr/bin/unicorn -c /etc/unicorn.rb", reload: "/bin/kill -12 $MAINPID"),
            files: ["/etc/unicorn.rb": "working_directory '\(current)'\n"], finds: ["caution main-process-lost @/etc/web.service:4"]),
        Case(
            "Unicorn without working_directory", unicorn, pwd: nil, unit: unicornUnit, files: ["/etc/unicorn.rb": "worker_processes 2\n"],
            finds: ["fault no-directory @process 100, without PWD"]),
        Case(
            "Unicorn without a unit, preloaded", unicorn, files: ["/etc/unicorn.rb": "preload_app true\n"],
            finds: ["caution preload @/etc/unicorn.rb:1"]),
        Case(
            "Unicorn that only opens its logs", unicorn, unit: unit("/usr/bin/unicorn -c /etc/unicorn.rb", reload: "/bin/kill -USR1 $MAINPID"),
            files: ["/etc/unicorn.rb": "preload_app false\n"], finds: ["fault reload-does-nothing @/etc/web.service:4"]),
        Case(
            "gunicorn, preloaded by its file", gunicorn, unit: gunicornUnit,
            files: ["/etc/gunicorn.conf.py": "chdir = '\(current)'\npreload_app = True\n"],
            finds: ["fault preload @/etc/gunicorn.conf.py:2"]),
        Case(
            "gunicorn, preloaded by its command line", gunicorn,
            unit: unit("/usr/bin/gunicorn --preload --chdir \(current) app:app", reload: "/bin/kill -HUP $MAINPID"),
            finds: ["fault preload @/etc/web.service:3"]),
        Case(
            "gunicorn, preloaded by a variable", gunicorn,
            unit: unit(
                "/usr/bin/gunicorn --chdir \(current) app:app", reload: "/bin/kill -HUP $MAINPID",
                "Environment=\"GUNICORN_CMD_ARGS=--preload -w 2\"\n"),
            finds: ["fault preload @/etc/web.service:3"]),
        Case(
            "gunicorn without chdir", gunicorn, pwd: release, unit: gunicornUnit, files: ["/etc/gunicorn.conf.py": "workers = 2\n"],
            finds: ["fault no-directory @process 100, PWD=\(release)"]),
        Case(
            "gunicorn, notify-reload", gunicorn,
            unit: unit("/usr/bin/gunicorn -c /etc/gunicorn.conf.py app:app", reload: nil, "Type=notify-reload\n"),
            files: ["/etc/gunicorn.conf.py": "preload_app = True\nchdir = '\(current)'\n"], finds: ["fault preload @/etc/gunicorn.conf.py:1"]),
        Case("uWSGI as it should be", uwsgi, unit: uwsgiUnit, files: ["/etc/uwsgi.ini": "[uwsgi]\nchdir = \(current)\n"], finds: []),
        Case(
            "uWSGI ignores PWD", uwsgi, unit: uwsgiUnit, files: ["/etc/uwsgi.ini": "[uwsgi]\nmaster = true\n"],
            finds: ["fault no-directory @process 100, PWD=\(current)"]),
        Case(
            "uWSGI, workers reloaded by a file", uwsgi, unit: uwsgiUnit,
            files: ["/etc/uwsgi.ini": "[uwsgi]\nchdir = \(current)\ntouch-workers-reload = /run/x\n"], finds: ["fault chain-reload @/etc/uwsgi.ini:3"]
        ),
        Case(
            "uWSGI, chain reload by its fifo", uwsgi, unit: unit("/usr/bin/uwsgi --ini /etc/uwsgi.ini", reload: "/bin/sh -c 'echo c > /run/fifo'"),
            files: ["/etc/uwsgi.ini": "[uwsgi]\nchdir = \(current)\nlazy-apps = true\n"], finds: ["fault chain-reload @/etc/web.service:4"]),
        Case(
            "nginx as it should be", nginx, cwd: "/", unit: unit("/usr/sbin/nginx", reload: "/usr/sbin/nginx -s reload"),
            files: ["/etc/nginx/nginx.conf": "user www-data;\n"], finds: []),
        Case(
            "nginx, daemon off and an upgrade", nginx, cwd: "/", unit: unit("/usr/sbin/nginx", reload: "/bin/kill -USR2 $MAINPID"),
            files: ["/etc/nginx/nginx.conf": "user a;\ndaemon off;\n"], finds: ["fault daemon-off @/etc/nginx/nginx.conf:2"]),
        Case(
            "nginx, daemon off by its command line", ["nginx: master process /usr/sbin/nginx -g daemon off;"], cwd: "/",
            finds: ["caution daemon-off @process 100"]),
        Case(
            "nginx, daemon off in a file that it includes", nginx, cwd: "/", unit: unit("/usr/sbin/nginx", reload: "/bin/kill -USR2 $MAINPID"),
            files: [
                "/etc/nginx/nginx.conf": "user a;\ninclude main.d/*.conf;\nhttp {\n  include sites/*;\n}\n",
                "/etc/nginx/main.d/b.conf": "include 'more.conf';\n", "/etc/nginx/more.conf": "\n\ndaemon off;\n",
                "/etc/nginx/main.d/a.txt": "daemon on;\n",
            ], finds: ["fault daemon-off @/etc/nginx/more.conf:3"]),
        Case(
            "nginx, an included file that is not there", nginx, cwd: "/", unit: unit("/usr/sbin/nginx", reload: "/usr/sbin/nginx -s reload"),
            files: ["/etc/nginx/nginx.conf": "include lost.conf;\n"], finds: ["caution not-read @/etc/nginx/nginx.conf:1"]),
        Case(
            "nginx that includes itself", nginx, cwd: "/", unit: unit("/usr/sbin/nginx", reload: "/usr/sbin/nginx -s reload"),
            files: ["/etc/nginx/nginx.conf": "include *.conf;\ninclude nginx.conf;\n"], finds: []),
        Case(
            "Puma with a configuration that loads others", puma, unit: pumaUnit,
            files: [
                pumaFile: "directory '/srv/app/current'\nload 'config/a.rb', \"config/b.rb\"\n", "/srv/app/current/config/a.rb": "workers 2\n",
                "/srv/app/current/config/b.rb": "# x\npreload_app!\n",
            ], finds: ["caution phased-preload @/srv/app/current/config/b.rb:2"]),
        Case(
            "Puma with a configuration that loads what only it knows", puma, unit: pumaUnit,
            files: [pumaFile: "directory '/srv/app/current'\nload File.join(here, 'b.rb')\ninstance_eval(File.read('c.rb'))\n"],
            finds: ["unknown not-understood @\(pumaFile):2", "unknown not-understood @\(pumaFile):3"]),
        Case(
            "Puma of another environment", puma,
            unit: unit("/usr/bin/puma", reload: "/bin/kill -USR1 $MAINPID", "EnvironmentFile=-/etc/default/web\n"),
            files: ["/etc/default/web": "# of the stage\nRACK_ENV=\"staging\"\n", "/srv/app/current/config/puma/staging.rb": "fork_worker\n"],
            finds: ["caution fork-worker @/srv/app/current/config/puma/staging.rb:1"]),
        Case(
            "gunicorn, preloaded by a module", gunicorn,
            unit: unit("/usr/bin/gunicorn -c python:shop.conf --chdir \(current) app:app", reload: "/bin/kill -HUP $MAINPID"),
            files: ["/srv/app/current/shop/conf.py": "import os\npreload_app = True\n"],
            finds: ["fault preload @/srv/app/current/shop/conf.py:2"]),
        Case(
            "gunicorn with a module that is elsewhere", gunicorn,
            unit: unit("/usr/bin/gunicorn -c python:shop.conf --chdir \(current) app:app", reload: "/bin/kill -HUP $MAINPID"),
            finds: ["unknown not-read @/etc/web.service:3"]),
        Case(
            "gunicorn, preloaded by what its file imports", gunicorn, unit: gunicornUnit,
            files: [
                "/etc/gunicorn.conf.py": "from shared.web import *\nchdir = '\(current)'\n", "/srv/app/current/shared/web.py": "preload_app = True\n",
            ],
            finds: ["fault preload @/srv/app/current/shared/web.py:1"]),
        Case(
            "gunicorn, preloaded by a file of variables", gunicorn,
            unit: unit(
                "/usr/bin/gunicorn --chdir \(current) app:app", reload: "/bin/kill -HUP $MAINPID", "EnvironmentFile=/etc/default/web\n"),
            files: ["/etc/default/web": "GUNICORN_CMD_ARGS=--preload -w 2\n"], finds: ["fault preload @/etc/web.service:3"]),
        Case(
            "gunicorn that executes another file", gunicorn, unit: gunicornUnit,
            files: ["/etc/gunicorn.conf.py": "chdir = '\(current)'\nexec(open('more.py').read())\n"],
            finds: ["unknown not-understood @/etc/gunicorn.conf.py:2"]),
        Case(
            "uWSGI with a file beside its own", uwsgi, unit: uwsgiUnit,
            files: [
                "/etc/uwsgi.ini": "[uwsgi]\nini = /etc/common.ini\n",
                "/etc/common.ini": "[uwsgi]\nchdir = \(current)\ntouch-chain-reload = /run/x\n",
            ], finds: ["fault chain-reload @/etc/common.ini:3"]),
        Case("nginx without its path", ["nginx: master process nginx"], cwd: "/", finds: ["caution binary-upgrade @process 100"]),
        Case(
            "Sidekiq that is only quieted", ["sidekiq 6.4.1 app [0 of 5 busy]"],
            unit: unit("/usr/bin/bundle exec sidekiq", reload: "/bin/kill -TSTP $MAINPID"), listeners: [],
            finds: ["fault reload-does-nothing @/etc/web.service:4"]),
        Case(
            "Sidekiq without a reload", ["sidekiq 6.4.1 app [0 of 5 busy]"], unit: unit("/usr/bin/bundle exec sidekiq", reload: nil), listeners: [],
            finds: []),
        Case(
            "a unit that stands in one release", ["/srv/app/server"], unit: "[Service]\nWorkingDirectory=\(release)\nExecStart=/srv/app/server\n",
            finds: ["fault release-named @/etc/web.service:2"]),
        Case(
            "a unit that starts one release", ["/srv/app/server"], unit: "[Service]\nExecStart=\(release)/bin/server --port 80\n",
            finds: ["fault release-named @/etc/web.service:2"]),
        Case("an agent that sees nothing", puma, cwd: nil, pwd: nil, finds: ["caution no-permission @process 100", "unknown not-read @process 100"]),
        Case("nobody listens", ["/usr/bin/thing"], listeners: [], finds: ["caution no-listener @"]),
    ]

    @Test(arguments: cases) func saysWhatWouldKeepOldCode(_ one: Case) {
        var facts = DoctorFacts(DoctorService(name: "web", mainProcess: 100, processes: one.processes, listeners: one.listeners))
        if let text = one.unit {
            var unit = UnitFile()
            if one.upstart { unit.readUpstart(text, file: "/etc/web.service") } else { unit.read(text, file: "/etc/web.service") }
            facts.unit = unit
        }
        for _ in 0..<4 {
            for path in facts.wantedFiles { facts.files[path] = one.files[path].map { .text($0) } ?? .missing }
            for pattern in facts.wantedPatterns { facts.matches[pattern] = one.files.keys.filter { fnmatch(pattern, $0, 0) == 0 }.sorted() }
        }
        for path in facts.wantedPaths { facts.realPaths[path] = path == Self.current ? Self.release : path }
        let found = Doctor.findings(facts).map { "\($0.severity) \($0.code.rawValue) @\($0.places.first ?? "")" }
        #expect(found == one.found)
    }

    @Test func everyFindingHelps() {
        for one in Self.cases {
            var facts = DoctorFacts(DoctorService(name: "web", mainProcess: 100, processes: one.processes, listeners: one.listeners))
            facts.files = one.files.mapValues { .text($0) }
            for finding in Doctor.findings(facts) {
                #expect(!finding.problem.isEmpty && !finding.why.isEmpty && finding.mend?.isEmpty != true)
            }
        }
    }

    @Test func aRemovedReleaseIsFound() {
        let processes = [
            DoctorService.Process(
                pid: 100, arguments: Self.puma, folder: Self.release + " (deleted)", isFolderDeleted: true, shellFolder: Self.current)
        ]
        let findings = Doctor.findings(DoctorFacts(DoctorService(name: "web", mainProcess: 100, processes: processes, listeners: ["tcp :80"])))
        #expect(findings.first?.code == .releaseGone && findings.first?.severity == .fault)
    }

    @Test func aVersionThatIgnoresItsSignalIsNamed() {
        var facts = DoctorFacts(
            DoctorService(
                name: "web", mainProcess: 100, processes: [.init(pid: 100, arguments: Self.uwsgi, folder: "/srv/shop")], listeners: ["tcp :80"]))
        var unit = UnitFile()
        unit.read(Self.uwsgiUnit, file: "/etc/web.service")
        facts.unit = unit
        facts.files = ["/etc/uwsgi.ini": .text("[uwsgi]\nchdir=/srv/shop\n")]
        facts.programVersion = "2.0.27"
        #expect(Doctor.findings(facts).map(\.code) == [.uwsgiIgnoresReload])
        facts.programVersion = "2.0.28"
        #expect(Doctor.findings(facts).isEmpty)
    }

    struct TokenCase: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var token: DoctorFacts.TokenFile?
        var workers: [DoctorFacts.Worker]?
        var found: [DoctorFinding.Code]
    }

    @Test(arguments: [
        TokenCase(testDescription: "not asked", token: .found(prefix: "aabbccdd", age: .seconds(10)), workers: nil, found: []),
        TokenCase(
            testDescription: "read once", token: .found(prefix: "aabbccdd", age: .seconds(60)),
            workers: [.init(pid: 7, age: .seconds(50), tokenPrefix: "aabbccdd")], found: []),
        TokenCase(
            testDescription: "written after all workers, who answer it", token: .found(prefix: "aabbccdd", age: .seconds(10)),
            workers: [.init(pid: 7, age: .seconds(500), tokenPrefix: "aabbccdd")], found: [.dynamicToken]),
        TokenCase(
            testDescription: "written after all workers, who answer another", token: .found(prefix: "aabbccdd", age: .seconds(10)),
            workers: [.init(pid: 7, age: .seconds(500), tokenPrefix: "11223344")], found: []),
        TokenCase(
            testDescription: "one worker is newer", token: .found(prefix: "aabbccdd", age: .seconds(10)),
            workers: [.init(pid: 7, age: .seconds(500), tokenPrefix: "aabbccdd"), .init(pid: 8, age: .seconds(3), tokenPrefix: "aabbccdd")], found: []
        ),
        TokenCase(
            testDescription: "within what clocks can tell", token: .found(prefix: "aabbccdd", age: .seconds(10)),
            workers: [.init(pid: 7, age: .seconds(13), tokenPrefix: "aabbccdd")], found: []),
        TokenCase(
            testDescription: "no endpoint", token: .missing, workers: [.init(pid: 7, age: .seconds(50), tokenPrefix: nil)],
            found: [.noTokenFile, .noEndpoint]),
        TokenCase(testDescription: "nobody to ask", token: .unreadable("permission denied"), workers: [], found: [.notRead]),
    ])
    func theTokenIsCompared(_ one: TokenCase) {
        var facts = DoctorFacts(
            DoctorService(name: "web", mainProcess: 7, processes: [.init(pid: 7, arguments: ["app"], folder: "/srv/shop")], listeners: ["tcp :80"]))
        facts.token = one.token
        facts.workers = one.workers
        #expect(Doctor.findings(facts).map(\.code) == one.found)
    }
}
