// What the service manager hears: alive while the loops go round, and that we stop.

import AggregatorCore
import Platform
import ServiceLifecycle

/// Says `alive` as often as the service manager's watchdog wants, as long as the loops give signs of life.
struct Watchdog: Service {
    let manager: ServiceManager
    let vitals: Vitals
    let time: any TimeSource

    func run() async throws {
        let interval = manager.watchdogInterval ?? .seconds(3600)
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                if vitals.isAlive(at: time.now()) { manager.alive() }
                try? await time.sleep(interval)
            }
        }
    }
}

/// Tells the service manager that a shutdown begins: it is the last of the services, and the last is the first to hear of it.
struct Farewell: Service {
    let manager: ServiceManager

    func run() async throws {
        try? await gracefulShutdown()
        manager.stopping()
    }
}
