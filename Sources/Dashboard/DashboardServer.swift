// The dashboard and the API as one service.

public import AggregatorCore
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOCore
import NIOSSL
public import Platform
public import ServiceLifecycle

/// Everything that the pages and the API ask of a store.
public typealias DashboardStore = StoreReading & AccountStoring & AgentTokenStoring & DeployStoring & ScriptTokenStoring

/// Serves the pages, `/status/` and the API until it is told to shut down.
public struct DashboardServer: Service {
    /// Of each agent two: one reports, the other listens for orders.
    private static let mostConnections = 5000

    private let configuration: DashboardConfiguration
    private let tls: TLSConfiguration?
    private let responder: DashboardResponder
    private let logger: Logger
    private let onListening: @Sendable (_ port: Int) -> Void

    /// - Parameters:
    ///   - deploys: where deploys go that scripts tell of.
    ///   - relay: asks agents about deploys for scripts; they listen at `board`.
    ///   - runbook: what to do about a service that is in trouble, if somebody wrote it down: a link, or words.
    ///   - setupCode: what the first user has to know to become it; once there is a user it opens nothing.
    ///   - onListening: hears the port as soon as connections are accepted.
    public init(
        configuration: DashboardConfiguration, store: any DashboardStore, ingest: any ReportIngesting, deploys: any DeployTaking,
        relay: DeployRelay, board: OrderBoard, health: any HealthReading, changes: Changes,
        time: any TimeSource, setupCode: String, runbook: @escaping @Sendable (_ service: String) -> String? = { _ in nil }, logger: Logger,
        onListening: @escaping @Sendable (_ port: Int) -> Void = { _ in }
    ) throws(DashboardConfigurationError) {
        try self.init(
            configuration: configuration, store: store, ingest: ingest, deploys: deploys, relay: relay, board: board, health: health,
            changes: changes, time: time, setupCode: setupCode, passwordCost: .standard, runbook: runbook, logger: logger, onListening: onListening)
    }

    init(
        configuration: DashboardConfiguration, store: any DashboardStore, ingest: any ReportIngesting, deploys: any DeployTaking,
        relay: DeployRelay, board: OrderBoard, health: any HealthReading, changes: Changes, time: any TimeSource, setupCode: String,
        passwordCost: PasswordHash.Cost, runbook: @escaping @Sendable (_ service: String) -> String?,
        logger: Logger, onListening: @escaping @Sendable (_ port: Int) -> Void
    ) throws(DashboardConfigurationError) {
        self.configuration = configuration
        self.logger = logger
        self.onListening = onListening
        tls = try configuration.tls.map { files throws(DashboardConfigurationError) in try readTLS(files) }
        let pages = Pages(store: store, health: health, runbook: runbook, time: time, logger: logger)
        responder = DashboardResponder(
            configuration: configuration, store: store, pages: pages,
            accounts: Accounts(store: store, setupCode: Secret(setupCode), cost: passwordCost),
            live: LiveUpdates(changes: changes, time: time) { [pages] route in await pages.mainPart(route) },
            reports: ReportsAPI(tokens: store, ingest: ingest, logger: logger), status: StatusAPI(health: health, logger: logger),
            deploys: DeploysAPI(store: store, intake: deploys, publicURL: configuration.publicURL, logger: logger),
            relay: RelayAPI(tokens: store, relay: relay, logger: logger), orders: OrdersAPI(tokens: store, board: board, logger: logger), time: time,
            logger: logger)
    }

    public func run() async throws {
        // A header larger than this is none of a browser's or an agent's; who says nothing for a minute is gone.
        let http = HTTPServerBuilder.http1(
            configuration: .init(
                idleTimeout: .seconds(60),
                httpDecoderConfiguration: .init(maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100)))
        let application = Application(
            responder: responder, server: try tls.map { try .tls(http, tlsConfiguration: $0) } ?? http,
            configuration: .init(
                address: .hostname(configuration.address, port: configuration.port),
                availableConnectionsDelegate: .maximum(Self.mostConnections, logger: logger)),
            services: [responder.live],
            onServerRunning: { channel in
                guard let port = channel.localAddress?.port else { return }
                logger.notice("dashboard listens", metadata: ["address": "\(configuration.address)", "port": "\(port)", "tls": "\(tls != nil)"])
                onListening(port)
            },
            logger: logger)
        try await application.run()
    }
}

private func readTLS(_ files: DashboardConfiguration.TLSFiles) throws(DashboardConfigurationError) -> TLSConfiguration {
    let chain: [NIOSSLCertificateSource]
    do {
        chain = try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) }
    } catch {
        throw DashboardConfigurationError(key: "certificate", problem: "\(files.certificate) is not a readable PEM file of certificates")
    }
    guard !chain.isEmpty else { throw DashboardConfigurationError(key: "certificate", problem: "\(files.certificate) holds no certificate") }
    do {
        return .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(try NIOSSLPrivateKey(file: files.privateKey, format: .pem)))
    } catch {
        throw DashboardConfigurationError(key: "private key", problem: "\(files.privateKey) is not a readable PEM file of a private key")
    }
}
