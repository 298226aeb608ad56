// What a supervise/status file says.

import AgentCore
import Platform

/// runit's and s6's status files, in common words.
struct ServiceStatus: Equatable, Sendable {
    enum State: Equatable, Sendable {
        case down
        case running(pid: Int32)
        /// The service has ended and its `finish` script runs.
        case finishing
    }

    var state: State
    /// When it entered the state; `nil` when the file's time makes no sense.
    var since: Timestamp?
    var isPaused: Bool
    /// Whether its supervisor keeps it up.
    var isWantedUp: Bool
    /// Its supervisor has sent it a TERM that it has not died of yet; runit tells, s6 does not.
    var gotTerm: Bool
    /// How its last run ended; s6 tells, runit does not.
    var lastExit: ExitReason?
    /// Whether it has said that it is ready; `nil` where the file does not tell.
    var isReady: Bool?
}

/// The TAI64N label in the first twelve bytes: TAI seconds since 1970 with 10 s more, as both programs write it; and nanoseconds.
func timestamp(tai64n bytes: ArraySlice<UInt8>) -> Timestamp? {
    guard bytes.count == 12 else { return nil }
    let seconds = bigEndian(bytes.prefix(8))
    let nanoseconds = bigEndian(bytes.suffix(4))
    let origin: UInt64 = 1 << 62
    guard seconds >= origin + 10, seconds - origin < 1 << 40, nanoseconds < 1_000_000_000 else { return nil }
    return Timestamp(microseconds: Int64(seconds - origin - 10) * 1_000_000 + Int64(nanoseconds / 1000))
}

func bigEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
