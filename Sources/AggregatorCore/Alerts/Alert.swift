// What somebody must hear of, and why.

public import Platform

/// A status change or an occurrence that somebody must hear of.
public struct Alert: Equatable, Sendable {
    /// Why it is told.
    public enum Reason: String, Sendable {
        /// The service passed until now.
        case newProblem = "new problem"
        /// The service's status has risen.
        case worse
        /// Something else in the service has begun to fail as badly as what failed already.
        case anotherProblem = "another problem"
        /// Something that was told has ended, and something else in the service still fails.
        case problemSolved = "problem solved"
        /// Nothing in the service fails any more.
        case recovered
        /// A unit failed and was restarted by its init system.
        case unitRestarted = "unit restarted"
        /// It did so several times in a short while.
        case unitRestartedOften = "unit restarted often"
    }

    /// What it happened to.
    public struct Subject: Equatable, Sendable {
        public var host: String?
        public var unit: String?
        public var check: String?
        /// What was deployed.
        public var deploy: String?

        public init(host: String? = nil, unit: String? = nil, check: String? = nil, deploy: String? = nil) {
            self.host = host
            self.unit = unit
            self.check = check
            self.deploy = deploy
        }

        /// As problems name it: `puma.service on web1`, `check home page`, `deploy of puma`, `host web1`.
        public var words: String {
            if let check { return "check \(check)" }
            if let deploy { return "deploy of \(deploy)" }
            if let unit { return host.map { "\(unit) on \($0)" } ?? unit }
            return "host \(host ?? "")"
        }
    }

    public var reason: Reason
    public var service: String
    /// The service's status from now on.
    public var status: Status
    public var subject: Subject
    /// What is wrong, or what was wrong until now: `down: killed by SIGKILL`.
    public var detail: String
    /// When it happened.
    public var at: Timestamp
    /// When we learned of it.
    public var now: Timestamp
    /// How long the problem lasted, or the service did not pass.
    public var lasted: Duration?
    /// For restarts that are told together.
    public var restarts: RestartSeries?
    /// What else fails in the service.
    public var others: [Problem]
    public var recipients: [String]

    public init(
        reason: Reason, service: String, status: Status, subject: Subject, detail: String, at: Timestamp, now: Timestamp, lasted: Duration? = nil,
        restarts: RestartSeries? = nil, others: [Problem] = [], recipients: [String] = []
    ) {
        self.reason = reason
        self.service = service
        self.status = status
        self.subject = subject
        self.detail = detail
        self.at = at
        self.now = now
        self.lasted = lasted
        self.restarts = restarts
        self.others = others
        self.recipients = recipients
    }
}
