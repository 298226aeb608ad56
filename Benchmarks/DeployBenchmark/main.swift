// What judging a deploy costs, without the agent around it: looks at a service that runs, and asks its workers, again and again.
//
// Usage: DeployBenchmark MAIN_PID PATH USER PASSWORD_FILE [CGROUP]

import AgentAPI
import DeployVerification
import Glibc
import LinuxHost
import Platform

let arguments = CommandLine.arguments
guard arguments.count >= 5, let pid = Int32(arguments[1]) else { fatalError("usage: DeployBenchmark MAIN_PID PATH USER PASSWORD_FILE [CGROUP]") }
let password = try AtomicFile.read(arguments[4], limit: 4096)
let benchmark = try Benchmark(
    InspectedService(name: "bench", mainProcess: pid, cgroup: arguments.count > 5 ? arguments[5] : nil),
    TokenQuestion(path: arguments[2], user: arguments[3], password: Secret(String(decoding: password.prefix { $0 != 10 }, as: UTF8.self))))
benchmark.measureTicks()
benchmark.measureProbes(atOnce: 1)
benchmark.measureProbes(atOnce: benchmark.workers.count)

/// A service that is not deployed meanwhile.
final class Benchmark {
    let service: InspectedService
    let question: TokenQuestion
    let loop: Loop
    let inspector: LinuxServiceInspector
    let time = SystemTime()
    let first: ServiceLook
    let baseline: Baseline
    let workers: [ProcessMark]

    init(_ service: InspectedService, _ question: TokenQuestion) throws {
        self.service = service
        self.question = question
        loop = try Loop()
        inspector = LinuxServiceInspector(loop: loop)
        first = inspector.look(at: service, known: [])
        baseline = Baseline(first, answers: [], token: "", boot: "bench")
        workers = baseline.processes.filter { $0.role == .worker }.map(\.mark)
        guard !workers.isEmpty else { fatalError("the service has no workers") }
    }

    /// A look, and what follows from it, at old workers that stay: the check of a deploy that has not begun to take effect.
    func measureTicks() {
        var verifier = HostVerifier(
            service: service.name, host: "bench", deploy: "d-0", token: String(repeating: "a", count: 32), baseline: baseline, start: time.now())
        verifier.begin(DeployCheck(deploy: "d-0", timeout: .seconds(3600)), at: time.now())
        var known = first.listeners
        func tick() {
            let look = inspector.look(at: service, known: known)
            known = look.listeners
            verifier.observe(look, mainProcess: service.mainProcess)
            verifier.conclude(at: time.now())
            _ = verifier.next(at: time.now().uptime)
        }
        for _ in 0..<50 { tick() }
        let count = 1000
        var wall: [Duration] = []
        let before = processorTime()
        for _ in 0..<count {
            let began = time.now().uptime
            tick()
            wall.append(time.now().uptime - began)
            // As far apart as in a check, nearly: what is counted once a second is to be in the figure.
            usleep(10_000)
        }
        let microseconds = (processorTime() - before) * 1e6 / Double(count)
        tell("one tick over \(workers.count) workers (\(first.processes.count) processes)", microseconds, wall)
    }

    /// Rounds of so many connections, one round after the other.
    func measureProbes(atOnce: Int) {
        let rounds = 400
        var left = rounds + 20
        var answers = 0
        var before = 0.0
        var began = Duration.zero
        var wall: [Duration] = []
        func round() {
            if left == rounds {
                before = processorTime()
                answers = 0
                wall = []
            }
            guard left > 0 else { return loop.stop() }
            left -= 1
            began = time.now().uptime
            inspector.ask(question, of: service, at: first, workers: Array(workers.prefix(atOnce))) { _ in
                answers += 1
            } done: { [time] _, _ in
                wall.append(time.now().uptime - began)
                round()
            }
        }
        loop.after(.zero) { round() }
        loop.run()
        guard answers > 0 else { fatalError("nobody has answered") }
        let microseconds = (processorTime() - before) * 1e6 / Double(answers)
        tell("one attributed probe, \(atOnce) at once (\(answers) answers in \(rounds) rounds)", microseconds, wall)
    }
}

func tell(_ what: String, _ microseconds: Double, _ wall: [Duration]) {
    let sorted = wall.map(\.microseconds).sorted()
    let (median, late) = (sorted[sorted.count / 2], sorted[sorted.count * 95 / 100])
    print("\(what): \(Int(microseconds)) us of CPU; \(median) us until it is over (median; 95 % within \(late) us)")
}

func processorTime() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}
