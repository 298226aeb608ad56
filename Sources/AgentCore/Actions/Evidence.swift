// The seam between an action and what it would destroy.

/// Collects what a person wants to know of a unit afterwards: its last log lines, its counters, its biggest processes. It lives on the
/// watcher's loop; no call waits.
public protocol EvidenceReader: AnyObject {
    /// - Parameter done: called once, with lines for a person, at the latest when the deadline has passed; what could not be had is said in a
    ///   line or left out.
    func collect(
        of unit: String, initSystem: String, cgroup: String?, mainProcess: ProcessIdentity?, deadline: Duration, _ done: @escaping ([String]) -> Void)
}
