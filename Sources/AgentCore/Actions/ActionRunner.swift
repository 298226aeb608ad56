// What is done to units because rules failed or recovered, or because somebody asked.

import AgentAPI
import Platform
import RuleLanguage

/// Reloads, restarts, starts and stops units through their init systems, sends signals and runs programs: what a rule says, in its written
/// order, once per episode, and one job of a unit at a time. A job is done when the unit is as it should be, not when it was asked for.
///
/// `alert` is not done here: the rule's own event carries the routes. It lives on the watcher's loop.
final class ActionRunner {
    /// How long an init system may take for a job: systemd's own default for starts and stops.
    static let deadline = Duration.seconds(90)
    /// How long the job of somebody else is waited for.
    static let foreignJobPatience = Duration.seconds(300)
    /// How long a reloaded unit must go on with the same main process.
    static let reloadPatience = Duration.seconds(1)
    /// A failed start is believed when it has lasted this long.
    static let failurePatience = Duration.seconds(1)
    static let evidenceDeadline = Duration.seconds(2)
    /// How long an init system may take to say how a unit is.
    static let refreshDeadline = Duration.seconds(30)
    /// Bytes of evidence in an event.
    static let evidenceInEvent = 1000

    private enum Stage: Equatable {
        /// Nothing was done for it yet.
        case begin
        /// Somebody else's job is in the way, since when.
        case waitingForOthers(since: Duration)
        /// That job has ended; the next cycle says whether this one is still needed.
        case waitingForJudgement(cycle: Int)
        /// Evidence is being collected, a job or a program runs: whoever does it answers, or has died at this time.
        case waitingForAnswer(until: Duration?)
        /// The job has ended; does the unit work?
        case verifying(since: Duration, until: Duration)
        /// The signal of this place was sent, and its effect is waited for.
        case laddering(Int, until: Duration)
    }

    /// What is being done to one unit.
    private struct Course {
        var queue = ActionQueue()
        var stage = Stage.begin
        var evidence: [String] = []
        var began = Duration.zero
        var before: UnitStanding?
        /// Since when the unit has looked failed while it is verified.
        var failedSince: Duration?
        /// One for each answer that is waited for: a late or second one is not heard.
        var ticket = 0
    }

    private let time: any TimeSource
    private let commands: (any CommandRunner)?
    private let evidence: (any EvidenceReader)?
    private let log: ActionLog?
    private let record: (Event) -> Void
    /// Asks for a `look()` after some time.
    private let wake: (Duration) -> Void
    private weak var ground: (any ActionGround)?

    private var courses: [String: Course] = [:]
    private(set) var limits: [String: StormLimit] = [:]
    /// What rules wanted while their unit was left alone.
    private var withheld: [String: [(steps: [ActionQueue.Step], call: ActionQueue.RuleCall)]] = [:]
    private var cycle = 0
    private var tickets = 0

    /// - Parameter record: takes the events about how the jobs ended.
    init(
        time: any TimeSource, ground: any ActionGround, commands: (any CommandRunner)? = nil, evidence: (any EvidenceReader)? = nil,
        log: ActionLog? = nil, wake: @escaping (Duration) -> Void, record: @escaping (Event) -> Void
    ) {
        self.time = time
        self.ground = ground
        self.commands = commands
        self.evidence = evidence
        self.log = log
        self.wake = wake
        self.record = record
    }

    /// Does what a rule says about an episode that begins, or about one that is over.
    /// - Parameter unit: its key.
    func run(_ rule: Rule, on unit: String, isRecovery: Bool = false, routes: [String?]) {
        let steps = (isRecovery ? rule.recoveryActions : rule.actions).compactMap(Self.step)
        guard !steps.isEmpty else { return }
        let call = ActionQueue.RuleCall(text: rule.text, condition: rule.condition.text, routes: routes, isRecovery: isRecovery)
        run(steps, on: unit, for: call)
    }

    /// Does what somebody asks for; no limit holds it back.
    func run(_ verb: UnitVerb, on unit: String, askedBy person: String) {
        courses[unit, default: Course()].queue.add([.unit(verb)], for: .person(person))
        look(at: unit)
    }

    /// Looks at what is being done: the unit has changed, or time has passed.
    func look(at unit: String) {
        while courses[unit] != nil, advance(unit) {}
    }

    func look() { for unit in courses.keys.sorted() { look(at: unit) } }

    /// A cycle has been judged.
    func endCycle() {
        cycle += 1
        let now = time.now()
        for unit in limits.keys.sorted() {
            guard var limit = limits[unit] else { continue }
            if limit.resumes(at: now.uptime) {
                limits[unit] = limit
                resume(unit, at: now)
            } else if limit.isForgotten(at: now.uptime) {
                limits[unit] = nil
            }
        }
        look()
    }

    /// Whether something is being done to a unit, and until when rules leave it alone.
    func state(of unit: String) -> (isActing: Bool, suspendedUntil: Duration?) {
        (courses[unit] != nil, limits[unit]?.suspendedUntil)
    }

    func restore(_ limits: [String: StormLimit]) { self.limits = limits }

    /// - Parameters:
    ///   - name: the unit's own name, as its events call it.
    ///   - route: where it is told that its actions are suspended no longer.
    func forget(_ unit: String, named name: String, route: String?) {
        courses[unit] = nil
        for key in limits.keys.sorted() where key == unit || key.hasPrefix(unit + Self.separator) {
            let isSuspended = limits.removeValue(forKey: key)?.suspendedUntil != nil
            let waiting = withheld.removeValue(forKey: key) ?? []
            guard isSuspended else { continue }
            let rule = key == unit ? nil : String(key.dropFirst(unit.count + Self.separator.count))
            let routes = waiting.first.map(\.call.routes).flatMap { $0.isEmpty ? nil : $0 } ?? [route]
            recordResumed(name, rule: rule, routes: routes, "it is not watched any more", at: time.now())
        }
    }

    /// Forgets the jobs that wait; of those that run the init system alone will know the end.
    func stop() {
        courses = [:]
        commands?.stop()
    }

    private static func step(_ action: Action) -> ActionQueue.Step? {
        switch action.kind {
        case .alert: nil
        case .reload: .unit(.reload)
        case .restart: .unit(.restart)
        case .start: .unit(.start)
        case .stop: .unit(.stop)
        case .signal(let steps): .ladder(steps)
        case .exec(let command): .exec(command)
        }
    }
}

// MARK: How often

extension ActionRunner {
    private func run(_ steps: [ActionQueue.Step], on unit: String, for call: ActionQueue.RuleCall) {
        let now = time.now()
        let isShared = courses[unit]?.queue.serves(steps, for: .rule(call)) ?? false
        if !isShared, let bound = bound(of: steps, on: unit, for: call) {
            switch limits[bound.key, default: StormLimit()].ask(at: now.uptime, most: bound.most) {
            case .mayAct: break
            case .suspended(let until):
                let clock = (now.wall + (until - now.uptime)).text(fraction: false)
                let times = "\(bound.most) times within \(durationWords(StormLimit.within))"
                let detail =
                    bound.rule == nil
                    ? "rules acted on it \(times); no further actions until \(clock), although \(call.condition)"
                    : "a rule ran its program \(times); it is not run again until \(clock), although \(call.condition)"
                record(
                    Event(
                        kind: .actionsSuspended, at: now.wall, unit: name(of: unit), rule: bound.rule, importance: .error, detail: detail,
                        routes: routes(of: call, on: unit)))
                return withhold(steps, on: unit, for: call, limit: bound.key)
            case .isSuspended:
                return withhold(steps, on: unit, for: call, limit: bound.key)
            }
        }
        courses[unit, default: Course()].queue.add(steps, for: .rule(call))
        look(at: unit)
    }

    /// What bounds how often this is done: what stops, starts or signals a unit counts for the unit; programs alone count for their rule, so
    /// that one which only tells somebody something never keeps a unit from being restarted. A reload harms nothing, and the program of a
    /// recovery runs no oftener than that of the failure.
    /// - Returns: under which key of `limits` it is counted, and the rule where it counts for that alone.
    private func bound(
        of steps: [ActionQueue.Step], on unit: String, for call: ActionQueue.RuleCall
    ) -> (key: String, most: Int, rule: String?)? {
        if steps.contains(where: \.interruptsUnit) { return (unit, StormLimit.episodes, nil) }
        guard steps.contains(where: \.isProgram), !call.isRecovery else { return nil }
        return (unit + Self.separator + call.text, StormLimit.programs, call.text)
    }

    /// Between a unit's key and a rule; in neither of them.
    private static let separator = "\n"

    /// Where the events of its actions go: what a rule without `alert` could not do is told to the unit's own route.
    private func routes(of call: ActionQueue.RuleCall, on unit: String) -> [String?] {
        call.routes.isEmpty ? [ground?.standing(of: unit)?.route] : call.routes
    }

    /// As events call it; the host has no name there.
    private func name(of unit: String) -> String? { unit == hostKey ? nil : ground?.standing(of: unit)?.unit ?? unit }

    private func withhold(_ steps: [ActionQueue.Step], on unit: String, for call: ActionQueue.RuleCall, limit: String) {
        withheld[limit, default: []].removeAll { $0.call.text == call.text }
        withheld[limit, default: []].append((steps, call))
        for step in steps {
            note(ActionQueue.Job(step: step, reasons: [.rule(call)]), on: unit, outcome: "left out: actions are suspended", took: .zero, [])
        }
    }

    private func resume(_ limit: String, at now: Moment) {
        let waiting = withheld.removeValue(forKey: limit) ?? []
        let parts = limit.split(separator: Self.separator, maxSplits: 1).map(String.init)
        let unit = parts.first ?? limit
        let routes = waiting.first.map(\.call.routes).flatMap { $0.isEmpty ? nil : $0 } ?? [ground?.standing(of: unit)?.route]
        recordResumed(name(of: unit), rule: parts.count > 1 ? parts[1] : nil, routes: routes, "rules may act on it again", at: now)
        for (steps, call) in waiting where !call.isRecovery && ground?.isFailing(call.text, of: unit) ?? false { run(steps, on: unit, for: call) }
    }

    private func recordResumed(_ name: String?, rule: String?, routes: [String?], _ detail: String, at now: Moment) {
        record(Event(kind: .actionsResumed, at: now.wall, unit: name, rule: rule, detail: detail, routes: routes))
    }
}

// MARK: One job

extension ActionRunner {
    /// Takes the first job of a unit one step further.
    /// - Returns: whether there is more to do at once.
    private func advance(_ unit: String) -> Bool {
        guard let course = courses[unit] else { return false }
        guard let job = course.queue.jobs.first, let ground, let standing = ground.standing(of: unit) else {
            courses[unit] = nil
            return false
        }
        let now = time.now()
        switch course.stage {
        case .begin:
            courses[unit]?.began = now.uptime
            return begin(job, on: unit, standing, at: now)
        case .waitingForOthers(let since):
            if !isInTheWay(of: job.step, standing) {
                courses[unit]?.stage = job.reasons.contains(where: \.isPerson) ? .begin : .waitingForJudgement(cycle: cycle)
                return true
            }
            guard now.uptime - since >= Self.foreignJobPatience else { return false }
            conclude(unit, "another job of it did not end within \(durationWords(Self.foreignJobPatience))")
            return true
        case .waitingForJudgement(let seen):
            guard cycle > seen else { return false }
            courses[unit]?.stage = .begin
            return true
        case .waitingForAnswer(let until):
            guard let until, now.uptime >= until else { return false }
            conclude(unit, "no answer came")
            return true
        case .verifying(let since, let until):
            return verify(job, on: unit, standing, since: since, until: until, at: now)
        case .laddering(let index, let until):
            return climb(job, on: unit, standing, from: index, until: until, at: now)
        }
    }

    private func begin(_ job: ActionQueue.Job, on unit: String, _ standing: UnitStanding, at now: Moment) -> Bool {
        if !job.reasons.contains(where: \.isPerson), let silence = ground?.silence(of: unit) {
            note(job, on: unit, outcome: "left out: \(silence)", took: .zero, [])
            next(unit)
            return true
        }
        let reasons = job.reasons.filter { reason in
            guard case .rule(let call) = reason else { return true }
            return (ground?.isFailing(call.text, of: unit) ?? false) != call.isRecovery
        }
        guard !reasons.isEmpty else {
            note(job, on: unit, outcome: "not needed any longer", took: .zero, [])
            next(unit)
            return true
        }
        courses[unit]?.queue.keep(reasons)
        if isInTheWay(of: job.step, standing) {
            courses[unit]?.stage = .waitingForOthers(since: now.uptime)
            wake(Self.foreignJobPatience)
            return false
        }
        if let problem = problem(with: job.step, standing) {
            conclude(unit, problem)
            return true
        }
        courses[unit]?.before = standing
        guard job.step.destroysEvidence, let evidence else {
            return confirm(unit)
        }
        let ticket = newTicket(unit, until: now.uptime + Self.evidenceDeadline * 2)
        evidence.collect(
            of: standing.unit, initSystem: standing.initSystem?.name ?? "", cgroup: standing.cgroup, mainProcess: standing.mainProcess,
            deadline: Self.evidenceDeadline
        ) { [weak self] lines in
            guard let self, self.courses[unit]?.ticket == ticket, ticket != 0 else { return }
            self.courses[unit]?.ticket = 0
            self.courses[unit]?.evidence = Array(lines.prefix(200))
            if self.confirm(unit) { self.look(at: unit) }
        }
        return false
    }

    /// Asks the init system how the unit is now, and acts only if what the rule says is still true then.
    /// - Returns: whether there is more to do at once.
    private func confirm(_ unit: String) -> Bool {
        guard let job = courses[unit]?.queue.jobs.first, let standing = ground?.standing(of: unit), let initSystem = standing.initSystem,
            case .rule = job.reasons.first, unit != hostKey
        else { return perform(unit) }
        let ticket = newTicket(unit, until: time.now().uptime + Self.refreshDeadline)
        initSystem.refresh(standing.unit) { [weak self] in
            guard let self, self.courses[unit]?.ticket == ticket else { return }
            self.courses[unit]?.ticket = 0
            let mayContinue = self.isStillNeeded(job, on: unit) ? self.perform(unit) : self.dismiss(job, on: unit)
            if mayContinue { self.look(at: unit) }
        }
        return false
    }

    /// What the rule says is no longer true: nothing is done, and the log of actions says so.
    private func dismiss(_ job: ActionQueue.Job, on unit: String) -> Bool {
        note(job, on: unit, outcome: "left out: no longer needed when the init system was asked again", took: .zero, [])
        next(unit)
        return true
    }

    private func isStillNeeded(_ job: ActionQueue.Job, on unit: String) -> Bool {
        job.reasons.contains { reason in
            guard case .rule(let call) = reason, let ground else { return true }
            return call.isRecovery ? !ground.isFailing(call.text, of: unit) : ground.isTrueNow(call.text, of: unit)
        }
    }

    /// Whether the init system is busy with the unit because somebody else asked, or restarts it by itself.
    private func isInTheWay(of step: ActionQueue.Step, _ standing: UnitStanding) -> Bool {
        switch step {
        case .exec: false
        case .unit(.stop): standing.hasJob
        case .unit, .ladder: standing.hasJob || [.starting, .stopping, .restarting].contains(standing.activity)
        }
    }

    /// Why not even the init system need be asked.
    private func problem(with step: ActionQueue.Step, _ standing: UnitStanding) -> String? {
        switch (step, standing.observation?.obstacle) {
        case (.exec, _): return commands == nil ? "this agent runs no programs" : nil
        case (.unit(.restart), .masked), (.unit(.start), .masked): return "\(standing.unit) is masked"
        case (.unit(.restart), .startLimit), (.unit(.start), .startLimit): return "\(standing.unit) was started too often, start limit reached"
        case (.unit(.reload), _) where standing.observation?.canReload == false: return "\(standing.unit) has no way to reload"
        case (.ladder, _) where standing.mainProcess == nil: return "\(standing.unit) has no main process"
        default: return standing.initSystem == nil ? "no init system here knows \(standing.unit)" : nil
        }
    }

    private func newTicket(_ unit: String, until: Duration?) -> Int {
        tickets += 1
        courses[unit]?.ticket = tickets
        courses[unit]?.stage = .waitingForAnswer(until: until)
        return tickets
    }

    /// - Returns: whether there is more to do at once.
    private func perform(_ unit: String) -> Bool {
        guard let job = courses[unit]?.queue.jobs.first, let standing = ground?.standing(of: unit) else {
            courses[unit] = nil
            return false
        }
        courses[unit]?.failedSince = nil
        switch job.step {
        case .exec(let command):
            let ticket = newTicket(unit, until: nil)
            commands?.run(command, input: input(for: job, unit: name(of: unit))) { [weak self] outcome in
                guard let self, self.courses[unit]?.ticket == ticket else { return }
                if !outcome.output.isEmpty { self.courses[unit]?.evidence = [outcome.output] }
                self.conclude(unit, outcome.problem)
                self.look(at: unit)
            }
            return false
        case .ladder:
            courses[unit]?.stage = .laddering(-1, until: .zero)
            return true
        case .unit(let verb):
            ask(verb, of: standing, for: unit) { [weak self] in
                guard let self else { return }
                let now = self.time.now()
                let patience = self.ground?.standing(of: unit)?.startTimeout ?? Self.deadline
                self.courses[unit]?.stage = .verifying(since: now.uptime, until: now.uptime + patience)
                self.wake(patience)
                self.look(at: unit)
            }
            return false
        }
    }

    /// Asks the init system, and goes on when it has done it.
    private func ask(_ verb: UnitVerb, of standing: UnitStanding, for unit: String, _ done: @escaping () -> Void) {
        let ticket = newTicket(unit, until: nil)
        let deadline = max(Self.deadline, standing.startTimeout)
        standing.initSystem?.perform(verb, on: standing.unit, deadline: deadline) { [weak self] result in
            guard let self, self.courses[unit]?.ticket == ticket else { return }
            self.courses[unit]?.ticket = 0
            switch result {
            case .success: done()
            case .failure(let error):
                self.conclude(unit, error.problem)
                self.look(at: unit)
            }
        }
    }

    private func input(for job: ActionQueue.Job, unit: String?) -> [UInt8] {
        guard case .rule(let call) = job.reasons.first else { return [] }
        let event = Event(
            kind: call.isRecovery ? .ruleRecovered : .ruleFailed, at: time.now().wall, unit: unit, rule: call.text, detail: call.condition,
            routes: call.routes)
        return event.json.bytes + [10]
    }
}

// MARK: Is it done?

extension ActionRunner {
    private func verify(
        _ job: ActionQueue.Job, on unit: String, _ standing: UnitStanding, since: Duration, until: Duration, at now: Moment
    ) -> Bool {
        guard case .unit(let verb) = job.step, let before = courses[unit]?.before else {
            conclude(unit, nil)
            return true
        }
        let detail = standing.observation?.detail ?? ""
        switch verb {
        case .restart, .start:
            if standing.isUp, verb == .start || standing.runs > before.runs { return conclude(unit, nil) }
            if standing.downs > before.downs { return conclude(unit, "it is down again (\(detail))") }
            if standing.activity == .failed, !standing.hasJob {
                let failedSince = courses[unit]?.failedSince ?? now.uptime
                courses[unit]?.failedSince = failedSince
                if now.uptime - failedSince >= Self.failurePatience {
                    return conclude(unit, "it did not start: \(standing.observation?.lastExit?.description ?? "failed") (\(detail))")
                }
                wake(Self.failurePatience)
            } else {
                courses[unit]?.failedSince = nil
            }
        case .reload:
            if !standing.isUp || standing.mainProcess != before.mainProcess { return conclude(unit, "it ended while it was reloaded (\(detail))") }
            if standing.activity == .running, now.uptime - since >= Self.reloadPatience { return conclude(unit, nil) }
            if now.uptime - since < Self.reloadPatience {
                wake(Self.reloadPatience - (now.uptime - since))
                return false
            }
        case .stop:
            if standing.activity == nil || [.stopped, .failed].contains(standing.activity), !standing.hasJob { return conclude(unit, nil) }
        case .signal:
            return conclude(unit, nil)
        }
        guard now.uptime >= until else { return false }
        let seconds = (until - since).components.seconds
        let state =
            switch verb {
            case .stop: "still runs"
            case .reload: "is still reloading"
            default: "does not run"
            }
        return conclude(unit, "it \(state) \(seconds) s later (\(detail))")
    }

    /// The next signal, unless the main process has ended by the one before.
    private func climb(
        _ job: ActionQueue.Job, on unit: String, _ standing: UnitStanding, from index: Int, until: Duration, at now: Moment
    ) -> Bool {
        guard case .ladder(let steps) = job.step, let process = courses[unit]?.before?.mainProcess else { return conclude(unit, nil) }
        if index >= 0, standing.mainProcess != process { return conclude(unit, nil) }
        guard index < 0 || now.uptime >= until else { return false }
        guard index + 1 < steps.count else {
            return conclude(unit, "its main process did not end after \(signalName(steps[steps.count - 1].signal))")
        }
        let step = steps[index + 1]
        ask(.signal(step.signal), of: standing, for: unit) { [weak self] in
            guard let self else { return }
            guard let wait = step.wait else {
                self.conclude(unit, nil)
                self.look(at: unit)
                return
            }
            self.courses[unit]?.stage = .laddering(index + 1, until: self.time.now().uptime + wait)
            self.wake(wait)
            self.look(at: unit)
        }
        return false
    }

    /// Says how the first job ended, and goes to the next.
    /// - Parameter problem: why it did not work; `nil` when it did.
    @discardableResult
    private func conclude(_ unit: String, _ problem: String?) -> Bool {
        guard let course = courses[unit], let job = course.queue.jobs.first else { return false }
        let now = time.now()
        let name = name(of: unit)
        let grounds = course.evidence.isEmpty ? "" : "\n" + shortened(course.evidence.joined(separator: "\n"), to: Self.evidenceInEvent)
        for reason in job.reasons {
            let (rule, why, routes): (String?, String, [String?]) =
                switch reason {
                case .rule(let call):
                    (
                        call.text, call.isRecovery ? "\(call.condition) is over" : call.condition,
                        problem == nil ? call.routes : self.routes(of: call, on: unit)
                    )
                case .person(let person): (nil, "\(person) asked", [])
                }
            record(
                Event(
                    kind: problem == nil ? .actionSucceeded : .actionFailed, at: now.wall, unit: name, rule: rule,
                    importance: problem == nil ? nil : .error,
                    detail: problem.map { "could not be \(job.step.participle), although \(why): \($0)\(grounds)" }
                        ?? "\(job.step.participle), because \(why)\(grounds)", routes: routes))
        }
        note(job, on: unit, outcome: problem ?? "done", took: now.uptime - course.began, course.evidence)
        next(unit)
        return true
    }

    private func next(_ unit: String) {
        courses[unit]?.queue.end()
        courses[unit]?.stage = .begin
        courses[unit]?.evidence = []
        courses[unit]?.before = nil
        courses[unit]?.ticket = 0
        if courses[unit]?.queue.jobs.isEmpty ?? true { courses[unit] = nil }
    }

    private func note(_ job: ActionQueue.Job, on unit: String, outcome: String, took: Duration, _ evidence: [String]) {
        guard let log else { return }
        for reason in job.reasons {
            let (rule, because): (String?, String) =
                switch reason {
                case .rule(let call): (call.text, call.isRecovery ? "else: \(call.condition)" : call.condition)
                case .person(let person): (nil, "asked for by \(person)")
                }
            log.write(
                ActionLog.Entry(
                    at: time.now().wall, unit: ground?.standing(of: unit)?.unit ?? unit, verb: job.step.text, rule: rule, because: because,
                    outcome: outcome, evidence: evidence, took: took))
        }
    }
}

/// As much of a text as fits, whole characters.
func shortened(_ text: String, to bytes: Int) -> String {
    guard text.utf8.count > bytes else { return text }
    return String(decoding: text.utf8.prefix(max(0, bytes - 6)), as: UTF8.self) + "..."
}

extension ActionQueue.Reason {
    fileprivate var isPerson: Bool { if case .person = self { true } else { false } }
}

extension ActionQueue.Step {
    /// What a restart takes away: processes, their memory, and who held it.
    fileprivate var destroysEvidence: Bool {
        switch self {
        case .unit(.restart), .unit(.stop), .ladder: true
        case .unit, .exec: false
        }
    }

    /// Whether it takes the unit away from its users, if only for a moment.
    fileprivate var interruptsUnit: Bool {
        switch self {
        case .unit(.reload), .exec: false
        case .unit, .ladder: true
        }
    }

    fileprivate var isProgram: Bool { if case .exec = self { true } else { false } }

    /// `restart`, `signal QUIT 30s, KILL`, `exec /usr/local/bin/heal --fast`
    fileprivate var text: String {
        switch self {
        case .unit(let verb): "\(verb)"
        case .ladder(let steps):
            "signal " + steps.map { signalName($0.signal) + ($0.wait.map { " \($0.components.seconds)s" } ?? "") }.joined(separator: ", ")
        case .exec(let command): "exec " + command.arguments.joined(separator: " ")
        }
    }

    fileprivate var participle: String {
        switch self {
        case .unit(.reload): "reloaded"
        case .unit(.restart): "restarted"
        case .unit(.start): "started"
        case .unit(.stop): "stopped"
        case .unit(.signal(let number)): "sent \(signalName(number))"
        case .ladder(let steps): "sent \(steps.map { signalName($0.signal) }.joined(separator: ", "))"
        case .exec(let command): "treated with \(command.arguments.first ?? "")"
        }
    }
}
