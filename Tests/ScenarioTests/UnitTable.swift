// What is said of each kind of unit when something happens to it: the table that UnitTableScenarioTests plays against a real systemd.

/// One unit and what happens to it, in two steps. Whatever comes between the steps (see `UnitTableScenarioTests.Disturbance`), the same is said.
struct UnitRow: Sendable {
    /// Of its unit, without `.service`.
    var name: String
    /// Its unit file, without the section headers' obvious parts: lines below [Service], or a whole file that begins with `[`.
    var service: String
    /// Other unit files and files of the host, by name.
    var units: [String: String] = [:]
    var files: [String: String] = [:]
    /// Run before the agent starts; without it the unit is started.
    var before: String?
    /// As the rule file names it; `nil`: its own name. Empty: no check of its own, so that `check failed units` finds it.
    var check: String?
    /// The unit that the events are about, where it is another.
    var subject: String?
    var first: String
    /// The events that follow, `kind: detail`; N stands for how long something has lasted, which depends on when a cycle looks.
    var says: [String]
    var then: String
    var thenSays: [String]
    /// What `rollcall export` says of its state at the end; `nil`: that it is not watched any longer.
    var ends: String?
    /// How often it says the same in a row depends on what happens to the other units: systemd forgets how often it has started a unit when it
    /// is reloaded.
    var repeatsItself = false

    var unit: String { subject ?? "\(name).service" }
}

/// Does what is written to /run/obey/NAME: `exit 1`.
private let obey = "ExecStart=/usr/local/bin/obey %N"
private func tell(_ name: String, _ words: String) -> String { "echo '\(words)' > /run/obey/\(name)" }
private func kill(_ name: String, _ signal: String = "KILL") -> String { "kill -\(signal) $(systemctl show -P MainPID \(name))" }
private func start(_ name: String) -> String { "systemctl start \(name)" }
private func stop(_ name: String) -> String { "systemctl stop \(name)" }

private let isRunning = "unit_up: is running (active/running)"
private let wasStopped = "unit_stopped: stopped on request (inactive/dead)"
private let wasKilled = "unit_down: killed by SIGKILL (failed/failed)"
private func restarted(_ why: String) -> String { "unit_restarted: \(why); systemd restarts it" }

extension UnitRow {
    /// For the host's folder /usr/local/bin.
    static let programs = [
        "obey": """
        #!/bin/bash
        mkdir -p /run/obey
        [ -p "/run/obey/$1" ] || mkfifo "/run/obey/$1"
        exec 3<>"/run/obey/$1"
        while read -r word value <&3; do case $word in exit) exit "$value" ;; esac; done

        """,
        "front": """
        #!/usr/bin/python3
        # Upgraded as nginx is: USR2 starts a second master, QUIT ends the first one; the pid file names the newer.
        import os, signal, sys, time
        pid_file = sys.argv[1]
        def write():
            with open(pid_file + ".new", "w") as file: file.write(f"{os.getpid()}\\n")
            os.rename(pid_file + ".new", pid_file)
        def upgrade(*_):
            if os.fork() == 0: serve()
        def serve():
            signal.signal(signal.SIGUSR2, upgrade)
            signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))
            write()
            while True: signal.pause()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: serve()
            os._exit(0)
        while not os.path.exists(pid_file): time.sleep(0.01)

        """,
    ]

    static let daemons: [UnitRow] = [
        UnitRow(
            name: "simple-kill", service: obey, first: kill("simple-kill"), says: [wasKilled], then: start("simple-kill"), thenSays: [isRunning],
            ends: "up"),
        UnitRow(
            name: "simple-exit0", service: obey, first: tell("simple-exit0", "exit 0"),
            says: ["unit_down: ended by itself: exited with status 0 (inactive/dead)"], then: start("simple-exit0"), thenSays: [isRunning],
            ends: "up"),
        UnitRow(
            name: "simple-exit1", service: obey, first: tell("simple-exit1", "exit 1"), says: ["unit_down: exited with status 1 (failed/failed)"],
            then: start("simple-exit1"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "simple-stop", service: obey, first: stop("simple-stop"), says: [wasStopped], then: start("simple-stop"), thenSays: [isRunning],
            ends: "up"),
        UnitRow(
            name: "simple-restart", service: obey, first: "systemctl restart simple-restart", says: ["unit_restarted: restarted on request"],
            then: "systemctl restart simple-restart", thenSays: ["unit_restarted: restarted on request"], ends: "up"),
        UnitRow(
            name: "simple-bounce", service: obey, first: stop("simple-bounce") + "; sleep 1; " + start("simple-bounce"),
            says: ["unit_restarted: restarted on request"], then: "true", thenSays: [], ends: "up"),
        UnitRow(
            name: "simple-term", service: obey, first: kill("simple-term", "TERM"),
            says: ["unit_down: ended by itself: killed by SIGTERM (inactive/dead)"], then: start("simple-term"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "exec-kill", service: "Type=exec\n\(obey)", first: kill("exec-kill"), says: [wasKilled], then: start("exec-kill"),
            thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "notify-kill", service: "Type=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep infinity'",
            first: kill("notify-kill"), says: [wasKilled], then: start("notify-kill"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "notify-timeout",
            service: """
                Type=notify
                NotifyAccess=all
                TimeoutStartSec=2
                ExecStart=/bin/sh -c 'test -e /run/notify-hangs || systemd-notify --ready; exec sleep infinity'
                """,
            first: "touch /run/notify-hangs; systemctl restart notify-timeout || :", says: ["unit_down: timed out (failed/failed)"],
            then: "rm /run/notify-hangs; systemctl start notify-timeout", thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "always-kill", service: "\(obey)\nRestart=always\nRestartSec=100ms", first: kill("always-kill"),
            says: [restarted("killed by SIGKILL")], then: kill("always-kill"), thenSays: [restarted("killed by SIGKILL")], ends: "up"),
        UnitRow(
            name: "always-exit0", service: "\(obey)\nRestart=always\nRestartSec=100ms", first: tell("always-exit0", "exit 0"),
            says: [restarted("exited with status 0")], then: tell("always-exit0", "exit 1"), thenSays: [restarted("exited with status 1")],
            ends: "up"),
        UnitRow(
            name: "always-stop", service: "\(obey)\nRestart=always\nRestartSec=100ms", first: stop("always-stop"), says: [wasStopped],
            then: start("always-stop"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "failure-exits", service: "\(obey)\nRestart=on-failure\nRestartSec=100ms", first: tell("failure-exits", "exit 1"),
            says: [restarted("exited with status 1")], then: tell("failure-exits", "exit 0"),
            thenSays: ["unit_down: ended by itself: exited with status 0 (inactive/dead)"], ends: "down"),
        UnitRow(
            name: "success-status", service: "\(obey)\nRestart=on-failure\nRestartSec=100ms\nSuccessExitStatus=42",
            first: tell("success-status", "exit 42"), says: ["unit_down: ended by itself: exited with status 42 (inactive/dead)"],
            then: start("success-status"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "prevent-status", service: "\(obey)\nRestart=always\nRestartSec=100ms\nRestartPreventExitStatus=9",
            first: tell("prevent-status", "exit 9"), says: ["unit_down: exited with status 9 (failed/failed)"], then: start("prevent-status"),
            thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "force-status", service: "\(obey)\nRestartSec=100ms\nRestartForceExitStatus=7", first: tell("force-status", "exit 7"),
            says: [restarted("exited with status 7")], then: tell("force-status", "exit 1"),
            thenSays: ["unit_down: exited with status 1 (failed/failed)"], ends: "down"),
        UnitRow(
            name: "abnormal-exit", service: "\(obey)\nRestart=on-abnormal\nRestartSec=100ms", first: kill("abnormal-exit"),
            says: [restarted("killed by SIGKILL")], then: tell("abnormal-exit", "exit 1"),
            thenSays: ["unit_down: exited with status 1 (failed/failed)"], ends: "down"),
        UnitRow(
            name: "start-limit",
            service: """
                [Unit]
                StartLimitIntervalSec=300
                StartLimitBurst=3
                [Service]
                Restart=on-failure
                RestartSec=100ms
                ExecStart=/bin/sh -c 'test -e /run/limit-breaks && exit 5; exec sleep infinity'
                """,
            first: "touch /run/limit-breaks; " + kill("start-limit"),
            says: [
                restarted("killed by SIGKILL"), restarted("exited with status 5"),
                "unit_down: started too often, start limit reached; systemd does not start it again (failed/failed)",
            ], then: "rm /run/limit-breaks; systemctl reset-failed start-limit; systemctl start start-limit", thenSays: [isRunning], ends: "up",
            repeatsItself: true),
        UnitRow(
            name: "slow-restart", service: "\(obey)\nRestart=on-failure\nRestartSec=12", first: kill("slow-restart"),
            says: ["unit_restarted: killed by SIGKILL; systemd restarts it in 12 s"], then: "true", thenSays: [], ends: nil),
        UnitRow(
            name: "watchdog",
            service: """
                Type=notify
                NotifyAccess=all
                WatchdogSec=4
                ExecStart=/bin/sh -c 'systemd-notify --ready; while test ! -e /run/watchdog-hangs; do systemd-notify WATCHDOG=1; sleep 0.5; done; \
                exec sleep infinity'
                """,
            first: "touch /run/watchdog-hangs", says: ["unit_down: killed by its watchdog (failed/failed)"],
            then: "rm /run/watchdog-hangs; systemctl start watchdog", thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "stop-timeout", service: "TimeoutStopSec=1\nExecStart=/bin/bash -c 'trap \"\" TERM; while :; do sleep 0.2; done'",
            first: stop("stop-timeout"), says: ["unit_stopped: stopped on request, timed out (failed/failed)"], then: start("stop-timeout"),
            thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "reloads", service: "ExecStart=/bin/bash -c 'trap : HUP; while :; do sleep 0.2; done'\nExecReload=/bin/kill -HUP $MAINPID",
            first: "sleep 1; systemctl reload reloads", says: [], then: "systemctl reload reloads", thenSays: [], ends: "up"),
        UnitRow(
            name: "reload-fails", service: "\(obey)\nExecReload=/bin/false", first: "systemctl reload reload-fails || :", says: [],
            then: kill("reload-fails"), thenSays: [wasKilled], ends: "down"),
        UnitRow(
            name: "reload-kills", service: "ExecStart=/bin/sleep infinity\nExecReload=/bin/kill -HUP $MAINPID",
            first: "systemctl reload reload-kills || :", says: ["unit_down: ended by itself: killed by SIGHUP (inactive/dead)"],
            then: start("reload-kills"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "java-143",
            service: "ExecStart=/bin/bash -c 'trap \"exit 143\" TERM; while :; do sleep 0.1; done'\nExecStopPost=/bin/sleep 1\n"
                + "SuccessExitStatus=143\nRestart=on-failure",
            first: kill("java-143", "TERM"), says: ["unit_down: ended by itself: exited with status 143 (deactivating/stop-post)"],
            then: "while systemctl is-active -q java-143 || systemctl show -P ActiveState java-143 | grep -q deactivating; do sleep 0.1; done; "
                + "systemctl start java-143; sleep 1; systemctl stop java-143",
            thenSays: [isRunning, wasStopped], ends: "stopped"),
        UnitRow(
            name: "mainpid-notify",
            service: """
                Type=notify
                NotifyAccess=all
                ExecStart=/bin/bash -c 'systemd-notify --ready; while test ! -e /run/hand-over; do sleep 0.1; done; \
                sleep infinity & systemd-notify MAINPID=$!; sleep 0.5; disown; exit 0'
                """,
            first: "touch /run/hand-over", says: ["unit_restarted: a new main process took over in the same run"], then: kill("mainpid-notify"),
            thenSays: [wasKilled], ends: "down"),
        UnitRow(
            name: "usr2-upgrade", service: "Type=forking\nPIDFile=/run/usr2.pid\nExecStart=/usr/local/bin/front /run/usr2.pid",
            first: """
                old=$(cat /run/usr2.pid); kill -USR2 $old
                while test "$(cat /run/usr2.pid)" = $old; do sleep 0.1; done
                kill -QUIT $old
                """, says: ["unit_restarted: a new main process took over in the same run"], then: "kill -KILL $(cat /run/usr2.pid)",
            thenSays: [wasKilled], ends: "down"),
        UnitRow(
            name: "forking-kill", service: "Type=forking\nPIDFile=/run/forking.pid\nExecStart=/usr/local/bin/front /run/forking.pid",
            first: kill("forking-kill"), says: [wasKilled], then: "rm -f /run/forking.pid; systemctl start forking-kill", thenSays: [isRunning],
            ends: "up"),
        UnitRow(
            name: "forking-guess", service: "Type=forking\nExecStart=/bin/sh -c 'setsid sleep infinity & :'", first: kill("forking-guess"),
            says: [wasKilled], then: start("forking-guess"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "mask-kill", service: "", files: ["/usr/local/lib/systemd/system/mask-kill.service": "[Service]\n\(obey)\n"],
            before: "systemctl daemon-reload; systemctl start mask-kill",
            first: "systemctl mask mask-kill; sleep 5; " + kill("mask-kill"),
            says: ["unit_down: killed by SIGKILL (failed/failed, masked); it is masked"],
            then: "systemctl unmask mask-kill; systemctl start mask-kill", thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "binds-to", service: "[Unit]\nBindsTo=binds-base.service\nAfter=binds-base.service\n[Service]\n\(obey)",
            units: ["binds-base.service": "[Service]\nExecStart=/bin/sleep infinity\n"], first: stop("binds-base"), says: [wasStopped],
            then: start("binds-to"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "condition", service: "[Unit]\nConditionPathExists=!/run/condition-fails\n[Service]\n\(obey)",
            first: "touch /run/condition-fails; systemctl restart condition",
            says: ["unit_stopped: stopped on request (inactive/dead); a condition of its start was not met"],
            then: "rm /run/condition-fails; systemctl start condition", thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "removed", service: obey,
            first: "systemctl stop removed; rm /etc/systemd/system/removed.service; systemctl daemon-reload",
            says: ["unit_stopped: stopped on request, and gone: no init system here knows it any longer"], then: "true", thenSays: [],
            ends: nil),
        UnitRow(
            name: "real-name", service: obey,
            before: "ln -s real-name.service /etc/systemd/system/other-name.service; systemctl daemon-reload; "
                + "systemctl start real-name",
            check: "other-name", first: kill("real-name"), says: [wasKilled], then: start("other-name"), thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "frozen", service: obey, first: "systemctl freeze frozen",
            says: ["unit_stuck: it has been frozen for N s (`systemctl thaw` continues it)"], then: "systemctl thaw frozen",
            thenSays: ["unit_unstuck: is running again"], ends: "up"),
    ]

    static let others: [UnitRow] = [
        UnitRow(
            name: "once-good", service: "Type=oneshot\nExecStart=/bin/true", before: "true", first: start("once-good"), says: [],
            then: start("once-good"), thenSays: [], ends: "idle"),
        UnitRow(
            name: "once-fails", service: "Type=oneshot\nExecStart=/bin/sh -c 'test ! -e /run/once-breaks'", before: "touch /run/once-breaks",
            first: "systemctl start once-fails || :", says: ["unit_failed: its run failed: exited with status 1 (failed/failed)"],
            then: "rm /run/once-breaks; systemctl start once-fails", thenSays: ["unit_up: its last run ended well (exited with status 0)"],
            ends: "idle"),
        UnitRow(
            name: "once-reset", service: "Type=oneshot\nExecStart=/bin/false", before: "true", first: "systemctl start once-reset || :",
            says: ["unit_failed: its run failed: exited with status 1 (failed/failed)"], then: "systemctl reset-failed once-reset",
            thenSays: ["unit_up: is no longer failed (inactive/dead)"], ends: "idle"),
        UnitRow(
            name: "once-long", service: "Type=oneshot\nExecStart=/bin/sleep infinity", before: "true",
            first: "systemctl start --no-block once-long; sleep 1", says: [], then: stop("once-long"),
            thenSays: ["unit_stopped: stopped on request, killed by SIGTERM (failed/failed)"], ends: "stopped"),
        UnitRow(
            name: "once-timeout", service: "Type=oneshot\nTimeoutStartSec=1\nExecStart=/bin/sleep infinity", before: "true",
            first: "systemctl start once-timeout || :", says: ["unit_failed: its run failed: timed out (failed/failed)"],
            then: "systemctl reset-failed once-timeout", thenSays: ["unit_up: is no longer failed (inactive/dead)"], ends: "idle"),
        UnitRow(
            name: "once-remains", service: "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true", first: stop("once-remains"), says: [wasStopped],
            then: start("once-remains"), thenSays: ["unit_up: has been started (active/exited)"], ends: "idle"),
        UnitRow(
            name: "remains-fails", service: "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'test ! -e /run/remains-breaks'",
            first: "touch /run/remains-breaks; systemctl restart remains-fails || :", says: ["unit_down: exited with status 1 (failed/failed)"],
            then: "rm /run/remains-breaks; systemctl start remains-fails", thenSays: ["unit_up: has been started (active/exited)"], ends: "idle"),
        UnitRow(
            name: "timed", service: "ExecStart=/bin/sh -c 'sleep 0.2; test ! -e /run/timed-breaks'",
            units: ["timed.timer": "[Timer]\nOnCalendar=*-01-01 00:00:00\n"], before: "systemctl start timed.timer", first: start("timed"), says: [],
            then: "touch /run/timed-breaks; systemctl start timed", thenSays: ["unit_failed: its run failed: exited with status 1 (failed/failed)"],
            ends: "down"),
        UnitRow(
            name: "timed@a", service: "",
            units: [
                "timed@.timer": "[Timer]\nOnCalendar=*-01-01 00:00:00\nUnit=timed@%i.service\n",
                "timed@.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test ! -e /run/timed-a-breaks'\n",
            ], before: "systemctl start timed@a.timer; touch /run/timed-a-breaks", first: "systemctl start timed@a || :",
            says: ["unit_failed: its run failed: exited with status 1 (failed/failed)"],
            then: "rm /run/timed-a-breaks; systemctl start timed@a", thenSays: ["unit_up: its last run ended well (exited with status 0)"],
            ends: "idle"),
        UnitRow(
            name: "on-socket", service: obey, units: ["on-socket.socket": "[Socket]\nListenStream=/run/on-socket.sock\n"],
            before: "systemctl start on-socket.socket", first: "systemctl start on-socket; sleep 0.5; " + tell("on-socket", "exit 0"), says: [],
            then: "systemctl start on-socket; sleep 0.5; " + tell("on-socket", "exit 1"),
            thenSays: ["unit_down: exited with status 1 (failed/failed)"], ends: "down"),
        UnitRow(
            name: "socket-closed", service: obey, units: ["socket-closed.socket": "[Socket]\nListenStream=/run/socket-closed.sock\n"],
            before: "systemctl start socket-closed.socket", first: stop("socket-closed.socket"),
            says: ["unit_stopped: stopped on request: socket-closed.socket no longer starts it (inactive/dead)"],
            then: start("socket-closed.socket"), thenSays: [], ends: "idle"),
        UnitRow(
            name: "on-path", service: "ExecStart=/bin/rm /run/on-path", units: ["on-path.path": "[Path]\nPathExists=/run/on-path\n"],
            before: "systemctl start on-path.path", first: "touch /run/on-path; while test -e /run/on-path; do sleep 0.1; done", says: [],
            then: "touch /run/on-path; while test -e /run/on-path; do sleep 0.1; done", thenSays: [], ends: "idle"),
        UnitRow(
            name: "worker@1", service: "", units: ["worker@.service": "[Service]\nExecStart=/bin/sleep infinity\n"],
            before: "systemctl start worker@1 worker@2 worker@3", check: "worker@*", first: stop("worker@1"),
            says: ["unit_stopped: stopped on request, and gone: no init system here knows it any longer"], then: start("worker@1"),
            thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "worker@2", service: "", before: "true", check: "", first: kill("worker@2"), says: [wasKilled], then: start("worker@2"),
            thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "worker@3", service: "", before: "true", check: "", first: "systemctl restart worker@3",
            says: ["unit_restarted: restarted on request"], then: "true", thenSays: [], ends: "up"),
        UnitRow(
            name: "sysv-daemon", service: "",
            files: [
                "/etc/init.d/sysv-daemon": """
                #!/bin/sh
                ### BEGIN INIT INFO
                # Provides: sysv-daemon
                # Required-Start:
                # Required-Stop:
                # Default-Start: 2 3 4 5
                # Default-Stop: 0 1 6
                # Short-Description: a daemon with a script
                ### END INIT INFO
                case $1 in
                start) start-stop-daemon --start --background --make-pidfile --pidfile /run/sysv-daemon.pid --startas /bin/sleep -- infinity ;;
                stop) start-stop-daemon --stop --pidfile /run/sysv-daemon.pid --retry 5 ;;
                esac

                """
            ], before: "systemctl daemon-reload; systemctl start sysv-daemon; while test ! -s /run/sysv-daemon.pid; do sleep 0.1; done",
            first: "kill -9 $(cat /run/sysv-daemon.pid)",
            says: ["unit_down: its main process ended (active/exited, its processes have ended)"],
            then: "systemctl restart sysv-daemon", thenSays: [isRunning], ends: "up"),
        UnitRow(
            name: "transient-good", service: "", before: "systemd-run --unit=transient-good /usr/local/bin/obey transient-good",
            first: "sleep 0.5; " + tell("transient-good", "exit 0"), says: [], then: "true", thenSays: [], ends: nil),
        UnitRow(
            name: "transient-fails", service: "", before: "systemd-run --unit=transient-fails /usr/local/bin/obey transient-fails",
            first: "sleep 0.5; " + tell("transient-fails", "exit 1"),
            says: ["unit_failed: its run failed: exited with status 1 (failed/failed)"], then: "systemctl reset-failed transient-fails",
            thenSays: ["unit_up: is gone: no init system here knows it any longer"], ends: nil),
        UnitRow(
            name: "unnamed-fails", service: "Type=oneshot\nExecStart=/bin/false", before: "true", check: "",
            first: "systemctl start unnamed-fails || :", says: ["unit_failed: its run failed: exited with status 1 (failed/failed)"],
            then: "systemctl reset-failed unnamed-fails", thenSays: ["unit_up: is no longer failed"], ends: nil),
        UnitRow(
            name: "app-row", service: "",
            units: [
                "app-row.slice": "[Slice]\n", "in-slice.service": "[Service]\nSlice=app-row.slice\nExecStart=/bin/sleep infinity\n",
            ], before: "systemctl start in-slice", check: "app-row.slice", subject: "app-row.slice", first: kill("in-slice"), says: [],
            then: start("in-slice"), thenSays: [], ends: "up"),
    ]
}
