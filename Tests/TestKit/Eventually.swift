// Waiting for what a test expects of programs that run beside it.

/// Something that did not come true in time: what, and how things were.
public struct NeverHappened: Error, CustomStringConvertible {
    public var description: String
    public init(description: String) { self.description = description }
}

/// Waits until `condition` holds, looking often.
public func eventually(
    _ what: String = "what was expected", within limit: Duration = .seconds(20), _ condition: () async throws -> Bool,
    explanation: () -> String = { "" }
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NeverHappened(description: "not within \(limit): \(what)\n\(explanation())") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
