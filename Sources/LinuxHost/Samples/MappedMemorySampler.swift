// Proportional memory, which is expensive: the kernel walks all pages of a process to find out who shares them.

import AgentCore
import Glibc
import Platform
import Synchronization

/// Where one unit stands in the round.
final class MappedMemoryTurn {
    fileprivate var result: MappedMemoryResult?
    fileprivate var resultAt = Duration.zero
    /// Not before this.
    fileprivate var due = Duration.zero
    /// Between two turns.
    fileprivate var period = MappedMemorySampler.shortestPeriod
    fileprivate var isTaken = false
    fileprivate var hangs = false
    fileprivate var askedAt: Duration?
}

/// What a turn has found out.
struct MappedMemoryResult: Equatable, Sendable {
    /// In bytes; of processes that have ended meanwhile there is none.
    var processes: [ProcessIdentity: UInt64] = [:]
    var total: UInt64?
    /// As errno says it; 0 when nothing failed.
    var failure: Int32 = 0
    /// Seconds of processor time.
    var cost = 0.0
}

/// Lets units have their turns on a thread of their own, within a budget of processor time.
///
/// Every unit has the same share of the budget: one that costs a hundred times more has its turn a hundred times more seldom, so that a
/// big one neither starves the small ones nor is starved by them. Nobody has a turn more often than every 10 seconds.
final class MappedMemorySampler {
    fileprivate static let shortestPeriod = Duration.seconds(10)
    /// A value that is older than so many turns is no value.
    private static let oldestTurns = 10
    /// A turn that takes longer than this waits for the kernel, which may be for ever.
    private static let patience = Duration.seconds(30)
    /// So many threads may wait for the kernel.
    private static let mostHanging = 4
    /// What a process costs of which nothing is known.
    private static let firstGuess = 0.0005

    private let proc: ProcFileSystem
    /// Seconds of processor time for each second.
    private let budget: Double
    /// What may be spent now; below zero while the last turns are paid off.
    private var credit = 0.0
    private var now = Duration.zero
    private var waiting: [(turn: MappedMemoryTurn, processes: [ProcessIdentity])] = []
    private var running: (round: Round, turns: [MappedMemoryTurn], since: Duration, done: Int)?
    private var hanging: [(round: Round, turn: MappedMemoryTurn)] = []
    /// How many units ask, in this cycle and in the last one.
    private var askers = 0
    private var lastAskers = 1

    /// - Parameter budget: percent of one processor.
    init(proc: ProcFileSystem, budget: Double) {
        self.proc = proc
        self.budget = max(0.01, budget) / 100
    }

    func beginCycle(at uptime: Duration) {
        let passed = max(0, (uptime - now).inSeconds)
        now = uptime
        credit = min(credit + passed * budget, budget)
        lastAskers = max(1, askers)
        askers = 0
        collect()
        start()
    }

    /// Whether it is a unit's turn; it is asked once in a cycle for each.
    func wants(_ turn: MappedMemoryTurn) -> Bool {
        guard turn.askedAt != now else { return false }
        turn.askedAt = now
        askers += 1
        return !turn.isTaken && !turn.hangs && turn.due <= now
    }

    func take(_ turn: MappedMemoryTurn, _ processes: [ProcessIdentity]) {
        turn.isTaken = true
        waiting.append((turn, processes))
    }

    func value(of turn: MappedMemoryTurn) -> UInt64? { isFresh(turn) ? turn.result?.total : nil }

    func value(of turn: MappedMemoryTurn, process: ProcessIdentity) -> UInt64? { isFresh(turn) ? turn.result?.processes[process] : nil }

    func absence(of turn: MappedMemoryTurn) -> Absence {
        if turn.hangs { return .failed("the kernel does not answer: reading its memory map has waited for \(Self.patience.inSeconds) s and more") }
        switch turn.result?.failure ?? 0 {
        case 0: return .notYet
        case EACCES, EPERM: return .failed("permission denied: /proc/PID/smaps_rollup needs CAP_SYS_PTRACE")
        case ENOENT: return .failed("the kernel has no /proc/PID/smaps_rollup: that needs Linux 4.14")
        case let failure: return .failed("/proc/PID/smaps_rollup cannot be read: \(String(cString: strerror(failure)))")
        }
    }

    private func isFresh(_ turn: MappedMemoryTurn) -> Bool { now - turn.resultAt <= turn.period * Self.oldestTurns }

    // MARK: Rounds

    private func collect() {
        hanging.removeAll { round, turn in
            guard round.progress.isFinished else { return false }
            turn.hangs = false
            turn.due = now
            return true
        }
        guard var current = running else { return }
        let progress = current.round.progress
        for index in current.done..<progress.results.count { finish(current.turns[index], progress.results[index]) }
        if progress.results.count > current.done {
            current.done = progress.results.count
            current.since = now
        }
        running = current
        if progress.isFinished {
            running = nil
        } else if now - current.since > Self.patience {
            abandon(current.round, current.turns, done: current.done)
        }
    }

    private func finish(_ turn: MappedMemoryTurn, _ result: MappedMemoryResult) {
        turn.isTaken = false
        turn.result = result
        turn.resultAt = now
        turn.period = Self.period(cost: result.cost, units: lastAskers, budget: budget)
        turn.due = now + turn.period
        credit -= result.cost
    }

    /// How long until the next turn of a unit whose turn has cost so much.
    static func period(cost: Double, units: Int, budget: Double) -> Duration {
        max(shortestPeriod, .seconds(min(1e6, cost * Double(units) / budget)))
    }

    /// Leaves the thread to the kernel; the others have their turns without it.
    private func abandon(_ round: Round, _ turns: [MappedMemoryTurn], done: Int) {
        round.stopAfterThis()
        for turn in turns[done...] { turn.isTaken = false }
        if done < turns.count {
            turns[done].hangs = true
            hanging.append((round, turns[done]))
        }
        running = nil
    }

    private func start() {
        guard running == nil, !waiting.isEmpty, credit > 0, hanging.count < Self.mostHanging else { return }
        // As many as can be paid for, and one in any case.
        var cost = 0.0
        var count = 0
        while count < waiting.count, count == 0 || cost < credit {
            let (turn, processes) = waiting[count]
            cost += turn.result?.cost ?? Double(processes.count) * Self.firstGuess
            count += 1
        }
        let round = Round(waiting[..<count].map(\.processes), proc: proc)
        guard detachThread({ round.run() }) else { return }
        running = (round, waiting[..<count].map(\.turn), now, 0)
        waiting.removeFirst(count)
    }
}

/// The turns that one thread does, in their order.
private final class Round: Sendable {
    struct Progress: Sendable {
        var results: [MappedMemoryResult] = []
        var isFinished = false
        var mustStop = false
    }

    private let turns: [[ProcessIdentity]]
    private let proc: ProcFileSystem
    private let state = Mutex(Progress())

    init(_ turns: [[ProcessIdentity]], proc: ProcFileSystem) {
        self.turns = turns
        self.proc = proc
    }

    var progress: Progress { state.withLock { $0 } }

    func stopAfterThis() { state.withLock { $0.mustStop = true } }

    func run() {
        for processes in turns {
            let result = measure(processes)
            let mustStop = state.withLock { state in
                state.results.append(result)
                return state.mustStop
            }
            if mustStop { break }
        }
        state.withLock { $0.isFinished = true }
    }

    private func measure(_ processes: [ProcessIdentity]) -> MappedMemoryResult {
        var result = MappedMemoryResult()
        let begin = threadTime()
        for process in processes {
            // The process that has the pid after its map was opened is the one whose map it is.
            let descriptor = open(proc.path(of: process.pid, "smaps_rollup"), O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                let failure = errno
                if proc.stat(of: process.pid)?.startTicks == process.startTicks { result.failure = failure }
                continue
            }
            defer { close(descriptor) }
            guard proc.stat(of: process.pid)?.startTicks == process.startTicks, let text = readBeginning(of: descriptor, limit: 4096),
                let memory = MappedMemory(parsing: text.span)
            else { continue }
            result.processes[process] = memory.proportional
        }
        if result.failure == 0, !result.processes.isEmpty {
            result.total = result.processes.values.reduce(0) { $0 &+ $1 }
        }
        result.cost = threadTime() - begin
        return result
    }
}

private func threadTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
