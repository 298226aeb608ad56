// The seam to what a restart would destroy.

/// Collects what tells why a unit is in trouble: its last log lines, its cgroup's counters, its biggest processes. It lives on the watcher's
/// loop; no call waits.
public protocol EvidenceReader: AnyObject {
    /// - Parameters:
    ///   - unit: its own name.
    ///   - deadline: what is not collected by then is left out.
    ///   - done: called once, with lines for a person.
    func collect(
        of unit: String, initSystem: String, cgroup: String?, mainProcess: ProcessIdentity?, deadline: Duration, _ done: @escaping ([String]) -> Void
    )
}
