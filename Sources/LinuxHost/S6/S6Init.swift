// s6: services that s6-supervise supervises.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// The services of s6's scan folders that have an `s6-supervise`. Their log services are no units.
public final class S6Init: InitSystem {
    public let name = "s6"
    private var folders: ServiceFolders?

    /// - Parameter roots: folders of services; `nil` for the usual ones.
    public init(loop: Loop, roots: [String]? = nil, logger: Logger) {
        folders = ServiceFolders(.s6, roots: roots, of: self, loop: loop, logger: logger)
    }

    static var isHere: Bool { ServiceFolders.isHere(.s6) }

    public func start(watching requests: [UnitRequest], observer: any InitObserver) { folders?.start(watching: requests, observer: observer) }
    public func change(watching requests: [UnitRequest]) { folders?.change(watching: requests) }
    public func stop() { folders?.stop() }
    public func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        folders?.perform(verb, on: unit, deadline: deadline, done)
    }
}

extension ServiceFolderDialect {
    static let s6 = ServiceFolderDialect(
        name: "s6", supervisor: "s6-supervise", roots: ["/run/service", "/run/s6/services", "/var/run/s6/services", "/service", "/etc/service"],
        parse: { ServiceStatus(s6: $0) }, listener: "control", mustBeReady: { access("\($0)/notification-fd", F_OK) == 0 },
        restart: "r",
        signals: [
            SIGHUP: "h", SIGINT: "i", SIGQUIT: "q", SIGUSR1: "1", SIGUSR2: "2", SIGTERM: "t", SIGKILL: "k", SIGABRT: "b", SIGALRM: "a", SIGWINCH: "y",
            SIGCONT: "c", SIGSTOP: "p",
        ],
        permission: "s6's supervise folders are root's; run the agent as root, or give its group the service with s6-svperms")
}
