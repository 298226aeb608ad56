// Upstart, over its bus, or through its tool.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// Upstart as the manager of jobs, each instance a unit: `worker`, or `worker/1` for the instance 1. What it signals is said on at once.
/// Where neither the bus nor its own socket can be reached, `initctl` is asked again and again, until one of them can.
public final class UpstartInit: InitSystem, BusSourceUser {
    public let name = "upstart"
    /// Upstart's init has its tool beside it; systemd may have taken over since, and then nobody answers as Upstart.
    static var isHere: Bool {
        access("/run/systemd/system", F_OK) != 0 && InitctlJobs.places.contains { access($0, X_OK) == 0 }
    }

    private let loop: Loop
    private let tools: [String]
    private let logger: Logger
    private let proc = ProcFileSystem(root: "/")
    private weak var observer: (any InitObserver)?

    private let source: BusSource
    private var bus: Bus? { source.bus }
    private var requests: [String: UnitRequest] = [:]
    private var lastSaid: [Said: Observation] = [:]
    /// Every job of Upstart's that a request is about, with its instances by name.
    private var jobs: [String: [String: UpstartInstance]] = [:]
    /// Instances whose properties are to be read.
    private var stale: Set<String> = []
    private var refresh: Loop.Timer?
    /// Neither the bus nor, where there is one, initctl can be asked.
    private var hasFailed = false
    /// Set from the failure of all addresses until one of them answers, where there is an initctl.
    private var polling: InitctlJobs?
    private var hasSaidThatItPolls = false

    private struct Said: Hashable {
        var request: String
        var unit: String
    }

    /// - Parameters:
    ///   - addresses: tried one after the other; `nil` is the system bus, then init's own socket.
    ///   - tool: `initctl`; `nil` for where that usually is.
    public init(loop: Loop, addresses: [BusAddress]? = nil, tool: String? = nil, logger: Logger) {
        tools = tool.map { [$0] } ?? InitctlJobs.places
        self.loop = loop
        source = BusSource(
            UpstartNames.service, title: "Upstart",
            addresses: addresses ?? [BusAddress(SystemdNames.systemBus), BusAddress(UpstartNames.privateAddress, isDirect: true)], loop: loop)
        self.logger = logger
    }

    // MARK: InitSystem

    public func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        change(watching: requests)
        source.start(for: self)
    }

    public func change(watching wanted: [UnitRequest]) {
        let next = Dictionary(wanted.filter { $0.pidFile == nil }.map { ($0.name, $0) }) { first, _ in first }
        lastSaid = lastSaid.filter { next[$0.key.request] == requests[$0.key.request] }
        let isNew = next.values.contains { requests[$0.name] != $0 }
        requests = next
        polling?.change(watching: Array(next.values))
        guard isNew, bus != nil else { return }
        listJobs()
    }

    public func stop() {
        if let refresh { loop.cancel(refresh) }
        refresh = nil
        polling?.stop("the agent stopped before Upstart was done")
        polling = nil
        source.stop()
        requests = [:]
        jobs = [:]
        observer = nil
    }

    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        if let polling, !hasFailed { return polling.perform(verb, on: unit, deadline: deadline, done) }
        let (job, name) = upstartJob(of: unit)
        let instance = jobs[job]?[name]
        if let problem = problem(with: verb, on: unit, job: job, instance: instance) {
            loop.after(.zero) { done(.failure(ActionError(problem))) }
            return
        }
        let path = UpstartPath(job: job, instance: name).text
        let finish: (Result<[BusValue], BusError>) -> Void = { result in
            done(result.map { _ in }.mapError { ActionError(refusal(of: verb, on: unit, $0, deadline: deadline)) })
        }
        switch verb {
        case .start where instance == nil || instance?.state == "waiting":
            call("Start", of: UpstartNames.job, at: UpstartPath(job: job).text, with: [.strings([]), .bool(true)], within: deadline, finish)
        case .start: call("Start", of: UpstartNames.instance, at: path, with: [.bool(true)], within: deadline, finish)
        case .stop: call("Stop", of: UpstartNames.instance, at: path, with: [.bool(true)], within: deadline, finish)
        case .restart: call("Restart", of: UpstartNames.instance, at: path, with: [.bool(true)], within: deadline, finish)
        case .reload:
            call("Reload", of: UpstartNames.instance, at: path, with: [], within: deadline) { [weak self] result in
                // Before 1.6 it is initctl that sends the signal.
                if case .failure(let error) = result, error.kind == "UnknownMethod", let self {
                    return done(self.send(SIGHUP, to: unit, instance))
                }
                finish(result)
            }
        case .signal(let number):
            let result = send(number, to: unit, instance)
            loop.after(.zero) { done(result) }
        }
    }

    /// Why not even Upstart need be asked.
    private func problem(with verb: UnitVerb, on unit: String, job: String, instance: UpstartInstance?) -> String? {
        guard bus != nil, !source.hasFailed else { return "Upstart cannot be reached at present" }
        guard jobs[job] != nil else { return "Upstart knows no job \(job)" }
        switch verb {
        case .start: return nil
        case .stop, .restart, .reload, .signal:
            guard let instance, instance.state != "waiting" else { return "\(unit) is not running" }
            if case .signal = verb { return nil }
            return instance.isAsked ? "Upstart is busy with \(unit) already; a \(verb) would get in its way" : nil
        }
    }

    private func send(_ number: Int32, to unit: String, _ instance: UpstartInstance?) -> Result<Void, ActionError> {
        guard let process = instance?.process else { return .failure(ActionError("\(unit) has no main process")) }
        return signal(number, to: process)
    }

    // MARK: The connection

    func listen(on bus: Bus) throws(BusError) {
        for interface in [UpstartNames.manager, UpstartNames.job, UpstartNames.instance] {
            try bus.match("type='signal',interface='\(interface)'") { [weak self] in self?.signalled($0) }
        }
    }

    func synchronize(over bus: Bus) { listJobs() }
    func feelPulse(over bus: Bus) { listJobs() }
    func connectionLost() {}
    func ownerChanged() {}

    func sourceFailed(_ why: String) { pollOrFail(why) }

    func sourceAnswers() {
        polling?.stop("Upstart answers itself again, and initctl is not waited for; whether the job was done is unknown")
        polling = nil
        if hasSaidThatItPolls { logger.notice("upstart answers over D-Bus again, and is polled no longer") }
        hasSaidThatItPolls = false
        lastSaid = [:]
        recovered()
    }

    private func failed(_ why: String) {
        guard !hasFailed else { return }
        hasFailed = true
        logger.info("upstart failed as a source", metadata: ["why": "\(why)"])
        observer?.sourceFailed(self, why: why)
    }

    private func recovered() {
        guard hasFailed else { return }
        hasFailed = false
        logger.info("upstart recovered as a source")
        lastSaid = [:]
        polling?.forgetSaid()
        observer?.sourceRecovered(self)
    }

    // MARK: Polling

    private func pollOrFail(_ why: String) {
        guard let tool = tools.first(where: { access($0, X_OK) == 0 }), let observer else { return failed(why) }
        let polling = InitctlJobs(tool: tool, of: self, loop: loop) { [weak self] result in self?.polled(result, because: why) }
        self.polling = polling
        polling.start(watching: Array(requests.values), observer: observer)
    }

    private func polled(_ result: Result<Void, ActionError>, because why: String) {
        switch result {
        case .success:
            if !hasSaidThatItPolls {
                hasSaidThatItPolls = true
                logger.notice("upstart does not answer over D-Bus, and is polled through initctl: changes are seen late", metadata: ["why": "\(why)"])
            }
            recovered()
        case .failure(let error): failed("\(why); \(error.problem)")
        }
    }

    private func call(
        _ method: String, of interface: String, at path: String, with arguments: [BusArgument], within deadline: Duration? = nil,
        _ done: @escaping (Result<[BusValue], BusError>) -> Void
    ) {
        guard let bus else { return }
        bus.call(
            BusMethod(destination: UpstartNames.service, path: path, interface: interface, name: method), with: arguments, within: deadline, done)
    }

    // MARK: Signals

    private func signalled(_ signal: BusSignal) {
        guard source.sent(signal) else { return }
        switch signal.member {
        case "JobAdded", "JobRemoved", "Restarted": listJobs()
        case "InstanceAdded", "InstanceRemoved":
            guard let path = signal.body.first?.string.flatMap(UpstartPath.init), let name = path.instance, jobs[path.job] != nil else { return }
            if signal.member == "InstanceAdded" {
                if jobs[path.job]?[name] == nil { jobs[path.job]?[name] = UpstartInstance() }
                readSoon(path.text)
            } else {
                jobs[path.job]?[name]?.removed()
                tell(path)
            }
        case "GoalChanged", "StateChanged":
            guard let path = UpstartPath(signal.path), let name = path.instance, jobs[path.job] != nil, let word = signal.body.first?.string else {
                return
            }
            var instance = jobs[path.job]?[name] ?? UpstartInstance()
            let wasAsked = instance.isAsked
            if signal.member == "GoalChanged" { instance.goalChanged(word) } else { instance.stateChanged(word) }
            jobs[path.job]?[name] = instance
            // A quick stop is over before it is read: that it was asked for would not be seen.
            if instance.isAsked, !wasAsked { tell(path) }
            readSoon(path.text)
        case "EventEmitted":
            guard signal.body.count >= 2, let event = signal.body[0].string, event == "stopping" || event == "stopped" else { return }
            ended(Dictionary((signal.body[1].list ?? []).compactMap(\.string).compactMap(fact)) { first, _ in first })
        default: break
        }
    }

    private func ended(_ facts: [String: String]) {
        guard let job = facts["JOB"], jobs[job] != nil else { return }
        let name = facts["INSTANCE"] ?? ""
        jobs[job]?[name]?.ended(facts)
        tell(UpstartPath(job: job, instance: name))
    }

    // MARK: Jobs

    private func listJobs() {
        call("GetAllJobs", of: UpstartNames.manager, at: UpstartNames.path, with: []) { [weak self] result in
            switch result {
            case .success(let values): self?.listed((values.first?.list ?? []).compactMap { $0.string.flatMap(UpstartPath.init) })
            case .failure(let error): self?.source.unanswered("Upstart does not answer", error)
            }
        }
    }

    private func listed(_ paths: [UpstartPath]) {
        source.answers()
        let known = Set(paths.map(\.job))
        let wanted = known.filter { job in requests.values.contains { isAbout(job, $0) } }
        for job in jobs.keys where !wanted.contains(job) {
            let gone = jobs.removeValue(forKey: job) ?? [:]
            for name in gone.keys { sayGone(UpstartPath(job: job, instance: name)) }
        }
        for job in wanted {
            if jobs[job] == nil { jobs[job] = [:] }
            listInstances(of: job)
        }
        for request in requests.values where request.kind == .unit && !known.contains(upstartJob(of: request.name).job) {
            say(Observation(request: request.name, presence: .absent, unit: request.name, activity: .stopped, detail: "no such job"), under: "")
        }
    }

    private func listInstances(of job: String) {
        call("GetAllInstances", of: UpstartNames.job, at: UpstartPath(job: job).text, with: []) { [weak self] result in
            guard let self, case .success(let values) = result, self.jobs[job] != nil else { return }
            let found = (values.first?.list ?? []).compactMap { $0.string.flatMap(UpstartPath.init) }
            let names = Set(found.compactMap(\.instance))
            for name in (self.jobs[job] ?? [:]).keys where !names.contains(name) { self.jobs[job]?[name]?.removed() }
            for name in names where self.jobs[job]?[name] == nil { self.jobs[job]?[name] = UpstartInstance() }
            for path in found { self.read(path) }
            let asked = self.requests.values.filter { $0.kind == .unit }.map { upstartJob(of: $0.name) }.filter { $0.job == job }
            for name in Set(asked.map(\.instance)).subtracting(names) { self.tell(UpstartPath(job: job, instance: name)) }
        }
    }

    /// The states of one transition come within a fraction of a millisecond: they are read once.
    private func readSoon(_ path: String) {
        stale.insert(path)
        guard refresh == nil else { return }
        refresh = loop.after(.milliseconds(1)) { [weak self] in
            guard let self else { return }
            self.refresh = nil
            let paths = self.stale
            self.stale = []
            for path in paths { if let path = UpstartPath(path) { self.read(path) } }
        }
        if let known = UpstartPath(path) { tell(known) }
    }

    private func read(_ path: UpstartPath) {
        call("GetAll", of: SystemdNames.properties, at: path.text, with: [.string(UpstartNames.instance)]) { [weak self] result in
            guard let self, let name = path.instance, var instance = self.jobs[path.job]?[name] else { return }
            guard case .success(let values) = result, let properties = values.first?.dictionary, let goal = properties["goal"]?.string,
                let state = properties["state"]?.string
            else { return }  // it has gone meanwhile, and a signal tells so
            let processes = (properties["processes"]?.list ?? []).compactMap(\.list)
            let main = processes.first { $0.first?.string == "main" }.flatMap { $0.count > 1 ? $0[1].signed : nil }
            let pid = Int32(clamping: main ?? 0)
            if pid != instance.mainPID || instance.process == nil {
                instance.process =
                    pid > 0 ? self.proc.stat(of: pid).flatMap { $0.hasEnded ? nil : ProcessIdentity(pid: pid, startTicks: $0.startTicks) } : nil
            }
            instance.apply(goal: goal, state: state, mainPID: pid)
            self.jobs[path.job]?[name] = instance
            self.tell(path)
        }
    }

    // MARK: Telling

    private func isAbout(_ job: String, _ request: UnitRequest) -> Bool {
        switch request.kind {
        case .unit: upstartJob(of: request.name).job == job
        case .pattern: fnmatch(String(request.name.prefix { $0 != "/" }), job, FNM_NOESCAPE) == 0
        case .failed: true
        }
    }

    private func tell(_ path: UpstartPath) {
        guard let name = path.instance, let instances = jobs[path.job] else { return }
        let instance = instances[name]
        for request in requests.values where isAbout(path.job, request) {
            switch request.kind {
            case .unit:
                guard upstartJob(of: request.name).instance == name else { continue }
                var observation = (instance ?? UpstartInstance()).observation(of: path.unit, for: request.name)
                if name.isEmpty, instance == nil { observation.detail += instancesHint(of: path.job, instances.keys.filter { !$0.isEmpty }.sorted()) }
                say(observation, under: "")
            case .pattern:
                guard let instance, fnmatch(request.name, path.unit, FNM_NOESCAPE) == 0 else { continue }
                // A job that was never started is nobody's concern; once it was, it is.
                guard instance.state != "waiting" || lastSaid[Said(request: request.name, unit: path.unit)] != nil else { continue }
                say(instance.observation(of: path.unit, for: request.name), under: path.unit)
            case .failed:
                guard let instance else { continue }
                var observation = instance.observation(of: path.unit, for: request.name)
                let wasSaid = lastSaid[Said(request: request.name, unit: path.unit)] != nil
                guard instance.activity == .failed || wasSaid else { continue }
                if instance.activity != .failed { observation.presence = .absent }
                say(observation, under: path.unit)
            }
        }
    }

    private func sayGone(_ path: UpstartPath) {
        for request in requests.values where request.kind != .unit {
            guard var observation = lastSaid[Said(request: request.name, unit: path.unit)] else { continue }
            observation.presence = .absent
            observation.activity = .stopped
            observation.mainProcess = nil
            say(observation, under: path.unit)
        }
    }

    /// - Parameter unit: of a request for many units, which one it is.
    private func say(_ observation: Observation, under unit: String) {
        let key = Said(request: observation.request, unit: unit)
        guard !hasFailed, lastSaid[key] != observation else { return }
        lastSaid[key] = observation.presence == .absent && !unit.isEmpty ? nil : observation
        observer?.observed(observation, from: self)
    }
}

/// `worker/1` is the instance 1 of worker; the rest of the name may hold slashes.
func upstartJob(of unit: String) -> (job: String, instance: String) {
    guard let slash = unit.firstIndex(of: "/") else { return (unit, "") }
    return (String(unit[..<slash]), String(unit[unit.index(after: slash)...]))
}

/// How to check what a rule file names as if it had no instances.
func instancesHint(of job: String, _ instances: [String]) -> String {
    instances.isEmpty ? "" : ", has the instances \(instances.prefix(5).joined(separator: ", ")): check \(job)/*"
}

/// `RESULT=failed`
private func fact(_ text: String) -> (String, String)? {
    guard let equals = text.firstIndex(of: "=") else { return nil }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
}

/// Why Upstart did not do it, in words that help.
private func refusal(of verb: UnitVerb, on unit: String, _ error: BusError, deadline: Duration) -> String {
    switch error.kind {
    case "AccessDenied", "PermissionDenied": upstartDenial(of: verb, on: unit)
    case "UnknownJob": "Upstart knows no job \(unit)"
    case "UnknownInstance": "\(unit) is not running"
    case "AlreadyStarted": "\(unit) is running already"
    case "AlreadyStopped": "\(unit) is not running"
    case "JobFailed": "\(unit) failed to \(verb == .stop ? "stop" : "start")"
    case "NoReply", "Timeout": "the \(verb) of \(unit) was not done within \(Int64(deadline.inSeconds)) s; Upstart goes on with it"
    default: "Upstart refused the \(verb) of \(unit): \(error)"
    }
}

func upstartDenial(of verb: UnitVerb, on unit: String) -> String {
    "the agent may not \(verb) \(unit): Upstart obeys root alone, unless a policy in /etc/dbus-1/system.d allows another user to send to it"
}
