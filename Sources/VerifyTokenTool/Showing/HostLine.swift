// A host's deploy in a line.

import AgentAPI
import Platform

enum HostLine {
    /// `MIXED  2/3 workers new; 4711 old with 1 connection; 1 draining`
    static func words(_ host: HostDeploy) -> String {
        var parts: [String] = []
        let expected = host.expectedWorkers ?? host.processes.count { $0.role == .worker && $0.class != .draining }
        if expected > 0 || !host.processes.isEmpty { parts.append("\(host.count(.new))/\(expected) workers new") }
        for (word, kind) in [
            ("old", HostDeploy.Class.old), ("with old code", .oldCode), ("with a token that is read on every request", .dynamic),
            ("not proven", .unknown), ("draining", .draining),
        ] {
            let those = host.processes.filter { $0.class == kind }
            if !those.isEmpty { parts.append("\(pids(those)) \(word)\(kind == .old ? busy(those) : "")") }
        }
        if parts.isEmpty, let reason = host.reasons.first { parts.append(oneLine(reason)) }
        return parts.isEmpty ? host.state.rawValue : "\(host.state.rawValue)  \(parts.joined(separator: "; "))"
    }

    /// `4711, 4712 and 3 more`
    private static func pids(_ processes: [HostDeploy.Process]) -> String {
        let shown = processes.prefix(3).map { "\($0.pid)" }.joined(separator: ", ")
        return processes.count > 3 ? "\(shown) and \(processes.count - 3) more" : shown
    }

    private static func busy(_ processes: [HostDeploy.Process]) -> String {
        let connections = processes.reduce(0) { $0 + min(1_000_000, $1.connections ?? 0) }
        return connections == 0 ? "" : " with \(connections) open connection\(connections == 1 ? "" : "s")"
    }
}
