// One look at the processes of a service, from outside.

import AgentCore
import DeployVerification
import Glibc
import Platform

/// Sees which processes a service has, which exec each descends from, where each stands, and who can accept connections.
///
/// What a process has open is read anew at every look only for processes that have changed: of others, it is enough to see that the
/// descriptors at which the listeners were found still are the listeners. Likewise the exec is read anew only where one may have been.
final class ServiceObserver {
    private static let mostProcesses = 1000
    /// With more threads than this it costs less to look at all processes than at the children of each thread.
    private static let manyThreads = 32
    /// To count connections the kernel walks through all of the machine's.
    private static let betweenCounts = Duration.seconds(1)
    /// The same while clients keep connections open to a process that takes no new ones.
    private static let betweenCountsOfKept = Duration.milliseconds(300)
    /// A process that goes elsewhere has another path, and so has a folder that is renamed or removed: asking again is for the server behind it.
    private static let placesLast = Duration.seconds(1)
    /// Who listens at one address may listen at another one a moment later.
    private static let descriptorsLast = Duration.seconds(1)

    /// Each walks through all of the machine's connections.
    private static let mostLooksForFronts = 12
    private static let roundsThatShowAFront = 4

    private struct Seen {
        var startTicks: UInt64
        var mark: ExecMark
        var generation: ExecGeneration
    }

    /// What was found out of a process for good.
    private struct Fixed {
        var program: RunningProgram?
        var passesTo: Set<UInt64>?
        var looksForFront = 0
        /// In how many rounds as many connections came to a listener of others as this one gave answers.
        var roundsReached: [UInt64: Int] = [:]
    }

    let proc = ProcFileSystem(root: "/")
    let folders = FolderQuestions()
    private let reader = FileReader()
    private let hierarchies: CgroupHierarchies?
    private let clockTicks = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    private var sockets: SocketTable?
    private var groups: [String: CgroupReader] = [:]
    /// Of services without a control group: the processes that were seen, each with its start.
    private var members: [String: [Int32: UInt64]] = [:]
    /// At which descriptor a process holds which listener, as it was found.
    private var held: [ProcessMark: [Int32: UInt64]] = [:]
    /// When that was.
    private var heldSince: [ProcessMark: Duration] = [:]
    private var now = Duration.zero
    /// Which exec a process descends from, as it was read last.
    private var generations: [Int32: Seen] = [:]
    /// Of the look that is being taken: each process is read once.
    private var stats: [Int32: ProcessStat]?
    /// Where each process stood, as it was asked last.
    private var places: [ProcessMark: (path: String, place: StandingPlace?, asked: Duration)] = [:]
    private var counted: [String: Count] = [:]
    private lazy var waits = ListenerWaits(proc)
    private var fixed: [ProcessMark: Fixed] = [:]
    private var strangers = Strangers()
    /// Who has the other ends of kept connections, by the inodes of the service's ends.
    private var names: [UInt64: String] = [:]
    /// Who has taken a connection: of these it is known that they do.
    var takers: Set<ProcessMark> = []

    init() { hierarchies = CgroupHierarchies(at: "/sys/fs/cgroup") }

    func look(at service: InspectedService, known: [ServiceListener], now: Duration) -> ServiceLook {
        stats = [:]
        defer { stats = nil }
        self.now = now
        var look = ServiceLook(at: now)
        let listeners: [UInt64: ServiceListener]
        do {
            listeners = try table().listeners()
        } catch {
            listeners = [:]
            look.lacks.append("which sockets there are: \(error)")
        }
        var seen: [ServiceProcess] = []
        for pid in pids(of: service).prefix(Self.mostProcesses) {
            guard let process = process(pid, among: listeners) else { continue }
            seen.append(process)
        }
        look.blindness = service.problem ?? whyTooMuch(service) ?? Namespaces.blindness(to: seen, in: proc)
        if let blindness = look.blindness {
            // What listens here at the same addresses is another service.
            look.lacks.append(blindness)
            if !place(&seen, at: now) { look.lacks.append("where some processes stand: the file system of their folder does not answer") }
            look.processes = seen
            return look
        }
        var inodes = seen.reduce(into: Set<UInt64>()) { $0.formUnion($1.listeners ?? []) }
        // With socket activation, whoever opened the listeners holds them as well, or alone.
        let addresses = Set(known.map(\.address))
        for listener in listeners.values where addresses.contains(listener.address) { inodes.insert(listener.inode) }
        if inodes.isEmpty == false, seen.allSatisfy({ $0.listeners?.isEmpty ?? true }) {
            seen += foreignHolders(of: inodes, among: listeners, except: Set(seen.map(\.mark.pid)))
        }
        seen += outsiders(of: service.name, beside: seen, inodes: inodes, among: listeners, now)
        if seen.contains(where: { $0.listeners == nil }) { look.lacks.append("which sockets some processes have open: that may not be read") }
        if seen.contains(where: { $0.mark.generation == .unknown }) { look.lacks.append("exec evidence of some processes: that may not be read") }
        if !place(&seen, at: now) { look.lacks.append("where some processes stand: the file system of their folder does not answer") }
        look.listeners = inodes.compactMap { listeners[$0] }.sorted { "\($0.address)" < "\($1.address)" }
        look.processes = seen
        describe(&look)
        countConnections(&look, of: service.name, known: addresses)
        forgetEnded(seen)
        return look
    }

    /// The mark of a process as it is now.
    func mark(of pid: Int32) -> ProcessMark? {
        guard let stat = proc.stat(of: pid), !stat.hasEnded else { return nil }
        return ProcessMark(pid: pid, startTicks: stat.startTicks, generation: generation(of: pid, stat))
    }

    /// Which of these processes has which of these sockets open; with several, a child before its parent.
    func holders(of inodes: Set<UInt64>, among pids: [Int32]) -> [UInt64: Int32] {
        var found: [UInt64: Int32] = [:]
        for pid in pids.reversed() where found.count < inodes.count {
            forEachSocket(in: proc.path(of: pid, "fd")) { _, inode in
                if inodes.contains(inode), found[inode] == nil { found[inode] = pid }
                return found.count < inodes.count
            }
        }
        return found
    }

    /// Without a control group, what descends from the main process is the service.
    private func whyTooMuch(_ service: InspectedService) -> String? { service.cgroup == nil ? service.mainProcess.flatMap(Self.whyNoService) : nil }

    func pids(of service: InspectedService) -> [Int32] {
        // Of the topmost group is everything that is in no other.
        if let cgroup = service.cgroup, cgroup != "/", let hierarchies {
            if groups[cgroup] == nil { groups[cgroup] = CgroupReader(cgroup, in: hierarchies, clockTicks: clockTicks, reader: reader) }
            var pids: [Int32] = []
            if groups[cgroup]?.appendProcesses(to: &pids) == true, !pids.isEmpty { return pids.sorted() }
        }
        // When the main process changes, as when a second master takes the pid file over, those that were the service's still are: they may
        // accept connections as before.
        let main = service.mainProcess.flatMap { Self.whyNoService($0) == nil && stat(of: $0) != nil ? $0 : nil }
        var pids = Set(main.map { descendants(of: $0) } ?? [])
        for (pid, start) in members[service.name] ?? [:] where !pids.contains(pid) && isAlive(pid, startTicks: start) {
            pids.formUnion(descendants(of: pid))
        }
        members[service.name] = Dictionary(uniqueKeysWithValues: pids.compactMap { pid in stat(of: pid).map { (pid, $0.startTicks) } })
        return pids.sorted()
    }

    /// Why a main process cannot be that of a service: what descends from it is more than one.
    private static func whyNoService(_ main: Int32) -> String? {
        if main == 1 {
            return "its main process is said to be process 1, from which everything on this host descends: name the service's own process"
        }
        var pid = getppid()
        while pid > 1 {
            if pid == main {
                return "its main process (\(main)) has started this agent too, and so is more than the service: name the service's own process"
            }
            guard let parent = ProcFileSystem(root: "/").stat(of: pid)?.parent, parent != pid else { return nil }
            pid = parent
        }
        return nil
    }

    func table() throws(SystemError) -> SocketTable {
        if let sockets { return sockets }
        let made = try SocketTable()
        sockets = made
        return made
    }

    func isAlive(_ pid: Int32, startTicks: UInt64) -> Bool {
        guard let stat = stat(of: pid) else { return false }
        return stat.startTicks == startTicks && !stat.hasEnded
    }

    /// `nil` when its file system does not answer.
    func releaseToken(of pid: Int32) -> ReleaseToken? {
        guard let folder = linkTarget(proc.path(of: pid, "cwd")) else { return ReleaseToken.none(why: "its working directory may not be known") }
        return folders.ask(about: folder) { [proc] in ReleaseToken(of: pid, in: proc) }
    }

    /// The folder of a release, by its path.
    func release(_ path: String) -> NamedRelease {
        folders.ask(about: path) { NamedRelease(lookingAt: path) } ?? .unseen("the file system of \(path) does not answer")
    }

    // MARK: Processes

    private func stat(of pid: Int32) -> ProcessStat? {
        if let known = stats?[pid] { return known }
        let stat = proc.stat(of: pid)
        stats?[pid] = stat
        return stat
    }

    private func descendants(of root: Int32) -> [Int32] {
        var found = [root]
        var index = 0
        while index < found.count, found.count < Self.mostProcesses {
            if let stat = stat(of: found[index]), !appendChildren(of: stat, to: &found), !stat.hasEnded {
                let start = self.stat(of: root)?.startTicks ?? 0
                return ProcessTable(reading: proc).tree(below: ProcessIdentity(pid: root, startTicks: start)).sorted()
            }
            index += 1
        }
        return Array(Set(found)).sorted()
    }

    /// Appends the pids of its children; `false` when the kernel does not tell them cheaply.
    private func appendChildren(of stat: ProcessStat, to pids: inout [Int32]) -> Bool {
        guard stat.counters.threads <= Self.manyThreads else { return false }
        let folder = proc.path(of: stat.pid, "task")
        var threads = [stat.pid]
        // A child belongs to the thread that made it.
        if stat.counters.threads > 1 {
            threads = []
            guard forEachEntry(of: folder, { name, _ in decimal(name).map { threads.append(Int32(clamping: $0)) } }) else { return false }
        }
        for thread in threads {
            guard let text = readFile("\(folder)/\(thread)/children", limit: 1 << 16) else {
                if thread == stat.pid { return false }
                continue
            }
            appendProcesses(parsing: text.span, to: &pids)
        }
        return true
    }

    private func process(_ pid: Int32, among listeners: [UInt64: ServiceListener]) -> ServiceProcess? {
        guard let stat = stat(of: pid) else { return nil }
        let mark = ProcessMark(pid: pid, startTicks: stat.startTicks, generation: generation(of: pid, stat))
        return ServiceProcess(
            mark: mark, parent: stat.parent, command: stat.command, state: stat.counters.state,
            listeners: stat.hasEnded ? [] : held(by: mark, among: listeners))
    }

    /// Finds out where each process stands.
    /// - Returns: false when a file system did not answer.
    private func place(_ processes: inout [ServiceProcess], at now: Duration) -> Bool {
        var (marks, questions): ([ProcessMark], [FolderQuestions.Question<StandingPlace?>]) = ([], [])
        for index in processes.indices where !processes[index].isGone {
            let mark = processes[index].mark
            let link = proc.path(of: mark.pid, "cwd")
            guard let path = linkTarget(link) else { continue }
            processes[index].folderPath = path
            if let known = places[mark], known.path == path, now - known.asked < Self.placesLast { continue }
            places[mark] = nil
            marks.append(mark)
            questions.append((path, { StandingPlace(link) }))
        }
        let answers = folders.ask(questions)
        for (index, answer) in answers.enumerated() {
            if let answer { places[marks[index]] = (questions[index].folder, answer, now) }
        }
        // Of one that has no path any more, what was known is no longer so.
        for index in processes.indices where processes[index].folderPath != nil {
            guard let place = places[processes[index].mark]?.place else { continue }
            processes[index].folder = place.folder
            processes[index].isFolderDeleted = place.isDeleted
            processes[index].parentFolder = place.parent
        }
        return answers.allSatisfy { $0 != nil }
    }

    private func generation(of pid: Int32, _ stat: ProcessStat) -> ExecGeneration {
        let mark = stat.counters.execMark
        if let known = generations[pid], known.startTicks == stat.startTicks, known.mark == mark { return known.generation }
        guard let bytes = readFile(proc.path(of: pid, "auxv"), limit: 4096) else { return .unknown }
        let generation = ExecGeneration(auxiliaryVector: bytes[...])
        // Who may not see where the stack is would not see an exec either.
        if let mark, mark.stack != 0 { generations[pid] = Seen(startTicks: stat.startTicks, mark: mark, generation: generation) }
        return generation
    }

    // MARK: Sockets

    /// The listeners that a process has open; `nil` when that may not be read.
    private func held(by mark: ProcessMark, among listeners: [UInt64: ServiceListener]) -> Set<UInt64>? {
        if let known = held[mark], !known.isEmpty, heldSince[mark].map({ now - $0 < Self.descriptorsLast }) ?? false,
            known.allSatisfy({ socketInode("\(proc.path(of: mark.pid, "fd"))/\($0.key)") == $0.value })
        {
            return Set(known.values).filter { listeners[$0] != nil }
        }
        var found: [Int32: UInt64] = [:]
        let isSeen = forEachSocket(in: proc.path(of: mark.pid, "fd")) { descriptor, inode in
            if listeners[inode] != nil { found[descriptor] = inode }
            return true
        }
        guard isSeen else { return nil }
        held[mark] = found
        heldSince[mark] = now
        return Set(found.values)
    }

    private func foreignHolders(of inodes: Set<UInt64>, among listeners: [UInt64: ServiceListener], except pids: Set<Int32>) -> [ServiceProcess] {
        proc.processes().filter { !pids.contains($0) }.compactMap { pid in
            guard let process = process(pid, among: listeners.filter { inodes.contains($0.key) }), process.listeners?.isEmpty == false else {
                return nil
            }
            var foreign = process
            foreign.isForeign = true
            return foreign
        }
    }

    /// What those that hold a listener wait for, what all of them execute, and to whom they pass requests on.
    private func describe(_ look: inout ServiceLook) {
        for index in look.processes.indices where !look.processes[index].isGone {
            let mark = look.processes[index].mark
            if let held = held[mark], !held.isEmpty, !takers.contains(mark) {
                look.processes[index].wait = waits.wait(of: mark, held: held, at: look.at)
            }
            if fixed[mark]?.program == nil { fixed[mark, default: Fixed()].program = program(of: mark.pid) }
            look.processes[index].program = fixed[mark]?.program
            look.processes[index].passesTo = fixed[mark]?.passesTo
        }
    }

    private func program(of pid: Int32) -> RunningProgram? {
        guard let arguments = arguments(of: pid), !arguments.isEmpty else { return nil }
        return RunningProgram(file: linkTarget(proc.path(of: pid, "exe")), arguments: arguments)
    }

    /// What a process waits for that holds a listener, whether it has taken connections or not.
    func awaited(by mark: ProcessMark) -> Set<UInt64> {
        guard let held = held[mark], case .at(let inodes) = waits.wait(of: mark, held: held, at: .zero) else { return [] }
        return inodes
    }

    /// The listeners of other processes of the service to which one that was asked may pass requests on, unless that is known or was looked for
    /// often; `nil`: there are none.
    func innerListeners(of mark: ProcessMark, _ look: ServiceLook) -> [ServiceListener]? {
        guard fixed[mark]?.passesTo == nil, fixed[mark]?.looksForFront ?? 0 < Self.mostLooksForFronts else { return nil }
        let own = awaited(by: mark)
        let inner = look.listeners.filter { listener in
            !own.contains(listener.inode)
                && look.processes.contains { !$0.isForeign && $0.mark != mark && $0.listeners?.contains(listener.inode) == true }
        }
        guard !own.isEmpty, !inner.isEmpty else { return nil }
        fixed[mark, default: Fixed()].looksForFront += 1
        return inner
    }

    /// The clients of the connections that have come to a listener, those too that are over since less than a minute, by their ports.
    func arrivals(at listener: ServiceListener) -> Set<UInt16> {
        guard case .tcp(let address, let port) = listener.address else { return [] }
        return (try? table().clients(port: port, isIPv6: address.utf8.contains(UInt8(ascii: ":")))) ?? []
    }

    func note(_ front: ProcessMark, reached inode: UInt64, _ isEnough: Bool) {
        let rounds = isEnough ? (fixed[front]?.roundsReached[inode] ?? 0) + 1 : 0
        fixed[front, default: Fixed()].roundsReached[inode] = rounds
        if rounds >= Self.roundsThatShowAFront { note(front, passesTo: [inode]) }
    }

    /// Whose code answers on a connection that this process has. Who was forked for it by a process that takes connections has the code of that one.
    func codeBehind(_ mark: ProcessMark, _ look: ServiceLook) -> ProcessMark {
        guard !look.processes.contains(where: { $0.mark.pid == mark.pid }), let parent = stat(of: mark.pid)?.parent,
            let maker = look.processes.first(where: { $0.mark.pid == parent }), maker.mark.generation == mark.generation,
            mark.generation != .unknown
        else { return mark }
        if case .at = maker.wait { return maker.mark }
        return takers.contains(maker.mark) ? maker.mark : mark
    }

    /// It was seen to pass requests on to other processes of its service.
    /// - Parameter inodes: of their listeners; empty when it passes the connections themselves on.
    func note(_ front: ProcessMark, passesTo inodes: Set<UInt64>) {
        fixed[front, default: Fixed()].passesTo = (fixed[front]?.passesTo ?? []).union(inodes)
    }

    // MARK: Strangers

    /// Processes that are not of the service and take connections at its addresses: at a listener of their own over SO_REUSEPORT, or at the
    /// service's.
    private func outsiders(
        of service: String, beside own: [ServiceProcess], inodes: Set<UInt64>, among listeners: [UInt64: ServiceListener], _ now: Duration
    ) -> [ServiceProcess] {
        let known = Set(own.map(\.mark.pid))
        strangers.forget { isAlive($0, startTicks: $1) }
        let held = own.reduce(into: Set<UInt64>()) { $0.formUnion($1.isForeign ? [] : $1.listeners ?? []) }
        let ports = listeners.filter { held.contains($0.key) }.values
        let strange = listeners.filter { inode, listener in !held.contains(inode) && ports.contains { $0.sharesConnections(with: listener) } }
        var pids = strangers.takers(from: service, now)
        if !strange.isEmpty {
            pids.formUnion(
                strangers.holders(of: Set(strange.keys), now) { inodes in
                    let all = self.proc.processes().filter { !known.contains($0) }
                    return Dictionary(all.map { ($0, self.sockets(of: $0, among: inodes)) }, uniquingKeysWith: { first, _ in first })
                })
        }
        guard !pids.isEmpty else { return [] }
        let generations = Set(own.lazy.filter { !$0.isForeign }.map(\.mark.generation)).subtracting([.unknown])
        let matter = listeners.filter { strange[$0.key] != nil || inodes.contains($0.key) }
        return pids.subtracting(known).sorted().compactMap { pid in
            guard var process = process(pid, among: matter), !process.isGone else { return nil }
            // Forked from a program of the service, wherever it is by now.
            process.isForeign = !generations.contains(process.mark.generation)
            process.isStranger = process.isForeign && pid != 1
            process.unit = unit(of: pid)
            let holds = process.listeners?.isEmpty != true
            return holds || strangers.hasJustTaken(pid, from: service, now) ? process : nil
        }
    }

    private func sockets(of pid: Int32, among inodes: Set<UInt64>) -> Set<UInt64> {
        var found: Set<UInt64> = []
        forEachSocket(in: proc.path(of: pid, "fd")) { _, inode in
            if inodes.contains(inode) { found.insert(inode) }
            return true
        }
        return found
    }

    /// Who else on this host has a socket open that none of the service's processes has. It costs milliseconds, and so is done seldom.
    func outsider(with inode: UInt64, except pids: Set<Int32>, now: Duration) -> Int32? {
        guard strangers.maySearch(now) else { return nil }
        return proc.processes().first { !pids.contains($0) && !sockets(of: $0, among: [inode]).isEmpty }
    }

    /// - Returns: the process, when it is not of the service.
    func note(outsider pid: Int32, tookFrom service: String, look: ServiceLook, now: Duration) -> Bool {
        guard let mark = mark(of: pid) else { return false }
        strangers.note(pid, mark.startTicks, tookFrom: service, now)
        let own = look.processes.lazy.filter { !$0.isForeign }.map(\.mark.generation)
        return mark.generation == .unknown || !own.contains(mark.generation)
    }

    /// The last part of its control group's path: `cron.service`.
    private func unit(of pid: Int32) -> String? {
        let lines = readFile(proc.path(of: pid, "cgroup"), limit: 8192)?.split(separator: 10) ?? []
        let line = lines.first { $0.starts(with: "0::".utf8) && $0.count > 4 } ?? lines.first { $0.contains { $0 == UInt8(ascii: "=") } }
        return line?.split(separator: UInt8(ascii: "/")).dropFirst().last.map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: Connections

    private struct Count {
        var at: Duration
        var connections: [ProcessMark: Int] = [:]
        /// Of processes that hold no listener.
        var kept: [ProcessMark: [KeptConnection]] = [:]
        /// Who held one then.
        var holders: Set<ProcessMark> = []
        /// Who was first seen to have each: what it has forked since may have it too, and has nothing to do with it.
        var owners: [UInt64: ProcessMark] = [:]
    }

    /// Accepted connections to the service's addresses, to each process that has them open; as they were a second ago at most.
    private func countConnections(_ look: inout ServiceLook, of service: String, known: Set<ServiceListener.Address>) {
        let between =
            counted[service].map { last in
                // Who has just closed its listener may go on with what it has accepted.
                let hasStopped = look.processes.contains { $0.listeners?.isEmpty == true && !$0.isGone && last.holders.contains($0.mark) }
                return hasStopped ? .zero : last.kept.isEmpty ? Self.betweenCounts : Self.betweenCountsOfKept
            } ?? .zero
        if counted[service].map({ look.at - $0.at >= between }) ?? true {
            counted[service] = count(look, at: known.union(look.listeners.map(\.address)), owners: counted[service]?.owners ?? [:])
        }
        guard let counted = counted[service] else { return }
        for index in look.processes.indices where look.processes[index].listeners != nil {
            look.processes[index].connections = counted.connections[look.processes[index].mark] ?? 0
            look.processes[index].kept = counted.kept[look.processes[index].mark]
        }
    }

    private func count(
        _ look: ServiceLook, at addresses: Set<ServiceListener.Address>, owners: [UInt64: ProcessMark]
    ) -> Count {
        var count = Count(at: look.at)
        count.holders = Set(look.processes.lazy.filter { $0.listeners?.isEmpty == false }.map(\.mark))
        var accepted: [UInt64: TCPSocketEntry] = [:]
        var (ports, paths): (Set<[Int]>, Set<String>) = ([], [])
        for address in addresses {
            switch address {
            case .tcp(let text, let port):
                let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
                guard ports.insert([Int(port), isIPv6 ? 6 : 4]).inserted,
                    let entries = try? table().connections(port: port, isIPv6: isIPv6, withTraffic: true)
                else { continue }
                for entry in entries { accepted[entry.inode] = entry }
            case .unix(let path): paths.insert(path)
            }
        }
        let local = paths.isEmpty ? [:] : ((try? table().unixConnections()) ?? [:]).filter { paths.contains($0.value.path) }
        guard !accepted.isEmpty || !local.isEmpty else { return count }
        var clients: [UInt64: String]?
        count.owners = owners.filter { accepted[$0.key] != nil || local[$0.key] != nil }
        // Who takes connections, and who was there before others.
        let byAge = look.processes.sorted {
            (takers.contains($0.mark) ? 0 : 1, $0.mark.startTicks, $0.mark.pid) < (takers.contains($1.mark) ? 0 : 1, $1.mark.startTicks, $1.mark.pid)
        }
        for process in byAge where process.listeners != nil && !process.isGone {
            var (own, ownLocal): ([TCPSocketEntry], [(inode: UInt64, client: UInt64)]) = ([], [])
            forEachSocket(in: proc.path(of: process.mark.pid, "fd")) { _, inode in
                guard accepted[inode] != nil || local[inode] != nil else { return true }
                if count.owners[inode] == nil { count.owners[inode] = process.mark }
                guard count.owners[inode] == process.mark else { return true }
                if let entry = accepted[inode] { own.append(entry) } else if let end = local[inode] { ownLocal.append((inode, end.client)) }
                return true
            }
            guard !own.isEmpty || !ownLocal.isEmpty else { continue }
            count.connections[process.mark] = own.count + ownLocal.count
            guard process.listeners?.isEmpty == true, !process.isForeign else { continue }
            // Who keeps them is of interest where something comes over them.
            let names = clients ?? self.clients(of: Array(accepted.values), local.values.map(\.client), at: look.at)
            clients = names
            let calls = ownLocal.isEmpty ? nil : transfers(of: process.mark.pid)
            count.kept[process.mark] =
                own.map { entry in
                    KeptConnection(
                        client: addressText(entry.isIPv6 ? AF_INET6 : AF_INET, entry.remoteBytes), clientProcess: names[entry.inode],
                        received: entry.traffic?.received ?? 0, sent: entry.traffic?.sent ?? 0, inode: entry.inode)
                }
                + ownLocal.map { end in
                    // The kernel counts nothing over Unix sockets; what the process reads and writes is the next best.
                    KeptConnection(
                        client: "a Unix socket", clientProcess: names[end.inode], received: calls?.read ?? 0, sent: calls?.written ?? 0,
                        inode: end.inode)
                }
        }
        return count
    }

    /// How often a process has read and written, as /proc/PID/io counts it.
    private func transfers(of pid: Int32) -> (read: UInt64, written: UInt64)? {
        guard let text = readFile(proc.path(of: pid, "io"), limit: 4096) else { return nil }
        return text.span.number(of: "syscr:").flatMap { read in text.span.number(of: "syscw:").map { (read, $0) } }
    }

    /// The names of the processes of this host that have the other ends, by the inodes of the service's ends.
    private func clients(of entries: [TCPSocketEntry], _ local: [UInt64], at now: Duration) -> [UInt64: String] {
        var wanted: [UInt64: UInt64] = [:]
        for entry in entries.prefix(64) {
            let end = try? table().inode(local: entry.remoteBytes, entry.remotePort, remote: entry.localBytes, entry.localPort)
            if let end, end != 0 { wanted[end] = entry.inode }
        }
        let unix = (try? table().unixConnections()) ?? [:]
        for client in local.prefix(64) where client != 0 {
            if let own = unix.first(where: { $0.value.client == client })?.key { wanted[client] = own }
        }
        guard !wanted.isEmpty, strangers.maySearch(now) else { return names.filter { entry in entries.contains { $0.inode == entry.key } } }
        let ends = Set(wanted.keys)
        for pid in proc.processes() {
            for inode in sockets(of: pid, among: ends) {
                guard let own = wanted[inode], let command = proc.stat(of: pid)?.command else { continue }
                names[own] = "\(command), process \(pid)"
            }
        }
        if names.count > 1024 { names = [:] }
        return names
    }

    /// Whether a process is connected to one of these listeners of its service: which.
    func connected(_ pid: Int32, to listeners: [ServiceListener]) -> Set<UInt64> {
        var own: Set<UInt64> = []
        forEachSocket(in: proc.path(of: pid, "fd")) { _, inode in
            own.insert(inode)
            return true
        }
        var found: Set<UInt64> = []
        var unix: [UInt64: (path: String, client: UInt64)]?
        for listener in listeners {
            switch listener.address {
            case .tcp(let text, let port):
                let entries = (try? table().connections(port: port, isIPv6: text.utf8.contains(UInt8(ascii: ":")), withTraffic: false)) ?? []
                let isConnected = entries.contains { entry in
                    let end = try? table().inode(local: entry.remoteBytes, entry.remotePort, remote: entry.localBytes, entry.localPort)
                    return end.map { own.contains($0) } ?? false
                }
                if isConnected { found.insert(listener.inode) }
            case .unix(let path):
                let all = unix ?? (try? table().unixConnections()) ?? [:]
                unix = all
                if all.values.contains(where: { $0.path == path && own.contains($0.client) }) { found.insert(listener.inode) }
            }
        }
        return found
    }

    private func forgetEnded(_ seen: [ServiceProcess]) {
        guard max(held.count, generations.count, places.count) > 4 * Self.mostProcesses else { return }
        let marks = Set(seen.map(\.mark))
        held = held.filter { marks.contains($0.key) }
        heldSince = heldSince.filter { marks.contains($0.key) }
        fixed = fixed.filter { marks.contains($0.key) }
        waits.forget(allBut: marks)
        places = places.filter { marks.contains($0.key) }
        generations = [:]
    }
}

/// The folder that a process stands in.
private struct StandingPlace: Sendable {
    var folder: FolderMark
    var isDeleted: Bool
    var parent: FolderMark?

    /// - Parameter link: the process's `cwd`.
    init?(_ link: String) {
        var status = stat()
        guard fstatat(AT_FDCWD, link, &status, 0) == 0 else { return nil }
        folder = FolderMark(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        isDeleted = status.st_nlink == 0
        if !isDeleted, fstatat(AT_FDCWD, link + "/..", &status, 0) == 0 {
            parent = FolderMark(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        }
    }
}

/// Where a symbolic link leads, as it says itself.
func linkTarget(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
        bytes.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), bytes.count) } ?? -1
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
}

extension ExecGeneration {
    /// Out of `/proc/PID/auxv`: pairs of machine words, a type and its value (getauxval(3)).
    init(auxiliaryVector bytes: ArraySlice<UInt8>) {
        var (random, sysinfo): (UInt64?, UInt64?)
        for offset in stride(from: 0, through: bytes.count - 16, by: 16) {
            let value = bytes.word64(at: offset + 8)
            switch bytes.word64(at: offset) {
            case 25: random = value
            case 33: sysinfo = value
            default: break
            }
        }
        guard let random, let sysinfo else {
            self = .unknown
            return
        }
        self = .vector(random: random, sysinfo: sysinfo)
    }
}
