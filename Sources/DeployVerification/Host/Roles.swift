// Who of a service's processes takes requests.

import AgentAPI

/// What earlier looks and answers showed of processes that are still there.
struct RoleMemory: Sendable {
    /// Answered a request, and it was seen that it was them.
    var answered: Set<ProcessMark> = []
    /// Took a connection, whatever became of it.
    var took: Set<ProcessMark> = []
    /// Held a listener.
    var held: Set<ProcessMark> = []
    /// Held it for others.
    var masters: Set<ProcessMark> = []
    /// Listeners at which no token is answered, while it is at others.
    var aside: Set<ServiceListener.Address> = []
    /// How many connections were taken so far, and how many had been when a process was first seen to hold a listener.
    private(set) var taken = 0
    private var takenBefore: [ProcessMark: Int] = [:]

    mutating func take(_ mark: ProcessMark) {
        took.insert(mark)
        taken += 1
    }

    /// How many connections others have taken while it held a listener.
    func passed(by mark: ProcessMark) -> Int { taken - (takenBefore[mark] ?? taken) }

    /// What is gone does not come back: marks are never used twice.
    mutating func keep(_ look: ServiceLook, _ roles: Roles) {
        let present = Set(look.processes.map(\.mark))
        answered.formIntersection(present)
        took.formIntersection(present)
        held.formIntersection(present)
        masters.formIntersection(present)
        takenBefore = takenBefore.filter { present.contains($0.key) }
        note(look)
        // Without a control group, a worker whose new master is not known yet looks like a stranger for a moment.
        for process in roles.masters where !process.isForeign { masters.insert(process.mark) }
    }

    mutating func note(_ look: ServiceLook) {
        for process in look.processes where !(process.listeners ?? []).isEmpty {
            held.insert(process.mark)
            if takenBefore[process.mark] == nil { takenBefore[process.mark] = taken }
        }
    }
}

/// The processes that matter to a deploy, by what they do.
struct Roles: Sendable {
    private(set) var workers: [ServiceProcess] = []
    private(set) var masters: [ServiceProcess] = []
    /// Alive, and their open files may not be read: they may accept connections or not.
    private(set) var unseen: [ServiceProcess] = []
    /// They hold a listener and take nothing from it, as what has only inherited a descriptor.
    private(set) var idle: [ServiceProcess] = []
    /// Masters that take requests and pass them on.
    private(set) var fronts: [ServiceProcess] = []
    /// Workers to which requests come through a front only.
    private(set) var behindFront: Set<ProcessMark> = []
    /// There is no listener, and there was none before: the processes that run the service's program are its workers.
    private(set) var isWithoutListener = false

    /// A holder that is the parent of another holder is no worker, with four exceptions. One that has answered a request is one, whatever
    /// it looks like. One that was forked by a holder is one (others may be forked from it in turn, as from Puma's first worker). One that was
    /// a worker before the deploy stays one: else a child that inherits a listener would hide it; but not one that never answered and whose children
    /// do: that was a master whose workers were still to come. And of what is alone, a former master stays a master: its workers are gone.
    ///
    /// No worker is, whatever it looks like, who passes requests on to others of the service, and who holds a listener and takes nothing from it.
    init(_ look: ServiceLook, before: Baseline?, memory: RoleMemory) {
        let alive = look.processes.filter { !$0.isGone }
        unseen = alive.filter { $0.listeners == nil && !$0.isForeign }
        guard !look.listeners.isEmpty || before == nil || before?.listeners.isEmpty == false else {
            readTree(alive)
            return
        }
        let aside = Self.inodes(aside: memory.aside.union(before?.addressesAside ?? []), look)
        let holders = alive.filter { !$0.isStranger && !($0.listeners ?? []).subtracting(aside).isEmpty }
        // Connections can be handed over by who holds the listener; who never held one and yet takes requests is a worker too.
        let handed = Self.handed(alive, holders, before, memory)
        fronts = holders.filter { Self.isFront($0, of: alive, memory) }
        let frontMarks = Set(fronts.map(\.mark))
        idle = holders.filter { !frontMarks.contains($0.mark) && Self.isIdle($0, among: holders + handed, aside, before, memory) }
        let idleMarks = Set(idle.map(\.mark))
        let byPid = Dictionary(holders.map { ($0.mark.pid, $0) }, uniquingKeysWith: { first, _ in first })
        let parents = Set(holders.filter { !idleMarks.contains($0.mark) }.map(\.parent)).union(handed.map(\.parent))
        func wasWorker(_ holder: ServiceProcess) -> Bool {
            guard let known = before?.processes.first(where: { $0.mark == holder.mark && $0.role == .worker }) else { return false }
            return known.answer != nil || !holders.contains { $0.parent == holder.mark.pid && memory.answered.contains($0.mark) }
        }
        for holder in holders {
            if frontMarks.contains(holder.mark) {
                masters.append(holder)
            } else if memory.answered.contains(holder.mark) {
                workers.append(holder)
            } else if idleMarks.contains(holder.mark) {
                if parents.contains(holder.mark.pid) || holder.isForeign { masters.append(holder) }
            } else if wasWorker(holder) {
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
        let masterPids = Set(masters.map(\.mark.pid))
        idle.removeAll { masterPids.contains($0.mark.pid) }
        workers += handed
        // A master among strangers has its own workers there.
        let strangers = alive.filter(\.isStranger)
        workers += strangers.filter { one in memory.answered.contains(one.mark) || !strangers.contains { $0.parent == one.mark.pid } }
        let passedTo = fronts.reduce(into: Set<UInt64>()) { $0.formUnion($1.passesTo ?? []) }
        behindFront = Set(workers.filter { !$0.isStranger && !($0.listeners ?? []).isDisjoint(with: passedTo) }.map(\.mark))
    }

    private static func handed(
        _ alive: [ServiceProcess], _ holders: [ServiceProcess], _ before: Baseline?, _ memory: RoleMemory
    ) -> [ServiceProcess] {
        let holding = Set(holders.map(\.mark))
        let never = alive.filter { !holding.contains($0.mark) && !memory.held.contains($0.mark) && !$0.isStranger && !$0.isForeign }
        guard !never.isEmpty else { return [] }
        let before = Set(before?.processes.lazy.filter(\.isHanded).map(\.mark) ?? [])
        let known = never.filter { memory.answered.contains($0.mark) || before.contains($0.mark) }
        return never.filter { process in known.contains { $0.mark == process.mark || $0.isSibling(of: process) } }
    }

    /// Whether it takes requests and passes them on. That it is connected to another process of the service alone does not say so: that may be its
    /// cache. The other one must be known to answer, or be of the same program.
    private static func isFront(_ holder: ServiceProcess, of alive: [ServiceProcess], _ memory: RoleMemory) -> Bool {
        guard !holder.isForeign else { return false }
        let answering = alive.filter { memory.answered.contains($0.mark) && $0.mark != holder.mark && !$0.isStranger }
        guard let inner = holder.passesTo else {
            // The processes that were handed connections came from it.
            return !memory.answered.contains(holder.mark) && answering.contains { $0.parent == holder.mark.pid && !memory.held.contains($0.mark) }
        }
        if inner.isEmpty { return !answering.isEmpty }
        return alive.contains { other in
            other.mark != holder.mark && !other.isForeign && !(other.listeners ?? []).isDisjoint(with: inner)
                && (memory.answered.contains(other.mark)
                    || (other.mark.generation == holder.mark.generation && other.mark.generation != .unknown))
        }
    }

    /// Whether it holds a listener and takes nothing from it. That it waits for other things now is not enough, a busy worker does so too: it has
    /// taken nothing while others took many connections, it has none open, and there are as many others as there were workers before. What was
    /// executed by itself, and not forked from a server, needs fewer signs.
    private static func isIdle(
        _ holder: ServiceProcess, among all: [ServiceProcess], _ aside: Set<UInt64>, _ before: Baseline?, _ memory: RoleMemory
    ) -> Bool {
        guard !memory.took.contains(holder.mark), holder.connections ?? 0 == 0 else { return false }
        let looks: Int
        switch holder.wait {
        case .elsewhere(let count): looks = count
        case .at(let inodes): looks = inodes.subtracting(aside).isDisjoint(with: holder.listeners ?? []) ? 10 : 0
        case nil: looks = 0
        }
        guard looks > 0 else { return false }
        if let known = before?.processes.first(where: { $0.mark == holder.mark }) {
            if known.isIdle { return true }
            if known.answer != nil { return false }
        }
        let others = all.filter { $0.mark != holder.mark && !$0.isForeign && memory.took.contains($0.mark) }
        let waiting = all.filter { other in
            guard other.mark != holder.mark, !other.isForeign, case .at(let inodes)? = other.wait else { return false }
            return !inodes.isDisjoint(with: holder.listeners ?? [])
        }
        let isOther = holder.mark.generation != .unknown && !all.contains { $0.mark != holder.mark && $0.mark.generation == holder.mark.generation }
        guard looks >= 3 else { return false }
        if isOther { return !others.isEmpty || !waiting.isEmpty }
        return others.count >= max(1, before?.workers ?? 1) && memory.passed(by: holder.mark) >= max(8, 2 * others.count)
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

    static func inodes(aside addresses: Set<ServiceListener.Address>, _ look: ServiceLook) -> Set<UInt64> {
        Set(look.listeners.filter { addresses.contains($0.address) }.map(\.inode))
    }
}

extension ServiceProcess {
    /// It has ended, and its parent has not taken notice yet.
    public var isGone: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }

    /// Another process of the same parent that runs the same script.
    fileprivate func isSibling(of other: ServiceProcess) -> Bool {
        func script(_ process: ServiceProcess) -> Substring? {
            process.program?.arguments.dropFirst().first { !$0.hasPrefix("-") }?.split(separator: "/").last
        }
        return parent == other.parent && command == other.command && script(self) == script(other)
    }

    /// From boot to its start. The clock of /proc has 100 ticks in a second on every machine that this runs on.
    var started: Duration { .milliseconds(Int64(clamping: mark.startTicks.multipliedReportingOverflow(by: 10).partialValue)) }
}
