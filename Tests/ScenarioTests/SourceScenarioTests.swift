// Init systems beside systemd on a host whose agent has a user of its own.

import AgentAPI
import AggregatorCore
import Foundation
import Platform
import SQLiteStore
import TestKit
import Testing

@Suite(.serialized) struct SourceScenarioTests {
    @Test func aSupervisordThatIsRootsAloneIsNamedAndItsProgramsAreUnknownUntilItOpens() async throws {
        try await Site.with(layout: "unified", rules: ["services.d/victim.inq": "check service victim\n"]) { site in
            try await site.onHost(
                "bash", "-c",
                """
                cat >/etc/supervisor/supervisord.conf <<'END'
                [unix_http_server]
                file=/run/supervisor.sock
                chmod=0700
                [supervisord]
                logfile=/run/supervisord.log
                pidfile=/run/supervisord.pid
                nodaemon=true
                [rpcinterface:supervisor]
                supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
                [supervisorctl]
                serverurl=unix:///run/supervisor.sock
                [program:firehose]
                process_name=%(program_name)s_%(process_num)02d
                command=/bin/sleep infinity
                numprocs=3
                [program:batch]
                command=/bin/sleep 2
                autostart=false
                autorestart=unexpected
                startsecs=0
                [program:broken]
                command=/bin/false
                startretries=2
                END
                systemd-run --unit=supervisord /usr/bin/supervisord -c /etc/supervisor/supervisord.conf
                until [ -S /run/supervisor.sock ]; do sleep 0.1; done
                for name in firehose batch broken; do echo "check service $name" >/etc/rollcall/services.d/$name.inq; done
                systemctl restart rollcall-agent
                """)
            try await eventually("the source that refuses") { try await site.events().contains { $0.kind == .sourceFailed } }
            try await eventually("its programs are unknown") {
                let units = try await site.store().units(ofService: nil).filter { $0.state.name != "victim.service" }
                return units.count == 3 && units.allSatisfy { $0.state.phase == .unknown }
            }
            let told = try await site.events().filter { $0.kind == .sourceFailed }
            let words =
                "supervisord: the agent may not ask supervisord: /run/supervisor.sock is root's alone; set chmod=0770 and "
                + "chown=root:rollcall-agent under [unix_http_server] in /etc/supervisor/supervisord.conf"
            #expect(told.map(\.detail) == [words])
            #expect(try await !site.events().contains { $0.kind == .unitDown })
            #expect(try await site.onHost("\(built("rollcall"))", "status").contains(String(words.dropFirst("supervisord: ".count))))
            #expect(try await site.onHost("\(built("rollcall"))", "explain", "firehose").contains("may not ask supervisord"))

            // The operator does what it says.
            try await site.onHost("chown", "root:rollcall-agent", "/run/supervisor.sock")
            try await site.onHost("chmod", "0770", "/run/supervisor.sock")
            try await eventually("the programs are known") {
                let units = try await site.store().units(ofService: nil)
                return units.contains { $0.state.name == "firehose" && $0.state.phase == .up }
                    && units.contains { $0.state.name == "broken" && $0.state.phase == .down }
            }
            let events = try await site.events()
            #expect(events.filter { $0.kind == .sourceRecovered }.map(\.detail) == ["supervisord answers again"])
            let down = events.filter { $0.kind == .unitDown }
            #expect(down.map(\.unit) == ["broken"] && down.first?.detail.contains("Exited too quickly") == true, "\(down)")

            // One that is started by hand is idle before and after its run.
            func batch() async throws -> UnitState.Phase? {
                try await site.store().units(ofService: nil).map(\.state).first { $0.name == "batch" }?.phase
            }
            try await eventually("batch is idle") { try await batch() == .idle }
            try await site.onHost("supervisorctl", "start", "batch")
            try await eventually("batch runs") { try await batch() == .up }
            try await eventually("batch is idle again") { try await batch() == .idle }
            #expect(try await !site.events().contains { $0.unit == "batch" })

            // One of three processes is stopped, and started again.
            try await site.onHost("supervisorctl", "stop", "firehose:firehose_01")
            try await eventually("which one is down") {
                try await site.store().units(ofService: nil).contains {
                    $0.state.name == "firehose" && $0.state.detail == "2 of 3 run: firehose:firehose_01 STOPPED"
                }
            }
            try await site.onHost("supervisorctl", "start", "firehose:firehose_01")
            try await eventually("all are up again") {
                try await site.store().units(ofService: nil).contains { $0.state.name == "firehose" && $0.state.phase == .up }
            }
        }
    }

    @Test func whoRunsAServiceAnswersForItWhenSystemdHasAnIdleUnitOfItsName() async throws {
        try await Site.with(layout: "unified", rules: ["services.d/victim.inq": "check service victim\n"]) { site in
            try await site.onHost(
                "bash", "-c",
                """
                printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/kiosk.service
                systemctl daemon-reload
                mkdir -p /etc/service/kiosk
                printf '#!/bin/sh\\nexec /bin/sleep infinity\\n' >/etc/service/kiosk/run
                chmod 755 /etc/service/kiosk/run
                systemd-run --unit=runsvdir /usr/bin/runsvdir -P /etc/service
                until sv status /etc/service/kiosk | grep -q ^run; do sleep 0.1; done
                echo "check service kiosk" >/etc/rollcall/services.d/kiosk.inq
                systemctl restart rollcall-agent
                """)
            func kiosk() async throws -> UnitState? { try await site.store().units(ofService: nil).map(\.state).first { $0.name.hasPrefix("kiosk") } }
            try await eventually("kiosk is up by runit") {
                let state = try await kiosk()
                return state?.phase == .up && state?.initSystem == "runit"
            }
            #expect(try await site.events().allSatisfy { $0.unit?.hasPrefix("kiosk") != true })
            let words = try await site.onHost("\(built("rollcall"))", "explain", "kiosk")
            #expect(words.contains("runit runs it (run: process ") && words.contains("systemd also knows kiosk.service (inactive/dead)"), "\(words)")

            // A crash is one restart.
            try await site.onHost("sv", "kill", "/etc/service/kiosk")
            try await eventually("the restart") { try await site.events().contains { $0.kind == .unitRestarted && $0.unit == "kiosk" } }
            // A stop is one that was asked for.
            try await eventually("it runs") { try await kiosk()?.phase == .up }
            try await site.onHost("sv", "down", "/etc/service/kiosk")
            try await eventually("the stop on request") {
                try await site.events().contains { $0.unit == "kiosk" && $0.cause == .request && $0.kind != .unitRestarted }
            }
            #expect(try await site.events().filter { $0.kind == .unitRestarted && $0.unit == "kiosk" }.count == 1)
            try await site.onHost("sv", "up", "/etc/service/kiosk")
            try await eventually("it is up again") { try await kiosk()?.phase == .up }
        }
    }

    @Test func withoutCapabilitiesTheServicesOfRunitAreUnknownAndItIsSaidWhy() async throws {
        try await Site.with(layout: "unified", rules: ["services.d/victim.inq": "check service victim\n"]) { site in
            let profile = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../init/systemd/rollcall-agent.service.d").standardizedFileURL.path
            try await site.onHost(
                "bash", "-c",
                """
                mkdir -p /etc/service/kiosk
                printf '#!/bin/sh\\nexec /bin/sleep infinity\\n' >/etc/service/kiosk/run
                chmod 755 /etc/service/kiosk/run
                systemd-run --unit=runsvdir /usr/bin/runsvdir -P /etc/service
                until sv status /etc/service/kiosk | grep -q ^run; do sleep 0.1; done
                echo "check service kiosk" >/etc/rollcall/services.d/kiosk.inq
                install -D -m 644 \(profile)/without-capabilities.conf -t /etc/systemd/system/rollcall-agent.service.d/
                systemctl daemon-reload && systemctl restart rollcall-agent
                """)
            try await eventually("why it is unknown") {
                try await site.events().contains {
                    $0.kind == .sourceFailed && $0.detail.hasPrefix("runit: the agent may not look at /etc/service/kiosk/supervise")
                }
            }
            try await eventually("it is unknown") {
                try await site.store().units(ofService: nil).contains { $0.state.name == "kiosk" && $0.state.phase == .unknown }
            }
            #expect(try await !site.events().contains { $0.kind == .unitDown })
            try await site.onHost("chmod", "755", "/etc/service/kiosk/supervise")
            try await eventually("it is known") {
                try await site.store().units(ofService: nil).contains { $0.state.name == "kiosk" && $0.state.phase == .up }
            }
        }
    }
}
