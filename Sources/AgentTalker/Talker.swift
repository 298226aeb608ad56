// The talker: all that the agent says to others, on a thread of its own.

public import AgentAPI
public import AgentCore
public import Logging
import NIOCore
import NIOPosix
public import Platform
import Synchronization

/// Keeps events until the aggregator has them, reports how things are, and answers for deploys. It has one thread; calls from the
/// watcher's thread only hand over and never wait, whatever the network and the disk do.
///
/// Signals should be blocked in the thread that makes it: its own thread inherits that. Whoever makes one calls `stop()`.
public final class Talker: Sendable {
    private let stateFolder: String
    private let group: MultiThreadedEventLoopGroup
    private let eventLoop: any EventLoop
    private let duties: NIOLoopBoundBox<Duties>
    private let isStopped = Mutex(false)
    private let demand = NumberDemand()

    /// Opens the spool and tries every part of the configuration that can be tried without a network.
    /// - Parameters:
    ///   - deploys: answers what is asked about deploys; without it nobody can ask.
    ///   - answering: answers requests that come over the agent's socket or from the aggregator; called on the talker's thread, and must
    ///     not wait there. Without it nobody can ask the agent anything.
    ///   - onStanding: hears whether the aggregator takes reports, whenever that changes; called on the talker's thread.
    public convenience init(
        configuration: TalkerConfiguration, logger: Logger, time: any TimeSource = SystemTime(), deploys: DeployThread? = nil,
        answering: RequestHandler? = nil, onStanding: @escaping @Sendable (_ isReachable: Bool) -> Void = { _ in }
    ) throws(TalkerError) {
        try self.init(
            configuration: configuration, logger: logger, time: time, timing: Reporter.Timing(), deploys: deploys, answering: answering,
            onStanding: onStanding)
    }

    init(
        configuration: TalkerConfiguration, logger: Logger, time: any TimeSource, timing: Reporter.Timing, limits: DeployEndpoint.Limits = .init(),
        socketLimits: AgentSocket.Limits = .init(), bounds: Spool.Bounds = .init(), deploys: DeployThread? = nil, answering: RequestHandler? = nil,
        onStanding: @escaping @Sendable (_ isReachable: Bool) -> Void = { _ in }
    ) throws(TalkerError) {
        let checked = try CheckedConfiguration(configuration)
        stateFolder = configuration.stateFolder
        let spool: Spool
        do {
            spool = try Spool(folder: stateFolder, bounds: bounds, at: time.now().wall, logger: logger)
        } catch {
            throw TalkerError(part: "the state folder:", problem: error.description)
        }
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        self.eventLoop = eventLoop
        let reporter = Reporter(
            configuration: checked, spool: spool, time: time, timing: timing, demand: demand, eventLoop: eventLoop, logger: logger,
            onStanding: onStanding)
        reporter.orders = OrderBook(folder: stateFolder, handler: answering, eventLoop: eventLoop, logger: logger) { [unowned reporter] in
            reporter.hurry()
        }
        let duties = Duties(
            spool: spool, reporter: reporter,
            endpoint: deploys.map { DeployEndpoint(deploys: $0, time: time, limits: limits, eventLoop: eventLoop, logger: logger) },
            socket: answering.map { AgentSocket(handler: $0, limits: socketLimits, eventLoop: eventLoop, logger: logger) },
            orders: deploys.map { DeployOrders(deploys: $0, time: time, eventLoop: eventLoop, logger: logger) },
            pushes: MetricPushes(time: time, eventLoop: eventLoop, logger: logger), configuration: checked, time: time, eventLoop: eventLoop,
            logger: logger)
        self.duties = .makeBoxSendingValue(duties, eventLoop: eventLoop)
    }

    /// Opens the endpoints and the agent's socket. What cannot be had yet is logged and tried again.
    public func start() {
        hand { $0.start() }
    }

    /// Takes other settings; all but the state folder may change. Nothing changes when it throws.
    public func reconfigure(_ configuration: TalkerConfiguration) throws(TalkerError) {
        let checked = try CheckedConfiguration(configuration)
        guard configuration.stateFolder == stateFolder else {
            throw TalkerError(part: "the state folder", problem: "cannot change while the agent runs: restart it")
        }
        hand { $0.reconfigure(checked) }
    }

    /// Delivers what is left, for two seconds at most, and ends. The one call that waits; not for the talker's own thread.
    public func stop() {
        guard
            isStopped.withLock({ wasStopped in
                defer { wasStopped = true }
                return !wasStopped
            })
        else { return }
        let ended = eventLoop.makePromise(of: Void.self)
        eventLoop.execute { [duties] in duties.value.stop { ended.succeed() } }
        try? ended.futureResult.wait()
        try? group.syncShutdownGracefully()
    }

    public func record(_ event: Event) {
        hand { $0.record(event) }
    }

    public func update(_ snapshot: Snapshot) {
        hand { $0.update(snapshot) }
    }

    /// Whether a snapshot is wanted in which nothing but numbers is new: for a report that is due, a scraper, or somebody to push it to.
    public func wantsNumbers(at uptime: Duration) -> Bool { demand.isThere(at: uptime) }

    /// Where the deploy endpoint listens at present.
    var endpointAddress: SocketAddress? {
        try? eventLoop.submit { [duties] in duties.value.endpoint?.address }.wait()
    }

    /// Where metrics are served at present.
    var metricsAddress: SocketAddress? {
        try? eventLoop.submit { [duties] in duties.value.metrics.address }.wait()
    }

    /// Whether the agent's socket can be asked.
    var isSocketOpen: Bool {
        (try? eventLoop.submit { [duties] in duties.value.isSocketOpen }.wait()) ?? false
    }

    /// Whether deploys can be asked about on this host.
    var isDeploySocketOpen: Bool {
        (try? eventLoop.submit { [duties] in duties.value.endpoint?.isSocketOpen ?? false }.wait()) ?? false
    }

    private func hand(_ work: @escaping @Sendable (Duties) -> Void) {
        isStopped.withLock { isStopped in
            guard !isStopped else { return }
            eventLoop.execute { [duties] in work(duties.value) }
        }
    }
}

/// What the talker does, on its event loop.
private final class Duties {
    let endpoint: DeployEndpoint?
    let metrics: MetricsEndpoint
    private let socket: AgentSocket?
    private let orders: DeployOrders?
    private let pushes: MetricPushes
    private let spool: Spool
    private let reporter: Reporter
    private let time: any TimeSource
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var configuration: CheckedConfiguration

    init(
        spool: Spool, reporter: Reporter, endpoint: DeployEndpoint?, socket: AgentSocket?, orders: DeployOrders?,
        pushes: MetricPushes, configuration: CheckedConfiguration, time: any TimeSource, eventLoop: any EventLoop, logger: Logger
    ) {
        self.socket = socket
        self.orders = orders
        self.pushes = pushes
        metrics = MetricsEndpoint(time: time, eventLoop: eventLoop, logger: logger) { [pushes] in
            OwnMetrics(
                version: configuration.version, eventsWaiting: reporter.waiting, isAggregatorReachable: reporter.isReachable,
                graphiteDropped: pushes.graphiteDropped)
        }
        self.spool = spool
        self.reporter = reporter
        self.endpoint = endpoint
        self.configuration = configuration
        self.time = time
        self.eventLoop = eventLoop
        self.logger = logger
    }

    var isSocketOpen: Bool { socket?.isListening ?? false }

    func start() {
        endpoint?.listen(configuration.endpoint, socket: configuration.deploySocket)
        metrics.listen(configuration.metrics)
        pushes.push(as: configuration)
        socket?.listen(configuration.socket)
        orders?.listen(as: configuration)
    }

    func reconfigure(_ new: CheckedConfiguration) {
        configuration = new
        reporter.reconfigure(new)
        start()
    }

    func stop(_ done: @escaping () -> Void) {
        endpoint?.close()
        metrics.close()
        pushes.close()
        socket?.close()
        orders?.close()
        reporter.finish { [self] in
            spool.close(at: time.now().wall)
            done()
        }
    }

    func record(_ event: Event) {
        let number = spool.append(event, at: time.now().wall)
        // With nobody to report to, the log is where people find it.
        logger.log(
            level: configuration.aggregator == nil ? .notice : .info, "event",
            metadata: [
                "kind": "\(event.kind.rawValue)", "unit": "\(event.unit ?? "")", "detail": "\(event.detail)",
                "sequence": "\(number.map(String.init) ?? "none")",
            ])
        reporter.eventRecorded()
    }

    func update(_ snapshot: Snapshot) {
        reporter.update(snapshot)
        metrics.update(snapshot)
        pushes.update(snapshot)
    }
}
