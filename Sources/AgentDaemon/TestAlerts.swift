// `rollcall-agent --test-alerts`: does anybody hear of it?

import AgentAPI
import AgentCore
import Glibc
import LinuxHost
import Logging
import Platform

/// Sends one message over each of the own routes of a configuration, and says how that went.
///
/// The messages take the way that alerts take: the running agent is asked to send them, and has its own process do it, in its own sandbox.
/// Where no agent runs, this process sends them, and says so.
func testAlerts(folder: String) -> ExitCode {
    signal(SIGPIPE, SIG_IGN)
    // The agent reads its own secrets: the person who asks it need not be able to.
    let settings: AgentSettings
    do {
        settings = try WrittenConfiguration(folder: folder).configuration.get().settings
    } catch {
        for problem in error.texts { complain(problem) }
        return .configuration
    }
    guard !settings.channels.isEmpty else { return complainOfNoChannels() }
    do throws(LineExchangeError) {
        let line = try exchangeLine(
            AgentRequest.testAlerts.json.bytes + [10], with: settings.socket, limit: 1 << 20, patience: AlertTest.patience + .seconds(40))
        return report(line, folder: folder)
    } catch {
        switch error {
        case .connecting(ENOENT), .connecting(ECONNREFUSED), .path:
            complain("no agent answers at \(settings.socket): the messages are sent from here, outside the agent's sandbox")
        case .connecting(EACCES), .connecting(EPERM):
            complain("you may not ask the agent that runs here: use sudo")
            return .system
        default:
            complain("the agent at \(settings.socket) does not answer; what does `systemctl status rollcall-agent` say?")
            return .system
        }
    }
    let channels: [AlertChannel]
    do {
        channels = try loadConfiguration(folder: folder).plan.channels
    } catch {
        for problem in error.texts { complain(problem) }
        return .configuration
    }
    Logs.bootstrap(level: .warning)
    return testAlerts(channels, host: settings.hostname, user: settings.runnerUser ?? "nobody", logger: Logger(label: "rollcall-agent"))
}

/// Sends one message over each of these routes from this process, and says how that went.
/// - Parameters:
///   - channels: with their secrets.
///   - user: who the runner becomes when this is root.
func testAlerts(_ channels: [AlertChannel], host: String, user: String, logger: Logger) -> ExitCode {
    guard !channels.isEmpty else { return complainOfNoChannels() }
    do {
        let loop = try Loop()
        let runner = RunnerProcess(loop: loop, user: user, logger: logger)
        var outcomes: [AlertTest.Outcome] = []
        let observer = TestObserver()
        runner.start(observer: observer)
        runner.change(RunnerWork(interval: .seconds(3600), channels: channels))
        observer.test = AlertTest(channels, host: host, at: SystemTime().now().wall, loop: loop, runner: runner) {
            outcomes = $0
            runner.stop()
            loop.stop()
        }
        loop.run()
        return say(outcomes) ? .done : .configuration
    } catch {
        complain("rollcall-agent: \(error)")
        return .system
    }
}

/// One message over each channel, and what became of them. It lives on the loop.
final class AlertTest {
    /// Longer than any provider may take.
    static let patience = Duration.seconds(90)

    struct Outcome: Equatable {
        /// `nil`: the default route.
        var route: String?
        var kind: String
        /// `nil`: it was delivered.
        var problem: String?
    }

    private let channels: [AlertChannel]
    /// By the number of the message: the place of its channel in the list.
    private var waiting: [UInt64: Int] = [:]
    private var problems: [Int: String] = [:]
    private var timer: Loop.Timer?
    private let loop: Loop
    private let done: ([Outcome]) -> Void

    /// Sends the messages.
    /// - Parameters:
    ///   - runner: has been told of the channels, and whoever observes it tells this what it says of deliveries.
    ///   - done: called once, and not before this returns.
    init(_ channels: [AlertChannel], host: String, at now: Timestamp, loop: Loop, runner: any Runner, done: @escaping ([Outcome]) -> Void) {
        self.channels = channels
        self.loop = loop
        self.done = done
        let first = UInt64(clamping: now.microseconds)
        for index in channels.indices { waiting[first &+ UInt64(index)] = index }
        for (index, channel) in channels.enumerated() {
            let sentence = "This is a test: alerts of \(host) \(channel.route.map { "for \($0) " } ?? "")arrive here"
            runner.deliver(
                OutgoingAlert(
                    id: first &+ UInt64(index), route: channel.route, subject: "[test] \(sentence)",
                    body: "\(sentence). Nothing has happened.\n\nSent by rollcall-agent --test-alerts on \(host).\n", events: [], host: host, at: now)
            )
        }
        timer = loop.after(Self.patience) { [weak self] in self?.giveUp() }
    }

    /// - Parameter problem: `nil`: it was delivered.
    /// - Returns: whether the message was one of this test.
    func ended(_ alert: UInt64, _ problem: String?) -> Bool {
        guard let index = waiting.removeValue(forKey: alert) else { return false }
        problems[index] = problem
        if waiting.isEmpty { finish() }
        return true
    }

    private func giveUp() {
        for index in waiting.values { problems[index] = "no answer within \(Int(Self.patience.inSeconds)) s" }
        waiting = [:]
        finish()
    }

    private func finish() {
        if let timer { loop.cancel(timer) }
        done(channels.enumerated().map { Outcome(route: $1.route, kind: $1.kind, problem: problems[$0]) })
    }
}

extension AlertTest.Outcome {
    var isGood: Bool { problem == nil }
    var text: String { "\(route ?? "the default route"), \(kind): " + (problem.map { "not delivered: \($0)" } ?? "delivered") }
    fileprivate var json: JSON { ["route": JSON(route), "kind": .string(kind), "problem": JSON(problem)] }
}

/// Tests the alerts of the running agent, one test at a time, between it and its runner.
final class RunningAlertTests: DeliveryObserver {
    private let loop: Loop
    private let runner: any Runner
    private let others: any DeliveryObserver
    private var test: AlertTest?

    /// - Parameter others: hears how all other alerts fared.
    init(loop: Loop, runner: any Runner, others: any DeliveryObserver) {
        self.loop = loop
        self.runner = runner
        self.others = others
    }

    /// - Parameters:
    ///   - configuration: what the agent has read: which folder, and when.
    ///   - answer: called when it is known what became of every message.
    func test(
        _ channels: [AlertChannel], host: String, configuration: (folder: String, readAt: Timestamp), at now: Timestamp,
        _ answer: @escaping (AgentAnswer) -> Void
    ) {
        guard test == nil else { return answer(.refused("the alerts are being tested already; wait for that")) }
        guard !channels.isEmpty else { return answer(.refused("the running agent has read no `send alerts`: reload it, then test again")) }
        test = AlertTest(channels, host: host, at: now, loop: loop, runner: runner) { [weak self] outcomes in
            self?.test = nil
            answer(
                AgentAnswer(
                    isGood: outcomes.allSatisfy(\.isGood), text: outcomes.map { $0.text + "\n" }.joined(),
                    json: [
                        "channels": .array(outcomes.map(\.json)), "configuration": .string(configuration.folder),
                        "read_at": .string(configuration.readAt.text()),
                    ]))
        }
    }

    func delivered(_ alert: UInt64) {
        if test?.ended(alert, nil) != true { others.delivered(alert) }
    }

    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) {
        if test?.ended(alert, why) != true { others.undelivered(alert, why: why, mayRetry: mayRetry) }
    }
}

/// Where this process has a runner of its own.
private final class TestObserver: RunnerObserver {
    var test: AlertTest?

    func measured(_ values: [String: Double], by source: String) {}
    func sourceFailed(_ source: String, why: String) {}
    func delivered(_ alert: UInt64) { _ = test?.ended(alert, nil) }
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) { _ = test?.ended(alert, why) }
}

private func complainOfNoChannels() -> ExitCode {
    complain("there is no `send alerts` in rollcall.conf: this host sends no alerts itself")
    return .configuration
}

/// - Returns: whether all were delivered.
private func say(_ outcomes: [AlertTest.Outcome]) -> Bool {
    for outcome in outcomes {
        if outcome.isGood { print(outcome.text) } else { complain(outcome.text) }
    }
    return outcomes.allSatisfy(\.isGood)
}

/// Says what the running agent has answered.
private func report(_ line: ArraySlice<UInt8>, folder: String) -> ExitCode {
    guard let json = try? JSON(parsing: line), let answer = try? AgentAnswer(message: json) else {
        complain("what came from the socket is not the answer of an agent")
        return .system
    }
    guard let channels = answer.json["channels"]?.array else {
        complain(answer.text)
        return .system
    }
    let isGood = say(
        channels.map { AlertTest.Outcome(route: $0["route"]?.string, kind: $0["kind"]?.string ?? "", problem: $0["problem"]?.string) })
    let read = answer.json["configuration"]?.string ?? folder
    guard read == folder else {
        complain("the running agent has read \(read), and not \(folder): it has sent what stands there")
        return .configuration
    }
    if let at = answer.json["read_at"]?.string.flatMap({ Timestamp($0) }), let changed = changeTime(of: folder + "/rollcall.conf"), changed > at {
        complain("rollcall.conf was changed after the running agent had read it: `systemctl reload rollcall-agent`, then test again")
        return .configuration
    }
    return isGood ? .done : .configuration
}

private func changeTime(of file: String) -> Timestamp? {
    var status = stat()
    guard stat(file, &status) == 0 else { return nil }
    return Timestamp(microseconds: Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1000)
}
