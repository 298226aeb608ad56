// systemd, over its bus.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// systemd as the manager of units: what it signals is said on at once, and nothing is polled but whether it still answers.
public final class SystemdInit: InitSystem, BusSourceUser {
    public let name = "systemd"

    private let loop: Loop
    private let logger: Logger
    private let proc = ProcFileSystem(root: "/")
    private weak var observer: (any InitObserver)?

    private let source: BusSource
    private var bus: Bus? { source.bus }
    private var requests: [String: Request] = [:]
    /// Requests for all units of a kind.
    private var groups: [String: SystemdGroup] = [:]
    /// By object path, which all aliases of a unit share.
    private var units: [String: WatchedUnit] = [:]
    /// What starts the watched units when they are needed, by object path.
    private var triggers: [String: Trigger] = [:]
    private var jobs = SystemdJobs()
    /// Set from `Reloading(true)` to `Reloading(false)`, or until that is long overdue.
    private var reload: Loop.Timer?
    private var isReloading: Bool { reload != nil }
    private var hasFailed: Bool { source.hasFailed }

    private struct Request {
        var fullName: String
        /// Where its unit was found.
        var path: String?
        var lastSaid: Observation?
        var lookedAt: Duration?
        var look: Loop.Timer?
    }

    /// A socket, a path or a timer.
    private struct Trigger {
        var id: String
        /// Its ActiveState; empty until it is known.
        var state = ""
        /// Object paths of the watched units that it starts.
        var units: Set<String> = []
    }

    private final class WatchedUnit {
        var state = SystemdUnit()
        var requests: Set<String> = []
        var mainProcess: ProcessIdentity?
        /// The main process that `mainProcess` was looked up for.
        var mainPID: Int32 = 0
        var mainStarted: UInt64 = 0
        /// The run whose control group was asked for.
        var cgroupAskedFor: String?
        /// One half of a change is there; the other half follows in a signal of its own.
        var isHalfTold = false
        var patience: Loop.Timer?
        /// The job that systemd has told to be over last; that the unit has it no more is told a moment later.
        var endedJob: UInt64 = 0
        /// The job whose type was asked for.
        var jobAskedFor: UInt64 = 0
        var isReferenced = false
        /// What starts it, as far as that is followed.
        var followedTriggers: [String] = []
    }

    /// - Parameter address: of the bus; `nil` is the system bus.
    public init(loop: Loop, address: String? = nil, logger: Logger) {
        self.loop = loop
        source = BusSource(SystemdNames.service, title: "systemd", addresses: [BusAddress(address ?? SystemdNames.systemBus)], loop: loop)
        self.logger = logger
    }

    // MARK: InitSystem

    public func start(watching requests: [UnitRequest], observer: any InitObserver) {
        self.observer = observer
        change(watching: requests)
        source.start(for: self)
    }

    public func change(watching wanted: [UnitRequest]) {
        changeGroups(to: wanted.compactMap(SystemdGroup.init))
        let names = Set(wanted.filter { $0.pidFile == nil && $0.kind == .unit }.map(\.name))
        for name in requests.keys where !names.contains(name) { forget(name) }
        for name in names where requests[name] == nil {
            requests[name] = Request(fullName: systemdUnitName(name))
            if bus != nil { load(name) }
        }
    }

    public func stop() {
        let timers = requests.values.map(\.look) + groups.values.map(\.look) + units.values.map(\.patience)
        for timer in [reload] + timers { if let timer { loop.cancel(timer) } }
        reload = nil
        source.stop()
        requests = [:]
        groups = [:]
        units = [:]
        triggers = [:]
        observer = nil
        finish(jobs.takeAll(), .failure(ActionError("the agent stopped before systemd was done")))
    }

    // MARK: The connection

    func listen(on bus: Bus) throws(BusError) {
        try bus.match("type='signal',sender='\(SystemdNames.service)',interface='\(SystemdNames.manager)',path='\(SystemdNames.managerPath)'") {
            [weak self] in
            self?.managerSignalled($0)
        }
        try bus.match(
            "type='signal',sender='\(SystemdNames.service)',interface='\(SystemdNames.properties)',member='PropertiesChanged',path='\(SystemdNames.managerPath)'",
            only: ["NFailedUnits"]
        ) { [weak self] in self?.failuresChanged($0) }
        try bus.match(
            "type='signal',sender='\(SystemdNames.service)',interface='\(SystemdNames.properties)',member='PropertiesChanged',path_namespace='\(SystemdNames.managerPath)/unit'",
            only: SystemdUnit.properties, wanted: { [weak self] in self?.isWatched($0) ?? false }
        ) { [weak self] in self?.propertiesChanged($0) }
    }

    /// Without a subscriber systemd says next to nothing: `Subscribe` comes before the units.
    func synchronize(over bus: Bus) {
        bus.call(.manager("Subscribe")) { [weak self] result in
            switch result {
            case .success: self?.source.answers()
            case .failure(let error) where error.kind == "AlreadySubscribed": self?.source.answers()
            case .failure(let error): self?.unanswered("systemd does not answer", error)
            }
        }
        for name in requests.keys { load(name) }
        for name in groups.keys { list(name) }
        for path in triggers.keys { askForState(of: path, over: bus) }
    }

    func connectionLost() {
        endReload()
        for unit in units.values { unit.isReferenced = false }
        finish(jobs.takeAll(), .failure(ActionError("the connection to systemd was lost; whether the job was done is unknown")))
    }

    private func unanswered(_ what: String, _ error: BusError) {
        // systemd answers late while it reloads, and all is asked anew when it is done.
        if !isReloading { source.unanswered(what, error) }
    }

    func sourceFailed(_ why: String) {
        logger.info("systemd failed as a source", metadata: ["why": "\(why)"])
        observer?.sourceFailed(self, why: why)
    }

    func sourceAnswers() {
        logger.info("systemd recovered as a source")
        for name in requests.keys { requests[name]?.lastSaid = nil }
        for name in groups.keys { groups[name]?.lastSaid = [:] }
        observer?.sourceRecovered(self)
    }

    func feelPulse(over bus: Bus) {
        guard !isReloading else { return }
        let ping = BusMethod(destination: SystemdNames.service, path: SystemdNames.managerPath, interface: "org.freedesktop.DBus.Peer", name: "Ping")
        bus.call(ping) { [weak self] result in
            if case .failure(let error) = result { self?.unanswered("systemd does not answer", error) }
        }
    }

    func ownerChanged() { endReload() }

    // MARK: Signals

    private func managerSignalled(_ signal: BusSignal) {
        guard source.sent(signal) else { return }
        let body = signal.body
        switch signal.member {
        case "JobRemoved":
            guard body.count == 4, let path = body[1].string, let result = body[3].string else { return }
            if let number = body[0].unsigned, let id = body[2].string { units[SystemdNames.path(of: id)]?.endedJob = number }
            if body[2].string == SystemdNames.shutdown, result != "done" { observer?.hostIsStopping(false, as: self) }
            if let job = jobs.removed(path, result: result) { conclude(job, result) }
            if let id = body[2].string { listSoon { $0.mayHold(id) } }
        case "JobNew":
            if body.count == 3, body[2].string == SystemdNames.shutdown { observer?.hostIsStopping(true, as: self) }
        case "Reloading":
            endReload()
            if body.first?.bool == true {
                reload = loop.after(.seconds(90)) { [weak self] in
                    guard let self else { return }
                    self.reload = nil
                    if let bus = self.bus, !self.hasFailed { self.feelPulse(over: bus) }
                }
            } else {
                source.synchronize()
            }
        case "UnitNew":
            guard !isReloading, body.count == 2, let id = body[0].string, let path = body[1].string else { return }
            for (name, request) in requests where request.fullName == id || request.path == path { lookSoon(name) }
            listSoon { $0.mayHold(id) }
        case "UnitRemoved":
            guard !isReloading, body.count == 2, let path = body[1].string else { return }
            removed(path)
        case "UnitFilesChanged":
            for (name, request) in requests where request.path == nil { lookSoon(name, loading: true) }
        default: break
        }
    }

    private func endReload() {
        if let reload { loop.cancel(reload) }
        reload = nil
    }

    /// A change arrives as two signals, the type's own properties first and the state that they belong to second.
    private func propertiesChanged(_ signal: BusSignal) {
        guard source.sent(signal), signal.body.count >= 2 else { return }
        guard let interface = signal.body[0].string, let changes = signal.body[1].dictionary, !changes.isEmpty else { return }
        if triggers[signal.path] != nil { triggerChanged(signal.path, changes) }
        guard let unit = units[signal.path] else { return }
        unit.isHalfTold = interface != SystemdNames.unit
        apply(changes, to: unit, at: signal.path)
    }

    private func isWatched(_ path: String) -> Bool { units[path] != nil || triggers[path] != nil }

    // MARK: Asking again

    public func refresh(_ name: String, _ done: @escaping () -> Void) {
        let path = SystemdNames.path(of: name)
        guard let bus, !hasFailed, units[path] != nil else { return done() }
        bus.call(.properties("GetAll", path: path), [""], only: SystemdUnit.properties) { [weak self] result in
            if let self, case .success(let values) = result, let properties = values.first?.dictionary, let unit = self.units[path] {
                unit.isHalfTold = false
                self.take(properties, of: unit, at: path)
                // What an answer holds is never half of a change, nor a state on the way to another.
                self.tell(unit)
            }
            done()
        }
    }

    // MARK: What starts units

    /// Follows what starts this unit, beginning with its present state.
    private func followTriggers(of unit: WatchedUnit, at path: String) {
        guard unit.state.triggers != unit.followedTriggers else { return }
        unfollowTriggers(of: unit, at: path)
        unit.followedTriggers = unit.state.triggers
        for id in unit.state.triggers {
            let trigger = SystemdNames.path(of: id)
            triggers[trigger, default: Trigger(id: id)].units.insert(path)
            if let bus { askForState(of: trigger, over: bus) }
        }
    }

    private func askForState(of trigger: String, over bus: Bus) {
        bus.call(.properties("Get", path: trigger), [SystemdNames.unit, "ActiveState"]) { [weak self] result in
            if case .success(let values) = result, let state = values.first { self?.triggerChanged(trigger, ["ActiveState": state]) }
        }
    }

    private func unfollowTriggers(of unit: WatchedUnit, at path: String) {
        for id in unit.followedTriggers {
            let trigger = SystemdNames.path(of: id)
            triggers[trigger]?.units.remove(path)
            if triggers[trigger]?.units.isEmpty ?? false { triggers[trigger] = nil }
        }
        unit.followedTriggers = []
    }

    private func triggerChanged(_ path: String, _ changes: [String: BusValue]) {
        guard let state = changes["ActiveState"]?.string, let trigger = triggers[path], trigger.state != state else { return }
        triggers[path]?.state = state
        for unit in trigger.units.compactMap({ units[$0] }) { tellNews(of: unit) }
    }

    private func triggerStates(of unit: WatchedUnit) -> [String: String] {
        guard !unit.followedTriggers.isEmpty else { return [:] }
        var states: [String: String] = [:]
        for id in unit.followedTriggers {
            if let state = triggers[SystemdNames.path(of: id)]?.state, !state.isEmpty { states[id] = state }
        }
        return states
    }

    // MARK: Units

    /// Finds the unit of a request, loading it into systemd's memory if need be, and learns all about it.
    private func load(_ name: String) {
        guard let request = requests[name] else { return }
        bus?.call(.manager("LoadUnit"), [request.fullName]) { [weak self] result in self?.found(result, for: name) }
    }

    private func found(_ result: Result<[BusValue], BusError>, for name: String) {
        guard requests[name] != nil, let bus else { return }
        switch result {
        case .success(let values):
            guard let path = values.first?.string else { return }
            bus.call(.properties("GetAll", path: path), [""], only: SystemdUnit.properties) { [weak self] result in
                self?.learned(result, at: path, for: name)
            }
        case .failure(let error): notFound(error, name)
        }
    }

    private func learned(_ result: Result<[BusValue], BusError>, at path: String, for name: String) {
        guard requests[name] != nil else { return }
        switch result {
        case .success(let values):
            var fresh = SystemdUnit()
            fresh.apply(values.first?.dictionary ?? [:])
            guard fresh.isPresent, !fresh.id.isEmpty else { return sayAbsent(name) }
            if requests[name]?.path != path { detach(name) }
            requests[name]?.path = path
            let unit = units[path] ?? WatchedUnit()
            units[path] = unit
            unit.requests.insert(name)
            unit.isHalfTold = false
            apply(values.first?.dictionary ?? [:], to: unit, at: path)
            reference(unit)
        case .failure(let error): notFound(error, name)
        }
    }

    private func notFound(_ error: BusError, _ name: String) {
        switch error.kind {
        case "NoSuchUnit", "InvalidArgs", "UnknownObject", "LoadFailed": sayAbsent(name)
        default: unanswered("systemd cannot tell about \(name)", error)
        }
    }

    /// Keeps systemd from forgetting a unit that is stopped. Where the agent may not do that, the last state stays true. A transient
    /// unit is gone for good when it has stopped, and shall be.
    private func reference(_ unit: WatchedUnit) {
        guard !unit.isReferenced, !unit.state.isTransient else { return }
        unit.isReferenced = true
        bus?.call(.manager("RefUnit"), [unit.state.id]) { [logger] result in
            if case .failure(let error) = result { logger.debug("unit not referenced", metadata: ["error": "\(error)"]) }
        }
    }

    /// systemd has unloaded it. Asking for it would load it again and be answered by another `UnitRemoved`, for ever.
    private func removed(_ path: String) {
        guard let unit = units[path] else { return }
        unit.isReferenced = false
        for name in unit.requests {
            if groups[name] != nil {
                leave(path, group: name)
            } else if unit.state.isTransient {
                sayAbsent(name)
            }
        }
    }

    /// Looks at a unit that has appeared. It asks with a call that loads nothing, and once a second at most, because looking at a
    /// unit that systemd does not keep makes it appear again.
    private func lookSoon(_ name: String, loading: Bool = false) {
        guard let request = requests[name], request.look == nil else { return }
        let now = SystemTime().now().uptime
        let due = request.lookedAt.map { max(.zero, $0 + .seconds(1) - now) } ?? .zero
        requests[name]?.look = loop.after(due) { [weak self] in
            guard let self, self.requests[name] != nil else { return }
            self.requests[name]?.look = nil
            self.requests[name]?.lookedAt = SystemTime().now().uptime
            if loading { return self.load(name) }
            self.bus?.call(.manager("GetUnit"), [request.fullName]) { [weak self] result in
                // It was gone before we looked: nothing has changed.
                if case .failure(let error) = result, error.kind == "NoSuchUnit" { return }
                self?.found(result, for: name)
            }
        }
    }

    private func forget(_ name: String) {
        if let look = requests[name]?.look { loop.cancel(look) }
        detach(name)
        requests[name] = nil
    }

    private func detach(_ name: String) {
        guard let path = requests[name]?.path else { return }
        requests[name]?.path = nil
        release(path, by: name)
    }

    private func release(_ path: String, by name: String) {
        guard let unit = units[path] else { return }
        unit.requests.remove(name)
        guard unit.requests.isEmpty else { return }
        unfollowTriggers(of: unit, at: path)
        units[path] = nil
        if let patience = unit.patience { loop.cancel(patience) }
        if unit.isReferenced { bus?.call(.manager("UnrefUnit"), [unit.state.id]) { _ in } }
    }

    private func apply(_ changes: [String: BusValue], to unit: WatchedUnit, at path: String) {
        take(changes, of: unit, at: path)
        tellNews(of: unit)
    }

    private func take(_ changes: [String: BusValue], of unit: WatchedUnit, at path: String) {
        unit.state.apply(changes)
        identifyMainProcess(of: unit)
        askForCgroup(of: unit, at: path)
        followTriggers(of: unit, at: path)
        askForJob(of: unit)
    }

    /// What the job does that is queued for the unit: it may be a reload, which is no reason for the unit to end.
    private func askForJob(of unit: WatchedUnit) {
        guard let job = unit.state.unknownJob, job != unit.jobAskedFor, let bus else { return }
        unit.jobAskedFor = job
        bus.call(.properties("Get", path: "\(SystemdNames.managerPath)/job/\(job)"), [SystemdNames.job, "JobType"]) { [weak self, weak unit] result in
            // A job that is over can no longer be asked.
            guard let self, let unit, case .success(let values) = result, let type = values.first?.string else { return }
            unit.state.learn(type: type, of: job)
            self.tellNews(of: unit)
        }
    }

    /// The start time is read at once, while the pid certainly means the process that systemd means.
    private func identifyMainProcess(of unit: WatchedUnit) {
        let (pid, started) = (unit.state.mainPID, unit.state.mainStarted)
        guard pid != unit.mainPID || started != unit.mainStarted || pid != 0 && unit.mainProcess == nil else { return }
        (unit.mainPID, unit.mainStarted) = (pid, started)
        unit.mainProcess = pid > 0 ? proc.stat(of: pid).map { ProcessIdentity(pid: pid, startTicks: $0.startTicks) } : nil
    }

    private func askForCgroup(of unit: WatchedUnit, at path: String) {
        guard unit.state.mayHaveCgroup else {
            unit.cgroupAskedFor = nil
            return
        }
        let run = unit.state.run ?? ""
        guard unit.cgroupAskedFor != run, let kind = unit.state.id.split(separator: ".").last, let bus else { return }
        unit.cgroupAskedFor = run
        let interface = "\(SystemdNames.service).\(kind.prefix(1).uppercased())\(kind.dropFirst())"
        bus.call(.properties("Get", path: path), [interface, "ControlGroup"]) { [weak self, weak unit] result in
            guard let self, let unit, case .success(let values) = result, let value = values.first else { return }
            unit.state.apply(["ControlGroup": value])
            if unit.state.cgroup == nil { unit.cgroupAskedFor = nil }
            self.tellNews(of: unit)
        }
    }

    // MARK: Groups

    private func changeGroups(to wanted: [SystemdGroup]) {
        for (name, group) in groups where !wanted.contains(where: { $0.name == name && $0.pattern == group.pattern }) {
            if let look = group.look { loop.cancel(look) }
            groups[name] = nil
            for path in group.paths { release(path, by: name) }
        }
        for group in wanted where groups[group.name] == nil {
            groups[group.name] = group
            if bus != nil { list(group.name) }
        }
    }

    /// Listing loads nothing, so that it cannot be answered by the signals that cause it.
    private func list(_ name: String) {
        guard let group = groups[name], let bus else { return }
        let states = group.kind == .failed ? ["failed"] : []
        let patterns = group.kind == .failed ? [] : [group.pattern]
        bus.call(.manager("ListUnitsByPatterns"), with: [.strings(states), .strings(patterns)]) { [weak self] result in
            switch result {
            case .success(let values): self?.listed(values.first?.list ?? [], for: name)
            // Before version 230 systemd filters by states alone.
            case .failure(let error) where error.kind == "UnknownMethod":
                bus.call(
                    .manager("ListUnitsFiltered"), with: [.strings(states)]
                ) {
                    if case .success(let values) = $0 { self?.listed(values.first?.list ?? [], for: name) }
                }
            case .failure(let error): self?.unanswered("systemd cannot list units", error)
            }
        }
    }

    private func listed(_ rows: [BusValue], for name: String) {
        guard let group = groups[name] else { return }
        var found: Set<String> = []
        for row in rows.compactMap(\.list) where row.count >= 7 {
            guard let id = row[0].string, let active = row[3].string, let path = row[6].string, group.mayHold(id) else { continue }
            // What was never started is nobody's concern; once it was, it is.
            guard active != "inactive" || group.paths.contains(path) else { continue }
            found.insert(path)
        }
        // A run that follows on a failed one decides whether the unit is still failed.
        if group.kind == .failed { found.formUnion(group.paths.filter { units[$0]?.state.isOnItsWay ?? false }) }
        for path in group.paths.subtracting(found) { leave(path, group: name) }
        for path in found.subtracting(group.paths) { join(path, group: name) }
    }

    private func join(_ path: String, group name: String) {
        groups[name]?.paths.insert(path)
        bus?.call(.properties("GetAll", path: path), [""], only: SystemdUnit.properties) { [weak self] result in
            guard let self, self.groups[name]?.paths.contains(path) ?? false else { return }
            guard case .success(let values) = result, let properties = values.first?.dictionary, properties["Id"]?.string?.isEmpty == false else {
                self.groups[name]?.paths.remove(path)
                return
            }
            let unit = self.units[path] ?? WatchedUnit()
            self.units[path] = unit
            unit.requests.insert(name)
            unit.isHalfTold = false
            self.apply(properties, to: unit, at: path)
        }
    }

    private func leave(_ path: String, group name: String) {
        guard groups[name]?.paths.remove(path) != nil, let unit = units[path] else { return }
        var gone = unit.state.observation(for: name, mainProcess: nil)
        gone.presence = .absent
        release(path, by: name)
        say(gone)
    }

    /// All changes of a moment are one look.
    private func listSoon(_ isConcerned: (SystemdGroup) -> Bool) {
        for (name, group) in groups where group.look == nil && isConcerned(group) {
            groups[name]?.look = loop.after(.milliseconds(50)) { [weak self] in
                self?.groups[name]?.look = nil
                self?.list(name)
            }
        }
    }

    private func failuresChanged(_ signal: BusSignal) {
        guard source.sent(signal), signal.body.count >= 2, signal.body[1].dictionary?["NFailedUnits"] != nil else { return }
        listSoon { $0.kind == .failed }
    }

    // MARK: Telling

    /// Every step is told, because who asked for it shows in the steps alone: a stop that was asked for ends as one that was not.
    private func tellNews(of unit: WatchedUnit) {
        guard unit.isHalfTold || unit.state.mayBePassing else { return tell(unit) }
        // The rest follows within a millisecond, or later where much happens at once; if it does not, this was all.
        guard unit.patience == nil else { return }
        unit.patience = loop.after(unit.isHalfTold ? .milliseconds(200) : .milliseconds(50)) { [weak self, weak unit] in
            unit?.patience = nil
            if let self, let unit { self.tell(unit) }
        }
    }

    private func tell(_ unit: WatchedUnit) {
        if let patience = unit.patience { loop.cancel(patience) }
        unit.patience = nil
        let states = triggerStates(of: unit)
        for name in unit.requests.sorted() {
            // A unit that is not failed any longer has left those that are; it takes a moment to be sure.
            if groups[name]?.kind == .failed, unit.state.activity != .failed { listSoon { $0.kind == .failed } }
            say(unit.state.observation(for: name, mainProcess: unit.mainProcess, triggers: states))
        }
    }

    private func sayAbsent(_ name: String) {
        detach(name)
        guard let request = requests[name] else { return }
        say(Observation(request: name, presence: .absent, unit: request.fullName, activity: .stopped, detail: "not-found"))
    }

    private func say(_ observation: Observation) {
        guard !hasFailed else { return }
        if groups[observation.request] != nil {
            guard groups[observation.request]?.lastSaid[observation.unit] != observation else { return }
            groups[observation.request]?.lastSaid[observation.unit] = observation.presence == .present ? observation : nil
        } else {
            guard requests[observation.request]?.lastSaid != observation else { return }
            requests[observation.request]?.lastSaid = observation
        }
        observer?.observed(observation, from: self)
    }

    // MARK: Actions

    public func perform(_ verb: UnitVerb, on name: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        if let problem = problem(with: verb, on: name) {
            loop.after(.zero) { done(.failure(ActionError(problem))) }
            return
        }
        let id = unit(named: name)?.state.id ?? name
        let job = jobs.begin(verb, on: id, done)
        jobs.setTimer(
            loop.after(deadline) { [weak self] in
                guard let self, let job = self.jobs.take(job) else { return }
                let tenths = Int64(deadline.inSeconds * 10)
                let seconds = tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
                job.done(.failure(ActionError("the \(verb) of \(id) was not done within \(seconds) s; systemd goes on with it")))
            }, of: job)
        if case .signal(let number) = verb { return send(number, to: id, for: job) }
        // "fail": a job that somebody else has queued is not pushed aside.
        bus?.call(.manager(verb.method), [id, "fail"]) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let values):
                guard let path = values.first?.string else { return }
                if let result = self.jobs.accepted(job, path: path), let job = self.jobs.take(job) { self.conclude(job, result) }
            case .failure(let error):
                guard let job = self.jobs.take(job) else { return }
                self.finish([job], .failure(ActionError(refusal(of: verb, on: id, error))))
            }
        }
    }

    /// No job of systemd's; its answer is the end of it.
    private func send(_ signal: Int32, to id: String, for job: UInt64) {
        bus?.call(.manager("KillUnit"), with: [.string(id), .string("main"), .int32(signal)]) { [weak self] result in
            guard let self, let job = self.jobs.take(job) else { return }
            self.finish([job], result.map { _ in }.mapError { ActionError(refusal(of: job.verb, on: id, $0)) })
        }
    }

    private func unit(named name: String) -> WatchedUnit? {
        if let path = requests[name]?.path { return units[path] }
        return units[SystemdNames.path(of: systemdUnitName(name))]
    }

    /// Why not even systemd need be asked.
    private func problem(with verb: UnitVerb, on name: String) -> String? {
        guard bus != nil, !hasFailed else { return "systemd cannot be reached at present" }
        guard let unit = unit(named: name) else { return "systemd knows no unit \(name)" }
        if unit.state.isMasked { return "\(unit.state.id) is masked: systemd refuses to run it" }
        // A signal gets in no job's way: ladders end a stop that hangs.
        if case .signal = verb { return nil }
        if unit.state.hasRequestedJob, unit.state.job != unit.endedJob {
            return "systemd has a job for \(unit.state.id) already; a \(verb) would get in its way"
        }
        return nil
    }

    private func conclude(_ job: SystemdJobs.Job, _ result: String) {
        let reason = units[SystemdNames.path(of: job.unit)]?.state.lastExit
        finish([job], job.outcome(result, lastExit: reason))
    }

    private func finish(_ ended: [SystemdJobs.Job], _ result: Result<Void, ActionError>) {
        for job in ended {
            if let timer = job.timer { loop.cancel(timer) }
            job.done(result)
        }
    }
}

extension UnitVerb {
    /// The manager's method for it.
    fileprivate var method: String {
        switch self {
        case .start: "StartUnit"
        case .stop: "StopUnit"
        case .restart: "RestartUnit"
        case .reload: "ReloadUnit"
        case .signal: "KillUnit"
        }
    }
}
