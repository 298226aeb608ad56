// A configuration whose every part was tried: what remains to fail is the network.

import NIOSSL
import Platform

/// What reporting and answering need, made from a `TalkerConfiguration`: certificates are loaded, secrets fit where they go.
struct CheckedConfiguration: Sendable {
    struct Aggregator: Sendable {
        var url: AggregatorURL
        /// The value of the Authorization field.
        var authorization: Secret
        var tls: NIOSSLContext?
    }

    struct Endpoint: Sendable {
        var address: String
        var port: Int
        /// What a client that knows user and password sends in its Authorization field after `Basic `.
        var credential: Secret
        var tls: NIOSSLContext?
    }

    var host: String
    var version: String
    var interval: Duration
    var aggregator: Aggregator?
    var endpoint: Endpoint?

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
        if let configured = configuration.aggregator { aggregator = try Aggregator(configured) }
        if let configured = configuration.endpoint { endpoint = try Endpoint(configured) }
    }
}

extension CheckedConfiguration.Aggregator {
    init(_ configured: TalkerConfiguration.Aggregator) throws(TalkerError) {
        url = configured.url
        guard isFieldText(configured.token.reveal()) else {
            throw TalkerError(part: "the aggregator's token", problem: "is empty or holds spaces or other characters that no token has")
        }
        authorization = Secret("Bearer \(configured.token.reveal())")
        guard url.usesTLS else { return }
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
        address = configured.address
        port = configured.port
        guard isIPAddress(address) else { throw TalkerError(part: part, problem: "has no IP address to listen on: \(address)") }
        guard (0...65535).contains(port) else { throw TalkerError(part: part, problem: "has a port that is none: \(port)") }
        let user = configured.user
        guard isFieldText(user), !user.contains(":"), !configured.password.reveal().isEmpty else {
            throw TalkerError(part: part, problem: "needs a user (without colons and spaces) and a password")
        }
        credential = Secret(base64(Array("\(user):\(configured.password.reveal())".utf8)))
        switch (configured.certificateFile, configured.keyFile) {
        case (nil, nil):
            guard isLoopback(address) else {
                throw TalkerError(
                    part: part, problem: "listens on \(address) and needs a certificate and a key: its password would travel in the clear")
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

/// RFC 4648, with padding.
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
        for position in 0..<4 {
            out.append(position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
        }
    }
    return String(decoding: out, as: UTF8.self)
}
