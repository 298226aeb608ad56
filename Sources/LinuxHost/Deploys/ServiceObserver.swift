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
    /// Connections are for people, and to count them the kernel walks through all of the machine's.
    private static let betweenCounts = Duration.seconds(1)
    /// A process that goes elsewhere has another path, and so has a folder that is renamed or removed: asking again is for the server behind it.
    private static let placesLast = Duration.seconds(1)

    private struct Seen {
        var startTicks: UInt64
        var mark: ExecMark
        var generation: ExecGeneration
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
    /// Which exec a process descends from, as it was read last.
    private var generations: [Int32: Seen] = [:]
    /// Of the look that is being taken: each process is read once.
    private var stats: [Int32: ProcessStat]?
    /// Where each process stood, as it was asked last.
    private var places: [ProcessMark: (path: String, place: StandingPlace?, asked: Duration)] = [:]
    private var counted: [String: (at: Duration, connections: [ProcessMark: Int])] = [:]

    init() { hierarchies = CgroupHierarchies(at: "/sys/fs/cgroup") }

    func look(at service: InspectedService, known: [ServiceListener], now: Duration) -> ServiceLook {
        stats = [:]
        defer { stats = nil }
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
            // Whoever listens here at the same addresses is another service.
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
        if seen.contains(where: { $0.listeners == nil }) { look.lacks.append("which sockets some processes have open: that may not be read") }
        if seen.contains(where: { $0.mark.generation == .unknown }) { look.lacks.append("exec evidence of some processes: that may not be read") }
        if !place(&seen, at: now) { look.lacks.append("where some processes stand: the file system of their folder does not answer") }
        look.listeners = inodes.compactMap { listeners[$0] }.sorted { "\($0.address)" < "\($1.address)" }
        look.processes = seen
        countConnections(&look, of: service.name)
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
        if main == 1 { return "its main process is said to be process 1, from which everything on this host descends: name the service's own process" }
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
        if let known = held[mark], !known.isEmpty, known.allSatisfy({ socketInode("\(proc.path(of: mark.pid, "fd"))/\($0.key)") == $0.value }) {
            return Set(known.values).filter { listeners[$0] != nil }
        }
        var found: [Int32: UInt64] = [:]
        let isSeen = forEachSocket(in: proc.path(of: mark.pid, "fd")) { descriptor, inode in
            if listeners[inode] != nil { found[descriptor] = inode }
            return true
        }
        guard isSeen else { return nil }
        held[mark] = found
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

    /// Accepted connections to the service's ports, to each process that has them open; as they were a second ago at most.
    private func countConnections(_ look: inout ServiceLook, of service: String) {
        if counted[service].map({ look.at - $0.at >= Self.betweenCounts }) ?? true {
            counted[service] = (look.at, connections(of: look))
        }
        let known = counted[service]?.connections ?? [:]
        for index in look.processes.indices where look.processes[index].listeners != nil {
            look.processes[index].connections = known[look.processes[index].mark] ?? 0
        }
    }

    private func connections(of look: ServiceLook) -> [ProcessMark: Int] {
        var accepted: Set<UInt64> = []
        for listener in look.listeners {
            guard case .tcp(let address, let port) = listener.address,
                let connections = try? table().connections(port: port, isIPv6: address.utf8.contains(UInt8(ascii: ":")))
            else { continue }
            accepted.formUnion(connections)
        }
        guard !accepted.isEmpty else { return [:] }
        var found: [ProcessMark: Int] = [:]
        for process in look.processes where process.listeners != nil {
            forEachSocket(in: proc.path(of: process.mark.pid, "fd")) { _, inode in
                if accepted.contains(inode) { found[process.mark, default: 0] += 1 }
                return true
            }
        }
        return found
    }

    private func forgetEnded(_ seen: [ServiceProcess]) {
        guard max(held.count, generations.count, places.count) > 4 * Self.mostProcesses else { return }
        let marks = Set(seen.map(\.mark))
        held = held.filter { marks.contains($0.key) }
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
