// Which TOKEN each process's release had when the process got its program.

import DeployVerification
import Platform

/// Remembers, for each process in each incarnation of its program, the token that stood in its release at its birth.
///
/// A file that is read after the birth proves something only if it has not changed since before the birth: `changed` must not be later
/// than an instant at which the process had not run this program yet. That is its start, or, for a program that an old process
/// has executed, when it was last seen to run another, or when the kernel told of the exec. What was proven once holds for as long as the
/// process runs the same program; what was not may still be, as when a process enters its release as it boots.
struct BirthTokens {
    private struct Process: Hashable {
        var pid: Int32
        var startTicks: UInt64
    }

    private struct Birth {
        var generation: ExecGeneration
        /// It ran this program no earlier.
        var earliest: Timestamp
        /// When it was last seen to run it.
        var seen: Timestamp
        var token: String?
    }

    private static let most = 4096

    private let clockTicks: UInt64
    private var births: [Process: Birth] = [:]

    init(clockTicks: UInt64) { self.clockTicks = max(1, clockTicks) }

    /// - Parameter before: when it was last seen to run what it ran before.
    mutating func see(_ mark: ProcessMark, before: Timestamp? = nil, at now: Moment) {
        guard mark.generation != .unknown else { return }
        let process = Process(pid: mark.pid, startTicks: mark.startTicks)
        let started = now.wall - now.uptime + min(now.uptime, .seconds(Double(mark.startTicks) / Double(clockTicks)))
        guard var known = births[process] else {
            // The start counts, whatever was seen before: of that, nothing is known here.
            births[process] = Birth(generation: mark.generation, earliest: max(started, before ?? started), seen: now.wall)
            return
        }
        if known.generation != mark.generation {
            known = Birth(generation: mark.generation, earliest: max(known.seen, before ?? known.seen), seen: now.wall)
        }
        known.seen = max(known.seen, now.wall)
        births[process] = known
    }

    /// What its release has now, as far as that says what it had at its birth.
    mutating func token(of mark: ProcessMark, at now: Moment, read: () -> ReleaseToken) -> BirthToken {
        guard mark.generation != .unknown else { return .unproven }
        see(mark, at: now)
        let process = Process(pid: mark.pid, startTicks: mark.startTicks)
        guard let birth = births[process] else { return .unproven }
        if let token = birth.token { return .token(token) }
        switch read() {
        case .none: return .none
        case .token(let token, let changed):
            guard changed <= birth.earliest else { return .unproven }
            births[process]?.token = token
            return .token(token)
        }
    }

    /// Forgets those that are gone, when there are many.
    mutating func tidy(isAlive: (_ pid: Int32, _ startTicks: UInt64) -> Bool) {
        guard births.count > Self.most / 2 else { return }
        births = births.filter { isAlive($0.key.pid, $0.key.startTicks) }
        while births.count > Self.most, let any = births.keys.first { births[any] = nil }
    }
}
