// Which deploy token each unit's main process was started with.

import AgentCore
import Glibc
import Logging
import Platform

/// Remembers, for each watched unit, the token that stood in the release when its main process got its program (start or exec).
///
/// The token is read when the process is first seen, and then never again for the same (pid, start time, exec generation): a TOKEN
/// that is rewritten later does not change what an old process is said to carry. A hot restart is an exec and looks anew. Where no
/// token was found at first, the process may still be on its way into its release (it changes its directory as it boots), so that
/// later looks count too, but only for a file that has not changed since this generation was first noticed; and of a process that
/// was first noticed long after its start, only for one that has not changed since the start.
///
/// An exec must be noticed soon after it happened, because it is then that its TOKEN counts. The watcher samples a mark that every exec
/// changes, and a changed one is looked at here at once; of a process without a mark the generation is read in every cycle. For a token
/// that was not found it looks again after twice as long each time, and whenever somebody asks.
///
/// It lives on the event loop and reads a few small files of /proc and one of the release; never on the watcher's thread.
final class DeployTokens {
    enum Answer: Equatable {
        case token(String)
        /// The process carries none.
        case none
        /// The unit has no main process.
        case down
        /// Nobody watches such a unit.
        case unwatched
    }

    /// The clock of /proc counts ticks of 10 ms, and wall clocks are set: a file may seem this much younger than it is.
    private static let tolerance = Duration.seconds(1)

    /// A process that does not enter its release for this long is looked at no more often.
    private static let longestWait = Duration.seconds(300)

    private final class Carried {
        let process: ProcessIdentity
        var generation: ExecGeneration
        /// When this generation was first noticed.
        var noticed: Moment
        /// No later than this the process started, if this is the generation in which it was first noticed.
        var started: Timestamp?
        /// What the watcher sampled last; `nil` as long as it samples none.
        var mark: ExecMark?
        var token: String?
        /// Why there is no token, as it was last logged.
        var why: String?
        /// When to look for a token again, by uptime.
        var due = Duration.zero

        init(_ process: ProcessIdentity, _ generation: ExecGeneration, noticed: Moment, started: Timestamp) {
            self.process = process
            self.generation = generation
            self.noticed = noticed
            self.started = started
        }
    }

    private let files: ProcessFiles
    private let ticksPerSecond: Double
    private let logger: Logger
    /// By unit; `nil` for one without main process.
    private var units: [String: Carried?] = [:]
    /// What `watched` was last told, as long as nothing has come in since.
    private var names: [String]?

    /// - Parameter root: where the proc file system is mounted.
    init(root: String = "/proc", logger: Logger) {
        files = ProcessFiles(root: root)
        ticksPerSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        self.logger = logger
    }

    func mainProcess(of unit: String, is process: ProcessIdentity?, at now: Moment) {
        names = nil
        guard let process else {
            units[unit] = .some(nil)
            return
        }
        if let known = units[unit] ?? nil, known.process == process {
            look(at: unit, now: now)
            return
        }
        let started = now.wall - now.uptime + .seconds(Double(process.startTicks) / ticksPerSecond) + Self.tolerance
        let carried = Carried(process, files.execGeneration(of: process.pid), noticed: now, started: started)
        units[unit] = carried
        read(for: unit, carried, now: now)
    }

    /// The watcher has sampled another exec mark of this unit's main process, or samples none any longer.
    func mainProcess(of unit: String, hasMark mark: ExecMark?, at now: Moment) {
        guard let carried = units[unit] ?? nil else { return }
        carried.mark = mark
        look(at: unit, now: now)
    }

    /// These units are watched; others that have no main process are forgotten.
    func watched(_ names: some Sequence<String>) {
        // It is said in every cycle, and hardly ever new.
        if let known = self.names, names.elementsEqual(known) { return }
        self.names = Array(names)
        let names = Set(names)
        units = units.filter { $0.value != nil || names.contains($0.key) }
        for name in names where units[name] == nil { units[name] = .some(nil) }
    }

    /// Notices what has changed since the last look. Called when something has happened, of which an exec may be a part.
    func lookAtAll(now: Moment) {
        for case (let unit, let carried?) in units { look(at: unit, carried, now: now, isPatient: true) }
    }

    /// Notices what no mark tells, and looks again for tokens that have not been found. Called in every cycle.
    func lookWhereDue(now: Moment) {
        for case (let unit, let carried?) in units {
            if carried.mark == nil {
                look(at: unit, carried, now: now, isPatient: true)
            } else if carried.token == nil, carried.due <= now.uptime {
                read(for: unit, carried, now: now)
            }
        }
    }

    /// Notices what has changed with the process of this unit.
    func look(at unit: String, now: Moment) {
        if let carried = units[unit] ?? nil { look(at: unit, carried, now: now, isPatient: false) }
    }

    /// - Parameter isPatient: a token that was not found may wait until it is due.
    private func look(at unit: String, _ carried: Carried, now: Moment, isPatient: Bool) {
        guard files.isAlive(carried.process) else { return }
        let generation = files.execGeneration(of: carried.process.pid)
        var isPatient = isPatient
        if generation.isLater(than: carried.generation) {
            carried.generation = generation
            carried.noticed = now
            carried.started = nil
            carried.token = nil
            carried.why = nil
            isPatient = false
        } else if carried.generation == .unknown {
            carried.generation = generation
        }
        if carried.token == nil, !isPatient || carried.due <= now.uptime { read(for: unit, carried, now: now) }
    }

    /// - Parameter name: a unit's name; `.service` may be left out.
    func answer(for name: String, now: Moment) -> Answer {
        guard let unit = [name, "\(name).service"].first(where: { units[$0] != nil }) else { return .unwatched }
        look(at: unit, now: now)
        guard let carried = units[unit] ?? nil, files.isAlive(carried.process) else { return .down }
        return carried.token.map { .token($0) } ?? .none
    }

    private func read(for unit: String, _ carried: Carried, now: Moment) {
        // After as long again as since the process was noticed: most that have a release enter it as they boot.
        carried.due = now.uptime + min(Self.longestWait, now.uptime - carried.noticed.uptime)
        switch decide(carried) {
        case .success(let token):
            carried.token = token
            logger.debug("deploy token read", metadata: ["unit": "\(unit)", "pid": "\(carried.process.pid)"])
        case .failure(let reason) where reason.why != carried.why:
            carried.why = reason.why
            logger.debug("no deploy token", metadata: ["unit": "\(unit)", "pid": "\(carried.process.pid)", "why": "\(reason.why)"])
        case .failure: return
        }
    }

    private struct NoToken: Error {
        var why: String
    }

    private func decide(_ carried: Carried) -> Result<String, NoToken> {
        switch ReleaseToken(of: carried.process.pid, in: files) {
        case .none(let why): return .failure(NoToken(why: why))
        case .token(let token, let changed):
            if changed > carried.noticed.wall { return .failure(NoToken(why: "TOKEN was written after the process had started")) }
            if let started = carried.started, changed > started {
                return .failure(NoToken(why: "TOKEN is newer than the process, whose start was not seen"))
            }
            // The process may have gone on while its directory was read; then this token is not that generation's.
            guard files.isAlive(carried.process), !files.execGeneration(of: carried.process.pid).isLater(than: carried.generation) else {
                return .failure(NoToken(why: "the process changed meanwhile"))
            }
            return .success(token)
        }
    }
}
