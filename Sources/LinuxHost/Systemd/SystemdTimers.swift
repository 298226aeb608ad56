// Jobs that systemd starts by its timers.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// Tells of systemd's timers and of how their services went. It asks after a timer when systemd says that the timer or its service has
/// changed. Once a minute it lists the timers in one call, and asks after those that are new, or in another state than when it asked, or whose
/// time has come without a word: nobody is told that a run is missing by what was known a while ago.
public final class SystemdTimers: JobSource {
    private static let interval = Duration.seconds(60)
    /// Between a signal and the question: what changes once changes several times.
    private static let gathering = Duration.milliseconds(100)

    private let loop: Loop
    private let address: String
    private let logger: Logger
    private weak var observer: (any JobObserver)?
    private var patterns: [String] = []
    private var bus: Bus?
    private var look: Loop.Timer?
    private var repeating: Loop.Timer?
    /// By object path of the timer.
    private var timers: [String: Timer] = [:]

    /// Objects that have changed and were not asked after since.
    private var changed: Set<String> = []
    private var mustList = false

    private struct Timer {
        var id: String
        /// Its sub-state in the list when it was asked after: `waiting`, `running`, `elapsed`.
        var state: String
        /// What it starts, and the object path of that.
        var unit: String?
        var servicePath: String?
        var said: DiscoveredJob?
    }

    /// - Parameter address: of the bus; `nil` is the system bus.
    public init(loop: Loop, address: String? = nil, logger: Logger) {
        self.loop = loop
        self.address = address ?? SystemdNames.systemBus
        self.logger = logger
    }

    public func start(watching patterns: [String], observer: any JobObserver) {
        self.observer = observer
        repeating = loop.every(Self.interval) { [weak self] in self?.list() }
        change(watching: patterns)
    }

    public func change(watching patterns: [String]) {
        self.patterns = patterns.map(timerName)
        list()
    }

    public func stop() {
        for timer in [look, repeating] { if let timer { loop.cancel(timer) } }
        (look, repeating) = (nil, nil)
        bus?.close()
        bus = nil
        timers = [:]
        changed = []
        observer = nil
    }

    // MARK: Looking

    private func connected() -> Bus? {
        if let bus { return bus }
        do throws(BusError) {
            let bus = try Bus(loop: loop, address: address) { [weak self] _ in self?.lostBus() }
            self.bus = bus
            let systemd = "type='signal',sender='\(SystemdNames.service)'"
            let manager = "\(systemd),interface='\(SystemdNames.manager)',path='\(SystemdNames.managerPath)'"
            try bus.match("\(manager),member='JobRemoved'") { [weak self] in self?.jobRemoved($0) }
            try bus.match(
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='\(SystemdNames.service)'"
            ) { [weak self] _ in self?.ownerChanged() }
            // After a reload a timer may have another time, and start another unit.
            try bus.match("\(manager),member='Reloading'") { [weak self] _ in self?.askAgainAfterAll() }
            // Every change of a timer or a service is one of its unit too.
            try bus.match(
                "\(systemd),interface='\(SystemdNames.properties)',member='PropertiesChanged',path_namespace='\(SystemdNames.managerPath)/unit',arg0='\(SystemdNames.unit)'",
                only: [], wanted: { [weak self] path in self?.isOurs(path) ?? false }
            ) { [weak self] signal in self?.noteChange(of: signal.path) }
            bus.call(.manager("Subscribe")) { _ in }
        } catch {
            // The units' own connection tells people that systemd cannot be reached.
            logger.debug("timers cannot be looked at", metadata: ["why": "\(error)"])
            bus?.close()
            bus = nil
        }
        return bus
    }

    private func lostBus() {
        bus = nil
        // What was said meanwhile is not known.
        changed.formUnion(timers.keys)
    }

    private func jobRemoved(_ signal: BusSignal) {
        if signal.body.count == 4, signal.body[2].string?.hasSuffix(".timer") == true { askSoon(forList: true) }
    }

    /// Another systemd knows nothing of who listened to the one before.
    private func ownerChanged() {
        bus?.call(.manager("Subscribe")) { _ in }
        askAgainAfterAll()
    }

    private func askAgainAfterAll() {
        changed.formUnion(timers.keys)
        askSoon(forList: true)
    }

    private func isOurs(_ path: String) -> Bool { timers[path] != nil || timers.values.contains { $0.servicePath == path } }

    private func noteChange(of path: String) {
        changed.formUnion(timers.filter { $0.key == path || $0.value.servicePath == path }.keys)
        askSoon(forList: false)
    }

    private func askSoon(forList: Bool) {
        mustList = mustList || forList
        guard look == nil else { return }
        look = loop.after(Self.gathering) { [weak self] in
            guard let self else { return }
            self.look = nil
            if self.mustList { self.list() } else { self.examineChanged() }
        }
    }

    private func list() {
        mustList = false
        guard !patterns.isEmpty || !timers.isEmpty, let bus = connected() else { return }
        guard !patterns.isEmpty else { return listed([]) }
        bus.call(.manager("ListUnitsByPatterns"), with: [.strings([]), .strings(patterns)]) { [weak self] result in
            if case .success(let values) = result { self?.listed(values.first?.list ?? []) }
        }
    }

    private func listed(_ rows: [BusValue]) {
        let now = SystemTime().now().wall
        var found: Set<String> = []
        for row in rows.compactMap(\.list) where row.count >= 7 {
            guard let id = row[0].string, id.hasSuffix(".timer"), row[3].string == "active", let state = row[4].string, let path = row[6].string
            else { continue }
            found.insert(path)
            guard let known = timers[path] else {
                timers[path] = Timer(id: id, state: state)
                changed.insert(path)
                continue
            }
            let isDue = known.said?.nextDue.map { $0 <= now } ?? false
            if known.state != state || known.said == nil || isDue { changed.insert(path) }
            timers[path]?.state = state
        }
        for (path, timer) in timers where !found.contains(path) {
            timers[path] = nil
            changed.remove(path)
            if let name = timer.said?.name { observer?.jobGone(name) }
        }
        examineChanged()
    }

    private func examineChanged() {
        guard bus != nil else { return }
        let paths = changed.sorted()
        changed = []
        for path in paths where timers[path] != nil { examine(path) }
    }

    private func examine(_ path: String) {
        bus?.call(.properties("GetAll", path: path), [SystemdNames.timer], only: timerProperties) { [weak self] result in
            guard let self, let known = self.timers[path] else { return }
            guard case .success(let values) = result, let timer = values.first?.dictionary, let unit = timer["Unit"]?.string else {
                return self.examineLater(path)
            }
            if let service = known.servicePath, known.unit == unit { return self.examineService(service, of: path, timer) }
            self.bus?.call(.manager("LoadUnit"), [unit]) { [weak self] result in
                guard let self else { return }
                guard case .success(let values) = result, let service = values.first?.string else { return self.examineLater(path) }
                self.timers[path]?.unit = unit
                self.timers[path]?.servicePath = service
                self.examineService(service, of: path, timer)
            }
        }
    }

    private func examineService(_ service: String, of path: String, _ timer: [String: BusValue]) {
        bus?.call(.properties("GetAll", path: service), [""], only: SystemdUnit.properties) { [weak self] result in
            guard let self, let known = self.timers[path], let unit = known.unit else { return }
            guard case .success(let values) = result else { return self.examineLater(path) }
            // Between the two answers a run has begun or ended: they do not belong together, and the next look is on its way.
            guard !self.changed.contains(path) else { return }
            self.tell(known.id, of: path, unit: unit, timer: timer, service: values.first?.dictionary ?? [:])
        }
    }

    /// With the next list.
    private func examineLater(_ path: String) {
        if timers[path] != nil { changed.insert(path) }
    }

    private func tell(_ id: String, of path: String, unit: String, timer: [String: BusValue], service: [String: BusValue]) {
        var state = SystemdUnit()
        state.apply(service)
        let isRunning =
            switch state.activity {
            case .running, .starting, .stopping, .reloading, .restarting: true
            case .stopped, .failed: false
            }
        let job = DiscoveredJob(
            name: id, unit: unit, lastStart: timer["LastTriggerUSec"].flatMap(moment), nextDue: timer["NextElapseUSecRealtime"].flatMap(moment),
            isRunning: isRunning, lastExit: isRunning ? nil : state.lastExit)
        guard let known = timers[path], known.said != job else { return }
        timers[path]?.said = job
        observer?.job(job)
    }

    private func moment(_ value: BusValue) -> Timestamp? {
        guard let microseconds = value.unsigned, microseconds != 0, microseconds != .max else { return nil }
        return Timestamp(microseconds: Int64(clamping: microseconds))
    }
}

private let timerProperties: Set<String> = ["Unit", "LastTriggerUSec", "NextElapseUSecRealtime"]

private func timerName(_ pattern: String) -> String { pattern.hasSuffix(".timer") ? pattern : pattern + ".timer" }
