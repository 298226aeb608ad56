// What an HTTP transfer is to do, and what came back.

public import Platform

/// One HTTP request with everything that bounds it.
public struct HTTPRequest: Sendable {
    public var endpoint: Endpoint
    /// `GET`, `HEAD`, `POST`, ...
    public var method = "GET"
    public var headers: [(name: String, value: String)] = []
    public var body: [UInt8]?
    /// Sent as basic authentication, and never to another host that a redirect names.
    public var credentials: Credentials?
    /// From the call to the end of the body, waiting for a free place included.
    public var deadline = Duration.seconds(30)
    /// For the name and the connection, TLS included; counts from when the transfer got its place.
    public var connectTimeout = Duration.seconds(10)
    /// How many bytes of the body are kept; the transfer ends there.
    public var maximumBody = 1 << 20
    /// How many redirects are followed; with 0 the redirect itself is the answer.
    public var redirects = 0
    /// A connection, a TLS handshake and a TLS session of its own, closed afterwards.
    public var freshConnection = false
    /// Whether a certificate must be valid, trusted and of this host.
    public var verifiesCertificate = true
    /// PEM file of the authorities to trust instead of the system's.
    public var authorities: String?
    /// An IP address to connect to instead of those behind the endpoint's name; name checks and the Host header stay.
    public var address: String?
    /// A Unix socket to connect to instead; the endpoint's host is only the `Host` header then.
    public var socket: String?
    /// A netrc file that may hold the credentials of the endpoint's host, when `credentials` has none.
    public var netrc: String?
    /// Called on the transfers' thread with each line of the body of a 200 answer as it comes, without its newline; it must not wait.
    /// The response's body stays empty then, and `maximumBody` bounds one line.
    public var eachLine: (@Sendable ([UInt8]) -> Void)?
    /// The transfer ends as timed out when nothing has come for so long.
    public var silence: Duration?

    public init(_ endpoint: Endpoint) { self.endpoint = endpoint }

    /// Whether a header can go out as it is: nothing in it ends the line or the name.
    public static func canSend(name: String, value: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: ";") }
            && value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }
}

/// The answer of an HTTP server, whatever its status.
public struct HTTPResponse: Sendable {
    public var status: Int
    /// Of the last answer when redirects were followed; names as the server wrote them.
    public var headers: [(name: String, value: String)] = []
    public var body: [UInt8] = []
    /// Whether the body was longer than what is kept.
    public var isTruncated = false
    public var timings = Timings()
    /// The address that answered, without port.
    public var remoteAddress: String?
    /// When the server's certificate expires; `nil` without TLS or when the connection was not a new one.
    public var certificateExpiry: Timestamp?

    public init(status: Int) { self.status = status }

    /// The value of the first header of this name, in any case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// From the start of the transfer to each of its steps; a step that did not happen is absent.
    public struct Timings: Equatable, Sendable {
        public var name: Duration?
        public var connect: Duration?
        public var tls: Duration?
        public var firstByte: Duration?
        public var total: Duration?

        public init() {}
    }
}
