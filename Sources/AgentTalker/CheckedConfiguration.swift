// A configuration whose every part was tried: what remains to fail is the network.

import AgentCore
import NIOSSL
import Platform

/// What reporting and answering need, made from a `TalkerConfiguration`: certificates are loaded, secrets fit where they go.
struct CheckedConfiguration: Sendable {
    struct Aggregator: Sendable {
        var address: AggregatorAddress
        /// The value of the Authorization field.
        var authorization: Secret
        var tls: NIOSSLContext?
    }

    struct Endpoint: Sendable {
        var place: HTTPListener.Place
        /// What a client that knows user and password sends in its Authorization field after `Basic `.
        var credential: Secret
    }

    struct Metrics: Sendable {
        var place: HTTPListener.Place
        /// As above; `nil`: nobody is asked who they are.
        var credential: Secret?
    }

    var host: String
    var version: String
    var interval: Duration
    var aggregator: Aggregator?
    var endpoint: Endpoint?
    var socket: TalkerConfiguration.Socket?
    var deploySocket: TalkerConfiguration.Socket?
    var allowedOrders: [AllowedOrder]
    var metrics: Metrics?
    var statsd: TalkerConfiguration.Push?
    var graphite: TalkerConfiguration.Push?
    /// How often a host is reported on which nothing changes.
    var reportInterval: Duration

    init(_ configuration: TalkerConfiguration) throws(TalkerError) {
        host = configuration.host
        version = configuration.version
        interval = configuration.interval
        guard !host.isEmpty, host.utf8.count <= 255 else { throw TalkerError(part: "the host's name", problem: "is empty or longer than 255 bytes") }
        guard isFieldText(version), version.utf8.count <= 255 else {
            throw TalkerError(part: "the version", problem: "is empty, longer than 255 bytes, or not in plain characters")
        }
        guard interval >= .milliseconds(1), interval <= .seconds(86400) else {
            throw TalkerError(part: "the interval", problem: "is not between a millisecond and a day")
        }
        guard configuration.reportInterval <= .seconds(86400) else { throw TalkerError(part: "the report interval", problem: "is longer than a day") }
        reportInterval = max(interval, configuration.reportInterval)
        allowedOrders = configuration.allowedOrders
        socket = configuration.socket
        deploySocket = configuration.deploySocket
        for path in [socket, deploySocket].compactMap({ $0?.path }) {
            guard path.hasPrefix("/"), path.utf8.count <= 107, !path.utf8.contains(0) else {
                throw TalkerError(part: "the agent's socket", problem: "has a path that is not absolute or longer than 107 bytes: \(path)")
            }
        }
        for (push, part) in [(configuration.statsd, "statsd"), (configuration.graphite, "graphite")] {
            guard let push else { continue }
            let isName = push.host.utf8.allSatisfy { (33...126).contains($0) } && (1...253).contains(push.host.utf8.count)
            guard isName, (1...65535).contains(push.port) else { throw TalkerError(part: part, problem: "has a host or a port that cannot be") }
            let isPrefix = push.prefix.utf8.allSatisfy { isMetricByte($0) || $0 == UInt8(ascii: ".") } && push.prefix.utf8.count <= 200
            guard isPrefix else {
                throw TalkerError(part: part, problem: "has a prefix with other characters than letters, digits, `_`, `-` and `.`")
            }
        }
        statsd = configuration.statsd
        graphite = configuration.graphite
        if let configured = configuration.metrics { metrics = try Metrics(configured) }
        if let configured = configuration.aggregator { aggregator = try Aggregator(configured) }
        if let configured = configuration.endpoint { endpoint = try Endpoint(configured) }
    }
}

extension CheckedConfiguration.Aggregator {
    init(_ configured: TalkerConfiguration.Aggregator) throws(TalkerError) {
        address = configured.address
        guard isFieldText(configured.token.reveal()) else {
            throw TalkerError(part: "the aggregator's token", problem: "is empty or holds spaces or other characters that no token has")
        }
        authorization = Secret("Bearer \(configured.token.reveal())")
        guard address.isEncrypted else { return }
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.minimumTLSVersion = .tlsv12
        settings.certificateVerification = .fullVerification
        if let file = configured.caFile { settings.trustRoots = .certificates(try certificates(in: file, part: "the aggregator's CA file")) }
        tls = try context(settings, part: "the aggregator's CA file")
    }
}

extension CheckedConfiguration.Endpoint {
    init(_ configured: TalkerConfiguration.Endpoint) throws(TalkerError) {
        let part = "the deploy endpoint"
        place = try HTTPListener.Place(
            address: configured.address, port: configured.port, certificateFile: configured.certificateFile, keyFile: configured.keyFile, part: part,
            danger: "its password would travel in the clear")
        credential = try basicCredential(user: configured.user, password: configured.password, part: part)
    }
}

extension CheckedConfiguration.Metrics {
    init(_ configured: TalkerConfiguration.Metrics) throws(TalkerError) {
        let part = "the metrics endpoint"
        place = try HTTPListener.Place(
            address: configured.address, port: configured.port, certificateFile: configured.certificateFile, keyFile: configured.keyFile, part: part,
            danger: "what it says would travel in the clear")
        switch (configured.user, configured.password) {
        case (nil, nil): credential = nil
        case (let user?, let password?): credential = try basicCredential(user: user, password: password, part: part)
        default: throw TalkerError(part: part, problem: "has a user without a password or a password without a user")
        }
    }
}

extension HTTPListener.Place {
    /// - Parameter danger: what happens without a certificate to whoever is not on this host.
    fileprivate init(
        address: String, port: Int, certificateFile: String?, keyFile: String?, part: String, danger: String
    ) throws(TalkerError) {
        self.init(site: .network(address: address, port: port), tls: nil)
        guard isIPAddress(address) else { throw TalkerError(part: part, problem: "has no IP address to listen on: \(address)") }
        guard (0...65535).contains(port) else { throw TalkerError(part: part, problem: "has a port that is none: \(port)") }
        switch (certificateFile, keyFile) {
        case (nil, nil):
            guard isLoopback(address) else {
                throw TalkerError(part: part, problem: "listens on \(address) and needs a certificate and a key: \(danger)")
            }
        case (let certificate?, let key?):
            let chain = try certificates(in: certificate, part: "\(part)'s certificate")
            let privateKey: NIOSSLPrivateKey
            do {
                privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
            } catch {
                throw TalkerError(part: "\(part)'s key", problem: "cannot be read from \(key): it should hold an unencrypted key in PEM")
            }
            var settings = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
            settings.minimumTLSVersion = .tlsv12
            tls = try context(settings, part: "\(part)'s certificate and key")
        default:
            throw TalkerError(part: part, problem: "has a certificate without a key or a key without a certificate")
        }
    }
}

private func basicCredential(user: String, password: Secret, part: String) throws(TalkerError) -> Secret {
    guard isFieldText(user), !user.contains(":"), !password.reveal().isEmpty else {
        throw TalkerError(part: part, problem: "needs a user (without colons and spaces) and a password")
    }
    return Secret(base64(Array("\(user):\(password.reveal())".utf8)))
}

private func certificates(in file: String, part: String) throws(TalkerError) -> [NIOSSLCertificate] {
    do {
        let certificates = try NIOSSLCertificate.fromPEMFile(file)
        if !certificates.isEmpty { return certificates }
    } catch {
        // Said below; the library's words are for programmers.
    }
    throw TalkerError(part: part, problem: "cannot be read from \(file): it should hold certificates in PEM")
}

private func context(_ settings: TLSConfiguration, part: String) throws(TalkerError) -> NIOSSLContext {
    do {
        return try NIOSSLContext(configuration: settings)
    } catch {
        throw TalkerError(part: part, problem: "cannot be used for TLS: \(error)")
    }
}

/// Whether a text can be one word of an HTTP field.
private func isFieldText(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (33...126).contains($0) }
}
