import AgentCore
import Foundation
import Glibc
import Platform
import Synchronization
import Testing

@testable import LinuxHost

extension InsideBed {
    /// Units that nobody names, as they come and go.
    @Suite(.serialized, .enabled(if: isInsideBed && getuid() == 0, "runs inside a bed, which SystemdBedTests starts"))
    struct Groups {
        @Test func instancesOfAPatternComeAndGo() throws {
            try systemctl("start", "worker@1")
            let watching = try Watching(requests: [UnitRequest(name: "worker@*", kind: .pattern)])
            let first = try watching.waitFor("worker@1.service", of: "worker@*") { $0.activity == .running && $0.cgroup != nil }
            #expect(first.mainProcess != nil && first.request == "worker@*")
            try systemctl("start", "worker@2")
            _ = try watching.waitFor("worker@2.service", of: "worker@*") { $0.activity == .running && $0.mainProcess != nil && !$0.hasJob }
            kill(try #require(first.mainProcess).pid, SIGKILL)
            let failed = try watching.waitFor("worker@1.service", of: "worker@*") { $0.activity == .failed }
            #expect(failed.lastExit == .signaled(9))
            try systemctl("stop", "worker@2")
            let gone = try watching.waitFor("worker@2.service", of: "worker@*") { $0.presence == .absent }
            #expect(gone.activity == .stopped)
            #expect(watching.listener.observations(of: "worker@*").allSatisfy { $0.unit.hasPrefix("worker@") })
            // Looking at what systemd forgets makes it appear again: that must come to an end.
            try watching.settle("worker@1.service")
            usleep(500_000)
            #expect(watching.listener.lines.isEmpty, "\(watching.listener.lines)")
            try systemctl("reset-failed", "worker@1")
            _ = try watching.waitFor("worker@1.service", of: "worker@*") { $0.presence == .absent }
        }

        @Test func whatNeverRanIsNotWatchedByAPattern() throws {
            let watching = try Watching(requests: [UnitRequest(name: "ne*", kind: .pattern), UnitRequest(name: "never")])
            _ = try watching.waitFor("never") { $0.activity == .stopped }
            usleep(300_000)
            #expect(watching.listener.observations(of: "ne*").isEmpty)
            try systemctl("start", "never")
            let up = try watching.waitFor("never.service", of: "ne*") { $0.activity == .running && $0.mainProcess != nil }
            #expect(watching.listener.latest("never")?.mainProcess == up.mainProcess)
            try systemctl("stop", "never")
            // Somebody else keeps it in systemd's memory, so that it is seen to be stopped.
            _ = try watching.waitFor("never.service", of: "ne*") { $0.activity == .stopped }
        }

        @Test(arguments: ["daemon-reload", "daemon-reexec"])
        func aPatternSurvives(verb: String) throws {
            try systemctl("start", "worker@3")
            let watching = try Watching(requests: [UnitRequest(name: "worker@*", kind: .pattern)])
            _ = try watching.waitFor("worker@3.service", of: "worker@*") { $0.activity == .running && $0.cgroup != nil && !$0.hasJob }
            try watching.settle("worker@3.service")
            try systemctl(verb)
            usleep(500_000)
            #expect(watching.listener.lines.isEmpty, "nothing has changed, but said was: \(watching.listener.reasons) \(watching.listener.lines)")
            try systemctl("start", "worker@4")
            _ = try watching.waitFor("worker@4.service", of: "worker@*") { $0.activity == .running }
            try systemctl("stop", "worker@3", "worker@4")
        }

        @Test func whateverFailsIsTold() throws {
            let watching = try Watching(requests: [UnitRequest(name: "failed units", kind: .failed)])
            usleep(300_000)
            #expect(watching.listener.lines.isEmpty)
            try systemctl("start", "--no-block", "exits-with-3")
            let failed = try watching.waitFor("exits-with-3.service", of: "failed units") { $0.activity == .failed }
            #expect(failed.lastExit == .exited(status: 3))
            // Killed without any job of systemd's.
            try systemctl("start", "never")
            let process = try #require(Int32(systemctl("show", "-P", "MainPID", "never").split(separator: "\n").first ?? ""))
            kill(process, SIGKILL)
            _ = try watching.waitFor("never.service", of: "failed units") { $0.activity == .failed && $0.lastExit == .signaled(9) }
            try systemctl("start", "never")
            _ = try watching.waitFor("never.service", of: "failed units") { $0.presence == .absent }
            try systemctl("reset-failed")
            _ = try watching.waitFor("exits-with-3.service", of: "failed units") { $0.presence == .absent }
            try systemctl("stop", "never")
        }

        @Test func whatSystemdRestartsByItselfIsNotAFailedUnit() throws {
            let watching = try Watching(requests: [UnitRequest(name: "failed units", kind: .failed)])
            try systemctl("start", "always")
            let process = try #require(Int32(systemctl("show", "-P", "MainPID", "always").split(separator: "\n").first ?? ""))
            kill(process, SIGKILL)
            usleep(700_000)
            #expect(watching.listener.observations(of: "failed units").allSatisfy { $0.activity != .failed || $0.presence == .absent })
            try systemctl("stop", "always")
        }
    }

    /// What is done to units, and what stands in the way.
    @Suite(.serialized, .enabled(if: isInsideBed && getuid() == 0, "runs inside a bed, which SystemdBedTests starts"))
    struct Verbs {
        @Test func aUnitIsStartedSignaledAndStopped() throws {
            let watching = try Watching(["never"])
            #expect(try watching.perform(.start, on: "never").problem == nil)
            let up = try watching.waitFor("never") { $0.activity == .running && $0.mainProcess != nil && !$0.hasJob }
            #expect(up.canReload == false && up.startTimeout == .seconds(90) && up.obstacle == nil)
            #expect(try watching.perform(.signal(SIGTERM), on: "never").problem == nil)
            _ = try watching.waitFor("never") { $0.activity == .stopped && $0.lastExit == .signaled(15) }
            #expect(try watching.perform(.signal(SIGTERM), on: "never").problem?.contains("never.service") == true)
            #expect(try watching.perform(.start, on: "never").problem == nil)
            #expect(try watching.perform(.stop, on: "never").problem == nil)
            _ = try watching.waitFor("never") { $0.activity == .stopped && !$0.hasJob }
        }

        @Test func whatStandsInTheWayOfAStartIsTold() throws {
            let text = "[Unit]\nConditionPathExists=/nowhere\n[Service]\nExecStart=/bin/sleep infinity\n"
            try text.write(toFile: "/run/systemd/system/conditional.service", atomically: true, encoding: .utf8)
            try systemctl("daemon-reload")
            let watching = try Watching(["masked", "conditional", "crash-loop", "reloads"])
            #expect(watching.listener.latest("masked")?.obstacle == .masked)
            #expect(watching.listener.latest("conditional")?.obstacle == nil)
            #expect(watching.listener.latest("reloads")?.canReload == true)
            try systemctl("start", "conditional")
            _ = try watching.waitFor("conditional") { $0.obstacle == .conditionFailed }
            try systemctl("start", "crash-loop")
            _ = try watching.waitFor("crash-loop") { $0.obstacle == .startLimit }
            try systemctl("reset-failed", "crash-loop")
            try FileManager.default.removeItem(atPath: "/run/systemd/system/conditional.service")
            try systemctl("daemon-reload")
        }
    }

    /// What is kept of a unit before it is restarted.
    @Suite(.serialized, .enabled(if: isInsideBed && getuid() == 0, "runs inside a bed, which SystemdBedTests starts"))
    struct EvidenceOfUnits {
        @Test func theLastWordsAndTheBiggestProcessesAreKept() throws {
            let text = "[Service]\nExecStart=/bin/sh -c 'echo first words; echo last words >&2; sleep 1000 & sleep 1000'\n"
            try text.write(toFile: "/run/systemd/system/talkative.service", atomically: true, encoding: .utf8)
            try systemctl("daemon-reload")
            let watching = try Watching(["talkative"])
            try systemctl("start", "talkative")
            let up = try watching.waitFor("talkative") { $0.activity == .running && $0.cgroup != nil && !$0.hasJob }
            try shell("/bin/journalctl", ["--sync"])
            let answer = Box<[String]>()
            let on = watching.on
            let reader = try on.run {
                let reader = LinuxEvidence(loop: on.loop)
                reader.collect(of: up.unit, initSystem: "systemd", cgroup: up.cgroup, mainProcess: up.mainProcess, deadline: .seconds(5)) {
                    answer.value = $0
                }
                return reader
            }
            #expect(eventually { (try? on.run { answer.value != nil }) == true })
            withExtendedLifetime(reader) {}
            let lines = try #require(try on.run { answer.value })
            #expect(lines.first?.hasPrefix("3 processes") == true, "\(lines)")
            #expect(lines.contains { $0.hasPrefix("pid \(up.mainProcess?.pid ?? 0) sh: ") })
            #expect(lines.contains { $0.hasSuffix(" first words") } && lines.contains { $0.hasSuffix(" last words") }, "\(lines)")
            #expect(lines.contains { $0.contains("Started") })
            try systemctl("stop", "talkative")
            try FileManager.default.removeItem(atPath: "/run/systemd/system/talkative.service")
            try systemctl("daemon-reload")
        }
    }

    /// Jobs that nobody had to announce.
    @Suite(.serialized, .enabled(if: isInsideBed && getuid() == 0, "runs inside a bed, which SystemdBedTests starts"))
    struct Timers {
        final class Jobs: JobObserver, Sendable {
            private let told = Mutex<[String: DiscoveredJob]>([:])
            func job(_ job: DiscoveredJob) { told.withLock { $0[job.name] = job } }
            func jobGone(_ name: String) { told.withLock { $0[name] = nil } }
            func latest(_ name: String) -> DiscoveredJob? { told.withLock { $0[name] } }
        }

        @Test func timersTellWhenTheirServicesRanAndHow() throws {
            func write(_ name: String, _ text: String) throws {
                try text.write(toFile: "/run/systemd/system/\(name)", atomically: true, encoding: .utf8)
            }
            try write("tidy.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n")
            try write("tidy.timer", "[Timer]\nOnActiveSec=1s\nAccuracySec=10ms\nOnCalendar=*-*-* 03:00:00\n")
            try write("other.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
            try write("other.timer", "[Timer]\nOnCalendar=*-*-* 04:00:00\n")
            try systemctl("daemon-reload")
            let jobs = Jobs()
            let on = try OnLoop()
            let timers = try on.run {
                let timers = SystemdTimers(loop: on.loop, logger: quiet)
                timers.start(watching: ["ti*"], observer: jobs)
                return timers
            }
            defer { try? on.run { timers.stop() } }
            try systemctl("start", "tidy.timer", "other.timer")
            #expect(eventually { jobs.latest("tidy.timer")?.unit == "tidy.service" })
            #expect(eventually { jobs.latest("tidy.timer")?.lastExit == .exited(status: 3) && jobs.latest("tidy.timer")?.lastStart != nil })
            #expect(jobs.latest("tidy.timer")?.nextDue != nil && jobs.latest("tidy.timer")?.isRunning == false)
            #expect(jobs.latest("other.timer") == nil)
            // Every change is told by a signal: nothing here waits for the next list.
            let first = jobs.latest("tidy.timer")?.lastStart
            try write("tidy.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
            try write("tidy.timer", "[Timer]\nOnCalendar=*-*-* *:*:*\nAccuracySec=10ms\nUnit=other.service\n")
            try systemctl("daemon-reload")
            try systemctl("restart", "tidy.timer")
            #expect(eventually { jobs.latest("tidy.timer")?.unit == "other.service" && jobs.latest("tidy.timer")?.lastExit == .exited(status: 0) })
            let second = jobs.latest("tidy.timer")?.lastStart
            #expect(second != first)
            #expect(eventually { jobs.latest("tidy.timer")?.lastStart != second })
            try on.run { timers.change(watching: ["*"]) }
            #expect(eventually { jobs.latest("other.timer")?.nextDue != nil && jobs.latest("other.timer")?.lastStart == nil })
            try systemctl("stop", "tidy.timer", "other.timer")
            #expect(eventually { jobs.latest("tidy.timer") == nil && jobs.latest("other.timer") == nil })
            try systemctl("reset-failed")
            for name in ["tidy", "other"] {
                for type in ["service", "timer"] { try FileManager.default.removeItem(atPath: "/run/systemd/system/\(name).\(type)") }
            }
            try systemctl("daemon-reload")
        }
    }

    /// The promises of every init system.
    @Suite(.serialized, .enabled(if: isInsideBed && getuid() == 0, "runs inside a bed, which SystemdBedTests starts"))
    struct Promises {
        @Test func systemdKeepsThem() throws { try InitSystemPromises(SystemdFixture()).verify() }
    }
}

/// The bed's systemd, with the services of the promises.
private final class SystemdFixture: InitSystemFixture {
    let abilities = InitSystemAbilities()
    let pattern = "pair@*"
    private static let units = "/run/systemd/system/"

    init() throws {
        let steady = """
            [Unit]
            StartLimitIntervalSec=0
            [Service]
            Type=notify
            NotifyAccess=all
            ExecStart=/bin/sh -c 'trap "echo reload >> /run/reloads" HUP; systemd-notify --ready; while :; do sleep 0.1; done'
            ExecReload=/bin/kill -HUP $MAINPID
            Restart=always
            RestartSec=100ms
            """
        try steady.write(toFile: Self.units + "steady.service", atomically: true, encoding: .utf8)
        try steady.write(toFile: Self.units + "pair@.service", atomically: true, encoding: .utf8)
        let failing = "[Service]\nExecStart=/bin/sh -c 'exit 3'\n"
        try failing.write(toFile: Self.units + "failing.service", atomically: true, encoding: .utf8)
        try systemctl("daemon-reload")
    }

    deinit {
        _ = try? systemctl("stop", "steady", "pair@a", "pair@b", "late")
        _ = try? systemctl("reset-failed")
        for name in ["steady", "pair@", "failing", "late"] { try? FileManager.default.removeItem(atPath: Self.units + name + ".service") }
        _ = try? systemctl("daemon-reload")
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { SystemdInit(loop: loop, logger: quiet) }

    func request(for role: ServiceRole) -> String {
        switch role {
        case .first: "pair@a"
        case .second: "pair@b"
        default: role.rawValue
        }
    }

    func unit(for role: ServiceRole) -> String { request(for: role) + ".service" }
    func start(_ role: ServiceRole) throws { try systemctl("start", request(for: role)) }
    func stop(_ role: ServiceRole) throws { try systemctl("stop", request(for: role)) }

    func add() throws {
        try "[Service]\nExecStart=/bin/sleep 1000\n".write(toFile: Self.units + "late.service", atomically: true, encoding: .utf8)
        try systemctl("daemon-reload")
        try start(.late)
    }

    var reloads: Int { (try? String(contentsOfFile: "/run/reloads", encoding: .utf8))?.split(separator: "\n").count ?? 0 }
}
