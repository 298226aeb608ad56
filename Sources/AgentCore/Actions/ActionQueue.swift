// Which job of a unit comes next: never two at once.

/// The reloads and restarts that rules ask of one unit. They run one after the other, each rule's in its written order.
struct ActionQueue {
    struct Job: Equatable {
        var verb: UnitVerb
        /// The rules that asked for it.
        var rules: [RuleCall]
    }

    /// A rule that failed, as its events name it.
    struct RuleCall: Equatable {
        var text: String
        var condition: String
        var routes: [String?]
    }

    /// The first one runs.
    private(set) var jobs: [Job] = []

    /// Adds what one rule asks for.
    ///
    /// A job that is there already serves two rules, when it comes late enough to keep the order of both: two rules that ask for a
    /// restart in the same cycle get one.
    /// - Returns: the job to start now, if none ran.
    mutating func add(_ verbs: [UnitVerb], for rule: RuleCall) -> Job? {
        let wasEmpty = jobs.isEmpty
        var earliest = 0
        for verb in verbs {
            if let index = jobs.indices.first(where: { $0 >= earliest && jobs[$0].verb == verb && !jobs[$0].rules.contains(rule) }) {
                jobs[index].rules.append(rule)
                earliest = index + 1
            } else {
                jobs.append(Job(verb: verb, rules: [rule]))
                earliest = jobs.count
            }
        }
        return wasEmpty ? jobs.first : nil
    }

    /// Takes the job that has ended from the queue.
    /// - Returns: it, and the one to start now.
    mutating func end() -> (ended: Job, next: Job?)? {
        guard !jobs.isEmpty else { return nil }
        let ended = jobs.removeFirst()
        return (ended, jobs.first)
    }
}
