// Which TOKEN each process's release had when the process got its program.

import DeployVerification
import Platform

/// Remembers, for each process in each incarnation of its program, the token that stood in its release at its birth.
///
/// A file that is read after the birth proves something only if it has not changed since before the birth: `changed` must not be later
/// than an instant at which the process had not run this program yet. That is its start, or, for a program that an old process
/// has executed, when it was last seen to run another, or when the kernel told of the exec. What was proven once holds for as long as the
/// process runs the same program; what was not may still be, as when a process enters its release as it boots. When the clock is set, what
/// was born before that cannot be compared with files any more.
struct BirthTokens {
    private struct Process: Hashable {
        var pid: Int32
        var startTicks: UInt64
    }

    private struct Birth {
        var generation: ExecGeneration
        /// It ran this program no earlier, by the clock as it is and by the time since boot.
        var earliest: Moment
        /// When it was last seen to run it.
        var seen: Moment
        var token: String?
    }

    private static let most = 4096
    /// Starts are told in hundredths of a second, and the kernel stamps files with the time of its last tick.
    private static let coarseness = Duration.milliseconds(10)
    /// Time since boot and the clock are not read at the same instant, and much may come between on a busy host.
    private static let leastStep = Duration.seconds(1)

    private let clockTicks: UInt64
    private var births: [Process: Birth] = [:]
    /// The clock's time of the boot, and when it was last seen to have changed.
    private var boot: Timestamp?
    private var stepped = Duration.zero

    init(clockTicks: UInt64) { self.clockTicks = max(1, clockTicks) }

    /// - Parameter before: when it was last seen to run what it ran before.
    mutating func see(_ mark: ProcessMark, before: Timestamp? = nil, at now: Moment) {
        guard mark.generation != .unknown else { return }
        notice(boot: now.wall - now.uptime, at: now)
        let process = Process(pid: mark.pid, startTicks: mark.startTicks)
        let before = before.map { Moment(wall: $0, uptime: max(.zero, now.uptime - (now.wall - $0))) }
        let birth: Moment
        switch births[process] {
        case let known? where known.generation == mark.generation:
            if known.seen.wall < now.wall { births[process]?.seen = now }
            return
        case let known?: birth = later(known.seen, before)
        case nil:
            // The start counts, whatever was seen before: of that, nothing is known here.
            let started = min(now.uptime, .seconds(Double(mark.startTicks) / Double(clockTicks)))
            birth = later(Moment(wall: now.wall - now.uptime + started, uptime: started), before)
        }
        births[process] = Birth(generation: mark.generation, earliest: birth, seen: now)
    }

    private func later(_ one: Moment, _ other: Moment?) -> Moment {
        guard let other, other.wall > one.wall else { return one }
        return other
    }

    private mutating func notice(boot now: Timestamp, at moment: Moment) {
        if let boot, now - boot > Self.leastStep || boot - now > Self.leastStep { stepped = moment.uptime }
        boot = now
    }

    /// What its release has now, as far as that says what it had at its birth.
    /// - Parameter read: `nil` when the release's file system does not answer.
    mutating func token(of mark: ProcessMark, at now: Moment, read: () -> ReleaseToken?) -> BirthToken {
        guard mark.generation != .unknown else { return .unproven }
        see(mark, at: now)
        let process = Process(pid: mark.pid, startTicks: mark.startTicks)
        guard let birth = births[process] else { return .unproven }
        if let token = birth.token { return .token(token) }
        switch read() {
        case nil: return .unproven
        case .some(.none): return .none
        case .token(let token, let changed):
            guard changed + Self.coarseness <= birth.earliest.wall, birth.earliest.uptime >= stepped else { return .unproven }
            births[process]?.token = token
            return .token(token)
        }
    }

    /// Whether a process may have run its program before a file was changed; `nil`: the clock was set meanwhile.
    mutating func isOlder(_ mark: ProcessMark, than changed: Timestamp, at now: Moment) -> Bool? {
        guard mark.generation != .unknown else { return nil }
        see(mark, at: now)
        guard let birth = births[Process(pid: mark.pid, startTicks: mark.startTicks)], birth.earliest.uptime >= stepped else { return nil }
        // Both times are coarse, and who starts a server just after it has written the file is right to do so.
        return birth.earliest.wall + Self.coarseness + Self.coarseness < changed
    }

    /// Forgets those that are gone, when there are many.
    mutating func tidy(isAlive: (_ pid: Int32, _ startTicks: UInt64) -> Bool) {
        guard births.count > Self.most / 2 else { return }
        births = births.filter { isAlive($0.key.pid, $0.key.startTicks) }
        while births.count > Self.most, let any = births.keys.first { births[any] = nil }
    }
}
