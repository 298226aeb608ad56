// What the programs that a process starts may do.

import CLinux

/// Clears the ambient capabilities (capabilities(7)): what this process may do, the programs that it starts may not. A kernel that has no
/// such thing hands nothing on either.
public func keepCapabilitiesFromChildren() { _ = rollcall_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0) }
