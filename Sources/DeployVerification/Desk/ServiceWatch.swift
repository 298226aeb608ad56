// Looks at one service for everybody who wants to know of its deploy.

import AgentAPI
import Platform

/// One service under observation: looks, questions and incidents go to all its verifiers alike. It lives on the desk's loop.
final class ServiceWatch {
    struct Participant {
        var verifier: HostVerifier
        /// How the workers are asked for it; `nil`: they cannot be asked.
        var question: TokenQuestion?
        /// Hears of what has changed, and of the verdict.
        var changed: ((HostVerifier) -> Void)?
    }

    private static let leastPause = Duration.milliseconds(5)
    /// How often the watcher is asked what the service's main process is.
    private static let refresh = Duration.milliseconds(500)
    private static let betweenReleases = Duration.milliseconds(300)

    private let loop: Loop
    private let inspector: any ServiceInspector
    private let time: any TimeSource
    private let find: (@escaping (InspectedService?) -> Void) -> Void
    private(set) var service: InspectedService
    private var participants: [Int: Participant] = [:]
    private var timer: Loop.Timer?
    private var timerDue: Duration?
    private var isAsking = false
    private var isEnded = false
    private var lastLook: Duration?
    private var lastAnswer: Duration?
    private var lastFound: Duration
    private var isFinding = false
    private var known: [ServiceListener] = []
    /// When each release was looked at again.
    private var lastReleases: [String: Duration] = [:]

    init(
        _ service: InspectedService, loop: Loop, inspector: any ServiceInspector, time: any TimeSource,
        find: @escaping (@escaping (InspectedService?) -> Void) -> Void
    ) {
        self.service = service
        self.loop = loop
        self.inspector = inspector
        self.time = time
        self.find = find
        lastFound = time.now().uptime
        inspector.watch(service) { [weak self] incident in self?.happened(incident) }
    }

    var isIdle: Bool { participants.isEmpty }

    /// Nothing is heard of it any more.
    func end() {
        isEnded = true
        participants = [:]
        if let timer { loop.cancel(timer) }
        timer = nil
        inspector.unwatch(service.name)
    }

    func add(_ number: Int, _ participant: Participant) {
        participants[number] = participant
        schedule(in: .zero)
    }

    /// Looks at once, for somebody who asks how things are now.
    func hurry() { schedule(in: .zero) }

    func remove(_ number: Int) { participants[number] = nil }

    /// A deploy that was prepared while earlier ones are still judged.
    func learn(of later: (id: String, token: Secret)) {
        for number in participants.keys { participants[number]?.verifier.laterDeploys.append(later) }
    }

    func verifier(_ number: Int) -> HostVerifier? { participants[number]?.verifier }

    // MARK: Turning

    private func happened(_ incident: ProcessIncident) {
        guard !isEnded else { return }
        for number in participants.keys { participants[number]?.verifier.observe(incident) }
        let isObservedOnly = participants.values.allSatisfy { $0.changed == nil }
        // Several things happen at once, and one look shows them all; and a service that starts programs all the time must not cost more.
        let least = Duration.milliseconds(isObservedOnly ? 100 : 20)
        let since = lastLook.map { time.now().uptime - $0 } ?? least
        schedule(in: max(Self.leastPause, least - since))
    }

    private func schedule(in wait: Duration) {
        guard !isEnded else { return }
        let due = time.now().uptime + wait
        if let timerDue, timer != nil, timerDue <= due { return }
        if let timer { loop.cancel(timer) }
        timerDue = due
        timer = loop.after(wait) { [weak self] in
            self?.timer = nil
            self?.turn()
        }
    }

    private func turn() {
        guard !isEnded, !participants.isEmpty else { return }
        refreshService()
        let look = inspector.look(at: service, known: known + participants.values.flatMap(\.verifier.listenersBefore))
        if !look.listeners.isEmpty { known = look.listeners }
        lastLook = look.at
        let availability = inspector.availability(of: service.name)
        let now = time.now()
        for number in participants.keys.sorted() {
            guard var participant = participants[number] else { continue }
            participant.verifier.observe(look, mainProcess: service.mainProcess)
            participant.verifier.observe(availability)
            learn(&participant.verifier, at: now.uptime)
            participant.verifier.conclude(at: now)
            // Whom this calls may add and remove participants.
            participants[number]?.verifier = participant.verifier
            participant.changed?(participant.verifier)
        }
        guard !isEnded, !participants.isEmpty else { return }
        goOn(look)
    }

    /// Finds out what a verifier wants to know beside looks and answers.
    private func learn(_ verifier: inout HostVerifier, at now: Duration) {
        if let token = verifier.token {
            for mark in verifier.agesWanted { verifier.learn(inspector.age(of: mark, beside: token), of: mark) }
        }
        guard let path = verifier.releaseWanted, lastReleases[path].map({ now - $0 >= Self.betweenReleases }) ?? true else { return }
        if lastReleases.count > 64 { lastReleases = [:] }
        lastReleases[path] = now
        verifier.see(inspector.release(path))
    }

    /// Asks whom somebody wants asked, and looks again when it is time.
    private func goOn(_ look: ServiceLook) {
        let now = time.now().uptime
        var wait = Duration.seconds(1)
        var asked: (question: TokenQuestion, marks: [ProcessMark])?
        for number in participants.keys.sorted() {
            guard let participant = participants[number] else { continue }
            let step = participant.verifier.next(at: now)
            wait = min(wait, step.wait)
            if asked == nil, !step.ask.isEmpty, let question = participant.question { asked = (question, step.ask) }
        }
        if !isAsking, let asked { ask(asked.question, asked.marks, look) }
        schedule(in: max(wait, Self.leastPause))
    }

    private func ask(_ question: TokenQuestion, _ marks: [ProcessMark], _ look: ServiceLook) {
        isAsking = true
        inspector.ask(question, of: service, at: look, workers: marks) { [weak self] answer in
            self?.hear(answer, to: question)
        } done: { [weak self] unaccepted, refused in
            guard let self, !isEnded else { return }
            isAsking = false
            let now = time.now().uptime
            for number in participants.keys where participants[number]?.question == question {
                participants[number]?.verifier.asked(unaccepted: unaccepted, refused: refused, at: now)
            }
            // What was answered counts from the next look on.
            if lastAnswer.map({ $0 >= lastLook ?? .zero }) ?? false { schedule(in: .zero) }
        }
    }

    private func hear(_ answer: WorkerAnswer, to question: TokenQuestion) {
        guard !isEnded else { return }
        lastAnswer = answer.at
        for number in participants.keys where participants[number]?.question == question { participants[number]?.verifier.observe(answer) }
        // The others' answers may be late.
        schedule(in: Self.leastPause)
    }

    private func refreshService() {
        let now = time.now().uptime
        guard !isFinding, now - lastFound >= Self.refresh else { return }
        isFinding = true
        find { [weak self] found in
            guard let self, !isEnded else { return }
            isFinding = false
            lastFound = time.now().uptime
            if let found {
                service.mainProcess = found.mainProcess
                service.cgroup = found.cgroup ?? service.cgroup
                service.problem = found.problem
            } else {
                service.mainProcess = nil
            }
        }
    }
}
