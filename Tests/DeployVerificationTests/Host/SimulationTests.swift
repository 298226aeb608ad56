// Thousands of deploys of simulated servers, good and bad ones, at random speeds.

import AgentAPI
import DeployVerification
import Platform
import TestKit
import Testing

/// A kind of deploy, and the verdicts that are right for it.
struct SimulatedScenario: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var verdicts: Set<Verdict>
    var check = DeployCheck(deploy: "d-0", timeout: .seconds(12), settle: .milliseconds(300))
    /// Sets the server up, and answers with what the deploy does.
    var play: @Sendable (SimulatedServer) -> (SimulatedServer) -> Void

    init(
        _ description: String, _ verdicts: Set<Verdict>, settle: Duration = .milliseconds(300), watch: Duration = .zero,
        timeout: Duration = .seconds(8),
        evidence: DeployCheck.EvidenceKind = .http, play: @escaping @Sendable (SimulatedServer) -> (SimulatedServer) -> Void
    ) {
        testDescription = description
        self.verdicts = verdicts
        self.play = play
        check.settle = settle
        check.watch = watch
        check.timeout = timeout
        check.evidence = evidence
    }
}

private struct Cluster {
    var master: Int32
    var workers: [Int32]

    /// A master with workers that have served for long.
    init(_ server: SimulatedServer, command: String, workers count: Int? = nil) {
        server.advance(to: 100)
        master = server.fork(1, accepts: false, command: command)
        workers = []
        for _ in 0..<(count ?? server.between(2, 5)) { workers.append(server.fork(master, accepts: true)) }
        server.advance(to: 60_000)
    }
}

/// One worker after the other; `code` says what the new ones have in memory, `boots` whether they come up at all.
private func phased(
    _ cluster: Cluster, code: Int = 2, release: Int = 2, boot: ClosedRange<Int> = 20...400, fails: @escaping (Int) -> Bool = { _ in false }
)
    -> (SimulatedServer) -> Void
{
    { server in
        func start(_ index: Int) {
            let pid = server.fork(cluster.master, accepts: true, code: code, boot: server.between(boot.lowerBound, boot.upperBound))
            if fails(index) {
                server.after(server.between(20, 150)) {
                    server.exit(pid)
                    server.after(server.between(5, 60)) { start(index) }
                }
            } else {
                let ready = (server.processes[pid]?.readyAt ?? 0) - server.now
                server.after(ready + server.between(0, 20)) { replace(index + 1) }
            }
        }
        func replace(_ index: Int) {
            guard index < cluster.workers.count else { return }
            server.drain(cluster.workers[index], for: server.between(0, 60))
            server.after(server.between(1, 100)) { start(index) }
        }
        server.change(cluster.master) { $0.release = release }
        server.after(server.between(0, 300)) { replace(0) }
    }
}

/// A new master beside the old one; `quits` says whether the old ones are told to go.
private func beside(
    _ cluster: Cluster, release: Int = 2, code: Int = 2, load: ClosedRange<Int> = 50...1500, boot: ClosedRange<Int> = 0...600, quits: Bool = true,
    fails: Bool = false, workersFail: Bool = false
) -> (SimulatedServer) -> Void {
    { server in
        server.after(server.between(0, 200)) {
            let master = server.fork(cluster.master, accepts: false)
            server.exec(master, release: release, code: code)
            server.after(server.between(load.lowerBound, load.upperBound)) {
                if fails {
                    server.exit(master, 1)
                    return
                }
                func start(_ index: Int) {
                    let pid = server.fork(master, accepts: true, boot: server.between(boot.lowerBound, boot.upperBound))
                    guard workersFail else { return }
                    server.after(server.between(20, 90)) {
                        server.exit(pid, 1)
                        server.after(server.between(5, 60)) { start(index) }
                    }
                }
                for index in cluster.workers.indices {
                    server.after(server.between(0, 30) + 20 * index) { start(index) }
                }
                guard quits else { return }
                server.after(server.between(10, 100)) {
                    for worker in cluster.workers { server.drain(worker, for: server.between(0, 200), keepsListener: true) }
                    server.after(server.between(210, 400)) { server.exit(cluster.master) }
                }
            }
        }
    }
}

/// All at once under the same master, whose code may be preloaded.
private func hangUp(_ cluster: Cluster, code: Int = 2, release: Int = 2, boot: ClosedRange<Int> = 20...3000) -> (SimulatedServer) -> Void {
    { server in
        server.after(server.between(0, 200)) {
            server.change(cluster.master) { $0.release = release }
            for _ in cluster.workers {
                server.fork(cluster.master, accepts: true, code: code, boot: server.between(boot.lowerBound, boot.upperBound))
            }
            for worker in cluster.workers { server.drain(worker, for: server.between(0, 300), keepsListener: server.upTo(2) == 0) }
        }
    }
}

/// The master execs itself anew, and forks workers when it has loaded.
private func hot(_ cluster: Cluster, release: Int = 2, code: Int = 2, load: ClosedRange<Int> = 100...4000, fails: Bool = false) -> (SimulatedServer)
    -> Void
{
    { server in
        server.after(server.between(0, 200)) {
            for worker in cluster.workers { server.drain(worker, for: server.between(0, 100)) }
            server.after(server.between(100, 150)) {
                server.exec(cluster.master, release: release, code: code)
                server.after(server.between(load.lowerBound, load.upperBound)) {
                    if fails { return server.exit(cluster.master, 1) }
                    for _ in cluster.workers { server.fork(cluster.master, accepts: true, boot: server.between(0, 300)) }
                }
            }
        }
    }
}

/// Stopped and started again.
private func restart(_ cluster: Cluster, code: Int = 2, down: ClosedRange<Int> = 0...900, bind: ClosedRange<Int> = 10...3500, lives: Int? = nil)
    -> (SimulatedServer) -> Void
{
    { server in
        func start() {
            let master = server.fork(1, accepts: false, code: code, command: "puma")
            server.change(master) {
                $0.release = 2
                $0.holds = false
            }
            server.after(server.between(bind.lowerBound, bind.upperBound)) {
                server.change(master) { $0.holds = true }
                for _ in cluster.workers { server.fork(master, accepts: true, boot: server.between(0, 200)) }
                if let lives {
                    server.after(lives) {
                        for process in server.processes.values where process.parent == master { server.exit(process.pid, 1) }
                        server.exit(master, 1)
                        server.after(100) { start() }
                    }
                }
            }
        }
        server.after(server.between(0, 200)) {
            for worker in cluster.workers { server.drain(worker, for: server.between(0, 300)) }
            server.after(310) {
                server.exit(cluster.master)
                server.after(server.between(down.lowerBound, down.upperBound)) { start() }
            }
        }
    }
}

private let scenarios: [SimulatedScenario] = [
    .init("Puma, phased", [.verified]) { phased(Cluster($0, command: "puma")) },
    .init("Puma, phased, slow boots", [.verified]) { phased(Cluster($0, command: "puma", workers: 3), boot: 300...2500) },
    .init("Puma, phased, the new code raises", [.crashLoop]) { phased(Cluster($0, command: "puma"), fails: { _ in true }) },
    .init("Puma, phased, the second worker raises", [.crashLoop]) { phased(Cluster($0, command: "puma"), fails: { $0 == 1 }) },
    .init("Puma, phased, stops half way", [.mixed]) { server in
        let cluster = Cluster(server, command: "puma", workers: 4)
        var half = cluster
        half.workers = Array(cluster.workers.prefix(2))
        return phased(half)
    },
    .init("Puma, phased, in the old directory", [.newProcessOldCode]) { phased(Cluster($0, command: "puma"), code: 1, release: 1) },
    .init("Puma, hot", [.verified]) { hot(Cluster($0, command: "puma")) },
    .init("Puma, hot, the new code raises", [.down]) { hot(Cluster($0, command: "puma"), fails: true) },
    .init("Puma, hot, in the old directory", [.newProcessOldCode]) { hot(Cluster($0, command: "puma"), release: 1, code: 1) },
    .init("Unicorn, beside", [.verified]) { beside(Cluster($0, command: "unicorn")) },
    .init("Unicorn, beside, slow boots without preload", [.verified]) { beside(Cluster($0, command: "unicorn"), load: 50...200, boot: 1000...4000) },
    .init("Unicorn, beside, and nobody tells the old ones to go", [.mixed]) { beside(Cluster($0, command: "unicorn"), quits: false) },
    .init("Unicorn, beside, the new master cannot load", [.stale]) { beside(Cluster($0, command: "unicorn"), fails: true) },
    .init("Unicorn, beside, the new workers raise", [.crashLoop]) { beside(Cluster($0, command: "unicorn"), boot: 500...600, workersFail: true) },
    .init("Unicorn, beside, the new workers raise, and the old ones stay", [.crashLoop]) {
        beside(Cluster($0, command: "unicorn"), boot: 500...600, quits: false, workersFail: true)
    },
    .init("Unicorn, beside, in the old directory", [.newProcessOldCode]) { beside(Cluster($0, command: "unicorn"), release: 1, code: 1) },
    .init("Unicorn, beside, an old worker is busy for a while", [.verified]) { server in
        let cluster = Cluster(server, command: "unicorn")
        let busy = server.now + server.between(1000, 5000)
        server.change(cluster.workers[0]) { $0.busyUntil = busy }
        return beside(cluster)
    },
    .init("Unicorn, beside, an old worker is stuck", [.mixed]) { server in
        let cluster = Cluster(server, command: "unicorn")
        server.change(cluster.workers[0]) { $0.busyUntil = 1_000_000 }
        return beside(cluster)
    },
    .init("gunicorn, hang-up", [.verified]) { hangUp(Cluster($0, command: "gunicorn")) },
    .init("gunicorn, hang-up with preloaded code", [.newProcessOldCode]) { hangUp(Cluster($0, command: "gunicorn"), code: 1) },
    .init("gunicorn, hang-up, the token came too late", [.newProcessOldCode]) { hangUp(Cluster($0, command: "gunicorn"), code: 0) },
    .init("uWSGI, chain reload in the old directory", [.newProcessOldCode]) { phased(Cluster($0, command: "uwsgi"), code: 1, release: 1) },
    .init("stopped and started", [.verified]) { restart(Cluster($0, command: "puma")) },
    .init("stopped and started, and it dies on and on", [.crashLoop]) { restart(Cluster($0, command: "puma"), bind: 10...300, lives: 200) },
    .init("stopped, and never started", [.down]) { restart(Cluster($0, command: "puma"), down: 100_000...100_000) },
    .init("the signal is lost", [.stale]) { server in
        _ = Cluster(server, command: "puma")
        return { _ in }
    },
    .init("the token is read on every request", [.dynamicToken]) { server in
        let cluster = Cluster(server, command: "puma")
        server.isDynamic = true
        return { server in
            server.current = 2
            phased(cluster, code: 1, boot: 100...300)(server)
        }
    },
    .init("the workers die after two seconds, and the settle time is longer", [.crashLoop], settle: .seconds(4), timeout: .seconds(20)) { server in
        let cluster = Cluster(server, command: "unicorn", workers: 3)
        return { server in
            func start(_ master: Int32) {
                let pid = server.fork(master, accepts: true, boot: server.between(10, 200))
                server.after(server.between(1900, 2300)) {
                    server.exit(pid, 1)
                    server.after(20) { start(master) }
                }
            }
            let master = server.fork(cluster.master, accepts: false)
            server.exec(master, release: 2, code: 2)
            server.after(300) {
                for _ in 0..<3 { start(master) }
                for worker in cluster.workers { server.drain(worker, for: 50) }
                server.after(200) { server.exit(cluster.master) }
            }
        }
    },
    .init("the workers die after two seconds, while it watches", [.crashLoop], watch: .seconds(10), timeout: .seconds(15)) { server in
        let cluster = Cluster(server, command: "gunicorn", workers: 3)
        return { server in
            func start() {
                let pid = server.fork(cluster.master, accepts: true, code: 2, boot: server.between(10, 200))
                server.after(server.between(1900, 2300)) {
                    server.exit(pid, 1)
                    server.after(20) { start() }
                }
            }
            for _ in 0..<3 { start() }
            for worker in cluster.workers { server.drain(worker, for: 50) }
        }
    },
    .init("Puma with fork_worker", [.verified]) { server in
        let cluster = Cluster(server, command: "puma", workers: 3)
        return { server in
            server.change(cluster.master) { $0.release = 2 }
            server.drain(cluster.workers[0], for: 20)
            server.after(100) {
                let first = server.fork(cluster.master, accepts: true, code: 2, boot: 200)
                for index in 1..<3 {
                    server.after(600 * index) {
                        server.drain(cluster.workers[index], for: 20)
                        server.after(80) {
                            let next = server.fork(first, accepts: true, code: 2, boot: server.between(5, 60))
                            server.after(200) { server.change(next) { $0.parent = 1 } }
                        }
                    }
                }
            }
        }
    },
    .init("a single process that execs itself", [.verified]) { server in
        server.advance(to: 100)
        let pid = server.fork(1, accepts: true, command: "node")
        server.advance(to: 60_000)
        return { server in server.after(server.between(0, 400)) { server.exec(pid, release: 2, code: 2, boot: server.between(50, 2000)) } }
    },
    .init("a single process that execs itself in the old release", [.newProcessOldCode]) { server in
        server.advance(to: 100)
        let pid = server.fork(1, accepts: true, command: "node")
        server.advance(to: 60_000)
        return { server in server.after(server.between(0, 400)) { server.exec(pid, release: 1, code: 1, boot: server.between(50, 2000)) } }
    },
    .init("behind an activation holder", [.verified]) { server in
        server.hasActivation = true
        return restart(Cluster(server, command: "puma"))
    },
    .init("behind an activation holder, and never started", [.down]) { server in
        server.hasActivation = true
        return restart(Cluster(server, command: "puma"), down: 100_000...100_000)
    },
    .init("workers come and go for their own reasons", [.verified], timeout: .seconds(20)) { server in
        let cluster = Cluster(server, command: "unicorn")
        return { server in
            beside(cluster)(server)
            for _ in 0..<3 {
                server.after(server.between(2000, 5000)) {
                    guard let pid = server.processes.values.filter({ $0.code == 2 && $0.accepts }).map(\.pid).min(),
                        let worker = server.processes[pid]
                    else { return }
                    server.exit(pid)
                    server.fork(worker.parent, accepts: true, code: 2, boot: 100)
                }
            }
        }
    },
    .init("by processes alone: beside", [.verified], evidence: .process) { beside(Cluster($0, command: "unicorn")) },
    .init("by processes alone: hot", [.verified], evidence: .process) { hot(Cluster($0, command: "puma")) },
    .init("by processes alone: hot in the old directory", [.newProcessOldCode], evidence: .process) {
        hot(Cluster($0, command: "puma"), release: 1, code: 1)
    },
    .init("by processes alone: phased proves nothing", [.unproven], evidence: .process) { phased(Cluster($0, command: "puma")) },
    .init("by processes alone: preloaded code proves nothing", [.unproven], evidence: .process) { hangUp(Cluster($0, command: "gunicorn"), code: 1) },
    .init("by processes alone: two generations", [.mixed], evidence: .process) { beside(Cluster($0, command: "unicorn"), quits: false) },
]

@Suite struct SimulationTests {
    /// Never may a fresh request get old code after the proof; and of every deploy the right thing is said.
    @Test(arguments: scenarios)
    func everyDeployHasItsVerdictAndNoneIsProvenTooEarly(scenario: SimulatedScenario) {
        var latencies: [Int] = []
        for seed in 0..<UInt64(25) {
            let server = SimulatedServer(seed: seed &* 7919 &+ 1)
            server.tells = seed % 3 != 0
            let play = scenario.play(server)
            let deploy = SimulatedDeploy(server, check: scenario.check, deploy: play)
            let verdict = deploy.verdict ?? .unproven
            if deploy.isVerdictPremature { Issue.record("\(scenario.testDescription), seed \(seed): VERIFIED while an old worker can accept") }
            if !scenario.verdicts.contains(verdict) {
                Issue.record(
                    "\(scenario.testDescription), seed \(seed): \(verdict.rawValue) after \(deploy.took) ms: \(deploy.account?.reasons ?? [])")
            }
            if verdict == .verified { latencies.append(deploy.latency) }
            if verdict != .verified { #expect(deploy.account?.reasons.isEmpty == false) }
        }
        if !latencies.isEmpty {
            let median = latencies.sorted()[latencies.count / 2] - Int(scenario.check.settle.inMilliseconds)
            #expect(median <= 100, "\(scenario.testDescription): \(median) ms after the last worker's turn")
        }
    }

    /// Masters and workers that come, go, exec, hang and load any code, in no order at all.
    @Test func inNoDisorderAnythingIsProvenWhileAnOldWorkerCanAccept() {
        var verified = 0
        for seed in 0..<UInt64(80) {
            let server = SimulatedServer(seed: seed &* 104_729 &+ 3)
            server.tells = seed % 2 == 0
            let cluster = Cluster(server, command: "puma")
            let actions = server.between(5, 40)
            let deploy = SimulatedDeploy(server, check: DeployCheck(deploy: "d-0", timeout: .seconds(10), settle: .milliseconds(50))) { server in
                var at = 0
                for number in 0..<actions {
                    at += server.between(0, 300)
                    // Towards the end more and more of it is new.
                    let isLate = number > actions / 2
                    server.after(at) { disturb(server, cluster, isLate: isLate) }
                }
                server.after(at + 100) {
                    for process in server.processes.values where process.accepts && process.code != 2 && server.upTo(8) > 0 {
                        server.exit(process.pid)
                    }
                    for _ in cluster.workers { server.fork(server.processes.keys.min() ?? 1, accepts: true, code: 2, boot: server.upTo(500)) }
                }
            }
            if deploy.isVerdictPremature { Issue.record("seed \(seed): VERIFIED while an old worker can accept") }
            if deploy.verdict == .verified { verified += 1 }
        }
        #expect(verified > 10)
    }
}

private func disturb(_ server: SimulatedServer, _ cluster: Cluster, isLate: Bool) {
    let pids = server.processes.keys.sorted()
    guard !pids.isEmpty else { return }
    let pid = pids[server.upTo(pids.count)]
    let code = isLate || server.upTo(2) == 0 ? 2 : server.upTo(3)
    switch server.upTo(8) {
    case 0, 1, 2: server.fork(pid, accepts: true, code: code, boot: server.upTo(800))
    case 3: server.exit(pid, Int32(server.upTo(2)))
    // Who has the new code and stands elsewhere is not believed.
    case 4: server.exec(pid, release: code == 2 ? 2 : server.between(1, 2), code: code, boot: server.upTo(800))
    case 5: server.drain(pid, for: server.upTo(1000), keepsListener: server.upTo(2) == 0)
    case 6:
        let busy = server.now + server.upTo(3000)
        server.change(pid) { $0.busyUntil = busy }
    default: server.change(pid) { $0.parent = 1 }
    }
}
