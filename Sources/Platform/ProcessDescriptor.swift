// A process as a descriptor.

import CLinux
import Glibc

/// Opens a descriptor that becomes readable when the process ends (pidfd_open(2)), for `Loop.watch`; the caller closes it.
///
/// It stands for the process that had the pid at this moment, whatever gets the pid later.
public func openProcess(_ pid: Int32) throws(SystemError) -> Int32 {
    let descriptor = rollcall_pidfd_open(pid)
    guard descriptor >= 0 else { throw SystemError("opening process \(pid)") }
    return descriptor
}
