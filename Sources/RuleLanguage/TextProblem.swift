// What is wrong with a text inside a rule: a window, a cron expression, a command.

/// A text that means nothing: why, and what would help.
public struct TextProblem: Error, Equatable, Sendable {
    public var message: String
    public var help: String?

    init(_ message: String, help: String? = nil) {
        self.message = message
        self.help = help
    }
}
