// Processes whose network is another one than the agent's.

import DeployVerification
import Platform

/// The kernel's socket tables are those of one's own network namespace: what a container listens at is not in them, and an address of the same
/// number is somebody else's.
enum Namespaces {
    private static let mostNamed = 3

    /// Why it cannot be seen where a service listens, and what would help; `nil` when none of its processes is elsewhere, or some listen here.
    static func blindness(to processes: [ServiceProcess], in proc: ProcFileSystem) -> String? {
        let alive = processes.filter { !$0.isGone }
        guard !alive.isEmpty, alive.allSatisfy({ $0.listeners?.isEmpty ?? true }), let own = linkTarget(proc.path("self/ns/net")) else { return nil }
        let elsewhere = alive.filter { process in linkTarget(proc.path(of: process.mark.pid, "ns/net")).map { $0 != own } ?? false }
        guard !elsewhere.isEmpty else { return nil }
        let named = elsewhere.prefix(mostNamed).map { "\($0.mark.pid)" }.joined(separator: ", ")
        let more = elsewhere.count > mostNamed ? " and \(elsewhere.count - mostNamed) more" : ""
        return
            "\(elsewhere.count == 1 ? "process" : "processes") \(named)\(more) of the service \(elsewhere.count == 1 ? "has" : "have") a network of \(elsewhere.count == 1 ? "its" : "their") own, as containers do: where it listens cannot be seen from here, and its workers cannot be asked; run an agent inside, or check by URL alone (--url without --service)"
    }
}
