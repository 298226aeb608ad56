// A check as decisions see it: what its last runs found.

public import Platform

/// A check's name, unique with its service's.
public struct CheckKey: Hashable, Sendable {
    public var service: String
    public var name: String

    public init(service: String, name: String) {
        self.service = service
        self.name = name
    }
}

public struct CheckState: Equatable, Sendable {
    public var key: CheckKey
    public var summary: String
    /// How many of the last runs failed in a row.
    public var failures: Int
    public var isFailing: Bool
    /// `nil` before the first run.
    public var lastRun: Timestamp?
    public var lastDuration: Duration?
    public var detail: String

    public init(
        key: CheckKey, summary: String, failures: Int = 0, isFailing: Bool = false, lastRun: Timestamp? = nil, lastDuration: Duration? = nil,
        detail: String = ""
    ) {
        self.key = key
        self.summary = summary
        self.failures = failures
        self.isFailing = isFailing
        self.lastRun = lastRun
        self.lastDuration = lastDuration
        self.detail = detail
    }
}
