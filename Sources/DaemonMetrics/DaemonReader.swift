// The seam of daemon kinds: who asks one daemon for its numbers.

/// Asks one daemon for its numbers.
public protocol DaemonReader: AnyObject {
    /// Calls `done` once, on the loop.
    func read(_ metrics: [String], deadline: Duration, _ done: @escaping (Result<[String: Double], DaemonError>) -> Void)
}

/// A daemon that did not answer, or not sensibly: what is wrong, for a person.
public struct DaemonError: Error, Equatable, Sendable {
    public var problem: String

    public init(_ problem: String) { self.problem = problem }
}
