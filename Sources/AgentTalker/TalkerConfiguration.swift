// What the talker has to know before it starts.

public import AgentCore
import Glibc
public import Platform

/// Whom to talk to, as whom, and where to keep what is not said yet.
public struct TalkerConfiguration: Sendable {
    /// The host's name in reports.
    public var host: String
    /// The agent's version in reports.
    public var version: String
    /// How often snapshots come: the watcher's cycle.
    public var interval: Duration
    /// How often the aggregator hears of a host on which nothing changes, at most; never oftener than snapshots come. The aggregator
    /// takes silence for several of these as an alert.
    public var reportInterval: Duration
    /// The folder that holds the spool and the agent's id; it is made when it is missing.
    public var stateFolder: String
    /// `nil`: events are kept, and logged at notice.
    public var aggregator: Aggregator?
    /// `nil`: nobody can ask about deploys from afar.
    public var endpoint: Endpoint?
    /// `nil`: nobody can ask the agent on its host.
    public var socket: Socket?
    /// `nil`: nobody can ask about deploys on its host.
    public var deploySocket: Socket?
    /// What the aggregator may order; nothing else is done.
    public var allowedOrders: [AllowedOrder]
    /// `nil`: no scraper can fetch metrics.
    public var metrics: Metrics?
    /// `nil`: no metrics are pushed there.
    public var statsd: Push?
    public var graphite: Push?

    public init(
        host: String, version: String, interval: Duration, reportInterval: Duration = .seconds(10), stateFolder: String,
        aggregator: Aggregator? = nil, endpoint: Endpoint? = nil, socket: Socket? = nil, deploySocket: Socket? = nil,
        allowedOrders: [AllowedOrder] = [],
        metrics: Metrics? = nil, statsd: Push? = nil, graphite: Push? = nil
    ) {
        self.reportInterval = reportInterval
        self.socket = socket
        self.deploySocket = deploySocket
        self.allowedOrders = allowedOrders
        self.metrics = metrics
        self.statsd = statsd
        self.graphite = graphite
        self.host = host
        self.version = version
        self.interval = interval
        self.stateFolder = stateFolder
        self.aggregator = aggregator
        self.endpoint = endpoint
    }

    /// Where reports go.
    public struct Aggregator: Sendable {
        public var address: AggregatorAddress
        public var token: Secret
        /// Certificates in PEM that are trusted instead of the system's.
        public var caFile: String?

        public init(address: AggregatorAddress, token: Secret, caFile: String? = nil) {
            self.address = address
            self.token = token
            self.caFile = caFile
        }
    }

    /// Where people and programs of this host ask the agent.
    public struct Socket: Equatable, Sendable {
        /// Absolute; its folder belongs to the agent alone, and is made when it is missing.
        public var path: String
        /// Who may ask beside the agent's own user and root; `nil`: nobody.
        public var group: String?

        public init(path: String, group: String? = nil) {
            self.path = path
            self.group = group
        }
    }

    /// Where a scraper fetches metrics.
    public struct Metrics: Sendable {
        /// An IP address. Any but a loopback address needs a certificate.
        public var address: String
        public var port: Int
        /// Both or none: without them everybody may read who reaches the address.
        public var user: String?
        public var password: Secret?
        /// The certificate chain and its key, in PEM; both or none.
        public var certificateFile: String?
        public var keyFile: String?

        public init(
            address: String = "127.0.0.1", port: Int, user: String? = nil, password: Secret? = nil, certificateFile: String? = nil,
            keyFile: String? = nil
        ) {
            self.address = address
            self.port = port
            self.user = user
            self.password = password
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    /// Where metrics are pushed to, once per snapshot.
    public struct Push: Equatable, Sendable {
        /// A name or an IP address.
        public var host: String
        public var port: Int
        /// What all names begin with; empty for nothing.
        public var prefix: String

        public init(host: String, port: Int, prefix: String = "") {
            self.host = host
            self.port = port
            self.prefix = prefix
        }
    }

    /// Where deploys are asked about.
    public struct Endpoint: Sendable {
        /// An IP address. Any but a loopback address needs a certificate: passwords do not travel in the clear.
        public var address: String
        public var port: Int
        public var user: String
        public var password: Secret
        /// The certificate chain and its key, in PEM; both or none.
        public var certificateFile: String?
        public var keyFile: String?

        public init(
            address: String = "127.0.0.1", port: Int = 4677, user: String, password: Secret, certificateFile: String? = nil, keyFile: String? = nil
        ) {
            self.address = address
            self.port = port
            self.user = user
            self.password = password
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }
}

/// A configuration that cannot work: which part, and what is wrong with it.
public struct TalkerError: Error, Equatable, CustomStringConvertible, Sendable {
    public var part: String
    public var problem: String
    public var description: String { "\(part) \(problem)" }
}

func isIPAddress(_ text: String) -> Bool {
    var address = [UInt8](repeating: 0, count: 16)
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
}

func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "::1" || host.hasPrefix("127.") && isIPAddress(host)
}
