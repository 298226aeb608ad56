// The seam to programs that rules run.

public import RuleLanguage

/// Runs programs. It lives on the watcher's loop; no call waits.
public protocol CommandRunner: AnyObject {
    /// - Parameters:
    ///   - input: what the program reads from its standard input.
    ///   - done: called once, when the program has ended or was killed because its time was over.
    func run(_ command: Command, input: [UInt8], _ done: @escaping (CommandOutcome) -> Void)

    /// Kills what still runs; nobody is told of it.
    func stop()
}

/// How a program ended.
public struct CommandOutcome: Equatable, Sendable {
    public enum End: Equatable, Sendable {
        case exited(status: Int32)
        case signaled(Int32)
        case timedOut
        /// Why, for a person.
        case notStarted(String)
    }

    public var end: End
    /// The last lines that it wrote, to standard output or standard error.
    public var output: String

    public init(_ end: End, output: String = "") {
        self.end = end
        self.output = output
    }

    /// Why it did not work; `nil` when it did.
    var problem: String? {
        switch end {
        case .exited(0): nil
        case .exited(let status): "exited with status \(status)"
        case .signaled(let signal): "killed by \(signalName(signal))"
        case .timedOut: "killed, because it took too long"
        case .notStarted(let why): why
        }
    }
}
