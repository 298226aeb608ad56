// The seam between the agent and the process without privileges that speaks with the outside world for it.

public import AgentAPI
import Platform

/// Asks daemons for their numbers and delivers the agent's own alerts, in a process of its own that may hang or die. It lives on the
/// watcher's loop; no call waits.
public protocol Runner: AnyObject {
    /// - Parameter observer: hears everything from now on.
    func start(observer: any RunnerObserver)

    /// What is to be done from now on. The process runs only while there is something.
    func change(_ work: RunnerWork)

    /// Hands over one alert. The answer is `delivered` or `undelivered`, once; when the process dies it is `undelivered`.
    func deliver(_ alert: OutgoingAlert)

    func stop()
}

/// The process itself does not work.
struct RunnerFailure: Equatable {
    var why: String
    var since: Timestamp
}

/// Hears the runner. Called on the watcher's loop.
public protocol RunnerObserver: AnyObject {
    /// All values of one look at one source, by metric name (`redis:used_memory`).
    func measured(_ values: [String: Double], by source: String)
    /// A source does not answer, or not sensibly; `why` is for a person. Said for every look that fails, and for all sources when the
    /// process itself is gone.
    func sourceFailed(_ source: String, why: String)
    func delivered(_ alert: UInt64)
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool)
    /// The process itself has failed, or cannot be started; said once until it works again. It is started anew by itself.
    func runnerFailed(_ why: String)
    /// It works again, or is not needed any more.
    func runnerRecovered()
}

extension RunnerObserver {
    public func runnerFailed(_ why: String) {}
    public func runnerRecovered() {}
}
