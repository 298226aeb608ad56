// A host as decisions see it.

public import Platform

public struct HostState: Equatable, Sendable {
    public var agent: String
    public var name: String
    public var version: String
    /// When its agent made the report that the present state comes from, by the agent's clock.
    public var reportedAt: Timestamp
    /// When the latest report arrived, by ours.
    public var lastReport: Timestamp
    public var interval: Duration
    public var isSilent: Bool
    /// The number of the last event that was stored.
    public var lastSequence: UInt64
    /// The number of the snapshot that the present state is; 0 when there is none, or its agent does not number them.
    public var snapshot: UInt64
    /// Another agent reports with the same token since: this one is retired.
    public var replacedBy: String?

    public init(
        agent: String, name: String, version: String, reportedAt: Timestamp, lastReport: Timestamp, interval: Duration, isSilent: Bool,
        lastSequence: UInt64, snapshot: UInt64 = 0, replacedBy: String? = nil
    ) {
        self.snapshot = snapshot
        self.replacedBy = replacedBy
        self.agent = agent
        self.name = name
        self.version = version
        self.reportedAt = reportedAt
        self.lastReport = lastReport
        self.interval = interval
        self.isSilent = isSilent
        self.lastSequence = lastSequence
    }
}
