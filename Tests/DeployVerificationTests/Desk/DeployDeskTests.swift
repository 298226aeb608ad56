// The desk on a loop of its own, before servers that are simulated in real time.

import AgentAPI
import Platform
import Synchronization
import TestKit
import Testing

@testable import DeployVerification

/// Shows a simulated server as LinuxHost shows a real one. It lives on the desk's loop.
private final class SimulatedInspector: ServiceInspector {
    let server: SimulatedServer
    let loop: Loop
    private let start = SystemTime().now().uptime
    private var watchers: [String: (ProcessIncident) -> Void] = [:]
    private(set) var questions: [String] = []
    var birth: [Int32: BirthToken] = [:]
    var isProbing = false
    /// Takes connections and says nothing.
    var isDeaf = false
    /// Of all processes, beside the token of their release.
    var age = TokenAge.younger

    init(_ server: SimulatedServer, _ loop: Loop) {
        self.server = server
        self.loop = loop
        server.advance(to: 120_000)
    }

    /// The server's time goes on as the loop's does.
    func catchUp() {
        server.advance(to: 120_000 + Int((SystemTime().now().uptime - start).inMilliseconds))
        for incident in server.takeIncidents { for watcher in watchers.values { watcher(moved(incident)) } }
    }

    private func moved(_ incident: ProcessIncident) -> ProcessIncident {
        var incident = incident
        incident.at = SystemTime().now().uptime
        return incident
    }

    func look(at service: InspectedService, known: [ServiceListener]) -> ServiceLook {
        catchUp()
        var look = server.look
        look.at = SystemTime().now().uptime
        // Its clock is another one: ages are kept.
        let shift = look.at.inMilliseconds / 10 - server.uptime.inMilliseconds / 10
        look.processes = look.processes.map { process in
            var process = process
            process.mark = moved(process.mark, by: shift)
            return process
        }
        return look
    }

    private var shifts: [Int32: [UInt64: UInt64]] = [:]
    private func moved(_ mark: ProcessMark, by shift: Double) -> ProcessMark {
        let ticks = shifts[mark.pid]?[mark.startTicks] ?? UInt64(max(1, Double(mark.startTicks) + shift))
        shifts[mark.pid, default: [:]][mark.startTicks] = ticks
        return ProcessMark(pid: mark.pid, startTicks: ticks, generation: mark.generation)
    }

    func ask(
        _ question: TokenQuestion, of service: InspectedService, at look: ServiceLook, workers: [ProcessMark],
        _ heard: @escaping (WorkerAnswer) -> Void, done: @escaping (Int, Int) -> Void
    ) {
        catchUp()
        questions.append(question.path)
        guard !isDeaf else { return }
        let (answers, unaccepted) = server.ask(min(8, max(1, workers.count)))
        let shift = SystemTime().now().uptime.inMilliseconds / 10 - server.uptime.inMilliseconds / 10
        loop.after(.milliseconds(unaccepted > 0 ? 50 : 2)) {
            for var answer in answers {
                answer.mark = self.moved(answer.mark, by: shift)
                answer.at = SystemTime().now().uptime
                heard(answer)
            }
            done(unaccepted, 0)
        }
    }

    func watch(_ service: InspectedService, _ happened: @escaping (ProcessIncident) -> Void) { watchers[service.name] = happened }
    func unwatch(_ service: String) { watchers[service] = nil }
    var isWatching: Bool { !watchers.isEmpty }
    func probe(_ order: AvailabilityOrder, of service: InspectedService, listeners: [ServiceListener]) { isProbing = !listeners.isEmpty }
    func availability(of service: String) -> Availability? { isProbing ? Availability(requests: 10, failed: 1) : nil }
    func stopProbe(of service: String) { isProbing = false }
    func release(_ path: String) -> NamedRelease {
        path == server.release.path ? .seen(server.release) : .unseen("there is no folder \(path) on this host")
    }
    func releaseToken(of mark: ProcessMark) -> BirthToken { birth[mark.pid] ?? .unproven }
    func age(of mark: ProcessMark, beside token: Secret) -> TokenAge { age }
}

/// Which windows were opened and closed.
private final class Windows: Sendable {
    private let held = Mutex<(told: [String], problem: String?)>(([], nil))
    var told: [String] { held.withLock { $0.told } }

    func refuse(_ problem: String) { held.withLock { $0.problem = problem } }

    var surroundings: DeployWindows {
        DeployWindows(
            open: { deploy, opened in
                self.held.withLock { $0.told.append("open \(deploy.id) of \(deploy.service)") }
                opened(self.held.withLock { $0.problem })
            }, close: { deploy in self.held.withLock { $0.told.append("close \(deploy.id)") } })
    }
}

/// A desk, its loop and its server, all on the thread of the test.
private final class Bed {
    let windows = Windows()
    let loop: Loop
    let inspector: SimulatedInspector
    let desk: DeployDesk
    let cluster: (master: Int32, workers: [Int32])
    var server: SimulatedServer { inspector.server }

    init(file: String? = nil, server: SimulatedServer? = nil, boot: String = "b-1", asks: Bool = true) throws {
        let loop = try Loop()
        self.loop = loop
        if let server {
            let workers = server.processes.values.filter(\.accepts).map(\.pid)
            cluster = (server.processes.values.first { !$0.accepts }?.pid ?? 0, workers.sorted())
            inspector = SimulatedInspector(server, loop)
        } else {
            let server = SimulatedServer(seed: 5)
            server.advance(to: 100)
            let master = server.fork(1, accepts: false, command: "puma")
            cluster = (master, (0..<2).map { _ in server.fork(master, accepts: true) })
            inspector = SimulatedInspector(server, loop)
            _ = server.takeIncidents
        }
        desk = DeployDesk(
            loop: loop, inspector: inspector, time: SystemTime(),
            surroundings: .init(
                host: "app-1", boot: boot, file: file, question: { _ in asks ? TokenQuestion(path: "/about/deploy") : nil },
                find: { name, found in
                    found(["web", "web.service"].contains(name) ? InspectedService(name: "web.service", mainProcess: nil, cgroup: nil) : nil)
                }, windows: windows.surroundings, tell: { _ in }))
        desk.begin()
    }

    /// Turns the loop until something is there, for 20 s at most.
    func wait<Value>(_ what: (@escaping (Value) -> Void) -> Void) throws -> Value {
        var value: Value?
        let loop = loop
        let limit = loop.after(.seconds(20)) { loop.stop() }
        what {
            value = $0
            loop.stop()
        }
        if value == nil { loop.run() }
        loop.cancel(limit)
        guard let value else { throw NeverHappened(description: "the desk did not answer") }
        return value
    }

    func prepare(
        _ id: String = "d-1", token: String = SimulatedServer.tokens[2], takesOver: Bool = false, opensWindow: Bool = false, probe: Bool = false,
        service: String = "web"
    ) throws -> Result<DeployPrepared, DeployRefusal> {
        try wait { done in
            desk.prepare(
                DeployPreparation(
                    id: id, service: service, token: token, release: "/srv/app/releases/2",
                    availability: probe ? AvailabilityOrder() : nil, takesOver: takesOver, opensWindow: opensWindow), done)
        }
    }

    func check(_ check: DeployCheck) throws -> (states: [Verdict], last: HostDeploy?, refusal: DeployRefusal?) {
        var states: [Verdict] = []
        let result: (HostDeploy?, DeployRefusal?) = try wait { done in
            desk.check(
                check,
                { account in
                    if states.last != account.state { states.append(account.state) }
                    if account.isFinal { done((account, nil)) }
                }, refused: { done((nil, $0)) })
        }
        return (states, result.0, result.1)
    }

    func status(_ service: String = "web") throws -> Result<ServiceStatus, DeployRefusal> { try wait { desk.status(of: service, $0) } }

    /// New workers in the place of the old ones.
    func replaceWorkers(code: Int = 2) {
        inspector.catchUp()
        server.change(cluster.master) { $0.release = code }
        for worker in cluster.workers {
            server.exit(worker)
            server.fork(cluster.master, accepts: true, code: code, boot: 100)
        }
    }
}

@Suite(.serialized) struct DeployDeskTests {
    private let quick = DeployCheck(deploy: "d-1", timeout: .seconds(15), settle: .milliseconds(200))

    @Test func aDeployIsPreparedCheckedAndVerified() throws {
        let bed = try Bed()
        let prepared = try bed.prepare(probe: true).get()
        #expect(prepared.workers == 2 && prepared.service == "web.service" && prepared.warnings == [])
        #expect(bed.inspector.isProbing)
        bed.replaceWorkers()
        let (states, last, _) = try bed.check(quick)
        #expect(last?.state == .verified && last?.hasBaseline == true && last?.count(.new) == 2, "\(String(describing: last))")
        #expect(states.last == .verified)
        #expect(last?.availability?.failed == 1)
        #expect(last?.incidents.isEmpty == false)
        // It is over: nothing is watched any more, and the next may begin.
        #expect(!bed.inspector.isProbing && !bed.inspector.isWatching)
        #expect(try bed.prepare("d-2").get().workers == 2)
    }

    @Test func aServiceIsNotLookedAtForLongAfterAQuestion() throws {
        let bed = try Bed()
        _ = try bed.status().get()
        #expect(bed.inspector.isWatching)
        let isOver: Bool = try bed.wait { done in
            func look() {
                guard bed.inspector.isWatching else { return done(true) }
                _ = bed.loop.after(.milliseconds(200)) { look() }
            }
            look()
        }
        #expect(isOver)
        #expect(try bed.status().get().carried == .token(SimulatedServer.tokens[1]))
    }

    @Test func aStaleDeployIsStaleAndItsLimitsAreJudgedWhenItIsNot() throws {
        let bed = try Bed()
        _ = try bed.prepare(probe: true).get()
        let stale = try bed.check(DeployCheck(deploy: "d-1", timeout: .milliseconds(300)))
        #expect(stale.last?.state == .stale)
        _ = try bed.prepare("d-2", probe: true).get()
        bed.replaceWorkers()
        let breached = try bed.check(DeployCheck(deploy: "d-2", timeout: .seconds(15), settle: .milliseconds(100), limits: AvailabilityLimits()))
        #expect(breached.last?.state == .limitsExceeded)
    }

    @Test func whatCannotBeDoneIsRefusedInWords() throws {
        let bed = try Bed()
        #expect(throws: DeployRefusal.self) { try bed.prepare(service: "mail").get() }
        _ = try bed.prepare().get()
        guard case .failure(let refusal) = try bed.prepare("d-2", service: "web.service") else {
            Issue.record("two deploys at once")
            return
        }
        #expect(refusal.status == 409)
        // The same again is no other deploy.
        #expect(try bed.prepare().get().workers == 2)
        #expect(try bed.prepare("d-2", takesOver: true).get().workers == 2)
        #expect(try bed.check(DeployCheck(deploy: "d-77")).refusal?.kind == .unknownDeploy)
        #expect(try bed.check(DeployCheck(service: "web", token: "no token")).refusal?.kind == .wrong)
        #expect(try bed.check(DeployCheck(service: "mail", token: SimulatedServer.tokens[2])).refusal?.kind == .unknownService)
        guard case .failure = try bed.status("mail") else {
            Issue.record("a status of nothing")
            return
        }
    }

    @Test func aWindowIsOpenUntilWhoeverDeploysHasEnded() throws {
        let bed = try Bed()
        _ = try bed.prepare(opensWindow: true).get()
        #expect(bed.windows.told == ["open d-1 of web.service"])
        bed.replaceWorkers()
        #expect(try bed.check(quick).last?.state == .verified)
        // What is done about a verdict belongs to the deploy.
        #expect(bed.windows.told.count == 1)
        #expect(bed.desk.end("d-1") == nil)
        #expect(bed.windows.told.last == "close d-1")
        // The verdict stays.
        #expect(try bed.check(quick).last?.hasBaseline == true)
        _ = try bed.prepare("d-2", opensWindow: true).get()
        _ = try bed.prepare("d-3", takesOver: true).get()
        #expect(bed.windows.told.dropFirst(2) == ["open d-2 of web.service", "close d-2"])
        #expect(bed.desk.end("d-3") == nil)
        #expect(bed.windows.told.count == 4)
        #expect(bed.desk.end("d-3")?.kind == .unknownDeploy)
    }

    @Test func withoutItsWindowADeployIsNotPrepared() throws {
        let bed = try Bed()
        bed.windows.refuse("too many windows are open already")
        let refusal = #expect(throws: DeployRefusal.self) { try bed.prepare(opensWindow: true).get() }
        #expect(refusal?.description == "no deploy window: too many windows are open already")
        #expect(try bed.prepare("d-2").get().workers == 2)
    }

    @Test func anEarlierDeployIsToldOfALaterOne() throws {
        let bed = try Bed()
        _ = try bed.prepare(token: "33333333cccccccc33333333cccccccc").get()
        _ = try bed.check(DeployCheck(deploy: "d-1", timeout: .milliseconds(300)))
        _ = try bed.prepare("d-2").get()
        bed.replaceWorkers()
        let last = try bed.check(DeployCheck(deploy: "d-1", timeout: .seconds(15))).last
        #expect(last?.state == .newProcessOldCode)
        #expect(last?.reasons.first?.hasSuffix("runs a later release: it answers the token of d-2") == true, "\(last?.reasons ?? [])")
    }

    @Test func aDeployThatIsStillJudgedIsToldOfALaterOne() throws {
        let bed = try Bed()
        _ = try bed.prepare(token: "33333333cccccccc33333333cccccccc").get()
        let last: HostDeploy = try bed.wait { done in
            bed.desk.check(DeployCheck(deploy: "d-1", timeout: .seconds(15)), { if $0.isFinal { done($0) } }, refused: { _ in })
            bed.desk.prepare(
                DeployPreparation(id: "d-2", service: "web", token: SimulatedServer.tokens[2], release: "/srv/app/releases/2", takesOver: true)
            ) { _ in bed.replaceWorkers() }
        }
        #expect(last.state == .newProcessOldCode)
        #expect(last.reasons.first?.hasSuffix("runs a later release: it answers the token of d-2") == true, "\(last.reasons)")
    }

    @Test func workersThatSayNothingDoNotHoldUpTheDeploy() throws {
        let bed = try Bed()
        bed.inspector.isDeaf = true
        #expect(try bed.prepare().get().warnings.contains { $0.contains("no worker answered") })
    }

    @Test func aCheckWithoutPreparationJudgesByAnswersAlone() throws {
        let bed = try Bed()
        bed.replaceWorkers()
        let (_, last, _) = try bed.check(
            DeployCheck(service: "web", token: SimulatedServer.tokens[2], timeout: .seconds(15), settle: .milliseconds(100)))
        #expect(last?.state == .verified && last?.hasBaseline == false)
    }

    @Test func aCheckWithoutPreparationDoesNotBelieveWorkersThatMayBeOlderThanTheirToken() throws {
        let bed = try Bed()
        bed.replaceWorkers()
        bed.inspector.age = .older
        let (_, last, _) = try bed.check(
            DeployCheck(service: "web", token: SimulatedServer.tokens[2], timeout: .seconds(1), settle: .milliseconds(100)))
        #expect(last?.state == .unproven)
        #expect(last?.reasons.contains { $0.contains("older than the token") } == true, "\(last?.reasons ?? [])")
    }

    @Test func severalChecksOfOneDeployEachHaveTheirVerdict() throws {
        let bed = try Bed()
        _ = try bed.prepare().get()
        bed.replaceWorkers()
        var ended: [Verdict] = []
        let verdicts: [Verdict] = try bed.wait { done in
            for settle in [100, 600] {
                bed.desk.check(DeployCheck(deploy: "d-1", timeout: .seconds(15), settle: .milliseconds(settle))) { account in
                    if account.isFinal { ended.append(account.state) }
                    if ended.count == 2 { done(ended) }
                } refused: { _ in
                }
            }
            let cancelled = bed.desk.check(quick) { _ in
                Issue.record("a cancelled check still speaks")
            } refused: { _ in
            }
            if let cancelled { bed.desk.cancel(cancelled) }
        }
        #expect(verdicts == [.verified, .verified])
    }

    @Test func aDeployOutlivesTheAgent() throws {
        let folder = try TemporaryFolder()
        let file = "\(folder.path)/deploys"
        let first = try Bed(file: file)
        _ = try first.prepare().get()
        first.desk.finish()
        let second = try Bed(file: file, server: first.server)
        second.replaceWorkers()
        let (_, last, _) = try second.check(quick)
        #expect(last?.state == .verified && last?.hasBaseline == true)
        #expect(last?.lacks.contains { $0.contains("the agent was started again") } == true)
        second.desk.finish()
        // After a reboot every process is younger than the baseline, and that shows nothing.
        let third = try Bed(file: file, server: second.server, boot: "b-2")
        let again = try third.check(quick)
        #expect(again.last?.hasBaseline == false && again.last?.lacks.contains { $0.contains("host was started again") } == true)
    }

    @Test func aStatusSaysWhatAllWorkersCarry() throws {
        let bed = try Bed()
        #expect(try bed.status().get().carried == .token(SimulatedServer.tokens[1]))
        bed.inspector.catchUp()
        bed.server.exit(bed.cluster.workers[0])
        bed.server.fork(bed.cluster.master, accepts: true, code: 2)
        #expect(try bed.status().get().carried == .mixed)
        bed.server.exit(bed.cluster.workers[1])
        bed.server.fork(bed.cluster.master, accepts: true, code: 2)
        #expect(try bed.status().get().carried == .token(SimulatedServer.tokens[2]))
        for process in bed.server.processes.values { bed.server.exit(process.pid) }
        let down = try bed.status().get()
        #expect(down.carried == .down && down.host.state == .down)
    }

    @Test func aStatusKnowsTheBaselineOfADeployUnderWay() throws {
        let bed = try Bed()
        _ = try bed.prepare().get()
        // The old workers answer with the new token: they read it on every request.
        bed.server.isDynamic = true
        bed.server.current = 2
        var status = try bed.status().get()
        for _ in 0..<3 where status.carried != .unproven { status = try bed.status().get() }
        #expect(status.carried == .unproven || status.carried == .mixed, "\(status)")
        #expect(status.host.deploy == "d-1")
    }

    @Test func withoutAQuestionTheTokensOfTheReleasesCount() throws {
        let bed = try Bed(asks: false)
        let token = SimulatedServer.tokens[1]
        #expect(try bed.status().get().carried == .unproven)
        for pid in [bed.cluster.master] + bed.cluster.workers { bed.inspector.birth[pid] = .token(token) }
        #expect(try bed.status().get().carried == .token(token))
        // Forked from a program that was born with another one: its code may be preloaded.
        for pid in bed.cluster.workers { bed.inspector.birth[pid] = .token(SimulatedServer.tokens[2]) }
        #expect(try bed.status().get().carried == .unproven)
        #expect(bed.inspector.questions.isEmpty)
    }
}
