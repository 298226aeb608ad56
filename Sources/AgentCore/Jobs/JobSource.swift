// The seam between recurring jobs and whoever starts them.

public import Platform

/// Somebody who starts jobs at given times and knows how they went: systemd's timers. It lives on the watcher's loop; no call waits.
public protocol JobSource: AnyObject {
    /// Begins to watch the jobs whose names match one of these shell patterns; the observer hears of each at once, and of every change.
    func start(watching patterns: [String], observer: any JobObserver)
    func change(watching patterns: [String])
    func stop()
}

/// Hears of jobs. Called on the watcher's loop.
public protocol JobObserver: AnyObject {
    func job(_ job: DiscoveredJob)
    /// It is there no longer, or nobody starts it any more.
    func jobGone(_ name: String)
}

/// A job that nobody had to announce.
public struct DiscoveredJob: Equatable, Sendable {
    /// `logrotate.timer`
    public var name: String
    /// What it starts: `logrotate.service`.
    public var unit: String
    /// When it was last started; `nil` when it never was.
    public var lastStart: Timestamp?
    /// When it is to be started next; `nil` when nobody knows.
    public var nextDue: Timestamp?
    public var isRunning: Bool
    /// How the last run ended; `nil` while it runs and when there was none.
    public var lastExit: ExitReason?

    public init(name: String, unit: String, lastStart: Timestamp?, nextDue: Timestamp?, isRunning: Bool, lastExit: ExitReason?) {
        self.name = name
        self.unit = unit
        self.lastStart = lastStart
        self.nextDue = nextDue
        self.isRunning = isRunning
        self.lastExit = lastExit
    }
}
