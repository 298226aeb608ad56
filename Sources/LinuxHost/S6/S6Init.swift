// s6: services that s6-supervise supervises.

import Glibc
public import Logging
public import Platform

/// The services of s6's scan folders that have an `s6-supervise`. Their log services are no units.
public final class S6Init: ServiceFolders {
    /// - Parameter roots: folders of services; `nil` for the usual ones.
    public init(loop: Loop, roots: [String]? = nil, logger: Logger) {
        super.init(.s6, roots: roots, loop: loop, logger: logger)
    }

    static var isHere: Bool { ServiceFolders.isHere(.s6) }
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
        hasFolder: { access("\($0)/event", F_OK) == 0 },
        permission: "s6's supervise folders are root's; run the agent with CAP_DAC_READ_SEARCH, or give its group the service with s6-svperms")
}
