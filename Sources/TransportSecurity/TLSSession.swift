// The client's side of a TLS connection whose bytes its owner carries.

import NIOCore
import NIOEmbedded
import NIOSSL

/// Why TLS failed, in a few words.
public struct TLSProblem: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String
}

/// Turns what is to be said into records of TLS, and records into what was said. It has no socket and waits for nothing: who owns it sends
/// `takeOutgoing()`, gives it what has come, and then takes both sides' bytes. For one thread.
public final class TLSSession {
    public enum Trust: Sendable {
        /// Any certificate: for a server that is known in another way.
        case anyone
        /// What this system's authorities have signed for the server's name.
        case system
    }

    private static let anyone = Result { try NIOSSLContext(configuration: configuration(verifying: false)) }
    private static let system = Result { try NIOSSLContext(configuration: configuration(verifying: true)) }

    private let channel: EmbeddedChannel
    private var hasEnded = false

    /// - Parameter serverName: goes to the server, which may have a certificate for each name; an address is none.
    public init(serverName: String?, trust: Trust) throws(TLSProblem) {
        channel = EmbeddedChannel()
        do {
            let context = try (trust == .anyone ? Self.anyone : Self.system).get()
            let name = serverName.flatMap { Self.isAddress($0) ? nil : $0 }
            try channel.pipeline.syncOperations.addHandler(try NIOSSLClientHandler(context: context, serverHostname: name))
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            try channel.throwIfErrorCaught()
        } catch {
            end()
            throw Self.problem(error)
        }
    }

    deinit { end() }

    /// Says something; before the handshake is over, as soon as it is.
    public func send(_ bytes: some Sequence<UInt8>) {
        guard !hasEnded else { return }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Takes what came from the server.
    public func receive(_ bytes: some Sequence<UInt8>) throws(TLSProblem) {
        guard !hasEnded else { return }
        do { try channel.writeInbound(ByteBuffer(bytes: bytes)) } catch { throw Self.problem(error) }
    }

    /// What is to go to the server.
    public func takeOutgoing() -> [UInt8] {
        var bytes: [UInt8] = []
        while let part = try? channel.readOutbound(as: ByteBuffer.self) { bytes += part.readableBytesView }
        return bytes
    }

    /// What the server has said.
    public func takeIncoming() -> [UInt8] {
        var bytes: [UInt8] = []
        while let part = try? channel.readInbound(as: ByteBuffer.self) { bytes += part.readableBytesView }
        return bytes
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        // As if the connection were gone: there is no one left to take leave of.
        if channel.isActive { channel.pipeline.fireChannelInactive() }
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    private static func configuration(verifying: Bool) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        guard !verifying else { return configuration }
        configuration.certificateVerification = .none
        // The system's would be read, and cost a megabyte.
        configuration.trustRoots = .certificates([])
        return configuration
    }

    private static func isAddress(_ name: String) -> Bool { (try? SocketAddress(ipAddress: name, port: 0)) != nil }

    private static func problem(_ error: any Error) -> TLSProblem {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname: TLSProblem(description: "its certificate is for another name")
        case NIOSSLError.handshakeFailed(let cause):
            TLSProblem(
                description: "\(cause)".contains("CERTIFICATE_VERIFY_FAILED") ? "its certificate is not trusted" : "the TLS handshake failed")
        case NIOSSLError.uncleanShutdown: TLSProblem(description: "the connection ended in the middle")
        default: TLSProblem(description: "TLS failed")
        }
    }
}
