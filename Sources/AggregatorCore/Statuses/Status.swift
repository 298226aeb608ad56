// How a service is: the worst of what fails in it.

public import Platform

/// A service's status, best first.
public enum Status: String, CaseIterable, Comparable, Sendable {
    case passing, warning, error, critical

    public init(_ importance: Importance) {
        switch importance {
        case .warning: self = .warning
        case .error: self = .error
        case .critical: self = .critical
        }
    }

    public static func < (a: Status, b: Status) -> Bool { a.rank < b.rank }
    private var rank: Int {
        switch self {
        case .passing: 0;
        case .warning: 1;
        case .error: 2;
        case .critical: 3
        }
    }
}

/// One thing that fails at present.
public struct Problem: Equatable, Sendable {
    /// What fails: `puma.service on web1`, `check home page`, `host web1`.
    public var subject: String
    /// What is wrong with it: `down: killed by SIGKILL`, `answered 503, expected 200`.
    public var text: String
    public var importance: Importance
    public var since: Timestamp

    public init(subject: String, text: String, importance: Importance, since: Timestamp) {
        self.subject = subject
        self.text = text
        self.importance = importance
        self.since = since
    }
}
