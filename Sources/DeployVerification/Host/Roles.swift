// Who of a service's processes takes requests.

import AgentAPI

/// What earlier looks showed of processes that are still there.
struct RoleMemory: Sendable {
    /// Took a request, and it was seen that it was them.
    var answered: Set<ProcessMark> = []
    /// Held a listener.
    var held: Set<ProcessMark> = []
    /// Held it for others.
    var masters: Set<ProcessMark> = []

    /// What is gone does not come back: marks are never used twice.
    mutating func keep(_ look: ServiceLook, _ roles: Roles) {
        let present = Set(look.processes.map(\.mark))
        answered.formIntersection(present)
        held.formIntersection(present)
        masters.formIntersection(present)
        for process in look.processes where !(process.listeners ?? []).isEmpty { held.insert(process.mark) }
        // Without a control group, a worker whose new master is not known yet looks like a stranger for a moment.
        for process in roles.masters where !process.isForeign { masters.insert(process.mark) }
    }
}

/// The processes that matter to a deploy, by what they do.
struct Roles: Sendable {
    private(set) var workers: [ServiceProcess] = []
    private(set) var masters: [ServiceProcess] = []
    /// Alive, and their open files may not be read: they may accept connections or not.
    private(set) var unseen: [ServiceProcess] = []
    /// There is no listener, and there was none before: the processes that run the service's program are its workers.
    private(set) var isWithoutListener = false

    /// A holder that is the parent of another holder is no worker, with four exceptions. One that has taken a request is one, whatever
    /// it looks like. One that was forked by a holder is one (others may be forked from it in turn, as from Puma's first worker). One that was
    /// a worker before the deploy stays one: else a child that inherits a listener would hide it; but not one that never answered and whose children
    /// do: that was a master whose workers were still to come. And of what is alone, a former master stays a master: its workers are gone.
    init(_ look: ServiceLook, before: Baseline?, memory: RoleMemory) {
        let alive = look.processes.filter { !$0.isGone }
        unseen = alive.filter { $0.listeners == nil && !$0.isForeign }
        guard !look.listeners.isEmpty || before == nil || before?.listeners.isEmpty == false else {
            readTree(alive)
            return
        }
        let aside = before.map { Self.inodes(aside: $0, look) } ?? []
        let holders = alive.filter { !($0.listeners ?? []).subtracting(aside).isEmpty }
        let byPid = Dictionary(holders.map { ($0.mark.pid, $0) }, uniquingKeysWith: { first, _ in first })
        let parents = Set(holders.map(\.parent))
        func wasWorker(_ holder: ServiceProcess) -> Bool {
            guard let known = before?.processes.first(where: { $0.mark == holder.mark && $0.role == .worker }) else { return false }
            return known.answer != nil || !holders.contains { $0.parent == holder.mark.pid && memory.answered.contains($0.mark) }
        }
        for holder in holders {
            if memory.answered.contains(holder.mark) || wasWorker(holder) {
                workers.append(holder)
            } else if holder.isForeign {
                masters.append(holder)
            } else if parents.contains(holder.mark.pid) {
                let maker = byPid[holder.parent]
                let isForked = maker.map { !$0.isForeign && $0.mark.generation == holder.mark.generation && $0.mark.generation != .unknown } ?? false
                if isForked { workers.append(holder) } else { masters.append(holder) }
            } else if memory.masters.contains(holder.mark)
                || before?.processes.contains(where: { $0.mark == holder.mark && $0.role == .master }) == true
            {
                masters.append(holder)
            } else {
                workers.append(holder)
            }
        }
        // Connections can be handed over by who holds the listener; who never held one and yet took a request is a worker too.
        let handed = alive.filter { memory.answered.contains($0.mark) && !memory.held.contains($0.mark) && byPid[$0.mark.pid] == nil }
        for process in alive where byPid[process.mark.pid] == nil && !memory.held.contains(process.mark) {
            if handed.contains(where: { $0.mark == process.mark || ($0.parent == process.parent && $0.command == process.command) }) {
                workers.append(process)
            }
        }
    }

    /// Those that descend from one exec as the first of them does; programs that they started are none of them.
    private mutating func readTree(_ alive: [ServiceProcess]) {
        isWithoutListener = true
        let pids = Set(alive.map(\.mark.pid))
        let roots = alive.filter { !pids.contains($0.parent) && !$0.isForeign }
        let generations = Set(roots.map(\.mark.generation))
        workers = alive.filter { !$0.isForeign && generations.contains($0.mark.generation) }
    }

    func role(of mark: ProcessMark) -> HostDeploy.Role? {
        if workers.contains(where: { $0.mark == mark }) { return .worker }
        return masters.contains { $0.mark == mark } ? .master : nil
    }

    static func inodes(aside before: Baseline, _ look: ServiceLook) -> Set<UInt64> {
        let addresses = Set(before.listeners.filter(\.isAside).map(\.address))
        return Set(look.listeners.filter { addresses.contains($0.address) }.map(\.inode))
    }
}

extension ServiceProcess {
    /// It has ended, and its parent has not taken notice yet.
    public var isGone: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }

    /// From boot to its start. The clock of /proc has 100 ticks in a second on every machine that this runs on.
    var started: Duration { .milliseconds(Int64(clamping: mark.startTicks.multipliedReportingOverflow(by: 10).partialValue)) }
}
