// s6's supervise/status.

import AgentCore
import Platform

extension ServiceStatus {
    /// Two TAI64N labels (since when, ready since when), the pid (8, big endian), since s6 2.13 the process group (8), the wait
    /// status of the last run (2) and flags (1: paused, 2: finishing, 4: wanted up, 8: ready). `nil` for any other length than the
    /// two that are known, 35 and 43 bytes.
    init?(s6 bytes: [UInt8]) {
        guard bytes.count == 35 || bytes.count == 43 else { return nil }
        let tail = bytes.count - 3
        guard let pid = Int32(exactly: bigEndian(bytes[24..<32])), pid >= 0 else { return nil }
        let flags = bytes[tail + 2]
        if pid == 0 {
            state = .down
        } else {
            state = flags & 2 != 0 ? .finishing : .running(pid: pid)
        }
        since = timestamp(tai64n: bytes[0..<12])
        isPaused = flags & 1 != 0
        isWantedUp = flags & 4 != 0
        gotTerm = false
        isReady = flags & 8 != 0
        // Of a service that runs, the wait status is of the run before; the time when nothing has run yet says so in no other way.
        let status = Int32(bytes[tail]) << 8 | Int32(bytes[tail + 1])
        switch status & 0x7f {
        case 0: lastExit = .exited(status: status >> 8 & 0xff)
        case 0x7f: lastExit = nil
        default: lastExit = status & 0x80 != 0 ? .dumpedCore(signal: status & 0x7f) : .signaled(status & 0x7f)
        }
    }
}
