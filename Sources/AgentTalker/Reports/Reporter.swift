// Tells the aggregator what happened and how things are, and keeps trying.

import AgentAPI
import AgentCore
import Compression
import Logging
import NIOCore
import Platform

/// Sends reports: at once when an event was recorded or a unit is not as it was, else a new snapshot once per report interval; one at
/// a time. Events leave the spool when the aggregator has acknowledged them and not before; snapshots are not queued, the newest one
/// goes with whatever is sent next. No report is sent before the first snapshot, because one without units would say that there are none.
///
/// Once the aggregator has a snapshot, later reports say only what differs from it. Now and then one is whole all the same, so that
/// nothing depends for long on both sides having counted right.
///
/// It lives on the event loop.
final class Reporter {
    struct Timing: Sendable {
        /// What comes within this time goes into one report.
        var gathering = Duration.milliseconds(10)
        /// The same for what is no event, such as a unit that changes its phase, while the agent has just started: much settles then.
        var settling = Duration.milliseconds(500)
        /// How long that is.
        var start = Duration.seconds(10)
        /// How often a report is whole.
        var whole = Duration.seconds(300)
        /// How long an attempt may take.
        var deadline = Duration.seconds(10)
        var firstRetry = Duration.seconds(1)
        var lastRetry = Duration.seconds(60)
        /// How long delivering the rest may take at the end.
        var farewell = Duration.seconds(2)
    }

    /// Events of one report are at most this many bytes, so that there is room for the units.
    private static let eventBytes = 1 << 20
    /// What is smaller gains nothing by being packed.
    private static let packedFrom = 1 << 10

    private enum Activity {
        case idle
        /// `isPatient`: it waits for other agents' sake, and what is urgent does not wait with it.
        case gathering(Scheduled<Void>, isPatient: Bool)
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
    private let demand: NumberDemand
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let onStanding: @Sendable (_ isReachable: Bool) -> Void
    /// What the aggregator orders goes here, and results come from here.
    var orders: OrderBook?

    private var configuration: CheckedConfiguration
    private var connection: AggregatorConnection?
    private var activity = Activity.idle
    private var standing = Standing.unknown
    private var backoff: Backoff
    private var snapshot: Snapshot?
    private let began: Duration
    private var isSnapshotNew = false
    /// Something in the new snapshot should not wait for the report interval.
    private var isUrgent = false
    /// Something that is in no snapshot should not wait at all.
    private var isHurried = false
    /// The snapshot that was sent last, and when.
    private var sent: (snapshot: Snapshot, at: Duration)?
    /// The number of the next snapshot. It begins with the time, so that a later life of the agent does not use one again.
    private var number: UInt64
    /// What the aggregator is known to have.
    private var base: ReportedState?
    private var lastWhole: Duration?
    /// The aggregator unpacks reports, as far as is known.
    private var isPacking = true
    private var toldReachable: Bool?
    /// How many events the next report may carry; less after the aggregator found one too large.
    private var batch = ReportLimits.events
    /// Set when a report without events was still too large.
    private var isWithoutSamples = false
    /// The highest number that any aggregator can have from this agent.
    private var highestSent: UInt64
    private var farewell: (timer: Scheduled<Void>, done: () -> Void)?

    init(
        configuration: CheckedConfiguration, spool: Spool, time: any TimeSource, timing: Timing = Timing(), demand: NumberDemand = NumberDemand(),
        eventLoop: any EventLoop, logger: Logger,
        onStanding: @escaping @Sendable (_ isReachable: Bool) -> Void = { _ in }
    ) {
        self.onStanding = onStanding
        let now = time.now()
        number = UInt64(max(1, now.wall.microseconds))
        began = now.uptime
        self.configuration = configuration
        self.spool = spool
        self.time = time
        self.timing = timing
        self.demand = demand
        self.eventLoop = eventLoop
        self.logger = logger
        backoff = Backoff(first: timing.firstRetry, last: timing.lastRetry)
        highestSent = spool.last
        demand.change(to: configuration)
        noteDemand()
    }

    func eventRecorded() { gather() }

    func update(_ snapshot: Snapshot) {
        self.snapshot = snapshot
        isSnapshotNew = true
        if let sent, !snapshot.isInTheStateOf(sent.snapshot) { isUrgent = true }
        gather()
    }

    /// There is something to say that is no event and no snapshot.
    func hurry() {
        isSnapshotNew = snapshot != nil
        isHurried = true
        gather()
    }

    /// How many events wait for the aggregator.
    var waiting: UInt64 { spool.last - spool.acknowledged }
    /// `nil` before the first attempt, and without an aggregator.
    var isReachable: Bool? { toldReachable }

    /// Talks to another aggregator, or to the same one with another token. A report under way may arrive at the old one as well.
    func reconfigure(_ configuration: CheckedConfiguration) {
        self.configuration = configuration
        demand.change(to: configuration)
        noteDemand()
        hangUp()
        standing = .unknown
        toldReachable = nil
        base = nil
        isPacking = true
        backoff.reset()
        batch = ReportLimits.events
        isUrgent = true
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
        case .gathering(let timer, _), .resting(let timer):
            timer.cancel()
            send()
        case .idle: send()
        }
    }

    // MARK: Sending

    private func gather() {
        guard configuration.aggregator != nil, snapshot != nil, isSnapshotNew || !spool.isEmpty else { return }
        let now = time.now().uptime
        let hurries = sent == nil || !spool.isEmpty || isHurried || isUrgent && now - began >= timing.start
        switch activity {
        case .idle: break
        case .gathering(let timer, isPatient: true) where hurries: timer.cancel()
        case .gathering, .sending, .resting: return
        }
        if hurries {
            activity = .gathering(after(timing.gathering) { $0.send() }, isPatient: false)
        } else if isUrgent {
            activity = .gathering(after(timing.settling) { $0.send() }, isPatient: true)
        } else if isDue(at: now) {
            // At a time of its own, so that agents that were started together do not stay together.
            let chance = min(configuration.reportInterval / 10, .seconds(5)) * Double.random(in: 0..<1)
            activity = .gathering(after(timing.gathering + chance) { $0.send() }, isPatient: true)
        }
    }

    /// Snapshots come once a cycle: the one nearest to the end of the interval is taken.
    private func isDue(at uptime: Duration) -> Bool {
        guard let sent else { return true }
        return uptime >= nextDue(after: sent.at)
    }

    private func nextDue(after sent: Duration) -> Duration { sent + configuration.reportInterval - configuration.interval / 2 }

    private func noteDemand() {
        demand.begins(at: configuration.aggregator == nil ? nil : sent.map { nextDue(after: $0.at) } ?? .zero)
    }

    private func send() {
        activity = .idle
        let now = time.now()
        guard let aggregator = configuration.aggregator, let snapshot else {
            leave()
            return
        }
        let events = spool.pending(count: batch, bytes: Self.eventBytes, at: now.wall)
        guard isSnapshotNew || !events.isEmpty else {
            leave()
            return
        }
        spool.sync()
        let shown = snapshot.bounded(samples: !isWithoutSamples)
        let state = ReportedState(snapshot: number, units: shown.units, samples: shown.samples, silences: shown.silences, jobs: shown.jobs)
        number += 1
        var report = Report(
            agent: spool.agent, host: configuration.host, version: configuration.version, at: shown.at, interval: configuration.reportInterval,
            events: events, units: shown.units, samples: shown.samples, snapshot: state.snapshot, silences: shown.silences, jobs: shown.jobs,
            results: orders?.results ?? [])
        if let base, let lastWhole, now.uptime - lastWhole < timing.whole, !isWithoutSamples { report = report.since(base) }
        let body = report.json.bytes
        isSnapshotNew = false
        (isUrgent, isHurried) = (false, false)
        sent = (snapshot, now.uptime)
        noteDemand()
        activity = .sending
        guard body.count <= ReportLimits.bytes else {
            ended(with: .tooLarge, report, state)
            return
        }
        highestSent = max(highestSent, events.last?.sequence ?? 0)
        let connection = connection ?? makeConnection(to: aggregator)
        let packed = isPacking && body.count > Self.packedFrom ? gzip(body) : nil
        connection.post(packed ?? body, isPacked: packed != nil, deadline: .init(timing.deadline)) { [weak self] result in
            switch result {
            case .success(let answer): self?.ended(with: ReportOutcome(status: answer.status, body: answer.body), report, state)
            case .failure(let failure): self?.ended(with: .failed(why: failure.why), report, state)
            }
        }
    }

    private func ended(with outcome: ReportOutcome, _ report: Report, _ state: ReportedState) {
        let (now, events) = (time.now(), report.events)
        switch outcome {
        case .acknowledged(let answer) where answer.sequence > highestSent:
            // The state folder is older than the agent (a restored backup): the aggregator would take new events for old ones.
            spool.takeNewIdentity()
            base = nil
            logger.warning(
                "the aggregator has events of this agent that it did not send; was its state folder restored? It takes a new id",
                metadata: ["agent": "\(spool.agent)", "acknowledged": "\(answer.sequence)", "sent": "\(highestSent)"])
            rest()
        case .acknowledged(let answer):
            if let first = events.first, answer.sequence < first.sequence {
                stand(.unreachable, because: "it stores no events")
                rest()
                return
            }
            spool.acknowledge(answer.sequence, at: now.wall)
            orders?.delivered(report.results)
            rebase(on: answer, report, state, at: now.uptime)
            stand(.reachable)
            backoff.reset()
            batch = min(ReportLimits.events, batch * 2)
            isWithoutSamples = false
            activity = .idle
            if farewell == nil {
                orders?.take(answer.orders, allowed: configuration.allowedOrders)
                gather()
            } else {
                send()
            }
        case .tooLarge where events.count > 1:
            batch = events.count / 2
            again()
        case .tooLarge where !isWithoutSamples:
            isWithoutSamples = true
            again()
        case .tooLarge:
            stand(.refusing(words: "a report with one event and no samples is too large"))
            restLong()
        case .packingUnknown where isPacking:
            isPacking = false
            again()
        case .packingUnknown:
            stand(.unreachable, because: "it understands no report: is it an aggregator?")
            restLong()
        case .unauthorized(let status, let words):
            stand(.unauthorized(status: status), because: words ?? "")
            restLong()
        case .refused(let words):
            stand(.refusing(words: words))
            restLong()
        case .failed(let why):
            stand(.unreachable, because: why)
            rest()
        }
    }

    /// What later reports are relative to.
    private func rebase(on answer: Acknowledgement, _ report: Report, _ state: ReportedState, at uptime: Duration) {
        guard answer.snapshot == state.snapshot else {
            base = nil
            // A whole report does not have to be asked for twice.
            if answer.resync, report.base != nil {
                isSnapshotNew = true
                isUrgent = true
            }
            return
        }
        base = state
        if report.base == nil { lastWhole = uptime }
    }

    /// Sends the same in another way.
    private func again() {
        isSnapshotNew = true
        activity = .gathering(after(timing.gathering) { $0.send() }, isPatient: false)
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
        if case .gathering(let timer, _) = activity { timer.cancel() }
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
        let address: Logger.Metadata = ["aggregator": "\(configuration.aggregator?.address.description ?? "")"]
        if new != .unknown, toldReachable != (new == .reachable) {
            toldReachable = new == .reachable
            onStanding(new == .reachable)
        }
        if new == .unreachable { logger.debug("a report was not delivered", metadata: ["why": "\(why)"]) }
        guard new != standing else { return }
        standing = new
        switch new {
        case .unknown: break
        case .reachable: logger.notice("aggregator reachable", metadata: address)
        case .unreachable: logger.notice("aggregator unreachable; events are kept", metadata: address.merging(["why": "\(why)"]) { $1 })
        case .unauthorized(let status):
            logger.warning(
                "the aggregator does not accept this agent's token; events are kept",
                metadata: address.merging(["status": "\(status)", "why": "\(why)"]) { $1 })
        case .refusing(let words):
            logger.warning("the aggregator refuses this agent's report; events are kept", metadata: address.merging(["why": "\(words)"]) { $1 })
        }
    }
}

extension Snapshot {
    /// Whether nothing has happened between the two but time: the same units in the same phases, with the same main processes and the
    /// same rules in breach.
    fileprivate func isInTheStateOf(_ other: Snapshot) -> Bool {
        units.count == other.units.count
            && zip(units, other.units).allSatisfy {
                $0.name == $1.name && $0.phase == $1.phase && $0.mainPID == $1.mainPID && $0.failingRules == $1.failingRules
            }
    }
}

extension TimeAmount {
    init(_ duration: Duration) { self = .microseconds(duration.microseconds) }
}
