// Jobs that systemd starts by its timers.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// Tells of systemd's timers and of how their services went. It lists the timers once a minute, and at once when one of their services has
/// started or ended.
public final class SystemdTimers: JobSource {
    /// How often all timers are listed: when the next run is due changes without a signal.
    private static let interval = Duration.seconds(60)

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

    private struct Timer {
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
        observer = nil
    }

    // MARK: Looking

    private func connected() -> Bus? {
        if let bus { return bus }
        do throws(BusError) {
            let bus = try Bus(loop: loop, address: address) { [weak self] _ in self?.bus = nil }
            self.bus = bus
            try bus.match(
                "type='signal',sender='\(SystemdNames.service)',interface='\(SystemdNames.manager)',member='JobRemoved',path='\(SystemdNames.managerPath)'"
            ) { [weak self] in
                self?.jobRemoved($0)
            }
            try bus.match(
                "type='signal',sender='\(SystemdNames.service)',interface='\(SystemdNames.properties)',member='PropertiesChanged',path_namespace='\(SystemdNames.managerPath)/unit'",
                only: ["ActiveState"], wanted: { [weak self] path in self?.timers.values.contains { $0.servicePath == path } ?? false }
            ) { [weak self] _ in self?.lookSoon() }
            bus.call(.manager("Subscribe")) { _ in }
        } catch {
            // The units' own connection tells people that systemd cannot be reached.
            logger.debug("timers cannot be looked at", metadata: ["why": "\(error)"])
            bus?.close()
            bus = nil
        }
        return bus
    }

    private func jobRemoved(_ signal: BusSignal) {
        if signal.body.count == 4, signal.body[2].string?.hasSuffix(".timer") == true { lookSoon() }
    }

    private func lookSoon() {
        guard look == nil else { return }
        look = loop.after(.milliseconds(100)) { [weak self] in
            self?.look = nil
            self?.list()
        }
    }

    private func list() {
        guard !patterns.isEmpty || !timers.isEmpty, let bus = connected() else { return }
        guard !patterns.isEmpty else { return listed([]) }
        bus.call(.manager("ListUnitsByPatterns"), with: [.strings([]), .strings(patterns)]) { [weak self] result in
            if case .success(let values) = result { self?.listed(values.first?.list ?? []) }
        }
    }

    private func listed(_ rows: [BusValue]) {
        var found: Set<String> = []
        for row in rows.compactMap(\.list) where row.count >= 7 {
            guard let id = row[0].string, id.hasSuffix(".timer"), row[3].string == "active", let path = row[6].string else { continue }
            found.insert(path)
            examine(id, at: path)
        }
        for (path, timer) in timers where !found.contains(path) {
            timers[path] = nil
            if let name = timer.said?.name { observer?.jobGone(name) }
        }
    }

    private func examine(_ id: String, at path: String) {
        if timers[path] == nil { timers[path] = Timer() }
        bus?.call(.properties("GetAll", path: path), [SystemdNames.timer], only: timerProperties) { [weak self] result in
            guard let self, case .success(let values) = result, let timer = values.first?.dictionary, let unit = timer["Unit"]?.string else { return }
            self.bus?.call(.manager("LoadUnit"), [unit]) { [weak self] result in
                guard let self, case .success(let values) = result, let service = values.first?.string else { return }
                self.timers[path]?.servicePath = service
                self.bus?.call(.properties("GetAll", path: service), [""], only: SystemdUnit.properties) { [weak self] result in
                    guard case .success(let values) = result else { return }
                    self?.tell(id, of: path, unit: unit, timer: timer, service: values.first?.dictionary ?? [:])
                }
            }
        }
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
