// New processes that come and go.

import AgentAPI

/// Counts the new processes that die young. It judges that they die, not how: a worker that cannot boot may well end with status 0.
struct Churn: Sendable {
    struct Death: Equatable, Sendable {
        var pid: Int32
        var born: Duration
        var died: Duration
        var status: Int32?

        var lifetime: Duration { died - born }
    }

    /// A program that was started anew, and of which nothing is left.
    struct FailedStart: Equatable, Sendable {
        var pid: Int32
        var at: Duration
        var status: Int32?
    }

    private struct Birth {
        var at: Duration
        var generation: ExecGeneration?
        /// Only forked, as far as is known, and never seen with a listener.
        var isGuess: Bool
    }

    static let youth = Duration.seconds(5)
    private static let most = 64

    /// Of new processes that died young, the latest last; of very many, the first and the latest.
    private(set) var deaths: [Death] = []
    private(set) var failedStart: FailedStart?
    private(set) var lastBirth: Duration?
    private var living: [Int32: Birth] = [:]
    private var exits: [Int32: (status: Int32?, at: Duration)] = [:]
    private var lastGenerations: [Int32: ExecGeneration] = [:]

    /// - Parameters:
    ///   - new: those that the deploy brought, and that are workers, masters, or the main process.
    ///   - known: the programs that ran before the deploy.
    mutating func observe(_ look: ServiceLook, new: [ServiceProcess], known: Set<ExecGeneration>) {
        let present = Dictionary(look.processes.filter { !$0.isGone }.map { ($0.mark.pid, $0.mark.generation) }, uniquingKeysWith: { a, _ in a })
        for process in new {
            let pid = process.mark.pid
            if living[pid] == nil {
                // One that is exec'ed in place has been there for long, and yet its life begins now.
                let wasThere = lastGenerations[pid].map { $0 != process.mark.generation } ?? false
                bear(pid, Birth(at: wasThere ? look.at : min(look.at, process.started), generation: process.mark.generation, isGuess: false))
            } else {
                living[pid]?.isGuess = false
                living[pid]?.generation = process.mark.generation
            }
        }
        for (pid, birth) in living where present[pid] == nil && birth.at < look.at { bury(pid, at: look.at) }
        if let failed = failedStart, failed.status == nil, let exit = exits[failed.pid] { failedStart?.status = exit.status }
        lastGenerations = present
        if !ended.isEmpty { judgeStarts(present: Set(present.values), known) }
        exits = exits.filter { look.at - $0.value.at < .seconds(30) }
    }

    /// - Parameters:
    ///   - parents: who is forked by these is a worker to be.
    ///   - served: has taken requests: one that ends with success after that has done its work, as where each has only so many requests.
    mutating func observe(_ incident: ProcessIncident, parents: Set<Int32>, served: (Int32) -> Bool) {
        switch incident.what {
        case .fork(let parent):
            if parents.contains(parent) || living[parent].map({ !$0.isGuess }) ?? false {
                bear(incident.pid, Birth(at: incident.at, generation: nil, isGuess: true))
            }
        case .exec:
            // A helper program that somebody runs.
            if living[incident.pid]?.isGuess == true { living[incident.pid] = nil }
        case .exit(let status):
            exits[incident.pid] = (status, incident.at)
            if status == 0, served(incident.pid) { living[incident.pid] = nil }
            bury(incident.pid, at: incident.at)
        }
    }

    private mutating func bear(_ pid: Int32, _ birth: Birth) {
        guard living.count < 4096 else { return }
        living[pid] = birth
        lastBirth = max(lastBirth ?? birth.at, birth.at)
    }

    private var ended: [ExecGeneration: (pid: Int32, at: Duration)] = [:]

    private mutating func bury(_ pid: Int32, at now: Duration) {
        guard let birth = living.removeValue(forKey: pid) else { return }
        if let generation = birth.generation { ended[generation] = (pid, now) }
        guard now - birth.at <= Self.youth else { return }
        deaths.append(Death(pid: pid, born: birth.at, died: now, status: exits[pid]?.status))
        // The first ones tell since when it goes on.
        if deaths.count > Self.most { deaths.remove(at: 3) }
    }

    /// Of which new program nothing is left.
    private mutating func judgeStarts(present: Set<ExecGeneration>, _ known: Set<ExecGeneration>) {
        for (generation, end) in ended where !present.contains(generation) {
            ended[generation] = nil
            guard !known.contains(generation), generation != .unknown else { continue }
            failedStart = FailedStart(pid: end.pid, at: end.at, status: exits[end.pid]?.status)
        }
        if ended.count > 1000 { ended = [:] }
    }

    /// Since when new processes have died again and again: at least three, and one of them came after another had died. Workers that
    /// somebody ends once, all together, are no loop.
    func loop(at now: Duration) -> (third: Duration, last: Duration)? {
        let recent = deaths.filter { now - $0.died <= .seconds(60) }.sorted { $0.died < $1.died }
        guard recent.count >= 3, let first = recent.first, let last = recent.last, now - last.died < Self.youth else { return nil }
        guard recent.contains(where: { $0.born >= first.died }) else { return nil }
        return (recent[2].died, last.died)
    }

    /// How long those must live that came after others had died young: longer than any of these.
    var proof: Duration {
        deaths.map(\.lifetime).max().map { min(Self.youth, $0 + $0 / 2 + .milliseconds(500)) } ?? .zero
    }
}
