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

    /// Finds out which processes of a unit the kernel has killed because memory ran out.
    /// - Parameters:
    ///   - cgroup: the unit's.
    ///   - age: what happened before is not meant.
    ///   - deadline: what is not known by then is left out.
    ///   - done: called once, with a few words for each, the latest first: `python3 (pid 123, 56.8m resident)`; empty when nothing is known.
    func kills(in cgroup: String, within age: Duration, deadline: Duration, _ done: @escaping ([String]) -> Void)
}
