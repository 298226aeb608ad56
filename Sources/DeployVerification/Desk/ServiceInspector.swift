// The agent's eyes on a service while a deploy goes on; LinuxHost has them.

public import AgentAPI
public import Platform

/// A service, as far as the agent's watcher knows it at present.
public struct InspectedService: Equatable, Sendable {
    /// The unit's name.
    public var name: String
    /// Its main process; `nil` when it is down.
    public var mainProcess: Int32?
    /// Below the control groups' root; `nil` where there is none: its processes are then the main one's descendants.
    public var cgroup: String?
    /// Why its processes are not known, for a person; `nil` where they are, or there are none.
    public var problem: String?

    public init(name: String, mainProcess: Int32?, cgroup: String?, problem: String? = nil) {
        self.name = name
        self.mainProcess = mainProcess
        self.cgroup = cgroup
        self.problem = problem
    }
}

/// How the workers behind one listener have to be asked, as far as that is known.
public struct ListenerSearch: Sendable {
    public var address: ServiceListener.Address
    public var search: WaySearch

    public init(address: ServiceListener.Address, search: WaySearch) {
        self.address = address
        self.search = search
    }
}

/// Looks at processes from outside, and asks them over their own listeners. It lives on the loop of the deploy desk, which is not the
/// watcher's.
public protocol ServiceInspector: AnyObject {
    /// One look; it reads /proc and asks the kernel's socket tables, and waits for nobody.
    /// - Parameter known: listeners of an earlier look, whose holders are looked for outside the service too when it has none of its own.
    func look(at service: InspectedService, known: [ServiceListener]) -> ServiceLook

    /// Asks all workers at once, over as many connections as there are workers (8 at most), each held until it is known who has it.
    /// - Parameters:
    ///   - workers: of the look; answers of others are told as well.
    ///   - heard: for each answer whose giver is known.
    ///   - done: called once, within some seconds, when nothing is under way any more: how many connections nobody took, and how many were refused.
    func ask(
        _ question: TokenQuestion, of service: InspectedService, at look: ServiceLook, workers: [ProcessMark],
        _ heard: @escaping (WorkerAnswer) -> Void,
        done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void)

    /// What has been found out about how the workers of a service have to be asked, for each of its listeners.
    func searches(_ service: String) -> [ListenerSearch]
    /// Forgets that, so that the next round of questions tries all ways.
    func searchAnew(_ service: String)

    /// Tells what happens to the service's processes, from the kernel where it lets us, else by looking; until `unwatch`.
    func watch(_ service: InspectedService, _ happened: @escaping (ProcessIncident) -> Void)
    func unwatch(_ service: String)

    /// Begins an availability probe at the listeners of the service; one for each service. Its counts so far: `availability(of:)`.
    func probe(_ order: AvailabilityOrder, of service: InspectedService, listeners: [ServiceListener])
    func availability(of service: String) -> Availability?
    func stopProbe(of service: String)

    /// A release's folder on this host. It is asked for when a deploy is prepared and when a check begins.
    func release(_ path: String) -> NamedRelease

    /// What TOKEN a process's release had when the process got its program. It is asked for soon after each process was first seen, and what
    /// was found then counts for as long as the mark is there. Only where workers cannot be asked.
    func releaseToken(of mark: ProcessMark) -> BirthToken

    /// Whether a process is older than the token in its release. Only where no baseline says which processes are old.
    func age(of mark: ProcessMark, beside token: Secret) -> TokenAge
}

extension ServiceInspector {
    public func searches(_ service: String) -> [ListenerSearch] { [] }
    public func searchAnew(_ service: String) {}
    public func release(_ path: String) -> NamedRelease { NamedRelease(lookingAt: path) }
    public func releaseToken(of mark: ProcessMark) -> BirthToken { .unproven }
    public func age(of mark: ProcessMark, beside token: Secret) -> TokenAge { .unknown }
}
