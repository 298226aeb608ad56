// Servers that are simulated down to their processes: what each accepts, and which code it has in memory.

import AgentAPI
import DeployVerification
import Platform
import TestKit

/// Time is in milliseconds from an arbitrary point after boot.
final class SimulatedServer {
    struct Process {
        var pid: Int32
        var started: Int
        var generation: UInt64
        var parent: Int32
        var command: String
        /// 1 is the old release, 2 the new one.
        var release: Int
        var holds = true
        /// A master holds and never accepts.
        var accepts = false
        /// The release whose code and token are in its memory; 0 is code of the new release without its token.
        var code: Int
        var readyAt: Int
        var busyUntil = 0
        var isZombie = false
    }

    static let tokens = ["", "11111111aaaaaaaa11111111aaaaaaaa", "22222222bbbbbbbb22222222bbbbbbbb"]
    static let boot = 1_000_000

    private(set) var now = 0
    private(set) var processes: [Int32: Process] = [:] { didSet { seen = nil } }
    private var seen: [ServiceProcess]?
    private(set) var incidents: [ProcessIncident] = []
    private var events: [(at: Int, order: Int, act: () -> Void)] = []
    private var order = 0
    private var lastPid: Int32 = 1000
    private var lastGeneration: UInt64 = 0
    var random: SplitMix
    /// The token is read on every request, from here.
    var isDynamic = false
    var current = 1
    /// Whether the kernel tells of incidents.
    var tells = true
    var hasActivation = false

    init(seed: UInt64) { random = SplitMix(state: seed) }

    // MARK: What happens

    func upTo(_ most: Int) -> Int { most <= 0 ? 0 : Int(random.next() % UInt64(most)) }
    func between(_ least: Int, _ most: Int) -> Int { least + upTo(most - least + 1) }

    func after(_ delay: Int, _ act: @escaping () -> Void) {
        order += 1
        events.append((now + max(0, delay), order, act))
        events.sort { ($0.at, $0.order) > ($1.at, $1.order) }
    }

    func advance(to time: Int) {
        while let next = events.last, next.at <= time {
            events.removeLast()
            now = max(now, next.at)
            next.act()
        }
        now = max(now, time)
    }

    @discardableResult
    func fork(_ parent: Int32, accepts: Bool, code: Int? = nil, boot: Int = 0, command: String? = nil) -> Int32 {
        let maker = processes[parent]
        lastPid += 1
        processes[lastPid] = Process(
            pid: lastPid, started: now, generation: maker?.generation ?? nextGeneration(), parent: parent,
            command: command ?? maker?.command ?? "ruby",
            release: maker?.release ?? current, accepts: accepts, code: code ?? maker?.code ?? current, readyAt: now + boot)
        tell(lastPid, .fork(parent: parent))
        return lastPid
    }

    func exec(_ pid: Int32, release: Int, code: Int, boot: Int = 0) {
        processes[pid]?.generation = nextGeneration()
        processes[pid]?.release = release
        processes[pid]?.code = code
        processes[pid]?.readyAt = now + boot
        tell(pid, .exec)
    }

    func exit(_ pid: Int32, _ status: Int32 = 0) {
        guard processes.removeValue(forKey: pid) != nil else { return }
        for child in processes.values where child.parent == pid { processes[child.pid]?.parent = 1 }
        tell(pid, .exit(status: status << 8))
    }

    /// It takes nothing new; what it has it finishes.
    func drain(_ pid: Int32, for time: Int, keepsListener: Bool = false) {
        let busy = max(time, (processes[pid]?.busyUntil ?? 0) - now)
        if !keepsListener { processes[pid]?.holds = false }
        after(busy) { self.exit(pid) }
    }

    func change(_ pid: Int32, _ change: (inout Process) -> Void) {
        if var process = processes[pid] {
            change(&process)
            processes[pid] = process
        }
    }

    var takeIncidents: [ProcessIncident] {
        defer { incidents = [] }
        return tells ? incidents : []
    }

    private func nextGeneration() -> UInt64 {
        lastGeneration += 1
        return lastGeneration
    }

    private func tell(_ pid: Int32, _ what: ProcessIncident.What) { incidents.append(ProcessIncident(pid: pid, what: what, at: uptime)) }

    // MARK: What is seen

    var uptime: Duration { .milliseconds(Self.boot + now) }

    private func mark(_ process: Process) -> ProcessMark {
        ProcessMark(
            pid: process.pid, startTicks: UInt64((Self.boot + process.started) / 10), generation: .vector(random: process.generation, sysinfo: 1))
    }

    var look: ServiceLook {
        let isThere = hasActivation || processes.values.contains { $0.holds }
        return ServiceLook(
            at: uptime, listeners: isThere ? [ServiceListener(inode: 77, address: .tcp(address: "127.0.0.1", port: 8080))] : [],
            processes: seenProcesses)
    }

    private var seenProcesses: [ServiceProcess] {
        if let seen, !processes.values.contains(where: { $0.busyUntil > 0 }) { return seen }
        var seen = processes.values.sorted { $0.pid < $1.pid }.map { process in
            ServiceProcess(
                mark: mark(process), parent: process.parent, command: process.command, state: UInt8(ascii: process.isZombie ? "Z" : "S"),
                listeners: process.holds && !process.isZombie ? [77] : [],
                folder: FolderMark(device: 1, inode: UInt64(100 + process.release)), folderPath: "/srv/app/releases/\(process.release)",
                parentFolder: FolderMark(device: 1, inode: 50), connections: process.busyUntil > now ? 1 : 0)
        }
        if hasActivation {
            seen.append(
                ServiceProcess(
                    mark: ProcessMark(pid: 1, startTicks: 1, generation: .vector(random: 999_999, sysinfo: 1)), parent: 0, command: "systemd",
                    state: UInt8(ascii: "S"), listeners: [77], isForeign: true))
        }
        self.seen = seen
        return seen
    }

    var release: ReleaseFolder {
        ReleaseFolder(path: "/srv/app/releases/2", mark: FolderMark(device: 1, inode: 102), parent: FolderMark(device: 1, inode: 50))
    }

    /// So many connections at once; each is taken by some worker that is free.
    func ask(_ connections: Int) -> (answers: [WorkerAnswer], unaccepted: Int) {
        var answers: [WorkerAnswer] = []
        var free = processes.values.filter { $0.holds && $0.accepts && $0.readyAt <= now && $0.busyUntil <= now }.sorted { $0.pid < $1.pid }
        for _ in 0..<connections where !free.isEmpty {
            // Mostly each gets one; sometimes one gets two.
            let index = upTo(free.count)
            let process = upTo(4) == 0 ? free[index] : free.remove(at: index)
            let code = isDynamic ? current : process.code
            answers.append(
                WorkerAnswer(
                    mark: mark(process), content: code == 0 ? .other(status: 200, bytes: 4) : .token(Self.tokens[code]), status: 200,
                    took: .microseconds(700), at: uptime))
        }
        return (answers, connections - answers.count)
    }

    /// Whether a fresh request can get something else than the new code, now or once somebody is no longer busy.
    var canAnswerOld: Bool { processes.values.contains { $0.holds && $0.accepts && $0.code != 2 } }
    /// As many workers as before serve the new code.
    var workersWanted = 0
    var isWhollyNew: Bool {
        let workers = processes.values.filter { $0.holds && $0.accepts }
        return workers.count >= workersWanted && workers.allSatisfy { $0.code == 2 && $0.readyAt <= now }
    }
}

/// Plays the part of the desk on a simulated server.
struct SimulatedDeploy {
    var server: SimulatedServer
    var verifier: HostVerifier
    var verdict: Verdict?
    /// When it came, from the beginning of the deploy.
    var took = 0
    /// How long the server had been wholly new when it came.
    var latency = 0
    var isVerdictPremature = false
    var account: HostDeploy?
    var looks = 0

    init(_ server: SimulatedServer, check: DeployCheck, deploy: (SimulatedServer) -> Void) {
        self.server = server
        func moment() -> Moment { Moment(wall: Timestamp(seconds: 1_800_000_000) + server.uptime, uptime: server.uptime) }
        let first = server.look
        server.workersWanted = max(1, server.processes.values.count { $0.accepts })
        let answers = server.ask(8).answers
        let baseline = Baseline(first, answers: answers, token: SimulatedServer.tokens[2], boot: "b")
        verifier = HostVerifier(
            service: "web", host: "app-1", deploy: "d-0", token: SimulatedServer.tokens[2], baseline: baseline,
            release: .seen(server.release),
            start: moment())
        server.advance(to: server.now + server.between(10, 100))
        _ = server.takeIncidents
        let began = server.now
        deploy(server)
        verifier.begin(check, at: moment())
        var newSince: Int?
        while verdict == nil {
            for incident in server.takeIncidents { verifier.observe(incident) }
            looks += 1
            verifier.observe(server.look, mainProcess: nil)
            newSince = server.isWhollyNew ? newSince ?? server.now : nil
            verdict = verifier.conclude(at: moment())
            if verdict != nil { break }
            let step = verifier.next(at: server.uptime)
            if step.ask.isEmpty {
                server.advance(to: server.now + max(1, Int(step.wait.inMilliseconds)))
            } else {
                server.advance(to: server.now + server.between(0, 2))
                let (answers, unaccepted) = server.ask(min(8, max(1, step.ask.count)))
                // Things go on while the answers are under way.
                server.advance(to: server.now + (unaccepted > 0 ? 50 : server.between(1, 8)))
                for answer in answers { verifier.observe(answer) }
                verifier.asked(unaccepted: unaccepted, refused: 0, at: server.uptime)
            }
            newSince = server.isWhollyNew ? newSince ?? server.now : nil
        }
        took = server.now - began
        latency = server.now - (newSince ?? server.now)
        isVerdictPremature = verdict == .verified && server.canAnswerOld
        account = verifier.account(at: moment())
    }
}

extension Duration {
    var inMilliseconds: Double { Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15 }
}
