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

/// Sends a signal to the process that a descriptor of `openProcess` stands for, and to no other (pidfd_send_signal(2)).
public func sendSignal(_ number: Int32, toProcess descriptor: Int32) throws(SystemError) {
    guard rollcall_pidfd_send_signal(descriptor, number) == 0 else { throw SystemError("sending signal \(number)") }
}
