// `rollcall-agent --test-alerts`: does anybody hear of it?

import AgentAPI
import AgentCore
import Glibc
import LinuxHost
import Logging
import Platform

/// Sends one message over each of the own routes of a configuration, and says how that went.
func testAlerts(folder: String) -> ExitCode {
    signal(SIGPIPE, SIG_IGN)
    do {
        let configuration = try loadConfiguration(folder: folder)
        Logs.bootstrap(level: .warning)
        let settings = configuration.settings
        return testAlerts(
            configuration.plan.channels, host: settings.hostname, user: settings.runnerUser ?? "nobody", logger: Logger(label: "rollcall-agent"))
    } catch {
        for problem in error.texts { complain(problem) }
        return .configuration
    }
}

/// Sends one message over each of the agent's own routes, and says how that went.
/// - Parameters:
///   - channels: with their secrets.
///   - user: who the runner becomes when this is root.
func testAlerts(_ channels: [AlertChannel], host: String, user: String, logger: Logger) -> ExitCode {
    guard !channels.isEmpty else {
        complain("there is no `send alerts` in rollcall.conf: this host tells nobody anything itself")
        return .configuration
    }
    do {
        let loop = try Loop()
        let runner = RunnerProcess(loop: loop, user: user, logger: logger)
        let test = AlertTest(channels, host: host, loop: loop, runner: runner)
        test.start()
        loop.run()
        return test.isWell ? .done : .configuration
    } catch {
        complain("rollcall-agent: \(error)")
        return .system
    }
}

/// Waits for what the runner says of each message.
private final class AlertTest: RunnerObserver {
    /// Longer than any provider may take.
    private static let patience = Duration.seconds(90)

    private let channels: [AlertChannel]
    private let host: String
    private let loop: Loop
    private let runner: any Runner
    /// By the number of the message.
    private var waiting: [UInt64: AlertChannel] = [:]
    private(set) var isWell = true

    init(_ channels: [AlertChannel], host: String, loop: Loop, runner: any Runner) {
        self.channels = channels
        self.host = host
        self.loop = loop
        self.runner = runner
    }

    func start() {
        runner.start(observer: self)
        runner.change(RunnerWork(interval: .seconds(3600), channels: channels))
        let now = SystemTime().now().wall
        for (index, channel) in channels.enumerated() {
            let id = UInt64(clamping: now.microseconds) &+ UInt64(index)
            waiting[id] = channel
            let sentence = "This is a test: alerts of \(host) \(channel.route.map { "for \($0) " } ?? "")arrive here"
            runner.deliver(
                OutgoingAlert(
                    id: id, route: channel.route, subject: "[test] \(sentence)",
                    body: "\(sentence). Nothing has happened.\n\nSent by rollcall-agent --test-alerts on \(host).\n", events: [], host: host, at: now)
            )
        }
        loop.after(Self.patience) { [weak self] in self?.giveUp() }
    }

    func measured(_ values: [String: Double], by source: String) {}
    func sourceFailed(_ source: String, why: String) {}

    func delivered(_ alert: UInt64) { end(alert, nil) }
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) { end(alert, why) }

    private func end(_ alert: UInt64, _ problem: String?) {
        guard let channel = waiting.removeValue(forKey: alert) else { return }
        say(channel, problem)
        if waiting.isEmpty { finish() }
    }

    private func say(_ channel: AlertChannel, _ problem: String?) {
        let route = channel.route ?? "the default route"
        if let problem {
            isWell = false
            complain("\(route), \(channel.kind): not delivered: \(problem)")
        } else {
            print("\(route), \(channel.kind): delivered")
        }
    }

    private func giveUp() {
        for (_, channel) in waiting.sorted(by: { $0.key < $1.key }) { say(channel, "no answer within \(Int(Self.patience.inSeconds)) s") }
        finish()
    }

    private func finish() {
        runner.stop()
        loop.stop()
    }
}
