// Runs every check on its schedule: spread over time, one run of each at a time, each under its deadline.

public import Platform

/// Runs checks until its task is cancelled.
///
/// Every check has a fixed phase that follows from its name: its runs start where `(uptime - phase)` is a multiple of its interval, so
/// that a thousand checks of one interval never start together and a reload or a restart moves none of them. A new or changed check
/// has its first run within a minute, however long its interval is. A check never runs twice at once: a run that is due while the one
/// before still goes on starts when that ends, and of several such runs only one.
public actor CheckRunner {
    /// What the runner did since the pass before: whoever shows whether checks run looks here.
    public struct Pass: Sendable {
        public var at: Moment
        /// How many runs are going now.
        public var running: Int
        /// How much later than planned the latest start since the pass before was; `nil` when nothing started.
        public var lateness: Duration?

        public init(at: Moment, running: Int, lateness: Duration?) {
            self.at = at
            self.running = running
            self.lateness = lateness
        }
    }

    /// The longest time between two passes, however little there is to do.
    public static let longestPause = Duration.seconds(5)
    /// Starts that are nearer to each other share a pass: with thousands of checks a pass costs more than a start.
    static let shortestPause = Duration.milliseconds(10)
    /// By when after its appearance a check has been started.
    static let firstRunWithin = Duration.seconds(60)
    /// How much longer than its deadline a probe may take to explain itself before the runner answers for it.
    static let grace = Duration.seconds(1)

    private struct Entry {
        var check: Check
        /// Uptime of the next start.
        var due: Duration
        /// Changes with the check, so that the result of a run with earlier settings is told apart.
        var generation: Int
    }

    private let time: any TimeSource
    private var entries: [String: Entry] = [:]
    private var generation = 0
    /// The names of the checks that run now, whatever became of them since.
    private var running: Set<String> = []
    /// Those of them whose next run is already due.
    private var waiting: Set<String> = []
    private var lateness: Duration?
    private var pause: Task<Void, Never>?

    public init(time: any TimeSource) { self.time = time }

    /// Replaces the checks. Unchanged ones keep their plan; changed and new ones run soon; the results of runs that still go on for
    /// removed or changed ones are dropped. Of several checks with one name the last counts.
    public func update(checks: [Check]) {
        let now = time.now().uptime
        var updated: [String: Entry] = [:]
        for check in checks {
            generation += 1
            var entry = Entry(check: check, due: firstDue(of: check, after: now), generation: generation)
            if let old = entries[check.name], old.check.every == check.every, old.check.deadline == check.deadline,
                old.check.probe.summary == check.probe.summary
            {
                entry.due = old.due
                entry.generation = old.generation
            }
            updated[check.name] = entry
        }
        entries = updated
        pause?.cancel()
    }

    /// Runs the checks of the latest `update` until the task is cancelled, which ends the runs that are going and drops their results.
    /// - Parameters:
    ///   - onResult: takes each result; the check's next run waits until it returns.
    ///   - onPass: hears of each pass of the scheduler, at least every `longestPause`; it must not wait.
    public func run(
        onResult: @escaping @Sendable (CheckResult) async -> Void,
        onPass: @escaping @Sendable (Pass) -> Void = { _ in }
    ) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let now = time.now()
                for (name, entry) in entries where entry.due <= now.uptime {
                    entries[name]?.due = nextDue(of: entry.check, after: now.uptime)
                    guard running.insert(name).inserted else {
                        waiting.insert(name)
                        continue
                    }
                    group.addTask { await self.runOnce(entry.check, due: entry.due, generation: entry.generation, onResult) }
                }
                onPass(Pass(at: now, running: running.count, lateness: lateness))
                lateness = nil
                let next = entries.values.lazy.map(\.due).min() ?? .seconds(Int64.max)
                await sleep(min(max(next - time.now().uptime, Self.shortestPause), Self.longestPause))
            }
            group.cancelAll()
        }
    }

    /// Sleeps until the time is over, `update` was called, or the task is cancelled.
    private func sleep(_ duration: Duration) async {
        let nap = Task { [time] in
            guard duration > .zero else { return }
            try? await time.sleep(duration)
        }
        pause = nap
        await withTaskCancellationHandler {
            await nap.value
        } onCancel: {
            nap.cancel()
        }
    }

    private func runOnce(_ check: Check, due: Duration, generation: Int, _ onResult: @Sendable (CheckResult) async -> Void) async {
        let start = time.now()
        lateness = max(lateness ?? .zero, start.uptime - due)
        let probe = Task { await check.probe.run(deadline: check.deadline) }
        let outcome = await firstAnswer(of: probe, deadline: check.deadline)
        let took = time.now().uptime - start.uptime
        // A run that a shutdown or a reload cut short says nothing about what it probed.
        if !Task.isCancelled, entries[check.name]?.generation == generation {
            let judged = judged(outcome, of: check, after: took)
            await onResult(CheckResult(check: check.name, startedAt: start.wall, duration: took, outcome: judged))
        }
        probe.cancel()
        // Not awaited: a probe that ignores its cancellation keeps its own check from starting again, and nothing else.
        Task {
            _ = await probe.value
            ended(check.name)
        }
    }

    private func ended(_ name: String) {
        running.remove(name)
        guard waiting.remove(name) != nil else { return }
        entries[name]?.due = time.now().uptime
        pause?.cancel()
    }

    /// What the probe answers, or that it did not; returns when the task is cancelled.
    private func firstAnswer(of probe: Task<ProbeOutcome, Never>, deadline: Duration) async -> ProbeOutcome {
        let silence = ProbeOutcome.failed(reason: "no result within \(seconds(deadline))")
        let (answers, answer) = AsyncStream.makeStream(of: ProbeOutcome.self)
        let listener = Task { answer.yield(await probe.value) }
        let alarm = Task { [time] in
            try? await time.sleep(deadline + Self.grace)
            answer.yield(silence)
        }
        defer {
            listener.cancel()
            alarm.cancel()
        }
        for await first in answers { return first }
        return silence
    }

    private func judged(_ outcome: ProbeOutcome, of check: Check, after took: Duration) -> ProbeOutcome {
        guard outcome.hasPassed, took > check.deadline else { return outcome }
        return .failed(reason: "took \(seconds(took)), longer than its deadline of \(seconds(check.deadline))")
    }

    private func firstDue(of check: Check, after now: Duration) -> Duration {
        let spread = min(check.every, Self.firstRunWithin)
        return min(nextDue(of: check, after: now), now + phase(of: check.name, within: spread))
    }

    /// The first start on the check's grid that is later than `now`.
    private func nextDue(of check: Check, after now: Duration) -> Duration {
        let every = max(check.every.microseconds, 1)
        let phase = phase(of: check.name, within: check.every).microseconds
        let past = now.microseconds - phase
        let slot = past >= 0 ? past / every + 1 : 0
        return .microseconds(phase + slot * every)
    }

    /// Where in `interval` a check starts: the same in every process (Swift's own hashes are not).
    private func phase(of name: String, within interval: Duration) -> Duration {
        let hash = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }  // FNV-1a
        // FNV's low bits barely move with the last letter, in which names often differ: mix them.
        let mixed = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        return .microseconds(Int64((mixed ^ (mixed >> 33)) % UInt64(max(interval.microseconds, 1))))
    }
}

/// `10 s`, `0.5 s`.
private func seconds(_ duration: Duration) -> String {
    let tenths = Int64((duration.inSeconds * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
}
