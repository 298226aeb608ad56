// A remote probe with a schedule, the same wherever it runs.

public import Platform

/// A check as it was configured: a name, when, how much it matters, and what its kind needs to run it.
public struct Check: Sendable {
    /// Unique among the checks of one configuration; results and statuses refer to it.
    public var name: String
    public var every: Duration
    /// How long one run may take from its start to its result; a run that takes longer has failed.
    public var deadline: Duration
    /// How many runs in a row must fail before the check fails; at least 1.
    public var failuresBeforeFailing: Int
    public var probe: any Probe

    public init(name: String, every: Duration, deadline: Duration, failuresBeforeFailing: Int, probe: any Probe) {
        self.name = name
        self.every = every
        self.deadline = deadline
        self.failuresBeforeFailing = failuresBeforeFailing
        self.probe = probe
    }
}

/// The seam of check kinds: what one configured check does when it runs.
///
/// A probe answers with a result whatever happens: what it asks being down, slow or hostile is a failed result and not an error. It
/// keeps to the deadline by itself and ends soon when its task is cancelled. It reads a bounded amount of what the other side sends.
public protocol Probe: Sendable {
    /// `http`, `graphite`, ...: the word that configurations use.
    static var kind: String { get }
    /// What it probes, on one line, without secrets: `GET https://example.com/ is 200`.
    var summary: String { get }
    func run(deadline: Duration) async -> ProbeOutcome
}

/// What one run of a probe found.
public enum ProbeOutcome: Equatable, Sendable {
    case passed(detail: String)
    /// What is wrong, for a person: `answered 503, expected 200`.
    case failed(reason: String)

    public var hasPassed: Bool { if case .passed = self { true } else { false } }

    /// The detail or the reason.
    public var text: String {
        switch self {
        case .passed(let detail): detail
        case .failed(let reason): reason
        }
    }
}

/// One run of a check.
public struct CheckResult: Equatable, Sendable {
    public var check: String
    public var startedAt: Timestamp
    public var duration: Duration
    public var outcome: ProbeOutcome

    public init(check: String, startedAt: Timestamp, duration: Duration, outcome: ProbeOutcome) {
        self.check = check
        self.startedAt = startedAt
        self.duration = duration
        self.outcome = outcome
    }
}
