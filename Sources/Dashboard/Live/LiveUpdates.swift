// Pages that follow what happens: server-sent events.

import AggregatorCore
import Hummingbird
import Logging
import NIOCore
import Platform
import ServiceLifecycle
import Synchronization

/// Wakes every open page when something has changed, at most twice a second, and every 15 s so that a connection shows that it lives.
/// Who looks at the same page shares one rendering.
final class LiveUpdates: Service {
    /// What one open page needs to know.
    struct Listener: Sendable {
        let id: UInt64
        let wakeups: AsyncStream<Void>
        let end: @Sendable () -> Void
    }

    private struct State {
        /// Grows with every change that was announced.
        var generation: UInt64 = 0
        var listeners: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextID: UInt64 = 0
        var renderings: [Route: Rendering] = [:]
    }

    private struct Rendering {
        let generation: UInt64
        let startedAt: Duration
        let part: Task<MainPart?, Never>
    }

    static let mostListeners = 200
    static let pause = Duration.milliseconds(500)
    static let heartbeat = Duration.seconds(15)

    private let changes: Changes
    private let time: any TimeSource
    private let render: @Sendable (Route) async -> MainPart?
    private let state = Mutex(State())

    /// - Parameter render: the main part of a page as it is now; `nil` when it cannot be read or is gone.
    init(changes: Changes, time: any TimeSource, render: @escaping @Sendable (Route) async -> MainPart?) {
        self.changes = changes
        self.time = time
        self.render = render
    }

    func run() async throws {
        let announcements = changes.subscribe()
        await cancelWhenGracefulShutdown {
            await withTaskGroup { group in
                group.addTask { await self.follow(announcements) }
                group.addTask { await self.beat() }
            }
        }
    }

    private func follow(_ announcements: AsyncStream<Void>) async {
        for await _ in announcements {
            wakeAll(somethingChanged: true)
            try? await time.sleep(Self.pause)  // what happens meanwhile is one announcement
        }
    }

    private func beat() async {
        while !Task.isCancelled {
            try? await time.sleep(Self.heartbeat)
            wakeAll(somethingChanged: false)
        }
    }

    private func wakeAll(somethingChanged: Bool) {
        let listeners = state.withLock { state in
            if somethingChanged { state.generation += 1 }
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.yield() }
    }

    /// One more open page, awake at once; `nil` when there are too many.
    func listen() -> Listener? {
        let (wakeups, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state -> UInt64? in
            guard state.listeners.count < Self.mostListeners else { return nil }
            state.nextID += 1
            state.listeners[state.nextID] = continuation
            return state.nextID
        }
        guard let id else { return nil }
        continuation.yield()
        return Listener(id: id, wakeups: wakeups) { continuation.finish() }
    }

    func forget(_ listener: Listener) {
        _ = state.withLock { $0.listeners.removeValue(forKey: listener.id) }
    }

    /// The page's main part, not older than the last change, nor than a second.
    func part(of route: Route) async -> MainPart? {
        let now = time.now().uptime
        let task = state.withLock { state in
            if let known = state.renderings[route], known.generation == state.generation, now - known.startedAt < .seconds(1) { return known.part }
            let task = Task { [render] in await render(route) }
            state.renderings = state.renderings.filter { now - $0.value.startedAt < .seconds(1) }
            state.renderings[route] = Rendering(generation: state.generation, startedAt: now, part: task)
            return task
        }
        return await task.value
    }

    /// The body of `GET /live`: an event `page` with the main part whenever it differs from the last one sent, a comment when it does not,
    /// and an event `login` before it ends because the session has.
    func events(
        of route: Route, to listener: Listener, request: Request, channel: any Channel, isWelcome: @escaping @Sendable () async -> Bool
    ) -> ResponseBody {
        ResponseBody { writer in
            defer { self.forget(listener) }
            try await withGracefulShutdownHandler {
                try await request.body.consumeWithCancellationOnInboundClose { _ in
                    var sent: MainPart?
                    for await _ in listener.wakeups {
                        guard await isWelcome() else {
                            try await writer.write(event("login", data: ""))
                            break
                        }
                        let part = await self.part(of: route)
                        if let part, part.content != sent?.content {
                            sent = part
                            try await writer.write(event("page", data: part.markup))
                        } else {
                            try await writer.write(ByteBuffer(string: ": still here\n\n"))
                        }
                    }
                }
            } onGracefulShutdown: {
                listener.end()
                // A browser that takes nothing any more does not hold up the shutdown.
                channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
            }
            try await writer.finish(nil)
        }
    }
}

/// One server-sent event. Data goes line by line; carriage returns, which would end lines too, are escaped in markup.
private func event(_ name: String, data: String) -> ByteBuffer {
    var text = "event: \(name)\n"
    for line in data.split(separator: "\n", omittingEmptySubsequences: false) { text += "data: \(line)\n" }
    return ByteBuffer(string: text + "\n")
}
