// The agent's own alerts: what happens goes in, and people hear of it.

public import AgentAPI
public import Logging
public import Platform

/// Tells people what happens on this host, over the agent's own routes. It lives on the watcher's loop, and nothing on it waits: the file
/// that keeps what is to be told is written by a thread of its own.
public final class OwnAlerts: DeliveryObserver {
    /// How long changes are gathered before they are written down.
    private static let writing = Duration.milliseconds(100)

    private let loop: Loop
    private let time: any TimeSource
    private let runner: any Runner
    private let file: BackgroundFile
    private let logger: Logger
    private var desk: AlertDesk
    private var timer: Loop.Timer?
    private var saving: Loop.Timer?

    /// - Parameters:
    ///   - file: where it is kept what is to be told, in the agent's state folder.
    ///   - aggregatorPatience: how long the aggregator may be away before this host tells people itself; `nil` where there is none.
    ///   - gathering: how long things are gathered into one message.
    public init(
        loop: Loop, time: any TimeSource, runner: any Runner, file path: String, host: String, channels: [AlertChannel],
        aggregatorPatience: Duration?, gathering: Duration = .seconds(5), logger: Logger
    ) {
        self.loop = loop
        self.time = time
        self.runner = runner
        self.logger = logger
        file = BackgroundFile(path) { error in logger.error("alerts cannot be kept", metadata: ["problem": "\(error)"]) }
        let now = time.now()
        desk = AlertDesk(host: host, routes: channels.map(\.route), aggregatorPatience: aggregatorPatience, gathering: gathering, at: now)
        resume(from: path, at: now)
        // Later: the runner may not know its work yet.
        timer = loop.after(.zero) { [weak self] in self?.pass() }
    }

    /// Takes a new configuration.
    public func change(host: String, channels: [AlertChannel], aggregatorPatience: Duration?) {
        desk.change(host: host, routes: channels.map(\.route), aggregatorPatience: aggregatorPatience, at: time.now())
        pass()
    }

    /// Takes an event, and decides whether somebody must hear of it.
    public func take(_ event: Event, at now: Moment) {
        desk.take(event, at: now)
        pass()
    }

    /// - Parameter isReachable: whether the aggregator takes reports now. Saying the same again changes nothing.
    public func aggregatorIsReachable(_ isReachable: Bool, at now: Moment) {
        desk.aggregatorIsReachable(isReachable, at: now)
        pass()
    }

    /// To be told by whoever observes the runner.
    public func delivered(_ alert: UInt64) {
        desk.delivered(alert)
        logger.info("alert delivered", metadata: ["alert": "\(alert)"])
        pass()
    }

    public func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) {
        let isTriedAgain = desk.undelivered(alert, mayRetry: mayRetry, at: time.now())
        logger.warning(
            isTriedAgain ? "alert not delivered, will try again" : "alert not delivered and given up",
            metadata: ["alert": "\(alert)", "problem": "\(why)"])
        pass()
    }

    /// Writes down what is left to tell; the next start of the agent goes on with it.
    public func stop() {
        for timer in [timer, saving].compactMap({ $0 }) { loop.cancel(timer) }
        save()
        file.finish()
    }

    private func resume(from path: String, at now: Moment) {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try AtomicFile.read(path, limit: AlertDesk.largestFile)
        } catch {
            // At the first start there is none.
            return
        }
        do throws(JSONError) {
            let faults = desk.resume(from: try JSON(parsing: bytes), at: now)
            if faults > 0 { logger.error("a part of the kept alerts is damaged", metadata: ["file": "\(path)", "lost": "\(faults)"]) }
        } catch {
            logger.error("the kept alerts are damaged and lost", metadata: ["file": "\(path)", "problem": "\(error)"])
        }
    }

    /// Does what is due, and sees to it that somebody does the rest in time.
    private func pass() {
        let now = time.now()
        for alert in desk.due(at: now) { runner.deliver(alert) }
        if let timer { loop.cancel(timer) }
        timer = desk.nextTime(at: now).map { next in loop.after(max(next - now.uptime, .milliseconds(1))) { [weak self] in self?.pass() } }
        if saving == nil {
            saving = loop.after(Self.writing) { [weak self] in
                self?.saving = nil
                self?.save()
            }
        }
    }

    private var saved: [UInt8] = []

    private func save() {
        let bytes = desk.json.bytes
        guard bytes != saved else { return }
        saved = bytes
        file.write(bytes)
    }
}
