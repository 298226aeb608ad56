// Deploy windows, as whoever decides about alerts opens them.

public import AgentAPI

/// Opens and closes the window of a deploy, in which nobody is alerted of its service. A window that nobody closes ends by itself.
public struct DeployWindows: Sendable {
    /// Answers, soon and on any thread, why there is none; `nil`: it is open.
    public var open: @Sendable (DeployPreparation, _ opened: @escaping @Sendable (_ problem: String?) -> Void) -> Void
    /// Closes what is open; may be called again.
    public var close: @Sendable (DeployPreparation) -> Void

    public init(
        open: @escaping @Sendable (DeployPreparation, @escaping @Sendable (String?) -> Void) -> Void,
        close: @escaping @Sendable (DeployPreparation) -> Void
    ) {
        self.open = open
        self.close = close
    }
}
