// The wiring: every part of the aggregator, and how it starts and ends.

import AggregatorCore
import Dashboard
import Glibc
import Logging
import Messages
import Platform
import SQLiteStore
import ServiceLifecycle
import Synchronization
import Transfer
import UnixSignals

/// The aggregator as one process.
struct Aggregator {
    private let file: ConfigurationFile
    private let loaded: ConfigurationFile.Loaded
    private let time = SystemTime()
    private let logger = Logger(label: "aggregator")

    init(_ loaded: ConfigurationFile.Loaded, file: ConfigurationFile) {
        self.loaded = loaded
        self.file = file
    }

    /// Returns after a shutdown that somebody asked for.
    func run() async throws {
        let configuration = loaded.configuration
        let store = try SQLiteStore(path: configuration.database)
        let plan = CurrentPlan(ServicePlan(configuration))
        let vitals = Vitals()
        let changes = Changes()
        let checking = Checking(store: store, plan: plan, vitals: vitals, changes: changes, time: time)
        try await checking.apply(plan.value)
        if configuration.mail == nil { logger.notice("no mail is configured: nobody will be told of anything") }

        let current = CurrentConfiguration(loaded)
        let serving = AsyncStream<Never>.makeStream()
        let manager = ServiceManager()
        let setupCode = randomHex(bytes: 8)
        let needsSetup = try await !store.hasUsers()
        let board = OrderBoard(time: time)
        let dashboard = try DashboardServer(
            configuration: dashboardConfiguration(configuration), store: store,
            ingest: Ingestion(store: store, plan: plan, vitals: vitals, changes: changes),
            deploys: DeployIntake(store: store, plan: plan, changes: changes), relay: DeployRelay(store: store, board: board, time: time),
            board: board, health: AggregatorHealth(vitals: vitals, store: store, time: time),
            changes: changes, time: time, setupCode: setupCode,
            runbook: { name in current.value.configuration.services.first { $0.name == name }?.runbook }, logger: Logger(label: "dashboard")
        ) { _ in
            if needsSetup { print("Nobody can log in yet. Open \(configuration.publicURL)/ and enter the set-up code \(setupCode)") }
            fflush(nil)
            manager.ready(status: "Serving \(configuration.publicURL)")
            serving.continuation.finish()
        }
        let services: [any Service] = [
            Delivery(store: store, notifier: { current.notifier }, vitals: vitals, changes: changes, time: time),
            Pruning(store: store, retention: { current.retention }, time: time),
            SilenceWatch(store: store, plan: plan, vitals: vitals, changes: changes, time: time),
            // An aggregator that is asked by its own checks has to answer first.
            Successor(to: serving.stream, checking),
            dashboard,
            Reloading(file: file, current: current, checking: checking, manager: manager),
            Watchdog(manager: manager, vitals: vitals, time: time),
            Farewell(manager: manager),
        ]
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "lifecycle")))
        defer { loaded.transfers.shutdown() }
        try await group.run()
    }

    private func dashboardConfiguration(_ configuration: AggregatorConfiguration) throws -> DashboardConfiguration {
        var tls: DashboardConfiguration.TLSFiles?
        if let certificate = configuration.certificateFile, let key = configuration.keyFile {
            tls = .init(certificate: certificate.value, privateKey: key.value)
        }
        return try DashboardConfiguration(
            address: configuration.listen.host, port: configuration.listen.port, tls: tls, publicURL: configuration.publicURL)
    }
}

/// A service that begins when something has ended.
private struct Successor: Service {
    let predecessor: AsyncStream<Never>
    let service: any Service

    init(to predecessor: AsyncStream<Never>, _ service: any Service) {
        self.predecessor = predecessor
        self.service = service
    }

    func run() async throws {
        for await _ in predecessor.cancelOnGracefulShutdown() {}
        try await service.run()
    }
}

/// What a reload replaces, beside the plan.
final class CurrentConfiguration: Sendable {
    private let loaded: Mutex<ConfigurationFile.Loaded>

    init(_ loaded: ConfigurationFile.Loaded) { self.loaded = Mutex(loaded) }

    var value: ConfigurationFile.Loaded {
        get { loaded.withLock { $0 } }
        set { loaded.withLock { $0 = newValue } }
    }

    var notifier: (any Notifier)? { value.notifier }

    var retention: Retention {
        let configuration = value.configuration
        return Retention(samples: configuration.keepSamples, events: configuration.keepEvents)
    }
}
