// What is said to an agent to have a deploy judged.

/// Asks an agent for a verdict: it answers with the state whenever that changes, and at last with one that is final.
public struct DeployCheck: Equatable, Sendable {
    /// What a worker must show to count as new.
    public enum EvidenceKind: String, CaseIterable, Sendable {
        /// It answers the token itself.
        case http
        /// It descends from an exec after the baseline and stands in the new release; for services without a token endpoint.
        case process
    }

    /// What old processes that serve no new requests any more are to the verdict.
    public enum Draining: Equatable, Sendable {
        case ignore, warn
        /// Verified only when they are gone; after the given time they are only warned of.
        case wait(Duration)
    }

    /// Which deploy: by its id, or by service and token when nobody has prepared it here.
    public var deploy: String?
    public var service: String?
    public var token: String?
    /// For a deploy that was not prepared; otherwise what was said then counts.
    public var question: TokenQuestion?
    /// As in `DeployPreparation`.
    public var hosts: [String]
    public var evidence: EvidenceKind
    /// The workers fork from no preloaded code: one that is only forked after the baseline runs new code.
    public var hasNoPreload: Bool
    /// `nil`: as many as the baseline has, and at least one.
    public var expectedWorkers: Int?
    public var timeout: Duration
    /// How long everything must have been right, unchanged.
    public var settle: Duration
    /// How long it goes on looking after everything was right, for workers that die later.
    public var watch: Duration
    public var draining: Draining
    /// Does not wait for the timeout when the outcome is plain.
    public var failsFast: Bool
    public var limits: AvailabilityLimits?

    public init(
        deploy: String? = nil, service: String? = nil, token: String? = nil, question: TokenQuestion? = nil, hosts: [String] = [],
        evidence: EvidenceKind = .http, hasNoPreload: Bool = false, expectedWorkers: Int? = nil, timeout: Duration = .seconds(60),
        settle: Duration = .seconds(1),
        watch: Duration = .zero, draining: Draining = .warn, failsFast: Bool = true, limits: AvailabilityLimits? = nil
    ) {
        self.deploy = deploy
        self.service = service
        self.token = token
        self.question = question
        self.hosts = hosts
        self.evidence = evidence
        self.hasNoPreload = hasNoPreload
        self.expectedWorkers = expectedWorkers
        self.timeout = timeout
        self.settle = settle
        self.watch = watch
        self.draining = draining
        self.failsFast = failsFast
        self.limits = limits
    }
}

/// What requests may suffer from a deploy that counts as verified.
public struct AvailabilityLimits: Equatable, Sendable {
    public enum Failed: Equatable, Sendable {
        case count(Int)
        /// A part of all requests, 0...1.
        case share(Double)
    }

    public var failed: Failed
    public var stall: Duration?

    public init(failed: Failed = .count(0), stall: Duration? = nil) {
        self.failed = failed
        self.stall = stall
    }
}
