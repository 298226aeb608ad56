// runit: services that runsv supervises.

import Glibc
public import Logging
public import Platform

/// The services of runit's scan folders that have a `runsv`. Their log services are no units.
public final class RunitInit: ServiceFolders {
    /// - Parameter roots: folders of services; `nil` for the usual ones.
    public init(loop: Loop, roots: [String]? = nil, logger: Logger) {
        super.init(.runit, roots: roots, loop: loop, logger: logger)
    }

    static var isHere: Bool { ServiceFolders.isHere(.runit) }
}

extension ServiceFolderDialect {
    static let runit = ServiceFolderDialect(
        name: "runit", supervisor: "runsv", roots: ["/etc/service", "/service", "/var/service"], parse: { ServiceStatus(runit: $0) },
        listener: "ok", mustBeReady: { _ in false }, restart: "tc",
        signals: [
            SIGHUP: "h", SIGINT: "i", SIGQUIT: "q", SIGUSR1: "1", SIGUSR2: "2", SIGTERM: "t", SIGKILL: "k", SIGALRM: "a", SIGCONT: "c", SIGSTOP: "p",
        ],
        hasFolder: { access("\($0)/event", F_OK) != 0 },
        permission: "runit's supervise folders are root's; run the agent with CAP_DAC_READ_SEARCH, or give its group the folder and its fifos")
}
