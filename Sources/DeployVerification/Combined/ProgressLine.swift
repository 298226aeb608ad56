// A host's deploy on one line, while it goes on.

public import AgentAPI

extension HostDeploy {
    /// `app-2  MIXED  2/3 workers new; 4711 old, busy 12 s (1 request in flight); 31 s left`
    /// - Parameters:
    ///   - left: until the check's time is over; `nil` leaves it out.
    ///   - width: of the longest host's name, so that lines stand below each other.
    public func progressLine(left: Duration? = nil, width: Int = 0) -> String {
        let name = host + String(repeating: " ", count: max(0, width - host.count))
        let time = left.flatMap { isFinal ? nil : "; \(max(0, $0.components.seconds)) s left" } ?? ""
        return "\(name)  \(inWords)\(time)"
    }

    /// The same without the name: `MIXED  2/3 workers new; 4711 old`
    public var inWords: String {
        let draining = count(.draining)
        let parts = [workersInWords] + others + (draining > 0 ? ["\(draining) draining"] : [])
        return "\(state.rawValue)  \(parts.joined(separator: "; "))"
    }

    private var workersInWords: String {
        let workers = processes.count { $0.role == .worker && $0.class != .draining }
        guard workers > 0 else { return "no workers" }
        let of = max(workers, expectedWorkers ?? 0)
        return "\(count(.new))/\(of) workers new"
    }

    /// The ones that are not new, the first few by their pid.
    private var others: [String] {
        let those = processes.filter { $0.role == .worker && $0.class != .new && $0.class != .draining && $0.class != nil }
        var parts = those.prefix(3).map { process in
            var part = "\(process.pid) \(word(process.class))"
            if let reason = process.reason { part += " (\(reason))" }
            if let connections = process.connections, connections > 0, let busy = process.busy, busy >= .seconds(1) {
                part += ", busy \(words(busy)) (\(connections) \(connections == 1 ? "request" : "requests") in flight)"
            }
            return part
        }
        if those.count > parts.count { parts.append("\(those.count - parts.count) more") }
        return parts
    }

    private func word(_ kind: Class?) -> String {
        switch kind {
        case .old: "old"
        case .dynamic: "reads the token on every request"
        case .oldCode: "runs old code"
        case .unknown: "has not answered"
        case .new, .draining, nil: ""
        }
    }
}
