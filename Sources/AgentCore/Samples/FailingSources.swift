// Metrics that a rule names and that cannot be read.

import Platform

/// Notices when what a rule wants to know cannot be read for several cycles: a rule that cannot be judged looks like one that is content.
struct FailingSources {
    enum Outcome: Equatable {
        case none
        /// Which metrics fail, and why.
        case failed(String)
        /// Which are back.
        case recovered(String)
    }

    /// A file that vanishes between two looks is no fault.
    static let patience = 3

    /// By name: for how many cycles in a row it could not be read.
    private var misses: [String: Int] = [:]
    private(set) var failing: Set<String> = []

    /// Takes one cycle's absences.
    /// - Parameters:
    ///   - ruled: the metrics that rules name, each with whether it was measured.
    ///   - absence: why one was not.
    mutating func observe(_ ruled: some Sequence<(key: String, isMeasured: Bool)>, absence: (String) -> Absence) -> Outcome {
        if misses.isEmpty, failing.isEmpty, ruled.allSatisfy(\.isMeasured) { return .none }
        var reasons: [(why: String, keys: [String])] = []
        var back: [String] = []
        for (key, isMeasured) in ruled {
            let why: String
            switch isMeasured ? Absence.nothing : absence(key) {
            case .notYet: continue
            case .nothing:
                misses[key] = nil
                if failing.remove(key) != nil { back.append(key) }
                continue
            case .failed(let reason): why = reason
            }
            guard !failing.contains(key) else { continue }
            misses[key, default: 0] += 1
            guard misses[key, default: 0] >= Self.patience else { continue }
            misses[key] = nil
            failing.insert(key)
            if let index = reasons.firstIndex(where: { $0.why == why }) {
                reasons[index].keys.append(key)
            } else {
                reasons.append((why, [key]))
            }
        }
        if !reasons.isEmpty {
            return .failed(reasons.map { "\($0.keys.joined(separator: ", ")) cannot be read: \($0.why)" }.joined(separator: "; "))
        }
        return back.isEmpty ? .none : .recovered("\(back.joined(separator: ", ")) can be read again")
    }

    /// Forgets what no rule names any longer.
    mutating func keep(_ keys: [String]) {
        failing.formIntersection(keys)
        misses = misses.filter { keys.contains($0.key) }
    }
}
