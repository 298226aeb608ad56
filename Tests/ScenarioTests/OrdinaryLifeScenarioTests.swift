// A day of a host's ordinary life, compressed: nothing of it is anything to hear of.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .enabled(if: getuid() == 0, "a real systemd needs root"), .timeLimit(.minutes(5))) struct OrdinaryLifeScenarioTests {
    private static let recipes = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../recipes")
        .standardizedFileURL
        .path

    /// Holds dpkg's lock while it runs the scripts of a package's maintainer as dpkg does for an upgrade.
    private static let upgrade = """
        #!/usr/bin/python3
        import fcntl, os, subprocess, sys
        package = sys.argv[1]
        os.environ.update(DEBIAN_FRONTEND="noninteractive", DPKG_MAINTSCRIPT_PACKAGE=package, DPKG_MAINTSCRIPT_ARCH="amd64")
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True).stdout
        with open("/var/lib/dpkg/lock-frontend", "w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            for script, word in (("prerm", "upgrade"), ("postinst", "configure")):
                path = f"/var/lib/dpkg/info/{package}.{script}"
                os.environ["DPKG_MAINTSCRIPT_NAME"] = script
                if os.path.exists(path): subprocess.run([path, word, version], check=True)

        """

    private static let units = [
        "app.service": "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\n",
        "worker@.service": "[Service]\nExecStart=/bin/sleep infinity\n",
        "poller.service": "[Service]\nExecStart=/bin/sleep 1\nRestart=always\nRestartSec=1\n",
        "tick.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
        "tick.timer": "[Timer]\nOnActiveSec=1\nOnUnitActiveSec=4\nAccuracySec=100ms\n",
        "on-demand.service": "[Service]\nExecStart=/bin/sleep 1\n", "on-demand.socket": "[Socket]\nListenStream=/run/on-demand.sock\n",
        // What a reboot does first; the rest would end the bed.
        "going-down.target": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target\n",
        "setup.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    ]

    @Test func aDayIsQuiet() async throws {
        var rules = [
            "host.inq": try String(contentsOfFile: Self.recipes + "/rules/host.inq", encoding: .utf8),
            "services.d/failed.inq": "check failed units\n", "services.d/workers.inq": "check service worker@*\n",
            "services.d/clusters.inq": "check service \"postgresql@*\"\n",
            "services.d/nginx.inq": "check service nginx\n  if down for 2s then restart\n",
        ]
        for name in ["app", "poller", "tick", "on-demand", "setup", "postgresql", "redis-server"] {
            rules["services.d/\(name).inq"] = "check service \(name)\n"
        }
        try await InstalledHost.with(
            units: Self.units, files: ["/usr/local/bin/upgrade-package": Self.upgrade],
            starting: [
                "nginx", "postgresql", "redis-server", "app", "worker@1", "worker@2", "poller", "setup", "tick.timer", "on-demand.socket",
            ], rules: rules, mayDo: ["nginx.service": ["restart"]], hasMarker: true
        ) { host in
            try await host.happens("everything runs") {
                let states = try await host.export()["services"]
                return states?["nginx.service"]?["state"] == "up" && states?["postgresql@15-main.service"]?["state"] == "up"
                    && states?["on-demand.service"]?["state"] == "idle" && states?["setup.service"]?["state"] == "idle"
            }
            let master = try await host.mainPID(of: "nginx")

            // Packages: nginx hands over to a new master without a word to systemd, postgresql stops and starts, redis restarts.
            try await host.shell("/etc/init.d/nginx upgrade; upgrade-package postgresql-15; upgrade-package redis-server")
            try await host.happens("the new master is watched") {
                let pid = try await host.unit("nginx.service")?["pid"]?.integer
                return pid != nil && pid != Int64(master)
            }
            // What an operator and the host's own jobs do.
            try await host.shell(
                """
                systemctl daemon-reload
                systemctl reload nginx; systemctl reload postgresql
                systemctl restart app worker@1; systemctl try-restart redis-server
                systemctl start on-demand tick setup
                systemctl daemon-reexec
                systemctl stop app; sleep 2; systemctl start app
                journalctl --rotate
                """)
            try await host.systemctl("reload", "rollcall-agent")
            try await host.restartAgent()
            try await Task.sleep(for: .seconds(7))
            try await host.settle()
            #expect(try host.messages().map(\.text) == [])

            // The host is stopped and started again.
            try await host.systemctl("start", "--no-block", "going-down.target")
            try await host.happens("the agent is stopped") { try await host.end(of: "/usr/bin/pgrep", ["-x", "rollcall-agent"]).status != 0 }
            try await Task.sleep(for: .seconds(3))
            try await host.systemctl("start", "sysinit.target", "dbus.socket", "dbus.service", "polkit.service")
            try await host.systemctl(
                "start", "nginx", "postgresql", "redis-server", "app", "worker@1", "worker@2", "poller", "setup", "tick.timer", "on-demand.socket")
            try await host.startAgent()
            try await Task.sleep(for: .seconds(7))
            try await host.settle()
            #expect(try host.messages().map(\.text) == [])
            #expect(host.events("action_succeeded").isEmpty && host.events("action_failed").isEmpty)

            // After all that a real death is told.
            try await host.shell("pkill -KILL -x -o nginx; pkill -KILL -x nginx || :")
            try await host.happens("the death is told") { try host.messages().contains { $0.tells("unit_down", of: "nginx.service") } }
        }
    }
}
