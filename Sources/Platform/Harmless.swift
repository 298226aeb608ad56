// Giving up every right that a process has, for good.

import CLinux
import Glibc

/// What a process could not give up.
public struct HarmlessError: Error, Equatable, CustomStringConvertible, Sendable {
    public var description: String
}

/// Makes this process harmless: another user when it is root, no capabilities, no way to get any, no memory dumps, nobody who may look
/// into it, and an end when its parent's comes. Call it before any other thread is made.
/// - Parameters:
///   - user: who to become when this is root.
///   - parent: the process that started this one; when it has gone already, this is an error.
///   - memory: how many bytes it may allocate.
public func becomeHarmless(user: String, parent: Int32, memory: UInt) throws(HarmlessError) {
    func check(_ result: Int32, _ doing: String) throws(HarmlessError) {
        guard result == 0 else { throw HarmlessError(description: "\(doing) failed: \(String(cString: strerror(errno)))") }
    }
    for (resource, limit) in [(RLIMIT_CORE, 0), (RLIMIT_DATA, memory)] {
        var limits = rlimit(rlim_cur: rlim_t(limit), rlim_max: rlim_t(limit))
        try check(setrlimit(__rlimit_resource_t(resource.rawValue), &limits), "limiting memory and its dumps")
    }
    if geteuid() == 0 || getuid() == 0 {
        guard let entry = getpwnam(user)?.pointee else { throw HarmlessError(description: "there is no user \(user) to become") }
        guard entry.pw_uid != 0 else { throw HarmlessError(description: "\(user) is root: name a user without privileges") }
        try check(setgroups(0, nil), "leaving all groups")
        try check(setgid(entry.pw_gid), "taking the group of \(user)")
        try check(setuid(entry.pw_uid), "becoming \(user)")
    }
    try check(rollcall_prctl(PR_SET_NO_NEW_PRIVS, 1, 0), "giving up the way to privileges")
    // Kernels before 4.3 have no ambient capabilities and refuse this.
    _ = rollcall_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0)
    // A sandbox may forbid the call, as the agent's own does. What counts is that nothing is left: with no capability in the permitted set, and
    // no way to new privileges, none can ever be had again.
    let problem = rollcall_drop_capabilities() == 0 ? nil : String(cString: strerror(errno))
    switch rollcall_has_capabilities() {
    case 0: break
    case 1: throw HarmlessError(description: "giving up capabilities failed: " + (problem ?? "they are still there"))
    default: throw HarmlessError(description: "asking which capabilities are left failed: \(String(cString: strerror(errno)))")
    }
    try check(rollcall_prctl(PR_SET_DUMPABLE, 0, 0), "closing its memory to others")
    // After the change of user, which takes it away again; and a parent that had gone before it would never be noticed.
    try check(rollcall_prctl(PR_SET_PDEATHSIG, UInt(SIGTERM), 0), "asking for the parent's end")
    guard getppid() == parent else { throw HarmlessError(description: "process \(parent), which started this one, has gone") }
}
