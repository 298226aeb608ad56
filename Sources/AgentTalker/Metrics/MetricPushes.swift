// Pushes metrics to statsd and Graphite, once per snapshot.

import AgentCore
import Logging
import NIOCore
import NIOPosix
import Platform

/// It lives on the event loop, and keeps nothing on disk: who wants every value asks the aggregator.
final class MetricPushes {
    private let time: any TimeSource
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var statsd: StatsdPush?
    private var graphite: GraphitePush?
    private var told: (statsd: TalkerConfiguration.Push?, graphite: TalkerConfiguration.Push?, host: String)?
    private var droppedBefore: UInt64 = 0

    init(time: any TimeSource, eventLoop: any EventLoop, logger: Logger) {
        self.time = time
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Lines that Graphite did not take in time.
    var graphiteDropped: UInt64 { droppedBefore + (graphite?.dropped ?? 0) }

    func push(as configuration: CheckedConfiguration) {
        if let told, told.statsd == configuration.statsd, told.graphite == configuration.graphite, told.host == configuration.host { return }
        close()
        told = (configuration.statsd, configuration.graphite, configuration.host)
        statsd = configuration.statsd.map { StatsdPush(to: $0, host: configuration.host, time: time, eventLoop: eventLoop, logger: logger) }
        graphite = configuration.graphite.map { GraphitePush(to: $0, host: configuration.host, eventLoop: eventLoop, logger: logger) }
    }

    func update(_ snapshot: Snapshot) {
        statsd?.update(snapshot)
        graphite?.update(snapshot)
    }

    func close() {
        droppedBefore = graphiteDropped
        statsd?.close()
        graphite?.close()
        (statsd, graphite, told) = (nil, nil, nil)
    }
}

/// Datagrams to statsd. One that is not there loses what is sent to it; that is how statsd is meant.
private final class StatsdPush {
    /// How often a name is looked up again.
    private static let renewal = Duration.seconds(600)

    private let push: TalkerConfiguration.Push
    private let time: any TimeSource
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var text: StatsdText
    private var channel: (any Channel)?
    private var isOpening = false
    private var isClosed = false
    private var hasFailed = false
    private var nextOpening: Duration?

    init(to push: TalkerConfiguration.Push, host: String, time: any TimeSource, eventLoop: any EventLoop, logger: Logger) {
        self.push = push
        self.time = time
        self.eventLoop = eventLoop
        self.logger = logger
        text = StatsdText(host: host, prefix: push.prefix)
        open()
    }

    func update(_ snapshot: Snapshot) {
        let datagrams = text.datagrams(of: snapshot)
        let uptime = time.now().uptime
        if nextOpening.map({ uptime >= $0 }) ?? false { open() }
        guard let channel else { return }
        for datagram in datagrams { channel.write(channel.allocator.buffer(string: datagram), promise: nil) }
        channel.flush()
    }

    func close() {
        isClosed = true
        channel?.close(promise: nil)
        channel = nil
    }

    private func open() {
        guard !isOpening, !isClosed else { return }
        isOpening = true
        // A name is looked up on a thread of its own that ends with it: the event loop would wait.
        let (push, eventLoop) = (push, eventLoop)
        let address: EventLoopFuture<SocketAddress>
        if isIPAddress(push.host) {
            address = eventLoop.makeCompletedFuture { try SocketAddress(ipAddress: push.host, port: push.port) }
        } else {
            let pool = NIOThreadPool(numberOfThreads: 1)
            pool.start()
            address = pool.runIfActive(eventLoop: eventLoop) { try SocketAddress.makeAddressResolvingHost(push.host, port: push.port) }
            address.whenComplete { _ in pool.shutdownGracefully { _ in } }
        }
        address.flatMap { DatagramBootstrap(group: eventLoop).connect(to: $0) }.assumeIsolated().whenComplete { [weak self] result in
            guard let self, !isClosed else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                return
            }
            opened(result)
        }
    }

    private func opened(_ result: Result<any Channel, any Error>) {
        isOpening = false
        switch result {
        case .success(let channel):
            self.channel?.close(promise: nil)
            self.channel = channel
            hasFailed = false
            nextOpening = isIPAddress(push.host) ? nil : time.now().uptime + Self.renewal
        case .failure(let error):
            if !hasFailed {
                logger.error("statsd cannot be reached; it is tried again", metadata: ["host": "\(push.host)", "why": "\(words(for: error))"])
            }
            hasFailed = true
            nextOpening = time.now().uptime + .seconds(60)
        }
    }
}

/// Lines to Graphite over one connection, made again with growing pauses; what it does not take in time is dropped and counted.
private final class GraphitePush {
    /// Bytes that may wait: some minutes of a large host.
    private static let limit = 4 << 20

    private let push: TalkerConfiguration.Push
    private let host: String
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var channel: (any Channel)?
    private var isConnecting = false
    private var isSending = false
    private var isClosed = false
    private var hasFailed = false
    private var backoff = Backoff(first: .seconds(1), last: .seconds(60))
    /// One text a snapshot, oldest first.
    private var queue: [String] = []
    private var size = 0
    private(set) var dropped: UInt64 = 0

    init(to push: TalkerConfiguration.Push, host: String, eventLoop: any EventLoop, logger: Logger) {
        self.push = push
        self.host = host
        self.eventLoop = eventLoop
        self.logger = logger
    }

    func update(_ snapshot: Snapshot) {
        let lines = graphiteLines(of: snapshot, host: host, prefix: push.prefix)
        queue.append(lines)
        size += lines.utf8.count
        while size > Self.limit, let oldest = queue.first {
            queue.removeFirst()
            size -= oldest.utf8.count
            dropped += UInt64(oldest.utf8.count { $0 == 10 })
        }
        send()
    }

    func close() {
        isClosed = true
        channel?.close(promise: nil)
        channel = nil
    }

    private func send() {
        guard !isSending, !isConnecting, !isClosed else { return }
        guard let channel, channel.isActive else { return connect() }
        guard let lines = queue.first else { return }
        isSending = true
        channel.writeAndFlush(channel.allocator.buffer(string: lines)).assumeIsolated().whenComplete { [weak self] result in
            guard let self else { return }
            isSending = false
            switch result {
            case .success:
                if queue.first == lines {
                    queue.removeFirst()
                    size -= lines.utf8.count
                }
                backoff.reset()
                send()
            case .failure:
                self.channel?.close(promise: nil)
                self.channel = nil
                pause()
            }
        }
    }

    private func connect() {
        isConnecting = true
        ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10)).connect(host: push.host, port: push.port).assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, !isClosed else {
                    if case .success(let channel) = result { channel.close(promise: nil) }
                    return
                }
                connected(result)
            }
    }

    private func connected(_ result: Result<any Channel, any Error>) {
        switch result {
        case .success(let channel):
            isConnecting = false
            self.channel = channel
            if hasFailed { logger.notice("graphite takes metrics again", metadata: ["host": "\(push.host)"]) }
            hasFailed = false
            send()
        case .failure(let error):
            if !hasFailed {
                logger.error("graphite cannot be reached; it is tried again", metadata: ["host": "\(push.host)", "why": "\(words(for: error))"])
            }
            hasFailed = true
            pause()
        }
    }

    /// No connection is made for a while.
    private func pause() {
        isConnecting = true
        eventLoop.assumeIsolated().scheduleTask(in: .init(backoff.next(chance: .random(in: 0..<1)))) { [weak self] in
            guard let self else { return }
            isConnecting = false
            send()
        }
    }
}
