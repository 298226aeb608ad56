// The eyes of a deploy: processes, sockets and answers of a service on this host.

public import AgentAPI
public import DeployVerification
import Glibc
public import Platform

/// Looks at a service's processes and asks them. It lives on the loop of the deploy desk and waits for nobody; a file system that hangs
/// is waited for a moment, once.
public final class LinuxServiceInspector: ServiceExaminer {
    private static let mostAnswered = 4096
    private static let triesWithoutToken = 2

    private let loop: Loop
    private let time: any TimeSource
    private let observer = ServiceObserver()
    private let asker: WorkerAsker
    /// Who has said no to its last question for now, as to one of too many.
    private var refused: Set<ProcessMark> = []
    /// Where a service has answered something that is a token: nobody asks elsewhere then, as at a port for metrics.
    private var tokenAddresses: [String: Set<ServiceListener.Address>] = [:]
    /// Where it has answered something else, and how often.
    private var otherAddresses: [String: [ServiceListener.Address: Int]] = [:]
    private var watches: [String: Watch] = [:]
    private var events: ProcessEvents?
    private var hasNoEvents = false
    private var availabilities: [String: AvailabilityProbe] = [:]
    private var births = BirthTokens(clockTicks: UInt64(max(1, sysconf(Int32(_SC_CLK_TCK)))))

    private struct Watch {
        var service: InspectedService
        /// Its processes, with how each was when it was last looked at.
        var members: [Int32: ProcessMark?]
        var happened: (ProcessIncident) -> Void
        var timer: Loop.Timer?
    }

    public init(loop: Loop, time: any TimeSource = SystemTime()) {
        self.loop = loop
        self.time = time
        asker = WorkerAsker(observer: observer, loop: loop, time: time)
    }

    public func look(at service: InspectedService, known: [ServiceListener]) -> ServiceLook {
        let now = time.now()
        let look = observer.look(at: service, known: known, now: now.uptime)
        // The later a process was seen to run one program, the more is known of what it was born with when it executes another.
        for process in look.processes where !process.isForeign { births.see(process.mark, at: now) }
        births.tidy { [observer] pid, startTicks in observer.isAlive(pid, startTicks: startTicks) }
        return look
    }

    // MARK: Asking

    public func ask(
        _ question: TokenQuestion, of service: InspectedService, at look: ServiceLook, workers: [ProcessMark],
        _ heard: @escaping (WorkerAnswer) -> Void, done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) {
        // Several sockets may have one address.
        var addresses = look.listeners.map(\.address).reduce(into: [ServiceListener.Address]()) { if !$0.contains($1) { $0.append($1) } }
        if let known = tokenAddresses[service.name], addresses.contains(where: { known.contains($0) }) {
            // One that is new may be another one of these: a server within the service changes its port at each start.
            let others = otherAddresses[service.name] ?? [:]
            addresses.removeAll { !known.contains($0) && others[$0] ?? 0 >= Self.triesWithoutToken }
        }
        let patient = refused.intersection(workers)
        asker.ask(
            question, of: service, look: look, workers: max(workers.count, addresses.count),
            wanted: Set(workers).subtracting(observer.takers).union(patient), addresses: addresses,
            heard: { [weak self] answer, address in
                self?.note(answer.mark)
                if answer.content.isForNow { self?.refuse(answer.mark) } else { self?.refused.remove(answer.mark) }
                if case .token = answer.content {
                    self?.tokenAddresses[service.name, default: []].insert(address)
                } else {
                    self?.otherAddresses[service.name, default: [:]][address, default: 0] += 1
                }
                heard(answer)
            }, done: done)
    }

    public func searches(_ service: String) -> [ListenerSearch] { asker.searches(service) }

    public func searchAnew(_ service: String) {
        asker.forget(service)
        tokenAddresses[service] = nil
        otherAddresses[service] = nil
    }

    private func refuse(_ mark: ProcessMark) {
        if refused.count >= Self.mostAnswered { refused = refused.filter { observer.isAlive($0.pid, startTicks: $0.startTicks) } }
        if refused.count < Self.mostAnswered { refused.insert(mark) }
    }

    private func note(_ mark: ProcessMark) {
        if observer.takers.count >= Self.mostAnswered {
            observer.takers = observer.takers.filter { observer.isAlive($0.pid, startTicks: $0.startTicks) }
        }
        if observer.takers.count < Self.mostAnswered { observer.takers.insert(mark) }
    }

    // MARK: What happens to processes

    public func watch(_ service: InspectedService, _ happened: @escaping (ProcessIncident) -> Void) {
        unwatch(service.name)
        listen()
        let members = Dictionary(uniqueKeysWithValues: observer.pids(of: service).map { ($0, observer.mark(of: $0)) })
        var watch = Watch(service: service, members: members, happened: happened)
        if events == nil { watch.timer = loop.every(.milliseconds(50)) { [weak self] in self?.compare(service.name) } }
        watches[service.name] = watch
    }

    public func unwatch(_ service: String) {
        if let timer = watches.removeValue(forKey: service)?.timer { loop.cancel(timer) }
        if watches.isEmpty { events = nil }
    }

    /// The kernel tells who may hear it; otherwise the processes are looked at, and short lives between two looks stay unseen.
    private func listen() {
        guard events == nil, !hasNoEvents else { return }
        events = try? ProcessEvents(
            on: loop, heard: { [weak self] in self?.take($0) },
            lost: { [weak self] in
                guard let self else { return }
                for name in watches.keys { compare(name) }
            })
        hasNoEvents = events == nil
    }

    private func take(_ event: ProcessEvent) {
        let now = time.now().uptime
        for (name, watch) in watches {
            switch event.what {
            case .fork(let parent):
                guard watch.members.keys.contains(parent) else { continue }
                watches[name]?.members.updateValue(nil, forKey: event.pid)
                watch.happened(ProcessIncident(pid: event.pid, what: .fork(parent: parent), at: now))
            case .exec:
                guard watch.members.keys.contains(event.pid) else { continue }
                notice(event.pid, before: event.at.map { self.time.now().wall - (monotonic() - $0) })
                watch.happened(ProcessIncident(pid: event.pid, what: .exec, at: now))
            case .exit(let status):
                guard watches[name]?.members.removeValue(forKey: event.pid) != nil else { continue }
                watch.happened(ProcessIncident(pid: event.pid, what: .exit(status: status), at: now))
            }
        }
    }

    /// Tells what has changed since the last look.
    private func compare(_ name: String) {
        guard let watch = watches[name] else { return }
        let now = time.now().uptime
        let members = Dictionary(uniqueKeysWithValues: observer.pids(of: watch.service).map { ($0, observer.mark(of: $0)) })
        watches[name]?.members = members
        for (pid, before) in watch.members where before != nil && (members[pid] ?? nil)?.startTicks != before?.startTicks {
            watch.happened(ProcessIncident(pid: pid, what: .exit(status: nil), at: now))
        }
        for (pid, mark) in members {
            guard let mark else { continue }
            let before = watch.members[pid] ?? nil
            if before == nil || before?.startTicks != mark.startTicks {
                watch.happened(ProcessIncident(pid: pid, what: .fork(parent: 0), at: now))
            } else if before?.generation != mark.generation {
                watch.happened(ProcessIncident(pid: pid, what: .exec, at: now))
            }
        }
    }

    // MARK: What processes were born with

    public func release(_ path: String) -> NamedRelease { observer.release(path) }

    public func releaseToken(of mark: ProcessMark) -> BirthToken {
        births.token(of: mark, at: time.now()) { observer.releaseToken(of: mark.pid) }
    }

    public func age(of mark: ProcessMark, beside token: Secret) -> TokenAge {
        guard case .token(let text, let changed)? = observer.releaseToken(of: mark.pid) else { return .unknown }
        guard token.matches(text.utf8) else { return .otherToken }
        return births.isOlder(mark, than: changed, at: time.now()).map { $0 ? .older : .younger } ?? .unknown
    }

    public func notice(_ pid: Int32, before: Timestamp?) {
        guard let mark = observer.mark(of: pid) else { return }
        births.see(mark, before: before, at: time.now())
        _ = releaseToken(of: mark)
        // A process is seen before it enters its release.
        for wait in [Duration.milliseconds(300), .seconds(2)] {
            loop.after(wait) { [weak self] in
                guard let self, observer.mark(of: pid) == mark else { return }
                _ = releaseToken(of: mark)
            }
        }
    }

    // MARK: Facts

    public func examine(_ service: InspectedService) -> ServiceFacts { observer.examine(service, now: time.now().uptime) }

    // MARK: Availability

    public func probe(_ order: AvailabilityOrder, of service: InspectedService, listeners: [ServiceListener]) {
        stopProbe(of: service.name)
        guard let address = listeners.first(where: { tokenAddresses[service.name]?.contains($0.address) ?? false }) ?? listeners.first else { return }
        let place = address.address
        availabilities[service.name] = AvailabilityProbe(
            order, like: asker.question(service.name, place), at: place, way: { [asker] in asker.way(service.name, place) },
            folders: observer.folders, loop: loop, time: time)
    }

    public func availability(of service: String) -> Availability? { availabilities[service]?.sum }

    public func stopProbe(of service: String) { availabilities[service] = nil }
}

/// The clock of the kernel's events.
private func monotonic() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
