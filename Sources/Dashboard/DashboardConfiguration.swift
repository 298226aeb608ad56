// Where the dashboard listens, and what it is called outside.

/// A setting of the dashboard that cannot be used: which, and what is wrong with it.
public struct DashboardConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    public var key: String
    public var problem: String
    public var description: String { "\(key) \(problem)" }
}

public struct DashboardConfiguration: Equatable, Sendable {
    /// An address or a name of this machine: `127.0.0.1`, `::`.
    public var address: String
    /// 0 lets the system choose one; `DashboardServer` tells which.
    public var port: Int
    /// PEM files; without them the server speaks plain HTTP.
    public var tls: TLSFiles?
    /// Where people find the dashboard, without a slash at its end: `https://rollcall.example.com`.
    public let publicURL: String

    public struct TLSFiles: Equatable, Sendable {
        /// The certificate, and those between it and a root.
        public var certificate: String
        public var privateKey: String

        public init(certificate: String, privateKey: String) {
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    public init(address: String, port: Int, tls: TLSFiles? = nil, publicURL: String)
        throws(DashboardConfigurationError)
    {
        guard (0...65535).contains(port) else { throw DashboardConfigurationError(key: "port", problem: "is not between 0 and 65535") }
        self.address = address
        self.port = port
        self.tls = tls
        self.publicURL = try origin(publicURL)
    }

    /// Whether browsers are to send the session's cookie over TLS alone.
    var isSecure: Bool { publicURL.hasPrefix("https://") }
}

/// Scheme, host and port as a browser's `Origin` says them: in lower case and without the scheme's own port.
private func origin(_ url: String) throws(DashboardConfigurationError) -> String {
    var text = url.lowercased()
    if text.hasSuffix("/") { text.removeLast() }
    guard let scheme = ["http://", "https://"].first(where: text.hasPrefix) else {
        throw DashboardConfigurationError(key: "public URL", problem: "does not begin with http:// or https://")
    }
    let host = text.dropFirst(scheme.count)
    guard !host.isEmpty, !host.contains(where: { "/?#@ ".contains($0) }) else {
        throw DashboardConfigurationError(key: "public URL", problem: "should be a scheme and a host alone, like https://rollcall.example.com")
    }
    let ownPort = scheme == "http://" ? ":80" : ":443"
    return host.hasSuffix(ownPort) ? String(text.dropLast(ownPort.count)) : text
}
