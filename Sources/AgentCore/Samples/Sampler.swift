// The seam between the agent and the kernel's numbers.

/// Reads the kernel's numbers for the host and its units. It lives on the watcher's loop; no call waits.
///
/// A metric that cannot be measured, or not yet (a rate needs two looks), is not in the answer.
public protocol Sampler: AnyObject {
    /// Called once per cycle, before the units: reads what all of them share.
    /// - Parameter metrics: what somebody asks for; the sampler may leave out what nobody asks for and what costs much.
    func beginCycle(at uptime: Duration, host metrics: Set<String>) -> [String: Double]

    /// - Parameter process: the unit's main process; `nil` when it has none.
    func sample(unit: String, process: ProcessIdentity?, cgroup: String?, metrics: Set<String>) -> [String: Double]

    /// Forgets what it holds for a unit that is not watched any longer, or whose run has ended.
    func forget(unit: String)
}

/// Tells at once when a process ends. It lives on the watcher's loop.
public protocol ProcessWatcher: AnyObject {
    /// Calls `ended` once, when the process ends, or soon when it is not there any more. Watching another process for the same key
    /// replaces the first.
    func watch(_ process: ProcessIdentity, for key: String, ended: @escaping () -> Void)
    func unwatch(_ key: String)
}
