// Tells the aggregator what happened and how things are, and keeps trying.

import AgentAPI
import AgentCore
import Logging
import NIOCore
import Platform

/// Sends reports: at once when an event was recorded, else whenever a new snapshot came; one at a time. Events leave the spool when
/// the aggregator has acknowledged them and not before; snapshots are not queued, the newest one goes with whatever is sent next.
/// No report is sent before the first snapshot, because one without units would say that there are none.
///
/// It lives on the event loop.
final class Reporter {
    struct Timing: Sendable {
        /// What comes within this time goes into one report.
        var gathering = Duration.milliseconds(10)
        /// How long an attempt may take.
        var deadline = Duration.seconds(10)
        var firstRetry = Duration.seconds(1)
        var lastRetry = Duration.seconds(60)
        /// How long delivering the rest may take at the end.
        var farewell = Duration.seconds(2)
    }

    /// Events of one report are at most this many bytes, so that there is room for the units.
    private static let eventBytes = 1 << 20

    private enum Activity {
        case idle
        case gathering(Scheduled<Void>)
        case sending
        case resting(Scheduled<Void>)
    }

    /// What was last said about the aggregator in the log.
    private enum Standing: Equatable {
        case unknown, reachable, unreachable
        case unauthorized(status: Int)
        case refusing(words: String)
    }

    private let spool: Spool
    private let time: any TimeSource
    private let timing: Timing
    private let eventLoop: any EventLoop
    private let logger: Logger

    private var configuration: CheckedConfiguration
    private var connection: AggregatorConnection?
    private var activity = Activity.idle
    private var standing = Standing.unknown
    private var backoff: Backoff
    private var snapshot: Snapshot?
    private var isSnapshotNew = false
    /// How many events the next report may carry; less after the aggregator found one too large.
    private var batch = ReportLimits.events
    /// Set when a report without events was still too large.
    private var isWithoutSamples = false
    /// The highest number that any aggregator can have from this agent.
    private var highestSent: UInt64
    private var farewell: (timer: Scheduled<Void>, done: () -> Void)?

    init(
        configuration: CheckedConfiguration, spool: Spool, time: any TimeSource, timing: Timing = Timing(), eventLoop: any EventLoop, logger: Logger
    ) {
        self.configuration = configuration
        self.spool = spool
        self.time = time
        self.timing = timing
        self.eventLoop = eventLoop
        self.logger = logger
        backoff = Backoff(first: timing.firstRetry, last: timing.lastRetry)
        highestSent = spool.last
    }

    func eventRecorded() { gather() }

    func update(_ snapshot: Snapshot) {
        self.snapshot = snapshot
        isSnapshotNew = true
        gather()
    }

    /// Talks to another aggregator, or to the same one with another token. A report under way may arrive at the old one as well.
    func reconfigure(_ configuration: CheckedConfiguration) {
        self.configuration = configuration
        hangUp()
        standing = .unknown
        backoff.reset()
        batch = ReportLimits.events
        isSnapshotNew = snapshot != nil
        gather()
    }

    /// Delivers what is left if that is possible in a short time; then hangs up.
    func finish(_ done: @escaping () -> Void) {
        let timer = eventLoop.assumeIsolated().scheduleTask(in: .init(timing.farewell)) { [weak self] in
            guard let self else { return }
            leave()
        }
        farewell = (timer, done)
        switch activity {
        case .sending: break
        case .gathering(let timer), .resting(let timer):
            timer.cancel()
            send()
        case .idle: send()
        }
    }

    // MARK: Sending

    private func gather() {
        guard case .idle = activity, configuration.aggregator != nil, snapshot != nil, isSnapshotNew || !spool.isEmpty else { return }
        activity = .gathering(after(timing.gathering) { $0.send() })
    }

    private func send() {
        activity = .idle
        let now = time.now().wall
        guard let aggregator = configuration.aggregator, let snapshot else {
            leave()
            return
        }
        let events = spool.pending(count: batch, bytes: Self.eventBytes, at: now)
        guard isSnapshotNew || !events.isEmpty else {
            leave()
            return
        }
        spool.sync()
        let shown = snapshot.bounded(samples: !isWithoutSamples)
        let report = Report(
            agent: spool.agent, host: configuration.host, version: configuration.version, at: shown.at, interval: configuration.interval,
            events: events, units: shown.units, samples: shown.samples)
        let body = report.json.bytes
        isSnapshotNew = false
        activity = .sending
        guard body.count <= ReportLimits.bytes else {
            ended(with: .tooLarge, events: events)
            return
        }
        highestSent = max(highestSent, events.last?.sequence ?? 0)
        let connection = connection ?? makeConnection(to: aggregator)
        connection.post(body, deadline: .init(timing.deadline)) { [weak self] result in
            switch result {
            case .success(let answer): self?.ended(with: ReportOutcome(status: answer.status, body: answer.body), events: events)
            case .failure(let failure): self?.ended(with: .failed(why: failure.why), events: events)
            }
        }
    }

    private func ended(with outcome: ReportOutcome, events: [Event]) {
        let now = time.now().wall
        switch outcome {
        case .acknowledged(let number) where number > highestSent:
            // The state folder is older than the agent (a restored backup): the aggregator would take new events for old ones.
            spool.takeNewIdentity()
            logger.warning(
                "the aggregator has events of this agent that it did not send; was its state folder restored? It takes a new id",
                metadata: ["agent": "\(spool.agent)", "acknowledged": "\(number)", "sent": "\(highestSent)"])
            rest()
        case .acknowledged(let number):
            if let first = events.first, number < first.sequence {
                stand(.unreachable, because: "it stores no events")
                rest()
                return
            }
            spool.acknowledge(number, at: now)
            stand(.reachable)
            backoff.reset()
            batch = min(ReportLimits.events, batch * 2)
            isWithoutSamples = false
            activity = .idle
            if farewell == nil { gather() } else { send() }
        case .tooLarge where events.count > 1:
            batch = events.count / 2
            again()
        case .tooLarge where !isWithoutSamples:
            isWithoutSamples = true
            again()
        case .tooLarge:
            stand(.refusing(words: "a report with one event and no samples is too large"))
            restLong()
        case .unauthorized(let status):
            stand(.unauthorized(status: status))
            restLong()
        case .refused(let words):
            stand(.refusing(words: words))
            restLong()
        case .failed(let why):
            stand(.unreachable, because: why)
            rest()
        }
    }

    /// Sends the same in smaller pieces.
    private func again() {
        isSnapshotNew = true
        activity = .gathering(after(timing.gathering) { $0.send() })
    }

    private func rest() {
        isSnapshotNew = true
        guard farewell == nil else {
            leave()
            return
        }
        activity = .resting(after(backoff.next(chance: .random(in: 0..<1))) { $0.send() })
    }

    /// What a person has to mend takes a while.
    private func restLong() {
        backoff.skipToLast()
        rest()
    }

    /// At the end: there is nothing left that could be sent, or no time.
    private func leave() {
        guard let farewell else { return }
        self.farewell = nil
        farewell.timer.cancel()
        hangUp()
        configuration.aggregator = nil
        farewell.done()
    }

    private func hangUp() {
        connection?.close()
        connection = nil
        if case .gathering(let timer) = activity { timer.cancel() }
        if case .resting(let timer) = activity { timer.cancel() }
        activity = .idle
    }

    private func makeConnection(to aggregator: CheckedConfiguration.Aggregator) -> AggregatorConnection {
        let made = AggregatorConnection(to: aggregator, userAgent: "rollcall-agent/\(configuration.version)", eventLoop: eventLoop)
        connection = made
        return made
    }

    private func after(_ wait: Duration, _ work: @escaping (Reporter) -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(in: .init(wait)) { [weak self] in
            guard let self else { return }
            work(self)
        }
    }

    // MARK: Telling

    /// Says once how things stand with the aggregator, whenever that changes.
    private func stand(_ new: Standing, because why: String = "") {
        let address: Logger.Metadata = ["aggregator": "\(configuration.aggregator?.url.description ?? "")"]
        if new == .unreachable { logger.debug("a report was not delivered", metadata: ["why": "\(why)"]) }
        guard new != standing else { return }
        standing = new
        switch new {
        case .unknown: break
        case .reachable: logger.notice("aggregator reachable", metadata: address)
        case .unreachable: logger.notice("aggregator unreachable; events are kept", metadata: address.merging(["why": "\(why)"]) { $1 })
        case .unauthorized(let status):
            logger.warning(
                "the aggregator does not accept this agent's token; events are kept", metadata: address.merging(["status": "\(status)"]) { $1 })
        case .refusing(let words):
            logger.warning("the aggregator refuses this agent's report; events are kept", metadata: address.merging(["why": "\(words)"]) { $1 })
        }
    }
}

extension TimeAmount {
    init(_ duration: Duration) { self = .microseconds(duration.microseconds) }
}
