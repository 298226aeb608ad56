// runit: services that runsv supervises.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// The services of runit's scan folders that have a `runsv`. Their log services are no units.
public final class RunitInit: InitSystem {
    public let name = "runit"
    private var folders: ServiceFolders?

    /// - Parameter roots: folders of services; `nil` for the usual ones.
    public init(loop: Loop, roots: [String]? = nil, logger: Logger) {
        folders = ServiceFolders(.runit, roots: roots, of: self, loop: loop, logger: logger)
    }

    static var isHere: Bool { ServiceFolders.isHere(.runit) }

    public func start(watching requests: [UnitRequest], observer: any InitObserver) { folders?.start(watching: requests, observer: observer) }
    public func change(watching requests: [UnitRequest]) { folders?.change(watching: requests) }
    public func stop() { folders?.stop() }
    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        folders?.perform(verb, on: unit, deadline: deadline, done)
    }
}

extension ServiceFolderDialect {
    static let runit = ServiceFolderDialect(
        name: "runit", supervisor: "runsv", roots: ["/etc/service", "/service", "/var/service"], parse: { ServiceStatus(runit: $0) },
        listener: "ok", mustBeReady: { _ in false }, restart: "tc",
        signals: [
            SIGHUP: "h", SIGINT: "i", SIGQUIT: "q", SIGUSR1: "1", SIGUSR2: "2", SIGTERM: "t", SIGKILL: "k", SIGALRM: "a", SIGCONT: "c", SIGSTOP: "p",
        ],
        permission: "runit's supervise folders are root's; run the agent as root, or give its group the folder and its fifos")
}
