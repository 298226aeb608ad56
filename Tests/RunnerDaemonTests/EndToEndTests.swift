import AgentAPI
import AgentCore
import Foundation
import LinuxHost
import Logging
import Platform
import TestKit
import Testing

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// The agent's side of it all, over the real rollcall-runner: what happens goes in, and providers on loopback get it.
private final class AgentSide: Sendable {
    let on: OnLoop
    let hearer = Hearer()
    let folder: TemporaryFolder
    private nonisolated(unsafe) let runner: RunnerProcess
    private nonisolated(unsafe) let alerts: OwnAlerts
    private nonisolated(unsafe) let forwarder: Forwarder

    /// As the agent's loop does it: what the runner says of alerts is for them.
    final class Forwarder: RunnerObserver {
        let hearer: Hearer
        weak var alerts: OwnAlerts?
        init(_ hearer: Hearer) { self.hearer = hearer }
        func measured(_ values: [String: Double], by source: String) { hearer.measured(values, by: source) }
        func sourceFailed(_ source: String, why: String) { hearer.sourceFailed(source, why: why) }
        func delivered(_ alert: UInt64) {
            hearer.delivered(alert)
            alerts?.delivered(alert)
        }
        func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) {
            hearer.undelivered(alert, why: why, mayRetry: mayRetry)
            alerts?.undelivered(alert, why: why, mayRetry: mayRetry)
        }
    }

    init(_ channels: [AlertChannel], sources: [DaemonSource] = [], folder: TemporaryFolder? = nil) async throws {
        let on = try OnLoop()
        let folder = try folder ?? TemporaryFolder()
        (self.on, self.folder) = (on, folder)
        let forwarder = Forwarder(hearer)
        self.forwarder = forwarder
        nonisolated(unsafe) let made = try await on.run {
            let runner = RunnerProcess(loop: on.loop, program: built("rollcall-runner"), logger: quiet)
            runner.start(observer: forwarder)
            let alerts = OwnAlerts(
                loop: on.loop, time: SystemTime(), runner: runner, file: folder.path + "/alerts.json", host: "web1", channels: channels,
                aggregatorPatience: nil, gathering: .milliseconds(100), logger: quiet)
            forwarder.alerts = alerts
            runner.change(RunnerWork(interval: .seconds(1), sources: sources, channels: channels))
            return (runner, alerts)
        }
        (runner, alerts) = made
    }

    func happens(_ kind: Event.Kind, _ unit: String, routes: [String?] = [nil]) async throws {
        try await on.run { [alerts] in
            let now = SystemTime().now()
            alerts.take(
                Event(kind: kind, at: now.wall, unit: unit, importance: .error, cause: .failure, detail: "killed by SIGKILL", routes: routes), at: now
            )
        }
    }

    /// The process of the runner: the child of this process that is called so.
    func runnerPID() async throws -> Int32 {
        try await on.run { [runner] in runner.pid ?? 0 }
    }

    func stop() async throws {
        let pid = try await runnerPID()
        try await on.run { [alerts, runner] in
            alerts.stop()
            runner.stop()
        }
        try await eventually("the runner's end") { pid == 0 || kill(pid, 0) != 0 }
    }
}

private func email(_ bed: MailBed, to: String) -> AlertChannel {
    AlertChannel(
        route: nil, kind: "email",
        parameters: [
            "smtp_server": String(bed.server.dropFirst("smtp://".count)), "from_email": "rollcall@example.com", "to_email": to,
            "username": bed.user, "password": bed.password, "ca_file": bed.authority,
        ])
}

@Suite struct EndToEndTests {
    @Test func whatHappensReachesPeopleOverEveryRoute() async throws {
        let mail = try await MailBed()
        let hooks = try await HookBed()
        let agent = try await AgentSide([
            email(mail, to: "ops@example.com, boss@example.com"),
            AlertChannel(route: "chat", kind: "slack", parameters: ["url": hooks.url("/take/200/slack")]),
            AlertChannel(route: "hook", kind: "webhook", parameters: ["url": hooks.url("/take/200/hook"), "secret": "s"]),
            AlertChannel(route: "duty", kind: "pagerduty", parameters: ["url": hooks.url("/take/202/duty"), "routing_key": "k"]),
        ])
        try await agent.happens(.unitDown, "puma.service", routes: [nil, "chat", "hook", "duty"])
        try await eventually("all messages") { try mail.mails().count == 2 && hooks.taken().count == 3 && agent.hearer.lines.count == 4 }
        #expect(agent.hearer.lines.allSatisfy { $0.hasPrefix("delivered ") })
        #expect(try mail.mails().map(\.to).sorted { $0[0] < $1[0] } == [["boss@example.com"], ["ops@example.com"]])
        let read = try await mail.read(try #require(try mail.mails().first))
        #expect(read.subject == "[error] puma.service on web1 is down: killed by SIGKILL")
        #expect(read.body.hasPrefix("puma.service on web1 is down: killed by SIGKILL\n\nUnit:     puma.service\nHost:     web1\n"))
        let taken = Dictionary(uniqueKeysWithValues: try hooks.taken().map { ($0.path.split(separator: "/").last.map(String.init) ?? "", $0) })
        #expect(taken["slack"]?.json["text"]?.string?.hasPrefix("*[error] puma.service on web1 is down") == true)
        #expect(taken["hook"]?.json["events"]?.array?.first?["problem"] == "down puma.service")
        #expect(taken["hook"]?.headers["x-rollcall-signature"]?.hasPrefix("sha256=") == true)
        #expect(taken["duty"]?.json["dedup_key"] == "web1/down puma.service")
        try await agent.stop()
    }

    @Test func aRunnerThatIsKilledMidwayLosesNothing() async throws {
        let mail = try await MailBed()
        // The server takes a second for this one: time enough.
        let agent = try await AgentSide([email(mail, to: "wait@example.com")])
        try await agent.happens(.unitDown, "puma.service")
        try await eventually("the message under way") {
            (try? String(contentsOfFile: agent.folder.path + "/alerts.json", encoding: .utf8))?.contains("\"attempts\":1") == true
        }
        let first = try await agent.runnerPID()
        kill(first, SIGKILL)
        try await eventually("the failure") { agent.hearer.lines.count == 1 }
        #expect(agent.hearer.lines[0].contains("for now: rollcall-runner failed: it was killed by signal 9"))
        try await eventually("the message", within: .seconds(30)) { agent.hearer.lines.count == 2 }
        #expect(agent.hearer.lines[1].hasPrefix("delivered "))
        let mails = try mail.mails()
        #expect(Set(mails.map(\.to)) == [["wait@example.com"]])
        #expect(try await agent.runnerPID() != first)
        try await agent.stop()
    }

    @Test func whatWasNotDeliveredOutlivesTheAgent() async throws {
        let mail = try await MailBed()
        let folder = try TemporaryFolder()
        let gone = AlertChannel(route: nil, kind: "email", parameters: ["smtp_server": "127.0.0.1:1", "to_email": "ops@example.com"])
        let agent = try await AgentSide([gone], folder: folder)
        try await agent.happens(.unitDown, "puma.service")
        try await eventually("the failure") { agent.hearer.lines.count == 1 }
        let id = try #require(agent.hearer.lines.first?.split(separator: " ").dropFirst().first)
        #expect(agent.hearer.lines == ["undelivered \(id) for now: email: connection refused"])
        try await agent.stop()
        let next = try await AgentSide([email(mail, to: "ops@example.com")], folder: folder)
        try await eventually("the message") { next.hearer.lines == ["delivered \(id)"] }
        #expect(try mail.mails().count == 1)
        try await next.stop()
    }

    @Test func wrongSettingsAreSaidAndNotTriedAgain() async throws {
        let agent = try await AgentSide([AlertChannel(route: nil, kind: "slack", parameters: ["url": "http://example.com", "rom": "x"])])
        try await agent.happens(.unitDown, "puma.service")
        try await eventually("the refusal") { agent.hearer.lines.count == 1 }
        #expect(
            agent.hearer.lines[0].hasSuffix(
                " for good: slack: url must begin with https://: what is told there is nobody else's business, rom is not a setting here"))
        try await agent.stop()
    }

    /// No capability, no way to one, another user when root has started it, no dumps, and no secret where others can look.
    @Test func theRunnerIsHarmless() async throws {
        let hooks = try await HookBed()
        let agent = try await AgentSide(
            [AlertChannel(route: nil, kind: "slack", parameters: ["url": hooks.url("/take/200/SECRET")])],
            sources: [DaemonSource(id: "s", family: "no such family", parameters: [:], metrics: [])])
        try await eventually("a sign of life") { agent.hearer.lines.contains("s failed: nobody knows how to ask no such family") }
        let pid = try await agent.runnerPID()
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        func field(_ name: String) -> [Substring] {
            status.split(separator: "\n").first { $0.hasPrefix("\(name):") }?.split(separator: "\t").dropFirst().map { $0 } ?? []
        }
        for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(field(name) == ["0000000000000000"], "\(name)") }
        #expect(field("NoNewPrivs") == ["1"])
        if getuid() == 0 {
            #expect(field("Uid").allSatisfy { $0 != "0" } && field("Gid").allSatisfy { $0 != "0" })
            #expect(field("Groups").joined().filter { $0 != " " }.isEmpty)
        }
        let limits = try String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8)
        #expect(limits.contains("Max core file size        0 "))
        for file in ["cmdline", "environ"] {
            let text = (try? String(contentsOfFile: "/proc/\(pid)/\(file)", encoding: .utf8)) ?? ""
            #expect(!text.contains("SECRET"))
        }
        try await agent.stop()
    }

    @Test func theRunnerEndsWithItsInputAndItsParent() async throws {
        let child = try ChildProcess(built("rollcall-runner"), ["--parent", "\(getpid())"])
        try await Task.sleep(for: .milliseconds(100))
        child.endInput()
        #expect(try await child.end(within: .seconds(10)).status == 0)
        // Its parent had gone before it could notice.
        let orphan = try await ChildProcess.run(built("rollcall-runner"), ["--parent", "1"])
        #expect(orphan.status == 71 && orphan.errors.contains("process 1, which started this one, has gone"))
        let wrong = try await ChildProcess.run(built("rollcall-runner"), [])
        #expect(wrong.status == 64 && wrong.errors.contains("rollcall-agent starts this program"))
    }
}
