// The seam of daemon kinds: who asks one daemon for its numbers.

/// Asks one daemon for numbers. Each look is a connection of its own, so that a daemon that was restarted, or that hung, is met afresh.
public protocol DaemonReader: AnyObject {
    /// Asks for the values of `metrics`: names without the family, as rules write them. Any thread may call it; nothing waits.
    ///
    /// - Parameters:
    ///   - deadline: from the call to the answer, name look-up included.
    ///   - done: called once, on the loop of the transfers that the reader was made with. A number that the daemon does not tell is
    ///     absent. After the transfers were shut down it is not called any more.
    func read(_ metrics: [String], deadline: Duration, _ done: @escaping (Result<[String: Double], DaemonError>) -> Void)
}

/// A daemon that gave no numbers.
public struct DaemonError: Error, Equatable, Sendable, CustomStringConvertible {
    /// For a person: which daemon, where, what failed, and what would help; never a secret.
    public var problem: String

    public init(_ problem: String) { self.problem = problem }

    public var description: String { problem }
}
