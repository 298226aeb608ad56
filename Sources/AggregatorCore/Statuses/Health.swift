// Whether the aggregator itself works: what /status/ says.

public import Platform

/// How the aggregator itself is.
public struct Health: Equatable, Sendable {
    /// Checks run on time, the database takes writes, and messages get through.
    public var isRunning: Bool
    /// One line a subsystem, for a person; without names, addresses and secrets, because everybody may read it.
    public var lines: [String]

    public init(isRunning: Bool, lines: [String]) {
        self.isRunning = isRunning
        self.lines = lines
    }
}

/// Who can say how the aggregator is.
public protocol HealthReading: Sendable {
    func health(at now: Timestamp) async throws(StoreError) -> Health
}
