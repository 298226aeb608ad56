// runit's supervise/status.

import Platform

extension ServiceStatus {
    /// 20 bytes: TAI64N label (12), pid (4, little endian), paused, what is wanted (`u`, `d`), whether TERM was sent, and the state
    /// (0 down, 1 run, 2 finish). `nil` for anything else; daemontools' files have 18 bytes and s6's 35.
    init?(runit bytes: [UInt8]) {
        guard bytes.count == 20, bytes[17] == UInt8(ascii: "u") || bytes[17] == UInt8(ascii: "d") || bytes[17] == 0 else { return nil }
        let number = bytes[12..<16].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let pid = Int32(exactly: number) else { return nil }
        switch bytes[19] {
        case 0: state = .down
        case 1:
            guard pid > 0 else { return nil }
            state = .running(pid: pid)
        case 2: state = .finishing
        default: return nil
        }
        since = timestamp(tai64n: bytes[0..<12])
        isPaused = bytes[16] != 0
        isWantedUp = bytes[17] == UInt8(ascii: "u")
        gotTerm = bytes[18] != 0
        lastExit = nil
        isReady = nil
    }
}
