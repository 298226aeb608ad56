// What the configuration needs and the agent may not do, while it runs.

import AgentAPI
public import Platform

extension AgentLoop {
    /// Says it of the configuration that is watched now: an event when that is news, and in `status`.
    public func note(missingMeans missing: [Fault]) {
        guard isRunning else { return }
        missingMeans = missing
        let hadAny = lacksMeans
        lacksMeans = !missing.isEmpty
        let now = time.now()
        if lacksMeans {
            let words = missing.prefix(3).map { "\($0.file):\($0.line): \($0.message)" }.joined(separator: "; ")
            let more = missing.count > 3 ? "; and \(missing.count - 3) more" : ""
            record(
                Event(
                    kind: .sourceFailed, at: now.wall, importance: .warning,
                    detail:
                        "sandbox: the agent may not do what the configuration needs: \(words)\(more); `rollcall check-config` says what would allow it",
                    routes: [plan.hostRoute]), of: nil, .begins(.source("sandbox")))
        } else if hadAny {
            record(
                Event(
                    kind: .sourceRecovered, at: now.wall, detail: "sandbox: the agent may do all that the configuration needs",
                    routes: [plan.hostRoute]), of: nil, .ends(.source("sandbox")))
        }
    }
}
